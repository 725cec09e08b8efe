"""What was seen in a picture: regions with what is believed of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["MOST_REGIONS", "Region", "Seen"]

MOST_REGIONS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A thing that was seen.

    Attributes
    ----------
    box
        (x0, y0, x1, y1) in shares of the picture's width and height.
    kinds, colors
        Probabilities in the order of `scenes.KINDS` and `scenes.COLORS`.
    sure
        Probability that there is a thing at all.
    text
        What a sign says; "" for all else.
    """

    box: tuple[float, float, float, float]
    kinds: NDArray[np.float32]
    colors: NDArray[np.float32]
    sure: float = 1.0
    text: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A picture as the speaker knows it.

    Attributes
    ----------
    regions
        From left to right, `MOST_REGIONS` at most.
    grounds
        Probabilities in the order of `scenes.GROUNDS`.
    aspect
        The picture's width divided by its height.
    familiar
        Probability that it is a picture-book scene.
    """

    regions: tuple[Region, ...]
    grounds: NDArray[np.float32]
    aspect: float
    familiar: float = 1.0
