"""Boxes, masks and labels on a picture."""

from __future__ import annotations

from nbvlm.draw.annotation import annotate, colors
from nbvlm.draw.fonts import BUNDLED
from nbvlm.draw.palette import RGB
from nbvlm.draw.palette import assign as assign_colors
from nbvlm.draw.palette import css as css_color
from nbvlm.draw.palette import ink as ink_color
from nbvlm.draw.style import Measures, Style, measures

__all__ = [
    "BUNDLED",
    "RGB",
    "Measures",
    "Style",
    "annotate",
    "assign_colors",
    "colors",
    "css_color",
    "ink_color",
    "measures",
]
