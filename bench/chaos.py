"""Chaos: clients before a server that misbehaves, damaged inputs of every reader, batches that are killed.

    python bench/chaos.py [clients parsers pictures files kills] [--count N] [--seed N]

Gates, for all parts: no wrong result, no exception that is not documented, no hang.

- clients: 5,000 questions through each of `Client` and both transports of `AsyncClient`; no file, thread,
  task or asset is left, and memory grows by at most 1 MB a thousand
- parsers: 1,000,000 inputs of the parser of answers and of the decoder of server-sent events; an input in
  pieces gives what the whole one gives
- pictures: 20,000 damaged pictures
- files: 10,000 damaged journals, recordings and saved results
- kills: a batch that is killed 50 times has every row exactly once

Inputs that fail are written to build/chaos/. The same seed makes the same inputs.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import ctypes
import faulthandler
import gc
import io
import json
import logging
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(1, str(Path(__file__).parents[1] / "tests"))

import chaos_server
from PIL import Image
from support.dialect_writing import write

import nbvlm
from nbvlm.client import Retry, TextDelta, Timeouts, transports
from nbvlm.client.sse import Decoder
from nbvlm.grounding import dialects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SEED = 20261129
COUNTS = {"clients": 5_000, "parsers": 1_000_000, "pictures": 20_000, "files": 10_000, "kills": 50}
CLIENTS = ("Client", "AsyncClient aiohttp", "AsyncClient httpx")
TIMEOUTS = Timeouts(connect=2, upload=4, first_token=0.5, between_tokens=0.5, total=2, cleanup=4)
RETRY = Retry(attempts=3, connection_attempts=3, total=2, first=0.005, longest=0.02, retry_after_cap=0.05)
LONGEST = 15.0  # seconds of a question: its limits, and what a busy machine adds
SLOW = 10.0  # seconds of one damaged input
GROWTH = 1.0  # MB a thousand questions
# glibc gives threads heaps of their own, which fill for 8,000 questions and then stay as they are.
ONE_HEAP = {"MALLOC_ARENA_MAX": "1"}
WORKERS = 2
KEPT = 20  # failing inputs of a part that are written to files
BUILD = Path(__file__).parents[1] / "build" / "chaos"
missed: list[str] = []


def line(what: str, value: float, gate: float | None = None, *, note: str = "") -> None:
    """Print one figure, and remember it where it misses its gate."""
    over = gate is not None and value > gate
    asked = "" if gate is None else f"≤ {gate:g}{'   MISSED' if over else ''}"
    print(f"{what:<52} {value:>12,.6g}  {asked}{note}", flush=True)
    if over:
        missed.append(what)


class Failures:
    """Counts failures of a part by kind, and keeps the first inputs."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.values = 0  # inputs that could be read
        self.kept: list[tuple[str, str, bytes]] = []

    def add(self, kind: str, detail: str, data: bytes) -> None:
        self.counts[kind] += 1
        if len(self.kept) < KEPT:
            self.kept.append((kind, detail, data))

    def merge(self, other: Failures) -> None:
        self.counts += other.counts
        self.values += other.values
        self.kept = [*self.kept, *other.kept][:KEPT]

    def report(self, part: str) -> None:
        for at, (kind, detail, data) in enumerate(self.kept):
            BUILD.mkdir(parents=True, exist_ok=True)
            path = BUILD / f"{part.replace(' ', '-')}-{at:02d}"
            path.write_bytes(data)
            print(f"    {kind}: {detail[:300]}  → {path}", flush=True)


# Clients.

PICTURE = nbvlm.Picture.load(Image.new("RGB", (32, 24), "red"), name="red.png")
ROUTES = ("inline", "inline", "asset")


def prompt_of(number: int) -> str:
    return f"answer en question {number} ?"


