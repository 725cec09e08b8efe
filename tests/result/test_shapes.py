"""Run lengths and outlines of masks, held against pycocotools."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco

from nbvlm.grounding.masks import polygons, rle
from nbvlm.grounding.masks.types import MaskCrop

# pycocotools is older than numpy's new rule about copies.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24))


@settings(max_examples=200, deadline=None)
@given(MASKS)
def test_run_lengths_are_those_of_pycocotools(mask) -> None:
    theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    ours = rle.encode_mask(mask)
    assert ours == {"size": theirs["size"], "counts": theirs["counts"].decode()}
    assert np.array_equal(rle.decode(ours), mask)


@settings(max_examples=100, deadline=None)
@given(MASKS, st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
def test_a_part_is_encoded_as_the_whole(mask, left: int, top: int, right: int, bottom: int) -> None:
    whole = np.pad(mask, ((top, bottom), (left, right)))
    assert rle.encode(MaskCrop(left, top, mask), whole.shape[::-1]) == rle.encode_mask(whole)


@pytest.mark.parametrize("counts", ["", "0", [3, 2], [-1, 7]])
def test_counts_that_do_not_fill_the_picture_are_refused(counts) -> None:
    with pytest.raises(ValueError, match="fill"):
        rle.decode({"size": [2, 3], "counts": counts})


@pytest.mark.parametrize("counts", ["2\x01", "ø", "o"])
def test_counts_that_are_none_are_refused(counts: str) -> None:
    with pytest.raises(ValueError, match="run lengths"):
        rle.decode({"size": [2, 3], "counts": counts})


def test_counts_in_numbers_are_read() -> None:
    assert rle.decode({"size": [2, 2], "counts": [2, 2]}).tolist() == [[False, True], [False, True]]


def closed(mask):
    """The mask with its holes filled: what is reached from outside over sides and corners stays empty."""
    outside = np.pad(~mask, 1, constant_values=True)
    reached = np.zeros_like(outside)
    reached[0] = True
    while True:
        grown = np.pad(reached, 1)
        near = np.any(
            [
                grown[1 + y : grown.shape[0] - 1 + y, 1 + x : grown.shape[1] - 1 + x]
                for y in (-1, 0, 1)
                for x in (-1, 0, 1)
            ],
            axis=0,
        )
        if np.array_equal(near & outside, reached):
            return ~reached[1:-1, 1:-1]
        reached = near & outside


@settings(max_examples=150, deadline=None)
@given(MASKS)
def test_outlines_enclose_the_mask_exactly(mask) -> None:
    loops = polygons.outlines(MaskCrop(0, 0, mask))
    assert bool(loops) == mask.any()
    if loops:
        flat = [[float(value) for point in loop for value in point] for loop in loops]
        drawn = coco.decode(coco.merge(coco.frPyObjects(flat, *mask.shape))).astype(bool)
        assert np.array_equal(drawn, closed(mask))


def test_outlines_are_clockwise_and_have_corners_only() -> None:
    loops = polygons.outlines(MaskCrop(10, 20, np.array([[True, True], [True, False]])))
    assert loops == [[(10, 20), (12, 20), (12, 21), (11, 21), (11, 22), (10, 22)]]
    assert polygons.area(loops[0]) == 3
