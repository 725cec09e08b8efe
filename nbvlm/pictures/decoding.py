"""Pillow's decoders on a leash: one reader at a time, silent, and every failure an `ImageError`."""

from __future__ import annotations

import importlib.util
import io
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from PIL import Image

from nbvlm.errors import ImageError
from nbvlm.pictures import sniff

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAX_PIXELS", "check_pixels", "decoding", "opened"]

MAX_PIXELS = 178_956_970
"""Pictures with more pixels are refused: as RGB they would take 512 MiB. Pillow's own limit is the same."""

_SHRINK = "Shrink it first; models see 224 to 896 pixels a side."
_AGAIN = "Download or copy it again."
_READERS = {
    "HEIF": "Install a reader: pip install pillow-heif. Or save the picture as JPEG.",
    "AVIF": "Update Pillow to 11.3 or later: pip install -U pillow. Or save the picture as JPEG.",
}


def opened(data: bytes, kind: str, subject: str) -> Image.Image:
    """Open `data` with Pillow's reader for `kind` alone; only the header is read.

    Parameters
    ----------
    data
        The whole file.
    kind
        Pillow's name of the format; no other reader is asked, so nothing that calls other programs.
    subject
        What to call the picture in an error.

    Raises
    ------
    ImageError
        If Pillow cannot read it, or it has more than `MAX_PIXELS`.
    """
    if kind == "HEIF" and importlib.util.find_spec("pillow_heif"):
        importlib.import_module("pillow_heif").register_heif_opener()
    Image.init()
    if kind not in Image.OPEN:
        raise ImageError(
            f"{subject} is in the format {sniff.words(kind)}, which Pillow cannot read here.",
            hint=_READERS.get(kind, "Save it as PNG or JPEG first."),
        )
    with decoding(subject, kind):
        image = Image.open(io.BytesIO(data), formats=[kind])
    check_pixels(*image.size, subject)
    return image


def check_pixels(width: int, height: int, subject: str) -> None:
    """Refuse what would fill the memory.

    Raises
    ------
    ImageError
        If there are more than `MAX_PIXELS`.
    """
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{subject} has {width:,} × {height:,} pixels: so many look like a decompression bomb.",
            hint=_SHRINK,
        )


@contextmanager
def decoding(subject: str, kind: str) -> Iterator[None]:
    """Run a decoder: silently, and with every failure as an `ImageError`.

    Parameters
    ----------
    subject
        What to call the picture in an error.
    kind
        Pillow's name of the format.
    """
    try:
        with _QUIET:
            yield
    except ImageError:
        raise
    except Image.DecompressionBombError:
        raise ImageError(
            f"{subject} has so many pixels that it looks like a decompression bomb.", hint=_SHRINK
        ) from None
    except MemoryError:
        raise ImageError(f"{subject} does not fit into memory.", hint=_SHRINK) from None
    except Exception as error:
        # Damaged bytes raise nearly anything in a decoder.
        reason = str(error).rstrip(".") or type(error).__name__
        raise ImageError(
            f"{subject} is a truncated or damaged {sniff.words(kind)} ({reason}).", hint=_AGAIN
        ) from error


class _Quiet:
    """Silence Pillow's warnings while somebody is inside: what they say is an `ImageError` or of no use.

    `warnings.catch_warnings` restores what it found, so two threads that overlap can leave a filter behind;
    here only the first one in and the last one out touch the filters.
    """

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
