"""A real uvicorn on loopback, in a thread, for as long as a `with` block lasts."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nbvlm.demo.service import server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbvlm.demo.service.service import Service


@contextmanager
def running(service: Service) -> Iterator[str]:
    """Serve; the value is the origin. The socket listens before the thread starts, so no wait is needed."""
    uvicorn = server.server(service)
    with server.listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=uvicorn.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield server.origin(listener)
        finally:
            uvicorn.should_exit = True
            thread.join(20)
            assert not thread.is_alive()
