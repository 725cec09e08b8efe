"""Compute answers in a few threads, in fair turns; any thread may read the tokens of a job.

A job continues while its caller waits, polls or reads slowly; once cancelled, it stops at the next token.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from nbvlm._background import start_thread
from nbvlm.demo.service.limits import IN_PROCESS, Limits
from nbvlm.demo.service.pictures import SIDE
from nbvlm.demo.service.turns import OneEach, Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PIL import Image

    from nbvlm.demo.service.pictures import EncodedPicture
    from nbvlm.demo.speaking import Speaker

__all__ = ["Busy", "Engine", "GenerationJob", "Model", "Token"]


_WHOLE = 1024  # tokens


class Busy(Exception):
    """Too many questions wait; `status` is 429 where they are this caller's own, else 503."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Token(Protocol):
    """One computed token."""

    @property
    def text(self) -> str:
        """The text that it adds to the answer; may be empty."""

    @property
    def finish_reason(self) -> str | None:
        """`"stop"` or `"length"` on the last token, None on all others."""


class Model(Protocol):
    """The interface of a model for the service; an attribute `longest_side` replaces `SIDE`."""

    def stream(
        self,
        image: Image.Image,
        prompt: str,
        *,
        temperature: float,
        top_p: float,
        max_tokens: int,
        seed: int | None = None,
    ) -> Iterator[Token]:
        """Yield the answer, each token as soon as it is computed."""

    def count(self, prompt: str) -> int:
        """Count the tokens of the prompt, the picture's included."""


@dataclass(frozen=True, slots=True)
class _End:
    text: str = ""
    finish_reason: str | None = "stop"


class GenerationJob:
    """One answer while it is computed; `source` is called in the thread that runs it, and yields tokens.

    With a `pace`, readers get so many tokens a second; the thread computes them at its own speed, so that a
    slow answer does not keep others waiting.
    """

    def __init__(
        self,
        source: Callable[[], Iterator[Token]],
        *,
        id_: str,
        caller: str = "",
        large: bool = False,
        stream: bool = False,
        prompt_tokens: int = 0,
        pace: float | None = None,
    ) -> None:
        self.id = id_
        self.caller = caller
        self.large = large
        self.stream = stream
        self.prompt_tokens = prompt_tokens
        self.pace = pace
        self._began = 0.0  # when the first token was computed
        self.error: Exception | None = None
        self._source: Callable[[], Iterator[Token]] | None = source
        self._changed = threading.Condition()
        self._tokens: list[Token] = []
        self._expires = float("inf")
        self._done = False
        self._cancelled = False

    def cancel(self) -> None:
        """Stop at the next token."""
        with self._changed:
            self._cancelled = True
            self._changed.notify_all()

    @property
    def cancelled(self) -> bool:
        """Whether the answer is no longer wanted."""
        return self._cancelled

    def expire_after(self, seconds: float | None) -> bool:
        """Cancel the job unless this is called again within `seconds`; False if it was cancelled."""
        with self._changed:
            if not self._expired():
                self._expires = float("inf") if seconds is None else time.monotonic() + seconds
            return not self._cancelled

    def expired(self) -> bool:
        """Whether the job is cancelled, or its time has passed."""
        with self._changed:
            return self._expired()

    def _expired(self) -> bool:
        """Whether to stop; call it with the lock held."""
        self._cancelled = self._cancelled or time.monotonic() > self._expires
        return self._cancelled

    def wait(self, seconds: float | None) -> bool:
        """Wait for the first token of a stream or the whole answer; False when `seconds` passed first."""
        with self._changed:
            return self._wait(self._ready, seconds)

    def _wait(self, ready: Callable[[], bool], seconds: float | None = None) -> bool:
        """Wait for tokens and for the pace; call it with the lock held."""
        end = math.inf if seconds is None else time.monotonic() + seconds
        while not ready():
            now = time.monotonic()
            if now >= end:
                return False
            until = min(end, self._next_release())
            self._changed.wait(None if until == math.inf else max(until - now, 0.0))
        return True

    def _released(self) -> int:
        """Count the tokens that readers may have; call it with the lock held."""
        if self.pace is None or not self._tokens:
            return len(self._tokens)
        return min(len(self._tokens), 1 + int((time.monotonic() - self._began) * self.pace))

    def _next_release(self) -> float:
        """Return when the pace releases one more token, infinite where none is held back."""
        released = self._released()
        if self.pace is None or released == len(self._tokens):
            return math.inf
        return self._began + released / self.pace

    @property
    def notice(self) -> str | None:
        """The notice of the first token about the whole answer, or None."""
        return self._of_first("notice")

    @property
    def model(self) -> str | None:
        """The name of the model that answers, where one of several does, or None."""
        return self._of_first("model")

    def _of_first(self, name: str) -> str | None:
        with self._changed:
            return getattr(self._tokens[0], name, None) if self._tokens else None

    def __iter__(self) -> Iterator[Token]:
        """Yield the tokens as they come; end early when the job is cancelled, raise the model's exception."""
        sent = 0
        while new := self._after(sent):
            yield from new
            sent += len(new)
        if self.error is not None:
            raise self.error

    def _after(self, sent: int) -> list[Token]:
        """Wait for more than `sent` tokens and return the new ones; an empty list is the end."""
        with self._changed:
            self._wait(lambda: self._released() > sent or self._over())
            return [] if self._cancelled else self._tokens[sent : self._released()]

    def _over(self) -> bool:
        return self._cancelled or (self._done and self._released() == len(self._tokens))

    def _ready(self) -> bool:
        return self._over() or (self.stream and bool(self._tokens))

    def run(self) -> None:
        """Compute the answer in this thread; never raises."""
        try:
            self._compute()
        except Exception as error:  # noqa: BLE001 - the reader gets whatever the model raised
            self.error = error
        finally:
            with self._changed:
                self._done = True
                self._changed.notify_all()

    def _compute(self) -> None:
        source, self._source = self._source, None  # a job that is kept does not keep the picture
        if source is None or self.expired():
            return
        for token in source():
            with self._changed:
                self._began = self._began or time.monotonic()
                self._tokens.append(token)
                self._changed.notify_all()
                if self._expired():
                    return


