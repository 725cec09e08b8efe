"""What happens to an answer once it is there: it is kept, shown small, pinned and deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbvlm.panel.history import History
from nbvlm.panel.static_output import Still
from nbvlm.widgets import Exports, Sides, Strip, thumbnail

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbvlm.panel.history import Kept
    from nbvlm.panel.messages import Order
    from nbvlm.result import Result

__all__ = ["Keeper"]


class Keeper:
    """The history of a panel and the widgets that show it.

    Parameters
    ----------
    order
        In which the messages of a page are taken.
    guard
        Calls what a widget asks for, and shows what goes wrong.
    on_show, on_again
        Called with an answer that a person wants to see, or to ask for, again.
    on_error
        Called with what goes wrong while an answer is taken away.

    Attributes
    ----------
    history
        What is kept.
    still
        What a saved notebook shows.
    """

    def __init__(
        self,
        *,
        order: Order,
        guard: Callable[[Callable[[], Any]], None],
        on_show: Callable[[Kept], None],
        on_again: Callable[[Kept], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        self.history = History()
        self._order, self._guard = order, guard
        self._actions: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "show": lambda message: on_show(self._kept(message)),
            "again": lambda message: on_again(self._kept(message)),
            "pin": lambda message: self.pin(int(message["answer"]), bool(message["pinned"])),
            "delete": lambda message: self.delete(int(message["answer"])),
            "clear": lambda _message: self.clear(),
        }
        self.still = Still()
        self.strip, self.sides = Strip(self.take, self.still.name), Sides(self.take)
        self.exports = Exports(on_error)

    @property
    def widgets(self) -> list[Any]:
        """What is placed below the answer, in order."""
        return [self.strip, self.sides]

    def take(self, message: Mapping[str, Any]) -> None:
        """Do what a card was pressed for."""
        action = self._actions[message["type"]]
        self._order.take(message, lambda: self._guard(lambda: action(message)))

    def _kept(self, message: Mapping[str, Any]) -> Kept:
        return self.history.find(int(message["answer"]))

    # What a panel does

    def add(self, result: Result, pieces: int | None = None) -> Kept:
        """Keep a new answer."""
        kept = self.history.add(result, pieces)
        self._refresh()
        return kept

    def finish(self, result: Result) -> None:
        """Do for a new answer what takes a moment; not on the loop thread."""
        number = self.history.number_of(result)
        if number is None:
            return
        self.strip.draw(number, thumbnail(result))
        if number == self.history.newest:
            self.still.update(result)

    def mark(self, result: Result | None) -> None:
        """Say which answer the stage shows."""
        self.strip.mark(self.history.number_of(result))
        self.exports.offer(result)

    # What a person does

    def pin(self, number: int, pinned: bool = True) -> None:
        """Pin an answer, or loosen it."""
        self.history.pin(number, pinned)
        self._refresh()

    def delete(self, number: int) -> None:
        """Keep an answer no longer."""
        self.history.delete(number)
        self._refresh()

    def clear(self) -> None:
        """Keep only what is pinned."""
        self.history.clear()
        self._refresh()

    def _refresh(self) -> None:
        self.strip.update(self.history.kept)
        self.sides.update(self.history.pinned)
