"""The head of the panel: which model answers; and, unseen, the keyboard and the presses on Run and Stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from nbvlm.widgets.esm import script, style

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbvlm.panel import Line

__all__ = ["Header"]


class Header(anywidget.AnyWidget):  # type: ignore[misc] # the base class has no types
    """Names the model, and wears a badge when the embedded demo model answers.

    Its page part also keeps the notebook's one-letter shortcuts away from the panel's fields, gives sliders
    their spoken names, and knows Ctrl+Enter (Run) and Esc (Stop). A press on Run travels in one message with
    what the fields say, for messages of their own might be handled after it.

    Parameters
    ----------
    line
        The line to the model.
    on_message
        Called with each message: `type` is "run" (with `prompt`, `parameters`, `edition` and `tuning`),
        "stop", "reset" (of the sliders) or "model" (with the value of a `choice`).

    Attributes
    ----------
    model
        The model's id.
    demo
        Whether the embedded demo model answers.
    choices, choice
        What can be asked, and the value of what is; see `Line.choices`.
    key
        Where the key comes from, never the key; see `Line.key`.
    parameters
        Names of the parameters that have sliders.
    edition, tuning
        Count what the kernel has written into the prompt and into the sliders, so that it knows what of it a
        page had seen.
    """

    _esm = script("toolbar")
    _css = style("panel", "form")
    model = traitlets.Unicode("").tag(sync=True)
    demo = traitlets.Bool(False).tag(sync=True)
    choices = traitlets.List(traitlets.Dict()).tag(sync=True)
    choice = traitlets.Unicode("").tag(sync=True)
    key = traitlets.Dict().tag(sync=True)
    parameters = traitlets.List(traitlets.Unicode()).tag(sync=True)
    edition = traitlets.Int(0).tag(sync=True)
    tuning = traitlets.Int(0).tag(sync=True)

    def __init__(self, line: Line, on_message: Callable[[Mapping[str, Any]], None]) -> None:
        super().__init__()
        self.show(line)
        self.on_msg(lambda _header, message, _buffers: on_message(message))

    def show(self, line: Line) -> None:
        """Show what is asked now, and with which key."""
        endpoint = line.endpoint
        with self.hold_sync():
            self.model, self.demo = endpoint.model, endpoint.name == "demo"
            self.choices, self.choice, self.key = line.choices(), line.choice, line.key()
            self.parameters = [parameter.name for parameter in endpoint.parameters]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.model}>"
