"""Answers while they come, for all who asked the same; those that are kept; the queue of those that wait."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from nbvlm.gateway.turns import Turns

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine

    from nbvlm.client import Piece
    from nbvlm.errors import Error
    from nbvlm.gateway.questions import GatewayQuestion

__all__ = ["Answer", "Cache", "Chunk", "Ticket", "WaitingQueue"]


class Chunk(NamedTuple):
    """One piece of an answer: text, thinking, or a refusal."""

    text: str = ""
    thought: str = ""
    refusal: str = ""

    @classmethod
    def of(cls, piece: Piece) -> Chunk | None:
        """Return what a piece of the service adds, or None."""
        message = (piece.choices[0].delta or piece.choices[0].message) if piece.choices else None
        refusal = message.refusal if message is not None and isinstance(message.refusal, str) else ""
        chunk = cls(piece.text, piece.reasoning, refusal)
        return chunk if any(chunk) else None


class Answer:
    """One answer; those who follow it may come and go, and read at their own pace.

    `key` is the question's where it may be shared, else empty: a hash of the picture takes time.
    """

    def __init__(self, asked: GatewayQuestion, key: bytes = b"") -> None:
        # Until it was asked: the picture is not kept longer than needed.
        self.asked: GatewayQuestion | None = asked
        self.key, self.model = key, asked.model
        self.created = time.monotonic()
        self.chunks: list[Chunk] = []
        self.finish_reason: str | None = None
        self.prompt_tokens: int | None = None
        self.completion_tokens: int | None = None
        self.notices: tuple[str, ...] = ()
        self.by: str | None = None  # the model that answers, where the service names it
        self.loading: dict[str, Any] | None = None  # how far a model is that must be loaded first
        self.error: Error | None = None
        self.began = self.done = False
        self.task: asyncio.Task[None] | None = None
        self.followers = 0
        self._waiting: set[asyncio.Event] = set()

    @property
    def text(self) -> str:
        """All text so far."""
        return "".join(chunk.text for chunk in self.chunks)

    @property
    def tokens(self) -> int:
        """Tokens of the answer, as the service counts them, else its pieces."""
        return len(self.chunks) if self.completion_tokens is None else self.completion_tokens

    @property
    def weight(self) -> int:
        """Bytes that it takes in memory, about."""
        return 400 + sum(120 + len(chunk.text) + len(chunk.thought) for chunk in self.chunks)

    def take(self, piece: Piece) -> None:
        """Add a piece of the service's answer."""
        if (chunk := Chunk.of(piece)) is not None:
            self.chunks.append(chunk)
        if piece.usage is not None:
            self.prompt_tokens = piece.usage.prompt_tokens
            self.completion_tokens = piece.usage.completion_tokens
        self.finish_reason = piece.finish_reason or self.finish_reason
        self.wake()

    def report(self, loading: dict[str, Any] | None) -> None:
        """Note how far the loading of the model is; None where it is over."""
        if loading != self.loading:
            self.loading = loading
            self.wake()

    def finish(self, error: Error | None = None) -> None:
        """End the answer, with an error if it failed."""
        self.error, self.done, self.asked = error, True, None
        self.wake()

    def wake(self) -> None:
        """Let all who follow look again."""
        for event in self._waiting:
            event.set()

    async def follow(
        self, tick: float, event: asyncio.Event | None = None, *, always: bool = False
    ) -> AsyncGenerator[list[Chunk]]:
        """Yield the new pieces as they come.

        An empty list comes on the start, when `event` is set from outside, and after `tick` seconds without
        a piece, until the first piece or `always`.
        """
        event = event or asyncio.Event()
        self._waiting.add(event)
        seen, began = 0, self.began
        try:
            while True:
                event.clear()
                new = self.chunks[seen:]
                seen += len(new)
                if new:
                    yield new
                elif self.done:
                    return
                elif began != self.began:
                    began = self.began
                    yield []
                else:
                    await (
                        event.wait() if seen and not always else _tick(event, tick)
                    )  # no clock for each piece
                    if len(self.chunks) == seen and not self.done and began == self.began:
                        yield []
        finally:
            self._waiting.discard(event)


