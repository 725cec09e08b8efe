"""The panel: choose a picture, ask, and watch the answer and its boxes arrive."""

from __future__ import annotations

from nbvlm.panel.panel import Panel
from nbvlm.panel.sweep import Cell, Sweep

__all__ = ["Cell", "Panel", "Sweep"]
