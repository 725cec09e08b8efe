"""Where the widgets of a panel are placed."""

from __future__ import annotations

from typing import Any

import ipywidgets

__all__ = ["family", "layout"]


def layout(head: list[Any], controls: list[Any], answer: list[Any], shelf: list[Any]) -> Any:
    """Place the head above two columns, and a shelf below them."""
    left, right = _column(controls, "nbvlm-controls"), _column(answer, "nbvlm-answers")
    body = ipywidgets.Box([left, right])
    body.add_class("nbvlm-body")
    return _column([*head, body, _column(shelf, "nbvlm-shelf")], "nbvlm-panel")


def _column(children: list[Any], name: str) -> Any:
    box = ipywidgets.VBox(children)
    box.add_class(name)
    return box


def family(widget: Any) -> list[Any]:
    """Return a widget with all inside it, their layouts and styles included."""
    own = [getattr(widget, name) for name in ("layout", "style") if widget.has_trait(name)]
    inner = [one for child in getattr(widget, "children", ()) for one in family(child)]
    return [widget, *own, *inner]
