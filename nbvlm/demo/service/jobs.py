"""Answers in the making: each is computed in a thread of its own and read by whoever holds the job.

A job goes on while its caller waits, polls or reads slowly, and stops at the next token once it is cancelled.
"""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PIL import Image


__all__ = ["Engine", "GenerationJob", "Jobs", "Model", "Token"]


@dataclass(frozen=True, slots=True)
class _End:
    text: str = ""
    finish_reason: str | None = "stop"


class Engine:
    """Starts jobs on a model that is loaded with the first of them.

    Parameters
    ----------
    model
        What answers; by default the embedded model.
    at_once
        Jobs computed at the same time.
    """

    def __init__(self, model: Model | None, at_once: int) -> None:
        self._model = model
        self._loading = threading.Lock()
        self.jobs = Jobs(at_once)

    @property
    def model(self) -> Model:
        """The model, loaded on first use."""
        with self._loading:
            if self._model is None:
                from nbvlm.demo.model import model

                self._model = model.load()
            return self._model

    def start(
        self, picture: Image.Image | None, prompt: str, parameters: dict[str, Any], *, stream: bool, id_: str
    ) -> GenerationJob:
        """Start to answer; without a picture there is nothing to say, and the answer is empty."""
        if picture is None:
            job = GenerationJob(lambda: iter((_End(),)), id_=id_, stream=stream)
        else:
            model = self.model
            tokens = model.count(prompt)
            job = GenerationJob(
                lambda: model.stream(picture, prompt, **parameters),
                id_=id_,
                stream=stream,
                prompt_tokens=tokens,
            )
        self.jobs.start(job)
        return job


class Token(Protocol):
    """One computed token."""

    @property
    def text(self) -> str:
        """What it adds to the answer; may be empty."""

    @property
    def finish_reason(self) -> str | None:
        """`"stop"` or `"length"` on the last token, None on all others."""


class Model(Protocol):
    """What the service needs of a model."""

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
        """Yield the answer, each token when it is computed."""

    def count(self, prompt: str) -> int:
        """Count the tokens of the prompt, the picture's included."""


class GenerationJob:
    """One answer in the making.

    Parameters
    ----------
    source
        Called in the job's thread; yields the tokens.
    id_
        The request id.
    stream
        Whether its caller asked for a stream.
    prompt_tokens
        Length of the prompt.
    """

    def __init__(
        self, source: Callable[[], Iterator[Token]], *, id_: str, stream: bool = False, prompt_tokens: int = 0
    ) -> None:
        self.id = id_
        self.stream = stream
        self.prompt_tokens = prompt_tokens
        self.error: Exception | None = None
        self._source = source
        self._changed = threading.Condition()
        self._tokens: list[Token] = []
        self._lease = float("inf")
        self._done = False
        self._cancelled = False

    def start(self, gate: AbstractContextManager[Any] | None = None) -> None:
        """Begin to compute as soon as `gate` lets the job in."""
        name = f"nbvlm-demo-{self.id[:8]}"
        threading.Thread(target=self._run, args=(gate or nullcontext(),), name=name, daemon=True).start()

    def cancel(self) -> None:
        """Stop at the next token."""
        with self._changed:
            self._cancelled = True
            self._changed.notify_all()

    @property
    def cancelled(self) -> bool:
        """Whether nobody wants the answer any more."""
        return self._cancelled

    def lend(self, seconds: float | None) -> bool:
        """Give the job up unless it is asked for within `seconds`; None says that somebody holds it again.

        Returns
        -------
        bool
            False when it has been given up before.
        """
        with self._changed:
            if not self._lapsed():
                self._lease = float("inf") if seconds is None else time.monotonic() + seconds
            return not self._cancelled

    def lapsed(self) -> bool:
        """Whether it has been given up, or is now because nobody came back in time."""
        with self._changed:
            return self._lapsed()

    def _lapsed(self) -> bool:
        """Whether to stop; to be called with the lock held."""
        self._cancelled = self._cancelled or time.monotonic() > self._lease
        return self._cancelled

    def wait(self, seconds: float | None) -> bool:
        """Wait until there is something to send: the first token of a stream, or the whole answer.

        Returns
        -------
        bool
            False when `seconds` passed first; None waits for ever.
        """
        with self._changed:
            return self._changed.wait_for(self._ready, seconds)

    @property
    def notice(self) -> str | None:
        """What the first token says must be known about the answer, if there is one and it says so."""
        with self._changed:
            return getattr(self._tokens[0], "notice", None) if self._tokens else None

    def __iter__(self) -> Iterator[Token]:
        """Yield the tokens as they come; end early when the job is cancelled, raise what the model raised."""
        sent = 0
        while new := self._after(sent):
            yield from new
            sent += len(new)
        if self.error is not None:
            raise self.error

    def _after(self, sent: int) -> list[Token]:
        """Wait for tokens that were not yet sent; none are left when the list is empty."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._tokens) > sent or self._over())
            return [] if self._cancelled else self._tokens[sent:]

    def _over(self) -> bool:
        return self._done or self._cancelled

    def _ready(self) -> bool:
        return self._over() or (self.stream and bool(self._tokens))

    def _run(self, gate: AbstractContextManager[Any]) -> None:
        try:
            with gate:
                self._compute()
        except Exception as error:  # noqa: BLE001 - whatever the model raised is the reader's to know
            self.error = error
        finally:
            with self._changed:
                self._done = True
                self._changed.notify_all()

    def _compute(self) -> None:
        if self.lapsed():
            return
        for token in self._source():
            with self._changed:
                self._tokens.append(token)
                self._changed.notify_all()
                if self._lapsed():
                    return


class Jobs:
    """Runs jobs, a few at a time, and keeps those whose caller was told to come back."""

    def __init__(self, at_once: int) -> None:
        self._gate = threading.BoundedSemaphore(at_once)
        self._lock = threading.Lock()
        self._parked: dict[str, GenerationJob] = {}

    def start(self, job: GenerationJob) -> None:
        """Begin a job when its turn comes."""
        job.start(self._gate)

    def park(self, job: GenerationJob, seconds: float) -> None:
        """Keep a job for its caller, who must come back within `seconds`."""
        job.lend(seconds)
        with self._lock:
            self._parked = {id_: kept for id_, kept in self._parked.items() if not kept.lapsed()}
            self._parked[job.id] = job

    def take(self, id_: str) -> GenerationJob | None:
        """Hand out a kept job, once; None when there is none of this id or its time has passed."""
        with self._lock:
            job = self._parked.pop(id_, None)
        return job if job is not None and job.lend(None) else None
