"""The embedded model's training, and its two forms held against each other, which needs PyTorch."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from nbvlm.demo import model, scenes, weights
from nbvlm.demo import vocabulary as v

pytestmark = pytest.mark.heavy
torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nbvlm[train]'")

PROMPTS = (("caption", "en"), ("detect", "car", ";", "tree"), ("answer", "en", "how", "many", "thing"))


@pytest.mark.parametrize("seed", range(600_000_000, 600_000_004))
def test_the_numpy_model_equals_the_network_on_the_shipped_weights(seed):
    from nbvlm.demo.network import Network

    embedded, network = model.load(), Network.of(*weights.load())
    picture = scenes.sample(seed).picture
    seen = embedded.see(picture)
    pixels = torch.tensor(embedded.pixels_of(picture)).permute(2, 0, 1)[None]
    with torch.no_grad():
        expected, _ = network.see(pixels)
        np.testing.assert_allclose(seen, expected[0].numpy(), atol=1e-3)
        for words in PROMPTS:
            tokens = [v.BOS, *v.encode(words), v.NEWLINE]
            text = torch.tensor([tokens])
            whole = torch.ones(1, len(tokens), len(tokens), dtype=torch.bool)
            scores = network.logits(network.read(expected, text, whole))[0, -1].numpy()
            told = embedded.scores(seen, tokens)
            reachable = told > -1e8
            np.testing.assert_allclose(told[reachable], scores[reachable], atol=1e-3)


def test_a_minute_of_training_lowers_the_loss_and_its_weights_answer(tmp_path):
    from nbvlm.demo.network import Sizes
    from nbvlm.demo.train import Run, train

    torch.set_num_threads(1)
    sizes = Sizes(width=32, heads=2, encoder=1, decoder=1, stem=(12, 24))
    run = Run(steps=120, batch=8, folder=tmp_path, sizes=sizes, report_every=20, save_every=60)
    weights.save(train(run), tmp_path / "tiny.npz")
    with (tmp_path / "curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["words"]) < 0.7 * float(rows[0]["words"])
    assert float(rows[-1]["dense"]) < float(rows[0]["dense"])
    tiny = model.Model(*weights.load(tmp_path / "tiny.npz"))
    tokens = list(tiny.stream(scenes.sample(1).picture, "caption en", max_tokens=20))
    assert tokens[-1].finish_reason in ("stop", "length")


def test_an_interrupted_run_goes_on_and_ends_as_the_undisturbed_one(tmp_path):
    from nbvlm.demo.network import Sizes
    from nbvlm.demo.train import Run, train

    torch.set_num_threads(1)
    sizes = Sizes(width=16, heads=2, encoder=1, decoder=1, stem=(8, 8))
    whole = Run(steps=12, batch=4, folder=tmp_path / "whole", sizes=sizes, report_every=4, save_every=6)
    parts = Run(steps=12, batch=4, folder=tmp_path / "parts", sizes=sizes, report_every=4, save_every=6)
    expected = train(whole).state_dict()
    train(parts, stop_after=6)
    resumed = train(parts).state_dict()
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)
