"""The part that all widgets of the panel share: messages of a page come in, the whole state goes out."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anywidget

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["PageWidget"]


class PageWidget(anywidget.AnyWidget):  # type: ignore[misc] # the base class has no types
    """A widget whose page sends "hello" when it opens, and then messages that ask for something.

    `on_message` takes each message that the widget does not handle itself; `traits` are synced ones.
    """

    #: Class of the HTML element, if the page relies on one.
    css_class = ""

    def __init__(self, on_message: Callable[[Mapping[str, Any]], Any] | None = None, **traits: Any) -> None:
        self._lock = threading.RLock()
        self._on_message = on_message
        super().__init__(**traits)
        if self.css_class:
            self.add_class(self.css_class)
        self.on_msg(type(self).receive)  # a plain function: a bound method would keep the widget alive

    def receive(self, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Take one message of a page."""
        if message.get("type") == "hello":
            self.send_all()
        else:
            self.take(message, buffers)

    def take(self, message: Mapping[str, Any], _buffers: Sequence[Any]) -> None:
        """Take a message that asks for something."""
        if self._on_message is not None:
            self._on_message(message)

    def send_all(self) -> None:
        """Send everything that a page shows, to a page that opens."""

    def _summary(self) -> str:
        return ""

    def __repr__(self) -> str:
        summary = self._summary()
        return f"<{type(self).__name__}{summary and f': {summary}'}>"
