"""Optional dependencies: imported where they are used, with the pip line to run where they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from nbvlm.errors import Error

__all__ = ["require"]


def require(module: str, *, purpose: str, extra: str | None = None, note: str = "") -> Any:
    """Import an optional module.

    Parameters
    ----------
    module
        Its dotted name.
    purpose
        What needs it, as the subject of the sentence: "A table".
    extra
        The extra of nbvlm that brings it; by default the pip line names the package itself.
    note
        A sentence after the pip line.

    Raises
    ------
    Error
        If it is not installed; the hint is the pip line.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        line = f'pip install "nbvlm[{extra}]"' if extra else f"pip install {name}"
        message = f"{purpose} needs {name}, which is not installed."
        raise Error(message, hint=f"Run: {line}" + (f". {note}" if note else "")) from error
