"""Sample pictures for the gallery, small copies of pictures for the browser, and cards for answers."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Protocol

from nbvlm import prompts
from nbvlm._text import duration, shorten
from nbvlm.draw import annotate, assign_colors, css_color, ink_color
from nbvlm.errors import ImageError
from nbvlm.images import Picture, encoded
from nbvlm.result import summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from PIL import Image

    from nbvlm.demo.gallery import GalleryPhoto, GalleryScene
    from nbvlm.result import Result

    LabelColors = Mapping[str, Mapping[str, str]]

__all__ = [
    "SIDE",
    "NumberedResult",
    "base_thumbnail",
    "card",
    "described_boxes",
    "label_colors",
    "preview",
    "sample_number",
    "sample_picture",
    "sample_thumbnails",
    "scenes",
    "small_picture",
    "thumbnail",
]

THUMBNAIL = 120  # pixels: twice the size at which the browser draws it
PREVIEW = 1280  # longest side of the copy that the browser draws, in pixels
SMALL = 400_000  # a file of up to this many bytes is its own preview
LONG = 8192  # pixels of its longer side at most: browsers and graphics cards draw no endless pictures
#: Pixels of the longer side of a card's picture; every answer sends one.
SIDE = 176
_SHORT = {"temperature": "T", "top_p": "p", "max_tokens": "max"}


class NumberedResult(Protocol):
    """An answer of a history, as the widgets show it."""

    @property
    def number(self) -> int:
        """The number that a page calls it by."""

    @property
    def result(self) -> Result:
        """The answer."""

    @property
    def pinned(self) -> bool:
        """Whether it is compared with the others."""


# The gallery


def scenes() -> tuple[GalleryScene | GalleryPhoto, ...]:
    """Return the samples of the gallery, in order."""
    from nbvlm.demo.gallery import GALLERY

    return GALLERY


@functools.lru_cache(maxsize=64)
def sample_picture(scene: GalleryScene | GalleryPhoto) -> Picture:
    """Paint or load a sample and name it."""
    return Picture.load(scene)


def sample_number(picture: Picture | None) -> int | None:
    """Return the number in the gallery of a picture that is a sample; None for any other."""
    stem = "" if picture is None else (picture.name or "").rpartition(".")[0]
    named = (at for at, scene in enumerate(scenes()) if scene.name == stem)  # no other sample is painted
    return next((at for at in named if sample_picture(scenes()[at]) == picture), None)


@functools.lru_cache(maxsize=1)
def sample_thumbnails() -> tuple[bytes, ...]:
    """Return small copies of the whole gallery, as PNG."""
    return tuple(encoded(_shrunk(scene.picture(), THUMBNAIL), "PNG") for scene in scenes())


# Pictures


def preview(picture: Picture) -> tuple[dict[str, Any], bytes]:
    """Make the copy of a picture that the browser draws: its facts, and the data.

    The data are the file itself where it is small, else a JPEG of at most 1280 pixels a side.
    """
    facts: dict[str, Any] = {
        "name": picture.name or "picture",
        "width": picture.width,
        "height": picture.height,
    }
    small = (
        picture.nbytes is not None
        and picture.nbytes <= SMALL
        and max(facts["width"], facts["height"]) <= LONG
    )
    if small and picture.data is not None:
        return {**facts, "mime": picture.mime}, picture.data
    return {**facts, "mime": "image/jpeg"}, encoded(picture.thumbnail(PREVIEW), "JPEG", quality=85)


def small_picture(data: bytes, side: int) -> bytes:
    """Return a small PNG of a picture's file."""
    return encoded(Picture.load(data).thumbnail(side), "PNG")


def _shrunk(image: Image.Image, side: int) -> Image.Image:
    copy = image.convert("RGB")
    copy.thumbnail((side, side), reducing_gap=2.0)
    return copy


# Answers


def label_colors(labels: Iterable[str], given: Mapping[str, Any] | None = None) -> LabelColors:
    """Return the `color` of each label's box and the `ink` of its text, as CSS; some colours may be given."""
    return {
        label: {"color": css_color(color), "ink": css_color(ink_color(color))}
        for label, color in assign_colors(labels, given).items()
    }


def described_boxes(
    labels: Sequence[str],
    boxes: Iterable[Sequence[float]],
    things: Iterable[str],
    colors: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Describe boxes for the browser: label, corners in pixels of the upright picture, colour and ink.

    `things` are labels that have colours too, although no box may have them yet; `colors` are given ones.
    """
    paint = label_colors([*things, *labels], colors)
    return [
        {"label": label, "box": [round(float(value), 2) for value in box], **paint[label]}
        for label, box in zip(labels, boxes, strict=True)
    ]


def base_thumbnail(picture: Picture) -> Image.Image | None:
    """Shrink a picture for the cards of all answers about it; None where its bytes are not here."""
    try:
        return picture.thumbnail(SIDE)
    except ImageError:
        return None


def thumbnail(result: Result, base: Image.Image | None = None) -> bytes:
    """Draw a result's boxes and masks on a small copy of its picture, as JPEG.

    `base` is its `base_thumbnail`, if that is at hand. Empty where the picture's bytes are not here.
    """
    base = base or base_thumbnail(result.picture)
    if base is None:
        return b""
    things = prompts.things(result.prompt)
    return encoded(annotate(base, result.detections, things=things, labels=False), "JPEG", quality=72)


def card(entry: NumberedResult) -> dict[str, Any]:
    """Describe an answer for the browser."""
    result = entry.result
    facts = (_parameters(result.parameters), duration(result.timing.total_s))
    return {
        "number": entry.number,
        "pinned": entry.pinned,
        "prompt": shorten(result.prompt, 200),
        "detail": " · ".join(filter(None, facts)),
        "said": shorten(" ".join([summary(result), *result.notices]), 400),  # a caveat stays with its answer
        "model": result.model,
        "picture": result.picture.name or "picture",
        "created": result.created,
    }


def _parameters(given: Mapping[str, Any]) -> str:
    shown = ((_SHORT.get(name, name), value) for name, value in given.items() if name != "max_tokens")
    return " · ".join(f"{name} {value:g}" for name, value in shown)
