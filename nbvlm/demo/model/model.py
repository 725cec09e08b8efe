"""The embedded model, run by NumPy alone.

A small vision-language model in PaliGemma's form: it finds the things of a picture (`vision`), parses the
prompt (`prompt_reader`) and writes an answer (`decoder`) token by token, each with the region it is about.

>>> model = load()
>>> from nbvlm.demo import scenes
>>> tokens = model.stream(scenes.sample(3).picture, "answer en how many things?", seed=0)
>>> "".join(token.text for token in tokens)
'2'
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from nbvlm.demo.model import prompt_reader, weights
from nbvlm.demo.model import tokenizer as w
from nbvlm.demo.model.crops import Frame
from nbvlm.demo.model.decoder import PLACES, PROMPT_MOST, Decoder, Decoding
from nbvlm.demo.model.layers import one_thread
from nbvlm.demo.model.vision import Vision

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image

    from nbvlm.demo.model.layers import Array
    from nbvlm.demo.model.vision import Observation

__all__ = ["FAMILIAR", "UNFAMILIAR", "Model", "Token", "load", "pick", "pieces_until", "token_probabilities"]

T = TypeVar("T")


def token_probabilities(scores: NDArray[np.float32], temperature: float, top_p: float) -> NDArray[np.float64]:
    """Probabilities of the tokens, 0 for those that nucleus sampling (Holtzman et al. 2020) leaves out."""
    shifted = (scores.astype(np.float64) - scores.max()) / temperature
    likely = np.exp(shifted)
    likely /= likely.sum()
    order = np.argsort(-shifted, kind="stable")
    before = np.cumsum(likely[order]) - likely[order]
    likely[order[before >= top_p]] = 0.0
    kept: NDArray[np.float64] = likely / likely.sum()
    return kept


def pick(scores: NDArray[np.float32], temperature: float, top_p: float, rng: np.random.Generator) -> int:
    """Choose a token; see `token_probabilities`."""
    kept = token_probabilities(scores, temperature, top_p)
    possible = np.flatnonzero(kept)
    return int(possible[0]) if len(possible) == 1 else int(rng.choice(possible, p=kept[possible]))


FAMILIAR = 0.5
"""Least probability with which a picture counts as a scene."""
UNFAMILIAR = (
    "This picture looks unlike the picture-book scenes that the embedded model knows: "
    "its answer cannot be trusted."
)
"""The notice about other pictures."""
NOTHING = " nothing that this model knows."
"""End of a description of a picture without things."""
_SPREAD = 1.5
"""Spread of locations at temperature 1, in bins."""


@dataclass(frozen=True, slots=True)
class Token:
    """One computed token.

    Attributes
    ----------
    text
        The text that it adds to the answer; may be empty.
    finish_reason
        ``"stop"`` or ``"length"`` on the last token, else None.
    notice
        On the first token: a warning about the whole answer, else None.
    model
        On the first token: the name of the model, where one of several answers.
    """

    text: str
    finish_reason: str | None = None
    notice: str | None = None
    model: str | None = None


@cache
def load(path: Path = weights.PATH) -> Model:
    """Load the model; later calls return the same one, which many threads may use at once."""
    return Model(*weights.load(path))


class Model:
    """A trained network; immutable.

    Parameters
    ----------
    sizes, arrays
        As `nbvlm.demo.model.weights.load` returns them.
    """

    def __init__(self, sizes: dict[str, Any], arrays: dict[str, Any]) -> None:
        self.vision = Vision(arrays)
        self.decoder = Decoder(int(sizes["heads"]), int(sizes["layers"]), arrays)

    def count(self, prompt: str) -> int:
        """Count the tokens of a request: the picture's eleven (the scene, ten regions) and the prompt's."""
        parsed = prompt_reader.understand(prompt)
        return 11 + (len(parsed.words) if parsed else len(prompt.split())) + 2

    def see(self, image: Image.Image) -> Observation:
        """Find the things of a picture."""
        with one_thread():
            return self.vision.see(Frame.of(image))

    def begin(self, seen: Observation, prompt: str) -> Decoding:
        """Begin an answer step by step: scores of the next token, and of the region that it is about.

        Parameters
        ----------
        seen
            From `see`.
        prompt
            See `nbvlm.demo.model.prompt_reader.understand`.

        Raises
        ------
        ValueError
            If the prompt is not one of the tasks.
        """
        parsed = prompt_reader.understand(prompt)
        if parsed is None:
            raise ValueError(prompt_reader.HELP)
        with one_thread():
            return Decoding(self.decoder, seen, parsed)

    def stream(
        self,
        image: Image.Image,
        prompt: str,
        *,
        temperature: float = 0.2,
        top_p: float = 0.7,
        max_tokens: int = 1024,
        seed: int | None = None,
        seen: Observation | None = None,
    ) -> Iterator[Token]:
        """Answer a prompt about a picture, token by token, each as soon as it is computed.

        Parameters
        ----------
        image
            Any picture; the model looks at all of it at 128 × 128 pixels, and closer at each thing.
        prompt
            See `nbvlm.demo.model.prompt_reader.understand`; any other is answered with a list of the tasks.
        temperature
            Above 0: how random the choice of tokens is.
        top_p
            In (0, 1]: tokens are chosen among the likeliest that together have this probability.
        max_tokens
            Most tokens to compute, at least 1.
        seed
            Makes the choice repeatable.
        seen
            Result of `see` for the same picture, to save time.

        Yields
        ------
        Token
            The first one may carry a notice; the last one has the finish reason.
        """
        parsed = prompt_reader.understand(prompt)
        if parsed is None:
            for word, end in pieces_until(re.findall(" ?[^ ]+", prompt_reader.HELP), max_tokens):
                yield Token(word, end)
            return
        frame = Frame.of(image)
        with one_thread():
            seen = seen or self.vision.see(frame)
            decoding = Decoding(self.decoder, seen, parsed)
        notices = [parsed.notice, UNFAMILIAR if seen.familiar < FAMILIAR else None]
        notice = " ".join(filter(None, notices)) or None
        choose = _Choice(self, frame, seen, temperature, top_p, np.random.default_rng(seed))
        limit = min(max_tokens, PLACES - PROMPT_MOST)
        given: list[w.Piece] = []
        for n in range(1, limit + 1):
            with one_thread():
                piece = choose.next(decoding, given)
                if piece.token != w.EOS and n < limit:
                    decoding.append(piece)
            end = "stop" if piece.token == w.EOS else "length" if n == limit else None
            text = w.text_of(piece, given)
            if text == " 0" and parsed.words[0] == "describe":  # a list of none would follow
                text, end = NOTHING, "stop"
            yield Token(text, end, notice if n == 1 else None)
            if end:
                return
            given.append(piece)


@dataclass(slots=True)
class _Choice:
    """Chooses the next piece; keeps the scores of the current outline."""

    model: Model
    frame: Frame
    seen: Observation
    temperature: float
    top_p: float
    rng: np.random.Generator
    outline: Array | None = None

    def _pick(self, scores: Any) -> int:
        return pick(scores, self.temperature, self.top_p, self.rng)

    def next(self, decoding: Decoding, given: list[w.Piece]) -> w.Piece:
        token, pointing = self._pick(decoding.scores()), decoding.pointing()
        again = token == decoding.last and token in (w.LOC, w.SEG)
        if again or (token == w.SEG and given):
            region, run = given[-1].region, decoding.run if again else 0
        elif token in (w.LOC, w.SEG, w.TEXT):
            region, run = self._pick(pointing[1:]), 0
        else:
            return w.Piece(token, int(pointing.argmax()) - 1)
        if token == w.TEXT:
            return w.Piece(token, region, text=self.seen.regions[region].text)
        value = self._edge(region, run % 4) if token == w.LOC else self._code(region, run, given)
        return w.Piece(token, region, value)

    def _edge(self, region: int, run: int) -> int:
        x0, y0, x1, y1 = self.seen.regions[region].box
        there = w.bin_of((y0, x0, y1, x1)[run])
        scores = -np.abs(np.arange(w.BINS, dtype=np.float32) - there) / np.float32(_SPREAD)
        return self._pick(scores)

    def _code(self, region: int, run: int, given: list[w.Piece]) -> int:
        if self.outline is None or run == 0:
            box = _spoken_box(given) or self.seen.regions[region].box
            self.outline = self.model.vision.outline(self.frame, box)
        return self._pick(self.outline[run % 16])


def _spoken_box(given: list[w.Piece]) -> tuple[float, float, float, float] | None:
    """The last box of the answer, in which an outline is drawn."""
    last = given[-4:]
    if len(last) < 4 or any(piece.token != w.LOC for piece in last):
        return None
    y0, x0, y1, x1 = (piece.value / (w.BINS - 1) for piece in last)
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def pieces_until(pieces: Sequence[T], most: int) -> Iterator[tuple[T, str | None]]:
    """Yield pieces of an answer with the finish reason of the last: the end, or a limit of tokens."""
    for n, piece in enumerate(pieces[:most], 1):
        yield piece, "stop" if n == len(pieces) else "length" if n == most else None