async def _tick(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


class Cache:
    """Whole answers to greedy questions, the least used of which go first."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._kept: OrderedDict[bytes, tuple[float, int, Answer]] = OrderedDict()
        self.weight = 0

    def get(self, key: bytes) -> Answer | None:
        """Return the answer to a question, or None."""
        found = self._kept.get(key)
        if found is None:
            return None
        if found[0] < self._clock():
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return found[2]

    def put(self, answer: Answer) -> None:
        """Keep a whole answer, if it is not too large."""
        weight = answer.weight
        if weight > self._most:
            return
        if answer.key in self._kept:
            self._drop(answer.key)
        self._kept[answer.key] = self._clock() + self._seconds, weight, answer
        self.weight += weight
        while self.weight > self._most:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: bytes) -> None:
        self.weight -= self._kept.pop(key)[1]

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()
        self.weight = 0

    def __len__(self) -> int:
        return len(self._kept)


class Ticket:
    """The place of one student's question in the queue."""

    __slots__ = ("answer", "caller", "gone")

    def __init__(self, caller: str, answer: Answer) -> None:
        self.caller, self.answer = caller, answer
        self.gone = False

    def expired(self) -> bool:
        """Whether its turn is not wanted any more: it was asked, for this student or for another."""
        return self.gone or self.answer.began or self.answer.done


class WaitingQueue:
    """Questions that wait: one of each student in turn, within the limits of the service.

    Parameters
    ----------
    ask
        Asks the service; called with an answer whose turn it is.
    at_once, of_student
        Questions under way at the same time, in all and of one student.
    per_minute
        Questions a minute in all; 0 for no limit.
    """

    def __init__(
        self,
        ask: Callable[[Answer], Coroutine[Any, Any, None]],
        *,
        at_once: int,
        of_student: int,
        per_minute: int = 0,
    ) -> None:
        self._ask, self._at_once, self._of_student = ask, at_once, of_student
        self._gap = 60 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._turns: Turns[Ticket] = Turns()
        self._running: Counter[str] = Counter()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.paused = False
        self._places: dict[int, int] = {}
        self._counted = 0.0

    @property
    def under_way(self) -> int:
        """Questions that the service is answering."""
        return self._running.total()

    def waiting(self, caller: str | None = None) -> int:
        """Count the questions that wait, of one student or of all."""
        return self._turns.waiting(caller)

    def add(self, ticket: Ticket) -> None:
        """Queue a question, or ask it at once."""
        self._turns.add(ticket)
        self.move()

    def pause(self, paused: bool) -> None:
        """Stop or go on to ask."""
        self.paused = paused
        self.move()

    def hold(self, seconds: float) -> None:
        """Ask nothing for a while: the service has refused for too many requests."""
        self._next = max(self._next, asyncio.get_running_loop().time() + seconds)

    def move(self) -> None:
        """Ask what may be asked now."""
        now = asyncio.get_running_loop().time()
        while not self.paused and self.under_way < self._at_once and self._next <= now:
            self._turns.waiting()  # drops those that expired, which must not take a turn
            ticket = self._turns.next(lambda one: self._running[one.caller] < self._of_student)
            if ticket is None:
                return
            if self._gap:
                self._next = max(self._next + self._gap, now)
            self._start(ticket)
        if self._next > now and self._timer is None and not self.paused and self._turns.waiting():
            self._timer = asyncio.get_running_loop().call_later(self._next - now, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self.move()

    def _start(self, ticket: Ticket) -> None:
        answer = ticket.answer
        answer.began = True
        self._running[ticket.caller] += 1
        task = asyncio.get_running_loop().create_task(self._ask(answer))
        self._tasks.add(task)
        # Not by the task itself: one that is cancelled before its first step runs none of its code.
        task.add_done_callback(functools.partial(self._ended, ticket.caller))
        answer.task = task
        answer.wake()

    def _ended(self, caller: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._running -= Counter([caller])
        self.move()

    def place(self, ticket: Ticket) -> tuple[int, int]:
        """Return the place of a question in the queue, 1 for the next one, and how many wait."""
        now = asyncio.get_running_loop().time()
        if now - self._counted > 0.1 or id(ticket) not in self._places:
            self._counted = now
            self._places = {id(one): place for place, one in enumerate(self._turns.order(), 1)}
        return self._places.get(id(ticket), 1), max(len(self._places), 1)

    async def close(self) -> None:
        """End everything."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
