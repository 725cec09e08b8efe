"""Files from the browser: pieces of at most 1 MiB, acknowledged one by one, verified at the end.

A websocket message of 10 MiB or more is lost without a word, so a file never travels in one; and a file that
is part of a widget's state would be echoed back and saved with the notebook, so it never is.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anywidget

from nbvlm.errors import ImageError
from nbvlm.widgets.esm import script, style

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["LIMIT", "Inbox", "Picker", "Upload"]

#: Largest file that is taken, in bytes.
LIMIT = 512 * 2**20


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that has arrived whole: its name without directories, and its bytes."""

    name: str
    data: bytes = field(repr=False)


@dataclass(slots=True)
class _Incoming:
    name: str
    size: int
    data: bytearray = field(default_factory=bytearray, repr=False)
    checksum: int = 0


class Inbox:
    """Puts one file at a time together from the messages of the file button.

    A `begin` message starts a file and drops an unfinished one; `chunk` messages carry one buffer each;
    `end` carries the CRC-32 of all bytes; `cancel` drops the file.

    Examples
    --------
    >>> inbox = Inbox()
    >>> _ = inbox.take({"type": "begin", "id": 1, "name": "a.png", "size": 3}, [])
    >>> _ = inbox.take({"type": "chunk", "id": 1, "offset": 0}, [b"abc"])
    >>> inbox.take({"type": "end", "id": 1, "crc": zlib.crc32(b"abc")}, [])[1].data
    b'abc'
    """

    def __init__(self) -> None:
        self._files: dict[int, _Incoming] = {}

    def take(
        self, message: Mapping[str, Any], buffers: Sequence[bytes | memoryview]
    ) -> tuple[dict[str, Any] | None, Upload | None]:
        """Take one message.

        Parameters
        ----------
        message
            `type` is one of "begin", "chunk", "end", "cancel".
        buffers
            The bytes of a chunk.

        Returns
        -------
        reply
            What the browser waits for before it goes on, else None.
        upload
            The finished file, on `end`.

        Raises
        ------
        ImageError
            The file is empty, too large, or did not arrive as it was sent.
        """
        key = int(message["id"])
        if message["type"] == "begin":
            return self._begin(key, message), None
        incoming = self._files.get(key)
        if incoming is None or message["type"] == "cancel":
            self._files.pop(key, None)
            return None, None
        try:
            if message["type"] == "chunk":
                return self._append(key, incoming, message, buffers), None
            return {"type": "arrived", "id": key}, self._finish(key, incoming, message)
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
        self._files[key] = _Incoming(name, size)
        return {"type": "received", "id": key, "bytes": 0}

    def _append(
        self, key: int, incoming: _Incoming, message: Mapping[str, Any], buffers: Sequence[bytes | memoryview]
    ) -> dict[str, Any]:
        chunk = buffers[0] if buffers else b""
        if int(message["offset"]) != len(incoming.data) or len(incoming.data) + len(chunk) > incoming.size:
            raise _broken(incoming.name)
        incoming.data += chunk
        incoming.checksum = zlib.crc32(chunk, incoming.checksum)
        return {"type": "received", "id": key, "bytes": len(incoming.data)}

    def _finish(self, key: int, incoming: _Incoming, message: Mapping[str, Any]) -> Upload:
        if len(incoming.data) != incoming.size or int(message["crc"]) != incoming.checksum:
            raise _broken(incoming.name)
        del self._files[key]
        return Upload(incoming.name, bytes(incoming.data))


def _base_name(name: str) -> str:
    return name.replace("\\", "/").rsplit("/", 1)[-1] or "picture"


def _broken(name: str) -> ImageError:
    return ImageError(f"The file {name} did not arrive as it was sent.", hint="Choose it again.")


_FILES = frozenset({"begin", "chunk", "end", "cancel"})


class Picker(anywidget.AnyWidget):  # type: ignore[misc] # the base class has no types
    """Chooses a picture.

    It knows no pictures: it tells its owner what was chosen, typed or has arrived, and shows what it is told.
    Nothing of that is in a synced trait.

    Parameters
    ----------
    on_message
        Called with each message of the page but those of a file under way; `type` is "hello" (a page opens
        and knows nothing yet), "choose" (`index` of a sample), "open" (`place`: an address or a path),
        "complete" (`text` of a path), "cancel-open", "route" (`route`) or "reset".
    on_upload
        Called with a file that has arrived whole.
    on_error
        Called with what went wrong on the way.
    """

    _esm = script("picker")
    _css = style("picker")

    def __init__(
        self,
        *,
        on_message: Callable[[Mapping[str, Any]], None],
        on_upload: Callable[[Upload], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        self._inbox = Inbox()
        self._on_message, self._on_upload, self._on_error = on_message, on_upload, on_error
        super().__init__()
        self.add_class("nbvlm-picker")
        self.on_msg(Picker.take)

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
        """Show which picture is chosen.

        Parameters
        ----------
        name, detail
            Its name, and its size in words.
        index
            Its number if it is a sample.
        way
            How it will travel, in words.
        route, routes
            The chosen route, and all that can be chosen.
        thumbnail
            A small PNG of it, or nothing.
        """
        facts = {"name": name, "detail": detail, "index": index, "way": way, "route": route}
        message = {"type": "chosen", **facts, "routes": list(routes), "mime": "image/png"}
        self.send(message, buffers=list(thumbnail))

    def opening(self, name: str) -> None:
        """Show what is being read or fetched; "" for nothing."""
        self.send({"type": "opening", "name": name})

    def take(self, message: Mapping[str, Any], buffers: Sequence[memoryview]) -> None:
        """Take one message of the page; whatever goes wrong is told to the owner."""
        try:
            if message["type"] in _FILES:
                self._take_file(message, buffers)
            else:
                self._on_message(message)
        except Exception as error:  # noqa: BLE001 - ipywidgets would swallow it
            self._on_error(error)

    def _take_file(self, message: Mapping[str, Any], buffers: Sequence[memoryview]) -> None:
        try:
            reply, upload = self._inbox.take(message, buffers)
        except Exception:
            self.send({"type": "refused", "id": message.get("id")})
            raise
        if reply is not None:
            self.send(reply)
        if upload is not None:
            self._on_upload(upload)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"
