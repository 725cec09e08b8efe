from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nbvlm.demo import evaluate, language, model, scenes, vocabulary
from nbvlm.demo.gallery import GALLERY

UNSEEN = 700_000_000
REFERENCE = Path(__file__).parent / "data" / "demo_reference.npz"


@pytest.fixture(scope="module")
def embedded():
    return model.load()


def say(embedded, image, prompt, **options):
    return "".join(token.text for token in embedded.stream(image, prompt, **options))


def test_the_model_is_right_nearly_always_on_scenes_it_never_saw(embedded):
    scores = evaluate.evaluate(embedded, 60, first=UNSEEN)
    assert [score.name for score in scores] == list(evaluate.FLOORS)
    missed = [score for score in scores if score.value < evaluate.FLOORS[score.name] - 0.05]
    assert not missed


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
    answers = [say(embedded, picture, "detect car", seed=n // 2, **options) for n in range(20)]
    assert answers[::2] == answers[1::2]
    assert len(set(answers)) > 5


def test_what_is_no_task_is_answered_with_what_the_model_can_do(embedded):
    tokens = list(embedded.stream(GALLERY[0].picture(), "write a poem"))
    assert "".join(token.text for token in tokens) == language.HELP
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
    assert embedded.count("caption en") == 64 + 4
    assert embedded.count("detect car ; tree") == 64 + 6


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
        seen = embedded.see(Image.fromarray(reference["pixels"]))
        np.testing.assert_allclose(seen, reference["seen"], atol=1e-3)
        scores = embedded.scores(seen, list(reference["tokens"]))
        np.testing.assert_allclose(scores, reference["scores"], atol=1e-3)


def test_token_texts_join_to_the_grammar_of_answers():
    tokens = [vocabulary.loc(x) for x in (0, 0.5, 1, 1)] + vocabulary.encode(["red", "car", ";"])
    tokens += [vocabulary.loc(0.25)] * 4 + vocabulary.encode(["tree"])
    text = "<loc0000><loc0512><loc1023><loc1023> red car ; <loc0256><loc0256><loc0256><loc0256> tree"
    assert language.text(tokens) == text
