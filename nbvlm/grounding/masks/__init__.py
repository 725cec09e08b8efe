"""Masks: codebooks, the decoder, run lengths and polygons."""

from __future__ import annotations

from nbvlm.grounding.masks.codebooks import Codebook, codebook, paste

__all__ = ["Codebook", "codebook", "paste"]
