"""Pictures and plots in a notebook with words for those who do not see them.

A notebook shows a plot as an image without a text alternative. `described` gives it one:

>>> import PIL.Image
>>> described(PIL.Image.new("RGB", (40, 30), "teal"), "A teal rectangle.")
<Described 'A teal rectangle.'>
"""

from __future__ import annotations

import base64
import io
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbvlm._text import visible
from nbvlm.images import Picture
from nbvlm.result import encode_preview, html_attribute

if TYPE_CHECKING:
    from nbvlm.images import ImageSource

__all__ = ["Described", "described"]

BUDGET = 200_000
"""Bytes of a shown picture at most."""

_DOTS, _CSS_DOTS = 144, 96
_SIDE, _CSS_SIDE = 896, 640


@dataclass(frozen=True, slots=True, repr=False)
class Described:
    """A picture to be shown, and what stands for it where it cannot be seen.

    Attributes
    ----------
    data
        The encoded picture.
    mime
        "image/png" or "image/jpeg".
    width, height
        CSS pixels that it is shown at.
    alt
        What it shows, in words.
    """

    data: bytes
    mime: str
    width: int
    height: int
    alt: str

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        del include, exclude  # IPython picks from the bundle itself
        packed = base64.b64encode(self.data).decode("ascii")
        image = (
            f'<img src="data:{self.mime};base64,{packed}" alt="{html_attribute(self.alt)}" '
            f'width="{self.width}" height="{self.height}" style="max-width:100%;height:auto">'
        )
        shape = {"width": self.width, "height": self.height, "alt": self.alt}
        data = {"text/plain": visible(self.alt), "text/html": image, self.mime: packed}
        return data, {self.mime: shape}

    def __repr__(self) -> str:
        return f"<Described {visible(self.alt)!r}>"


def described(figure: Any | ImageSource, alt: str) -> Described:
    """Give a plot or a picture its text alternative, as the last line of a cell.

    Parameters
    ----------
    figure
        A matplotlib figure, which is closed so that it is not shown a second time, or anything that
        `Picture.load` takes.
    alt
        What there is to see, in one or two sentences; the numbers themselves belong in a table beside it.

    Raises
    ------
    ValueError
        If `alt` is empty.
    ImageError
        If the picture cannot be read.

    Examples
    --------
    >>> described(figure, "Recall falls from 0.9 to 0.4 as the pictures shrink.")  # doctest: +SKIP
    """
    if not alt.strip():
        raise ValueError("Say in words what the figure shows.")
    if hasattr(figure, "savefig"):
        return _plotted(figure, alt)
    image = Picture.load(figure).thumbnail(_SIDE)
    data, mime = encode_preview(image, BUDGET)
    factor = min(1.0, _CSS_SIDE / max(image.size))
    return Described(data, mime, round(image.width * factor), round(image.height * factor), alt)


def _plotted(figure: Any, alt: str) -> Described:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS)
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close(figure)
    width, height = (round(inches * _CSS_DOTS) for inches in figure.get_size_inches())
    return Described(buffer.getvalue(), "image/png", width, height, alt)
