"""Sources of bytes: paths, data URIs, files, arrays; `remote` fetches addresses on the web."""

from __future__ import annotations

import base64
import binascii
import os
import re
import stat
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from glob import has_magic
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, unquote_to_bytes

from PIL import Image

from nbvlm._files import expanded, here
from nbvlm._text import did_you_mean, encodable, reason
from nbvlm.errors import ImageError
from nbvlm.images import formats, headers, remote

if TYPE_CHECKING:
    from typing import TypeGuard

    import numpy as np

    from nbvlm.images.headers import Header

__all__ = ["MAX_BYTES", "StoredFile", "from_array", "is_array", "read", "stored", "unwrapped"]

LEAST = 1024 * 1024  # bytes below which a picture is simply read


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file in the state in which it was checked."""

    path: Path
    size: int
    changed: int  # time of the last write, in nanoseconds

    @classmethod
    def of(cls, path: Path) -> StoredFile:
        """Return the file as it is now."""
        state = path.stat()
        return cls(path, state.st_size, state.st_mtime_ns)

    def read(self) -> bytes:
        """Return its bytes; raise `ImageError` if it was moved, deleted or written since."""
        try:
            if StoredFile.of(self.path) == self:
                return self.path.read_bytes()
        except OSError:
            pass
        raise ImageError(
            f"{self.path.name!r} was moved or changed since it was uploaded.",
            hint="Load it with Picture.load(…) before uploading, if the file may be moved.",
        )


def stored(source: Any) -> tuple[Header, StoredFile] | None:
    """Return the header and the file of a large, upright PNG or JPEG that can be sent as it is, or None."""
    if not isinstance(source, (str, os.PathLike)) or str(source).startswith(("http:", "https:", "data:")):
        return None
    try:
        path = expanded(source).absolute()
        file = StoredFile.of(path)
        if not path.is_file() or file.size < LEAST:
            return None
        with path.open("rb") as opened:
            kind = formats.picture_format(opened.read(16))
            if kind not in ("PNG", "JPEG"):
                return None
            header = headers.header(opened, kind, path.name)
    except (OSError, ValueError, ImageError):
        return None
    return (header, file) if not header.reasons and header.orientation == 1 else None


MAX_BYTES = 256 * 1024 * 1024
"""Larger files are refused before they are read."""

_CHUNK = 1 << 20
_LONGEST_PATH = 4096
_COMPARED = 5000  # names of a folder
_SCHEME = re.compile(r"\s*(data:|[a-z][a-z0-9+.-]+://)", re.IGNORECASE)
SEVERAL = "Ask about each with nbvlm.batch(images, prompt)"
"""The way to several pictures, as the beginning of a hint."""
_ACCEPTED = "a path, an http(s) URL, a data URI, bytes, a binary file, a PIL image or a uint8 numpy array"


def read(source: Any, allow_private: bool) -> tuple[bytes, str | None]:
    """Read all bytes of a source that is not yet pixels, with its name without folders.

    Raises
    ------
    ImageError
        If the source cannot be read, or its kind is not known.
    """
    source, name = unwrapped(source)
    if name is not None:
        return read(source, allow_private)[0], re.split(r"[/\\\\]", name)[-1]
    if isinstance(source, str):
        return _from_text(source, allow_private)
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source), None
    if isinstance(source, os.PathLike):
        return _from_path(os.fsdecode(source))
    if hasattr(source, "read"):
        return _from_file(source)
    kind = type(source).__name__
    if isinstance(source, Iterable):
        raise ImageError(
            f"A value of type {kind} is not a picture.",
            hint=f"{SEVERAL}, or pass one picture: {_ACCEPTED}.",
        )
    raise ImageError(f"A value of type {kind} is not a picture.", hint=f"Pass {_ACCEPTED}.")


def _from_text(text: str, allow_private: bool) -> tuple[bytes, str | None]:
    scheme = _SCHEME.match(text)
    if scheme is None:
        if len(text) <= _LONGEST_PATH:
            return _from_path(text)
        noun, hint = formats.describe(text[:8192].encode("utf-8", "replace"))
        raise ImageError(f"The text is {noun}, and too long for a path.", hint=hint)
    match scheme[1].lower():
        case "data:":
            return _from_data_uri(text.strip()), None
        case "http://" | "https://":
            return remote.fetch(text.strip(), allow_private=allow_private)
        case "file://":
            place = re.sub(r"^file://[^/]*|[?#].*", "", text.strip(), flags=re.IGNORECASE | re.DOTALL)
            return _from_path(os.fsdecode(unquote_to_bytes(place)))
        case other:
            raise ImageError(f"Addresses with {other} cannot be fetched.", hint="Download the picture first.")


def _from_data_uri(uri: str) -> bytes:
    head, comma, body = uri.partition(",")
    if not comma:
        raise ImageError("The data URI has no comma, so no data.", hint="It reads data:image/png;base64,….")
    if head.lower().endswith(";asset_id"):
        raise ImageError("The data URI names an asset, not a picture.", hint="Pass the Asset itself.")
    if not head.lower().endswith(";base64"):
        return unquote_to_bytes(encodable(body))
    packed = "".join(unquote(body).split()).translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ImageError("The data URI does not hold valid base64.", hint="Copy it again, whole.") from None


def _from_path(text: str) -> tuple[bytes, str | None]:
    if not text.strip():
        raise ImageError("The path of the picture is empty.", hint=f"Pass {_ACCEPTED}.")
    path = expanded(text)
    name = path.name or text
    try:
        _check_file(path.stat(), repr(name))
        return path.read_bytes(), name
    except ImageError:
        raise
    except FileNotFoundError:
        raise _missing(path) from None
    except PermissionError:
        raise ImageError(
            f"{name!r} cannot be read: this user lacks permission.", hint="Change its permissions."
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageError(f"{name[:80]!r} cannot be read: {reason}.", hint=f"Pass {_ACCEPTED}.") from None


def _check_file(status: os.stat_result, subject: str) -> None:
    if stat.S_ISDIR(status.st_mode):
        hint = f"{SEVERAL}, or pass the path of one file in it."
        raise ImageError(f"{subject} is a folder, not a picture.", hint=hint)
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(f"{subject} is not an ordinary file.", hint="Pass the path of a picture.")
    if status.st_size > MAX_BYTES:
        raise _too_large(subject)


def _missing(path: Path) -> ImageError:
    if path.is_symlink():
        target = os.readlink(path)  # noqa: PTH115 - a text
        message = f"{path.name!r} is a link to {target!r}, which does not exist."
        return ImageError(message, hint="Correct the link, or pass the path of the picture itself.")
    if has_magic(str(path)):
        message = f"{path.name!r} is a pattern for several files, not a picture."
        raise ImageError(message, hint=f"{SEVERAL}, or pass the path of one file.")
    folder = path.parent
    if not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir() raises where a folder above may not be read
        return ImageError(f"The folder {str(folder)!r} does not exist.", hint=f"This runs in {here()}.")
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in islice(entries, _COMPARED)]
    except OSError:
        names = []
    guess = did_you_mean(path.name, names, cutoff=0.6)
    looked = folder if folder.is_absolute() else here() / folder
    return ImageError(f"The file {path.name!r} does not exist.", hint=f"{guess}Looked in {looked}.")


def _from_file(file: Any) -> tuple[bytes, str | None]:
    try:
        data = _drained(file)
        if not data and file.seekable():
            # A file that was just written or read is read again from its start.
            file.seek(0)
            data = _drained(file)
    except ImageError:
        raise
    except Exception as error:
        message = f"The file cannot be read: {reason(error)}."
        raise ImageError(message, hint="Open it again, with mode 'rb'.") from error
    name = getattr(file, "name", None)
    # An open file without a path is called "<stdin>" or "<fdopen>".
    return data, Path(name).name if isinstance(name, str) and not name.startswith("<") else None


def _drained(file: Any) -> bytes:
    parts: list[bytes] = []
    left = MAX_BYTES
    try:
        part = file.read(_CHUNK)
    except TypeError:
        # The read() of a response of httpx takes no size, and returns everything.
        return _checked(file.read())
    while part := _checked(part):
        left -= len(part)
        if left < 0:
            raise _too_large("The file")
        parts.append(part)
        part = file.read(_CHUNK)
    return b"".join(parts)


def _checked(part: Any) -> bytes:
    if isinstance(part, bytes | bytearray | memoryview):
        return bytes(part)
    if isinstance(part, str):
        raise ImageError("The file was opened as text.", hint="Open it with mode 'rb'.")
    if part is None:
        message = "The file's read() returned None: it has no bytes yet."
        raise ImageError(message, hint="Wait for the bytes, or open the file as a blocking one.")
    kind = type(part).__name__
    raise ImageError(f"The file's read() returned {kind}, not bytes.", hint="Open it with mode 'rb'.")


def unwrapped(source: Any) -> tuple[Any, str | None]:
    """Take a picture out of the dictionaries that hold one, with its name; return other sources as they are.

    Hugging Face's datasets have `{"bytes": …, "path": …}`; the other one is the value of an
    `ipywidgets.FileUpload`.

    Raises
    ------
    ImageError
        If the dictionary holds nothing, or the upload not exactly one file.
    """
    if isinstance(source, Mapping) and source and set(source) <= {"bytes", "path"}:
        path = source.get("path")
        if (data := source.get("bytes")) is not None:
            return data, path if isinstance(path, str) else None
        if path is None:
            raise ImageError("The dictionary holds neither bytes nor a path.", hint="Pass a picture.")
        return path, None
    files = _uploaded(source)
    if files is None:
        return source, None
    if len(files) != 1:
        message = f"The upload holds {len(files)} files, not one." if files else "No file was uploaded yet."
        raise ImageError(message, hint="Pass one of them, or all to nbvlm.batch.")
    name = files[0].get("name")
    return files[0]["content"], name if isinstance(name, str) else None


def _uploaded(source: Any) -> list[Mapping[str, Any]] | None:
    """Return the files of an upload: its whole value in version 8 or 7 of ipywidgets, or one file of it."""
    if _is_upload(source):
        return [source]
    if isinstance(source, tuple) and all(map(_is_upload, source)):
        return list(source)
    if isinstance(source, Mapping) and source and all(map(_is_upload, source.values())):
        return [{"name": name, **file} for name, file in source.items()]
    return None


def _is_upload(value: Any) -> bool:
    content = value.get("content") if isinstance(value, Mapping) else None
    return isinstance(content, bytes | bytearray | memoryview)


def _too_large(subject: str) -> ImageError:
    return ImageError(
        f"{subject} is larger than {MAX_BYTES // 2**20} MiB.",
        hint="Shrink it; models see 224 to 896 pixels a side.",
    )


def is_array(source: Any) -> TypeGuard[np.ndarray[Any, Any]]:
    """Return whether this is a numpy array, without importing numpy."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(source, numpy.ndarray)


