"""The head of the panel: which model answers; and, unseen, the keyboard and the presses on Run and Stop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from nbvlm.panel.page import script

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbvlm.endpoints import Endpoint

__all__ = ["Header"]

_HERE = Path(__file__).parent


class Header(anywidget.AnyWidget):  # type: ignore[misc] # the base class has no types
    """Names the model, and wears a badge when the embedded demo model answers.

    Its page part also keeps the notebook's one-letter shortcuts away from the panel's fields, gives sliders
    their spoken names, and knows Ctrl+Enter (Run) and Esc (Stop). A press on Run travels in one message with
    what the fields say, for messages of their own might be handled after it.

    Parameters
    ----------
    endpoint
        What answers.
    on_message
        Called with each press: `type` is "run" (with `prompt`, `parameters` and `edition`) or "stop".

    Attributes
    ----------
    model
        The model's id.
    demo
        Whether the embedded demo model answers.
    parameters
        Names of the parameters that have sliders.
    edition
        Counts what the kernel has written into the fields, so that it knows what a page had seen of it.
    """

    _esm = script("header")
    _css = _HERE / "panel.css"
    model = traitlets.Unicode("").tag(sync=True)
    demo = traitlets.Bool(False).tag(sync=True)

    parameters = traitlets.List(traitlets.Unicode()).tag(sync=True)
    edition = traitlets.Int(0).tag(sync=True)

    def __init__(self, endpoint: Endpoint, on_message: Callable[[Mapping[str, Any]], None]) -> None:
        super().__init__()
        self.serve(endpoint)
        self.on_msg(lambda _header, message, _buffers: on_message(message))

    def serve(self, endpoint: Endpoint) -> None:
        """Name another endpoint."""
        self.model, self.demo = endpoint.model, endpoint.name == "demo"
        self.parameters = [parameter.name for parameter in endpoint.parameters]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.model}>"
