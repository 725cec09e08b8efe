"""A result as a notebook shows it: picture, table and text in one small bundle.

The shown picture is a scaled copy; the data is not touched. It travels twice, inside the HTML (with its alt
text) and as an image of its own, because front ends differ in which of the two they show and keep.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from nbvlm.draw import annotate, prompt_things
from nbvlm.errors import ImageError
from nbvlm.images import encode_within
from nbvlm.result import description, markup

if TYPE_CHECKING:
    from nbvlm.images import Picture
    from nbvlm.result.result import Result

__all__ = ["Shown", "bundle", "shown"]

SIDE = 896
"""Pixels of the longer side of a shown picture."""

BUDGET = 100_000
"""Bytes of a shown picture at most; it travels as base64, and twice."""

NOTEBOOK = 295_000
"""Bytes that a result adds to a notebook file at most, everything together."""

_CSS_SIDE = 640
_SMALL = 448
_WORDS = 32_000


class Shown(NamedTuple):
    """An encoded picture, and the size it is shown at in CSS pixels."""

    data: bytes
    mime: str
    width: int
    height: int

    @property
    def uri(self) -> str:
        """The picture as a `data:` URI."""
        return f"data:{self.mime};base64,{base64.b64encode(self.data).decode('ascii')}"


class Room(NamedTuple):
    """How much of a result is written beside its picture."""

    rows: int
    label: int
    text: int
    remarks: int


_ROOMS = (Room(50, 200, 8_000, 20), Room(25, 80, 2_000, 8), Room(10, 40, 400, 2))


def bundle(result: Result) -> tuple[dict[str, Any], dict[str, Any]]:
    """Build the MIME bundle of a result.

    Parameters
    ----------
    result
        What to show. A result without its picture's bytes shows table and text.

    Returns
    -------
    tuple of dict
        Data and metadata, as IPython's `_repr_mimebundle_` returns them.
    """
    data: dict[str, Any] = {"text/plain": description.plain(result)}
    alt, beside = description.alt_text(result), _beside(result)
    taken = _stored(data["text/plain"]) + _stored(beside) + 2 * _stored(markup.attribute(alt))
    try:
        picture = shown(result, budget=min(BUDGET, (NOTEBOOK - taken) * 3 // 8))
    except ImageError as error:
        return data | {"text/html": _html(f"<p><em>{markup.text(error)}</em></p>", beside)}, {}
    data["text/html"] = _html(_image(picture, alt), beside)
    data[picture.mime] = base64.b64encode(picture.data).decode("ascii")
    return data, {picture.mime: {"width": picture.width, "height": picture.height, "alt": alt}}


def shown(result: Result, side: int = SIDE, budget: int = BUDGET) -> Shown:
    """Draw and encode a copy of the picture to look at.

    Parameters
    ----------
    result
        What to draw.
    side
        Pixels of the longer side at most; small pictures are enlarged, so that labels can be read.
    budget
        Bytes at most.

    Raises
    ------
    ImageError
        The picture's bytes are not here.
    """
    small = result.picture.thumbnail(_handy(result.picture, side))
    scale = float(-(-_SMALL // max(small.size))) if max(small.size) < _SMALL else 1.0
    things = prompt_things(result.prompt)
    drawn = annotate(small, result.detections, things=things, keep=False, scale=scale)
    data, mime = encode_within(drawn, budget)
    factor = min(1.0, _CSS_SIDE / max(drawn.size))
    return Shown(data, mime, round(drawn.width * factor), round(drawn.height * factor))


def _handy(picture: Picture, side: int) -> int:
    """Choose a side that a JPEG decoder reaches by halving alone, if one is near."""
    longest = max(picture.width, picture.height)
    halves = (longest // factor for factor in (1, 2, 4, 8) if longest % factor == 0)
    return next((half for half in halves if 0.6 * side <= half <= 1.15 * side), side)


def _stored(text: str) -> int:
    """Bytes of a text in a notebook file: JSON, each line a string of its own."""
    return len(json.dumps(text, ensure_ascii=False).encode()) + 16 * len(text.splitlines())


def _image(picture: Shown, alt: str) -> str:
    return (
        f'<img src="{picture.uri}" alt="{markup.attribute(alt)}" width="{picture.width}" '
        f'height="{picture.height}" style="max-width:100%;height:auto">'
    )


def _html(image: str, beside: str) -> str:
    """Lay out picture and table side by side; without styles (some viewers drop them) one under the other."""
    return (
        '<div class="nbvlm-result mathjax_ignore tex2jax_ignore" '
        'style="display:flex;flex-wrap:wrap;gap:16px;align-items:flex-start">'
        f'<div>{image}</div><div style="max-width:640px">{beside}</div></div>'
    )


def _beside(result: Result) -> str:
    """Write table, answer and remarks, the less of each the more bytes it would take."""
    written = ""
    for room in _ROOMS:
        written = _told(result, room)
        if _stored(written) <= _WORDS:
            break
    return written


def _told(result: Result, room: Room) -> str:
    table = markup.table(result, room.rows, markup.paints(result), room.label)
    body = markup.answer(result, room.text)
    if table:
        rolled = f'<div style="max-height:32em;overflow:auto">{table}</div>'
        body = f"{rolled}<details><summary>Answer</summary>{body}</details>"
    return f"{body}{markup.remarks(result, room.remarks)}<p><small>{markup.facts(result)}</small></p>"
