from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import distractors

import nbvlm
from nbvlm.demo import evaluate, ground_truth, scenes
from nbvlm.demo.gallery import GALLERY, SCENES
from nbvlm.demo.model import model, prompt_reader
from nbvlm.demo.model import tokenizer as w

UNSEEN = 700_000_000
REFERENCE = Path(__file__).parents[1] / "data" / "demo_reference.npz"


@pytest.fixture(scope="module")
def embedded():
    return model.load()


def say(embedded, image, prompt, **options):
    return "".join(token.text for token in embedded.stream(image, prompt, **options))


def test_the_model_is_right_nearly_always_on_scenes_it_never_saw(embedded):
    scores = evaluate.evaluate(embedded, 40, first=UNSEEN)
    assert [score.name for score in scores] == list(evaluate.FIGURES)
    missed = [score for score in scores if score.value < evaluate.FIGURES[score.name].floor - 0.08]
    assert not missed


@pytest.mark.parametrize("seed", [700_000_100, 700_000_299, 700_000_419, 700_000_597])
def test_things_that_hide_each_other_are_told_apart(embedded, seed):
    scene = scenes.sample(seed)
    found = embedded.see(scene.picture).regions
    for fact in evaluate.facts_of(scene):
        assert max(ground_truth.overlap(fact.box, region.box) for region in found) > 0.5


@pytest.mark.parametrize(
    ("seed", "kind", "colors"),
    [
        (500_000_038, "apple", "yellow, purple and pink"),
        (500_000_190, "umbrella", "pink, orange and red"),
        (500_000_279, "flower", "purple, pink, green and white"),
    ],
)
def test_no_color_of_several_things_of_a_kind_is_left_out(embedded, seed, kind, colors):
    picture = scenes.sample(seed).picture
    prompt = nbvlm.prompts.answer(f"What color is the {kind}?")
    assert say(embedded, picture, prompt, temperature=1e-4) == colors


def test_load_returns_one_shared_model(embedded):
    assert model.load() is embedded


@pytest.mark.parametrize("seed", range(UNSEEN, UNSEEN + 5))
def test_another_size_of_the_same_picture_gives_the_same_caption(embedded, seed):
    small, large = (scenes.sample(seed, pixels=pixels).picture for pixels in (256, 1600))
    assert say(embedded, small, "caption en", temperature=1e-4) == say(
        embedded, large, "caption en", temperature=1e-4
    )


def test_the_last_token_and_no_other_carries_the_finish_reason(embedded):
    tokens = list(embedded.stream(GALLERY[0].picture(), "caption en", temperature=1e-4))
    assert [token.finish_reason for token in tokens[:-1]] == [None] * (len(tokens) - 1)
    assert tokens[-1] == model.Token("", "stop")


@pytest.mark.parametrize("most", [1, 2, 5])
def test_max_tokens_cuts_the_answer_and_says_so(embedded, most):
    whole = list(embedded.stream(GALLERY[0].picture(), "caption en", temperature=1e-4))
    cut = list(embedded.stream(GALLERY[0].picture(), "caption en", temperature=1e-4, max_tokens=most))
    assert [token.text for token in cut] == [token.text for token in whole[:most]]
    assert cut[-1].finish_reason == "length"


