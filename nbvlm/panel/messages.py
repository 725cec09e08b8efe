"""The order of what a person did: kernels may handle the messages of a page in another one.

A page numbers what it sends for its panel, whichever widget sends it. Kernels with subshells hand messages to
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

__all__ = ["Order"]

#: Seconds that a message waits for those before it: one may be lost, or wait behind a busy cell.
PATIENCE = 0.5
PAGES = 64  # pages that are remembered


@dataclass(slots=True)
class _Page:
    next: int = 1
    waiting: dict[int, Callable[[], Any]] = field(default_factory=dict)


class Order:
    """Does what a page asks for in the order in which it was asked.

    Parameters
    ----------
    patience
        Seconds that a message waits for those before it; then it is done without them.

    Examples
    --------
    >>> order, done = Order(), []
    >>> order.take({"page": "a", "number": 2}, lambda: done.append("run"))
    >>> order.take({"page": "a", "number": 1}, lambda: done.append("choose"))
    >>> done
    ['choose', 'run']
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._lock = threading.RLock()
        self._pages: OrderedDict[str, _Page] = OrderedDict()

    def take(self, message: Mapping[str, Any], action: Callable[[], Any]) -> None:
        """Do `action` when all that the page sent before has been done.

        Parameters
        ----------
        message
            `page` names the page, `number` counts from 1; without them the action is done at once.
        action
            What the message asks for; whatever it raises ends in the thread that did it.
        """
        number = message.get("number")
        if not isinstance(number, int):
            action()
            return
        with self._lock:
            page = self._page(str(message.get("page")))
            if number < page.next:
                action()  # so late that nobody waited for it any more
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
