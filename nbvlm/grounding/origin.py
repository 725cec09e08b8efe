"""Where detections come from: the picture, the model, and the notices that belong to each of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbvlm.images import load_lazily

if TYPE_CHECKING:
    from collections.abc import Iterable

    from PIL import Image

    from nbvlm.grounding.masks.types import Box, Size

__all__ = ["Origin", "crop", "joined"]

_ORIENTATION = 0x0112  # of EXIF


@dataclass(frozen=True, slots=True, repr=False)
class Origin:
    """The answer that detections are from."""

    picture: Any  # a `nbvlm.Picture`, or None where they are from several
    model: str
    endpoint: str
    notices: tuple[str, ...]


def joined(origins: Iterable[Origin | None]) -> Origin | None:
    """Return the origin of detections of several answers: no notice is lost, and one picture stays."""
    # By identity: the hash of a picture may take time.
    known = list({id(origin): origin for origin in origins if origin is not None}.values())
    if len(known) < 2:
        return known[0] if known else None
    first = known[0].picture
    return Origin(
        picture=first if all(origin.picture == first for origin in known) else None,
        model=", ".join(dict.fromkeys(origin.model for origin in known)),
        endpoint=", ".join(dict.fromkeys(origin.endpoint for origin in known)),
        notices=tuple(dict.fromkeys(notice for origin in known for notice in origin.notices)),
    )


def crop(picture: Any, box: Box, size: Size | None, margin: float) -> Image.Image:
    """Cut a box out of a picture: whole pixels, within the picture, at least one each way."""
    if isinstance(margin, bool) or not isinstance(margin, int | float) or not 0 <= margin < math.inf:
        raise ValueError(f"margin must be a number of pixels from 0 on, got {margin!r}.")
    if picture is None:
        raise ValueError("The picture of this detection is not known: pass it, crop(picture).")
    image = _image(picture)
    if size is not None and image.size != size:
        raise ValueError(
            f"The box belongs to a picture of {size[0]} × {size[1]} pixels; "
            f"this one has {image.size[0]} × {image.size[1]}. Give the picture that was asked about."
        )
    (left, right), (top, bottom) = (
        _span(low, high, margin, most) for low, high, most in zip(box[:2], box[2:], image.size, strict=True)
    )
    return image.crop((left, top, right, bottom))


def _image(picture: Any) -> Image.Image:
    upright = hasattr(picture, "getexif") and picture.getexif().get(_ORIENTATION, 1) == 1
    return picture if upright else load_lazily(picture).image()


def _span(one: float, other: float, margin: float, most: int) -> tuple[int, int]:
    low = min(max(math.floor(min(one, other) - margin), 0), most - 1)
    return low, max(min(math.ceil(max(one, other) + margin), most), low + 1)
