"""The progress of a download and of loading, which can be stopped from another thread."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from nbvlm._optional import require

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Progress", "Stopped"]


class Stopped(BaseException):
    """Loading was stopped."""


class Progress:
    """The current step and its progress.

    Parameters
    ----------
    stopped
        When it is set, the work stops at the next opportunity.

    Attributes
    ----------
    kind
        "download" or "loading".
    done, total
        Bytes, or None where they are not known.
    files
        Files of a download.
    """

    def __init__(self, stopped: threading.Event | None = None) -> None:
        self.kind = "loading"
        self.done: int | None = None
        self.total: int | None = None
        self.files = 0
        self._lock, self._begun = threading.Lock(), time.monotonic()
        self._stopped = stopped or threading.Event()
        self._measure: Callable[[], int] | None = None

    def begin(
        self, kind: str, total: int | None = None, *, files: int = 0, measure: Callable[[], int] | None = None
    ) -> None:
        """Begin a part of the work; `measure` returns the bytes done, where nothing calls `add`."""
        self.check()
        with self._lock:
            self.kind, self.total, self.files, self._measure = kind, total, files, measure
            self._begun = time.monotonic()
            self.done = None if total is None else 0

    def add(self, count: int) -> None:
        """Add bytes.

        Raises
        ------
        Stopped
            If the work is to stop.
        """
        self.check()
        with self._lock:
            self.done = (self.done or 0) + count

    def check(self) -> None:
        """Raise if the work is to stop."""
        if self._stopped.is_set():
            raise Stopped

    def shown(self) -> dict[str, Any]:
        """Return the state as plain values; `seconds` since this part of the work began."""
        with self._lock:
            done = self.done
            if self._measure is not None and self.total is not None:
                done = max(0, min(self._measure(), self.total))
            found = {"kind": self.kind, "done": done, "total": self.total, "files": self.files}
        return found | {"seconds": round(time.monotonic() - self._begun, 3)}

    def bar(self, *, counts: bool = True) -> type[Any]:
        """Return a class in place of tqdm's that shows nothing; where it `counts` bytes, it reports them."""
        tqdm: Any = require("tqdm", purpose="A local model", extra="local").tqdm

        progress = self

        class Bar(tqdm):  # type: ignore[misc]
            def __init__(self, *args: Any, **options: Any) -> None:
                initial = options.get("initial") or 0  # bytes of an earlier, broken download
                options.pop("name", None)
                super().__init__(*args, **{**options, "disable": True})
                if counts and initial:
                    progress.add(int(initial))

            def update(self, n: float | None = 1) -> bool | None:
                progress.add(int(n or 0) if counts else 0)
                return None

        return Bar
