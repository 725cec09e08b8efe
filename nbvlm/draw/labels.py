"""Draw labels: each text once, as a small picture that is pasted beside its boxes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from nbvlm.draw import palette, placement
from nbvlm.draw.fonts import Face
from nbvlm.draw.text import clean, measure, paint, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from nbvlm.draw.palette import RGB
    from nbvlm.draw.style import Measures, Style

    Boxes = npt.NDArray[np.int64]

__all__ = ["draw_labels"]

_LONGEST = 400  # characters of a label that are used; three lines hold fewer


def draw_labels(
    canvas: Image.Image,
    boxes: Boxes,
    labels: Sequence[str],
    paints: Sequence[RGB],
    style: Style,
    sizes: Measures,
) -> None:
    """Draw the labels of n×4 boxes (x1 and y1 exclusive) on an RGB picture, as far as there is room."""
    texts = [clean(label[:_LONGEST]) for label in labels]
    if style.numbers:
        texts = [f"{at} {text}".strip() for at, text in enumerate(texts, 1)]
    own = Face(str(Path(style.font))) if style.font is not None else None
    keys = list(zip(texts, paints, strict=True))
    drawn_once = {key: _label_image(*key, sizes, canvas.width, own) for key in dict.fromkeys(keys)}
    images = [drawn_once[key] for key in keys]
    reach = sizes.line // 2 + sizes.rim
    drawn = np.hstack([boxes[:, :2] - reach, boxes[:, 2:] + reach])
    areas = [image.size if image is not None else (0, 0) for image in images]
    chosen = placement.select(drawn, texts, areas, canvas.size)
    areas = [area if at in chosen else (0, 0) for at, area in enumerate(areas)]
    positions = placement.place(drawn, areas, canvas.size)
    for box, position, image, color in zip(boxes, positions, images, paints, strict=True):
        if position is not None and position.leader and image is not None:
            _draw_leader(canvas, box, position, image.size, color, sizes)
    for position, image in zip(positions, images, strict=True):
        if position is not None and image is not None:
            canvas.paste(image, (position.x, position.y))


def _label_image(text: str, color: RGB, sizes: Measures, room: int, own: Face | None) -> Image.Image | None:
    """Draw one label; None without text."""
    if not text:
        return None
    widest = max(1, min(room, max(room // 2, 12 * sizes.type)) - 2 * sizes.pad)
    parts = wrap(text, sizes.type, widest, own)
    lines = [measure(part, sizes.type, own) for part in parts]
    margin = sizes.pad // 2
    width = max(line.width for line in lines) + 2 * sizes.pad
    image = Image.new("RGB", (width, sum(line.up + line.down for line in lines) + 2 * margin), color)
    top = margin
    for line in lines:
        paint(image, (sizes.pad, top + line.up), line, sizes.type, palette.ink(color))
        top += line.up + line.down
    return image


def _draw_leader(
    canvas: Image.Image,
    box: Boxes,
    position: placement.Position,
    size: tuple[int, int],
    color: RGB,
    sizes: Measures,
) -> None:
    """Draw a line from the label to the nearest point of its box."""
    x0, y0, x1, y1 = box.tolist()
    middle = position.x + size[0] // 2, position.y + size[1] // 2
    end = min(max(middle[0], x0), x1 - 1), min(max(middle[1], y0), y1 - 1)
    draw = ImageDraw.Draw(canvas)
    draw.line((middle, end), fill=palette.ink(color), width=sizes.line + 2 * sizes.rim)
    draw.line((middle, end), fill=color, width=sizes.line)
