"""A server that misbehaves, for `bench/chaos.py`: one process, raw sockets under asyncio.

The answer to question N is always `expected(N)`, so that a client can tell a wrong result. What happens to a
request is drawn from the seed, the question and how often it has come. `python bench/chaos_server.py SEED`
prints its port; `GET /count` answers which assets were created and which are still there.
"""

# ruff: noqa: ARG001 - all misbehaviours have one signature

from __future__ import annotations

import asyncio
import collections
import contextlib
import gzip
import json
import random
import re
import socket
import struct
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

STALL = 60.0  # longer than any limit of the client
QUESTION = re.compile(rb"question (\d+)")
RETRIED = ("busy", "failing")


def expected(number: int) -> str:
    """Return the right answer: words, boxes, or letters of many scripts."""
    chance = random.Random(f"answer {number}")
    kind = chance.randrange(3)
    if kind == 0:
        locations = "".join(f"<loc{chance.randrange(1024):04d}>" for _ in range(4))
        return " ; ".join(f"{locations} thing {number}" for _ in range(chance.randrange(1, 12)))
    letters = 'abcdefg é猫🐈\\"<>' if kind == 1 else "abcdefg "
    return f"{number} " + "".join(chance.choices(letters, k=chance.randrange(600)))


def message(text: str) -> bytes:
    """Return the JSON of a whole answer."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return json.dumps({"id": "x", "choices": [choice]}).encode()


def events(text: str, *, reason: bool = True, done: bool = True) -> bytes:
    """Return an answer as server-sent events."""
    pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
    written = [{"index": 0, "delta": {"content": piece}, "finish_reason": None} for piece in pieces]
    if reason:
        written.append({"index": 0, "delta": {"content": ""}, "finish_reason": "stop"})
    lines = [b"data: %s\n\n" % json.dumps({"id": "x", "choices": [one]}).encode() for one in written]
    return b"".join(lines) + (b"data: [DONE]\n\n" if done else b"")


def head(status: str, length: int | None = None, kind: str = "application/json", *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", *more]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Answer:
    """What is written, in pieces; `end` says how the connection ends."""

    def __init__(self, *pieces: bytes | float, end: str = "keep") -> None:
        self.pieces, self.end = pieces, end


def _body(number: int, stream: bool) -> tuple[bytes, str]:
    text = expected(number)
    return (events(text), "text/event-stream") if stream else (message(text), "application/json")


def right(number: int, stream: bool, chance: random.Random) -> Answer:
    body, kind = _body(number, stream)
    way = chance.randrange(4)
    if way == 0:
        return Answer(head("200 OK", len(body), kind), body)
    if way == 1:  # closed at the end
        return Answer(head("200 OK", None, kind, "Connection: close") + body, end="close")
    size = 1 if way == 2 and len(body) < 4000 else 64
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    return Answer(head("200 OK", None, kind, "Transfer-Encoding: chunked"), chunks)


def dribbled(number: int, stream: bool, chance: random.Random) -> Answer:
    """Write the right answer byte by byte, its header too."""
    body, kind = _body(number, stream)
    whole = head("200 OK", len(body), kind) + body
    at = min(len(whole), 600)
    return Answer(*(whole[index : index + 1] for index in range(at)), whole[at:])


def reset(number: int, stream: bool, chance: random.Random) -> Answer:
    body, kind = _body(number, stream)
    whole = head("200 OK", len(body), kind) + body
    return Answer(whole[: chance.randrange(len(whole))], end="reset")


def truncated(number: int, stream: bool, chance: random.Random) -> Answer:
    body, kind = _body(number, stream)
    cut = chance.randrange(len(body))
    framing: list[str] = chance.choice([[], ["Transfer-Encoding: chunked"]])
    length = None if framing or chance.random() < 0.3 else len(body)
    part = b"%x\r\n%s\r\n" % (cut, body[:cut]) if framing and cut else body[:cut]
    return Answer(head("200 OK", length, kind, *framing) + part, end="close")


def unfinished(number: int, stream: bool, chance: random.Random) -> Answer:
    """End a stream in good order, but before the answer ends."""
    text = expected(number)
    body = events(text[: chance.randrange(len(text))], reason=False, done=False)
    return Answer(head("200 OK", len(body), "text/event-stream") + body)


def stalled(number: int, stream: bool, chance: random.Random) -> Answer:
    body, kind = _body(number, stream)
    whole = head("200 OK", len(body), kind) + body
    cut = chance.choice([0, 1, 20, len(whole) - len(body), chance.randrange(len(whole))])
    return Answer(whole[:cut], STALL, end="close")


def endless(number: int, stream: bool, chance: random.Random) -> Answer:
    """Write a little now and then, for ever."""
    if stream:
        piece = chance.choice([b": still here\n\n", b"\n", b"data:\n\n"])
        return Answer(head("200 OK", None, "text/event-stream"), *([piece, 0.05] * 400), end="close")
    if chance.random() < 0.5:
        return Answer(b"HTTP/1.1 200 OK\r\n", *([b"X-A: b\r\n", 0.05] * 400), end="close")
    return Answer(head("200 OK", 10**6), *([b" ", 0.05] * 400), end="close")


def lying(number: int, stream: bool, chance: random.Random) -> Answer:
    """Lie about the length: a body shorter or longer than it says."""
    body, kind = _body(number, stream)
    length = chance.choice([len(body) - 1, len(body) // 2, len(body) + 1, len(body) * 2, 0, 10**12])
    return Answer(head("200 OK", length, kind) + body, end=chance.choice(["close", "keep"]))


def odd_framing(number: int, stream: bool, chance: random.Random) -> Answer:
    body, kind = _body(number, stream)
    odd = chance.choice(
        [
            head("200 OK", None, kind, "Transfer-Encoding: chunked") + b"-5\r\n" + body,
            head("200 OK", None, kind, "Transfer-Encoding: chunked") + b"FFFFFFFFFFFFFFFF\r\n" + body,
            head("200 OK", None, kind, "Transfer-Encoding: chunked") + b"zz\r\n" + body,
            head("200 OK", None, kind, "Content-Length: -1") + body,
            head("200 OK", None, kind, "Content-Length: 5", "Content-Length: 9") + body,
            head("200 OK", None, kind, "Content-Length: many") + body,
            head("200 OK", len(body), kind, "Content-Encoding: gzip") + body,
            head("200 OK", None, kind, "Content-Encoding: gzip") + gzip.compress(body)[:-9],
            head("204 No Content"),
            head("200 OK", 0, kind),
        ]
    )
    return Answer(odd, end="close")


def garbage(number: int, stream: bool, chance: random.Random) -> Answer:
    noise = chance.randbytes(chance.randrange(400))
    return Answer(
        chance.choice(
            [
                noise,
                b"HTTP/9.9 200 OK\r\n\r\n" + noise,
                b"HTTP/1.1 abc\r\n\r\n",
                b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
                b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n" + noise,
                b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
                head("200 OK", len(noise)) + noise,
                head("200 OK", len(noise), "text/event-stream") + noise,
                head("200 OK", len(noise), "text/html; charset=utf-7") + noise,
                head("200 OK", 2) + b"[]",
                head("200 OK", 4) + b"null",
                head("200 OK", 60_000) + b"[" * 60_000,
                head("200 OK", 15, "text/event-stream") + b'data: {"a": 1}\n',
                head("200 OK", 12, "text/event-stream") + b"data: [DONE]",
                head("301 Moved", 0, "text/plain", "Location: /elsewhere"),
                head("302 Found", 0, "text/plain", "Location: http://127.0.0.1:9/"),
            ]
        ),
        end="close",
    )


def poisoned(number: int, stream: bool, chance: random.Random) -> Answer:
    """Write a second answer behind the right one, for whoever uses the connection next."""
    body, kind = _body(number, stream)
    wrong = message("WRONG")
    return Answer(head("200 OK", len(body), kind) + body + head("200 OK", len(wrong)) + wrong)


def busy(number: int, stream: bool, chance: random.Random) -> Answer:
    after = chance.choice(
        [[], ["Retry-After: 0"], ["Retry-After: 1e400"], ["Retry-After: soon"], ["Retry-After: -3"]]
    )
    return Answer(head("429 Too Many Requests", 2, "application/json", *after) + b"{}")


def failing(number: int, stream: bool, chance: random.Random) -> Answer:
    body = chance.choice([b"", b'{"detail": "out"}', b"<html>" * 50, b"\xff\xfe" * 20, b"[" * 5000])
    status = chance.choice([400, 401, 404, 410, 422, 500, 502, 503, 504, 520])
    return Answer(head(f"{status} Failed", len(body)) + body)


def half_open(number: int, stream: bool, chance: random.Random) -> Answer:
    """Close the writing side at once and read on; or the other way round, write and never read."""
    return Answer(STALL, end="close") if chance.random() < 0.5 else Answer(end="half")


def interim(number: int, stream: bool, chance: random.Random) -> Answer:
    """Send interim answers before the right one."""
    body, kind = _body(number, stream)
    count = chance.choice([1, 3, 30])
    return Answer(b"HTTP/1.1 102 Processing\r\n\r\n" * count + head("200 OK", len(body), kind) + body)


def later(number: int, stream: bool, chance: random.Random) -> Answer:
    """Accept the question; the answer is fetched by its id."""
    fetched = head(
        "202 Accepted", 0, "application/json", f"NVCF-REQID: {number}", "NVCF-STATUS: pending-evaluation"
    )
    return Answer(fetched)


MODES: dict[str, tuple[int, Callable[[int, bool, random.Random], Answer]]] = {
    "right": (40, right), "dribbled": (3, dribbled), "reset": (6, reset), "truncated": (6, truncated),
    "unfinished": (4, unfinished), "stalled": (4, stalled), "endless": (2, endless), "lying": (6, lying),
    "odd framing": (4, odd_framing), "garbage": (6, garbage), "poisoned": (6, poisoned), "busy": (5, busy),
    "failing": (6, failing), "half-open": (2, half_open), "interim": (4, interim), "later": (4, later),
}  # fmt: skip


class Server:
    """The server's state: how often each question has come, and the assets."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.times: collections.Counter[str] = collections.Counter()
        self.created: set[str] = set()
        self.deleted: set[str] = set()
        self.modes: collections.Counter[str] = collections.Counter()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._exchange(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass
        finally:
            with contextlib.suppress(OSError):
                writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request = await reader.readuntil(b"\r\n\r\n")
        method, path = request.split(b" ", 2)[:2]
        body = await _request_body(request, reader)
        return await _write(self._answer(method.decode(), path.decode(), request, body), reader, writer)

    def _answer(self, method: str, path: str, request: bytes, body: bytes) -> Answer:
        if path == "/count":
            left = sorted(self.created - self.deleted)
            told = json.dumps({"created": len(self.created), "left": left, "modes": self.modes}).encode()
            return Answer(head("200 OK", len(told)) + told)
        if "/assets" in path or path.startswith("/put/"):
            return self._asset(method, path)
        polled = path.startswith("/v1/status/")
        found = QUESTION.search(body)
        number = int(path.rsplit("/", 1)[1]) if polled else int(found[1]) if found else 0
        stream = not polled and b"text/event-stream" in request
        key = f"{self.seed} {number} {polled}"
        self.times[key] += 1
        chance = random.Random(f"{key} {self.times[key]}")
        names = [name for name in MODES if not (polled and name == "later")]
        # A seed below 0 stands for a server that behaves.
        name = chance.choices(names, [MODES[name][0] for name in names])[0] if self.seed >= 0 else "right"
        self.modes[name] += 1
        return MODES[name][1](number, stream, chance)

    def _asset(self, method: str, path: str) -> Answer:
        self.times[method] += 1
        chance = random.Random(f"{self.seed} {method} {self.times[method]}")
        if method == "POST":
            if chance.random() < 0.2:
                return chance.choice([failing, garbage, busy])(0, False, chance)
            name = f"asset-{self.times[method]:06d}"
            self.created.add(name)
            value = {
                "assetId": name,
                "uploadUrl": f"http://127.0.0.1:{self.port}/put/{name}?Signature=secret",
            }
            body = json.dumps(value).encode()
            return Answer(head("200 OK", len(body)) + body)
        if method == "PUT":
            if chance.random() < 0.2:
                return chance.choice([failing, garbage, busy, reset])(0, False, chance)
            return Answer(head("200 OK", 0))
        name = path.rsplit("/", 1)[1]
        self.times[name] += 1
        if self.times[name] == 1 and chance.random() < 0.2:  # never twice, so that none has to be left
            return busy(0, False, chance) if chance.random() < 0.5 else Answer(head("503 Failed", 0))
        self.deleted.add(name)
        return Answer(head("204 No Content"))


async def _request_body(request: bytes, reader: asyncio.StreamReader) -> bytes:
    if found := re.search(rb"(?i)\r\ncontent-length: *(\d+)", request):
        return await reader.readexactly(int(found[1]))
    if not re.search(rb"(?i)\r\ntransfer-encoding: *chunked", request):
        return b""
    body = b""
    while size := int(await reader.readline(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return body


async def _write(answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Write the pieces; return whether the connection stays open."""
    for piece in answer.pieces:
        if isinstance(piece, float):
            if not await _pause(piece, reader):
                return False
            continue
        writer.write(piece)
        await writer.drain()
        if len(piece) == 1:
            await asyncio.sleep(0)
    if answer.end == "reset":
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
    elif answer.end == "half":
        writer.write_eof()
        await _pause(STALL, reader)
    return answer.end == "keep"


async def _pause(seconds: float, reader: asyncio.StreamReader) -> bool:
    """Wait; return False where the client has gone."""
    if seconds < 1:
        await asyncio.sleep(seconds)
        return not reader.at_eof()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(reader.read(1), seconds)
    return False


async def main(seed: int) -> None:
    state = Server(seed)
    server = await asyncio.start_server(state.serve, "127.0.0.1", 0, backlog=1024, limit=1 << 20)
    state.port = server.sockets[0].getsockname()[1]
    print(state.port, flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
