"""Pictures: load anything, know its size, send it untouched where that is possible.

>>> picture = Picture.load("cat.jpg")  # doctest: +SKIP
>>> picture.width, picture.height, picture.mime  # doctest: +SKIP
(640, 480, 'image/jpeg')
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nbvlm._text import size as size_text
from nbvlm.errors import ImageError
from nbvlm.images import codec, loading, shrinking, sources
from nbvlm.images.guard import decoding
from nbvlm.images.loading import subject
from nbvlm.images.opening import opened

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from pathlib import Path
    from typing import BinaryIO, TypeAlias

    import numpy as np
    from PIL import Image

    from nbvlm.images.headers import Header
    from nbvlm.images.sources import StoredFile

    ImageSource: TypeAlias = (
        "str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image | Picture"
        " | np.ndarray[Any, Any] | Mapping[str, Any] | tuple[Mapping[str, Any], ...]"
    )

__all__ = ["Fitted", "Picture", "fit", "load_lazily", "unchanged"]


@dataclass(frozen=True, slots=True, repr=False)
class Picture:
    """A picture as it is sent: upright, 8 bits a channel, PNG or JPEG.

    Two pictures are equal when their bytes, type and size are.

    Attributes
    ----------
    data
        The file's bytes, unchanged wherever they can be sent as they are; None for a mere reference. A JPEG
        that lies on its side is turned when `data` or `sha256` are first used, since shrinking it or
        drawing on it needs no turned file.
    mime
        `"image/png"` or `"image/jpeg"`, found from the bytes.
    width, height
        Pixels of the upright picture; boxes and masks refer to them.
    name
        File name without folders, or None.
    sha256
        Hash of `data`, in hexadecimal.
    changes
        Changes made to the source, in words; empty if none.

    Examples
    --------
    >>> import PIL.Image
    >>> Picture.load(PIL.Image.new("RGB", (4, 2)), name="black.png")
    Picture('black.png', 4×2, image/png, 68 bytes)
    """

    data: bytes | None = field(compare=False)
    mime: str
    width: int
    height: int
    name: str | None = field(compare=False)
    sha256: str
    changes: tuple[str, ...] = field(default=(), compare=False)
    _unturned: tuple[bytes, int] | None = field(default=None, init=False, compare=False)
    _file: StoredFile | None = field(default=None, init=False, compare=False)

    @classmethod
    def load(cls, source: ImageSource, *, name: str | None = None, allow_private: bool = False) -> Picture:
        """Load a picture from nearly anything.

        Parameters
        ----------
        source
            A path, an http(s) URL, a data URI, bytes, a binary file, a PIL image, a numpy array (H×W, H×W×3
            or H×W×4, uint8) or a picture; a dictionary with `bytes` and `path` of Hugging Face's datasets, or
            the value of an `ipywidgets.FileUpload` with one file. Its bytes decide the format, not its name.
        name
            Name to show; by default the file's.
        allow_private
            Whether a URL may lead to this machine or its private network.

        Returns
        -------
        Picture
            PNG and JPEG files that need no change keep their bytes; everything else is converted, and
            `changes` says how.

        Raises
        ------
        ImageError
            If the source is missing, is not a picture, is cut off or damaged, has far too many pixels, or
            takes too long to arrive or to decode.
        """
        if isinstance(source, Picture):
            picture = source._plain()  # noqa: SLF001 - our own class
            return picture if name is None else replace(picture, name=loading.bare(name))
        loaded = loading.load(source, name, allow_private)
        parts = loaded.mime, loaded.size, loaded.name, loaded.changes
        if loaded.pending:
            return _later(*parts, unturned=(loaded.data, loaded.orientation))
        return _picture(loaded.data, *parts)

    @classmethod
    def reference(cls, sha256: str, mime: str, width: int, height: int, name: str | None = None) -> Picture:
        """Stand for a picture whose bytes are elsewhere, as in a result read from JSON.

        Parameters
        ----------
        sha256
            Hash of the bytes, in hexadecimal.
        mime, width, height, name
            As the attributes.
        """
        return cls(None, mime, width, height, loading.bare(name), sha256)

    def image(self) -> Image.Image:
        """Decode to an upright RGB image.

        Raises
        ------
        ImageError
            If this is a mere reference, or the pixels are damaged.
        """
        data, orientation = self.source()
        file = opened(data, self.mime.removeprefix("image/").upper(), subject(self.name))
        with decoding(subject(self.name), "picture"):
            file.load()  # convert() alone would copy an RGB picture
            return codec.turned(file if file.mode == "RGB" else file.convert("RGB"), orientation)

    def thumbnail(self, side: int) -> Image.Image:
        """Decode to an upright RGB image whose largest side has at most `side` pixels.

        A JPEG is decoded at a half, a quarter or an eighth where that suffices: several times faster than
        `image()`, in a fraction of the memory.

        Raises
        ------
        ImageError
            As `image`.
        """
        return shrinking.reduced(*self.source(), side, subject(self.name)).convert("RGB")

    def _plain(self) -> Picture:
        """Return the picture without the additions of a subclass."""
        return self

    @property
    def pending(self) -> bool:
        """True while `data` and `sha256` take time to get: work for a thread, not for an event loop."""
        return self._unturned is not None or self._file is not None

    @property
    def path(self) -> Path | None:
        """The file that holds the bytes, as long as they have not been read from it; else None."""
        return self._file.path if self._file is not None else None

    @property
    def nbytes(self) -> int | None:
        """Bytes of the file; of the source where a picture still waits to be turned; None for a reference."""
        if self._file is not None:
            return self._file.size
        held = self._unturned[0] if self._unturned is not None else self.data
        return None if held is None else len(held)

    @property
    def base64_length(self) -> int:
        """Characters of the bytes as base64."""
        return base64_length(len(_needed(self.data, self.name)))

    def fits(self, limit_chars: int | None) -> bool:
        """Return whether the base64 text is shorter than `limit_chars` characters; None means any length."""
        if limit_chars is None:
            return True
        # Turning hardly changes the weight of a file, so one far too large need not be turned to find out.
        if self._unturned is not None and base64_length(len(self._unturned[0])) > 2 * limit_chars:
            return False
        return self.base64_length < limit_chars

    def data_uri(self) -> str:
        """Return the picture as a `data:` URI."""
        packed = base64.b64encode(_needed(self.data, self.name))
        return f"data:{self.mime};base64,{packed.decode('ascii')}"

    def source(self) -> tuple[bytes, int]:
        """Return a file of the picture, and the EXIF orientation that it still needs.

        Raises
        ------
        ImageError
            If this is a mere reference.
        """
        return self._unturned or (_needed(self.data, self.name), 1)

    def __repr__(self) -> str:
        name = f"{self.name!r}, " if self.name else ""
        return f"Picture({name}{self.width}×{self.height}, {self.mime}, {self._weight()})"

    def _weight(self) -> str:
        if self.nbytes is None:
            return "bytes elsewhere"
        return size_text(self.nbytes) + (" before turning" if self._unturned is not None else "")

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            # Reached for a slot that is not set yet: the file of a picture that lies on its side.
            if name not in ("data", "sha256"):
                raise AttributeError(f"'Picture' object has no attribute {name!r}", name=name, obj=self)
            unturned, file = self._unturned, self._file
            if unturned is not None or file is not None:
                data = file.read() if file is not None else codec.upright_jpeg(*unturned, subject(self.name))
                _set(self, {"data": data, "sha256": hashlib.sha256(data).hexdigest()})
                _set(self, {"_unturned": None, "_file": None})
            return object.__getattribute__(self, name)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A picture made to fit, and the change in its size."""

    picture: Picture  # the same where it fitted
    before: tuple[int, int, int]  # width, height, bytes
    after: tuple[int, int, int]
    notice: str = ""  # one sentence for the reader; empty if the picture fitted


