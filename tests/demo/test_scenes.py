from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from PIL import ImageChops

import nbvlm
from nbvlm import prompts
from nbvlm.demo import scenes
from nbvlm.demo.evaluate import boxes
from nbvlm.demo.gallery import GALLERY, PHOTOS, SCENES
from nbvlm.demo.model import load
from nbvlm.demo.world import backgrounds, difficulty, lookalikes, objects, signs
from nbvlm.errors import ParameterError


def test_the_same_seed_draws_the_same_scene():
    first, second = scenes.sample(11), scenes.sample(11)
    assert ImageChops.difference(first.picture, second.picture).getbbox() is None
    assert [(t.kind, t.color, t.box) for t in first.things] == [
        (t.kind, t.color, t.box) for t in second.things
    ]


def test_other_seeds_draw_other_scenes():
    assert len({scenes.sample(seed, pixels=200).picture.tobytes() for seed in range(20)}) == 20


@pytest.mark.parametrize("seed", range(40))
def test_boxes_bound_masks_and_things_are_well_seen(seed):
    scene = scenes.sample(seed, pixels=160 + 12 * seed)
    w, h = scene.size
    assert scene.picture.mode == "RGB"
    assert 1 <= len(scene.things) <= scenes.MOST_THINGS
    for thing in scene.things:
        assert thing.mask.shape == (h, w)
        assert thing.mask.dtype == bool
        x0, y0, x1, y1 = (int(edge) for edge in thing.box)
        assert thing.mask[y0:y1, x0:x1].sum() == thing.mask.sum() > 0
        assert thing.mask[y0, x0:x1].any()
        assert thing.mask[y1 - 1, x0:x1].any()
        assert thing.mask[y0:y1, x0].any()
        assert thing.mask[y0:y1, x1 - 1].any()
        assert thing.kind in scenes.KINDS
        assert thing.color in scenes.COLORS
        assert (thing.text is None) == (thing.kind != "sign")


@pytest.mark.parametrize("seed", range(40))
def test_masks_do_not_share_pixels(seed):
    masks = [thing.mask for thing in scenes.sample(seed, pixels=320).things]
    assert np.sum(masks, axis=0).max() == 1


def test_at_least_thirty_percent_of_each_thing_is_visible():
    for seed in range(60):
        layout = scenes.compose(scenes.Random(seed))
        size = (200, round(200 / layout.aspect))
        _, plan = scenes.render(layout, size)
        for number, placed in enumerate(layout.placed, 1):
            alone = scenes.Layout(layout.background, layout.detail, layout.aspect, (placed,))
            whole = np.count_nonzero(np.asarray(scenes.render(alone, size)[1]))
            assert np.count_nonzero(np.asarray(plan) == number) >= 0.3 * whole


def test_things_go_from_left_to_right():
    for seed in range(30):
        middles = [thing.box[0] + thing.box[2] for thing in scenes.sample(seed, pixels=320).things]
        assert middles == sorted(middles)


def _alone(kind, color, *, background="paper", size=200, text=None):
    placed = scenes.Placed(kind, color, objects.COLORS[color], 0.5, 0.5, 0.6, False, 0.0, text)
    placed = replace(placed, size=0.6 / max(1.0, placed.aspect))
    return scenes.render(scenes.Layout(background, 1, 1.0, (placed,)), (size, size))


def test_kinds_and_colors_are_those_the_model_knows_in_its_order():
    assert " ".join(scenes.KINDS) == (
        "cat dog bird fish car boat house tree flower star heart circle square triangle balloon umbrella "
        "apple sign"
    )
    assert " ".join(scenes.COLORS) == "red orange yellow green blue purple pink brown black white"
    assert " ".join(scenes.BACKGROUNDS) == "meadow sea night sand snow city forest paper"


@pytest.mark.parametrize("kind", scenes.KINDS)
@pytest.mark.parametrize("color", scenes.COLORS)
def test_a_thing_shows_its_color(kind, color):
    picture, plan = _alone(kind, color, text="ZOO" if kind == "sign" else None)
    painted = np.asarray(picture)[np.asarray(plan) == 1].astype(int)
    canvas = objects.Canvas(None, plan, 1, (0, 0), 1, objects.COLORS[color])
    shades = (canvas.color, objects.mix(canvas.color, canvas.light, 0.5), canvas.light, canvas.dim)
    near = np.any([np.abs(painted - np.array(shade)).max(1) <= 2 for shade in shades], axis=0)
    assert near.mean() > 0.45


