"""The turn of an item: its prompt is written, its bytes are read and hashed, its picture is made."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbvlm.batches import sources as remote
from nbvlm.errors import Error, ImageError
from nbvlm.images import Picture, read_source

if TYPE_CHECKING:
    from collections.abc import Container

    from nbvlm.batches.plan import Plan
    from nbvlm.batches.sources import PendingPicture

__all__ = ["Prepared", "prepare"]


@dataclass(frozen=True, slots=True, repr=False)
class Prepared:
    """An item that is ready to be asked about, or that is finished already."""

    item: PendingPicture
    key: str
    prompt: str | None = None  # the template, or None for a function, where none could be made
    picture: Picture | None = None  # None where the answer is known, or the picture cannot be read
    error: Error | None = None


def prepare(item: PendingPicture, plan: Plan, known: Container[str]) -> Prepared:
    """Make an item ready; an error is kept in `error`, and a picture whose key is known is not decoded."""
    prompt = plan.prompt.template
    key = plan.key(f"unread {item.place.source}", prompt or "")
    try:
        prompt = plan.prompt.of(item.columns)
        key = plan.key(f"unread {item.place.source}", prompt)
        made, name = _content(item.image, plan.allow_private)
        sha256 = made.sha256 if isinstance(made, Picture) else hashlib.sha256(made).hexdigest()
        key = plan.key(sha256, prompt)
        if key in known:
            return Prepared(item, key, prompt)
        picture = made if isinstance(made, Picture) else Picture.load(made, name=name)
    except Error as error:
        return Prepared(item, key, prompt, error=error)
    return Prepared(item, key, prompt, picture)


def _content(image: Any, allow_private: bool) -> tuple[bytes | Picture, str | None]:
    """Return the bytes of a file, or the picture that is made of something in memory."""
    if isinstance(image, str) and remote.is_remote(image) and not image.startswith("data:"):
        return remote.read(image), image.rpartition("/")[2]
    if isinstance(image, (str, os.PathLike, bytes, bytearray, memoryview, Mapping)) or hasattr(image, "read"):
        return read_source(image, allow_private)
    picture = Picture.load(image)
    if picture.data is None:
        raise ImageError("The picture's bytes are not here.", hint="Load the file, and pass that.")
    return picture, picture.name
