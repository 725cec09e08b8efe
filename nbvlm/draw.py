"""Boxes, masks and labels drawn on a picture with Pillow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from nbvlm import lettering, palette, placement
from nbvlm.clusters import clean
from nbvlm.convert import plain
from nbvlm.decoded import decoded
from nbvlm.fontfile import Face
from nbvlm.style import Style, styled

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nbvlm.detections import Detections
    from nbvlm.palette import RGB
    from nbvlm.stencils import Patch

__all__ = ["Style", "annotate", "colors"]

Boxes = npt.NDArray[np.int64]


class Measures(NamedTuple):
    """Sizes in pixels of the drawn picture: box line, the rim on both sides of it, type, padding."""

    line: int
    rim: int
    type: int
    pad: int


def annotate(
    picture: Image.Image,
    detections: Detections,
    style: Style | None = None,
    *,
    things: Iterable[str] = (),
    **options: Any,
) -> Image.Image:
    """Draw detections on a picture.

    Parameters
    ----------
    picture
        Any mode and size; a smaller or larger copy of the picture that the detections refer to is fine.
    detections
        What to draw.
    style
        How; see `Style`.
    things
        Further labels that take part in sharing out the colours; see `palette.prompt_things`.
    **options
        Single attributes of `Style`, which win over `style`.

    Returns
    -------
    PIL.Image.Image
        A new RGB picture, of the size of `picture` times `scale`.

    Examples
    --------
    >>> from nbvlm.detections import Detections
    >>> found = Detections([[10, 20, 60, 50]], ["cat"], (100, 80))
    >>> annotate(Image.new("RGB", (100, 80), "white"), found, scale=2).size
    (200, 160)
    """
    style = styled(style, options)
    canvas = _canvas(picture, style.scale)
    if not len(detections):
        return canvas
    ratio = (canvas.width / detections.size[0], canvas.height / detections.size[1])
    sizes = _measures(canvas.size, len(detections), style)
    paints = colors(detections.labels, style, things)
    order = np.argsort(-detections.areas, kind="stable").tolist()
    if style.masks:
        patches = decoded(detections).patches
        for at in order:
            _draw_mask(canvas, patches[at], ratio, paints[at], style.opacity, sizes.line)
    boxes = _pixel_boxes(detections.xyxy, ratio, canvas.size)
    if style.boxes:
        for at in order:
            _draw_box(canvas, boxes[at], paints[at], sizes)
    if style.labels:
        _draw_labels(canvas, boxes, detections.labels, paints, style, sizes)
    return canvas


def colors(labels: Sequence[str], style: Style | None = None, things: Iterable[str] = ()) -> list[RGB]:
    """Give each of a row of labels its colour.

    Parameters
    ----------
    labels
        One label a detection.
    style
        Decides whether labels or instances are told apart, and may fix colours.
    things
        Further labels that take part in sharing out the colours.

    Returns
    -------
    list of tuple of int
        Red, green and blue for each label.
    """
    style = style or Style()
    if style.by == "instance":
        return [palette.COLORS[at % len(palette.COLORS)] for at in range(len(labels))]
    chosen = palette.assign([*labels, *things], style.colors)
    return [chosen[label] for label in labels]


def _canvas(picture: Image.Image, scale: float) -> Image.Image:
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    flat = plain(picture)[0]
    if size != picture.size:
        filters = Image.Resampling
        flat = flat.resize(size, filters.LANCZOS if scale < 1 else filters.BICUBIC)
    flat = flat.convert("RGB")
    return flat.copy() if flat is picture else flat


def _measures(size: tuple[int, int], count: int, style: Style) -> Measures:
    """Choose sizes that grow with the picture, and shrink a little where it is crowded."""
    base = min((size[0] * size[1]) ** 0.5, 2.5 * min(size))
    crowd = min(1.0, max(0.6, (30 / count) ** 0.35))
    line = max(1, round(style.line_width or max(1.6, base / 330) * crowd))
    kind = round(style.font_size or max(11.0, base / 42 * crowd))
    return Measures(line, max(1, round(line / 3)), max(6, kind), max(2, round(kind * 0.25)))


def _pixel_boxes(xyxy: npt.NDArray[np.float64], ratio: tuple[float, float], size: tuple[int, int]) -> Boxes:
    """Round to pixels, inside the picture, at least one pixel large; swapped corners are put in order."""
    scaled = np.rint(np.nan_to_num(xyxy) * (ratio * 2)).astype(np.int64)
    low = np.minimum(scaled[:, :2], scaled[:, 2:])
    high = np.maximum(scaled[:, :2], scaled[:, 2:])
    low = np.clip(low, 0, np.array(size) - 1)
    return np.hstack([low, np.clip(np.maximum(high, low + 1), 1, size)])


def _draw_box(canvas: Image.Image, box: Boxes, color: RGB, sizes: Measures) -> None:
    """Draw the line over the edge of the box, with a rim that sets it off from any ground."""
    draw = ImageDraw.Draw(canvas)
    out = sizes.line // 2
    x0, y0 = np.maximum(box[:2] - out, 0).tolist()
    x1, y1 = np.minimum(box[2:] + out, canvas.size).tolist()
    rim, wide = sizes.rim, sizes.line
    outer = (x0 - rim, y0 - rim, x1 - 1 + rim, y1 - 1 + rim)
    draw.rectangle(outer, outline=palette.ink(color), width=wide + 2 * rim)
    draw.rectangle((x0, y0, x1 - 1, y1 - 1), outline=color, width=wide)


def _draw_mask(
    canvas: Image.Image,
    patch: Patch | None,
    ratio: tuple[float, float],
    color: RGB,
    opacity: float,
    line: int,
) -> None:
    """Tint the pixels of the mask, more strongly along its outline."""
    if patch is None or not patch.pixels.any():
        return
    (rows, columns), (across, down) = patch.pixels.shape, ratio
    left, top = round(patch.x * across), round(patch.y * down)
    width = max(1, round((patch.x + columns) * across) - left)
    height = max(1, round((patch.y + rows) * down) - top)
    inside = _resized(patch.pixels, (width, height))
    strength = np.where(inside, np.uint8(round(255 * opacity)), np.uint8(0))
    strength[inside & ~_core(inside, line)] = round(255 * min(1.0, opacity + 0.4))
    canvas.paste(color, (left, top, left + width, top + height), Image.fromarray(strength))


def _resized(pixels: npt.NDArray[np.bool_], size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    rows, columns = pixels.shape
    if (columns, rows) == size:
        return pixels
    down = (np.arange(size[1]) * 2 + 1) * rows // (2 * size[1])
    across = (np.arange(size[0]) * 2 + 1) * columns // (2 * size[0])
    return np.asarray(pixels[down[:, None], across])


def _core(inside: npt.NDArray[np.bool_], depth: int) -> npt.NDArray[np.bool_]:
    """Keep the pixels that have mask at `depth` to all four sides."""
    core = np.zeros_like(inside)
    if min(inside.shape) > 2 * depth:
        middle = slice(depth, -depth)
        core[middle, middle] = (
            inside[: -2 * depth, middle]
            & inside[2 * depth :, middle]
            & inside[middle, : -2 * depth]
            & inside[middle, 2 * depth :]
        )
    return core


def _draw_labels(
    canvas: Image.Image,
    boxes: Boxes,
    labels: Sequence[str],
    paints: Sequence[RGB],
    style: Style,
    sizes: Measures,
) -> None:
    own = Face(str(Path(style.font))) if style.font is not None else None
    widest = max(1, min(canvas.width, max(canvas.width // 2, 12 * sizes.type)) - 2 * sizes.pad)
    texts = [clean(label) for label in labels]
    if style.numbers:
        texts = [f"{at} {text}".strip() for at, text in enumerate(texts, 1)]
    blocks = [_block(text, sizes, widest, own) for text in texts]
    reach = sizes.line // 2 + sizes.rim
    drawn = np.hstack([boxes[:, :2] - reach, boxes[:, 2:] + reach])
    room = [_block_size(block, sizes) for block in blocks]
    told = placement.select(drawn, labels, room, canvas.size)
    spots = placement.place(
        drawn, [size if at in told else (0, 0) for at, size in enumerate(room)], canvas.size
    )
    for at, spot in enumerate(spots):
        if spot is not None and spot.tied:
            _draw_tie(canvas, boxes[at], spot, room[at], paints[at], sizes)
    for spot, block, color in zip(spots, blocks, paints, strict=True):
        if spot is not None:
            _draw_block(canvas, spot, block, color, sizes)


def _block(text: str, sizes: Measures, width: int, own: Face | None) -> tuple[lettering.Line, ...]:
    if not text:
        return ()
    lines = lettering.wrap(text, sizes.type, width, own)
    return tuple(lettering.measure(line, sizes.type, own) for line in lines)


def _block_size(block: Sequence[lettering.Line], sizes: Measures) -> tuple[int, int]:
    if not block:
        return 0, 0
    high = sum(line.up + line.down for line in block)
    return max(line.width for line in block) + 2 * sizes.pad, high + 2 * (sizes.pad // 2)


def _draw_block(
    canvas: Image.Image, spot: placement.Spot, block: Sequence[lettering.Line], color: RGB, sizes: Measures
) -> None:
    width, height = _block_size(block, sizes)
    x, y = spot.x, spot.y
    ImageDraw.Draw(canvas).rectangle((x, y, x + width - 1, y + height - 1), fill=color)
    y += sizes.pad // 2
    for line in block:
        lettering.paint(canvas, (x + sizes.pad, y + line.up), line, sizes.type, palette.ink(color))
        y += line.up + line.down


def _draw_tie(
    canvas: Image.Image,
    box: Boxes,
    spot: placement.Spot,
    size: tuple[int, int],
    color: RGB,
    sizes: Measures,
) -> None:
    """Draw a line from the label to the nearest point of its box."""
    x0, y0, x1, y1 = box.tolist()
    middle = spot.x + size[0] // 2, spot.y + size[1] // 2
    end = min(max(middle[0], x0), x1 - 1), min(max(middle[1], y0), y1 - 1)
    draw = ImageDraw.Draw(canvas)
    draw.line((middle, end), fill=palette.ink(color), width=sizes.line + 2 * sizes.rim)
    draw.line((middle, end), fill=color, width=sizes.line)
