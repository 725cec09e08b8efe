"""Takes questions of students: rules, quotas, the answer that others wait for, the queue, the books."""

from __future__ import annotations

import asyncio
import io
import logging
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbvlm.client import redact
from nbvlm.errors import Error, ImageError, RateLimitError
from nbvlm.gateway.answers import Answer, Cache, Ticket, WaitingQueue
from nbvlm.gateway.quotas import Quotas, Refused
from nbvlm.gateway.upstream import Upstream, explained
from nbvlm.images import Picture

if TYPE_CHECKING:
    from nbvlm.endpoints import Endpoint
    from nbvlm.gateway.config import Config
    from nbvlm.gateway.people import Person
    from nbvlm.gateway.questions import GatewayQuestion
    from nbvlm.gateway.rules import RuleBook
    from nbvlm.gateway.store import Store

__all__ = ["Dispatcher", "Inquiry", "Record"]

_MIB = 1024 * 1024
_SIDE = 160  # pixels of a picture on the wall
_RECENT = 100
_log = logging.getLogger("nbvlm")


@dataclass(slots=True)
class Record:
    """One question as the teacher sees it; in memory only."""

    id: int
    name: str
    model: str
    prompt: str
    at: float
    status: str = ""
    text: str = ""
    first_s: float | None = None
    total_s: float | None = None
    tokens: int = 0
    shared: bool = False
    thumbnail: bytes | None = field(default=None, repr=False)


class Inquiry:
    """One student's question on its way to an answer, and in the books."""

    def __init__(
        self, dispatcher: Dispatcher, person: Person, asked: GatewayQuestion, answer: Answer, *, shared: bool
    ) -> None:
        self.id = str(uuid.uuid4())
        self.person, self.answer, self.shared = person, answer, shared
        self.stream, self.with_usage = asked.stream, asked.with_usage
        self.ticket: Ticket | None = None
        self.row = 0
        self.left = dispatcher.quotas.left(person)
        self.record: Record | None = None
        self._dispatcher = dispatcher
        self._began = time.monotonic()
        self.first_s: float | None = None
        self._open = True
        answer.followers += 1

    @property
    def waits(self) -> bool:
        """Whether it waits for its turn."""
        return self.ticket is not None and not self.ticket.expired()

    def place(self) -> tuple[int, int]:
        """Return its place in the queue, and how many wait."""
        return self._dispatcher.queue.place(self.ticket) if self.ticket is not None else (1, 1)

    def seen_first(self) -> None:
        """Note that the first piece goes to the student."""
        if self.first_s is None:
            self.first_s = time.monotonic() - self._began

    def close(self, status: str) -> None:
        """Leave; an answer without a reader is stopped. A second call does nothing."""
        if self._open:
            self._open = False
            if self.ticket is not None:
                self.ticket.gone = True
            self._dispatcher.leave(self, status, time.monotonic() - self._began)