def test_shades_of_two_named_colors_never_meet():
    shades = {color: [] for color in scenes.COLORS}
    for seed in range(150):
        for placed in scenes.compose(scenes.Random(seed)).placed:
            shades[placed.color].append(placed.shade)
    for color, seen in shades.items():
        assert len(seen) > 20
        apart = [np.abs(np.array(seen) - np.array(other)).sum(1) for other in objects.COLORS.values()]
        assert {scenes.COLORS[i] for i in np.argmin(apart, axis=0)} == {color}


@pytest.mark.parametrize("kind", [k for k in scenes.KINDS if not objects.KINDS[k].stands])
def test_a_thing_that_casts_no_shadow_changes_nothing_outside_its_mask(kind):
    picture, plan = _alone(kind, "blue")
    empty, _ = scenes.render(scenes.Layout("paper", 1, 1.0, ()), picture.size)
    changed = (np.asarray(picture) != np.asarray(empty)).any(2)
    assert not (changed & (np.asarray(plan) == 0)).any()


def _layouts(count):
    return [scenes.compose(scenes.Random(seed)) for seed in range(count)]


def test_a_layout_has_one_to_eight_things_and_an_aspect_from_a_half_to_two():
    layouts = _layouts(200)
    assert {len(layout.placed) for layout in layouts} == set(range(1, scenes.MOST_THINGS + 1))
    aspects = [layout.aspect for layout in layouts]
    assert (min(aspects), max(aspects)) == (0.5, 2.0)
    assert {layout.background for layout in layouts} == set(scenes.BACKGROUNDS)


def test_things_are_small_or_large_with_a_gap_between():
    for layout in _layouts(120):
        for placed in layout.placed:
            size = placed.size * max(1.0, objects.KINDS[placed.kind].aspect) ** 0.5
            if placed.kind != "sign":
                assert 0.15 <= size <= 0.2201 or 0.26 <= size <= 0.4501


def test_signs_can_be_read():
    texts = []
    for layout in _layouts(250):
        found = [placed for placed in layout.placed if placed.kind == "sign"]
        assert len(found) <= 2
        assert all((placed.text is not None) == (placed.kind == "sign") for placed in layout.placed)
        for placed in found:
            texts.append(placed.text)
            assert signs.LETTERS * placed.size >= 1 / 12
            assert 2 <= len(placed.text) <= 6
            assert placed.text.isascii()
            assert placed.text.isalpha()
            assert placed.text.isupper()
    assert len(set(texts)) > 30


def test_words_are_common_and_none_is_told_twice():
    assert len(signs.WORDS) >= 160
    assert len(set(signs.WORDS)) == len(signs.WORDS)
    assert all(2 <= len(word) <= 6 and word.isupper() for word in signs.WORDS)


@pytest.mark.parametrize("text", ["IN", "WWWWW", "CIRCUS", "MUSEUM", "IIIII"])
@pytest.mark.parametrize("color", ["white", "red"])
def test_letters_stay_on_the_board_and_stand_out(text, color):
    picture, plan = _alone("sign", color, size=300, text=text)
    seen = np.asarray(picture.convert("L"), int)
    ink = 42 if color == "white" else 251
    rows, columns = np.nonzero((np.abs(seen - ink) < 6) & (np.asarray(plan) == 1))
    x0, _, x1, _ = scenes.bounds(np.asarray(plan) == 1)
    assert x0 + 2 < columns.min()
    assert columns.max() < x1 - 3
    board = 0.6 / max(1.0, signs.aspect(text)) * 300
    assert np.ptp(rows) + 1 == pytest.approx(signs.LETTERS * board, abs=2.5)


