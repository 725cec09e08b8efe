"""The choice of a picture: samples, files from the browser, addresses and paths.

A file comes in pieces of at most 1 MiB, acknowledged one by one and verified at the end: a websocket message
of 10 MiB or more is lost without a word, and a file that is part of a widget's state would be echoed back and
saved with the notebook.
"""

from __future__ import annotations

import threading
import zlib
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nbvlm.errors import ImageError
from nbvlm.widgets._base import OfferingWidget
from nbvlm.widgets.esm import script
from nbvlm.widgets.messages import PIECE, Message, either, fields, optional, text, whole
from nbvlm.widgets.offers import NotOffered, is_address

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbvlm.widgets.offers import Offer

__all__ = ["LIMIT", "PickerPage", "Upload", "UploadReceiver"]

#: Largest file that is taken, in bytes.
LIMIT = 512 * 2**20
#: Files under way at most.
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that has arrived whole: its name without directories, its bytes, and what it was sent with.

    Files that were chosen or dropped together have the same `group`; "" for one alone.
    """

    name: str
    data: bytes = field(repr=False)
    group: str = ""


@dataclass(slots=True)
class _PartialUpload:
    name: str
    size: int
    group: str = ""
    data: bytearray = field(default_factory=bytearray, repr=False)
    checksum: int = 0


class UploadReceiver:
    """Puts files together from the messages of the file buttons; pages may send some at the same time.

    A `begin` message starts a file; `chunk` messages carry one buffer each; `end` carries the CRC-32 of all
    bytes; `cancel` drops the file. Each carries the `id` of its file. A page that goes away leaves its file
    unfinished: the oldest ones are dropped where all of them together are too large.

    Examples
    --------
    >>> receiver = UploadReceiver()
    >>> _ = receiver.take({"type": "begin", "id": 1, "name": "a.png", "size": 3}, [])
    >>> _ = receiver.take({"type": "chunk", "id": 1, "offset": 0}, [b"abc"])
    >>> receiver.take({"type": "end", "id": 1, "crc": zlib.crc32(b"abc")}, [])[1].data
    b'abc'
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[str, _PartialUpload] = {}

    def take(
        self, message: Mapping[str, Any], buffers: Sequence[bytes | memoryview]
    ) -> tuple[dict[str, Any] | None, Upload | None]:
        """Take one message; return the reply that the browser waits for, and on `end` the finished file.

        An `ImageError` says that the file is empty, too large, or did not arrive as it was sent.
        """
        with self._lock:
            return self._take(message["id"], message, buffers)

    def _take(
        self, key: str, message: Mapping[str, Any], buffers: Sequence[bytes | memoryview]
    ) -> tuple[dict[str, Any] | None, Upload | None]:
        if message["type"] == "begin":
            return self._begin(key, message), None
        upload = self._files.get(key)
        if message["type"] == "cancel":
            self._files.pop(key, None)
            return None, None
        if upload is None:  # dropped for others: the page is not to wait for an answer
            return {"type": "refused", "id": key}, None
        try:
            if message["type"] == "chunk":
                return self._append(key, upload, message, buffers), None
            return {"type": "arrived", "id": key}, self._finish(key, upload, message)
        except ImageError:
            self._files.pop(key, None)
            raise

    def _begin(self, key: str, message: Mapping[str, Any]) -> dict[str, Any]:
        self._files.pop(key, None)
        name, size = _base_name(str(message["name"])), int(message["size"])
        if size == 0:
            raise ImageError(f"The file {name} is empty.", hint="Choose a PNG or JPEG picture.")
        if size > LIMIT:
            raise ImageError(
                f"The file {name} has {size / 2**20:.0f} MiB; the panel takes at most {LIMIT // 2**20} MiB.",
                hint="Shrink the picture, or pass its path to Panel(image=...).",
            )
        while self._files and (
            len(self._files) >= AT_ONCE or sum(one.size for one in self._files.values()) + size > LIMIT
        ):
            self._files.pop(next(iter(self._files)))
        self._files[key] = _PartialUpload(name, size, str(message.get("group") or ""))
        return {"type": "received", "id": key, "bytes": 0}

    def _append(
        self,
        key: str,
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

    def _finish(self, key: str, upload: _PartialUpload, message: Mapping[str, Any]) -> Upload:
        if len(upload.data) != upload.size or int(message["crc"]) != upload.checksum:
            raise _broken(upload.name)
        del self._files[key]
        return Upload(upload.name, bytes(upload.data), upload.group)


def _base_name(name: str) -> str:
    return name.replace("\\", "/").rsplit("/", 1)[-1] or "picture"


def _broken(name: str) -> ImageError:
    return ImageError(f"The file {name} did not arrive as it was sent.", hint="Choose it again.")


_FILES = frozenset({"begin", "chunk", "end", "cancel"})
_ID = either(text, whole)


class PickerPage(OfferingWidget):
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
    offer
        What is offered, of samples, upload, camera, link and path; None takes the host's default.
    """

    _esm = script("picker", "picker")
    kind = "picker"
    css_class = "nbvlm-picker"
    needs = MappingProxyType({"choose": "samples", "complete": "path", "begin": "upload"})
    messages = MappingProxyType(
        {
            "choose": Message(index=whole, fields=optional(fields)),
            "open": Message(place=text),
            "complete": Message(text=text),
            "cancel-open": Message(),
            "route": Message(route=text),
            "reset": Message(),
            "begin": Message(id=_ID, name=text, size=whole, group=optional(text)),
            "chunk": Message(PIECE, id=_ID, offset=whole),
            "end": Message(id=_ID, crc=whole),
            "cancel": Message(id=_ID),
        }
    )

    def __init__(
        self,
        *,
        on_message: Callable[[Mapping[str, Any]], None],
        on_upload: Callable[[Upload], None],
        on_error: Callable[[Exception], None],
        offer: Offer | None = None,
    ) -> None:
        self._receiver = UploadReceiver()
        self._on_upload, self._on_error = on_upload, on_error
        super().__init__(on_message, offer=offer, on_refused=on_error)

    def needed(self, message: Mapping[str, Any]) -> str | None:
        """Return the name of what a message asks for; typed text is an address or a path."""
        if message["type"] == "open":
            return "link" if is_address(message["place"]) else "path"
        # A picture of the camera arrives as a file: Python cannot tell the two apart.
        if message["type"] == "begin" and "camera" in self.allowed:
            return "camera"
        return super().needed(message)

    def turn_away(self, error: NotOffered, message: Mapping[str, Any]) -> None:
        """Report a message that asks for what is not offered; a page that sends a file stops waiting."""
        if message["type"] in _FILES:
            self.send({"type": "refused", "id": message.get("id")})
        super().turn_away(error, message)

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

    def send_all(self) -> None:
        """Let the owner send everything."""
        super().take({"type": "hello"}, ())

    def take(self, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Take a piece of a file, or pass the message on; errors go to the owner."""
        if message["type"] not in _FILES:
            super().take(message, buffers)
            return
        try:
            self._take_file(message, buffers)
        except Exception as error:  # noqa: BLE001 - ipywidgets would swallow it
            self._on_error(error)

    def close(self) -> None:
        """Take the widget off the page, and drop files under way."""
        self._receiver = UploadReceiver()
        super().close()

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