class Dispatcher:
    """Everything behind the protocol."""

    def __init__(self, config: Config, store: Store, rules: RuleBook, upstream: Upstream) -> None:
        self._config, self._store, self.rules, self.upstream = config, store, rules, upstream
        self.quotas = Quotas(store, config.quota)
        self._sharing = config.sharing
        self.cache = Cache(config.sharing.cache_mb * _MIB, config.sharing.cache_minutes * 60)
        self._running: dict[bytes, Answer] = {}
        self.queue = WaitingQueue(
            self._ask,
            at_once=config.upstream.at_once,
            of_student=config.limits.at_once_of_student,
            per_minute=config.upstream.requests_per_minute or upstream.per_minute,
        )
        self.queue.paused = rules.now.paused
        self.recent: deque[Record] = deque(maxlen=max(_RECENT, config.wall.answers))
        self.errors: deque[tuple[float, str]] = deque(maxlen=20)
        self._number = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    # What may be asked

    def choose(self, name: str | None) -> Endpoint:
        """Return the endpoint of a model that a student names; the model of the class for None.

        Raises
        ------
        Refused
            If it is not a model of the class.
        """
        rules = self.rules.now
        if name is None:
            return self.upstream.endpoint(rules.model)
        if name in rules.models:
            return self.upstream.endpoint(name)
        raise Refused(404, f"The class does not ask {name[:100]} now, but {rules.model}")

    def admit(self, person: Person, asked: GatewayQuestion) -> Inquiry:
        """Take a question.

        Raises
        ------
        Refused
            If rules, quotas or limits do not allow it now.
        """
        task = asked.task
        self._check_rules(person, task)
        key = asked.key if self._is_shared(asked) else b""
        answer, shared = self._shared(asked, key)
        caller = str(person.id)
        if answer is None or not answer.began:
            self._check_line(caller)
        started = self.quotas.take(person)
        if answer is None:
            answer = Answer(asked, key)
            if key:
                self._running[key] = answer
        inquiry = Inquiry(self, person, asked, answer, shared=shared)
        inquiry.row = self._store.write(
            "INSERT INTO usage (student, started, model, task, shared) VALUES (?, ?, ?, ?, ?)",
            (person.id, started, answer.model, task, shared),
        )
        self._remember(inquiry, asked)
        if not answer.began and not answer.done:
            inquiry.ticket = Ticket(caller, answer)
            self.queue.add(inquiry.ticket)
        return inquiry

    def standing(self, person: Person) -> dict[str, Any]:
        """Return name and role of a person, the questions left of today, and why none is taken now."""
        try:
            self._check_open(person)
            refused = ""
        except Refused as reason:
            refused = f"{reason}."
        return {
            "name": person.name,
            "role": person.role,
            "left": self.quotas.left(person),
            "refused": refused,
        }

    def _check_rules(self, person: Person, task: str) -> None:
        self._check_open(person)
        if task not in self.rules.now.tasks:
            raise Refused(403, f"This class does not allow this task now: {task}")

    def _check_open(self, person: Person) -> None:
        rules = self.rules.now
        if person.blocked:
            raise Refused(403, "Your teacher has blocked your questions")
        if rules.is_closed():
            raise Refused(403, f"The class has closed at {rules.closes}")
        if rules.paused:
            raise Refused(503, "Your teacher has paused the class", 15)

    def _check_line(self, caller: str) -> None:
        limits = self._config.limits
        if self.queue.waiting(caller) >= limits.waiting_of_student:
            message = f"You have {limits.waiting_of_student} questions waiting: let them be answered first"
            raise Refused(429, message, 5)
        if self.queue.waiting() >= limits.waiting:
            raise Refused(503, f"{limits.waiting} questions of this class wait already", 5)

    def _is_shared(self, asked: GatewayQuestion) -> bool:
        return (asked.is_greedy and self._sharing.greedy) or self._sharing.within_s > 0

    def _shared(self, asked: GatewayQuestion, key: bytes) -> tuple[Answer | None, bool]:
        """Return the answer to the same question, if it may be shared."""
        if not key:
            return None, False
        greedy = asked.is_greedy and self._sharing.greedy
        if greedy and (kept := self.cache.get(key)) is not None:
            return kept, True
        running = self._running.get(key)
        if running is None or running.error is not None:
            return None, False
        if not greedy and time.monotonic() - running.created > self._sharing.within_s:
            return None, False
        return running, True

    # The answer

    async def _ask(self, answer: Answer) -> None:
        asked = answer.asked
        greedy = asked is not None and asked.is_greedy and self._sharing.greedy
        failure: Error | None = None
        try:
            seconds, now = self._config.limits.answer_s, asyncio.get_running_loop().time
            async with asyncio.timeout(seconds) as limit:
                # The time in which a model is loaded does not count.
                await self.upstream.ask(answer, lambda: limit.reschedule(now() + seconds))
        except asyncio.CancelledError:
            failure = Error("The gateway is shutting down.")
            raise
        except TimeoutError:
            failure = Error("The answer took too long.")
        except Error as error:
            failure = error
        except Exception:  # noqa: BLE001 - the students get a sentence, and the next question its turn
            _log.exception("The gateway failed at a question")
            failure = Error("The gateway failed.")
        finally:
            if self._running.get(answer.key) is answer and (failure or self._sharing.within_s <= 0):
                del self._running[answer.key]
            elif self._running.get(answer.key) is answer:
                asyncio.get_running_loop().call_later(self._sharing.within_s, self._forget, answer)
            if isinstance(failure, RateLimitError):
                self.queue.hold(failure.retry_after or 10.0)
            if failure is None and greedy:
                self.cache.put(answer)
            if failure is not None and not isinstance(failure, ImageError):
                self.errors.append((time.time(), f"{explained(failure)[0]} {redact(failure.message)[:300]}"))
            answer.finish(failure)

    def _forget(self, answer: Answer) -> None:
        if self._running.get(answer.key) is answer:
            del self._running[answer.key]

    def leave(self, inquiry: Inquiry, status: str, total_s: float) -> None:
        """Close the books of a question."""
        answer, person = inquiry.answer, inquiry.person
        answer.followers -= 1
        if not answer.followers and not answer.done:
            self._forget(answer)
            if answer.task is not None:
                answer.task.cancel()
        # The tokens of a shared answer are those of the student whose question was asked.
        tokens = 0 if inquiry.shared else answer.tokens
        prompt = 0 if inquiry.shared else answer.prompt_tokens or 0
        self.quotas.add_tokens(person, tokens + prompt)
        if inquiry.record is not None:
            record = inquiry.record
            record.status, record.first_s, record.total_s = status, inquiry.first_s, total_s
            record.tokens, record.shared, record.text = tokens, inquiry.shared, answer.text[:2000]
        self._store.write(
            "UPDATE usage SET ended = ?, prompt_tokens = ?, completion_tokens = ?, status = ?, first_s = ?, "
            "total_s = ? WHERE id = ?",
            (time.time(), prompt, tokens, status, inquiry.first_s, total_s, inquiry.row),
        )

    def _remember(self, inquiry: Inquiry, asked: GatewayQuestion) -> None:
        self._number += 1
        record = Record(self._number, inquiry.person.name, asked.model, asked.prompt[:1000], time.time())
        inquiry.record = record
        self.recent.append(record)
        if self.rules.now.wall:
            task = asyncio.get_running_loop().create_task(self._draw(record, asked.picture.data))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _draw(self, record: Record, data: bytes) -> None:
        try:
            record.thumbnail = await self.upstream.decode(_thumbnail, data)
        except Error:
            return

    def wall(self) -> list[Record]:
        """Return the answers on the wall, newest first; pictures whose time is over are deleted."""
        oldest = time.time() - self._config.wall.minutes * 60
        on = self.rules.now.wall
        shown = 0
        found: list[Record] = []
        for record in reversed(self.recent):
            keep = on and record.at >= oldest and shown < self._config.wall.answers
            if not keep:
                record.thumbnail = None
            elif record.thumbnail is not None and record.status == "answered":
                shown += 1
                found.append(record)
        return found

    async def settle(self) -> None:
        """Wait until everything that was asked is in the books."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """End all questions, and close the connections to the service."""
        await self.queue.close()
        await self.settle()
        await self.upstream.close()


def _thumbnail(data: bytes) -> bytes:
    buffer = io.BytesIO()
    Picture.load(data).thumbnail(_SIDE).convert("RGB").save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
