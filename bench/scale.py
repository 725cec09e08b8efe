"""From a thousand pictures to ten million: what a batch would take, by simulation, and whether that is so.

Run `python bench/scale.py [part …]`; the parts are costs, check and table, by default all. `costs` measures
what a picture costs the parts of a run on this machine; `check` runs 1 to 4 local worker processes against a
service on loopback that takes 200 ms, and compares with what the simulation said beforehand: at most 20 %
apart (on a machine that has nothing else to do); `table` prints what the simulation says about runs that
nobody here can wait for.

The simulation knows where a picture may wait: for a free slot of its worker (concurrency), for the token
bucket, for the service (latency, failures, how many it answers at once), and for three that do one thing at a
time: the worker's event loop, the scheduler, the client with its journal. Runs of more than 20,000 pictures
are drawn out from the pace of the last half of so many.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch import KEY, Server, pictures

import nbvlm

if TYPE_CHECKING:
    from collections.abc import Callable

MOST = 20_000
SECONDS = 0.2
GATE = 0.20
over: list[str] = []


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds that a picture costs, and that a run costs once.

    `loop` of its worker's event loop, `take` and `post` of the scheduler, `row` of the client with its
    journal; `lag` is what a slot is taken for beside all that and the service; `start` of a run.
    """

    loop: float = 0.0015
    take: float = 0.0003
    post: float = 0.0002
    row: float = 0.0002
    lag: float = 0.004
    start: float = 0.15


