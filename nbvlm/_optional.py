"""Optional dependencies: imported where they are used, with the pip line to run where they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from nbvlm.errors import Error

__all__ = ["require"]


def require(module: str, *, extra: str | None = None, purpose: str) -> Any:
    """Import an optional module.

    Parameters
    ----------
    module
        Its dotted name.
    extra
        The extra of nbvlm that brings it; without one, the module is installed by its own name.
    purpose
        What it is needed for, as the subject of the sentence: "A table".

    Raises
    ------
    Error
        If it is not installed; the hint is the pip line.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        what = f'"nbvlm[{extra}]"' if extra else name
        raise Error(
            f"{purpose} needs {name}, which is not installed.", hint=f"Run: pip install {what}"
        ) from error
