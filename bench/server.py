"""A server for the benchmarks: one process, asyncio, as little work per request as possible.

Each mode has a port of its own; the ports are printed as one JSON object. `bench/client.py` runs it with the
number of events of a long stream.

packed, packed-boxes    a stream of events, packed into HTTP chunks of 16 KB
single, single-boxes    the same, one HTTP chunk for each event
short                   a stream of twelve events in one write
ready, slow, slower     a JSON answer, at once, 50 or 200 ms after the request
assets                  asset creation, upload and deletion; `short` for the model

The connections of `assets` have the receive window that Linux begins with, as an upload over a network
meets it. Left to grow, as it does on loopback, it takes or does not take 50 MB in a single call, by chance.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from typing import Any

WORDS = [" red", " house", " with", " a", " tree", " and", " two", " boats"]
WINDOW = 131_072
WAITS = {"ready": 0.0, "slow": 0.05, "slower": 0.2}
BOXES = ["<loc0100>", "<loc0200>", "<loc0300>", "<loc0400>", " cat", " ;"]


def chunk(text: str, reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": reason}
    return (
        b"data: %s\n\n"
        % json.dumps(
            {
                "id": "3f1c2d7e-5a54-4a0e-9b8a-0c7f2f6f1a11",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": "m",
                "choices": [choice],
            }
        ).encode()
    )


def events(texts: list[str], count: int) -> list[bytes]:
    made = [chunk(text) for text in texts]
    return [*(made[index % len(made)] for index in range(count)), chunk("", "stop"), b"data: [DONE]\n\n"]


def framed(pieces: list[bytes]) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def packed(pieces: list[bytes], size: int = 16_384) -> list[bytes]:
    whole = b"".join(pieces)
    return [whole[start : start + size] for start in range(0, len(whole), size)]


HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
    b"nvcf-reqid: 11111111-2222-3333-4444-555555555555\r\n\r\n"
)
ANSWER = json.dumps(
    {
        "id": "c0ffee",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "a red car"}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 265, "completion_tokens": 12, "total_tokens": 277},
    }
).encode()


def plain(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
        status,
        len(body),
        body,
    )


class Server(asyncio.BufferedProtocol):
    """One connection; `respond` answers a request whose body has been counted, not kept."""

    opened = 0

    def __init__(self, mode: str, made: dict[str, Any]) -> None:
        self.mode, self.made = mode, made
        self.buffer, self.left = b"", 0
        self.head: list[bytes] = []
        self.view = memoryview(bytearray(1 << 18))

    def connection_made(self, transport: Any) -> None:
        type(self).opened += 1
        self.transport = transport

    def connection_lost(self, _exc: Exception | None) -> None:
        self.transport = None

    def get_buffer(self, _hint: int) -> memoryview:
        return self.view

    def buffer_updated(self, count: int) -> None:
        if self.left > count:
            self.left -= count
            return
        data = bytes(self.view[:count])
        if self.left:
            data, self.left = data[self.left :], 0
            self.respond()
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
            self.head = head.split(b"\r\n")
            length = next(
                (int(line[15:]) for line in self.head if line.lower().startswith(b"content-length:")), 0
            )
            taken = min(length, len(self.buffer))
            self.buffer = self.buffer[taken:]
            self.left = length - taken
            if self.left:
                return
            self.respond()

    def respond(self) -> None:
        target = self.head[0].split(b" ")[1]
        if target == b"/opened":
            self.transport.write(plain(str(Server.opened).encode()))
        elif target.endswith(b"/models"):
            self.transport.write(plain(b'{"object":"list","data":[{"id":"m","object":"model"}]}'))
        elif wait := WAITS.get(self.mode):
            asyncio.get_running_loop().call_later(wait, self.later)
        elif self.mode in WAITS:
            self.later()
        elif self.mode == "assets" and not target.startswith(b"/v1/"):
            self.asset(self.head[0])
        else:
            self.transport.write(HEAD + self.made[self.mode])

    def later(self) -> None:
        if self.transport is not None:
            self.transport.write(plain(ANSWER))

    def asset(self, line: bytes) -> None:
        if line.startswith(b"POST"):
            host, port = self.transport.get_extra_info("sockname")[:2]
            url = f"http://{host}:{port}/put/1?X-Amz-Signature=0"
            self.transport.write(plain(json.dumps({"assetId": "a-1", "uploadUrl": url}).encode()))
        elif line.startswith(b"DELETE"):
            self.transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        else:
            self.transport.write(plain(b""))


async def main() -> None:
    count = int(sys.argv[1])
    made = {
        "packed": framed(packed(events(WORDS, count))),
        "packed-boxes": framed(packed(events(BOXES, count))),
        "single": framed(events(WORDS, count)),
        "single-boxes": framed(events(BOXES, count)),
        "short": framed([b"".join(events(WORDS, 12))]),
        "assets": framed([b"".join(events(WORDS, 12))]),
        **dict.fromkeys(WAITS, b""),
    }
    loop = asyncio.get_running_loop()
    ports = {}
    for mode in made:
        opened = socket.socket()
        if mode == "assets":
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)
        opened.bind(("127.0.0.1", 0))
        await loop.create_server(lambda mode=mode: Server(mode, made), sock=opened, backlog=1024)
        ports[mode] = opened.getsockname()[1]
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
