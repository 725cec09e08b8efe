"""The sweep on the page: a form for prompts, temperatures and repeats, and a grid that fills with answers."""

from __future__ import annotations

import threading
import zlib
from typing import TYPE_CHECKING, Any

import anywidget

from nbvlm._text import shorten
from nbvlm.result import summary
from nbvlm.widgets import status_text, thumbnails
from nbvlm.widgets.esm import script, style

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbvlm.panel import Cell, Sweep

__all__ = ["Grid", "thumbnail_of"]


class Grid(anywidget.AnyWidget):  # type: ignore[misc] # the base class has no types
    """Shows a sweep, and asks its owner to start and stop one, and to open a cell.

    Parameters
    ----------
    on_message
        Called with each message of a page that asks for something: "start", "stop", "open" or "facts".
    """

    _esm = script("sweep_grid")
    _css = style("sweep_grid")

    def __init__(self, on_message: Callable[[Mapping[str, Any]], None]) -> None:
        self._lock = threading.RLock()
        self._facts: dict[str, Any] = {"perMinute": None, "hasTemperature": True}
        self._plan: dict[str, Any] | None = None
        self._cells: dict[int, dict[str, Any]] = {}
        self._thumbnails: dict[int, bytes] = {}
        self._state = "idle"
        self._on_message = on_message
        super().__init__()
        self.on_msg(Grid.receive)

    def receive(self, message: Mapping[str, Any], _buffers: Sequence[Any]) -> None:
        """Take one message of a page."""
        if message.get("type") == "hello":
            self.send_all()
        else:
            self._on_message(message)

    def facts(self, per_minute: int | None, has_temperature: bool) -> None:
        """Tell the form what the endpoint allows."""
        with self._lock:
            self._facts = {"perMinute": per_minute, "hasTemperature": has_temperature}
            self.send({"type": "facts", "facts": self._facts})

    def begin(self, sweep: Sweep) -> None:
        """Show an empty grid."""
        with self._lock:
            self._plan = {
                "prompts": list(sweep.prompts),
                "temperatures": list(sweep.temperatures),
                "repeats": sweep.repeats,
                "picture": sweep.picture.name or "picture",
            }
            self._cells, self._thumbnails, self._state = {}, {}, "running"
            self.send_all()

    def cell(self, index: int, cell: Cell, *, busy: bool) -> None:
        """Show one cell as it is now."""
        with self._lock:
            self._cells[index] = _described(cell, busy)
            self.send({"type": "cell", "index": index, "cell": self._cells[index]})

    def draw(self, index: int, thumbnail: bytes) -> None:
        """Give a cell its picture."""
        with self._lock:
            if thumbnail and index in self._cells:
                self._thumbnails[index] = thumbnail
                self.send({"type": "thumbnail", "index": index}, buffers=[thumbnail])

    def state(self, state: str) -> None:
        """Show whether the sweep runs, and how it ended."""
        with self._lock:
            self._state = state
            if state != "running":
                self._cells = {at: one for at, one in self._cells.items() if one["state"] != "busy"}
            self.send({"type": "state", "state": state})

    def refuse(self, sentence: str) -> None:
        """Say, beside the form, why a sweep cannot start."""
        self.send({"type": "refused", "sentence": sentence})

    def send_all(self) -> None:
        """Send everything, to a page that asks for it."""
        with self._lock:
            message = {
                "type": "all",
                "facts": self._facts,
                "plan": self._plan,
                "cells": list(self._cells.items()),
                "drawn": list(self._thumbnails),
                "state": self._state,
            }
            self.send(message, buffers=list(self._thumbnails.values()))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._state}>"


def _described(cell: Cell, busy: bool) -> dict[str, Any]:
    """Describe a cell for the browser."""
    if cell.error is not None:
        told = status_text.failure(cell.error)
        return {"state": "failed", "said": told["message"], "more": told["hint"]}
    if cell.result is None:
        return {"state": "busy" if busy else "waiting"}
    result = cell.result
    said = summary(result)
    took = status_text.seconds(result.timing.total_s)
    return {
        "state": "done",
        "said": shorten(said, 160),
        "more": took,
        "text": zlib.crc32(result.text.encode("utf-8", "surrogatepass")),
    }


def thumbnail_of(cell: Cell, small: Any) -> bytes:
    """Draw a cell's boxes, if there are any: otherwise its words say all."""
    if cell.result is None or not len(cell.result.detections):
        return b""
    return thumbnails.thumbnail(cell.result, small)