def from_array(array: np.ndarray[Any, Any]) -> Image.Image:
    """Make an image from an H×W, H×W×3 or H×W×4 array of uint8; the error says how to change others."""
    if array.dtype != "uint8":
        raise ImageError(f"The array holds {array.dtype}, not uint8.", hint=_cast(array))
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)) or 0 in array.shape:
        raise ImageError(f"The array's shape is {array.shape}.", hint=_reshape(array))
    import numpy as np

    return Image.fromarray(np.ascontiguousarray(array))


def _cast(array: np.ndarray[Any, Any]) -> str:
    if array.dtype.kind == "f":
        return "For values from 0 to 1, pass (array * 255).round().astype('uint8')."
    if array.dtype.kind == "b":
        return "Pass array.astype('uint8') * 255."
    return "Scale the values to 0…255 and pass array.astype('uint8')."


def _reshape(array: np.ndarray[Any, Any]) -> str:
    if array.ndim == 3 and array.shape[2] == 1:
        return "Pass array[:, :, 0]."
    if array.ndim == 3 and array.shape[0] in (3, 4):
        return "Pass array.transpose(1, 2, 0)."
    if array.ndim == 4:
        return "Pass one picture of the batch: array[0]."
    return "Pass H×W, H×W×3 or H×W×4."
