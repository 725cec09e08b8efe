"""The vision networks of the embedded model, in NumPy: boxes in the whole picture, then crops of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nbvlm.demo.model.crops import CELLS, Frame
from nbvlm.demo.model.layers import Linear, convolutions, sigmoid, softmax, through
from nbvlm.demo.scenes import COLORS, KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from nbvlm.demo.model.layers import Array, Arrays

__all__ = ["MOST_REGIONS", "Observation", "Region", "Vision", "apart"]

MOST_REGIONS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A detected thing.

    Attributes
    ----------
    box
        (x0, y0, x1, y1) in shares of the picture's width and height.
    kinds, colors
        Probabilities in the order of `scenes.KINDS` and `scenes.COLORS`.
    sure
        Probability that the box contains a thing.
    text
        Of a sign; "" for other kinds.
    """

    box: tuple[float, float, float, float]
    kinds: NDArray[np.float32]
    colors: NDArray[np.float32]
    sure: float = 1.0
    text: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """The findings of the vision networks in a picture: the input of the decoder.

    Attributes
    ----------
    regions
        From left to right, `MOST_REGIONS` at most.
    backgrounds
        Probabilities in the order of `scenes.BACKGROUNDS`.
    aspect
        The picture's width divided by its height.
    familiar
        Probability that it is a picture-book scene.
    """

    regions: tuple[Region, ...]
    backgrounds: NDArray[np.float32]
    aspect: float
    familiar: float = 1.0


GUESSED, SURE = 0.3, 0.5
"""Least probabilities of a thing: of a cell whose box is proposed, and of a proposed box that is kept."""
SAME_GUESS, SAME_THING, SAME_ALIKE = 0.85, 0.6, 0.3
"""Overlaps (IoU) above which two proposals, two things, two things of one kind and colour are the same."""
MOST_GUESSES = 32
_SIGN = KINDS.index("sign")


class Vision:
    """The vision networks; immutable."""

    def __init__(self, arrays: Arrays) -> None:
        a = arrays
        self._near, self._far, self._last = (
            convolutions(a, f"eye.{part}") for part in ("near", "far", "last")
        )
        self._back, self._head, self._whole = (
            Linear.of(a, f"eye.{part}") for part in ("back", "head", "whole")
        )
        self._look = convolutions(a, "look.layers")
        self._squeeze, self._inner, self._out = (
            Linear.of(a, f"look.{part}") for part in ("squeeze", "inner", "out")
        )
        self._trace, self._codes = convolutions(a, "trace.layers"), Linear.of(a, "trace.out")
        self._sign = convolutions(a, "reader.layers")
        self._columns, self._letters = Linear.of(a, "reader.columns"), Linear.of(a, "reader.out")
        beside = a["reader.beside.weight"].transpose(2, 1, 0)
        self._beside = Linear(
            np.ascontiguousarray(beside).reshape(-1, beside.shape[-1]), a["reader.beside.bias"]
        )

    def see(self, frame: Frame) -> Observation:
        """Find the things of a picture, with kind, colour, box and text."""
        cells, whole = self.glance(_numbers(frame.whole()[None]))
        boxes = self.guesses(cells[0])
        aspect = frame.width / frame.height
        facts = np.zeros((0, 5 + len(KINDS) + len(COLORS)), np.float32)
        for look in (self.look, self._both_ways):
            if len(boxes):
                facts, boxes = _closer(look, frame, boxes)
        order = np.argsort(boxes[:, 0] + boxes[:, 2], kind="stable")
        regions = tuple(self._region(frame, boxes[n], facts[n]) for n in order)
        return Observation(regions, softmax(whole[0, 1:]), aspect, float(sigmoid(whole[:1, 0])[0]))

    def glance(self, pixels: Array) -> tuple[Array, Array]:
        """Run the first network on N × 128 × 128 × 3 numbers in -1…1; return facts of cells and of the whole.

        N × 256 × 5: whether a cell contains the middle of a thing, and the distances to its edges; and
        N × (1 + backgrounds): whether it is a scene, and its background.
        """
        near = through(self._near, pixels)
        far = through(self._far, near)
        up = self._back(far).repeat(2, 1).repeat(2, 2)
        together = through(self._last, near + up)
        pooled = np.concatenate([far.mean((1, 2)), far.max((1, 2))], 1)
        return self._head(together.reshape(len(pixels), CELLS * CELLS, -1)), self._whole(pooled)

    def guesses(self, cells: Array) -> NDArray[np.float32]:
        """256 × 5 numbers of cells → N × 4 proposed boxes, `MOST_GUESSES` at most.

        Neighbouring cells may propose the same thing twice; the crops show whether it is the same.
        """
        likely = sigmoid(cells[:, 0])
        some = np.flatnonzero(likely > GUESSED)
        at = (np.arange(CELLS, dtype=np.float32) + 0.5) / CELLS
        middle = np.stack([np.tile(at, CELLS), np.repeat(at, CELLS)], 1)[some]
        reach = np.logaddexp(0, cells[some, 1:]) / 4
        boxes = np.concatenate([middle - reach[:, :2], middle + reach[:, 2:]], 1).clip(-0.05, 1.05)
        kept = apart(boxes, likely[some], SAME_GUESS)[:MOST_GUESSES]
        return np.asarray(boxes[kept], np.float32)

    def look(self, crops: Array) -> Array:
        """N × 48 × 48 × 3 in -1…1 → N × (sure, four shifts of the edges, kinds, colours)."""
        x = through(self._look, crops)
        places = np.maximum(self._squeeze(x), 0).reshape(len(x), -1)
        return self._out(np.maximum(self._inner(np.concatenate([places, x.mean((1, 2))], 1)), 0))

    def trace(self, crops: Array) -> Array:
        """N × 48 × 48 × 3 in -1…1 → N × 16 × 128 scores of mask codes."""
        codes: Array = self._codes(through(self._trace, crops)).reshape(len(crops), 16, -1)
        return codes

    def read(self, crops: Array) -> Array:
        """N × 40 × 80 × 3 in -1…1 → N × 40 × 27 scores of nothing and of letters."""
        x = through(self._sign, crops).transpose(0, 2, 1, 3)
        x = np.maximum(self._columns(x.reshape(*x.shape[:2], -1)), 0)
        padded = np.pad(x, ((0, 0), (1, 1), (0, 0)))
        near = np.concatenate([padded[:, :-2], padded[:, 1:-1], padded[:, 2:]], 2)
        letters: Array = self._letters(x + np.maximum(self._beside(near), 0))
        return letters

    def outline(self, frame: Frame, box: Sequence[float]) -> Array:
        """16 × 128 scores of the mask codes of the thing in a box."""
        scores: Array = self.trace(_numbers(frame.around(box)[None]))[0]
        return scores

    def _both_ways(self, crops: Array) -> Array:
        """Average `look` over the crops and their mirror images: more accurate than either alone."""
        facts, mirrored = self.look(crops), self.look(crops[:, :, ::-1])
        mirrored[:, [1, 3]] = -mirrored[:, [3, 1]]
        return np.asarray((facts + mirrored) / 2, np.float32)

    def _region(self, frame: Frame, box: NDArray[np.float32], facts: Array) -> Region:
        kinds, colors = softmax(facts[5 : 5 + len(KINDS)]), softmax(facts[5 + len(KINDS) :])
        x0, y0, x1, y1 = (float(edge) for edge in box)
        text = self._text(frame, box) if kinds.argmax() == _SIGN else ""
        return Region((x0, y0, x1, y1), kinds, colors, float(sigmoid(facts[:1])[0]), text)

    def _text(self, frame: Frame, box: NDArray[np.float32]) -> str:
        best = self.read(_numbers(frame.sign(box.tolist())[None]))[0].argmax(1)
        new = best[np.append(True, best[1:] != best[:-1])]
        return "".join(chr(64 + letter) for letter in new if letter)


