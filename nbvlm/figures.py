"""Show pictures and plots in a notebook with words for people who do not see them.

A notebook shows a plot as an image without a text alternative. `described` gives it one:

>>> import PIL.Image
>>> described(PIL.Image.new("RGB", (40, 30), "teal"), "A teal rectangle.")
<Described 'A teal rectangle.'>
"""

from __future__ import annotations

import html
import io
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbvlm._text import visible
from nbvlm.images import Picture, encode_within
from nbvlm.result import EncodedPicture

if TYPE_CHECKING:
    from nbvlm.images import ImageSource

__all__ = ["Described", "Finding", "described", "finding"]

BUDGET = 200_000
"""Bytes of a shown picture at most."""

_DOTS, _CSS_DOTS = 144, 96
_SIDE, _CSS_SIDE = 896, 640


@dataclass(frozen=True, slots=True, repr=False)
class Described:
    """A picture to be shown, and its text alternative.

    Attributes
    ----------
    data
        The encoded picture.
    mime
        "image/png" or "image/jpeg".
    width, height
        CSS pixels that it is shown at.
    alt
        Its text alternative.
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
        picture = EncodedPicture(self.data, self.mime, self.width, self.height)
        data, metadata = picture.bundle(self.alt)
        return {"text/plain": visible(self.alt), "text/html": picture.html(self.alt), **data}, metadata

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
        The text alternative, in one or two sentences; the numbers themselves belong in a table beside it.

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
        raise ValueError("alt must describe the figure in words, got an empty text.")
    if hasattr(figure, "savefig"):
        return _plotted(figure, alt)
    image = Picture.load(figure).thumbnail(_SIDE)
    data, mime = encode_within(image, BUDGET)
    factor = min(1.0, _CSS_SIDE / max(image.size))
    return Described(data, mime, round(image.width * factor), round(image.height * factor), alt)


@dataclass(frozen=True, slots=True, repr=False)
class Finding:
    """A sentence about what a cell computed, and whether the computed numbers bear it out.

    Attributes
    ----------
    holds
        Whether the sentence is true of this run.
    sentence
        The sentence, with the numbers.
    """

    holds: bool
    sentence: str

    def __repr__(self) -> str:
        return f"{'✓ Seen' if self.holds else '✗ Not seen'} in this run: {visible(self.sentence)}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        del include, exclude
        return {"text/plain": repr(self), "text/html": f"<p><b>{html.escape(repr(self))}</b></p>"}


def finding(holds: bool, sentence: str) -> Finding:
    """Show a statement about a result, as the last line of a cell, and whether the result bears it out.

    Parameters
    ----------
    holds
        Whether the numbers show the effect, computed from them: ``warm > cold + 3``.
    sentence
        The effect in words, with the numbers.

    Examples
    --------
    >>> finding(7 > 1 + 3, "7 of 10 captions differ at temperature 1, and 1 at 0.01.")
    ✓ Seen in this run: 7 of 10 captions differ at temperature 1, and 1 at 0.01.
    """
    return Finding(bool(holds), sentence)


def _plotted(figure: Any, alt: str) -> Described:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS)
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close(figure)
    width, height = (round(inches * _CSS_DOTS) for inches in figure.get_size_inches())
    return Described(buffer.getvalue(), "image/png", width, height, alt)


def __dir__() -> list[str]:
    return sorted(__all__)
