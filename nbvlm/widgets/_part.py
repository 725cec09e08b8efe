"""The parts that stand alone: they end with their last reference, and take no unknown keyword."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import anywidget
import ipywidgets

from nbvlm.client import refuse_unknown
from nbvlm.widgets._base import PageState, PageWidget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["LocalLife", "Part", "PartBox", "close_all", "weakly"]

#: The widgets that ipywidgets keeps alive, by their ids.
_KEPT: dict[str, Any] = getattr(ipywidgets.widgets.widget, "_instances", {})


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
            _KEPT.pop(self.comm.comm_id, None)  # type: ignore[attr-defined]

    @property
    def model_id(self) -> str:
        """The id of the widget; None once it is closed."""
        comm = self.comm  # type: ignore[attr-defined]
        if comm is None:
            return None  # type: ignore[return-value] # as ipywidgets
        _KEPT[comm.comm_id] = self
        return comm.comm_id  # type: ignore[no-any-return]

    def close(self) -> None:
        """Take the widget off the page, and end it; again, nothing happens."""
        if self.comm is not None:  # type: ignore[attr-defined]
            self.layout.close()  # type: ignore[attr-defined]
        super().close()  # type: ignore[misc]


class Part(LocalLife, PageWidget):
    """A part of the panel that stands alone as well.

    A part that was neither displayed nor placed in another widget ends with its last reference in Python; any
    other lives until `close`, as all widgets do.
    """

    css_class = "nbvlm-part"

    def __init__(self, on_message: Callable[[Any], Any] | None = None, **traits: Any) -> None:
        known = {*type(self).class_trait_names(), "model_id"}
        own = set(type(self).class_trait_names()) - set(anywidget.AnyWidget.class_trait_names())
        offered = (*sorted(name for name in own if not name.startswith("_")), "layout")
        refuse_unknown({name: one for name, one in traits.items() if name not in known}, offered)
        super().__init__(on_message, **traits)
        self._leave_to_python()


class PartBox(LocalLife, PageState, ipywidgets.VBox):  # type: ignore[misc] # the base class has no types
    """A part that consists of several widgets; its life is that of a `Part`.

    The widgets inside hold no reference to their box (see `weakly`), so they end with it. A part that is
    `bare` leaves colours, margins and the page's keys to the panel around it.
    """

    def __init__(self, children: Sequence[Any], *, bare: bool = False, **traits: Any) -> None:
        own = set(type(self).class_trait_names()) - set(ipywidgets.VBox.class_trait_names())
        offered = (*sorted(name for name in own if not name.startswith("_")), "layout")
        known = {*type(self).class_trait_names(), "model_id"}
        try:
            refuse_unknown({name: one for name, one in traits.items() if name not in known}, offered)
            given = {name: traits.pop(name) for name in own if name in traits}
            super().__init__(children, **traits)
            for name in ("nbvlm-inside",) if bare else ("nbvlm-part", "nbvlm-own"):
                self.add_class(name)
            self._leave_to_python()
            for name, value in given.items():
                setattr(self, name, value)
        except BaseException:
            for child in children:
                close_all(child)
            self.close()
            raise

    def close(self) -> None:
        """Take the part and all inside it off the page, and end it; again, nothing happens."""
        for child in self.children:
            close_all(child)
        super().close()
        self.__dict__.pop("_repr_mimebundle_", None)  # ipywidgets hides the method of a closed widget

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def close_all(widget: Any) -> None:
    """Close a widget, all inside it, and their layouts and styles."""
    for child in getattr(widget, "children", ()):
        close_all(child)
    for name in ("layout", "style"):
        if widget.has_trait(name):
            getattr(widget, name).close()
    widget.close()
