"""Show a result in a notebook: picture, table and text in one small bundle.

The shown picture is a scaled copy. It travels twice, inside the HTML (with its alt text) and as an image of
its own, because front ends differ in which of the two they show and keep.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from nbvlm import prompts
from nbvlm.draw import annotate
from nbvlm.errors import ImageError
from nbvlm.images import encode_within
from nbvlm.result import description, markup

if TYPE_CHECKING:
    from nbvlm.images import Picture
    from nbvlm.result.values import ResultData

__all__ = ["EncodedPicture", "bundle", "preview"]

SIDE = 896  # pixels of the longer side of a shown picture
BUDGET = 100_000  # bytes of a shown picture at most; it travels as base64, and twice
NOTEBOOK = 295_000  # bytes that a result adds to a notebook file at most, everything together
_CSS_SIDE = 640
_SMALL = 448
_WORDS = 32_000


class EncodedPicture(NamedTuple):
    """An encoded picture, and the size it is shown at in CSS pixels."""

    data: bytes
    mime: str
    width: int
    height: int

    @property
    def base64(self) -> str:
        """The bytes as base64."""
        return base64.b64encode(self.data).decode("ascii")

    @property
    def uri(self) -> str:
        """The picture as a `data:` URI."""
        return f"data:{self.mime};base64,{self.base64}"

    def html(self, alt: str) -> str:
        """Write the picture as an HTML element with a text alternative."""
        return (
            f'<img src="{self.uri}" alt="{markup.attribute(alt)}" width="{self.width}" '
            f'height="{self.height}" style="max-width:100%;height:auto">'
        )

    def bundle(self, alt: str) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
        """Build the part of a MIME bundle that is the picture: data and metadata."""
        shape = {"width": self.width, "height": self.height, "alt": alt}
        return {self.mime: self.base64}, {self.mime: shape}


class Limits(NamedTuple):
    """Limits of the text beside a picture: rows, characters of a label and of the text, remarks."""

    rows: int
    label: int
    text: int
    remarks: int


_LIMITS = (Limits(50, 200, 8_000, 20), Limits(25, 80, 2_000, 8), Limits(10, 40, 400, 2))


def bundle(result: ResultData) -> tuple[dict[str, Any], dict[str, Any]]:
    """Build the MIME bundle of a result, data and metadata; table and text alone without the picture."""
    data: dict[str, Any] = {"text/plain": description.plain(result)}
    alt, details = description.alt_text(result), _details(result)
    taken = _stored(data["text/plain"]) + _stored(details) + 2 * _stored(markup.attribute(alt))
    try:
        picture = preview(result, budget=min(BUDGET, (NOTEBOOK - taken) * 3 // 8))
    except ImageError as error:
        return data | {"text/html": _html(f"<p><em>{markup.text(error)}</em></p>", details)}, {}
    shown, metadata = picture.bundle(alt)
    return data | {"text/html": _html(picture.html(alt), details)} | shown, metadata


def preview(result: ResultData, side: int = SIDE, budget: int = BUDGET) -> EncodedPicture:
    """Draw and encode a copy of the picture, at most `side` pixels and `budget` bytes, or raise `ImageError`.

    Small pictures are enlarged, so that labels can be read.
    """
    small = result.picture.thumbnail(_handy(result.picture, side))
    scale = float(-(-_SMALL // max(small.size))) if max(small.size) < _SMALL else 1.0
    things = prompts.things(result.prompt)
    drawn = annotate(small, result.detections, things=things, keep=False, scale=scale)
    data, mime = encode_within(drawn, budget)
    factor = min(1.0, _CSS_SIDE / max(drawn.size))
    return EncodedPicture(data, mime, round(drawn.width * factor), round(drawn.height * factor))


def _handy(picture: Picture, side: int) -> int:
    """Choose a side near `side`, if possible one that a JPEG decoder reaches by halving alone."""
    longest = max(picture.width, picture.height)
    halves = (longest // factor for factor in (1, 2, 4, 8) if longest % factor == 0)
    return next((half for half in halves if 0.6 * side <= half <= 1.15 * side), side)


def _stored(text: str) -> int:
    """Count the bytes of a text in a notebook file: JSON, a string for each line."""
    return len(json.dumps(text, ensure_ascii=False).encode()) + 16 * len(text.splitlines())


def _html(image: str, beside: str) -> str:
    """Lay out picture and table side by side; without styles (some viewers drop them) one under the other."""
    return (
        '<div class="nbvlm-result mathjax_ignore tex2jax_ignore" '
        'style="display:flex;flex-wrap:wrap;gap:16px;align-items:flex-start">'
        f'<div>{image}</div><div style="max-width:640px">{beside}</div></div>'
    )


def _details(result: ResultData) -> str:
    """Write table, answer and remarks with the widest limits whose text is short enough."""
    written = ""
    for limits in _LIMITS:
        written = _written(result, limits)
        if _stored(written) <= _WORDS:
            break
    return written


def _written(result: ResultData, limits: Limits) -> str:
    table = markup.table(result, limits.rows, markup.label_colors(result), limits.label)
    body = markup.answer(result, limits.text)
    if table:
        rolled = f'<div style="max-height:32em;overflow:auto">{table}</div>'
        body = f"{rolled}<details><summary>Answer</summary>{body}</details>"
    body += markup.reasoning(result, limits.text)
    return f"{body}{markup.remarks(result, limits.remarks)}<p><small>{markup.facts(result)}</small></p>"
