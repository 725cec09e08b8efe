"""The decoder of the embedded model, in NumPy: a small transformer that points at each token's region."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from nbvlm.demo.model import tokenizer as w
from nbvlm.demo.model.layers import Block, Linear, Norm, fourier
from nbvlm.demo.scenes import COLORS, KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbvlm.demo.model.layers import Array, Arrays, Pair
    from nbvlm.demo.model.prompt_reader import ParsedPrompt
    from nbvlm.demo.model.vision import Observation, Region

__all__ = [
    "BOX_FEATURES",
    "PLACES",
    "PROMPT_MOST",
    "Decoder",
    "Decoding",
    "box_features",
    "positions",
    "region_features",
]

BOX_FEATURES = 7 * 41
PROMPT_MOST = 40
"""Positions of the prompt's tokens; the answer's follow."""
PLACES = 640
"""Positions in all."""


def positions(width: int) -> Array:
    """Position encoding: sines and cosines (Vaswani et al. 2017), `PLACES` × width."""
    wave = (1 / 1000.0) ** (np.arange(width // 2) / (width // 2))
    angle = np.arange(PLACES)[:, None] * wave
    return (0.3 * np.concatenate([np.sin(angle), np.cos(angle)], 1)).astype(np.float32)


def box_features(boxes: Sequence[Sequence[float]], aspect: float) -> Array:
    """Fourier features (n × 287) of n boxes in shares of the sides: edges, middles, root of the area."""
    edges = np.asarray(boxes, np.float32).reshape(-1, 4)
    middles = (edges[:, :2] + edges[:, 2:]) / 2
    area = np.maximum((edges[:, 2:] - edges[:, :2]).prod(1), 0) * max(aspect, 1 / aspect)
    values = np.concatenate([edges, middles, np.sqrt(area)[:, None]], 1)
    return fourier(values).reshape(len(edges), BOX_FEATURES)


def region_features(regions: Sequence[Region]) -> Array:
    """Features of regions: N × (kinds, colours, sure, whether there is text) float32."""
    rows = [[*region.kinds, *region.colors, region.sure, float(bool(region.text))] for region in regions]
    return np.array(rows, np.float32).reshape(len(rows), len(KINDS) + len(COLORS) + 2)


NEVER_SAID = [w.PAD, w.BOS, w.NEWLINE, w.UNKNOWN, w.BOX]
"""Tokens that are never part of an answer."""


class Decoder:
    """The decoder network; immutable."""

    def __init__(self, heads: int, layers: int, arrays: Arrays) -> None:
        a = arrays
        self.blocks = [Block.of(a, f"speaker.blocks.{n}", heads) for n in range(layers)]
        self.words, self.run, self._rank, self._nowhere = (
            a[f"speaker.{name}"] for name in ("words.weight", "run", "rank", "nowhere")
        )
        self.boxes, self.fed, self.out, self.point, self._names, self._marks, self._ground, self._target = (
            Linear.of(a, f"speaker.{name}")
            for name in ("boxes", "fed", "out", "point", "names", "marks", "ground", "target")
        )
        self.final_norm = Norm.of(a, "speaker.final_norm")
        self.positions = positions(self.words.shape[1])

    def scene(self, seen: Observation) -> Array:
        """Return the tokens of a picture: one for the scene, then one for each region."""
        background: Array = self._ground(seen.backgrounds[None]) + self._rank[:1]
        if not seen.regions:
            return background
        facts = region_features(seen.regions)
        many = len(KINDS) + len(COLORS)
        beliefs = facts[:, :many] @ self.words[w.KINDS_AT : w.KINDS_AT + many]
        boxes = self.boxes(box_features([region.box for region in seen.regions], seen.aspect))
        regions = self._names(beliefs) + boxes + self._marks(facts[:, many:]) + self._rank[1 : 1 + len(facts)]
        return np.concatenate([background, regions])

    def targets(self, scene: Array) -> Array:
        """Return the vectors to point at: nowhere, then each region."""
        return np.concatenate([self._nowhere[None], self._target(scene[1:])])


class Decoding:
    """The state of an answer: picture, prompt and pieces so far, with their keys and values.

    Parameters
    ----------
    decoder
        The network.
    seen
        From the picture.
    parsed
        The prompt.
    """

    def __init__(self, decoder: Decoder, seen: Observation, parsed: ParsedPrompt) -> None:
        self._decoder = decoder
        self._kept: list[Pair | None] = [None] * len(decoder.blocks)
        self._place = PROMPT_MOST
        self._run = -1
        self._scene = decoder.scene(seen)
        self._targets = decoder.targets(self._scene)
        tokens = [w.BOS, *w.encode(parsed.words), w.NEWLINE]
        prompt = decoder.words[tokens] + decoder.positions[: len(tokens)]
        if parsed.box is not None:
            prompt[tokens.index(w.BOX)] += decoder.boxes(box_features([parsed.box], seen.aspect))[0]
        self._state = self._read(np.concatenate([self._scene, prompt]))
        self._last = w.NEWLINE

    def _read(self, x: Array) -> Array:
        for n, block in enumerate(self._decoder.blocks):
            x, self._kept[n] = block(x, self._kept[n])
        return self._decoder.final_norm(x[-1])

    @property
    def run(self) -> int:
        """Index of the next piece in its run of locations or codes."""
        return self._run + 1

    @property
    def last(self) -> int:
        """The token before the next one."""
        return self._last

    def scores(self) -> Array:
        """Return the score of every token as the next one; impossible ones get -1e9."""
        scores = self._decoder.out(self._state)
        scores[NEVER_SAID] = -1e9
        if len(self._targets) == 1:
            scores[[w.LOC, w.SEG, w.TEXT]] = -1e9
        return scores

    def pointing(self) -> Array:
        """Return the scores of the next token's region: no region first, then each region."""
        scores: Array = self._targets @ self._decoder.point(self._state) / math.sqrt(len(self._state))
        return scores

    def append(self, piece: w.Piece) -> None:
        """Add the next piece of the answer."""
        again = piece.token == self._last and self._run >= 0
        self._run = (self._run + 1 if again else 0) % 16 if piece.token in (w.LOC, w.SEG) else -1
        x = self._decoder.words[piece.token] + self._decoder.positions[self._place]
        if self._run >= 0:
            x = x + self._decoder.run[self._run]
        if piece.region >= 0:
            x = x + self._decoder.fed(self._scene[1 + piece.region])
        self._state = self._read(x[None])
        self._last = piece.token
        self._place += 1
