r"""Server-sent events from bytes, however they are cut.

The rules are those of the WHATWG (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream),
with one liberty: what stands behind the last blank line when the stream ends is an event too, since some
services leave the last blank line out.

>>> decoder = Decoder()
>>> [event.data for event in decoder.feed(b'data: {"a": 1}\n\ndata: [DO')]
[b'{"a": 1}']
>>> [event.data for event in decoder.feed(b"NE]\n\n")]
[b'[DONE]']
"""

from __future__ import annotations

import msgspec

__all__ = ["LONGEST_EVENT", "Decoder", "Event"]

LONGEST_EVENT = 8 * 1024 * 1024
"""Bytes that an unfinished event may have; the service's own limit is 4 MB."""
_BOM = b"\xef\xbb\xbf"


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event."""

    data: bytes
    event: str = "message"
    id: str = ""


class Decoder:
    """Turn pieces of a stream into events."""

    __slots__ = ("_beginning", "_id", "_skip_line_feed", "_tail")

    def __init__(self) -> None:
        self._tail = b""
        self._id = ""
        self._beginning = True
        self._skip_line_feed = False

    def feed(self, piece: bytes) -> list[Event]:
        """Take the next bytes and return the events that they complete."""
        if self._beginning or self._skip_line_feed or b"\r" in piece:
            piece = self._normalise(piece)
        text = self._tail + piece if self._tail else piece
        cut = text.rfind(b"\n\n")
        if cut < 0:
            if len(text) > LONGEST_EVENT:
                self._tail = b""
                raise ValueError(f"An event of the stream is longer than {LONGEST_EVENT} bytes.")
            self._tail = text
            return []
        self._tail = text[cut + 2 :]
        if not self._id and text.startswith(b"data: ") and text.find(b"\n") == cut:
            return [Event(text[6:cut])]
        return self._events(text[:cut])

    def close(self) -> list[Event]:
        """End the stream and return what its last, unfinished block holds."""
        rest, self._tail = self._tail, b""
        return self._events(rest.rstrip(b"\n")) if rest else []

    def _normalise(self, piece: bytes) -> bytes:
        """Make every line end a line feed, and take a byte order mark off the beginning."""
        if not piece:
            return piece
        if self._skip_line_feed:
            piece = piece.removeprefix(b"\n")
            self._skip_line_feed = False
        if piece.endswith(b"\r"):
            self._skip_line_feed = True
        piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return self._without_mark(piece) if self._beginning else piece

    def _without_mark(self, piece: bytes) -> bytes:
        text, self._tail = self._tail + piece, b""
        if len(text) < len(_BOM) and _BOM.startswith(text):
            self._tail = text
            return b""
        self._beginning = False
        return text.removeprefix(_BOM)

    def _events(self, text: bytes) -> list[Event]:
        blocks = text.split(b"\n\n")
        # Each is one line of data, as almost always: read at once.
        ends = len(blocks) - 1
        alike = text.startswith(b"data: ") and text.count(b"\n\ndata: ") == ends
        if alike and text.count(b"\n") == 2 * ends and not self._id:
            return [Event(block[6:]) for block in blocks]
        return [event for block in blocks if (event := self._block(block)) is not None]

    def _block(self, block: bytes) -> Event | None:
        data: list[bytes] = []
        kind = ""
        for line in block.split(b"\n"):
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"data":
                data.append(value)
            elif name == b"event":
                kind = value.decode("utf-8", "replace")
            elif name == b"id" and b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
        return Event(b"\n".join(data), kind or "message", self._id) if data else None