class Engine:
    """Runs jobs in turn by caller, and keeps those whose caller has to poll.

    Of one caller `at_once` jobs run at the same time, of all callers `limits.spare` more: so a caller who has
    none running does not wait for another one's long answers. `reading` is for the threads that read
    questions.
    """

    def __init__(
        self,
        model: Model | None,
        at_once: int,
        limits: Limits = IN_PROCESS,
        *,
        pace: float | None = None,
    ) -> None:
        self._model, self._pace = model, pace
        self._loading = threading.Lock()
        self._at_once, self._limits = at_once, limits
        self._lock = threading.Lock()
        self.reading = OneEach(limits.rest)
        self._turns: Turns[GenerationJob] = Turns()
        self._workers = 0  # threads that compute
        self._running: Counter[str] = Counter()  # jobs by caller
        self._large = False  # whether one of them has a large picture
        self._parked: dict[str, GenerationJob] = {}

    def model(self, name: str | None = None) -> Model:
        """Return the model, loaded on first use; of the embedded ones that of a name in `router.MODELS`."""
        if self._model is not None:
            return self._model
        from nbvlm.demo import router

        with self._loading:
            return router.load(name if name in router.MODELS else router.MODELS[0])

    def start(
        self,
        picture: EncodedPicture | None,
        prompt: str,
        parameters: dict[str, Any],
        *,
        stream: bool,
        id_: str,
        caller: str,
        name: str | None = None,
        speaker: Speaker | None = None,
        pace: float | None = None,
    ) -> GenerationJob:
        """Start to answer, when it is the caller's turn; without a picture the answer is empty.

        `name` is the model that the caller asks for. A `speaker` writes the answer as another model family
        would. `pace` is in tokens a second; by default that of the service.

        Raises
        ------
        Busy
            If too many questions wait.
        """
        if picture is None:
            job = GenerationJob(lambda: iter((_End(),)), id_=id_, caller=caller, stream=stream)
        else:
            model = self.model(name)
            job = GenerationJob(
                lambda: _tokens(model, picture, prompt, parameters, speaker),
                id_=id_,
                caller=caller,
                large=picture.large,
                stream=stream,
                prompt_tokens=model.count(prompt),
                pace=pace or self._pace,
            )
        with self._lock:
            self._check(caller)
            self._turns.add(caller, job)
            if self._workers >= self._at_once + self._limits.spare:
                return job
            self._workers += 1
        start_thread(self._work, "nbvlm-demo-worker")
        return job

    def check(self, caller: str) -> None:
        """Refuse a caller's question before it is read, where too many wait.

        Raises
        ------
        Busy
            As `start`.
        """
        with self._lock:
            self._check(caller)

    def _check(self, caller: str) -> None:
        """Do the same with the lock held."""
        limits = self._limits
        if self._turns.waiting(caller) >= limits.waiting_of_caller:
            raise Busy(429, f"You have {limits.waiting_of_caller} questions waiting; send fewer at once")
        if self._turns.waiting() >= limits.waiting:
            raise Busy(503, f"{limits.waiting} questions wait for this service; try again soon")

    def _work(self) -> None:
        job = None
        while (job := self._next(job)) is not None:
            job.run()

    def _next(self, done: GenerationJob | None) -> GenerationJob | None:
        """Take the next job of a worker; of the jobs with large pictures one runs at a time."""
        with self._lock:
            if done is not None:
                self._running -= Counter([done.caller])  # which drops callers with none
                self._large = self._large and not done.large
            job = self._turns.next(self._allowed)
            if job is None:
                self._workers -= 1
            else:
                self._running[job.caller] += 1
                self._large = self._large or job.large
            return job

    def _allowed(self, job: GenerationJob) -> bool:
        return self._running[job.caller] < self._at_once and not (job.large and self._large)

    def park(self, job: GenerationJob, seconds: float) -> None:
        """Keep a job for its caller, who must come back within `seconds`."""
        job.expire_after(seconds)
        with self._lock:
            self._parked = {id_: kept for id_, kept in self._parked.items() if not kept.expired()}
            self._parked[job.id] = job

    def take(self, id_: str, caller: str) -> GenerationJob | None:
        """Remove a kept job and return it; None if the caller has no job of this id or it has expired."""
        with self._lock:
            job = self._parked.get(id_)
            if job is None or job.caller != caller:
                return None
            del self._parked[id_]
        return job if job.expire_after(None) else None


def _tokens(
    model: Model, picture: EncodedPicture, prompt: str, parameters: dict[str, Any], speaker: Speaker | None
) -> Iterator[Token]:
    if speaker is None:
        return model.stream(picture.decode(getattr(model, "longest_side", SIDE)), prompt, **parameters)
    whole = parameters | {"max_tokens": _WHOLE}  # the family's answer is cut, not the one that it is made of
    tokens = model.stream(picture.decode(), speaker.prompt(prompt), **whole)
    return speaker.say(tokens, prompt, picture.size, parameters["max_tokens"])
