"""The parts that stand alone: they end with their last reference, and take no unknown keyword."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anywidget
import ipywidgets
import traitlets

from nbvlm.widgets._base import PageState, PageWidget, refuse_keywords
from nbvlm.widgets._carrier import Carrier
from nbvlm.widgets._life import LocalLife, close_all
from nbvlm.widgets._observers import Observed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Part", "PartBox"]


def _own_traits(kind: type[Any], base: type[Any]) -> list[str]:
    """Return the names of the traits that a class adds to one of ipywidgets, without those inside."""
    added = set(kind.class_trait_names()) - set(base.class_trait_names())
    return sorted(name for name in added if not name.startswith("_"))


class Part(LocalLife, PageWidget):
    """A part of the panel that stands alone as well.

    A part that was neither displayed nor placed in another widget ends with its last reference in Python; any
    other lives until `close`, as all widgets do. A part that is `bare` leaves colours, margins and the
    notices of an answer to the panel around it.
    """

    #: The module for a part that is bare, which brings no colours and margins.
    bare_esm = ""
    bare = traitlets.Bool(False, read_only=True).tag(sync=True)

    def __init__(
        self, on_message: Callable[[Any], Any] | None = None, *, bare: bool = False, **traits: Any
    ) -> None:
        own = _own_traits(type(self), anywidget.AnyWidget)
        refuse_keywords(type(self), traits, [*own, "layout"])
        if bare:
            self._esm = self.bare_esm
            self.set_trait("bare", True)
        super().__init__(on_message, **traits)
        if not bare:
            self.add_class("nbvlm-part")
        self._leave_to_python()


class PartBox(Observed, LocalLife, PageState, ipywidgets.VBox):  # type: ignore[misc] # the base class has no types
    """A part that consists of several widgets; its life is that of a `Part`.

    The widgets inside hold no reference to their box (see `weakly`), so they end with it. A part that is
    `bare` leaves colours, margins and the page's keys to the panel around it.
    """

    def __init__(self, children: Sequence[Any], *, bare: bool = False, **traits: Any) -> None:
        own = _own_traits(type(self), ipywidgets.VBox)
        try:
            refuse_keywords(type(self), traits, [*own, "layout"])
            # In the order in which they are given: some are checked against others.
            given = {name: traits.pop(name) for name in list(traits) if name in own}
            super().__init__(children, **traits)
            for name in ("nbvlm-inside",) if bare else ("nbvlm-part", "nbvlm-own"):
                self.add_class(name)
            self._leave_to_python()
            for name, value in given.items():
                setattr(self, name, value)
        except BaseException:
            for child in children:
                close_all(child)
            self.close()
            raise

    def close(self) -> None:
        """Take the part and all inside it off the page, and end it; again, nothing happens."""
        for child in self.children:
            close_all(child)
        super().close()
        self.__dict__.pop("_repr_mimebundle_", None)  # ipywidgets hides the method of a closed widget

    def _display_(self) -> Carrier:
        """Return what marimo shows, which runs single anywidgets only."""
        return Carrier(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"
