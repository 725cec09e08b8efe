"""The life of parts: they end with their last reference in Python, until a page knows them."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import ipywidgets

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["KEPT", "LocalLife", "close_all", "weakly"]

#: The widgets that ipywidgets keeps alive, by their ids.
KEPT: dict[str, Any] = getattr(ipywidgets.widgets.widget, "_instances", {})


def weakly(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that calls a method as long as its object lives, and keeps no object alive."""
    held = weakref.WeakMethod(method)

    def call(*values: Any) -> Any:
        there = held()
        return there(*values) if there is not None else None

    return call


class LocalLife:
    """Lets a widget end with its last reference in Python, until a page or another widget asks for its id.

    Stands before a class of ipywidgets.
    """

    def _leave_to_python(self) -> None:
        if self.comm is not None:  # type: ignore[attr-defined] # as the others, of the class that stands after
            self.comm.on_msg(weakly(self._handle_msg))  # type: ignore[attr-defined]
            KEPT.pop(self.comm.comm_id, None)  # type: ignore[attr-defined]

    def _leave_to_pages(self) -> None:
        """Keep the widget until it is closed: a page or another widget knows it."""
        if self.comm is not None:  # type: ignore[attr-defined]
            KEPT[self.comm.comm_id] = self  # type: ignore[attr-defined]

    @property
    def model_id(self) -> str:
        """The id of the widget; None once it is closed."""
        self._leave_to_pages()
        comm = self.comm  # type: ignore[attr-defined]
        return comm.comm_id if comm is not None else None  # type: ignore[return-value] # as ipywidgets

    def close(self) -> None:
        """Take the widget off the page, and end it; again, nothing happens."""
        if self.comm is not None:  # type: ignore[attr-defined]
            self.layout.close()  # type: ignore[attr-defined]
        super().close()  # type: ignore[misc]


def close_all(widget: Any) -> None:
    """Close a widget and all inside it, their layouts and styles included."""
    for child in getattr(widget, "children", ()):
        close_all(child)
    for name in ("layout", "style"):
        if widget.has_trait(name):
            getattr(widget, name).close()
    widget.close()
