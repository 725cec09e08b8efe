"""Widgets inside of another widget: their messages travel through it, and not on connections of their own."""

from __future__ import annotations

import contextlib
import secrets
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nbvlm.widgets._carrier import Carrier

__all__ = ["InnerComm", "is_inner", "made_inside"]

_MADE_INSIDE: ContextVar[bool] = ContextVar("made_inside", default=False)


class InnerComm:
    """Stands in for the comm of a widget, and sends through all widgets that show it."""

    kernel = "nbvlm"  # ipywidgets sends nothing where it is None

    def __init__(self) -> None:
        self.comm_id = secrets.token_hex(16)
        self.outer: weakref.WeakSet[Carrier] = weakref.WeakSet()
        self._callback: Callable[[Any], Any] | None = None

    def send(self, data: Any = None, metadata: Any = None, buffers: Any = None) -> None:  # noqa: ARG002
        """Send a message to the pages."""
        for one in [one for one in self.outer if one.is_open]:
            one.pass_on(self.comm_id, data or {}, list(buffers or ()))

    def on_msg(self, callback: Callable[[Any], Any] | None) -> None:
        """Call a function with each message of a page."""
        self._callback = callback

    def on_close(self, callback: Callable[[Any], Any] | None) -> None:
        """Take no notice of the end: only Python ends this connection."""

    def handle_msg(self, message: Any) -> None:
        """Take a message of a page."""
        if self._callback is not None:
            self._callback(message)

    def close(self, *_args: Any, **_options: Any) -> None:
        """End the connection."""
        self.outer.clear()
        self._callback = None


@contextlib.contextmanager
def made_inside() -> Iterator[None]:
    """Let the widgets that are made in this block have no connections of their own."""
    token = _MADE_INSIDE.set(True)
    try:
        yield
    finally:
        _MADE_INSIDE.reset(token)


def is_inner() -> bool:
    """Return whether a widget that is made now is to have no connection of its own."""
    return _MADE_INSIDE.get()
