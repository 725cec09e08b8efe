"""Write detections in the form of a family: its grammar, its numbers, its order."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbvlm.grounding import mask_outlines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from nbvlm.grounding import Detection, Detections
    from nbvlm.grounding.dialects import Dialect, Form, Reading

__all__ = ["MARKED", "Page", "write"]

MARKED: frozenset[str] = frozenset(
    "ref-box ref-det box-tokens begin-box label-loc doctags corners parse box-ref xy-bbox patches loc".split()  # noqa: SIM905
)
"""Forms whose marks are special tokens, which a server drops unless it is asked to keep them."""


@dataclass(frozen=True, slots=True)
class Page:
    """The data of one picture for an answer.

    Attributes
    ----------
    dialect
        The family.
    reading
        How its numbers describe places.
    size
        Width and height of the picture as it was sent.
    found
        Detections in pixels of that size.
    points
        True to write middles of boxes, where the form has points.
    masks
        True to write masks, where the family writes them.
    named
        Keys of named fields, where the prompt asks for them; empty for the family's own.
    anchor
        True for a first entry that covers the picture.
    """

    dialect: Dialect
    reading: Reading
    size: tuple[int, int]
    found: Detections = field(repr=False)
    points: bool = False
    masks: bool = False
    named: tuple[str, ...] = ()
    anchor: bool = False

    @property
    def digits(self) -> int:
        """Decimals of a number."""
        most = max(self.reading.frame)
        return 3 if most <= 1 else 1 if most <= 100 else 0

    def numbers(self, pixels: Sequence[float]) -> list[Any]:
        """Return pixels x, y, … as the numbers of the family."""
        values = (max(value, 0.0) for value in self.reading.numbers(pixels, self.size))
        return [round(value, self.digits) if self.digits else round(value) for value in values]

    def box(self, detection: Detection) -> list[Any]:
        """Return the numbers of a box."""
        return self.numbers(detection.box)

    def point(self, detection: Detection) -> list[Any]:
        """Return the numbers of the middle of a box."""
        x0, y0, x1, y1 = detection.box
        return self.numbers(((x0 + x1) / 2, (y0 + y1) / 2))

    def by_label(self) -> Iterator[tuple[str, list[Detection]]]:
        """Group the detections by label."""
        groups: dict[str, list[Detection]] = {}
        for detection in self.found:
            groups.setdefault(detection.label, []).append(detection)
        yield from groups.items()


def write(page: Page) -> str:
    """Return the answer, also the family's words for an empty one."""
    form: Form = "named" if page.named else page.dialect.form
    return _WRITERS[form](page)


# JSON.


def _json(page: Page) -> str:
    box_key, point_key, label_key = page.dialect.keys
    items = []
    for detection in page.found:
        item: dict[str, Any] = (
            {point_key: page.point(detection)} if page.points else {box_key: page.box(detection)}
        )
        if page.masks and page.dialect.masks == "png" and detection.mask is not None:
            item["mask"] = _png(detection.box, detection.mask)
        items.append(item | {label_key: detection.label})
    return _fenced(page, items)


_XY = ("x1", "y1", "x2", "y2")


def _named(page: Page) -> str:
    keys = page.named or (("x", "y") if page.points else ("x_min", "y_min", "x_max", "y_max"))
    xy = page.point if len(keys) == 2 else page.box
    items = [
        {"label": detection.label, **dict(zip(keys, xy(detection), strict=True))} for detection in page.found
    ]
    if page.anchor:
        whole = page.numbers((0, 0, *map(float, page.size)))
        items.insert(0, {"label": "__IMAGE__", **dict(zip(_XY, whole, strict=True))})
    return _fenced(page, items)


def _fenced(page: Page, items: list[dict[str, Any]]) -> str:
    lines = ",\n".join("\t" + json.dumps(item, ensure_ascii=False) for item in items)
    text = f"[\n{lines}\n]" if items else "[]"
    return f"```json\n{text}\n```" if page.dialect.fence else text


def _png(box: tuple[float, ...], mask: NDArray[np.bool_]) -> str:
    """A mask as Gemini writes it: 256 × 256 probabilities, stretched over the box."""
    from PIL import Image

    x0, y0, x1, y1 = (round(value) for value in box)
    crop = (
        Image.fromarray(mask).convert("L").crop((x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))).resize((256, 256))
    )
    buffer = io.BytesIO()
    crop.save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


# Tags.


