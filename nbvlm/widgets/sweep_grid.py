"""The sweep on the page: a form for prompts, temperatures and repeats, and a grid that fills with answers."""

from __future__ import annotations

import zlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nbvlm._text import duration, shorten
from nbvlm.result import summary
from nbvlm.widgets._base import OfferingWidget
from nbvlm.widgets.esm import script
from nbvlm.widgets.messages import Message, either, items, number, optional, text, whole
from nbvlm.widgets.status_text import failure_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbvlm.result import Result
    from nbvlm.widgets.offers import Offer

__all__ = ["SweepGrid"]


class SweepGrid(OfferingWidget):
    """Shows a sweep, and asks its owner to start and stop one, and to open a cell.

    Parameters
    ----------
    on_message
        Called with each message of a page that asks for something: "start", "stop", "open" or "facts".
    **options
        As of every widget with parts that it may not offer: `offer` and `on_refused`.
    """

    _esm = script("sweep_grid", "sweep_grid")
    messages = MappingProxyType(
        {
            "facts": Message(),
            "start": Message(
                prompts=items(text), temperatures=optional(items(either(text, number))), repeats=number
            ),
            "stop": Message(),
            "open": Message(index=whole),
        }
    )

    needs = MappingProxyType({"start": "sweep"})

    def __init__(self, on_message: Callable[[Mapping[str, Any]], None], **options: Any) -> None:
        self._facts: dict[str, Any] = {"perMinute": None, "hasTemperature": True}
        self._plan: dict[str, Any] | None = None
        self._cells: dict[int, dict[str, Any]] = {}
        self._thumbnails: dict[int, bytes] = {}
        self._state = "idle"
        super().__init__(on_message, **options)

    def facts(self, per_minute: int | None, has_temperature: bool) -> None:
        """Show the limits of the endpoint in the form."""
        with self._lock:
            self._facts = {"perMinute": per_minute, "hasTemperature": has_temperature}
            self.send({"type": "facts", "facts": self._facts})

    def begin(
        self, prompts: Sequence[str], temperatures: Sequence[float | None], repeats: int, picture: str
    ) -> None:
        """Show an empty grid; `picture` is a name."""
        with self._lock:
            self._plan = {
                "prompts": list(prompts),
                "temperatures": list(temperatures),
                "repeats": repeats,
                "picture": picture,
            }
            self._cells, self._thumbnails, self._state = {}, {}, "running"
            self.send_all()

    def cell(
        self, index: int, *, result: Result | None = None, error: Exception | None = None, busy: bool = False
    ) -> None:
        """Show one cell as it is now."""
        with self._lock:
            self._cells[index] = _described(result, error, busy, self.allowed)
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
        """Show, beside the form, why a sweep cannot start."""
        self.send({"type": "refused", "sentence": sentence})

    def send_all(self) -> None:
        """Send form and grid, to a page that opens."""
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

    def _summary(self) -> str:
        return self._state


def _described(result: Result | None, error: Exception | None, busy: bool, offer: Offer) -> dict[str, Any]:
    """Describe a cell for the browser."""
    if error is not None:
        text = failure_text(error)
        return {"state": "failed", "said": offer.shown(text["message"]), "more": offer.shown(text["hint"])}
    if result is None:
        return {"state": "busy" if busy else "waiting"}
    return {
        "state": "done",
        "said": shorten(summary(result), 160),
        "more": duration(result.timing.total_s),
        "text": zlib.crc32(result.text.encode("utf-8", "surrogatepass")),
    }
