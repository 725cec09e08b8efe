"""Optional dependencies: imported where they are used, with the pip line to run where they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from nbvlm._text import reason
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
        If it is not installed, where the hint is the pip line; or if it is installed and cannot be imported,
        where the message has the reason.
    """
    name = module.partition(".")[0]
    line = f'pip install "nbvlm[{extra}]"' if extra else f"pip install {name}"
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise _broken(purpose, name, error, f"Run: {line}") from error
        message = f"{purpose} needs {name}, which is not installed."
        raise Error(message, hint=f"Run: {line}" + (f". {note}" if note else "")) from error
    except Exception as error:  # a package that does not fit to another one raises nearly anything
        hint = f"Install it again: pip install --upgrade --force-reinstall {name}"
        raise _broken(purpose, name, error, hint) from error


def _broken(purpose: str, name: str, error: Exception, hint: str) -> Error:
    message = f"{purpose} needs {name}, which is installed but cannot be imported: {reason(error)}."
    return Error(message, hint=hint)
