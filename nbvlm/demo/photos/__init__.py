"""The embedded detector for photographs in NumPy: 80 everyday kinds, streamed as answers."""

from __future__ import annotations

from nbvlm.demo.photos.model import NOTICE, PhotoModel, load

__all__ = ["NOTICE", "PhotoModel", "load"]
