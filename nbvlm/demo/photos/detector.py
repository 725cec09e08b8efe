"""From the network's numbers to boxes: candidates above the floor, overlaps removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nbvlm.demo.photos import network
from nbvlm.demo.photos.kinds import KINDS
from nbvlm.grounding import overlaps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

    from nbvlm.demo.photos.network import Network

__all__ = ["FLOOR", "Found", "detect"]

FLOOR = 0.40
"""Least probability of a box."""
_OVERLAP = 0.5
"""Intersection over union from which two boxes are about the same thing."""
_MOST = 300
"""Candidates of the highest probability that are compared with each other."""


class Found(NamedTuple):
    """One thing in a picture.

    Attributes
    ----------
    kind
        Index into `nbvlm.demo.photos.kinds.KINDS`.
    score
        Probability, from `FLOOR` to 1.
    box
        Left, upper, right and lower edge, in shares of the picture's sides.
    """

    kind: int
    score: float
    box: tuple[float, float, float, float]

    @property
    def name(self) -> str:
        """The English word for its kind."""
        return KINDS[self.kind].name

    @property
    def area(self) -> float:
        """Share of the picture that the box covers."""
        x0, y0, x1, y1 = self.box
        return (x1 - x0) * (y1 - y0)


def detect(image: Image.Image, net: Network | None = None) -> list[Found]:
    """Find the things of a photograph.

    Parameters
    ----------
    image
        A picture of any size; its longer side becomes 512 pixels.
    net
        By default the one of the package.

    Returns
    -------
    list of Found
        The most probable first. Of two boxes that overlap by half (intersection over union 0.5), whatever
        their kinds, only the more probable one is in it.
    """
    image = image.convert("RGB")
    pixels, scale = network.prepared(image)
    levels = (net or network.load())(pixels)
    kinds, scores, boxes = _candidates(levels, pixels.shape[1])
    boxes /= np.float32(scale) * np.array([*image.size, *image.size], np.float32)
    boxes = boxes.clip(0, 1)
    kept = [n for n in np.argsort(-scores, kind="stable")[:_MOST] if (boxes[n, 2:] > boxes[n, :2]).all()]
    same = overlaps(boxes[kept], boxes[kept]) > _OVERLAP
    alike = kinds[kept][:, None] == kinds[kept]
    alone = _best(same & alike)  # first within each kind, then across the kinds
    last = [alone[n] for n in _best(same[np.ix_(alone, alone)])]
    return [Found(int(kinds[kept[n]]), float(scores[kept[n]]), tuple(boxes[kept[n]].tolist())) for n in last]


def _candidates(levels: Sequence[tuple[Any, Any]], width: int) -> tuple[Any, Any, Any]:
    """Kinds, scores and boxes (pixels of the input) of all cells and kinds above the floor."""
    kinds, scores, boxes = [], [], []
    for (likely, distances), stride in zip(levels, network.STRIDES, strict=True):
        cell, kind = np.nonzero(likely >= FLOOR)
        row, column = np.divmod(cell, width // stride)
        centre = (np.stack([column, row], 1) + 0.5) * stride
        away = distances[cell]
        kinds.append(kind)
        scores.append(likely[cell, kind])
        boxes.append(np.concatenate([centre - away[:, :2], centre + away[:, 2:]], 1))
    return np.concatenate(kinds), np.concatenate(scores), np.concatenate(boxes).astype(np.float32)


def _best(same: Any) -> list[int]:
    """Indices, in order, of those that no kept one before them is the same as."""
    kept: list[int] = []
    for n in range(len(same)):
        if not same[n, kept].any():
            kept.append(n)
    return kept