class Trial:
    """The questions of one client, and what became of them."""

    def __init__(self, seed: int) -> None:
        self.seed, self.lock = seed, threading.Lock()
        self.failures, self.outcomes, self.longest = Failures(), Counter[str](), 0.0

    def way(self, number: int) -> tuple[str, str, random.Random]:
        """Draw how a question is asked: at once, streamed, or left after the first events; and its route."""
        chance = random.Random(f"{self.seed} way {number}")
        kind = chance.choices(("ask", "stream", "leave"), (6, 3, 1))[0]
        return kind, "inline" if kind == "leave" else chance.choice(ROUTES), chance

    def ended(self, number: int, kind: str, began: float, value: Any) -> None:
        took, right = time.monotonic() - began, chaos_server.expected(number)
        outcome, wrong = "answered", ""
        if isinstance(value, nbvlm.Error):
            outcome = type(value).__name__
            said = getattr(value, "text", "")
            wrong = "" if right.startswith(said) else f"the error holds {said!r}"
        elif isinstance(value, asyncio.CancelledError):
            outcome = "cancelled"
        elif isinstance(value, BaseException):
            outcome = "raw"
        elif kind == "leave":
            outcome, wrong = "left", "" if right.startswith(value) else f"the piece is {value!r}"
        elif value != right:
            wrong = f"the answer is {value!r}"
        with self.lock:
            self.outcomes[outcome] += 1
            self.longest = max(self.longest, took)
            told = json.dumps(
                {"seed": self.seed, "number": number, "kind": kind, "value": repr(value)}
            ).encode()
            if wrong:
                self.failures.add("wrong", f"question {number}: {wrong}", told)
            if outcome == "raw":
                self.failures.add("raw", f"question {number}: {value!r}", told)
            if took > LONGEST:
                self.failures.add("hang", f"question {number}: {took:.1f} s", told)


def ask_once(client: nbvlm.Client, number: int, trial: Trial) -> None:
    kind, route, _ = trial.way(number)
    began, value = time.monotonic(), None
    try:
        if kind == "ask":
            value = client.ask(PICTURE, prompt_of(number), route=route).text
        else:
            with client.stream(PICTURE, prompt_of(number), route=route) as stream:
                value = ""
                for event in stream:
                    value += event.text if isinstance(event, TextDelta) else ""
                    if kind == "leave" and value:
                        break
            if kind == "stream" and stream.result.text != value:
                value = f"pieces {value!r}, result {stream.result.text!r}"
    except Exception as error:  # noqa: BLE001 - all are counted
        value = error
    trial.ended(number, kind, began, value)


async def ask_once_async(client: nbvlm.AsyncClient, number: int, trial: Trial) -> None:
    kind, route, chance = trial.way(number)
    began, value = time.monotonic(), None

    async def ask() -> str:
        if kind == "ask":
            return (await client.ask(PICTURE, prompt_of(number), route=route)).text
        text = ""
        async with client.stream(PICTURE, prompt_of(number), route=route) as stream:
            async for event in stream:
                text += event.text if isinstance(event, TextDelta) else ""
                if kind == "leave" and text:
                    break
        if kind == "stream" and stream.result.text != text:
            return f"pieces {text!r}, result {stream.result.text!r}"
        return text

    task = asyncio.create_task(ask())
    if (
        route == "inline" and chance.random() < 0.05
    ):  # an upload that is cancelled may have been created already
        asyncio.get_running_loop().call_later(chance.uniform(0, 0.05), task.cancel)
    try:
        value = await task
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - all are counted
        value = error
    trial.ended(number, kind, began, value)


