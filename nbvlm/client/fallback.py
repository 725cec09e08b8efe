"""The warning where the embedded model answers because no key was found, once a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbvlm._text import warn_outside
from nbvlm.errors import DemoWarning

if TYPE_CHECKING:
    from nbvlm.client.settings import Settings

__all__ = ["warn_of_demo"]

_MESSAGE = (
    "No key was found, so a small model inside the package answers: it knows picture-book scenes, and 80 "
    'everyday kinds in photographs. nbvlm.login() asks for a key; nbvlm.Client("demo") chooses this model '
    "and does not warn."
)
_warned = False


def warn_of_demo(settings: Settings, package: str) -> None:
    """Warn at the first question that the embedded model answers for lack of a key.

    Parameters
    ----------
    settings
        Those of the client that asks.
    package
        As for `warn_outside`; the panel, the magics and the command show the model in their own way.
    """
    global _warned
    if not _warned and settings.in_process and not settings.chosen:
        _warned = warn_outside(_MESSAGE, package, DemoWarning)
