"""The static output of a panel: the form that a saved notebook shows without a kernel.

A panel is two outputs of its cell: the widgets, and below them a picture, table and text of the last answer
with a display id of its own, which is updated once per finished run. A live panel hides the second; GitHub,
nbviewer, nbconvert and a reopened notebook show it. They are two because hosts draw an output again when it
is updated: in one output, the panel itself would be rebuilt after each run, and lose its focus and its zoom.
"""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING, Any

from nbvlm.result import mime_bundle

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbvlm.result import Result

__all__ = ["StaticOutput"]

_NOTE = "<p><small>The panel's last answer, as it was saved. Run the notebook to use the panel.</small></p>"
_EMPTY = "This panel has no answer yet. Run the notebook to use it."


class StaticOutput:
    """Publishes and updates the static output of one panel."""

    def __init__(self) -> None:
        #: Class of the HTML element, which a live panel hides.
        self.name = f"nbvlm-still-{secrets.token_hex(6)}"
        self._lock = threading.Lock()
        self._result: Result | None = None
        self._shown = False

    def show(self, live: Mapping[str, Any], text: str, metadata: Mapping[str, Any]) -> None:
        """Display the widgets and the static output below; a terminal, which draws neither, gets the text."""
        from IPython.core.getipython import get_ipython
        from IPython.display import display as show

        shell = get_ipython()
        if getattr(shell, "kernel", None) is None:
            show({"text/plain": text}, raw=True)
            return
        show({**live, "text/plain": ""}, metadata=dict(metadata), raw=True)
        with self._lock:
            data, about = self._bundle()
            show(data, metadata=about, raw=True, display_id=self.name)
            self._shown = True

    def update(self, result: Result) -> None:
        """Show another answer, if the panel is displayed; takes a moment, so not on the loop thread."""
        from IPython.display import display as show

        with self._lock:
            self._result = result
            if self._shown:
                data, metadata = self._bundle()
                show(data, metadata=metadata, raw=True, display_id=self.name, update=True)

    def _bundle(self) -> tuple[dict[str, Any], dict[str, Any]]:
        if self._result is None:
            return {"text/plain": _EMPTY, "text/html": self._wrapped(f"<p>{_EMPTY}</p>", "")}, {}
        data, metadata = mime_bundle(self._result)
        return {**data, "text/html": self._wrapped(data["text/html"])}, metadata

    def _wrapped(self, html: str, note: str = _NOTE) -> str:
        # Jupyter shows a message in place of a panel that it cannot draw: this output hides the message.
        child = ".jp-OutputArea-child"
        rule = f"{child}:not(:has(.nbvlm-panel)):has(+ {child} .{self.name}) {{ display: none }}"
        return f'<div class="{self.name}"><style>{rule}</style>{html}{note}</div>'