def resident() -> float:
    """MB of memory in use; free memory that the allocator keeps is given back first."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def open_files() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


def settled(measure: Callable[[], int], before: int) -> int:
    """Return what is left more than before, after it had time to go."""
    until = time.monotonic() + 5
    while (left := measure() - before) > 0 and time.monotonic() < until:
        gc.collect()
        time.sleep(0.05)
    return max(left, 0)


def client_trial(name: str, count: int, seed: int, port: int) -> dict[str, Any]:
    """Ask all questions through one client; runs in a process of its own."""
    faulthandler.dump_traceback_later(540, exit=True)
    logging.disable()
    unraisable: list[str] = []
    sys.unraisablehook = lambda told: unraisable.append(repr(told.exc_value))
    warnings.simplefilter("error", ResourceWarning)
    if name.endswith("httpx"):
        transports._is_installed = lambda _: False  # type: ignore[attr-defined]
    trial, memory = Trial(seed), []
    address = {"base_url": f"http://127.0.0.1:{port}", "assets_url": f"http://127.0.0.1:{port}"}
    options: dict[str, Any] = {"api_key": "nvapi-of-chaos", "timeout": TIMEOUTS, "retry": RETRY} | address
    blocks = [range(at, min(at + 250, count)) for at in range(0, count, 250)]
    files, threads, tasks = 0, 0, 0
    if name == "Client":
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda _: time.sleep(0.01), range(64)))  # all threads are there
            files, threads = open_files(), threading.active_count()
            with nbvlm.Client("nvidia", **options) as client:
                for block in blocks:
                    list(pool.map(lambda number: ask_once(client, number, trial), block))
                    memory.append(resident())
            left = settled(open_files, files), settled(threading.active_count, threads), 0
    else:
        files, threads = open_files(), threading.active_count()

        async def run() -> int:
            asyncio.get_running_loop().set_exception_handler(lambda _, told: unraisable.append(str(told)))
            places = asyncio.Semaphore(16)

            async def one(client: nbvlm.AsyncClient, number: int) -> None:
                async with places:
                    await ask_once_async(client, number, trial)

            async with nbvlm.AsyncClient("nvidia", **options) as client:
                for block in blocks:
                    await asyncio.gather(*(one(client, number) for number in block))
                    memory.append(resident())
            await asyncio.sleep(0.2)
            return len(asyncio.all_tasks()) - 1

        tasks = asyncio.run(run())
        left = settled(open_files, files), settled(threading.active_count, threads), tasks
    gc.collect()
    for told in unraisable:
        trial.failures.add("unraisable", told, told.encode())
    start = len(memory) * 2 // 5
    growth = (
        (memory[-1] - memory[start]) * 1000 / (250 * (len(memory) - 1 - start)) if count >= 3_000 else None
    )
    kept = [(kind, detail, base64.b64encode(data).decode()) for kind, detail, data in trial.failures.kept]
    return {
        "outcomes": trial.outcomes, "longest": trial.longest, "left": left, "growth": growth,
        "failures": trial.failures.counts, "kept": kept,
    }  # fmt: skip


@contextlib.contextmanager
def serving(seed: int) -> Iterator[int]:
    command = [sys.executable, str(Path(__file__).with_name("chaos_server.py")), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


def clients(count: int, seed: int) -> None:
    for name in CLIENTS:
        with serving(seed) as port:
            told = [sys.executable, __file__, "--trial", json.dumps([name, count, seed, port])]
            began = time.monotonic()
            done = subprocess.run(told, stdout=subprocess.PIPE, check=False, env=os.environ | ONE_HEAP)
            took = time.monotonic() - began
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/count", timeout=10) as reply:
                state = json.load(reply)
        print(f"\n{name}: {count:,} questions in {took:.0f} s")
        if done.returncode != 0:
            line("the process ended with status", done.returncode, 0)
            continue
        found = json.loads(done.stdout)
        print(
            "  " + ", ".join(f"{number} {kind}" for kind, number in Counter(found["outcomes"]).most_common())
        )
        line("  longest question, seconds", found["longest"])
        for kind, what in (
            ("wrong", "wrong results"),
            ("raw", "exceptions that are not documented"),
            ("hang", f"questions of more than {LONGEST:g} s"),
            ("unraisable", "complaints of Python or asyncio"),
        ):
            line(f"  {what}", found["failures"].get(kind, 0), 0)
        for what, number in zip(("files", "threads", "tasks"), found["left"], strict=True):
            line(f"  {what} left open", number, 0)
        line(f"  assets left, of {state['created']} created", len(state["left"]), 0)
        if found["growth"] is not None:
            line("  growth of memory, MB a thousand", round(found["growth"], 3), GROWTH)
        failures = Failures()
        failures.kept = [(kind, detail, base64.b64decode(data)) for kind, detail, data in found["kept"]]
        failures.report(f"clients {name}")


# Damaged inputs, each part by a function from chance to (kind of input, the input, what reads it).

Case = tuple[bytes, "Callable[[], object]"]


def try_all(
    make: Callable[[random.Random], Case],
    allowed: tuple[type[BaseException], ...],
    chance: random.Random,
    count: int,
) -> Failures:
    """Read many inputs; anything but a value or an allowed exception is a failure."""
    failures = Failures()
    for _ in range(count):
        state = chance.getrandbits(64)
        data, read = make(random.Random(state))
        began = time.monotonic()
        try:
            read()
            failures.values += 1
        except allowed:
            pass
        except AssertionError as error:
            failures.add("different", f"state {state}: {error}", data)
        except Exception as error:  # noqa: BLE001 - all are counted
            failures.add("raw", f"state {state}: {type(error).__name__}: {error}", data)
        if (took := time.monotonic() - began) > SLOW:
            failures.add("slow", f"state {state}: {took:.1f} s", data)
    return failures


PIECES = (
    *("<loc", "<seg", ">", "<", " ", ";", " ; ", "cat", "traffic light", "<eos>", "<bos>", "<pad>", "\n"),
    *("é", "猫", "\ud83d", "0", "12", "<loc00", "detect ", "\x00", "<loc9999>", "<seg127>", "<seg128>"),
    *("{", "[", '"', "\\"),
)
PROMPTS = (
    None,
    "detect cat",
    "segment cat ; dog",
    "caption en",
    "detect <loc0001>",
    "<loc0001><loc0002> cat",
    "",
)


def answer_text(chance: random.Random) -> str:
    pieces = []
    for _ in range(chance.randrange(8)):
        way = chance.random()
        if way < 0.45:
            count = chance.choices((4, 8, 2, 1, 3, 5), (9, 2, 2, 1, 1, 1))[0]
            pieces.append("".join(f"<loc{chance.randrange(1030):04d}>" for _ in range(count)))
        elif way < 0.55:
            pieces.append(
                "".join(
                    f"<seg{chance.randrange(130):03d}>" for _ in range(chance.choice((16, 16, 15, 17, 1)))
                )
            )
        else:
            pieces.append(chance.choice(PIECES))
    return "".join(pieces)


def cuts(whole: Any, chance: random.Random) -> list[Any]:
    """Cut a text or bytes into pieces, some of them empty; now and then into single characters."""
    if chance.random() < 0.03:
        return [whole[at : at + 1] for at in range(len(whole))]
    marks = sorted(int(chance.random() * (len(whole) + 1)) for _ in range(int(chance.random() * 7)))
    return [whole[start:end] for start, end in zip([0, *marks], [*marks, len(whole)], strict=True)]


def read_answer(parser: Any, pieces: list[str], *, column: bool) -> tuple[Any, ...]:
    found = [detection for piece in pieces for detection in parser.feed(piece)]
    found += parser.close()
    values = [(one.label, one.box, one.codes) for one in found]
    return values, parser.problems, parser.has_locations, len(parser.detections) if column else None


def parser_case(chance: random.Random) -> Case:
    text, prompt = answer_text(chance), chance.choice(PROMPTS)
    size = chance.choice(((640, 480), (1, 1), (1023, 7), (30_000, 2)))
    options = {"bins": chance.choice((1023, 1024, 1, 7)), "codebook": chance.choice((None, "demo"))}

    def read() -> None:
        column = chance.random() < 0.05
        whole = read_answer(nbvlm.Parser(size, prompt, **options), [text], column=column)
        parts = read_answer(nbvlm.Parser(size, prompt, **options), cuts(text, chance), column=column)
        assert whole == parts, f"{whole} in one, {parts} in pieces"

    return json.dumps([text, prompt, size, options]).encode(), read


FRAGMENTS = (
    *(
        "[",
        "]",
        "{",
        "}",
        "(",
        ")",
        "<",
        ">",
        '"',
        "'",
        ",",
        ":",
        "\\",
        "\n",
        " ",
        "```json\n",
        "```",
        "null",
        "-",
    ),
    *("1e400", "NaN", "9" * 400, "0.5", "1000", "-3", "\ud83d", "猫", "\x00", "<think>", "</think>", "<box>"),
    *("</box>", "<ref>", "</ref>", "<|box_start|>", "<|box_end|>", "<points", "/>", "<loc0100>", "box_2d"),
    *(
        '"bbox_2d":',
        '"label": "cat"',
        "[[",
        "]]",
        "x=",
        "y1=",
        "<point>",
        "</point>",
        "data:image/png;base64,",
    ),
)


def dialect_text(dialect: Any, chance: random.Random) -> str:
    """Write an answer as a model family does, and damage it."""
    things = []
    for _ in range(chance.randrange(4)):
        x, y = chance.randrange(500), chance.randrange(400)
        box = (x, y, x + chance.randrange(1, 140), y + chance.randrange(1, 80))
        things.append(
            (
                chance.choice(("cat", "a dog", 'say "x"', "", "é<b>")),
                box if chance.random() < 0.8 else box[:2],
            )
        )
    text = chance.choice(("", "", "Here you are: ", "<think>I see.</think>"))
    text += write(dialect, things, (640, 480))
    for _ in range(chance.choice((0, 1, 1, 2, 4))):
        at, length = chance.randrange(len(text) + 1), chance.choice((1, 1, 3, 10))
        way = chance.randrange(4)
        if way == 0:
            text = text[:at] + text[at + length :]
        elif way == 1:
            text = text[:at] + chance.choice(FRAGMENTS) + text[at:]
        elif way == 2:
            text = text[:at] + text[at : at + length] * 2 + text[at + length :]
        else:
            text = text[: at or 1]
    return text


def dialect_case(chance: random.Random) -> Case:
    dialect = chance.choice((*dialects.FAMILIES, dialects.GENERIC))
    text, prompt = dialect_text(dialect, chance), chance.choice(PROMPTS)
    size, sent = chance.choice(
        (((640, 480), None), ((1, 1), None), ((4000, 3000), (1024, 768)), ((7, 900), None))
    )
    options = {"dialect": dialect} if chance.random() < 0.7 else {"model": None}

    def parsed(pieces: list[str]) -> tuple[Any, ...]:
        parser = nbvlm.Parser(size, prompt, sent=sent, **options)
        for piece in pieces:
            parser.feed(piece)
        parser.close()
        values = [(one.label, one.box, one.point, one.codes, one.raw) for one in parser.detections]
        return values, parser.problems, parser.has_locations

    def read() -> None:
        whole, parts = parsed([text]), parsed(cuts(text, chance))
        assert whole == parts, f"{whole} in one, {parts} in pieces"

    return json.dumps([dialect.name, text, prompt, size, sent, [*options]]).encode(), read


LINES = (
    *(b"data: {}\n", b"data:x\n", b"data\n", b"\n", b"\r\n", b"\r", b"event: a\n", b"id: 7\n", b"id: \0\n"),
    *(
        b"retry: 5\n",
        b"retry: x\n",
        b": c\n",
        b"\xef\xbb\xbf",
        b"data: \xff\xfe\n",
        b"x",
        b"data: [DONE]\n\n",
    ),
    *(b"data: a\n\n", b"d", b":", b" "),
)


def event_case(chance: random.Random) -> Case:
    data = b"".join(chance.choices(LINES, k=chance.randrange(16)))

    def decoded(pieces: list[bytes]) -> list[Any]:
        decoder = Decoder()
        events = [event for piece in pieces for event in decoder.feed(piece)]
        return [(event.data, event.event, event.id) for event in events + decoder.close()]

    def read() -> None:
        whole, parts = decoded([data]), decoded(cuts(data, chance))
        assert whole == parts, f"{whole} in one, {parts} in pieces"

    return data, read


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Damage bytes: flip, cut, repeat, remove, zero or insert some of them."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        if not out:
            break
        at, length = chance.randrange(len(out)), chance.choice((1, 2, 4, 30, 400))
        way = chance.randrange(7)
        if way == 0:
            out[at] ^= 1 << chance.randrange(8)
        elif way == 1:
            out[at : at + length] = chance.randbytes(min(length, len(out) - at))
        elif way == 2:
            del out[at:]
        elif way == 3:
            del out[at : at + length]
        elif way == 4:
            out[at:at] = out[at : at + length]
        elif way == 5:
            out[at : at + length] = bytes(min(length, len(out) - at))
        else:
            out[at : at + 4] = chance.choice(
                (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\x80\0\0\0")
            )
    return bytes(out)


def picture_files() -> list[bytes]:
    """One file of each kind."""
    small = Image.frombytes("RGB", (40, 30), random.Random(0).randbytes(40 * 30 * 3))
    clear = small.quantize(16)
    made: list[bytes] = []
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind, image, options in (
        ("PNG", small, {}), ("PNG", small.convert("RGBA"), {}), ("PNG", clear, {"transparency": 3}),
        ("PNG", small.convert("L"), {}), ("PNG", small.convert("1"), {}),
        ("JPEG", small, {}), ("JPEG", small, {"progressive": True, "exif": exif}),
        ("JPEG", small.convert("CMYK"), {}), ("JPEG", small.convert("L"), {"comment": b"a comment"}),
        ("GIF", small, {}), ("GIF", small, {"save_all": True, "append_images": [small.rotate(90)]}),
        ("WEBP", small, {}), ("WEBP", small, {"lossless": True}), ("BMP", small, {}), ("TIFF", small, {}),
        ("TIFF", small, {"compression": "tiff_lzw"}), ("TIFF", small, {"compression": "tiff_adobe_deflate"}),
    ):  # fmt: skip
        file = io.BytesIO()
        image.save(file, kind, **options)
        made.append(file.getvalue())
    return made


PICTURES: list[bytes] = []


def picture_case(chance: random.Random) -> Case:
    if not PICTURES:
        PICTURES.extend(picture_files())
    data = mutated(chance.choice(PICTURES), chance)

    def read() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            picture = nbvlm.Picture.load(data)
            image = picture.image()
            assert image.size == (picture.width, picture.height), (
                f"{image.size} is not the size of {picture!r}"
            )
            picture.thumbnail(16)
            again = nbvlm.Picture.load(picture.data)
            assert again == picture, f"{again!r} is not {picture!r}"

    return data, read


HOSTILE: tuple[Any, ...] = (
    *(None, True, -1, 0, 1e308, 10**30, 2**63, 0.5, "", "x", "\ud800", "1" * 5000, "<script>"),
    *([], {}, [[[]]], {"a": {}}, [1] * 40),
)


def misbuilt(value: Any, chance: random.Random, rate: float) -> Any:
    """Put values of other kinds into a JSON value."""
    if chance.random() < rate:
        return chance.choice(HOSTILE)
    if isinstance(value, dict):
        kept = {
            name: misbuilt(item, chance, rate) for name, item in value.items() if chance.random() > rate / 2
        }
        return kept if chance.random() > rate / 2 else kept | {chance.choice(("x", "", "\n", "format")): 1}
    if isinstance(value, list):
        return [misbuilt(item, chance, rate) for item in value if chance.random() > rate / 2]
    return value


def damaged_json(data: bytes, chance: random.Random) -> bytes:
    if chance.random() < 0.4:
        return mutated(data, chance)
    if chance.random() < 0.05:
        at = chance.randrange(len(data))
        return data[:at] + chance.choice((b"[", b'{"a":')) * 50_000 + data[at:]
    return json.dumps(misbuilt(json.loads(data), chance, chance.choice((0.003, 0.01, 0.04)))).encode()


ORIGINALS: dict[str, bytes] = {}
FOLDER = ""


def originals() -> dict[str, bytes]:
    """Make one saved result, one recording and one journal, once a process."""
    if ORIGINALS:
        return ORIGINALS
    global FOLDER
    FOLDER = tempfile.mkdtemp(prefix="nbvlm-chaos-")
    folder = Path(FOLDER)
    scenes = [nbvlm.demo.scenes.sample(seed).picture for seed in range(3)]
    paths = []
    for at, scene in enumerate(scenes):
        paths.append(folder / f"{at}.png")
        scene.save(paths[-1])
    with nbvlm.Client("demo") as client:
        ORIGINALS["result"] = client.ask(scenes[0], "segment car ; tree").to_json().encode()
    with nbvlm.Client("demo", transport=nbvlm.record(folder / "recording.json")) as client:
        client.ask(paths[0], "caption en")
        client.ask(paths[0], "detect car")
    ORIGINALS["recording"] = (folder / "recording.json").read_bytes()
    with nbvlm.Client("demo") as client:
        nbvlm.batch(paths, "caption en", client=client, journal=folder / "run.jsonl", progress=False)
    ORIGINALS["journal"] = (folder / "run.jsonl").read_bytes()
    return ORIGINALS


def file_case(chance: random.Random) -> Case:
    kind = chance.choice(("result", "result", "recording", "journal"))
    whole = originals()[kind]
    if kind == "journal":
        entries = whole.splitlines(keepends=True)
        at = chance.randrange(len(entries))
        entries[at] = damaged_json(entries[at], chance) + chance.choice((b"\n", b"", b"\r\n"))
        data = b"".join(entries)
    else:
        data = damaged_json(whole, chance)
    return data, lambda: READERS[kind](data, chance)


VIEWS = (
    *("to_html", "to_svg", "to_json", "to_coco", "to_yolo", "to_dataframe", "to_python"),
    *("_repr_mimebundle_", "__repr__"),
)


def read_result(data: bytes, chance: random.Random) -> None:
    result = nbvlm.Result.from_json(data)
    views = [getattr(result, name) for name in VIEWS]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # masks that cannot be decoded
        chance.choice(views)()
    assert nbvlm.Result.from_json(result.to_json()) == result, "not the same when it is read again"


def read_recording(data: bytes, chance: random.Random) -> None:
    path = Path(FOLDER, "damaged.json")
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what is left out
        replayed = nbvlm.replay(path, speed=1e9)
    with nbvlm.Client(transport=replayed, timeout=5, retry=Retry.never()) as client:
        client.ask(Path(FOLDER, "0.png"), chance.choice(("caption en", "detect car")))


def read_journal(data: bytes, chance: random.Random) -> None:
    path = Path(FOLDER, "damaged.jsonl")
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        nbvlm.results(path, explode=chance.random() < 0.5)
        if chance.random() < 0.02:
            paths = [Path(FOLDER, f"{at}.png") for at in range(3)]
            with nbvlm.Client("demo") as client:
                table = nbvlm.batch(paths, "caption en", client=client, journal=path, progress=False)
            assert len(table) == 3, f"{len(table)} rows"
            assert table.error.isna().all(), f"errors: {table.error.tolist()}"


READERS = {"result": read_result, "recording": read_recording, "journal": read_journal}
Fuzzed = tuple[str, "Callable[[random.Random], Case]", tuple[type[BaseException], ...], float]
FUZZED: dict[str, tuple[Fuzzed, ...]] = {
    "parsers": (
        ("answers of PaliGemma", parser_case, (), 0.5),
        ("answers of other dialects", dialect_case, (), 0.1),
        ("server-sent events", event_case, (), 0.4),
    ),
    "pictures": (("damaged pictures", picture_case, (nbvlm.ImageError,), 1.0),),
    "files": (("damaged journals, recordings, results", file_case, (nbvlm.Error,), 1.0),),
}


def work(part: str, index: int, count: int, seed: str) -> Failures:
    if part == "pictures":  # libtiff writes to the error stream
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    _, make, allowed, _ = FUZZED[part][index]
    return try_all(make, allowed, random.Random(seed), count)


def fuzz(part: str, count: int, seed: int) -> None:
    """Spread a part's inputs over processes."""
    began = time.monotonic()
    with ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn")) as pool:
        for index, (what, _, _, share) in enumerate(FUZZED[part]):
            blocks = 10 if count >= 1_000 else 1
            size = max(1, round(count * share / blocks))
            seeds = [f"{seed} {part} {index} {block}" for block in range(blocks)]
            found = Failures()
            for one in pool.map(work, [part] * blocks, [index] * blocks, [size] * blocks, seeds):
                found.merge(one)
            print(f"\n{what}: {size * blocks:,} inputs in {time.monotonic() - began:.0f} s")
            line("  could be read", found.values)
            line("  exceptions that are not documented", found.counts["raw"], 0)
            line("  wrong: in pieces or read again not the same", found.counts["different"], 0)
            line(f"  inputs that took more than {SLOW:g} s", found.counts["slow"], 0)
            found.report(f"{part} {index}")
            began = time.monotonic()


