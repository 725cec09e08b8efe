"""A result on a small card: its picture with boxes, and what was asked in a few words."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from nbvlm.draw import annotation
from nbvlm.errors import ImageError
from nbvlm.panel import wording
from nbvlm.result import description

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL import Image

    from nbvlm.images.picture import Picture
    from nbvlm.panel.history import Kept
    from nbvlm.result.result import Result

__all__ = ["SIDE", "base", "card", "parameters", "thumbnail"]

#: Pixels of the longer side of a card's picture; every answer sends one.
SIDE = 176
_SHORT = {"temperature": "T", "top_p": "p", "max_tokens": "max"}


def base(picture: Picture) -> Image.Image | None:
    """Shrink a picture for the cards of all answers about it; None where its bytes are not here."""
    try:
        return picture.thumbnail(SIDE)
    except ImageError:
        return None


def thumbnail(result: Result, small: Image.Image | None = None) -> bytes:
    """Draw a result's boxes and masks on a small copy of its picture.

    Parameters
    ----------
    result
        What to draw.
    small
        What `base` made of its picture, if that is at hand.

    Returns
    -------
    bytes
        A JPEG; empty where the picture's bytes are not here.
    """
    small = small or base(result.picture)
    if small is None:
        return b""
    things = annotation.prompt_things(result.prompt)
    drawn = annotation.annotate(small, result.detections, things=things, labels=False)
    buffer = io.BytesIO()
    drawn.save(buffer, "JPEG", quality=72)
    return buffer.getvalue()


def parameters(given: Mapping[str, Any], leave_out: tuple[str, ...] = ("max_tokens",)) -> str:
    """Write parameters in short.

    >>> parameters({"temperature": 0.2, "top_p": 0.7, "max_tokens": 64})
    'T 0.2 · p 0.7'
    """
    shown = ((_SHORT.get(name, name), value) for name, value in given.items() if name not in leave_out)
    return " · ".join(f"{name} {value:g}" for name, value in shown)


def card(kept: Kept) -> dict[str, Any]:
    """Describe what is kept, for the browser."""
    result = kept.result
    facts = (parameters(result.parameters), wording.seconds(result.timing.total_s))
    return {
        "number": kept.number,
        "pinned": kept.pinned,
        "prompt": description.shorten(result.prompt, 200),
        "detail": " · ".join(filter(None, facts)),
        "said": description.shorten(description.summary(result), 200),
        "model": result.model,
        "picture": result.picture.name or "picture",
        "created": result.created,
    }
