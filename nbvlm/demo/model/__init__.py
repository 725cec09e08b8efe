"""The embedded model in NumPy: answers a prompt about a picture with tokens."""

from __future__ import annotations

from nbvlm.demo.model.model import Model, Token, load

__all__ = ["Model", "Token", "load"]
