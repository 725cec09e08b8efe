"""The magics `%vlm` and `%%vlm`; `%load_ext nbvlm` registers them."""

from __future__ import annotations

from nbvlm.magics.magic import load, unload

__all__ = ["load", "unload"]
