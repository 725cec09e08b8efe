"""The client: what streaming, waiting, many requests at once and uploads cost, beside other clients.

Run `python bench/client.py [part …]`; the parts are events, first, many, upload and start, by default all. A
server in a process of its own answers on loopback; all clients meet it in the same run, in turns. Events, and
requests at 16 and 256 at once, are measured in CPU time of this process, the rest in wall time. Gates:

- events, beside plain httpx lines and `json.loads`: where each comes in a chunk of its own, at most 1.15 as
  text and 1.3 with boxes parsed as they come; in 16 KB chunks 0.8 and 1.2
- the same awaited, over aiohttp: at most 0.5 and 0.7 where each comes in a chunk of its own
- first token on a warm client: at most 1.15 of plain httpx drained; 20 streams open one connection
- a second client: at most 2 ms
- 64 requests at once over aiohttp, each answered after 50 ms: at least 0.65 of raw asyncio's throughput, the
  slowest of a hundred at most 1.8 of aiohttp's; CPU per request at 256 at once at most 1.3 of that at 16
- 64 requests at once, answered at once: at least 2 of openai's throughput. An answer after 50 ms bounds every
  client by 1,280 a second, and raw asyncio itself does not reach 2 of openai's on a fast core
- an upload of 50 MB: at most 0.3 of the time of httpx `content=bytes`, and 4 MB above idle
- `import nbvlm`: at most twice bare Python as a whole process
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
from PIL import Image

import nbvlm

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

EVENTS = 20_000
ROUNDS = 11
PATH = "/v1/vlm/google/paligemma"
PICTURE = nbvlm.Picture.load(Image.new("RGB", (400, 300), "red"))
KEY = "nvapi-of-the-benchmark"
over: list[str] = []


def line(what: str, value: float, unit: str, gate: float | None = None, *, least: bool = False) -> None:
    """Print one figure, and remember it where it misses its gate."""
    missed = gate is not None and (value < gate if least else value > gate)
    asked = "" if gate is None else f"{'≥' if least else '≤'} {gate:g}{'   MISSED' if missed else ''}"
    print(f"{what:<58} {value:9.3f} {unit:<9} {asked}", flush=True)
    if missed:
        over.append(what)


def ratio(mine: Sequence[float], other: Sequence[float]) -> float:
    """Median of the ratios of paired rounds."""
    return statistics.median(a / b for a, b in zip(mine, other, strict=True))


class Server:
    """The server of `bench/server.py`."""

    def __enter__(self) -> Self:
        command = [sys.executable, str(Path(__file__).with_name("server.py")), str(EVENTS)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.ports = json.loads(self.process.stdout.readline())
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.kill()
        self.process.communicate()

    def url(self, mode: str) -> str:
        return f"http://127.0.0.1:{self.ports[mode]}"

    def opened(self) -> int:
        """Connections so far, the one that asks included."""
        with urllib.request.urlopen(f"{self.url('short')}/opened") as answer:
            return int(answer.read())


def cpu(function: Callable[[], Any]) -> float:
    gc.collect()
    began = time.process_time()
    function()
    return time.process_time() - began


def take_turns(contenders: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    for run in contenders.values():
        run()
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            taken[name].append(cpu(run))
    return taken


# Streaming.


def lines_and_json(client: httpx.Client, url: str) -> Callable[[], None]:
    def run() -> None:
        with client.stream("POST", url + PATH, content=b"{}") as response:
            for text in response.iter_lines():
                if text.startswith("data: ") and text != "data: [DONE]":
                    _ = json.loads(text[6:])["choices"][0]["delta"]["content"]

    return run


def own(client: nbvlm.Client, prompt: str) -> Callable[[], None]:
    def run() -> None:
        with client.stream(PICTURE, prompt) as stream:
            for _ in stream:
                pass

    return run


def with_openai(url: str) -> Callable[[], None]:
    import openai

    client = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)

    def run() -> None:
        for chunk in client.chat.completions.create(model="m", messages=list_form(), stream=True):
            _ = chunk.choices[0].delta.content

    return run


def with_langchain(url: str) -> Callable[[], None]:
    chat = langchain(url)

    def run() -> None:
        for chunk in chat.stream([{"role": "user", "content": "caption en"}]):
            _ = chunk.content

    return run


def langchain(url: str) -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from langchain_nvidia_ai_endpoints import ChatNVIDIA

        return ChatNVIDIA(model="m", base_url=f"{url}/v1", api_key=KEY)


def list_form() -> Any:
    parts = [
        {"type": "image_url", "image_url": {"url": PICTURE.data_uri()}},
        {"type": "text", "text": "caption en"},
    ]
    return [{"role": "user", "content": parts}]


def own_awaited(url: str, prompt: str) -> Callable[[], None]:
    async def run() -> None:
        mine = nbvlm.AsyncClient("nvidia", api_key=KEY, base_url=url)
        async with mine, mine.stream(PICTURE, prompt) as stream:
            async for _ in stream:
                pass

    return lambda: asyncio.run(run())


GATES = {
    "single": {"text": 1.15, "boxes": 1.3, "text, awaited": 0.5, "boxes, awaited": 0.7},
    "packed": {"text": 0.8, "boxes": 1.2, "text, awaited": None, "boxes, awaited": None},
}


def events(server: Server) -> None:
    """CPU per streamed event, beside plain httpx lines and json."""
    plain = httpx.Client(timeout=60)
    for mode, words in (("single", "a chunk for each event"), ("packed", "16 KB chunks")):
        urls = {kind: server.url(f"{mode}{kind}") for kind in ("", "-boxes")}
        clients = {kind: client(url) for kind, url in urls.items()}
        contenders = {
            "plain": lines_and_json(plain, urls[""]),
            "text": own(clients[""], "caption en"),
            "text, awaited": own_awaited(urls[""], "caption en"),
            "plain, boxes": lines_and_json(plain, urls["-boxes"]),
            "boxes": own(clients["-boxes"], "detect cat ; dog"),
            "boxes, awaited": own_awaited(urls["-boxes"], "detect cat ; dog"),
        }
        taken = take_turns(contenders, ROUNDS)
        each = statistics.median(taken["plain"]) / EVENTS * 1e6
        line(f"events, {words}: httpx lines + json", each, "µs")
        for name, gate in GATES[mode].items():
            other = "plain, boxes" if "boxes" in name else "plain"
            line(f"events, {words}: nbvlm, {name}", ratio(taken[name], taken[other]), "× httpx", gate)
        others = {
            "plain": contenders["plain"],
            "openai": with_openai(server.url(mode)),
            "langchain": with_langchain(server.url(mode)),
        }
        taken = take_turns(others, 3)
        for name in ("openai", "langchain"):
            line(f"events, {words}: {name}", ratio(taken[name], taken["plain"]), "× httpx")
        for opened in clients.values():
            opened.close()
    plain.close()


def client(url: str) -> nbvlm.Client:
    return nbvlm.Client("nvidia", api_key=KEY, base_url=url)


# The first token, and connections.


def first(server: Server) -> None:
    """Seconds to the first piece of text on a warm client; connections; a second client."""
    plain, mine = httpx.Client(timeout=60), client(server.url("short"))
    body = own_body()
    contenders = {
        "httpx": lambda: first_of_httpx(plain, server.url("short"), body),
        "nbvlm": lambda: first_of_own(mine),
        "openai": first_of_openai(server.url("short")),
    }
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(300):
        for name, run in contenders.items():
            taken[name].append(run())
    for name, seconds in taken.items():
        line(f"first token, warm: {name}", statistics.median(seconds[20:]) * 1e3, "ms")
    medians = {name: statistics.median(seconds[20:]) for name, seconds in taken.items()}
    line("first token, warm: nbvlm", medians["nbvlm"] / medians["httpx"], "× httpx", 1.15)
    fresh = client(server.url("short"))
    before = server.opened()
    for _ in range(20):
        first_of_own(fresh)
    line("connections of 20 streams", server.opened() - before - 1, "", 1)
    for opened in (fresh, mine, plain):
        opened.close()
    second_client()


def own_body() -> bytes:
    from nbvlm import endpoints, request_body

    parameters = {"temperature": 0.2, "top_p": 0.7, "max_tokens": 1024}
    source = request_body.Source(PICTURE.mime, PICTURE.data)
    return request_body.body(endpoints.get("nvidia"), "caption en", source, parameters, stream=True)


def first_of_httpx(plain: httpx.Client, url: str, body: bytes) -> float:
    began, took = time.perf_counter(), 0.0
    with plain.stream("POST", url + PATH, content=body) as response:
        for text in response.iter_lines():
            if text.startswith("data: ") and not took:
                _ = json.loads(text[6:])["choices"][0]["delta"]["content"]
                took = time.perf_counter() - began
    return took


def first_of_own(mine: nbvlm.Client) -> float:
    began, took = time.perf_counter(), 0.0
    with mine.stream(PICTURE, "caption en") as stream:
        for event in stream:
            if type(event) is nbvlm.TextDelta and not took:
                took = time.perf_counter() - began
    return took


def first_of_openai(url: str) -> Callable[[], float]:
    import openai

    client = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)

    def run() -> float:
        began, took = time.perf_counter(), 0.0
        for _ in client.chat.completions.create(model="m", messages=list_form(), stream=True):
            took = took or time.perf_counter() - began
        return took

    return run


def second_client() -> None:
    from nbvlm.client.transports import tls

    taken = []
    for _ in range(20):
        began = time.perf_counter()
        made = nbvlm.Client("nvidia", api_key=KEY)
        tls()
        taken.append(time.perf_counter() - began)
        made.close()
    line("a first client, TLS context included", taken[0] * 1e3, "ms")
    line("a second client, TLS context included", statistics.median(taken[1:]) * 1e3, "ms", 2)


# Many requests at once.

Maker = "Callable[[str], tuple[Callable[[], Awaitable[Any]], Callable[[], Any]]]"


def raw(url: str) -> Any:
    idle: list[Any] = []
    body = own_body()
    head = f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    port = int(url.rsplit(":", 1)[1])

    async def one() -> None:
        reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(answer.split(b"content-length: ")[1].split(b"\r\n")[0])
        json.loads(await reader.readexactly(length))
        idle.append((reader, writer))

    return one, lambda: [writer.close() for _, writer in idle]


def with_aiohttp(url: str) -> Any:
    import aiohttp

    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    body = own_body()

    async def one() -> None:
        async with session.post(url + PATH, data=body) as response:
            await response.json()

    return one, session.close


def with_httpx(url: str) -> Any:
    client = httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=None))
    body = own_body()

    async def one() -> None:
        (await client.post(url + PATH, content=body)).json()

    return one, client.aclose


def openai_at_once(url: str) -> Any:
    import openai

    client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)
    messages = list_form()

    async def one() -> None:
        await client.chat.completions.create(model="m", messages=messages)

    return one, client.close


def langchain_at_once(url: str) -> Any:
    chat = langchain(url)

    async def one() -> None:
        await chat.ainvoke([{"role": "user", "content": "caption en"}])

    return one, lambda: None


def own_at_once(url: str) -> Any:
    client = nbvlm.AsyncClient("nvidia", api_key=KEY, base_url=url)

    async def one() -> None:
        await client.ask(PICTURE, "caption en")

    return one, client.aclose


async def at_once(make: Any, url: str, width: int) -> tuple[float, float, float]:
    """Requests a second, CPU milliseconds a request, and the slowest of a hundred in milliseconds."""
    one, close = make(url)
    await burst(one, width, width)
    gc.collect()
    began, used = time.perf_counter(), time.process_time()
    waits = await burst(one, width, width * 8)
    seconds, used = time.perf_counter() - began, time.process_time() - used
    if (closing := close()) is not None and hasattr(closing, "__await__"):
        await closing
    return len(waits) / seconds, used / len(waits) * 1e3, sorted(waits)[int(len(waits) * 0.99)] * 1e3


async def burst(one: Callable[[], Awaitable[Any]], width: int, count: int) -> list[float]:
    waits: list[float] = []
    left: Iterable[int] = iter(range(count))

    async def worker() -> None:
        for _ in left:
            began = time.perf_counter()
            await one()
            waits.append(time.perf_counter() - began)

    await asyncio.gather(*(worker() for _ in range(width)))
    return waits


Column = list[tuple[float, ...]]
"""Rates, CPU milliseconds and slowest waits of all rounds."""


def measured(url: str, width: int, makers: dict[str, Any], rounds: dict[str, int]) -> dict[str, Column]:
    """Measure contenders in turns, and print their medians; `rounds`: of those that take part less often."""
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in makers}
    for number in range(5):
        for name, make in makers.items():
            if number < rounds.get(name, 5):
                found[name].append(asyncio.run(at_once(make, url, width)))
    columns = {name: list(zip(*results, strict=True)) for name, results in found.items()}
    for name, column in columns.items():
        rate, used, slow = map(statistics.median, column)
        print(f"{width:>4} at once: {name:<12} {rate:7.0f} /s {used:8.3f} ms CPU {slow:8.1f} ms slowest")
    return columns


def many(server: Server) -> None:
    """Requests at once, each answered after 50 ms, and answered at once."""
    makers = {"raw asyncio": raw, "aiohttp": with_aiohttp, "nbvlm": own_at_once, "openai": openai_at_once}
    others = {"httpx": with_httpx, "langchain": langchain_at_once}
    few = dict.fromkeys(others, 2)
    narrow, middle, wide = (
        measured(server.url("slow"), width, makers | (others if width == 64 else {}), few)
        for width in (16, 64, 256)
    )
    mine = middle["nbvlm"]
    share = ratio(mine[0], middle["raw asyncio"][0])
    line("64 at once: throughput beside raw asyncio", share, "×", 0.65, least=True)
    share = ratio(mine[2], middle["aiohttp"][2])
    line("64 at once: slowest of a hundred beside aiohttp", share, "×", 1.8)
    for name in ("nbvlm", "raw asyncio"):
        share = ratio(middle[name][0], middle["openai"][0])
        line(f"64 at once: {name}, throughput beside openai", share, "×")
    line("CPU a request, 256 at once beside 16", ratio(wide["nbvlm"][1], narrow["nbvlm"][1]), "×", 1.3)
    print("answered at once:")
    ready = measured(server.url("ready"), 64, makers, {})
    share = ratio(ready["nbvlm"][0], ready["openai"][0])
    line("64 at once, answered at once: throughput beside openai", share, "×", 2, least=True)


# Uploads.


def upload(server: Server) -> None:
    """50 MB: seconds, and memory above idle."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "large.png")
        write_png(path)
        found: dict[str, list[dict[str, float]]] = {"idle": [], "httpx": [], "nbvlm": []}
        for _ in range(ROUNDS):
            for what, each in found.items():
                each.append(child(server, what, path))
    column = {(what, name): [one[name] for one in each] for what, each in found.items() for name in each[0]}
    for what in ("httpx", "nbvlm"):
        line(f"upload of 50 MB: {what}", statistics.median(column[what, "seconds"]) * 1e3, "ms")
        line(f"upload of 50 MB: {what}, CPU", statistics.median(column[what, "cpu"]) * 1e3, "ms")
        peaks = [statistics.median(column[each, "peak"]) for each in (what, "idle")]
        above = (peaks[0] - peaks[1]) / 1024
        line(f"upload of 50 MB: {what}, above idle", above, "MB", 4 if what == "nbvlm" else None)
    for name, words in (("seconds", "nbvlm"), ("cpu", "nbvlm, CPU")):
        share = ratio(column["nbvlm", name], column["httpx", name])
        line(f"upload of 50 MB: {words}", share, "× httpx", 0.3)


