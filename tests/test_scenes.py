from __future__ import annotations

import numpy as np
import pytest
from PIL import ImageChops

from nbvlm.demo import grounds, scenes, things
from nbvlm.demo.gallery import GALLERY


def test_the_same_seed_draws_the_same_scene():
    first, second = scenes.sample(11), scenes.sample(11)
    assert ImageChops.difference(first.picture, second.picture).getbbox() is None
    assert [(t.kind, t.color, t.box) for t in first.things] == [
        (t.kind, t.color, t.box) for t in second.things
    ]


def test_other_seeds_draw_other_scenes():
    assert len({scenes.sample(seed).picture.tobytes() for seed in range(20)}) == 20


@pytest.mark.parametrize("seed", range(40))
def test_boxes_bound_masks_and_things_are_well_seen(seed):
    scene = scenes.sample(seed)
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
        assert thing.text is None


@pytest.mark.parametrize("seed", range(40))
def test_masks_do_not_share_pixels(seed):
    masks = [thing.mask for thing in scenes.sample(seed).things]
    assert np.sum(masks, axis=0).max() == 1


def test_at_least_thirty_percent_of_each_thing_is_visible():
    for seed in range(60):
        layout = scenes.compose(scenes.Random(seed))
        size = (400, round(400 / layout.aspect))
        _, plan = scenes.render(layout, size)
        for number, placed in enumerate(layout.placed, 1):
            alone = scenes.Layout(layout.ground, layout.detail, layout.aspect, (placed,))
            whole = np.count_nonzero(np.asarray(scenes.render(alone, size)[1]))
            assert np.count_nonzero(np.asarray(plan) == number) >= 0.3 * whole


def test_things_go_from_left_to_right():
    for seed in range(30):
        middles = [thing.box[0] + thing.box[2] for thing in scenes.sample(seed).things]
        assert middles == sorted(middles)


@pytest.mark.parametrize("kind", scenes.KINDS)
@pytest.mark.parametrize("color", scenes.COLORS)
def test_a_thing_shows_its_color(kind, color):
    placed = scenes.Placed(kind, color, things.COLORS[color], 0.5, 0.5, 0.5, False, 0.0)
    picture, plan = scenes.render(scenes.Layout("paper", 1, 1.0, (placed,)), (200, 200))
    painted = np.asarray(picture)[np.asarray(plan) == 1].astype(int)
    near = np.abs(painted - np.array(things.COLORS[color])).max(1) <= 2
    assert near.mean() > 0.1


@pytest.mark.parametrize("ground", scenes.GROUNDS)
def test_grounds_can_be_told_apart_from_each_other(ground):
    others = [name for name in scenes.GROUNDS if name != ground]
    tiny = {
        name: np.asarray(grounds.paint(name, (64, 48), scenes.Random(1)).resize((4, 4)), int)
        for name in scenes.GROUNDS
    }
    assert min(np.abs(tiny[ground] - tiny[name]).max() for name in others) > 12


def test_names_are_single_words_whose_plural_contains_the_singular():
    for word in (*scenes.KINDS, *scenes.COLORS):
        assert word.isalpha()
        assert word == word.lower()


def test_the_longer_side_can_be_chosen():
    assert max(scenes.sample(5, pixels=500).size) == 500


def test_the_gallery_has_a_dozen_different_scenes_with_names_of_their_own():
    assert len(GALLERY) == 12
    assert len({scene.name for scene in GALLERY}) == 12
    assert len({scene.picture().tobytes() for scene in GALLERY}) == 12


def test_a_gallery_picture_can_be_changed_without_changing_the_next():
    picture = GALLERY[0].picture()
    picture.paste((0, 0, 0), (0, 0, *picture.size))
    assert GALLERY[0].picture().tobytes() != picture.tobytes()
