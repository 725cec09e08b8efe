"""Labels as small signs, each drawn once and set beside its box."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from nbvlm.draw import palette, placement
from nbvlm.draw import text as lettering
from nbvlm.draw.fonts import Face
from nbvlm.draw.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from nbvlm.draw.palette import RGB
    from nbvlm.draw.style import Measures, Style

    Boxes = npt.NDArray[np.int64]

__all__ = ["draw_tags"]

_LONGEST = 400
"""Characters of a label that are looked at; three lines hold fewer."""


def draw_tags(
    canvas: Image.Image,
    boxes: Boxes,
    labels: Sequence[str],
    paints: Sequence[RGB],
    style: Style,
    sizes: Measures,
) -> None:
    """Label the boxes, as far as there is room.

    Parameters
    ----------
    canvas
        RGB picture, drawn on in place.
    boxes
        n×4 pixels, x1 and y1 exclusive.
    labels, paints
        Text and colour of each.
    style
        Decides on numbers and font.
    sizes
        Of type, lines and padding.
    """
    texts = [clean(label[:_LONGEST]) for label in labels]
    if style.numbers:
        texts = [f"{at} {text}".strip() for at, text in enumerate(texts, 1)]
    own = Face(str(Path(style.font))) if style.font is not None else None
    made: dict[tuple[str, RGB], Image.Image | None] = {}
    for key in zip(texts, paints, strict=True):
        if key not in made:
            made[key] = _tag(*key, sizes, canvas.width, own)
    tags = [made[key] for key in zip(texts, paints, strict=True)]
    reach = sizes.line // 2 + sizes.rim
    drawn = np.hstack([boxes[:, :2] - reach, boxes[:, 2:] + reach])
    spots = _spots(drawn, texts, tags, canvas.size)
    for box, spot, tag, color in zip(boxes, spots, tags, paints, strict=True):
        if spot is not None and spot.tied and tag is not None:
            _draw_tie(canvas, box, spot, tag.size, color, sizes)
    for spot, tag in zip(spots, tags, strict=True):
        if spot is not None and tag is not None:
            canvas.paste(tag, (spot.x, spot.y))


def _spots(
    boxes: Boxes, texts: Sequence[str], tags: Sequence[Image.Image | None], size: tuple[int, int]
) -> list[placement.Spot | None]:
    room = [tag.size if tag is not None else (0, 0) for tag in tags]
    told = placement.select(boxes, texts, room, size)
    return placement.place(boxes, [size if at in told else (0, 0) for at, size in enumerate(room)], size)


def _tag(text: str, color: RGB, sizes: Measures, room: int, own: Face | None) -> Image.Image | None:
    """Draw one sign; None without text."""
    if not text:
        return None
    widest = max(1, min(room, max(room // 2, 12 * sizes.type)) - 2 * sizes.pad)
    parts = lettering.wrap(text, sizes.type, widest, own)
    lines = [lettering.measure(part, sizes.type, own) for part in parts]
    margin = sizes.pad // 2
    width = max(line.width for line in lines) + 2 * sizes.pad
    tag = Image.new("RGB", (width, sum(line.up + line.down for line in lines) + 2 * margin), color)
    top = margin
    for line in lines:
        lettering.paint(tag, (sizes.pad, top + line.up), line, sizes.type, palette.ink(color))
        top += line.up + line.down
    return tag


def _draw_tie(
    canvas: Image.Image,
    box: Boxes,
    spot: placement.Spot,
    size: tuple[int, int],
    color: RGB,
    sizes: Measures,
) -> None:
    """Draw a line from the sign to the nearest point of its box."""
    x0, y0, x1, y1 = box.tolist()
    middle = spot.x + size[0] // 2, spot.y + size[1] // 2
    end = min(max(middle[0], x0), x1 - 1), min(max(middle[1], y0), y1 - 1)
    draw = ImageDraw.Draw(canvas)
    draw.line((middle, end), fill=palette.ink(color), width=sizes.line + 2 * sizes.rim)
    draw.line((middle, end), fill=color, width=sizes.line)