# Batches that are killed.

BATCH = """
import sys, nbvlm
folder, url, journal = sys.argv[1:]
with nbvlm.Client("nvidia", api_key="nvapi-of-chaos", base_url=url) as client:
    prompt = "answer en question {stem} ?"
    nbvlm.batch(folder, prompt, client=client, journal=journal, concurrency=4, progress=False)
"""


def killed_batch(seed: int, kills: int, rows: int) -> Failures:
    """Run a batch, kill it as often as asked, run it to its end, and look at its journal."""
    chance, failures = random.Random(f"{seed} kills"), Failures()
    with tempfile.TemporaryDirectory(prefix="nbvlm-chaos-") as name, serving(-1) as port:
        folder, journal = Path(name, "pictures"), Path(name, "run.jsonl")
        folder.mkdir()
        for at in range(rows):
            Image.new("RGB", (8, 8), (at % 256, at // 256, 7)).save(folder / f"{at}.png")
        command = [sys.executable, "-c", BATCH, str(folder), f"http://127.0.0.1:{port}", str(journal)]
        for kill in range(kills):
            with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
                length = journal.stat().st_size if journal.exists() else 0
                until = time.monotonic() + 60
                while process.poll() is None and time.monotonic() < until:  # until it writes
                    if journal.exists() and journal.stat().st_size > length:
                        break
                    time.sleep(0.002)
                time.sleep(chance.uniform(0, 0.02))
                process.send_signal(signal.SIGKILL)
                _, said = process.communicate()
            if process.returncode not in (0, -signal.SIGKILL):
                failures.add(
                    "ended", f"run {kill}: status {process.returncode}: {said.decode()[-200:]}", said
                )
        done = subprocess.run(command, stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            failures.add("ended", f"last run: {done.stderr.decode()[-200:]}", done.stderr)
        _check_rows(journal, rows, failures)
    return failures


def _check_rows(journal: Path, rows: int, failures: Failures) -> None:
    data = journal.read_bytes()
    table = nbvlm.results(journal)
    found = Counter(Path(source).stem for source in table.source)
    right = {str(at): chaos_server.expected(at) for at in range(rows)}
    for stem in right:
        if found[stem] != 1:
            failures.add("rows", f"picture {stem} has {found[stem]} rows", data)
    for source, text in zip(table.source, table.text, strict=True):
        if right.get(Path(source).stem) != text:
            failures.add("wrong", f"picture {source}: {text!r}", data)
    whole = Counter(json.loads(entry)["source"] for entry in data.splitlines() if _is_json(entry))
    for source, times in whole.items():
        if times != 1:
            failures.add("rows", f"{source} stands {times} times in the journal", data)


def _is_json(entry: bytes) -> bool:
    try:
        json.loads(entry)
    except ValueError:
        return False
    return True


def kills(count: int, seed: int) -> None:
    began = time.monotonic()
    failures = killed_batch(seed, count, rows=40 * max(count, 1))
    took = time.monotonic() - began
    print(f"\na batch of {40 * max(count, 1):,} pictures, killed {count} times, in {took:.0f} s")
    line("  rows missing or there more than once", failures.counts["rows"], 0)
    line("  wrong results", failures.counts["wrong"], 0)
    line("  runs that ended by an error", failures.counts["ended"], 0)
    failures.report("kills")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("part", nargs="*", help=f"{', '.join(COUNTS)}; by default all")
    parser.add_argument("--count", type=int, help="questions of each client, inputs, or kills of the parts")
    parser.add_argument("--seed", type=int, default=SEED, help="default: %(default)s")
    parser.add_argument("--trial", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.trial is not None:
        print(json.dumps(client_trial(*json.loads(given.trial))))
        return 0
    if unknown := set(given.part) - set(COUNTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(COUNTS)}")
    print(f"seed {given.seed}")
    for part in given.part or COUNTS:
        print(f"\n== {part}", flush=True)
        count = COUNTS[part] if given.count is None else given.count
        if part in FUZZED:
            fuzz(part, count, given.seed)
        else:
            {"clients": clients, "kills": kills}[part](count, given.seed)
    print(f"\nMissed: {', '.join(one.strip() for one in missed)}." if missed else "\nAll gates hold.")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
