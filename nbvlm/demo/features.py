"""Numbers that the speaker is told of boxes: the same in training and when it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nbvlm.demo.layers import fourier
from nbvlm.demo.scenes import COLORS, KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbvlm.demo.layers import Array
    from nbvlm.demo.regions import Region

__all__ = ["BOX_FEATURES", "PLACES", "PROMPT_MOST", "box_features", "positions", "told"]

BOX_FEATURES = 7 * 41
PROMPT_MOST = 40
"""Places of the prompt's tokens; the answer's come after them."""
PLACES = 640
"""Places in all."""


def positions(width: int) -> Array:
    """What is added to the token at each place: sines and cosines (Vaswani et al. 2017), `PLACES` × width."""
    wave = (1 / 1000.0) ** (np.arange(width // 2) / (width // 2))
    angle = np.arange(PLACES)[:, None] * wave
    return (0.3 * np.concatenate([np.sin(angle), np.cos(angle)], 1)).astype(np.float32)


def box_features(boxes: Sequence[Sequence[float]], aspect: float) -> Array:
    """Fourier features of boxes: their four edges, their middles, and the side of a square of the same area.

    Parameters
    ----------
    boxes
        n × (x0, y0, x1, y1) in shares of the sides.
    aspect
        Width of the picture divided by its height.

    Returns
    -------
    numpy.ndarray
        n × 287 float32.
    """
    edges = np.asarray(boxes, np.float32).reshape(-1, 4)
    middles = (edges[:, :2] + edges[:, 2:]) / 2
    area = np.maximum((edges[:, 2:] - edges[:, :2]).prod(1), 0) * max(aspect, 1 / aspect)
    values = np.concatenate([edges, middles, np.sqrt(area)[:, None]], 1)
    return fourier(values).reshape(len(edges), BOX_FEATURES)


def told(regions: Sequence[Region]) -> Array:
    """N × (kinds, colours, sure, whether there is text) float32."""
    rows = [[*region.kinds, *region.colors, region.sure, float(bool(region.text))] for region in regions]
    return np.array(rows, np.float32).reshape(len(rows), len(KINDS) + len(COLORS) + 2)
