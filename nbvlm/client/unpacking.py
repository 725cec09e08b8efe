"""Unpack a body piece by piece, so that a small one that grows a thousand times never stands in memory whole.

Requests ask for bodies that are not packed; some proxies pack them all the same. The decoders of httpx unpack
what has arrived at once, however large it becomes.

>>> import zlib
>>> unpacker = Unpacker("gzip")
>>> b"".join(unpacker.feed(zlib.compress(b"a red car")))
b'a red car'
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import httpx

from nbvlm._text import shorten, visible

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

__all__ = ["Unpacker", "awaited", "blocking"]

LARGEST_PIECE = 256 * 1024
"""Bytes that are unpacked at once."""
_DAMAGED = "The compressed answer is damaged."
_EITHER, _BARE = 47, -15
"""What `zlib` takes for gzip or zlib data, and for deflated data without a frame, which some servers send."""


class Unpacker:
    """Unpacks gzip and deflate; raises `httpx.DecodingError` for what is damaged, or packed otherwise."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._inner = zlib.decompressobj(_EITHER)
        self._begun = False

    def feed(self, packed: bytes) -> Iterator[bytes]:
        """Take the next packed bytes, and yield what they hold in pieces."""
        if self._coding not in ("gzip", "x-gzip", "deflate"):
            shown = shorten(visible(self._coding), 40)
            raise httpx.DecodingError(f"The answer is compressed as {shown}, which was not requested.")
        while packed and not self._inner.eof:
            try:
                piece = self._inner.decompress(packed, LARGEST_PIECE)
            except zlib.error:
                if self._begun or self._coding != "deflate":
                    raise httpx.DecodingError(_DAMAGED) from None
                self._inner, self._begun = zlib.decompressobj(_BARE), True
                continue
            self._begun = True
            packed = self._inner.unconsumed_tail
            yield piece

    def close(self) -> None:
        """Raise if the end is missing."""
        if self._begun and not self._inner.eof:
            raise httpx.DecodingError(_DAMAGED)


def blocking(coding: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Unpack the pieces of a body."""
    unpacker = Unpacker(coding)
    for piece in pieces:
        yield from unpacker.feed(piece)
    unpacker.close()


async def awaited(coding: str, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Unpack the pieces of an awaited body."""
    unpacker = Unpacker(coding)
    async for piece in pieces:
        for unpacked in unpacker.feed(piece):
            yield unpacked
    unpacker.close()
