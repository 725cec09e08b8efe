"""Observers of a part: one that fails is logged, and the part and the other observers go on."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import traitlets

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Observed"]

_LOGGER = logging.getLogger("nbvlm")


@dataclass(frozen=True, slots=True)
class _Logged:
    """Calls an observer, and logs its error; equal to another one of the same observer, to be found again."""

    observer: Callable[[Any], Any]

    def __call__(self, change: Any) -> None:
        try:
            self.observer(change)
        except Exception:
            _LOGGER.exception("An observer of a %s failed.", type(change["owner"]).__name__)


class Observed:
    """Lets no observer end what a widget does.

    Stands before a class of traitlets. The observers that a class defines are part of it: their errors are
    raised.
    """

    def observe(self, handler: Any, names: Any = traitlets.All, type: Any = "change") -> None:  # noqa: A002
        """Call a function after each change of some traits; its errors are logged."""
        super().observe(_logged(handler), names, type)  # type: ignore[misc] # of the class that stands after

    def unobserve(self, handler: Any, names: Any = traitlets.All, type: Any = "change") -> None:  # noqa: A002
        """Call a function no longer."""
        super().unobserve(_logged(handler), names, type)  # type: ignore[misc]


def _logged(handler: Any) -> Any:
    return handler if isinstance(handler, traitlets.EventHandler) else _Logged(handler)