def fit(picture: Picture, limit_chars: int) -> Fitted:
    """Shrink a picture until its base64 text is shorter than a limit, `Endpoint.inline_limit`.

    The largest side goes first, down to about 896 pixels (a long strip keeps 224 in its short side), then the
    JPEG quality, then the sides again. PaliGemma sees 224, 448 or 896 pixels a side of any picture, so the
    first step costs nothing that the model could have seen; models that cut large pictures into tiles may
    miss fine print. Boxes are fractions of the picture, so they fit the original as before.

    Raises
    ------
    ImageError
        If the limit leaves no room for a picture.

    >>> import PIL.Image
    >>> noise = PIL.Image.effect_noise((1200, 900), 80)
    >>> fit(Picture.load(noise), 180_000).picture.base64_length < 180_000
    True
    """
    if picture.fits(limit_chars):
        whole = (picture.width, picture.height, len(_needed(picture.data, picture.name)))
        return Fitted(picture, whole, whole)
    source, orientation = picture.source()
    data, size = shrinking.shrink(source, orientation, (limit_chars - 1) // 4 * 3, subject(picture.name))
    before, after = (picture.width, picture.height, len(source)), (*size, len(data))
    sizes = [f"{width}×{height} pixels ({size_text(count)})" for width, height, count in (before, after)]
    notice = f"Shrunk from {' to '.join(sizes)} to fit into the request."
    smaller = _picture(data, "image/jpeg", size, picture.name, (*picture.changes, notice))
    return Fitted(smaller, before, after, notice)


def adapt(picture: Picture, *, side: int | None = None, png: bool = False) -> Fitted:
    """Shrink a picture to a longest side that a service keeps, and encode it as PNG where that is wanted.

    Boxes are fractions of the picture, so they fit the original as before.

    >>> import PIL.Image
    >>> adapt(Picture.load(PIL.Image.new("RGB", (3000, 1500))), side=2048).after[:2]
    (2048, 1024)
    """
    whole = (picture.width, picture.height, picture.nbytes or 0)
    large = side is not None and max(whole[:2]) > side
    if not large and (not png or picture.mime == "image/png"):
        return Fitted(picture, whole, whole)
    image = picture.thumbnail(side) if large and side is not None else picture.image()
    kind = "PNG" if png or picture.mime == "image/png" else "JPEG"
    options: dict[str, Any] = {"icc_profile": None} if kind == "PNG" else {"quality": codec.QUALITY}
    data = codec.encoded(image, kind, **options)
    after = (*image.size, len(data))
    notice = ""
    if large:
        sizes = [f"{width}×{height} pixels ({size_text(count)})" for width, height, count in (whole, after)]
        notice = f"Shrunk from {' to '.join(sizes)}: the service keeps at most {side} pixels a side."
    changes = (*picture.changes, *filter(None, [notice]))
    return Fitted(
        _picture(data, f"image/{kind.lower()}", image.size, picture.name, changes), whole, after, notice
    )


def base64_length(count: int) -> int:
    """Characters of `count` bytes as base64, padding included."""
    return -(-count // 3) * 4


def unchanged(data: bytes, header: Header) -> Picture:
    """Make a picture of a PNG or JPEG whose header was read before, and that is sent as it is."""
    return _picture(data, f"image/{header.format.lower()}", (header.width, header.height), None, ())


def _picture(
    data: bytes, mime: str, size: tuple[int, int], name: str | None, changes: tuple[str, ...]
) -> Picture:
    return Picture(data, mime, *size, name, hashlib.sha256(data).hexdigest(), changes)


def _later(
    mime: str,
    size: tuple[int, int],
    name: str | None,
    changes: tuple[str, ...] = (),
    *,
    unturned: tuple[bytes, int] | None = None,
    file: StoredFile | None = None,
) -> Picture:
    """Make a picture whose `data` and `sha256` come into being when asked for."""
    picture = object.__new__(Picture)
    values = {"mime": mime, "width": size[0], "height": size[1], "name": name, "changes": changes}
    _set(picture, values | {"_unturned": unturned, "_file": file})
    return picture


def load_lazily(source: ImageSource) -> Picture:
    """Load a picture, but leave the bytes of a large file there until they are asked for."""
    there = sources.stored(source)
    if there is None:
        return Picture.load(source)
    header, file = there
    size = header.width, header.height
    return _later(f"image/{header.format.lower()}", size, loading.bare(file.path.name), file=file)


def _set(picture: Picture, values: dict[str, Any]) -> None:
    for key in values:
        object.__setattr__(picture, key, values[key])


def _needed(data: bytes | None, name: str | None) -> bytes:
    if data is None:
        raise ImageError(
            f"The bytes of {repr(name) if name else 'this picture'} are not here: only its hash is known.",
            hint="Load the file with Picture.load(…) and use that picture.",
        )
    return data
