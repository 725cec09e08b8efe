"""Answers as cards, to be selected, pinned and deleted."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import traitlets

from nbvlm._background import Task, in_thread
from nbvlm.result import Result
from nbvlm.widgets._life import weakly
from nbvlm.widgets._part import PartBox
from nbvlm.widgets.esm import script
from nbvlm.widgets.history_page import HistoryPage
from nbvlm.widgets.history_store import HistoryStore
from nbvlm.widgets.messages import Ignored
from nbvlm.widgets.thumbnails import thumbnail

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbvlm.widgets.history_store import HistoryEntry
    from nbvlm.widgets.messages import Action, Handler

__all__ = ["History"]


class _OwnPage(HistoryPage):
    _esm = script("history_strip", "colors", "scheme", "theme", "place", "history_strip")


class History(PartBox):
    """Show answers as cards; a press on a card selects its answer.

    Each trait below can be given by name, observed and linked. Pinned answers stay when others are cleared.

    Parameters
    ----------
    entries
        The answers, the oldest first.
    on_again
        Called with the answer whose question a person wants to ask again; by default `connect` asks it. The
        cards have the button where one of them does.
    **options
        `on_show` is called with the answer of a card that is pressed, in place of selecting it; `on_change`
        after each change of the answers; `handler` makes of actions, by the types of messages, the function
        that takes a message of the page. `limited` drops the oldest answers that are not pinned beyond 200,
        and where their pictures take more than 256 MiB. `draws` False leaves the small pictures to `draw`.
        `still` is the CSS class of an output that the page shows in place of the history, or "".

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
        on_show: Callable[[Result], Any] | None = None,
        on_change: Callable[[], Any] | None = None,
        handler: Handler | None = None,
        limited: bool = False,
        draws: bool = True,
        still: str = "",
        bare: bool = False,
        **traits: Any,
    ) -> None:
        self._lock = threading.RLock()
        self._has_asker = on_again is not None
        self._on_show, self._on_change = on_show, on_change
        self._draws = draws
        self.store = HistoryStore(limited=limited)
        #: Takes a message that names an answer by its number, of this page or another one.
        self.take = (_at_once if handler is None else handler)(self._actions())
        self._page = (HistoryPage if bare else _OwnPage)(self.take, still)
        self._askers = [] if on_again is None else [on_again]
        self._page.offer_again(bool(self._askers))
        super().__init__([self._page], bare=bare, **({"entries": _listed(entries)} | traits))

    def add(self, result: Result, pieces: int | None = None) -> None:
        """Add an answer at the end, and select it; `pieces` is how many it came in, if that is known.

        A `traitlets.TraitError` for something else, such as the None of a question that was stopped.
        """
        _check(result)
        with self._lock:
            entry = self.store.add(result, pieces)
            self._draw_new([entry])
            self._follow()
            self.selected = result
        self._changed()

    def replace(self, result: Result, other: Result) -> None:
        """Put another form of an answer in its place; nothing happens where it is not among the entries."""
        _check(other)
        with self._lock:
            number = self.store.number_of(result)
            if number is None:
                return
            is_selected = self.selected is result
            self.store.replace(number, other)
            self._draw_new([self.store.find(number)])
            self._follow()
            if is_selected:
                self.selected = other
        self._changed()

    def select(self, result: Result | None) -> None:
        """Mark an answer; none where it is not among the entries."""
        with self._lock:
            self.selected = result if self.store.number_of(result) is not None else None

    def delete(self, result: Result) -> None:
        """Drop an answer."""
        number = self.store.number_of(result)
        if number is not None:
            self._change(lambda: self.store.delete(number))

    def clear(self) -> None:
        """Drop all answers that are not pinned."""
        self._change(self.store.clear)

    def undo(self) -> None:
        """Bring back what was deleted or cleared last; again, nothing happens."""
        self._change(self.store.undo)

    def ask_by(self, ask: Callable[[Result], Any], remove: bool = False) -> None:
        """Let a function ask again without an `on_again`, the newest of several; `remove` ends that."""
        with self._lock:
            others = [one for one in self._askers if one is not ask]
            self._askers = others if remove else [*others, ask]
            self._page.offer_again(bool(self._askers))

    def draw(self, result: Result) -> None:
        """Draw an answer small on its card, now; takes a moment."""
        number = self.store.number_of(result)
        if number is not None:
            self._page.draw(number, thumbnail(result))

    def _draw_new(self, entries: Sequence[HistoryEntry]) -> None:
        for entry in entries if self._draws else ():
            Task(_draw(self._page, entry))

    # Messages of the page

    def _actions(self) -> dict[str, Action]:
        actions = {
            "show": self._show_again,
            "again": self._ask_again,
            "pin": self._pin,
            "delete": self._delete,
            "clear": self._clear,
            "undo": self._undo,
        }
        return {name: weakly(action) for name, action in actions.items()}

    def _named(self, message: Mapping[str, Any]) -> HistoryEntry:
        found = (one for one in self.store.entries if one.number == message["answer"])
        if (entry := next(found, None)) is None:
            raise Ignored("the history does not hold this answer")
        return entry

    def _show_again(self, message: Mapping[str, Any]) -> None:
        result = self._named(message).result
        if self._on_show is None:
            self.selected = result
        else:
            self._on_show(result)

    def _ask_again(self, message: Mapping[str, Any]) -> None:
        result = self._named(message).result
        if not self._askers:
            raise Ignored("nothing asks again")
        self._askers[0 if self._has_asker else -1](result)

    def _pin(self, message: Mapping[str, Any]) -> None:
        number = self._named(message).number
        self._change(lambda: self.store.pin(number, message["pinned"]))

    def _delete(self, message: Mapping[str, Any]) -> None:
        self._change(lambda: self.store.delete(message["answer"]))

    def _clear(self, _message: Mapping[str, Any]) -> None:
        self.clear()

    def _undo(self, _message: Mapping[str, Any]) -> None:
        self.undo()

    # The traits follow the store, and the store follows the traits

    def _change(self, action: Callable[[], Any]) -> None:
        with self._lock:
            action()
            self._follow()
        self._changed()

    def _changed(self) -> None:
        # Without the lock: what is called may wait for another thread, which changes the history.
        if self._on_change is not None:
            self._on_change()

    def _follow(self) -> None:
        """Give the traits what the store holds, and show it."""
        self.entries = self.store.results
        held = [one.result for one in self.store.pinned]
        kept = [one for one in self.pinned if _is_in(one, held)]
        self.pinned = [*kept, *(one for one in held if not _is_in(one, kept))]
        self._leave_what_is_gone()
        self._show()

    def _leave_what_is_gone(self) -> None:
        if self.selected is not None and not _is_in(self.selected, self.entries):
            self.selected = None

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
            if not _same(self.entries, self.store.results):
                self._draw_new(self.store.put(self.entries))
                self._follow()

    @traitlets.observe("pinned")  # type: ignore[untyped-decorator]
    def _pinned_changed(self, _change: Any) -> None:
        with self._lock:
            self.store.put_pinned(self.pinned)
            self._show()

    @traitlets.observe("selected")  # type: ignore[untyped-decorator]
    def _show(self, _change: Any = None) -> None:
        with self._lock:
            self._page.update(self.store.entries, self.store.removed)
            self._page.mark(self.store.number_of(self.selected))

    def close(self) -> None:
        """Take the part off the page, and end it; again, nothing happens."""
        self._askers, self._on_show, self._on_change = [], None, None
        super().close()


def _listed(entries: Any) -> Any:
    return list(entries) if isinstance(entries, Iterable) else entries  # the trait refuses anything else


def _at_once(actions: Mapping[str, Action]) -> Action:
    return lambda message: actions[message["type"]](message)


def _check(result: Any) -> None:
    if not isinstance(result, Result):
        raise traitlets.TraitError(
            f"A history takes answers, got {type(result).__name__}. Give it a Result; "
            "a question that was stopped has none."
        )


def _is_in(result: Result, results: Sequence[Result]) -> bool:
    return any(one is result for one in results)


def _same(some: Sequence[Result], others: Sequence[Result]) -> bool:
    return len(some) == len(others) and all(one is other for one, other in zip(some, others, strict=True))


async def _draw(page: HistoryPage, entry: HistoryEntry) -> None:
    page.draw(entry.number, await in_thread(thumbnail, entry.result))