@dataclass(frozen=True, slots=True)
class Service:
    """Median seconds of an answer, their spread, share of failures, how many at once, requests a minute."""

    seconds: float = 0.05
    spread: float = 0.0
    failures: float = 0.0
    at_once: float = float("inf")
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a simulated run: seconds, pictures a second, and how busy each part was."""

    seconds: float
    pace: float
    busy: dict[str, float]

    @property
    def limit(self) -> str:
        """The part that was busiest."""
        return max(self.busy, key=lambda name: self.busy[name])


@dataclass(slots=True)
class Resource:
    """Something that does one thing at a time, or `width` things."""

    width: int = 1
    free: list[float] = field(default_factory=list)
    worked: float = 0.0

    def serve(self, now: float, seconds: float) -> float:
        """Return when a thing that comes now is done."""
        self.worked += seconds
        began = now if len(self.free) < self.width else max(now, heapq.heappop(self.free))
        heapq.heappush(self.free, began + seconds)
        return began + seconds


class Run:
    """A simulated run: pictures, workers, questions at once for each, a service, and what things cost."""

    def __init__(self, count: int, workers: int, concurrency: int, service: Service, costs: Costs) -> None:
        self.count, self.service, self.costs = count, service, costs
        self.concurrency = concurrency
        self.loops = [Resource() for _ in range(workers)]
        self.scheduler, self.client = Resource(), Resource()
        wide = service.at_once
        self.model = Resource(int(wide)) if wide != float("inf") else None
        self.next = 0.0
        self.taken = 0
        self.events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self.order = itertools.count()
        self.ends: list[float] = []
        self.chance = random.Random(0)

    def outcome(self) -> Outcome:
        """Let it happen."""
        for worker in range(len(self.loops)):
            for _ in range(self.concurrency):
                self.at(0.0, self.begin, worker)
        while self.events:
            now, _, step, values = heapq.heappop(self.events)
            step(now, *values)
        last, half = self.ends[-1], len(self.ends) // 2
        pace = (len(self.ends) - half) / max(last - self.ends[half - 1], 1e-9) if half else 1 / last
        busy = {
            "scheduler": self.scheduler.worked / last,
            "client and journal": self.client.worked / last,
            "workers": max(loop.worked for loop in self.loops) / last,
            "token bucket": pace * 60 / self.service.rate if self.service.rate else 0.0,
            "service": self.model.worked / last / self.model.width if self.model else 0.0,
        }
        # Where none of them is busy, the questions under way are what there is of the pace.
        return Outcome(last + self.costs.start, pace, busy | {"concurrency": 0.6})

    def at(self, when: float, step: Callable[..., None], *values: Any) -> None:
        heapq.heappush(self.events, (when, next(self.order), step, values))

    def begin(self, now: float, worker: int) -> None:
        """A slot is free: the next picture asks for leave."""
        if self.taken < self.count:
            self.taken += 1
            self.at(now + self.costs.lag / 2, self.asks, worker)

    def asks(self, now: float, worker: int) -> None:
        # Only where there is a rate, the workers ask the scheduler for their turn.
        asked = self.scheduler.serve(now, self.costs.take) if self.service.rate is not None else now
        self.at(asked, self.waits, worker)

    def waits(self, now: float, worker: int) -> None:
        if self.service.rate is not None:
            self.next = max(self.next, now) + 60 / self.service.rate
            now = self.next
        self.at(now + self.costs.lag / 2, self.sends, worker)

    def sends(self, now: float, worker: int) -> None:
        self.at(self.loops[worker].serve(now, self.costs.loop), self.served, worker)

    def served(self, now: float, worker: int) -> None:
        took = self.service.seconds
        if self.service.spread:
            took *= self.chance.lognormvariate(0.0, self.service.spread)
        done = self.model.serve(now, took) if self.model else now + took
        if self.chance.random() < self.service.failures:
            self.at(done + 0.5, self.asks, worker)
        else:
            self.at(done, self.answered, worker)

    def answered(self, now: float, worker: int) -> None:
        self.at(now, self.begin, worker)
        self.at(self.scheduler.serve(now, self.costs.post), self.kept)

    def kept(self, now: float) -> None:
        self.ends.append(self.client.serve(now, self.costs.row))


@functools.cache
def happened(count: int, workers: int, concurrency: int, service: Service, costs: Costs) -> Outcome:
    return Run(count, workers, concurrency, service, costs).outcome()


def simulated(count: int, workers: int, concurrency: int, service: Service, costs: Costs) -> Outcome:
    """Simulate a run; a long one is drawn out."""
    least = min(count, max(MOST, 4 * workers * concurrency))
    if service.rate is not None:
        least = min(count, max(2_000, 4 * workers * concurrency))
    outcome = happened(least, workers, concurrency, service, costs)
    return replace(outcome, seconds=outcome.seconds + (count - least) / outcome.pace)


# What things cost here.


def measured_row(server: Server, folder: Path) -> float:
    """Seconds of the client for a row: decoded, written, made a value."""
    from nbvlm.batches import journal, rows
    from nbvlm.batches.rows import Position

    kept = journal.Journal(folder / "source.jsonl")
    client = nbvlm.Client("nvidia", api_key=KEY, base_url=server.url)
    row = next(iter(nbvlm.ibatch(pictures(folder, 1), "caption en", client=client, journal=None)))
    began = time.perf_counter()
    for number in range(2_000):
        data = rows.decode(row._line) | {"key": f"{number:032x}"}
        rows.row_of(kept.add(data, Position(number, f"{number}.png")))
    kept.close()
    return (time.perf_counter() - began) / 2_000


def measured_calls(engine: Any) -> tuple[float, float]:
    """Seconds of the scheduler for leave, and for a row where sixteen come in a chunk."""
    from distributed import Semaphore

    turn = Semaphore(1, name="bench", scheduler_rpc=engine.scheduler, loop=engine.loop)
    began = time.perf_counter()
    for _ in range(300):
        turn.acquire()
        turn.release()
    take = (time.perf_counter() - began) / 300
    turn.close()
    began = time.perf_counter()
    engine.gather([engine.submit(len, [b"x" * 1_000] * 16, pure=False) for _ in range(100)])
    # The caller and the scheduler work in turns: about a half is the scheduler's.
    return take / 2, (time.perf_counter() - began) / 3_200


def costs(server: Server) -> Costs:
    """Measure what the parts of a run cost, on one worker with two questions at once."""
    from distributed import Client, LocalCluster

    made = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None)
    with tempfile.TemporaryDirectory() as name, made, Client(made) as engine:
        row = measured_row(server, Path(name))
        take, post = measured_calls(engine)
        folder = Path(name, "pictures")
        folder.mkdir()
        paths = pictures(folder, 300)
        real(engine, server, paths, 2)
        idle = idles(engine)
        used, began = spent(engine), time.perf_counter()
        few, many = (min(real(engine, server, paths[:count], 2) for _ in range(2)) for count in (60, 300))
        loop = (spent(engine) - used - idle * (time.perf_counter() - began)) / 720
    each = (many - few) / 240
    lag = max(each * 2 - SECONDS - loop, 0.0)
    found = Costs(loop, take, post, row, lag, max(few - 60 * each, 0.0))
    print(
        f"a picture costs: the worker {loop * 1e3:.2f} ms, the scheduler {take * 1e3:.2f} + {post * 1e3:.2f} "
        f"ms, the client {row * 1e3:.2f} ms, lag {lag * 1e3:.1f} ms; a run {found.start * 1e3:.0f} ms"
    )
    return found


def spent(engine: Any) -> float:
    """CPU seconds of all workers so far."""
    return float(sum(engine.run(time.process_time).values()))


def idles(engine: Any) -> float:
    """CPU seconds a second of workers that wait: what they spend on heartbeats and looking at themselves."""
    used, began = spent(engine), time.perf_counter()
    time.sleep(5)
    return (spent(engine) - used) / (time.perf_counter() - began)


def real(engine: Any, server: Server, images: list[str], concurrency: int) -> float:
    """Seconds of a real run on a cluster."""
    from nbvlm.batches import register_key

    client = nbvlm.Client("nvidia", api_key=KEY, base_url=server.slower)
    register_key(engine, client)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as home:
        journal = Path(home, "run.jsonl")
        options: dict[str, Any] = {"concurrency": concurrency, "journal": journal}
        table = nbvlm.batch(images, "caption en", client=client, engine=engine, **options)
    assert table.error.isna().all()
    return time.perf_counter() - began


# Predictions beside real runs.


def check(server: Server, found: Costs) -> None:
    """Runs of 1 to 4 workers, expected and real."""
    from distributed import Client, LocalCluster

    with tempfile.TemporaryDirectory() as name:
        paths = pictures(Path(name), 400)
        for workers, concurrency in ((1, 8), (2, 4), (3, 4), (4, 4)):
            expected = simulated(400, workers, concurrency, Service(SECONDS), found).seconds
            made = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
            with made, Client(made) as engine:
                engine.wait_for_workers(workers)
                real(engine, server, paths[: 20 * workers], concurrency)  # opens everything once
                took = min(real(engine, server, paths, concurrency) for _ in range(2))
            apart = expected / took - 1
            missed = abs(apart) > GATE
            print(
                f"{workers} workers, {concurrency} at once each, 400 pictures: expected {expected:5.2f} s, "
                f"real {took:5.2f} s, {apart:+.0%}{'   MISSED' if missed else ''}",
                flush=True,
            )
            if missed:
                over.append(f"{workers} workers")


# What nobody here can wait for.

SCENES = {
    "hosted, 40 a minute, 1.5 s": Service(1.5, 0.4, 0.01, rate=40),
    "one GPU: 16 at once, 0.8 s": Service(0.8, 0.3, 0.001, at_once=16),
    "fifty GPUs: 800 at once, 0.8 s": Service(0.8, 0.3, 0.001, at_once=800),
    "as many as are asked, 0.8 s": Service(0.8, 0.3, 0.001),
}


def table(found: Costs) -> None:
    """Durations by pictures and workers, 8 questions at once each, and what limits them."""
    for title, service in SCENES.items():
        print(f"\n{title}")
        print(
            f"{'workers':>8}"
            + "".join(f"{f'10^{power}':>14}" for power in range(3, 8))
            + "   a second, limit"
        )
        for workers in (1, 10, 100, 1000):
            outcomes = [simulated(10**power, workers, 8, service, found) for power in range(3, 8)]
            last = outcomes[-1]
            cells = "".join(f"{spelled(each.seconds):>14}" for each in outcomes)
            print(f"{workers:>8}{cells}   {last.pace:8.1f}  {last.limit}")


def spelled(seconds: float) -> str:
    for limit, unit, size in ((120, "s", 1), (7_200, "min", 60), (172_800, "h", 3_600)):
        if seconds < limit:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds / 86_400:.1f} days"


def main(names: list[str]) -> int:
    wanted = names or ["costs", "check", "table"]
    with Server() as server:
        found = costs(server) if {"costs", "check"} & set(wanted) else Costs()
        if "check" in wanted:
            check(server, found)
    if "table" in wanted:
        table(found)
    print("all gates kept" if not over else f"missed: {', '.join(over)}")
    return bool(over)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
