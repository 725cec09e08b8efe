"""Export a result as one SVG file: the picture inside; boxes, masks and labels as sharp shapes.

Written after SVG 1.1 (https://www.w3.org/TR/SVG11/) with `paint-order` from SVG 2, which sets labels off from
the picture; a viewer that does not know it draws them all the same.
"""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

import numpy as np

from nbvlm.draw import Style, css_color, ink_color, measures
from nbvlm.errors import ImageError
from nbvlm.grounding import decoded, mask_outlines
from nbvlm.images import encode_within
from nbvlm.result import description, markup, notebook
from nbvlm.result.datasets import ordered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbvlm.draw import RGB, Measures
    from nbvlm.grounding import MaskCrop
    from nbvlm.result.values import ResultData

__all__ = ["to_svg"]

SIDE = 1600  # pixels of the longer side of the picture inside
BYTES = 2_000_000  # bytes of the picture inside at most


def to_svg(result: ResultData) -> str:
    """Write the annotated picture as SVG; see `Result.to_svg`."""
    width, height = result.picture.width, result.picture.height
    paints = markup.label_colors(result)
    sizes = measures((width, height), max(1, len(result.detections)), Style())
    caveat = _caveat(result, sizes)
    below = height + len(caveat) * sizes.type * 3 // 2  # the ground counts as half a line above and below
    size = f'width="{width}" height="{below}" viewBox="0 0 {width} {below}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    title = f"<title>{markup.text_only(description.alt_text(result))}</title>"
    facts = json.dumps(
        {"model": result.model, "endpoint": result.endpoint, "notices": result.notices}, ensure_ascii=False
    )
    metadata = f"<metadata>{markup.text_only(facts)}</metadata>"
    shapes = _shapes(result, paints, sizes)
    return "\n".join([head, title, metadata, _picture(result), *shapes, *caveat, "</svg>"]) + "\n"


def _caveat(result: ResultData, sizes: Measures) -> list[str]:
    """Write the notices below the picture, a line each as long as fits."""
    letters = max(10, int(result.picture.width / (0.55 * sizes.type)))
    lines = [
        line for notice in result.notices for line in textwrap.wrap(description.visible(notice), letters)
    ]
    if not lines:
        return []
    ground = f'<rect y="{result.picture.height}" width="100%" height="100%" fill="#fff8e1"/>'
    return [ground] + [
        f'<text x="{sizes.pad}" y="{result.picture.height + (at + 1) * sizes.type * 1.4:g}" '
        f'font-family="sans-serif" font-size="{sizes.type}" fill="#8a4b00">{markup.text_only(line)}</text>'
        for at, line in enumerate(lines)
    ]


def _picture(result: ResultData) -> str:
    size = f'width="{result.picture.width}" height="{result.picture.height}"'
    try:
        data, mime = encode_within(result.picture.thumbnail(SIDE), BYTES)
    except ImageError:
        return f'<rect {size} fill="#808080"/>'
    uri = notebook.EncodedPicture(data, mime, result.picture.width, result.picture.height).uri
    return f'<image {size} preserveAspectRatio="none" href="{uri}"/>'


def _shapes(result: ResultData, paints: list[RGB], sizes: Measures) -> Iterator[str]:
    """Draw each detection as a group, from large to small, as the drawn picture does; labels come last."""
    found = result.detections
    order = np.argsort(-found.areas, kind="stable").tolist()
    boxes = ordered(found).tolist()
    crops, reason = decoded(found)
    if reason is not None:
        yield f"<desc>{markup.text_only(f'The masks are left out. {reason}')}</desc>"
    for at in order:
        name = markup.attribute(found.labels[at] or "?")
        shapes = _mask(crops[at], paints[at], sizes) + _box(boxes[at], paints[at], sizes)
        yield f'<g data-label="{name}">{shapes}</g>'
    for at in range(len(found)):
        yield _label(found.labels[at] or "?", boxes[at], paints[at], sizes)


def _mask(crop: MaskCrop | None, color: RGB, sizes: Measures) -> str:
    if crop is None or not crop.pixels.any():
        return ""
    loops = ("M" + "L".join(f"{x} {y}" for x, y in loop) + "Z" for loop in mask_outlines(crop))
    paint, rim = css_color(color), sizes.rim
    fill = f'fill="{paint}" fill-opacity="0.3" stroke="{paint}" stroke-width="{rim}"'
    return f'<path d="{"".join(loops)}" {fill}/>'


def _box(box: list[float], color: RGB, sizes: Measures) -> str:
    x0, y0, x1, y1 = box
    place = f'x="{x0:g}" y="{y0:g}" width="{x1 - x0:g}" height="{y1 - y0:g}" fill="none"'
    rim, paint = css_color(ink_color(color)), css_color(color)
    wide = sizes.line + 2 * sizes.rim
    return (
        f'<rect {place} stroke="{rim}" stroke-width="{wide}"/>'
        f'<rect {place} stroke="{paint}" stroke-width="{sizes.line}"/>'
    )


def _label(text: str, box: list[float], color: RGB, sizes: Measures) -> str:
    """Write a label above its box, or inside if it does not fit, in its ink on a stroke of its colour."""
    inside = box[1] < sizes.type + 2 * sizes.pad
    y = box[1] + sizes.type + sizes.pad if inside else box[1] - sizes.pad - sizes.line
    return (
        f'<text x="{max(0.0, box[0]) + sizes.pad:g}" y="{y:g}" font-family="sans-serif" font-weight="bold" '
        f'font-size="{sizes.type}" fill="{css_color(ink_color(color))}" stroke="{css_color(color)}" '
        f'stroke-width="{2 * sizes.pad}" stroke-linejoin="round" paint-order="stroke">'
        f"{markup.text_only(description.shorten(text, 80))}</text>"
    )
