"""The head of the panel: which model answers; and, unseen, the keyboard of the whole panel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import anywidget
import traitlets

if TYPE_CHECKING:
    from nbvlm.endpoints import Endpoint

__all__ = ["Header"]

_HERE = Path(__file__).parent


class Header(anywidget.AnyWidget):  # type: ignore[misc] # the base class has no types
    """Names the model, and wears a badge when the embedded demo model answers.

    Its page part also keeps the notebook's one-letter shortcuts away from the panel's fields, gives sliders
    their spoken names, and knows Ctrl+Enter (Run) and Esc (Stop).

    Attributes
    ----------
    model
        The model's id.
    demo
        Whether the embedded demo model answers.
    """

    _esm = _HERE / "header.js"
    _css = _HERE / "panel.css"
    model = traitlets.Unicode("").tag(sync=True)
    demo = traitlets.Bool(False).tag(sync=True)

    @classmethod
    def of(cls, endpoint: Endpoint) -> Header:
        """Make the head for an endpoint."""
        return cls(model=endpoint.model, demo=endpoint.name == "demo")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.model}>"
