"""The network of the embedded model, in NumPy: picture and prompt in, tokens out."""

from __future__ import annotations

from nbvlm.demo.model.model import Model, load

__all__ = ["Model", "load"]
