"""The head of the panel beside the choice of the model: a badge, the keyboard, and the presses on Run."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import traitlets

from nbvlm.endpoints import EMBEDDED, GATEWAY
from nbvlm.widgets._base import PageWidget
from nbvlm.widgets.esm import script
from nbvlm.widgets.messages import FIELDS, Message, flag

if TYPE_CHECKING:
    from nbvlm.endpoints import Endpoint

__all__ = ["Toolbar"]


class Toolbar(PageWidget):
    """Wears a badge when an embedded model, a recording or a class gateway answers.

    Its page part also keeps the notebook's one-letter shortcuts away from the panel's fields, gives sliders
    their spoken names, and knows Ctrl+Enter (Run) and Esc (Stop). A press on Run travels in one message with
    the values of the fields, for messages of their own might be handled after it.

    Parameters
    ----------
    on_message
        Called with each message: `type` is "run" (with `prompt`, `parameters`, `edition` and `tuning`),
        "stop", "reset" (of the sliders) or "hide" (`hidden` for a class).

    Attributes
    ----------
    model
        The model's id.
    recorded
        Whether a recording answers.
    demo
        Whether an embedded model answers.
    gateway
        The address of the class gateway that is asked, and what its students must know; "" for none.
    answerer
        Which of the embedded models gave the answer in the viewer, if there is one.
    parameters
        Names of the parameters that have sliders.
    hideable, hidden
        Whether there is something to hide for a class, and whether it is hidden.
    edition, tuning
        Count what the kernel has written into the prompt and into the sliders. A page sends the numbers that
        it has seen, so a value that it sends before it saw the newest one is recognised.
    """

    _esm = script("toolbar", "colors", "place", "panel", "form")
    css_class = "nbvlm-toolbar"
    messages = MappingProxyType(
        {
            "run": Message(**FIELDS),
            "stop": Message(),
            "reset": Message(),
            "hide": Message(hidden=flag),
        }
    )
    model = traitlets.Unicode("").tag(sync=True)
    demo = traitlets.Bool(False).tag(sync=True)
    recorded = traitlets.Bool(False).tag(sync=True)
    gateway = traitlets.Unicode("").tag(sync=True)
    answerer = traitlets.Unicode("").tag(sync=True)
    parameters = traitlets.List(traitlets.Unicode()).tag(sync=True)
    hideable = traitlets.Bool(False).tag(sync=True)
    hidden = traitlets.Bool(False).tag(sync=True)
    edition = traitlets.Int(0).tag(sync=True)
    tuning = traitlets.Int(0).tag(sync=True)

    def show(self, endpoint: Endpoint, *, recorded: bool = False) -> None:
        """Show which kind of model is in use."""
        with self.hold_sync():
            self.recorded = recorded
            self.model, self.demo = endpoint.model, endpoint.name == "demo"
            is_class = endpoint.name == GATEWAY.name
            self.gateway = f"Questions go to {endpoint.base_url}. {endpoint.note}" if is_class else ""
            self.parameters = [parameter.name for parameter in endpoint.parameters]

    def answered(self, model: str) -> None:
        """Name the embedded model that gave the answer in the viewer, on the badge; "" for none."""
        self.answerer = model if model in EMBEDDED else ""

    def _summary(self) -> str:
        return str(self.model)
