"""Messages of a page: which fields a message has, and of which kind.

A page is not trusted: an old one, another extension or a damaged connection may send anything. So a widget
lists the messages that it takes, and `_base` ignores any other.

>>> choose = Message(index=whole)
>>> choose.fault({"type": "choose", "index": 3}, [])
''
>>> choose.fault({"type": "choose", "index": float("nan")}, [])
"the field 'index'"
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Check = Callable[[Any], bool]
    Action = Callable[[Mapping[str, Any]], Any]  # takes a message
    Handler = Callable[[Mapping[str, Action]], Action]  # makes one of those for each type of message

__all__ = [
    "PIECE",
    "REREAD",
    "Ignored",
    "Message",
    "either",
    "fields",
    "flag",
    "items",
    "number",
    "optional",
    "text",
    "whole",
]

#: Characters of a text, and items of a list, at most.
LONGEST, MOST = 2**20, 1000
#: Bytes of one piece of a file, at most.
PIECE = 2**20
#: The largest whole number that a page can hold exactly.
LARGEST = 2**53 - 1


class Ignored(Exception):
    """Raised by an action for a message whose values fit nothing, such as the number of a deleted answer."""


class Message:
    """The fields of one type of message, and the bytes that its buffer may have (0: it has none)."""

    def __init__(self, buffer: int = 0, /, **checks: Check) -> None:
        self._buffer, self._checks = buffer, checks

    def fault(self, message: Mapping[str, Any], buffers: Sequence[Any]) -> str:
        """Return which part of a message does not fit, or ""."""
        number_of = message.get("number")
        if number_of is not None and not (whole(number_of) and number_of > 0 and text(message.get("page"))):
            return "its number"
        sizes = [memoryview(one).nbytes for one in buffers]
        if len(sizes) != bool(self._buffer) or any(size > self._buffer for size in sizes):
            return "its buffers"
        wrong = (name for name, check in self._checks.items() if not check(message.get(name)))
        return next((f"the field {name!r}" for name in wrong), "")


def text(value: Any) -> bool:
    """Check for a text."""
    return isinstance(value, str) and len(value) <= LONGEST


def flag(value: Any) -> bool:
    """Check for true or false."""
    return isinstance(value, bool)


def number(value: Any) -> bool:
    """Check for a finite number."""
    return isinstance(value, float | int) and not flag(value) and math.isfinite(float_of(value))


def float_of(value: float) -> float:
    """Return a number as a float; one that is too large becomes infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def whole(value: Any) -> bool:
    """Check for a whole number from 0 on."""
    return isinstance(value, int) and not flag(value) and 0 <= value <= LARGEST


def optional(check: Check) -> Check:
    """Allow None, and a missing field."""
    return lambda value: value is None or check(value)


def either(*checks: Check) -> Check:
    """Allow what one of the checks allows."""
    return lambda value: any(check(value) for check in checks)


def items(check: Check, count: int | None = None) -> Check:
    """Check for a list, of `count` items if given."""
    return lambda value: (
        isinstance(value, list)
        and (len(value) <= MOST if count is None else len(value) == count)
        and all(map(check, value))
    )


def _is_order(value: Any) -> bool:
    return value in ("xyxy", "yxyx")


def _is_side(value: Any) -> bool:
    return number(value) and value > 0


REREAD = Message(order=_is_order, scale=optional(items(_is_side, 2)))
"""Read the numbers of the boxes in another order, and on another scale of both sides (None: as now)."""


def fields(value: Any) -> bool:
    """Check for the values of a page's fields: prompt, parameters, and the state that they follow."""
    return isinstance(value, dict) and all(check(value.get(name)) for name, check in FIELDS.items())


def _parameters(value: Any) -> bool:
    return isinstance(value, dict) and all(text(name) and number(one) for name, one in value.items())


#: The values of a page's fields; see `nbvlm.panel.form`.
FIELDS: Mapping[str, Check] = {
    "prompt": optional(text),
    "parameters": optional(_parameters),
    "edition": optional(whole),
    "tuning": optional(whole),
}
