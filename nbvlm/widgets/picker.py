"""The choice of a picture: samples, files from the browser, addresses and paths.

A file comes in pieces of at most 1 MiB, acknowledged one by one and verified at the end: a websocket message
of 10 MiB or more is lost without a word, and a file that is part of a widget's state would be echoed back and
saved with the notebook.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbvlm.errors import ImageError
from nbvlm.widgets._base import PageWidget
from nbvlm.widgets.esm import script, style

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["LIMIT", "Picker", "Upload", "UploadReceiver"]

#: Largest file that is taken, in bytes.
LIMIT = 512 * 2**20


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that has arrived whole: its name without directories, and its bytes."""

    name: str
    data: bytes = field(repr=False)


@dataclass(slots=True)
class _PartialUpload:
    name: str
    size: int
    data: bytearray = field(default_factory=bytearray, repr=False)
    checksum: int = 0


class UploadReceiver:
    """Puts one file at a time together from the messages of the file button.

    A `begin` message starts a file and drops an unfinished one; `chunk` messages carry one buffer each;
    `end` carries the CRC-32 of all bytes; `cancel` drops the file.

    Examples
    --------
    >>> receiver = UploadReceiver()
    >>> _ = receiver.take({"type": "begin", "id": 1, "name": "a.png", "size": 3}, [])
    >>> _ = receiver.take({"type": "chunk", "id": 1, "offset": 0}, [b"abc"])
    >>> receiver.take({"type": "end", "id": 1, "crc": zlib.crc32(b"abc")}, [])[1].data
    b'abc'
    """

    def __init__(self) -> None:
        self._files: dict[int, _PartialUpload] = {}

    def take(
        self, message: Mapping[str, Any], buffers: Sequence[bytes | memoryview]
    ) -> tuple[dict[str, Any] | None, Upload | None]:
        """Take one message; return the reply that the browser waits for, and on `end` the finished file.

        An `ImageError` says that the file is empty, too large, or did not arrive as it was sent.
        """
        key = int(message["id"])
        if message["type"] == "begin":
            return self._begin(key, message), None
        upload = self._files.get(key)
        if upload is None or message["type"] == "cancel":
            self._files.pop(key, None)
            return None, None
        try:
            if message["type"] == "chunk":
                return self._append(key, upload, message, buffers), None
            return {"type": "arrived", "id": key}, self._finish(key, upload, message)
        except ImageError:
            self._files.pop(key, None)
            raise

    def _begin(self, key: int, message: Mapping[str, Any]) -> dict[str, Any]:
        self._files.clear()
        name, size = _base_name(str(message["name"])), int(message["size"])
        if size == 0:
            raise ImageError(f"The file {name} is empty.", hint="Choose a PNG or JPEG picture.")
        if size > LIMIT:
            raise ImageError(
                f"The file {name} has {size / 2**20:.0f} MiB; the panel takes at most {LIMIT // 2**20} MiB.",
                hint="Shrink the picture, or pass its path to Panel(image=...).",
            )
        self._files[key] = _PartialUpload(name, size)
        return {"type": "received", "id": key, "bytes": 0}

    def _append(
        self,
        key: int,
        upload: _PartialUpload,
        message: Mapping[str, Any],
        buffers: Sequence[bytes | memoryview],
    ) -> dict[str, Any]:
        chunk = buffers[0] if buffers else b""
        if int(message["offset"]) != len(upload.data) or len(upload.data) + len(chunk) > upload.size:
            raise _broken(upload.name)
        upload.data += chunk
        upload.checksum = zlib.crc32(chunk, upload.checksum)
        return {"type": "received", "id": key, "bytes": len(upload.data)}

    def _finish(self, key: int, upload: _PartialUpload, message: Mapping[str, Any]) -> Upload:
        if len(upload.data) != upload.size or int(message["crc"]) != upload.checksum:
            raise _broken(upload.name)
        del self._files[key]
        return Upload(upload.name, bytes(upload.data))


def _base_name(name: str) -> str:
    return name.replace("\\", "/").rsplit("/", 1)[-1] or "picture"


def _broken(name: str) -> ImageError:
    return ImageError(f"The file {name} did not arrive as it was sent.", hint="Choose it again.")


_FILES = frozenset({"begin", "chunk", "end", "cancel"})


class Picker(PageWidget):
    """Shows the samples and the other ways to a picture, and reports the choice or an uploaded file.

    It holds no picture itself: the owner sends everything that it shows, and none of it is in a synced trait.

    Parameters
    ----------
    on_message
        Called with each message of the page but those of a file under way; `type` is "hello" (a page opens),
        "choose" (`index` of a sample), "open" (`place`: an address or a path), "complete" (`text` of a path),
        "cancel-open", "route" (`route`) or "reset".
    on_upload
        Called with a file that has arrived whole.
    on_error
        Called with an error on the way.
    """

    _esm = script("picker")
    _css = style("picker")
    css_class = "nbvlm-picker"

    def __init__(
        self,
        *,
        on_message: Callable[[Mapping[str, Any]], None],
        on_upload: Callable[[Upload], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        self._receiver = UploadReceiver()
        self._on_upload, self._on_error = on_upload, on_error
        super().__init__(on_message)

    def gallery(self, titles: Sequence[str], thumbnails: Sequence[bytes], mime: str = "image/png") -> None:
        """Show the samples, in order."""
        self.send({"type": "gallery", "titles": list(titles), "mime": mime}, buffers=list(thumbnails))

    def chosen(
        self,
        name: str,
        detail: str,
        index: int | None,
        *,
        way: str = "",
        route: str = "auto",
        routes: Sequence[str] = (),
        thumbnail: Sequence[bytes] = (),
    ) -> None:
        """Show which picture is chosen: its name, its size in words, and its number if it is a sample.

        `way` says in words how it will travel; the thumbnail is a small PNG, or nothing.
        """
        facts = {"name": name, "detail": detail, "index": index, "way": way, "route": route}
        message = {"type": "chosen", **facts, "routes": list(routes), "mime": "image/png"}
        self.send(message, buffers=list(thumbnail))

    def opening(self, name: str) -> None:
        """Show the address or path that is being read; "" for none."""
        self.send({"type": "opening", "name": name})

    def completions(self, text: str, places: Sequence[str]) -> None:
        """Offer paths that begin as the typed text does."""
        self.send({"type": "completions", "text": text, "places": list(places)})

    def receive(self, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Take one message of the page; errors go to the owner."""
        try:
            if message["type"] in _FILES:
                self._take_file(message, buffers)
            else:
                self.take(message, buffers)
        except Exception as error:  # noqa: BLE001 - ipywidgets would swallow it
            self._on_error(error)

    def _take_file(self, message: Mapping[str, Any], buffers: Sequence[memoryview]) -> None:
        try:
            reply, upload = self._receiver.take(message, buffers)
        except Exception:
            self.send({"type": "refused", "id": message.get("id")})
            raise
        if reply is not None:
            self.send(reply)
        if upload is not None:
            self._on_upload(upload)
