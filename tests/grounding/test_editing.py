"""Boxes corrected by hand, and what becomes of their masks."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from nbvlm.grounding import Detection, Detections, parse, with_box, with_label

MASK = np.zeros((40, 60), dtype=bool)
MASK[10:20, 20:40] = True
CODES = "".join(f"<seg{number:03d}>" for number in range(16))


def cat() -> Detection:
    return Detection("cat", (20, 10, 40, 20), mask=MASK, raw=(1, 2, 3, 4))


def test_a_moved_box_takes_its_mask_along() -> None:
    moved = with_box(cat(), (25, 5, 45, 15))
    assert moved.box == (25, 5, 45, 15)
    assert moved.mask is not None
    assert np.array_equal(moved.mask, np.roll(MASK, (-5, 5), (0, 1)))
    assert (moved.label, moved.raw, moved.reading) == ("cat", None, None)


def test_a_mask_moved_over_the_edge_is_cut_there() -> None:
    moved = with_box(cat(), (50, 10, 70, 20))
    assert moved.mask is not None
    assert moved.mask.sum() == 10 * 10


def test_a_resized_box_keeps_the_pixels_of_its_mask_inside_at_their_place() -> None:
    smaller = with_box(cat(), (30, 10, 40, 15))
    assert smaller.mask is not None
    expected = np.zeros_like(MASK)
    expected[10:15, 30:40] = True
    assert np.array_equal(smaller.mask, expected)
    larger = with_box(cat(), (0, 0, 60, 40))
    assert np.array_equal(larger.mask, MASK)
    nothing = with_box(cat(), (0, 30, 5, 35))
    assert nothing.mask is not None
    assert not nothing.mask.any()


def test_codes_stay_with_a_box_that_keeps_its_size_only() -> None:
    found = parse(f"<loc0100><loc0200><loc0600><loc0700>{CODES} car", (60, 40))
    x0, y0, x1, y1 = found[0].box
    assert with_box(found[0], (x0 + 3, y0, x1 + 3, y1)).codes == found[0].codes
    resized = with_box(found[0], (x0, y0, x1 + 3, y1))
    assert (resized.codes, resized.mask) == (None, None)  # without a codebook the pixels are not known


def test_a_moved_point_stays_a_point() -> None:
    one = Detection("dot", (5, 5, 5, 5), point=(5, 5), size=(60, 40))
    assert with_box(one, (8, 9, 8, 9)).point == (8, 9)
    assert with_box(one, (8, 9, 12, 13)).point is None


def test_a_label_changes_alone() -> None:
    other = with_label(cat(), "dog")
    assert (other.label, other.box, other.raw) == ("dog", cat().box, (1, 2, 3, 4))
    assert np.array_equal(other.mask, MASK)
    with pytest.raises(ValueError, match="label"):
        with_label(cat(), 3)  # type: ignore[arg-type]


def test_corrected_detections_are_values_as_all_others() -> None:
    column = Detections.of([with_box(cat(), (25, 5, 45, 15))], (60, 40))
    assert pickle.loads(pickle.dumps(column)) == column
    with pytest.raises(ValueError, match="box"):
        with_box(cat(), (1, 2, float("nan"), 4))
