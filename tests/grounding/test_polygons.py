"""Masks as SVG paths."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from nbvlm.grounding import MaskCrop, mask_svg_path


def drawn(path: str, size: tuple[int, int]) -> Any:
    """Fill a path by the even-odd rule."""
    inside = np.zeros(size[::-1], bool)
    for part in path.split("M")[1:]:
        head, steps = part.rstrip("z").split("l")
        numbers = [int(value) for value in steps.replace("-", " -").split()]
        points = np.cumsum([[int(value) for value in head.split()], *np.reshape(numbers, (-1, 2))], axis=0)
        image = Image.new("1", size)
        ImageDraw.Draw(image).polygon([tuple(point) for point in points.tolist()], fill=1)
        inside ^= np.asarray(image)
    return inside


def test_a_mask_becomes_a_short_path_with_its_holes() -> None:
    y, x = np.mgrid[:300, :400]
    away = np.hypot(x - 200, y - 150)
    ring = (away < 140) & (away > 60)
    path = mask_svg_path(MaskCrop(0, 0, ring))
    assert path.count("M") == path.count("z") == 2
    assert len(path) < 1500
    found = drawn(path, (400, 300))
    assert (found & ring).sum() / (found | ring).sum() > 0.97
