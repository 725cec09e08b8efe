"""Compute answers, each in a thread of its own; any thread may read the tokens of a job.

A job continues while its caller waits, polls or reads slowly; once cancelled, it stops at the next token.
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


__all__ = ["Engine", "GenerationJob", "Model", "Token"]


class Token(Protocol):
    """One computed token."""

    @property
    def text(self) -> str:
        """The text that it adds to the answer; may be empty."""

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
        """Yield the answer, each token as soon as it is computed."""

    def count(self, prompt: str) -> int:
        """Count the tokens of the prompt, the picture's included."""


@dataclass(frozen=True, slots=True)
class _End:
    text: str = ""
    finish_reason: str | None = "stop"


class GenerationJob:
    """One answer while it is computed; `source` is called in its thread and yields the tokens."""

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
        self._expires = float("inf")
        self._done = False
        self._cancelled = False

    def start(self, gate: AbstractContextManager[Any] | None = None) -> None:
        """Begin to compute as soon as `gate` can be entered."""
        name = f"nbvlm-demo-{self.id[:8]}"
        threading.Thread(target=self._run, args=(gate or nullcontext(),), name=name, daemon=True).start()

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
            return self._changed.wait_for(self._ready, seconds)

    @property
    def notice(self) -> str | None:
        """The notice of the first token about the whole answer, or None."""
        with self._changed:
            return getattr(self._tokens[0], "notice", None) if self._tokens else None

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
        except Exception as error:  # noqa: BLE001 - the reader gets whatever the model raised
            self.error = error
        finally:
            with self._changed:
                self._done = True
                self._changed.notify_all()

    def _compute(self) -> None:
        if self.expired():
            return
        for token in self._source():
            with self._changed:
                self._tokens.append(token)
                self._changed.notify_all()
                if self._expired():
                    return


class Engine:
    """Runs jobs, `at_once` at a time, and keeps those whose caller has to poll."""

    def __init__(self, model: Model | None, at_once: int) -> None:
        self._model = model
        self._loading = threading.Lock()
        self._gate = threading.BoundedSemaphore(at_once)
        self._lock = threading.Lock()
        self._parked: dict[str, GenerationJob] = {}

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
        """Start to answer; without a picture the answer is empty."""
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
        job.start(self._gate)
        return job

    def park(self, job: GenerationJob, seconds: float) -> None:
        """Keep a job for its caller, who must come back within `seconds`."""
        job.expire_after(seconds)
        with self._lock:
            self._parked = {id_: kept for id_, kept in self._parked.items() if not kept.expired()}
            self._parked[job.id] = job

    def take(self, id_: str) -> GenerationJob | None:
        """Hand out a kept job, once; None when there is no job of this id or its time has passed."""
        with self._lock:
            job = self._parked.pop(id_, None)
        return job if job is not None and job.expire_after(None) else None
