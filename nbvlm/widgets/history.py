"""Answers as cards, to be selected, pinned and deleted."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import traitlets

from nbvlm._background import Task, in_thread
from nbvlm.result import Result
from nbvlm.widgets._life import weakly
from nbvlm.widgets._part import PartBox
from nbvlm.widgets.esm import style
from nbvlm.widgets.history_page import HistoryPage
from nbvlm.widgets.messages import Ignored
from nbvlm.widgets.thumbnails import thumbnail

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["History"]


@dataclass(frozen=True, slots=True)
class _Entry:
    number: int
    result: Result
    pinned: bool = False


class _Page(HistoryPage):
    _css = style("colors", "scheme", "theme", "place", "history_strip")


class History(PartBox):
    """Show answers as cards; a press on a card selects its answer.

    Each trait below can be given by name, observed and linked. Pinned answers stay when others are cleared.

    Parameters
    ----------
    entries
        The answers, the oldest first.
    on_again
        Called with the answer whose question a person wants to ask again.

    Attributes
    ----------
    entries : list of Result
        The answers, the oldest first; the page deletes some. Default: [].
        ``history.entries = [*history.entries, result]``
    selected : Result or None
        The answer that is marked; both ways. Default: None.
        ``traitlets.dlink((history, "selected"), (viewer, "result"))``
    pinned : list of Result
        The pinned answers; both ways. Default: []. ``history.pinned = [result]``

    Raises
    ------
    traitlets.TraitError
        For a value of another kind, and for an answer that is not among the entries.

    Examples
    --------
    >>> import nbvlm  # doctest: +SKIP
    >>> nbvlm.widgets.History(panel.history)  # doctest: +SKIP
    """

    entries = traitlets.List(traitlets.Instance(Result), default_value=[])
    selected = traitlets.Instance(Result, allow_none=True)
    pinned = traitlets.List(traitlets.Instance(Result), default_value=[])

    def __init__(
        self,
        entries: Sequence[Result] = (),
        *,
        on_again: Callable[[Result], Any] | None = None,
        **traits: Any,
    ) -> None:
        self._lock = threading.RLock()
        self._on_again = on_again
        self._count = 0
        self._numbered: list[_Entry] = []
        self._removed: list[_Entry] = []
        self._page = _Page(weakly(self._take))
        super().__init__([self._page], **({"entries": list(entries)} | traits))

    def add(self, result: Result) -> None:
        """Add an answer at the end, and select it."""
        with self._lock:
            self.entries = [*self.entries, result]
            self.selected = result

    def delete(self, result: Result) -> None:
        """Drop an answer."""
        self._keep(lambda entry: entry.result is not result)

    def clear(self) -> None:
        """Drop all answers that are not pinned."""
        self._keep(lambda entry: entry.pinned)

    def _keep(self, is_kept: Callable[[_Entry], bool]) -> None:
        with self._lock:
            removed = [entry for entry in self._numbered if not is_kept(entry)]
            if removed:
                self._removed = removed
                self.entries = [entry.result for entry in self._numbered if is_kept(entry)]

    def undo(self) -> None:
        """Bring back what was deleted or cleared last; again, nothing happens."""
        with self._lock:
            back = [one for one in self._removed if not _is_in(one.result, self.entries)]
            entries = sorted([*self._numbered, *back], key=lambda entry: entry.number)
            self.entries = [entry.result for entry in entries]
            self.pinned = [*self.pinned, *(entry.result for entry in back if entry.pinned)]
            self._removed = []
            self._show()

    def _take(self, message: Mapping[str, Any]) -> None:
        kind = message["type"]
        if kind in ("clear", "undo"):
            (self.clear if kind == "clear" else self.undo)()
            return
        result = next((one.result for one in self._numbered if one.number == message["answer"]), None)
        if result is None:
            raise Ignored("there is no such answer")
        if kind == "show":
            self.selected = result
        elif kind == "delete":
            self.delete(result)
        elif kind == "again" and self._on_again is not None:
            self._on_again(result)
        elif kind == "pin":
            others = [one for one in self.pinned if one is not result]
            self.pinned = [*others, result] if message["pinned"] else others

    @traitlets.validate("selected", "pinned")  # type: ignore[untyped-decorator]
    def _check_held(self, proposal: Any) -> Any:
        value = proposal["value"]
        held = value if isinstance(value, list) else [] if value is None else [value]
        if not all(_is_in(one, self.entries) for one in held):
            raise traitlets.TraitError(
                f"{proposal['trait'].name} takes answers that are among the entries. Add the answer first."
            )
        return value

    @traitlets.observe("entries")  # type: ignore[untyped-decorator]
    def _entries_changed(self, _change: Any) -> None:
        with self._lock:
            known = [*self._numbered, *self._removed]
            new: list[_Entry] = []
            for result in self.entries:
                entry = next((one for one in known if one.result is result), None)
                if entry is None:
                    self._count += 1
                    entry = _Entry(self._count, result)
                    Task(_draw(self._page, entry))
                else:
                    known.remove(entry)
                new.append(entry)
            self._numbered = new
            self.pinned = [one for one in self.pinned if _is_in(one, self.entries)]
            if self.selected is not None and not _is_in(self.selected, self.entries):
                self.selected = None
            self._show()

    @traitlets.observe("selected", "pinned")  # type: ignore[untyped-decorator]
    def _marks_changed(self, _change: Any) -> None:
        self._show()

    def _show(self) -> None:
        with self._lock:
            self._numbered = [replace(one, pinned=_is_in(one.result, self.pinned)) for one in self._numbered]
            self._page.update(self._numbered, self._removed)
            marked = (one.number for one in self._numbered if one.result is self.selected)
            self._page.mark(next(marked, None))

    def close(self) -> None:
        """Take the part off the page, and end it; again, nothing happens."""
        self._on_again = None
        super().close()


def _is_in(result: Result, results: Sequence[Result]) -> bool:
    return any(one is result for one in results)


async def _draw(page: HistoryPage, entry: _Entry) -> None:
    page.draw(entry.number, await in_thread(thumbnail, entry.result))
