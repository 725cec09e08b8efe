"""The look of an annotated picture: the options of the caller, and the sizes that follow."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from nbvlm.draw import palette

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

__all__ = ["Measures", "Style", "measures", "styled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """The options of drawing.

    Attributes
    ----------
    boxes, masks, labels
        Whether to draw them.
    colors
        Colours by label, for example ``{"cat": "teal"}``; other labels get theirs from the palette.
    by
        "label": one colour a label; "instance": one colour a detection.
    numbers
        Write the detection's number, counted from 1, before its label.
    opacity
        Of the masks, 0…1.
    line_width
        Of the boxes, in pixels of the drawn picture; by default it grows with the picture.
    font_size
        Of the labels, likewise.
    font
        Path of a font file to prefer for labels.
    scale
        Factor between the picture and the drawn picture; lines and labels stay sharp.

    Raises
    ------
    ValueError
        An option is outside its range, or the font file is missing.
    """

    boxes: bool = True
    masks: bool = True
    labels: bool = True
    colors: Mapping[str, str | tuple[int, int, int]] | None = None
    by: Literal["label", "instance"] = "label"
    numbers: bool = False
    opacity: float = 0.3
    line_width: float | None = None
    font_size: int | None = None
    font: str | os.PathLike[str] | None = None
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.opacity <= 1:
            raise ValueError(f"opacity must be from 0 to 1, got {self.opacity!r}.")
        if self.by not in {"label", "instance"}:
            raise ValueError(f'by must be "label" or "instance", got {self.by!r}.')
        for name in ("line_width", "font_size", "scale"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be a positive number, got {value!r}.")
        if self.font is not None and not Path(self.font).is_file():
            raise ValueError(f"The font file {str(self.font)!r} does not exist.")
        for color in (self.colors or {}).values():
            palette.parse(color)


class Measures(NamedTuple):
    """Sizes in pixels of the drawn picture: box line, the rim on both sides of it, type, padding."""

    line: int
    rim: int
    type: int
    pad: int


def measures(size: tuple[int, int], count: int, style: Style) -> Measures:
    """Choose sizes that grow with the picture and shrink a little where many detections crowd it."""
    base = min((size[0] * size[1]) ** 0.5, 2.5 * min(size))
    crowd = min(1.0, max(0.6, (30 / count) ** 0.35))
    line = max(1, round(style.line_width or max(1.6, base / 330) * crowd))
    kind = round(style.font_size or max(11.0, base / 42 * crowd))
    return Measures(line, max(1, round(line / 3)), max(6, kind), max(2, round(kind * 0.25)))


def styled(style: Style | None, options: Mapping[str, Any]) -> Style:
    """Return a style, by default the ordinary one, with some attributes changed; only those that exist."""
    known = [item.name for item in fields(Style)]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise TypeError(f"Unknown style option {', '.join(unknown)}. Style options are {', '.join(known)}.")
    return replace(style or Style(), **options)
