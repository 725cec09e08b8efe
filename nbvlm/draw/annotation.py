"""Draw boxes, masks and labels on a picture with Pillow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from nbvlm.draw import palette
from nbvlm.draw.labels import draw_labels
from nbvlm.draw.style import Style, measures, styled
from nbvlm.grounding import decoded
from nbvlm.images import Picture, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nbvlm.draw.palette import RGB
    from nbvlm.draw.style import Measures
    from nbvlm.grounding import Detections, MaskCrop
    from nbvlm.images import ImageSource

__all__ = ["Style", "annotate", "colors"]

Boxes = npt.NDArray[np.int64]


def annotate(
    picture: Image.Image | ImageSource,
    detections: Detections,
    style: Style | None = None,
    *,
    things: Iterable[str] = (),
    keep: bool = True,
    **options: Any,
) -> Image.Image:
    """Draw detections on a picture.

    Parameters
    ----------
    picture
        Any mode and size; a smaller or larger copy of the picture that the detections refer to is fine.
        Anything that `Picture.load` takes is loaded.
    detections
        The detections to draw.
    style
        The look; see `Style`.
    things
        Further labels that take part in sharing out the colours, such as all things that the prompt names: a
        thing then keeps its colour in every picture, whether or not the others were found there.
    keep
        False allows to draw on `picture` itself, which saves the time of a copy.
    **options
        Single attributes of `Style`, which win over `style`.

    Returns
    -------
    PIL.Image.Image
        An RGB picture of the size of `picture` times `scale`; a new one unless `keep` is False.

    Examples
    --------
    >>> from nbvlm.grounding import Detections
    >>> found = Detections([[10, 20, 60, 50]], ["cat"], (100, 80))
    >>> annotate(Image.new("RGB", (100, 80), "white"), found, scale=2).size
    (200, 160)
    """
    if not isinstance(picture, Image.Image):
        picture = Picture.load(picture).image()
    style = styled(style, options)
    scaled = _scaled(picture, style.scale)
    canvas = scaled.copy() if keep and scaled is picture else scaled
    if len(detections):
        _draw(canvas, detections, style, colors(detections.labels, style, things))
    return canvas


def _draw(canvas: Image.Image, detections: Detections, style: Style, paints: Sequence[RGB]) -> None:
    """Draw masks, then boxes, each from large to small, then labels."""
    ratio = (canvas.width / detections.size[0], canvas.height / detections.size[1])
    sizes = measures(canvas.size, len(detections), style)
    order = np.argsort(-detections.areas, kind="stable").tolist()
    if style.masks:
        crops = decoded(detections).mask_crops
        for at in order:
            _draw_mask(canvas, crops[at], ratio, paints[at], style.opacity, sizes.line)
    boxes = _pixel_boxes(detections.xyxy, ratio, canvas.size)
    if style.boxes:
        for at in order:
            _draw_box(canvas, boxes[at], paints[at], sizes)
    if style.labels:
        draw_labels(canvas, boxes, detections.labels, paints, style, sizes)


def colors(labels: Sequence[str], style: Style | None = None, things: Iterable[str] = ()) -> list[RGB]:
    """Give each of a row of labels its colour.

    Parameters
    ----------
    labels
        One label a detection.
    style
        Decides whether labels or instances get colours of their own, and may fix colours.
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


def _scaled(picture: Image.Image, scale: float) -> Image.Image:
    """Convert a picture to RGB and to its size times `scale`; returns it unchanged where it is so already."""
    flat = plain(picture)[0]
    size = max(1, round(flat.width * scale)), max(1, round(flat.height * scale))
    if size != flat.size:
        flat = flat.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC)
    return flat if flat.mode == "RGB" else flat.convert("RGB")


def _pixel_boxes(xyxy: npt.NDArray[np.float64], ratio: tuple[float, float], size: tuple[int, int]) -> Boxes:
    """Round to pixels, inside the picture, at least one pixel large; swapped corners are put in order."""
    scaled = np.rint(np.nan_to_num(xyxy) * (ratio * 2)).astype(np.int64)
    low = np.minimum(scaled[:, :2], scaled[:, 2:])
    high = np.maximum(scaled[:, :2], scaled[:, 2:])
    low = np.clip(low, 0, np.array(size) - 1)
    return np.hstack([low, np.clip(np.maximum(high, low + 1), 1, size)])


def _draw_box(canvas: Image.Image, box: Boxes, color: RGB, sizes: Measures) -> None:
    """Draw the line over the edge of the box, with a rim that sets it off from any background."""
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
    crop: MaskCrop | None,
    ratio: tuple[float, float],
    color: RGB,
    opacity: float,
    line: int,
) -> None:
    """Tint the pixels of the mask, more strongly along its outline."""
    if crop is None or not crop.pixels.any():
        return
    (rows, columns), (across, down) = crop.pixels.shape, ratio
    left, top = round(crop.x * across), round(crop.y * down)
    width = max(1, round((crop.x + columns) * across) - left)
    height = max(1, round((crop.y + rows) * down) - top)
    inside = _resized(crop.pixels, (width, height))
    fill, edge = round(255 * opacity), round(255 * min(1.0, opacity + 0.4))
    strength = inside.view(np.uint8) * np.uint8(edge)
    strength -= _core(inside, line).view(np.uint8) * np.uint8(edge - fill)
    # Pasting a picture of one colour takes half the time of pasting the colour.
    canvas.paste(Image.new("RGB", (width, height), color), (left, top), Image.fromarray(strength))


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
