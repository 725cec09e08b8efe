"""Events of a stream, read by a thread, so that whoever shows them also notices when none come.

Only the reading is done there: what a thread displays, a notebook may put below another cell.
"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from nbvlm.client import Event, Stream

__all__ = ["pumped"]

_PATIENCE_S = 10.0


class _End:
    """The end of a stream, and what ended it."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def pumped(stream: Stream, every_s: float) -> Generator[Event | None]:
    """Yield a stream's events, and None whenever none came for a while.

    Parameters
    ----------
    stream
        What to read; closed at the end, and where the reader of this goes away or is interrupted.
    every_s
        How long a while is, in seconds.

    Raises
    ------
    Error
        What the stream raises.
    """
    line: queue.SimpleQueue[Event | _End] = queue.SimpleQueue()
    thread = threading.Thread(target=_read, args=(stream, line), name="nbvlm-reader", daemon=True)
    thread.start()
    try:
        yield from _taken(line, every_s)
    finally:
        stream.close()
        thread.join(_PATIENCE_S)  # an upload may be left to delete


def _read(stream: Stream, line: queue.SimpleQueue[Event | _End]) -> None:
    try:
        for event in stream:
            line.put(event)
    except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
        line.put(_End(error))
    else:
        line.put(_End())


def _taken(line: queue.SimpleQueue[Event | _End], every_s: float) -> Iterator[Event | None]:
    while True:
        try:
            item = line.get(timeout=every_s)
        except queue.Empty:
            yield None
            continue
        if not isinstance(item, _End):
            yield item
        elif item.error is None:
            return
        else:
            raise item.error
