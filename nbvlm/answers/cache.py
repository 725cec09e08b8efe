"""Where downloaded files are kept."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["directory"]


def directory() -> Path:
    r"""Return the cache directory: NBVLM_CACHE where it is set, else the platform's; it may not exist yet.

    The platform's is ``$XDG_CACHE_HOME/nbvlm`` or ``~/.cache/nbvlm``, on macOS ``~/Library/Caches/nbvlm`` and
    on Windows ``%LOCALAPPDATA%\nbvlm\Cache``.
    """
    if chosen := os.environ.get("NBVLM_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "nbvlm"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "nbvlm" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nbvlm"