def test_the_same_seed_gives_the_same_answer_and_other_seeds_another(embedded):
    picture, options = GALLERY[0].picture(), {"temperature": 1.0, "top_p": 1.0}
    answers = [say(embedded, picture, "describe en", seed=n // 2, **options) for n in range(20)]
    assert answers[::2] == answers[1::2]
    assert len(set(answers)) > 5


def test_what_is_no_task_is_answered_with_what_the_model_can_do(embedded):
    tokens = list(embedded.stream(GALLERY[0].picture(), "write a poem"))
    assert "".join(token.text for token in tokens) == prompt_reader.HELP
    assert tokens[-1].finish_reason == "stop"


def test_help_too_is_cut_at_max_tokens(embedded):
    tokens = list(embedded.stream(GALLERY[0].picture(), "write a poem", max_tokens=3))
    assert len(tokens) == 3
    assert tokens[-1].finish_reason == "length"


def test_an_answer_always_ends_also_where_chance_makes_nonsense(embedded):
    noise = Image.effect_noise((200, 200), 120).convert("RGB")
    for seed in range(10):
        prompt = "detect " + " ; ".join(scenes.KINDS)
        tokens = list(embedded.stream(noise, prompt, temperature=1.0, top_p=1.0, seed=seed))
        assert tokens[-1].finish_reason in ("stop", "length")


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "CMYK", "I;16"])
def test_pictures_of_any_mode_are_seen(embedded, mode):
    picture = Image.new("L", (40, 30), 200).convert(mode) if mode != "I;16" else Image.new(mode, (40, 30))
    assert say(embedded, picture, "caption en", temperature=1e-4)


def test_count_tells_the_pictures_tokens_and_the_prompts(embedded):
    assert embedded.count("caption en") == 11 + 4
    assert embedded.count("detect car ; tree") == 11 + 6


def test_several_threads_share_the_model(embedded):
    pictures = [scene.picture() for scene in GALLERY[:6]]
    alone = [say(embedded, picture, "caption en", temperature=1e-4) for picture in pictures]
    together: dict[int, str] = {}

    def ask(n: int) -> None:
        together[n] = say(embedded, pictures[n], "caption en", temperature=1e-4)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[n] for n in range(6)] == alone


def test_the_forward_pass_equals_the_stored_reference(embedded):
    with np.load(REFERENCE) as reference:
        image = Image.fromarray(reference["pixels"])
        cells, whole = embedded.vision.glance(reference["pixels"][None].astype(np.float32) / 127.5 - 1)
        np.testing.assert_allclose(cells[0], reference["cells"], atol=1e-3)
        np.testing.assert_allclose(whole[0], reference["whole"], atol=1e-3)
        crop = reference["crop"][None].astype(np.float32) / 127.5 - 1
        np.testing.assert_allclose(embedded.vision.look(crop)[0], reference["facts"], atol=1e-3)
        np.testing.assert_allclose(embedded.vision.trace(crop)[0], reference["codes"], atol=1e-3)
        sign = reference["sign"][None].astype(np.float32) / 127.5 - 1
        np.testing.assert_allclose(embedded.vision.read(sign)[0], reference["letters"], atol=1e-3)
    assert embedded.see(image).regions


def test_token_texts_join_to_the_grammar_of_answers():
    boxes = [w.Piece(w.LOC, 0, w.bin_of(x)) for x in (0, 0.5, 1, 1)]
    pieces = [*boxes, *map(w.Piece, w.encode(["red", "car", ";"])), *[w.Piece(w.LOC, 0, 256)] * 4]
    pieces += [w.Piece(w.SEG, 0, 7)] * 2 + [*map(w.Piece, w.encode(["tree"]))]
    text = "<loc0000><loc0512><loc1023><loc1023> red car ; " + 4 * "<loc0256>" + "<seg007><seg007> tree"
    assert ground_truth.text(pieces) == text


def test_a_scene_is_familiar_and_noise_is_not(embedded):
    assert embedded.see(GALLERY[0].picture()).familiar > model.FAMILIAR
    noise = Image.effect_noise((300, 200), 90).convert("RGB")
    assert embedded.see(noise).familiar < model.FAMILIAR
    first, *rest = embedded.stream(noise, "caption en")
    assert first.notice == model.UNFAMILIAR
    assert not any(token.notice for token in rest)


def test_each_word_points_at_the_thing_that_it_is_about(embedded):
    scene = GALLERY[0].scene()
    seen = embedded.see(scene.picture)
    decoding = embedded.begin(seen, "caption en")
    assert decoding.scores().shape == (w.SIZE,)
    assert decoding.pointing().shape == (1 + len(seen.regions),)
    assert decoding.pointing().argmax() == 1
    with pytest.raises(ValueError, match="picture-book"):
        embedded.begin(seen, "write a poem")


