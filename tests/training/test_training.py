"""The embedded model's training, and its two forms held against each other, which needs PyTorch."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

from nbvlm.demo import scenes
from nbvlm.demo.model import model, weights
from nbvlm.demo.model.crops import Frame
from nbvlm.demo.model.prompt_reader import understand

pytestmark = pytest.mark.heavy
torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nbvlm[train]'")

PROMPTS = (
    "caption de",
    "detect car ; tree",
    "answer en how many things?",
    "caption <loc0100><loc0100><loc0500><loc0500>",
)


def numbers(pixels):
    return torch.tensor(pixels).float()[None] / 127.5 - 1


@pytest.mark.parametrize("seed", range(600_000_000, 600_000_004))
def test_the_numpy_model_equals_the_networks_on_the_shipped_weights(seed):
    from support import parity

    embedded = model.load()
    sight, speaker = parity.networks(*weights.load())
    frame = Frame.of(scenes.sample(seed).picture)
    box = embedded.see(frame.image).regions[0].box
    whole, crop, sign = frame.whole(), frame.around(box), frame.sign(box)
    with torch.no_grad():
        cells, _, scene = sight.eye(numbers(whole).permute(0, 3, 1, 2))
        found = embedded.vision.glance(numbers(whole).numpy())
        np.testing.assert_allclose(found[0], cells.numpy(), atol=1e-3)
        np.testing.assert_allclose(found[1], scene.numpy(), atol=1e-3)
        vision = embedded.vision
        for net, array, pixels in (
            (sight.look, vision.look, crop),
            (sight.trace, vision.trace, crop),
            (sight.reader, vision.read, sign),
        ):
            expected = net(numbers(pixels).permute(0, 3, 1, 2)).numpy()
            np.testing.assert_allclose(array(numbers(pixels).numpy()), expected, atol=1e-3)
        seen = embedded.see(scenes.sample(seed).picture)
        for prompt in PROMPTS:
            scores, aimed = speaker(parity.texts(seen, understand(prompt)))
            decoding = embedded.begin(seen, prompt)
            reachable = decoding.scores() > -1e8
            np.testing.assert_allclose(
                decoding.scores()[reachable], scores[0, -1].numpy()[reachable], atol=1e-3
            )
            np.testing.assert_allclose(
                decoding.pointing(), aimed[0, -1, : len(seen.regions) + 1].numpy(), atol=1e-3
            )


def test_a_minute_of_training_lowers_the_losses_and_its_weights_answer(tmp_path):
    from training.language import Sizes
    from training.pipeline import Plan, train

    torch.set_num_threads(1)
    plan = Plan(
        shapes=100,
        sight=50,
        speaker=50,
        sizes=Sizes(width=32, heads=2, layers=1),
        pictures=6,
        worlds=3,
    )
    train(plan, tmp_path, weights=tmp_path / "tiny.npz", codebook=tmp_path / "book.npz")
    for name, part in (("shapes", "mask"), ("speaker", "long")):
        with (tmp_path / f"{name}.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert rows
        assert np.isfinite(float(rows[-1][part]))
    tiny = model.Model(*weights.load(tmp_path / "tiny.npz"))
    tokens = list(tiny.stream(scenes.sample(1).picture, "caption en", max_tokens=20))
    assert tokens[-1].finish_reason in ("stop", "length")


def test_the_loss_falls_and_an_interrupted_course_ends_as_the_undisturbed_one(tmp_path):
    from training.language import Sizes, speaker_of
    from training.trainer import TrainingRun

    torch.set_num_threads(1)
    sizes = Sizes(width=32, heads=2, layers=1)
    whole = TrainingRun("speaker", tmp_path / "whole", 60, 4, report_every=10, save_every=20)
    parts = replace(whole, folder=tmp_path / "parts")
    expected = speaker_of(whole, sizes).state_dict()
    with (tmp_path / "whole" / "speaker.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["long"]) < 0.8 * float(rows[0]["long"])
    speaker_of(parts, sizes, stop_after=20)
    resumed = speaker_of(parts, sizes).state_dict()
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)
