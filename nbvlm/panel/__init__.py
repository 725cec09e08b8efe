"""The panel: choose a picture, ask, and watch the answer and its boxes arrive."""

from __future__ import annotations

from nbvlm.panel.connection import Line
from nbvlm.panel.history import Kept
from nbvlm.panel.messages import Order
from nbvlm.panel.panel import Panel
from nbvlm.panel.sweep import Cell, Sweep

__all__ = ["Cell", "Kept", "Line", "Order", "Panel", "Sweep"]
