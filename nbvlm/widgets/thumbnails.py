"""Sample pictures for the gallery, and small copies of pictures for the browser."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from nbvlm import prompts
from nbvlm._text import shorten
from nbvlm.draw import annotate
from nbvlm.errors import ImageError
from nbvlm.images import Picture, encoded
from nbvlm.result import summary
from nbvlm.widgets import status_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL import Image

    from nbvlm.demo.gallery import GalleryScene
    from nbvlm.panel import Kept
    from nbvlm.result import Result

__all__ = [
    "SIDE",
    "base",
    "card",
    "parameters",
    "picture_of",
    "preview",
    "scenes",
    "small",
    "things_of",
    "thumbnail",
    "thumbnails",
]

THUMBNAIL = 120  # pixels: twice the size at which the browser draws it
PREVIEW = 1280  # longest side of what the browser draws, in pixels
SMALL = 400_000  # a file of up to this many bytes is its own preview


def scenes() -> tuple[GalleryScene, ...]:
    """Return the scenes of the gallery, in order."""
    from nbvlm.demo.gallery import GALLERY

    return GALLERY


@functools.lru_cache(maxsize=64)
def picture_of(scene: GalleryScene) -> Picture:
    """Paint a scene and name it."""
    return Picture.load(encoded(scene.picture(), "PNG"), name=f"{scene.name}.png")


def things_of(scene: GalleryScene) -> tuple[str, ...]:
    """Return the kinds of things in a scene, each once."""
    return tuple(dict.fromkeys(thing.kind for thing in scene.scene().things))


@functools.lru_cache(maxsize=1)
def thumbnails() -> tuple[bytes, ...]:
    """Return small copies of the whole gallery, as PNG."""
    return tuple(encoded(_shrunk(scene.picture(), THUMBNAIL), "PNG") for scene in scenes())


def preview(picture: Picture) -> tuple[dict[str, Any], bytes]:
    """Make what the browser draws for a picture.

    Parameters
    ----------
    picture
        Of any size.

    Returns
    -------
    facts
        `name`, `width` and `height` of the picture, and `mime` of the copy.
    data
        The file itself where it is small, else a JPEG of at most 1280 pixels a side.
    """
    facts = {"name": picture.name or "picture", "width": picture.width, "height": picture.height}
    if picture.nbytes is not None and picture.nbytes <= SMALL and picture.data is not None:
        return {**facts, "mime": picture.mime}, picture.data
    return {**facts, "mime": "image/jpeg"}, encoded(picture.thumbnail(PREVIEW), "JPEG", quality=85)


def _shrunk(image: Image.Image, side: int) -> Image.Image:
    copy = image.convert("RGB")
    copy.thumbnail((side, side), reducing_gap=2.0)
    return copy


def small(data: bytes, side: int) -> bytes:
    """Return a small PNG of a picture's file."""
    return encoded(Picture.load(data).thumbnail(side), "PNG")


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
    things = prompts.things(result.prompt)
    drawn = annotate(small, result.detections, things=things, labels=False)
    return encoded(drawn, "JPEG", quality=72)


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
    facts = (parameters(result.parameters), status_text.seconds(result.timing.total_s))
    return {
        "number": kept.number,
        "pinned": kept.pinned,
        "prompt": shorten(result.prompt, 200),
        "detail": " · ".join(filter(None, facts)),
        "said": shorten(summary(result), 200),
        "model": result.model,
        "picture": result.picture.name or "picture",
        "created": result.created,
    }
