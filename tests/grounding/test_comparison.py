"""Two answers side by side."""

from __future__ import annotations

import pickle
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbvlm import Detections
from nbvlm.grounding.checks import areas, overlaps
from nbvlm.grounding.comparison import compare

SIZE = (100, 100)


def of(*rows: tuple[str, tuple[float, float, float, float]]) -> Detections:
    return Detections([box for _, box in rows], [label for label, _ in rows], SIZE)


CAT, DOG = ("cat", (10, 10, 30, 30)), ("dog", (50, 50, 90, 90))


def test_the_four_things_that_can_become_of_a_thing() -> None:
    before = of(CAT, DOG, ("fish", (0, 0, 5, 5)))
    after = of(("dog", (60, 50, 100, 90)), ("bird", (0, 0, 5, 5)), CAT)
    outcome = compare(before, after)
    assert [(pair.label, pair.iou, pair.shift) for pair in outcome.kept] == [("cat", 1.0, (0.0, 0.0))]
    assert [(pair.label, pair.iou, pair.shift) for pair in outcome.moved] == [("dog", 0.6, (10.0, 0.0))]
    assert outcome.moved[0].before == before[1]
    assert outcome.moved[0].after == after[0]
    assert outcome.lost == before["fish"]
    assert outcome.new == after["bird"]
    assert not outcome.same
    assert repr(outcome) == "Comparison(1 kept, 1 moved, 1 lost, 1 new)"


def test_equal_answers_are_the_same() -> None:
    both = of(CAT, DOG, CAT)
    outcome = compare(both, both)
    assert outcome.same
    assert [pair.before for pair in outcome.kept] == list(both)
    assert pickle.loads(pickle.dumps(outcome)) == outcome


def test_another_label_is_another_thing() -> None:
    outcome = compare(of(CAT), of(("dog", CAT[1])))
    assert (len(outcome.lost), len(outcome.new), outcome.kept) == (1, 1, ())


def test_things_that_do_not_touch_are_lost_and_new() -> None:
    outcome = compare(of(CAT), of(("cat", (60, 60, 80, 80))))
    assert (len(outcome.lost), len(outcome.new), outcome.moved) == (1, 1, ())


def test_the_closest_go_together() -> None:
    near, far = ("cat", (11, 10, 31, 30)), ("cat", (16, 10, 36, 30))
    outcome = compare(of(CAT, ("cat", (15, 10, 35, 30))), of(far, near))
    assert [(pair.before.box[0], pair.after.box[0]) for pair in outcome.kept] == [(10, 11), (15, 16)]


def test_thresholds_move_the_lines() -> None:
    before, after = of(DOG), of(("dog", (60, 50, 100, 90)))
    assert len(compare(before, after, kept=0.6).kept) == 1
    assert len(compare(before, after, moved=0.61).lost) == 1
    for options in ({"kept": 0.05}, {"moved": 0}, {"kept": 1.1}):
        with pytest.raises(ValueError, match="moved"):
            compare(before, after, **options)


def test_results_are_compared_by_their_detections() -> None:
    outcome = compare(SimpleNamespace(detections=of(CAT)), of(CAT))
    assert outcome.same


def test_empty_answers_and_other_pictures() -> None:
    nothing = Detections.empty(SIZE)
    assert compare(nothing, nothing).same
    assert compare(of(CAT), nothing).lost == of(CAT)
    assert compare(nothing, of(CAT)).new == of(CAT)
    with pytest.raises(ValueError, match="one size, got 100×100 and 1×1"):
        compare(nothing, Detections.empty((1, 1)))


boxes = st.tuples(*[st.integers(0, 20)] * 4)
answers = st.lists(st.tuples(st.sampled_from("ab"), boxes), max_size=8).map(lambda rows: of(*rows))


@settings(deadline=None, derandomize=True)
@given(answers, answers)
def test_everything_is_somewhere_once(before: Detections, after: Detections) -> None:
    outcome = compare(before, after)
    pairs = outcome.kept + outcome.moved
    assert sorted(map(key, [pair.before for pair in pairs] + list(outcome.lost))) == sorted(map(key, before))
    assert sorted(map(key, [pair.after for pair in pairs] + list(outcome.new))) == sorted(map(key, after))
    assert all(pair.before.label == pair.after.label for pair in pairs)


def key(one: Any) -> Any:
    return one.label, one.box


def test_overlaps_are_shares_of_the_union() -> None:
    first = np.array([[0.0, 0, 10, 10], [0, 0, 0, 10], [10, 10, 0, 0]])
    second = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [2, 2, 4, 4], [20, 20, 30, 30]])
    assert overlaps(first, second) == pytest.approx(np.array([[1, 1 / 3, 0.04, 0], [0] * 4, [0] * 4]))
    assert overlaps(first, first[:0]).shape == (3, 0)
    assert areas(first).tolist() == [100, 0, 0]