def test_a_sign_says_its_text_and_is_hardly_covered():
    count = 0
    for layout in _layouts(60):
        size = (240, round(240 / layout.aspect))
        plan = np.asarray(scenes.render(layout, size)[1])
        for number, placed in enumerate(layout.placed, 1):
            if placed.text:
                count += 1
                alone = scenes.Layout(layout.background, layout.detail, layout.aspect, (placed,))
                whole = np.count_nonzero(np.asarray(scenes.render(alone, size)[1]))
                assert np.count_nonzero(plan == number) >= 0.95 * whole
    assert count > 5
    things = [thing for seed in range(30) for thing in scenes.sample(seed, pixels=200).things]
    assert all((thing.text is not None) == (thing.kind == "sign") for thing in things)


@pytest.mark.parametrize("background", scenes.BACKGROUNDS)
def test_grounds_can_be_told_apart_from_each_other(background):
    others = [name for name in scenes.BACKGROUNDS if name != background]
    tiny = {
        name: np.asarray(backgrounds.paint(name, (64, 48), scenes.Random(1)).resize((4, 4)), int)
        for name in scenes.BACKGROUNDS
    }
    assert min(np.abs(tiny[background] - tiny[name]).max() for name in others) > 12


def test_names_are_single_words():
    for word in (*scenes.KINDS, *scenes.COLORS):
        assert word.isalpha()
        assert word == word.lower()


def test_the_plural_of_a_kind_contains_it():
    from nbvlm.demo.world.vocabulary import PLURALS

    assert all(kind in PLURALS[kind] for kind in scenes.KINDS)


def test_the_longer_side_can_be_chosen():
    assert max(scenes.sample(5, pixels=500).size) == 500


def test_sizes_vary_from_160_to_2000():
    sizes = [max(scenes.sample(seed, clean=True).size) for seed in range(8)]
    assert min(sizes) >= 160
    assert max(sizes) <= 2000
    assert len(set(sizes)) > 5


def test_a_scene_is_the_same_at_another_size_and_without_spoiling():
    for seed in range(6):
        small, clean = scenes.sample(seed, pixels=240), scenes.sample(seed, pixels=480, clean=True)
        assert [(t.kind, t.color, t.text) for t in small.things] == [
            (t.kind, t.color, t.text) for t in clean.things
        ]
        for a, b in zip(small.things, clean.things, strict=True):
            assert np.abs(np.array(a.box) * 2 - np.array(b.box)).max() <= 6


def test_about_half_of_the_pictures_are_spoiled_and_mildly_so():
    whole = scenes.sample(3, pixels=256, clean=True).picture
    spoiled = [scenes.spoil(whole, scenes.Random(seed)) for seed in range(60)]
    away = [np.abs(np.asarray(p, int) - np.asarray(whole, int)).mean() for p in spoiled]
    assert 0.3 < np.mean([distance == 0 for distance in away]) < 0.7
    assert max(away) < 12
    assert {p.size for p in spoiled} == {whole.size}
    again = scenes.spoil(whole, scenes.Random(7))
    assert again.tobytes() == spoiled[7].tobytes()


def test_the_gallery_has_a_dozen_different_scenes_and_four_photographs_with_names_of_their_own():
    assert (len(SCENES), len(PHOTOS)) == (12, 4)
    assert (*SCENES, *PHOTOS) == GALLERY
    assert len({entry.name for entry in GALLERY}) == 16
    assert len({entry.picture().tobytes() for entry in GALLERY}) == 16


def test_a_gallery_picture_can_be_changed_without_changing_the_next():
    picture = GALLERY[0].picture()
    picture.paste((0, 0, 0), (0, 0, *picture.size))
    assert GALLERY[0].picture().tobytes() != picture.tobytes()


def test_samples_are_pictures():
    scene, photo = SCENES[0], PHOTOS[0]
    assert isinstance(scene, nbvlm.Picture)
    assert (scene.width, scene.height) == scene.picture().size
    assert scene.image().tobytes() == scene.scene().picture.tobytes()
    assert repr(nbvlm.Picture.load(scene)).startswith("Picture('pets.png', 800×533, image/png")
    assert repr(nbvlm.Picture.load(photo)).startswith("Picture('cat.jpg', 451×300, image/jpeg")
    assert nbvlm.Picture.load(photo).data == photo.data
    assert pickle.loads(pickle.dumps(GALLERY[3])) == GALLERY[3] != GALLERY[4]
    with pytest.raises(AttributeError, match="nonsense"):
        _ = scene.nonsense