def write_png(path: Path) -> None:
    """Write a picture that does not compress."""
    Image.frombytes("RGB", (4096, 4096), os.urandom(4096 * 4096 * 3)).save(path, compress_level=0)


def child(server: Server, what: str, path: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--upload", what, server.url("assets"), str(path)]
    return json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)  # type: ignore[no-any-return]


def upload_once(what: str, url: str, path: str) -> None:
    """In a process of its own: upload a small picture, then the large one; print seconds and the peak."""
    mine, plain = client(url), httpx.Client(timeout=60)
    mine.assets.upload(PICTURE)
    plain.put(f"{url}/put/1", content=b"x")
    sent: list[tuple[float, float]] = []

    def note(_status: object = None) -> None:
        sent.append((time.perf_counter(), time.process_time()))

    content = Path(path).read_bytes() if what == "httpx" else b""
    note()
    if what == "nbvlm":
        sent.clear()
        mine.assets.upload(path, progress=note)
    elif what == "httpx":
        plain.put(f"{url}/put/1", content=content)
        note()
    seconds, used = (end - began for began, end in zip(sent[0], sent[-1], strict=True))
    print(json.dumps({"seconds": seconds, "cpu": used, "peak": peak()}))
    mine.close()
    plain.close()


def peak() -> float:
    """Largest memory of this process in KB; Linux counts the parent's into `ru_maxrss`."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(status.split("VmHWM:")[1].split()[0])


def start(_server: Server) -> None:
    """Starting Python with and without the package."""
    taken: dict[str, list[float]] = {"pass": [], "import nbvlm": [], "import httpx": [], "import openai": []}
    for number in range(15):
        for code, seconds in taken.items():
            if number < 3 or code in ("pass", "import nbvlm"):
                began = time.perf_counter()
                subprocess.run([sys.executable, "-c", code], check=True)
                seconds.append(time.perf_counter() - began)
    for code, seconds in taken.items():
        line(f"python -c '{code}'", statistics.median(seconds) * 1e3, "ms")
    line("python -c 'import nbvlm'", ratio(taken["import nbvlm"], taken["pass"]), "× bare", 2)


PARTS = {"events": events, "first": first, "many": many, "upload": upload, "start": start}


def main(names: list[str]) -> int:
    with Server() as server:
        for name in names or PARTS:
            PARTS[name](server)
    print("all gates kept" if not over else f"missed: {', '.join(over)}")
    return bool(over)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--upload"]:
        upload_once(*sys.argv[2:])
    else:
        sys.exit(main(sys.argv[1:]))