def test_a_long_list_is_outlined_to_its_end(embedded):
    scenes_asked = [gallery.scene() for gallery in SCENES]
    for scene in scenes_asked:
        seen = embedded.see(scene.picture)
        kinds = " ; ".join(dict.fromkeys(thing.kind for thing in scene.things))
        boxes, outlines = (
            say(embedded, scene.picture, f"{verb} {kinds}", temperature=1e-4, seen=seen)
            for verb in ("detect", "segment")
        )
        assert outlines.count("<seg") == 16 * boxes.count("<loc") / 4
    assert max(len(scene.things) for scene in scenes_asked) >= 5


def test_masks_of_a_segmentation_lie_on_their_thing(embedded):
    from nbvlm.grounding.masks.codebooks import codebook
    from nbvlm.grounding.parser import parse

    overlaps = []
    for seed in range(UNSEEN, UNSEEN + 10):
        scene = scenes.sample(seed)
        thing = max(scene.things, key=lambda one: one.mask.sum())
        text = say(embedded, scene.picture, f"segment {thing.color} {thing.kind}", temperature=1e-4)
        masks = parse(text, scene.size, codebook=codebook("demo")).masks
        overlaps += [
            (mask & thing.mask).sum() / (mask | thing.mask).sum() for mask in masks if mask is not None
        ]
    assert len(overlaps) >= 7
    assert np.median(overlaps) > 0.75


def test_results_about_pictures_of_another_world_carry_a_notice():
    noise = Image.effect_noise((300, 200), 90).convert("RGB")
    with nbvlm.Client("demo", model="scenes") as client:
        assert model.UNFAMILIAR in client.ask(noise, "caption en").notices
        with client.stream(noise, "caption en") as stream:
            list(stream)
        assert model.UNFAMILIAR in stream.result.notices
        assert client.ask(GALLERY[0].picture(), "caption en").notices == ()


def test_a_low_temperature_is_stable_and_a_high_one_is_not(embedded):
    picture, seen = GALLERY[0].picture(), embedded.see(GALLERY[0].picture())

    def answers(temperature):
        options = {"temperature": temperature, "top_p": 1.0, "seen": seen}
        return {say(embedded, picture, "describe en", seed=seed, **options) for seed in range(12)}

    assert len(answers(0.1)) == 1
    assert len(answers(1.0)) > 3


def test_most_pictures_of_another_world_are_told_from_scenes(embedded):
    strange = [embedded.see(picture).familiar < model.FAMILIAR for picture in distractors.pictures(64)]
    known = [embedded.see(scenes.sample(seed).picture).familiar for seed in range(UNSEEN + 100, UNSEEN + 130)]
    assert np.mean(strange) >= 0.9
    assert np.mean(np.array(known) >= model.FAMILIAR) >= 0.95


@pytest.mark.parametrize("temperature", [0.01, 1.0])
def test_a_picture_without_things_is_described_as_such(temperature):

    with nbvlm.Client("demo", model="scenes") as client:
        result = client.ask(Image.new("RGB", (400, 300), "white"), "describe en", temperature=temperature)
    assert result.text.endswith("nothing that this model knows.")
    assert result.finish_reason == "stop"


@pytest.mark.parametrize(
    ("prompt", "word"),
    [
        ("detect giraffe ; cat", "giraffe"),
        ("segment zebra", "zebra"),
        ("how many giraffes are there?", "giraffes"),
        ("what color is the submarine?", "submarine"),
    ],
)
def test_a_word_that_the_model_does_not_know_is_named(prompt, word):
    with nbvlm.Client("demo") as client:
        notices = client.ask(GALLERY[0], prompt).notices
        assert [notice for notice in notices if f"does not know “{word}”: it knows cat, dog" in notice]
        assert client.ask(GALLERY[0], "detect fish ; pink boat").notices == ()
