"""The buttons Run and Stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbvlm.widgets._fields import button, column

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RunButtons"]


class RunButtons:
    """The buttons that ask the model and stop the answer.

    Parameters
    ----------
    on_run, on_stop
        Called when the buttons are pressed; a page with the toolbar sends a message of its own instead.

    Attributes
    ----------
    run, stop
        The buttons.
    widget
        Both, to be placed in a layout.
    """

    def __init__(self, *, on_run: Callable[[], Any], on_stop: Callable[[], Any]) -> None:
        self.run = button("Run", "nbvlm-run", "Ask the model (Ctrl+Enter, on a Mac ⌘+Enter)")
        self.stop = button("Stop", "nbvlm-stop", "Stop the answer (Esc)", disabled=True)
        self.widget = column([self.run, self.stop], "nbvlm-actions")
        self.run.on_click(lambda _button: on_run())
        self.stop.on_click(lambda _button: on_stop())

    def running(self, running: bool, *, queued: bool = False) -> None:
        """Switch Run and Stop; while an answer is under way, Run keeps one question for later."""
        self.stop.disabled = not running
        self.run.description = "Queued" if queued else "Run next" if running else "Run"
