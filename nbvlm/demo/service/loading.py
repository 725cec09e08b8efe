"""Answer `GET /v1/loading`: the events of a model that must be loaded before it answers.

The events are `{"kind", "done", "total", "files", "seconds"}`, at last `{"ready": true}` or `{"error": …}`.
Closing the connection stops the work.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from nbvlm.demo.service.messages import Reply, as_event
from nbvlm.errors import Error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nbvlm.demo.service.messages import Request

__all__ = ["Loading"]


class Loading:
    """Answers the request.

    Parameters
    ----------
    load
        Loads the model, and yields how far it is; ends early when the event is set.
    """

    def __init__(self, load: Callable[[threading.Event], Iterator[dict[str, Any]]]) -> None:
        self._load = load

    def follow(self, request: Request, _: str) -> Reply:
        """Load the model, and stream events about it."""
        head = (("content-type", "text/event-stream"), ("cache-control", "no-cache"))
        return Reply(200, head, self._events(request))

    def _events(self, request: Request) -> Iterator[bytes]:
        stop = threading.Event()
        request.connection.on_close(stop.set)
        try:
            for state in self._load(stop):
                yield as_event(state)
        except Error as error:
            found = {"type": type(error).__name__, "message": error.message, "hint": error.hint}
            yield as_event({"error": found | {"status": error.status, "retry_after": error.retry_after}})
        else:
            yield as_event({"ready": not stop.is_set()})
