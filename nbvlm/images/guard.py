"""Decoders under guard: limits of memory and time, silence, and every failure as an `ImageError`."""

from __future__ import annotations

import io
import re
import threading
import time
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from PIL import Image, UnidentifiedImageError

from nbvlm._text import reason
from nbvlm.errors import ImageError
from nbvlm.images import formats

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "MAX_PIXELS",
    "MAX_SECONDS",
    "TimedBytes",
    "TooSlow",
    "check_pixels",
    "damaged",
    "decoding",
    "open_file",
    "truncated",
    "unsupported",
]

MAX_PIXELS = 120_000_000
"""Pictures with more pixels are refused: decoded they take 4 bytes a pixel, and 8 while they are turned."""

MAX_SECONDS = 20.0
"""Seconds of computing after which decoding is given up; a photograph of 100 megapixels takes 1 to 5."""

_SHRINK = "Shrink it first; models see 224 to 896 pixels a side."
_AGAIN = "Download or copy it again."


def open_file(file: Any, kind: str) -> Image.Image:
    """Open a file by Pillow, inside `decoding`: the only place of the package that does."""
    return Image.open(file, formats=[kind])


class TooSlow(Exception):
    """Decoding takes too long."""


class TimedBytes(io.BytesIO):
    """A file in memory that can be read for `MAX_SECONDS` of this thread's computing only."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._end = time.thread_time() + MAX_SECONDS

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes."""
        if time.thread_time() > self._end:
            raise TooSlow
        return super().read(size)


def check_pixels(width: int, height: int, subject: str, most: int | None = None) -> None:
    """Refuse a picture of more than `MAX_PIXELS`, or even `most`: it would fill the memory."""
    if width * height > min(MAX_PIXELS, most or MAX_PIXELS):
        message = f"{subject} has {width:,} × {height:,} pixels: so many look like a decompression bomb."
        raise ImageError(message, hint=_SHRINK)


@contextmanager
def decoding(subject: str, kind: str) -> Iterator[None]:
    """Run a decoder: silently, and with every failure as an `ImageError` that begins with the `subject`."""
    try:
        with _QUIET:
            yield
    except ImageError:
        raise
    except Image.DecompressionBombError:
        message = f"{subject} has so many pixels that it looks like a decompression bomb."
        raise ImageError(message, hint=_SHRINK) from None
    except UnidentifiedImageError:
        if kind in ("PNG", "JPEG"):
            raise damaged(subject, kind, "its header is invalid") from None
        raise unsupported(subject, f"a kind of {formats.words(kind)} that Pillow cannot read") from None
    except MemoryError:
        raise ImageError(f"{subject} does not fit into memory.", hint=_SHRINK) from None
    except TooSlow:
        message = f"{subject} takes more than {MAX_SECONDS:g} s to decode."
        raise ImageError(message, hint="Save it again as PNG or JPEG, and smaller.") from None
    except Exception as error:
        # Damaged bytes raise nearly anything in a decoder.
        words = reason(error)
        if isinstance(error, NotImplementedError) or _UNSUPPORTED.search(words):
            kind = f"a kind of {formats.words(kind)} that Pillow cannot read ({words})"
            raise unsupported(subject, kind) from error
        message = f"{subject} is a truncated or damaged {formats.words(kind)} ({words})."
        raise ImageError(message, hint=_AGAIN) from error


_UNSUPPORTED = re.compile(
    r"(?i)unsupported|not supported|not available|unknown (?:raw mode|pixel mode|compression)"
)


def unsupported(subject: str, words: str) -> ImageError:
    """Return the error for a whole file that is not supported; the hint names the formats that are."""
    return ImageError(f"{subject} is {words}.", hint=formats.SAVE_AS)


class _Quiet:
    """Silence Pillow's warnings while any thread is inside: each is an `ImageError` or of no use."""

    # `warnings.catch_warnings` restores the filters that it found, so two threads that overlap can leave one
    # behind; here only the first one in and the last one out touch the filters.

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filters: Any = None

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL(\.|$)")

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._filters.__exit__(None, None, None)


_QUIET = _Quiet()


def truncated(subject: str, kind: str, file: BinaryIO) -> ImageError:
    """Return the error for a file without its end."""
    length = f"it stops after {file.seek(0, io.SEEK_END):,} bytes"
    return ImageError(f"{subject} is a truncated {kind}: its end is missing ({length}).", hint=_AGAIN)


def damaged(subject: str, kind: str, fault: str) -> ImageError:
    """Return the error for a file with a fault."""
    return ImageError(f"{subject} is a damaged {kind}: {fault}.", hint=_AGAIN)
