"""Bound how long Hugging Face's library tries a request again: it sleeps without an end that Stop could set.

Its pauses follow from the site's `Retry-After`, or add up to half a minute. The library announces each in its
log, which is the one place where a caller can end it; the announcements go nowhere else.
"""

from __future__ import annotations

import logging
import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Ended", "bounded"]

TRIES = 2
"""Pauses of the library that are waited for, of one and two seconds."""
_LIBRARY = "huggingface_hub"
_STATUS = re.compile(r"HTTP Error ([45][0-9]{2}) ")
_ASKED = re.compile(r"Rate limited\. Waiting ([0-9.]+)s")


class Ended(Exception):
    """A request was given up.

    Attributes
    ----------
    status
        HTTP status of the site's last response; None without a response.
    retry_after
        Seconds that the site asks to wait, or None.
    """

    def __init__(self, status: int | None, retry_after: float | None = None) -> None:
        super().__init__(f"status {status}")
        self.status, self.retry_after = status, retry_after


class _Pauses(logging.Filter):
    def __init__(self, check: Callable[[], None]) -> None:
        super().__init__()
        self._check, self._thread = check, threading.get_ident()
        self._status: int | None = None
        self._count = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Drop the library's log messages in this thread; end a request that it retries too often."""
        if threading.get_ident() != self._thread:
            return True
        self._check()
        text = record.getMessage()
        if (answered := _STATUS.match(text)) is not None:
            self._status = int(answered[1])
        elif "thrown while requesting" in text:
            self._status = None
        elif (asked := _ASKED.match(text)) is not None:
            raise Ended(self._status, max(float(asked[1]) - 1, 0.0))  # the library adds a second
        elif text.startswith("Retrying in"):
            self._count += 1
            if self._status == 429 or self._count > TRIES:
                raise Ended(self._status)
        return False


@contextmanager
def bounded(check: Callable[[], None]) -> Iterator[None]:
    """End requests of the library that were begun in this thread after few tries.

    Parameters
    ----------
    check
        Called before each pause; an exception of it ends the request, too.

    Raises
    ------
    Ended
        Inside the block, out of the library's function.
    """
    pauses = _Pauses(check)
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == _LIBRARY]
    loggers = [logging.getLogger(name) for name in names]  # a filter does not hold for loggers below its own
    for logger in loggers:
        logger.addFilter(pauses)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(pauses)