def _ref_box(page: Page) -> str:
    """`<ref>car</ref><box>…</box>`, whose inside differs between families."""
    inside, each = _INSIDE.get(page.dialect.name, (_brackets, False))
    lines = []
    for label, found in page.by_label():
        boxes = [page.point(one) if page.points else page.box(one) for one in found]
        groups = [inside([box]) for box in boxes] if each else [inside(boxes)]
        lines.append(f"<ref>{label}</ref>" + "".join(f"<box>{group}</box>" for group in groups))
    return "\n".join(lines) or "<box>none</box>"


def _brackets(boxes: list[list[Any]]) -> str:
    return json.dumps(boxes)


def _corner_pairs(boxes: list[list[Any]]) -> str:
    box = boxes[0]
    return ",".join(f"({box[at]},{box[at + 1]})" for at in range(0, len(box), 2))


def _blanks(boxes: list[list[Any]]) -> str:
    return " ".join(map(str, boxes[0]))


def _tokens(boxes: list[list[Any]]) -> str:
    return "".join(f"<{number}>" for number in boxes[0])


_INSIDE: dict[str, tuple[Callable[[list[list[Any]]], str], bool]] = {
    "qwen-vl": (_corner_pairs, True),
    "minicpm": (_blanks, True),
    "locateanything": (_tokens, True),
}


def _ref_det(page: Page) -> str:
    return "\n".join(
        f"<|ref|>{label}<|/ref|><|det|>{_brackets([page.box(one) for one in found])}<|/det|>"
        for label, found in page.by_label()
    )


def _box_tokens(page: Page) -> str:
    if page.dialect.name.startswith("ui-tars"):
        clicks = [f"click(start_box='{_corner_pairs([page.point(one)])}')" for one in page.found]
        return "\n".join(f"Action: {click}" for click in clicks) or "Action: finished()"
    parts = []
    for label, found in page.by_label():
        inside = _tokens if page.dialect.name == "rex-omni" else _corner_pairs
        boxes = [inside([page.point(one) if page.points else page.box(one)]) for one in found]
        ref = f"<|object_ref_start|>{label}<|object_ref_end|>"
        if page.dialect.name == "rex-omni":
            parts.append(f"{ref}<|box_start|>{','.join(boxes)}<|box_end|>")
        else:
            parts += [f"{ref}<|box_start|>{box}<|box_end|>" for box in boxes]
    return (", " if page.dialect.name == "rex-omni" else "\n").join(parts) or "None"


def _begin_box(page: Page) -> str:
    return f"<|begin_of_box|>{_json(page)}<|end_of_box|>"


def _box_ref(page: Page) -> str:
    return "\n".join(
        f"<|box_start|>{' '.join(f'{number:03d}' for number in page.box(one))}<|box_end|>"
        f"<|ref_start|>{one.label}<|ref_end|>"
        for one in page.found
    )


def _tuples(page: Page) -> str:
    return "".join(f"{one.label}{_corner_pairs([page.box(one)])}" for one in page.found)


def _bbox(page: Page) -> str:
    tag, places = ("point", page.point) if page.points else ("bbox", page.box)
    return "\n".join(f"<{tag}>{_blanks([places(one)])}</{tag}>" for one in page.found)


def _point_box(page: Page) -> str:
    tag, places = ("point", page.point) if page.points else ("point_box", page.box)
    return "\n".join(
        f'<{tag} mention="{one.label}"> {_corner_pairs([places(one)]).replace("),(", ") (")} </{tag}>'
        for one in page.found
    )


def _xy_bbox(page: Page) -> str:
    boxes = ((one, page.box(one)) for one in page.found)
    return "\n".join(
        f"<bbox><x_{x0}><y_{y0}><x_{x1}><y_{y1}></bbox>{one.label}" for one, (x0, y0, x1, y1) in boxes
    )


# Points.


def _points(page: Page) -> str:
    parts = []
    for label, found in page.by_label():
        places = [page.point(one) for one in found]
        if len(places) == 1:
            parts.append(f'<point x="{places[0][0]}" y="{places[0][1]}" alt="{label}">{label}</point>')
        else:
            sides = " ".join(f'x{n}="{x}" y{n}="{y}"' for n, (x, y) in enumerate(places, 1))
            parts.append(f'<points {sides} alt="{label}">{label}</points>')
    return " " + "\n".join(parts) if parts else "There are none."


