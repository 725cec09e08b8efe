"""The part of a run that lives on a cluster's scheduler: one token bucket, the post, what is done, keys.

Workers ask here for leave to send a request, hand in finished rows, and ask which questions are answered
already. Rows go on to the client as they come. A key that was registered is kept in this process's memory
only; on its way it is in two halves, each of them random, so that no message, log or pickle holds it.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from distributed import SchedulerPlugin

from nbvlm.batches.halves import LEAVE, joined, mixed, topic
from nbvlm.batches.rate_limit import RateLimiter
from nbvlm.client import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["NAME", "Office"]

NAME = "nbvlm-office"
PATIENCE = 6.0
"""Seconds that workers have for their leave."""


@dataclass(slots=True)
class _Desk:
    """What the scheduler knows of one run."""

    pace: RateLimiter
    client: str | None
    done: set[str] = field(default_factory=set)
    begun: set[int] = field(default_factory=set)
    stations: set[str] = field(default_factory=set)
    empty: asyncio.Event = field(default_factory=asyncio.Event)

    def leaves(self, worker: str) -> None:
        """Note that a worker has no part in the run any more."""
        self.stations.discard(worker)
        if not self.stations:
            self.empty.set()


class Office(SchedulerPlugin):  # type: ignore[misc] # the base class has no types
    """Serves the workers of all runs on this scheduler."""

    name = NAME
    idempotent = True

    def __init__(self) -> None:
        self._scheduler: Any = None
        self._desks: dict[str, _Desk] = {}
        self._ending: dict[str, _Desk] = {}
        self._halves: dict[str, bytes] = {}
        self._keys: dict[str, Secret] = {}

    async def start(self, scheduler: Any) -> None:
        """Offer what workers and clients may ask for."""
        self._scheduler = scheduler
        offered = (self.begin, self.end, self.arrive, self.left, self.take, self.refused, self.known)
        for handler in (*offered, self.post, self.keep, self.half):
            scheduler.handlers[f"nbvlm_{handler.__name__}"] = handler

    def remove_client(self, scheduler: Any, client: str) -> None:
        """End the runs of a client that has gone: its workers stop asking."""
        del scheduler
        for run in [run for run, desk in self._desks.items() if desk.client == client]:
            self._dismiss(run)

    def remove_worker(self, scheduler: Any, worker: str, **more: Any) -> None:
        """Expect nothing of a worker that has gone."""
        del scheduler, more
        for desk in (*self._desks.values(), *self._ending.values()):
            desk.leaves(worker)

    def begin(
        self, run: str, rate: float | None, first: float, client: str | None = None, done: Iterable[str] = ()
    ) -> bool:
        """Begin a run, or add to what is known of it."""
        if run not in self._desks:
            self._desks[run] = _Desk(RateLimiter(rate, first=first), client)
        self._desks[run].done.update(done)
        return True

    async def end(self, run: str) -> None:
        """Forget a run once its workers have stopped asking and have deleted what they uploaded."""
        desk = self._dismiss(run)
        if desk is not None and desk.stations:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(desk.empty.wait(), PATIENCE)
        self._ending.pop(run, None)

    def _dismiss(self, run: str) -> _Desk | None:
        desk = self._desks.pop(run, None)
        broker = getattr(self._scheduler, "_broker", None)
        if broker is not None:  # else its last events are kept for ever
            broker.truncate(topic(run))
        if desk is not None:
            self._ending[run] = desk
            for worker in desk.stations & self._scheduler.stream_comms.keys():
                self._scheduler.stream_comms[worker].send({"op": LEAVE, "run": run})
        return desk

    def left(self, run: str, worker: str) -> None:
        """Note that a worker has no part in a run any more."""
        desk = self._ending.get(run) or self._desks.get(run)
        if desk is not None:
            desk.leaves(worker)

    def arrive(self, run: str, part: int, worker: str) -> bool | None:
        """Note that a worker begins a partition; return whether some of it may be answered already.

        None where the run has ended.
        """
        desk = self._desks.get(run)
        if desk is None:
            return None
        desk.stations.add(worker)
        again = part in desk.begun
        desk.begun.add(part)
        return again or bool(desk.done)

    async def take(self, run: str) -> bool:
        """Wait for leave to send one request; False where the run has ended."""
        desk = self._desks.get(run)
        if desk is not None:
            await desk.pace.take()
        return run in self._desks

    async def refused(self, run: str, age: float, asked: float | None) -> None:
        """Slow everyone down after a 429."""
        if (desk := self._desks.get(run)) is not None:
            await desk.pace.refused(age, asked)

    def known(self, run: str, keys: list[str]) -> list[str]:
        """Return those questions that are answered."""
        desk = self._desks.get(run)
        return [key for key in keys if key in desk.done] if desk is not None else []

    async def post(self, run: str, lines: list[tuple[str, bytes, bool]]) -> bool:
        """Send finished rows on to the client: key, line, and whether it is an answer that stays."""
        desk = self._desks.get(run)
        if desk is None:
            return False
        for key, _, stays in lines:
            if stays:
                desk.done.add(key)
                await desk.pace.answered()
        self._scheduler.log_event(topic(run), [line for _, line, _ in lines])
        return True

    def keep(self, name: str, half: bytes) -> None:
        """Keep a key once both of its halves are here."""
        other = self._halves.pop(name, None)
        if other is None:
            self._halves[name] = half
        else:
            self._keys[name] = Secret(joined(other, half))

    def half(self, name: str, pad: bytes | None = None) -> bytes | None:
        """Give out a key in two calls: a random half, then, for that one, the other."""
        secret = self._keys.get(name)
        if secret is None:
            return None
        text = secret.reveal().encode()
        return secrets.token_bytes(len(text)) if pad is None else mixed(text, pad)
