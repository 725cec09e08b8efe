"""A comparison of answers that stands alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import traitlets
from PIL import Image

import nbvlm
from nbvlm.widgets import Comparison


def answer(*boxes: tuple[float, ...]) -> nbvlm.Result:
    result = nbvlm.Client("demo").ask(Image.new("RGB", (60, 40), "teal"), "detect cat")
    found = nbvlm.Detections(list(boxes), ["cat"] * len(boxes), (60, 40))
    return replace(result, detections=found)


def test_answers_are_compared_with_the_first() -> None:
    first = answer((0, 0, 20, 20))
    second = answer((0, 0, 20, 20), (30, 10, 50, 30))
    comparison = Comparison(first, second)
    assert comparison.results == (first, second)
    assert comparison.counts[0] is None
    assert comparison.counts[1] == {"kept": 1, "moved": 0, "lost": 0, "new": 1}
    assert Comparison([first, second]).counts == comparison.counts
    heard: list[object] = []
    comparison.observe(lambda change: heard.append(change.new), "counts")
    comparison.results = [first]
    assert heard == [()]
    with pytest.raises(traitlets.TraitError, match="results of a model"):
        comparison.results = ["cat.jpg"]