def test_samples_can_be_asked_about():
    with nbvlm.Client("demo") as client:
        result = client.ask(GALLERY[0], GALLERY[0].prompt)
        assert result.picture == nbvlm.Picture.load(GALLERY[0])
        assert (type(result.picture), result.picture.name) == (nbvlm.Picture, "pets.png")
        assert nbvlm.Result.from_json(result.to_json(), picture=GALLERY[0]).picture == result.picture
        assert client.ask(client.assets.upload(GALLERY[0]), "caption en").picture.name == "pets.png"


HARD = (0.25, 0.5, 1.0)


@pytest.mark.parametrize("hard", HARD)
def test_hard_scenes_have_a_truth_as_others_do(hard):
    for seed in range(12):
        scene = scenes.sample(seed, pixels=240, hard=hard)
        assert 1 <= len(scene.things) <= 10
        assert np.sum([thing.mask for thing in scene.things], axis=0).max() <= 1
        for thing in scene.things:
            assert thing.kind in scenes.KINDS
            assert thing.color in scenes.COLORS
            assert thing.box == scenes.bounds(thing.mask)
        middles = [thing.box[0] + thing.box[2] for thing in scene.things]
        assert middles == sorted(middles)


def test_at_least_thirty_percent_of_each_thing_of_a_hard_scene_is_visible():
    for seed in range(25):
        layout = difficulty.harder(scenes.compose(scenes.Random(seed)), 1.0, seed)
        size = (240, round(240 / layout.aspect))
        plan = np.asarray(scenes.render(layout, size)[1])
        for number, placed in enumerate(layout.placed, 1):
            alone = scenes.Layout(layout.background, layout.detail, layout.aspect, (placed,))
            whole = np.count_nonzero(np.asarray(scenes.render(alone, size)[1]))
            assert np.count_nonzero(plan == number) >= 0.3 * whole


def test_harder_scenes_have_more_and_smaller_things_and_look_alikes():
    easy, hard = ([scenes.sample(seed, pixels=240, hard=hard) for seed in range(30)] for hard in (0, 1.0))
    assert sum(len(scene.things) for scene in hard) > 1.5 * sum(len(scene.things) for scene in easy)
    areas = [
        np.mean([thing.mask.mean() for scene in group for thing in scene.things]) for group in (easy, hard)
    ]
    assert areas[1] < 0.6 * areas[0]
    layouts = [difficulty.harder(scenes.compose(scenes.Random(seed)), 1.0, seed) for seed in range(10)]
    kinds = {placed.kind for layout in layouts for placed in layout.placed}
    assert kinds & set(lookalikes.LOOKALIKES)


def test_hard_shades_are_nearest_to_the_colour_that_they_are_named_after():
    for seed in range(40):
        for placed in difficulty.harder(scenes.compose(scenes.Random(seed)), 1.0, seed).placed:
            apart = {
                color: np.abs(np.subtract(placed.shade, other)).sum()
                for color, other in objects.COLORS.items()
            }
            assert apart[placed.color] <= 1.45 * min(apart.values())


def test_without_difficulty_a_scene_is_the_same_as_ever():
    assert scenes.sample(11, hard=0).picture.tobytes() == scenes.sample(11).picture.tobytes()
    same = [scenes.sample(11, pixels=200, hard=0.6).picture.tobytes() for _ in range(2)]
    assert same[0] == same[1]


@pytest.mark.parametrize("hard", [-0.1, 1.5, float("nan"), True, "hard"])
def test_difficulty_is_from_0_to_1(hard):
    with pytest.raises(ParameterError, match=r"hard must be a number from 0\.0 to 1\.0"):
        scenes.sample(1, hard=hard)


def test_the_embedded_model_fails_more_often_in_harder_scenes():
    def recall(hard):
        seen = [scenes.sample(seed, pixels=320, hard=hard) for seed in range(14)]
        figures = [value for scene in seen for name, value in boxes(asked(scene), scene) if "recall" in name]
        return np.mean(figures)

    def asked(scene):
        prompt = prompts.detect(*dict.fromkeys(thing.kind for thing in scene.things))
        return "".join(token.text for token in load().stream(scene.picture, prompt, temperature=1e-4))

    assert recall(0.0) > 0.9
    assert 0.3 < recall(1.0) < 0.75
