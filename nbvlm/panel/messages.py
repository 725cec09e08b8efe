"""Messages of a page, handled in the order in which the page sent them.

A page numbers the messages to its panel, whichever widget sends them. Kernels with subshells hand messages to
several threads, so the press on Run may come before the choice of a picture that it follows.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbvlm._background import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Action = Callable[[Mapping[str, Any]], Any]

__all__ = ["MessageSequencer"]

#: Seconds that a message waits for those before it: one may be lost, or wait behind a busy cell.
PATIENCE = 0.5
PAGES = 64  # pages that are remembered


@dataclass(slots=True)
class _Page:
    next: int = 1
    waiting: dict[int, Callable[[], Any]] = field(default_factory=dict)


class MessageSequencer:
    """Runs the actions that a page asks for in the order of its messages.

    Examples
    --------
    >>> messages, done = MessageSequencer(), []
    >>> messages.take({"page": "a", "number": 2}, lambda: done.append("run"))
    >>> messages.take({"page": "a", "number": 1}, lambda: done.append("choose"))
    >>> done
    ['choose', 'run']
    """

    def __init__(
        self,
        guard: Callable[[Callable[[], Any]], Any] = lambda action: action(),
        *,
        patience: float = PATIENCE,
    ) -> None:
        self._guard, self._patience = guard, patience
        self._lock = threading.RLock()
        self._pages: OrderedDict[str, _Page] = OrderedDict()

    def handler(self, actions: Mapping[str, Action]) -> Action:
        """Return a function that takes a message of a widget and runs the action of its `type`, guarded."""
        return lambda message: self.take(
            message, lambda: self._guard(lambda: actions[message["type"]](message))
        )

    def take(self, message: Mapping[str, Any], action: Callable[[], Any]) -> None:
        """Run `action` after those of all earlier messages of the same `page`, by their `number`, from 1.

        Without a number it runs at once. Its errors end in the thread that runs it.
        """
        number = message.get("number")
        if not isinstance(number, int):
            action()
            return
        with self._lock:
            page = self._page(str(message.get("page")))
            if number < page.next:
                action()  # the others went on without it
                return
            page.waiting[number] = action
            self._work(page)
            if page.waiting:
                Task(self._go_on_without(page, page.next))

    def _page(self, name: str) -> _Page:
        page = self._pages.setdefault(name, _Page())
        self._pages.move_to_end(name)
        if len(self._pages) > PAGES:
            self._pages.popitem(last=False)
        return page

    def _work(self, page: _Page) -> None:
        while page.next in page.waiting:
            action = page.waiting.pop(page.next)
            page.next += 1
            action()

    async def _go_on_without(self, page: _Page, missing: int) -> None:
        await asyncio.sleep(self._patience)
        with self._lock:
            if page.next == missing and page.waiting:
                page.next = min(page.waiting)
                self._work(page)
                if page.waiting:
                    Task(self._go_on_without(page, page.next))