def _tracks(page: Page) -> str:
    parts = []
    for label, found in page.by_label():
        triples = (" ".join(map(str, (n, *page.point(one)))) for n, one in enumerate(found, 1))
        parts.append(f'<points coords="1 {" ".join(triples)}">{label}</points>')
    return "\n".join(parts) or "There are none."


# Location tokens.


def _loc(page: Page) -> str:
    items = []
    for one in page.found:
        codes = one.codes if page.masks and one.codes else ()
        tokens = [f"<loc{min(number, 1023):04d}>" for number in page.box(one)]
        tokens += [f"<seg{code:03d}>" for code in codes]
        items.append(f"{''.join(tokens)} {one.label}")
    return " ; ".join(items)


_CORNERS = 60  # most of an outline


def _label_loc(page: Page) -> str:
    if page.masks:
        return "".join(one.label + _polygon(page, one) for one in page.found)
    return "".join(
        label + "".join(f"<loc_{min(number, 999)}>" for one in found for number in page.box(one))
        for label, found in page.by_label()
    )


def _polygon(page: Page, one: Detection) -> str:
    """Write the largest outline of a mask, or the box without an outline."""
    crop = one.mask_crop
    outlines = mask_outlines(crop) if crop is not None else []
    if not outlines:
        return "".join(f"<loc_{min(number, 999)}>" for number in page.box(one))
    corners = max(outlines, key=len)
    corners = corners[:: -(-len(corners) // _CORNERS)]
    numbers = (page.numbers(corner) for corner in corners)
    return f"<poly>{''.join(f'<loc_{min(n, 999)}>' for pair in numbers for n in pair)}</poly>"


def _doctags(page: Page) -> str:
    items = (
        f"<picture>{''.join(f'<loc_{number}>' for number in page.box(one))}{one.label}</picture>"
        for one in page.found
    )
    return f"<doctag>{''.join(items)}</doctag>"


def _corners(page: Page) -> str:
    lines = []
    for one in page.found:
        x0, y0, x1, y1 = page.box(one)
        around = (x0, y0, x1, y0, x1, y1, x0, y1)
        lines.append(one.label + "".join(f"<|LOC_{number}|>" for number in around))
    return "\n".join(lines)


def _parse(page: Page) -> str:
    blocks = []
    for one in page.found:
        x0, y0, x1, y1 = page.reading.numbers(one.box, page.size)
        blocks.append(f"<x_{x0:.4f}><y_{y0:.4f}>{one.label}<x_{x1:.4f}><y_{y1:.4f}><class_Picture>")
    return "\n\n".join(blocks)


_CELLS = 32


def _patches(page: Page) -> str:
    parts = []
    for label, found in page.by_label():
        places = "</delimiter_of_multi_objects/>".join(
            "".join(f"<patch_index_{index:04d}>" for index in _cells(page, one)) for one in found
        )
        parts.append(f"<phrase> {label}</phrase><object>{places}</object>")
    return " and".join(parts)


def _cells(page: Page, one: Detection) -> tuple[int, int]:
    """The cells in which two corners of a box lie."""
    x0, y0, x1, y1 = page.reading.numbers(one.box, page.size)

    def cell(value: float) -> int:
        return min(_CELLS - 1, max(0, int(value * _CELLS)))

    return cell(y0) * _CELLS + cell(x0), cell(y1) * _CELLS + cell(x1)


# Numbers in prose.


def _bare(page: Page) -> str:
    if page.dialect.name == "cogvlm":
        return ", ".join(
            f"{one.label} [[{','.join(f'{min(n, 999):03d}' for n in page.box(one))}]]" for one in page.found
        )
    if max(page.reading.frame) <= 1:
        return ", ".join(f"{one.label} [{','.join(f'{n:.3f}' for n in page.box(one))}]" for one in page.found)
    return ", ".join(f"{one.label} {page.box(one)}" for one in page.found)


_WRITERS: dict[Form, Callable[[Page], str]] = {
    "json": _json,
    "named": _named,
    "loc": _loc,
    "ref-box": _ref_box,
    "ref-det": _ref_det,
    "box-tokens": _box_tokens,
    "begin-box": _begin_box,
    "tuples": _tuples,
    "points": _points,
    "tracks": _tracks,
    "bbox": _bbox,
    "point-box": _point_box,
    "label-loc": _label_loc,
    "doctags": _doctags,
    "corners": _corners,
    "parse": _parse,
    "box-ref": _box_ref,
    "xy-bbox": _xy_bbox,
    "patches": _patches,
    "bare": _bare,
}
