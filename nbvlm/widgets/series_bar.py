"""Several pictures at once, a folder or dropped files: which one is chosen, the next, the previous, all."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nbvlm.widgets._base import OfferingWidget
from nbvlm.widgets.esm import script
from nbvlm.widgets.messages import Message, fields, optional, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["SeriesBar"]


class SeriesBar(OfferingWidget):
    """Shows the names of several pictures, and which one is chosen; empty, it is not shown.

    Parameters
    ----------
    on_message
        Called with each message: `type` is "pick" (`index` of a picture), "leave" (show the pictures no
        longer), "ask-all", "stop-all" or "cell" (the table is wanted in a cell).
    has_all
        Whether all pictures can be asked about.
    **options
        As of every widget with parts that it may not offer: `offer` and `on_refused`.
    """

    _esm = script("series_bar", "series_bar")
    kind = "series_bar"
    css_class = "nbvlm-series"
    messages = MappingProxyType(
        {
            "pick": Message(index=whole),
            "leave": Message(),
            "ask-all": Message(fields=optional(fields)),
            "stop-all": Message(),
            "cell": Message(),
        }
    )
    needs = MappingProxyType({"ask-all": "sweep"})

    def __init__(
        self,
        on_message: Callable[[Mapping[str, Any]], None],
        *,
        has_all: bool = False,
        **options: Any,
    ) -> None:
        self._has_all = has_all
        self._shown: dict[str, Any] = {"title": "", "names": [], "index": None}
        self._asked: dict[str, Any] = {"running": False, "words": "", "table": False}
        super().__init__(on_message, **options)

    def put(self, title: str, names: Sequence[str], index: int | None) -> None:
        """Show pictures by their names, and which one is chosen; no names show nothing."""
        if list(names) != self._shown["names"] and not self._asked["running"]:
            self._asked = {"running": False, "words": "", "table": False}  # it was about other pictures
        self._shown = {"title": title, "names": list(names), "index": index}
        self.send_all()

    def asked(self, words: str, *, running: bool = False, table: bool = False) -> None:
        """Show how far the questions about all pictures are, and whether their table can be had."""
        self._asked = {"running": running, "words": words, "table": table}
        self.send({"type": "asked", **self._asked})

    def cell(self, code: str) -> None:
        """Put code into a new cell."""
        self.send({"type": "cell", "code": code})

    def send_all(self) -> None:
        """Send everything, to a page that opens."""
        self.send({"type": "series", **self._shown, "all": self._has_all})
        self.send({"type": "asked", **self._asked})

    def _summary(self) -> str:
        return f"{len(self._shown['names'])} pictures"
