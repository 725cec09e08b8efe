"""Training data of the vision networks: scenes drawn on the fly, and crops of their things."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from random import Random
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from nbvlm.demo import scenes
from nbvlm.demo.ground_truth import overlap
from nbvlm.demo.model.crops import CELLS, CROP, SIGN, Frame
from nbvlm.demo.world.backgrounds import BACKGROUNDS
from training import distractors

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["VisionBatch", "batch", "drawn", "raster"]

DISTRACTORS = 3
"""Pictures at the end of each batch that are not scenes."""
Box = tuple[float, float, float, float]
_BACKGROUND = {name: number for number, name in enumerate(BACKGROUNDS)}


@dataclass(frozen=True, slots=True)
class VisionBatch:
    """A batch.

    Attributes
    ----------
    pixels
        B × 128 × 128 × 3 uint8.
    whole
        B × 2 int64: 1 for a scene and 0 for something else, and the ground.
    cells
        B × 256 × 7 float32: 1 where a thing's middle is, -1 beside it; its box in shares; kind and colour.
    crops, facts
        N × 48 × 48 × 3 uint8; N × 7 float32: sure, how far the thing's four edges lie from the crop's box, in
        widths and heights of that box, kind and colour.
    close, masks
        M × 48 × 48 × 3 uint8 around the true boxes; M × 64 × 64 float16 masks in 0…1.
    signs, texts
        S × 40 × 80 × 3 uint8; S × 6 uint8: letters from 1, then 0.
    """

    pixels: NDArray[np.uint8]
    whole: NDArray[np.int64]
    cells: NDArray[np.float32]
    crops: NDArray[np.uint8]
    facts: NDArray[np.float32]
    close: NDArray[np.uint8]
    masks: NDArray[np.float16]
    signs: NDArray[np.uint8]
    texts: NDArray[np.uint8]

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(slots=True)
class _CropLists:
    """The crops of a batch, as growing lists."""

    crops: list[NDArray[np.uint8]]
    facts: list[tuple[float, ...]]
    close: list[NDArray[np.uint8]]
    masks: list[NDArray[np.float16]]
    signs: list[NDArray[np.uint8]]
    texts: list[NDArray[np.uint8]]


def drawn(rng: Random) -> tuple[Image.Image, list[scenes.Thing], str]:
    """Draw a scene at a small size, at times with smooth edges, and degrade it as `scenes.sample` does."""
    layout = scenes.compose(rng)
    smooth = rng.random() < 0.5
    longer = round(math.exp(rng.uniform(math.log(150), math.log(300 if smooth else 460))))
    w, h = (longer, longer / layout.aspect) if layout.aspect >= 1 else (longer * layout.aspect, longer)
    size = (round(w), round(h))
    picture, plan = scenes.render(layout, (2 * size[0], 2 * size[1]) if smooth else size)
    if smooth:
        picture = picture.resize(size, Image.Resampling.BOX)
        plan = plan.resize(size, Image.Resampling.NEAREST)
    seen = np.asarray(plan)
    things = []
    for number, placed in enumerate(layout.placed, 1):
        mask = seen == number
        if mask.any():
            box = scenes.bounds(mask)
            things.append(scenes.Thing(placed.kind, placed.color, box, mask, placed.text))
    return scenes.spoil(picture, rng), things, layout.background


def batch(seed: int, size: int) -> VisionBatch:
    """Draw the batch of a seed: `size` pictures, most of them scenes."""
    rng = Random(seed)
    parts = _CropLists([], [], [], [], [], [])
    pixels, whole, cells = [], [], []
    for n in range(size):
        if n >= size - DISTRACTORS:
            frame, boxes, background = Frame.of(distractors.picture(rng)), [], 0
        else:
            picture, things, name = drawn(rng)
            frame, background = Frame.of(picture), _BACKGROUND[name]
            boxes = [_share(thing.box, picture.size) for thing in things]
            _closer(frame, boxes, things, rng, parts)
        _elsewhere(frame, boxes, rng, parts)
        pixels.append(frame.whole())
        whole.append((int(n < size - DISTRACTORS), background))
        cells.append(_cells(boxes, things if boxes else []))
    return _collected(pixels, whole, cells, parts)


def _collected(
    pixels: list[NDArray[np.uint8]],
    whole: list[tuple[int, int]],
    cells: list[NDArray[np.float32]],
    parts: _CropLists,
) -> VisionBatch:
    def stacked(arrays: list[NDArray[np.generic]], *shape: int) -> NDArray[np.generic]:
        return np.stack(arrays) if arrays else np.zeros((0, *shape), np.uint8)

    return VisionBatch(
        np.stack(pixels),
        np.array(whole, np.int64),
        np.stack(cells),
        np.stack(parts.crops),
        np.array(parts.facts, np.float32),
        stacked(parts.close, *CROP, 3),  # type: ignore[arg-type]
        stacked(parts.masks, 64, 64).astype(np.float16),  # type: ignore[arg-type]
        stacked(parts.signs, SIGN[1], SIGN[0], 3),  # type: ignore[arg-type]
        stacked(parts.texts, 6),  # type: ignore[arg-type]
    )


def _share(box: Box, size: tuple[int, int]) -> Box:
    (x0, y0, x1, y1), (w, h) = box, size
    return x0 / w, y0 / h, x1 / w, y1 / h


def _closer(
    frame: Frame, boxes: list[Box], things: list[scenes.Thing], rng: Random, into: _CropLists
) -> None:
    for box, thing in zip(boxes, things, strict=True):
        kind, color = scenes.KINDS.index(thing.kind), scenes.COLORS.index(thing.color)
        for shift, grow in ((0.1, 0.12), (0.16, 0.18)):
            near = _moved(box, rng, shift, grow)
            into.crops.append(frame.around(near))
            into.facts.append((1.0, *_shifts(near, box), kind, color))
        steady = _moved(box, rng, 0.015, 0.02)
        into.close.append(frame.around(steady))
        into.masks.append(raster(thing))
        if thing.text:
            into.signs.append(frame.sign(_moved(box, rng, 0.02, 0.03)))
            letters = [ord(letter) - 64 for letter in thing.text]
            into.texts.append(np.array(letters + [0] * (6 - len(letters)), np.uint8))


def raster(thing: scenes.Thing) -> NDArray[np.float16]:
    """Return a thing's mask within its box, 64 × 64 from 0 to 1."""
    x0, y0, x1, y1 = (round(k) for k in thing.box)
    inside = Image.fromarray(thing.mask[y0:y1, x0:x1].astype(np.uint8) * 255)
    return (np.asarray(inside.resize((64, 64), Image.Resampling.BILINEAR)) / 255).astype(np.float16)


