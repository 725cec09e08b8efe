"""Several widgets in one, for hosts that run single anywidgets only."""

from __future__ import annotations

import weakref
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import ipywidgets

from nbvlm.widgets._base import PageWidget
from nbvlm.widgets._inner import InnerComm
from nbvlm.widgets._life import KEPT, LocalLife, weakly
from nbvlm.widgets.esm import script
from nbvlm.widgets.messages import PIECE, Ignored, Message, items, number, optional, text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Carrier"]

#: What a page makes of a widget that has no module of its own: the name of a field in `static/fields.js`.
_FIELDS: Mapping[type, str] = MappingProxyType(
    {
        ipywidgets.Box: "box",
        ipywidgets.Textarea: "textarea",
        ipywidgets.Dropdown: "dropdown",
        ipywidgets.FloatSlider: "slider",
        ipywidgets.IntSlider: "slider",
        ipywidgets.Button: "button",
        ipywidgets.Label: "label",
        ipywidgets.HTML: "html",
    }
)
_NOT_SHOWN = frozenset({"layout", "style", "tabbable", "children"})


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_entry(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and text(value[0])
        and (text(value[1]) or number(value[1]))
    )


class Carrier(LocalLife, PageWidget):
    """Show a part that consists of several widgets as one anywidget.

    The widgets inside lose the connections of their own. A page gets the tree of them, with their states, in
    a message; their messages travel with their ids, both ways, and each widget checks its own as always.

    Parameters
    ----------
    root
        The part.

    Raises
    ------
    TypeError
        If something inside cannot be shown by these means.
    """

    _esm = script(
        "carrier",
        *("colors", "scheme", "fields", "theme", "place", "form", "task_bar", "picker", "series_bar"),
        *("picture_view", "detections_list", "error_card", "history_strip", "answer"),
        *("dialog", "model_list", "own"),
    )
    css_class = "nbvlm-carrier"
    messages = MappingProxyType(
        {
            "inner": Message(id=text, state=optional(_is_object), content=optional(_is_object)),
            "bytes": Message(PIECE, id=text, content=_is_object),
            "press": Message(id=text, values=items(_is_entry)),
        }
    )

    def __init__(self, root: Any, **traits: Any) -> None:
        self._root = root
        self._inside: dict[str, Any] = {}
        self._boxes: weakref.WeakSet[Any] = weakref.WeakSet()
        self._layouts: weakref.WeakSet[Any] = weakref.WeakSet()
        self._tree = self._attach(root)
        super().__init__(**traits)
        self._leave_to_python()

    @property
    def is_open(self) -> bool:
        """Whether it has a page to send to; marimo closes a comm without its widget."""
        return self.comm is not None and not getattr(self.comm, "_closed", False)

    # What is inside

    def _attach(self, widget: Any) -> dict[str, Any]:
        """Let a widget, and all inside it, send through this one; return the tree of them."""
        fields = (name for known, name in _FIELDS.items() if isinstance(widget, known))
        kind = getattr(widget, "kind", "") or next(fields, "")
        if not kind:
            raise TypeError(f"A {type(widget).__name__} cannot be shown inside another widget.")
        if widget not in self._layouts:
            self._layouts.add(widget)
            widget.layout.observe(_passing(weakly(self._lay_out), widget), _css_names(widget.layout))
        comm = _inner_comm(widget)
        comm.outer.add(self)
        self._inside[comm.comm_id] = widget
        node = {"id": comm.comm_id, "kind": kind, "classes": list(widget._dom_classes)}  # noqa: SLF001 - ipywidgets has no public name
        if kind == "box":
            if widget not in self._boxes:
                self._boxes.add(widget)
                widget.observe(weakly(self._rebuild), "children")
            node["children"] = [self._attach(child) for child in widget.children]
        return node

    def _rebuild(self, _change: Any = None) -> None:
        with self._lock:
            self._inside = {}
            self._tree = self._attach(self._root)
            self.send_all()

    def _lay_out(self, widget: Any) -> None:
        """Send the layout of a widget inside, which is one of its own."""
        with self._lock:
            if widget.comm is not None and widget.comm.comm_id in self._inside and self.is_open:
                css = _css_of(widget.layout)
                self.send({"type": "inner", "id": widget.comm.comm_id, "state": {"_css": css}})

    # Messages

    def send_all(self) -> None:
        """Send the tree and all states, to a page that opens."""
        with self._lock:
            states = {name: _state_of(widget) for name, widget in self._inside.items()}
            self.send({"type": "tree", "tree": self._tree, "states": states})

    def pass_on(self, comm_id: str, data: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Send a message of a widget inside to the page."""
        with self._lock:
            method = data.get("method")
            if method == "update":
                shown = {name: value for name, value in data["state"].items() if _is_shown(name)}
                if shown:
                    self.send({"type": "inner", "id": comm_id, "state": shown})
            elif method == "custom":
                self.send({"type": "inner", "id": comm_id, "content": data["content"]}, buffers=list(buffers))

    def take(self, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Hand a message of the page to the widget that it is for."""
        if message["type"] == "press":
            # The values of the fields travel with the press: a message of their own could come after it.
            for name, value in message["values"]:
                self._hand(name, {"method": "update", "state": {"value": value}})
            self._hand(message["id"], {"method": "custom", "content": {"event": "click"}})
        elif message.get("content") is not None:
            self._hand(message["id"], {"method": "custom", "content": message["content"]}, buffers)
        elif message.get("state") is not None:
            self._hand(message["id"], {"method": "update", "state": message["state"]})

    def _hand(self, comm_id: str, data: Mapping[str, Any], buffers: Sequence[Any] = ()) -> None:
        widget = self._inside.get(comm_id)
        if widget is None or widget.comm is None:
            raise Ignored("there is no such widget inside")
        widget.comm.handle_msg({"content": {"data": {"buffer_paths": [], **data}}, "buffers": list(buffers)})


def _inner_comm(widget: Any) -> InnerComm:
    """Return the comm of a widget inside, in place of a connection of its own."""
    for name in ("layout", "style"):
        if widget.has_trait(name):
            getattr(widget, name).close()
    before = widget.comm
    if isinstance(before, InnerComm):
        return before
    if before is not None:
        kept = KEPT.pop(before.comm_id, None) is not None
        callback = widget._handle_msg  # noqa: SLF001
        before.on_msg(None)
        widget.comm = InnerComm()
        before.close()
        if not kept:
            KEPT.pop(widget.comm.comm_id, None)
            callback = weakly(callback)
        widget.comm.on_msg(callback)
    comm: InnerComm = widget.comm
    return comm


def _is_shown(name: str) -> bool:
    return name == "_options_labels" or not (name.startswith("_") or name in _NOT_SHOWN)


def _state_of(widget: Any) -> dict[str, Any]:
    names = [name for name in widget.keys if _is_shown(name)]
    return {**widget.get_state(names), "_css": _css_of(widget.layout)}


def _passing(call: Callable[[Any], Any], widget: Any) -> Callable[[Any], None]:
    """Return an observer of a widget's layout that calls a function with the widget, and keeps none alive."""
    held = weakref.ref(widget)

    def changed(_change: Any) -> None:
        if (there := held()) is not None:
            call(there)

    return changed


def _css_names(layout: Any) -> list[str]:
    return [name for name in layout.keys if not name.startswith("_")]


def _css_of(layout: Any) -> dict[str, str]:
    values = {name.replace("_", "-"): getattr(layout, name) for name in _css_names(layout)}
    return {name: value for name, value in values.items() if value is not None}