def _closer(
    look: Callable[[Array], Array], frame: Frame, boxes: NDArray[np.float32]
) -> tuple[Array, NDArray[np.float32]]:
    """Return the facts of boxes and the corrected boxes, without those that contain nothing."""
    facts = look(_numbers(np.stack([frame.around(box) for box in boxes])))
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    better = (boxes + facts[:, 1:5] * sides).clip(0, 1)
    found = np.flatnonzero((sigmoid(facts[:, 0]) > SURE) & (better[:, 2:] > better[:, :2]).all(1))
    kept = found[apart(better[found], facts[found, 0], _alike(facts[found]))[:MOST_REGIONS]]
    return facts[kept], better[kept].astype(np.float32)


def _alike(facts: Array) -> NDArray[np.floating]:
    """Return how much each pair of things may overlap."""
    kinds, colors = facts[:, 5 : 5 + len(KINDS)].argmax(1), facts[:, 5 + len(KINDS) :].argmax(1)
    same = (kinds[:, None] == kinds) & (colors[:, None] == colors)
    return np.where(same, SAME_ALIKE, SAME_THING)


def _numbers(pixels: NDArray[np.uint8]) -> Array:
    return pixels.astype(np.float32) / np.float32(127.5) - 1


def apart(
    boxes: NDArray[np.floating], likely: NDArray[np.floating], most: NDArray[np.floating] | float
) -> NDArray[np.intp]:
    """Return the numbers of the boxes that overlap no likelier one by more than `most`, the likeliest first.

    `most` is one number, or one for each pair of boxes.
    """
    from nbvlm.grounding import overlaps

    clash = overlaps(boxes.astype(np.float64), boxes.astype(np.float64)) > most
    kept: list[int] = []
    for n in np.argsort(-likely, kind="stable"):
        if not clash[n, kept].any():
            kept.append(int(n))
    return np.array(kept, np.intp)