def _moved(box: Box, rng: Random, shift: float, grow: float) -> Box:
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    x, y = (x0 + x1) / 2 + rng.gauss(0, shift) * w, (y0 + y1) / 2 + rng.gauss(0, shift) * h
    w, h = w * math.exp(rng.gauss(0, grow)), h * math.exp(rng.gauss(0, grow))
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def _shifts(near: Box, box: Box) -> tuple[float, ...]:
    w, h = near[2] - near[0], near[3] - near[1]
    return tuple((b - a) / side for a, b, side in zip(near, box, (w, h, w, h), strict=True))


def _elsewhere(frame: Frame, boxes: list[Box], rng: Random, into: _CropLists) -> None:
    """Add crops without a thing in their middle: of the background, of parts, and of two things at once."""
    wanted = 2 if boxes else 4
    for _ in range(30):
        box = _wrong(boxes, rng)
        if box[2] - box[0] > 0.03 and box[3] - box[1] > 0.03 and _best(box, boxes) < 0.4:
            into.crops.append(frame.around(box))
            into.facts.append((0.0, 0, 0, 0, 0, 0, 0))
            wanted -= 1
            if not wanted:
                return


def _wrong(boxes: list[Box], rng: Random) -> Box:
    way = rng.random()
    if not boxes or way < 0.34:
        w, h = rng.uniform(0.08, 0.45), rng.uniform(0.08, 0.45)
        x, y = rng.uniform(0, 1 - w), rng.uniform(0, 1 - h)
        return x, y, x + w, y + h
    box = rng.choice(boxes)
    if way < 0.6:
        return _moved(box, rng, 0.45, 0.35)
    if way < 0.8:
        return _moved(box, rng, 0.25, 0.6)
    other = rng.choice(boxes)
    return min(box[0], other[0]), min(box[1], other[1]), max(box[2], other[2]), max(box[3], other[3])


def _best(box: Box, boxes: list[Box]) -> float:
    return max((overlap(box, other) for other in boxes), default=0.0)


def _cells(boxes: list[Box], things: list[scenes.Thing]) -> NDArray[np.float32]:
    cells = np.zeros((CELLS, CELLS, 7), np.float32)
    for x0, y0, x1, y1 in boxes:
        row, column = _cell((y0 + y1) / 2), _cell((x0 + x1) / 2)
        beside = cells[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2, 0]
        beside[beside == 0] = -1
    for box, thing in zip(boxes, things, strict=True):
        row, column = _cell((box[1] + box[3]) / 2), _cell((box[0] + box[2]) / 2)
        cells[row, column] = 1, *box, scenes.KINDS.index(thing.kind), scenes.COLORS.index(thing.color)
    return cells.reshape(CELLS * CELLS, 7)


def _cell(value: float) -> int:
    return min(CELLS - 1, int(value * CELLS))
