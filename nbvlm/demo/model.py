"""The embedded model, run by NumPy alone.

>>> model = load()
>>> from nbvlm.demo import scenes
>>> "".join(token.text for token in model.stream(scenes.sample(3).picture, "caption en", seed=0))
'a purple heart, a blue house, a purple tree, an orange circle and a yellow heart on the sea'
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from nbvlm.blas import one_thread
from nbvlm.demo import language, weights
from nbvlm.demo import vocabulary as v
from nbvlm.demo.layers import Array, Block, Convolution, Linear, Norm, Pair, fourier, sigmoid, softmax
from nbvlm.demo.sampling import pick

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["NAME", "Model", "Token", "load"]

NAME = "nbvlm/demo"
"""What results call the model."""
UNSPEAKABLE = [v.PAD, v.BOS, v.NEWLINE, v.UNKNOWN]
"""Tokens that are never part of an answer."""


@dataclass(frozen=True, slots=True)
class Token:
    """One computed token.

    Attributes
    ----------
    text
        What it adds to the answer; may be empty.
    finish_reason
        ``"stop"`` or ``"length"`` on the last token, else None.
    """

    text: str
    finish_reason: str | None = None


@cache
def load(path: Path = weights.PATH) -> Model:
    """Load the model; later calls return the same one, which any number of threads may use at once."""
    return Model(*weights.load(path))


class Model:
    """A trained network and how to run it; it is never changed after it is made.

    Parameters
    ----------
    sizes, arrays
        As `nbvlm.demo.weights.load` returns them.
    """

    def __init__(self, sizes: dict[str, Any], arrays: dict[str, Any]) -> None:
        heads, a = int(sizes["heads"]), arrays
        self.pixels, self.cells, self.longest = (int(sizes[name]) for name in ("pixels", "cells", "text"))
        self._stem = [Convolution.of(a, f"stem.{n}") for n in range(len(sizes["stem"]) + 3)]
        self._encoder = [Block.of(a, f"encoder.{n}", heads) for n in range(int(sizes["encoder"]))]
        self.decoder = [Block.of(a, f"decoder.{n}", heads) for n in range(int(sizes["decoder"]))]
        self._dense, self._boxes, self._names = (Linear.of(a, name) for name in ("dense", "boxes", "names"))
        self._picture_norm, self.final_norm = Norm.of(a, "picture_norm"), Norm.of(a, "final_norm")
        self._place, self.positions = a["place"], a["position"]
        bins = fourier(np.arange(v.BINS, dtype=np.float32) / (v.BINS - 1))
        self.embeddings = np.concatenate([a["words.weight"], bins @ a["locs_in.weight"].T])
        self._out = _scorer(a, bins)

    def count(self, prompt: str) -> int:
        """Tokens of a request: the picture's 64 and the prompt's."""
        return self.cells**2 + len(_prefix(prompt))

    def stream(
        self,
        image: Image.Image,
        prompt: str,
        *,
        temperature: float = 0.2,
        top_p: float = 0.7,
        max_tokens: int = 1024,
        seed: int | None = None,
    ) -> Iterator[Token]:
        """Answer a prompt about a picture, token by token, each as soon as it is computed.

        Parameters
        ----------
        image
            Any picture; the model sees it resized to 128 × 128.
        prompt
            See `nbvlm.demo.language.understand`; to one that is none of the tasks it says what it can do.
        temperature
            Above 0: how much chance there is in the choice of tokens.
        top_p
            In (0, 1]: tokens are chosen among the likeliest that together have this probability.
        max_tokens
            Most tokens to compute, at least 1.
        seed
            Makes the choice repeatable.

        Yields
        ------
        Token
            The last one carries the finish reason.
        """
        if language.understand(prompt) is None:
            yield from _say(language.HELP, max_tokens)
            return
        chance = np.random.default_rng(seed)
        with one_thread():
            reader = _Reader(self, self.see(image))
            state = reader.read(_prefix(prompt))
        limit = min(max_tokens, self.longest - reader.length)
        given: list[int] = []
        for n in range(1, limit + 1):
            with one_thread():
                token = pick(self._out(state), temperature, top_p, chance)
                if token != v.EOS and n < limit:
                    state = reader.read([token])
            end = "stop" if token == v.EOS else "length" if n == limit else None
            yield Token(v.text_of(token, given), end)
            if end:
                return
            given.append(token)

    def scores(self, seen: Array, tokens: Sequence[int]) -> Array:
        """Scores of every token as the next one, words first, then locations.

        Parameters
        ----------
        seen
            What `see` returned.
        tokens
            Of the prompt and of the answer so far.

        Returns
        -------
        numpy.ndarray
            One number a token of the vocabulary; their softmax is the model's belief.
        """
        with one_thread():
            return self._out(_Reader(self, seen).read(tokens))

    def see(self, image: Image.Image) -> Array:
        """Picture tokens, 64 × width, of any picture."""
        x = self.pixels_of(image)
        for convolution in self._stem:
            x = convolution(x)
        x = x.reshape(self.cells**2, -1) + self._place
        for block in self._encoder:
            x, _ = block(x)
        there, boxes, named = self._features(self._dense(x))
        return self._picture_norm(x + there * (self._boxes(boxes) + self._names(named)))

    def pixels_of(self, image: Image.Image) -> Array:
        """What the model looks at: any picture as 128 × 128 × 3 numbers from -1 to 1."""
        side = (self.pixels, self.pixels)
        small = image.convert("RGB").resize(side, Image.Resampling.BILINEAR, reducing_gap=3.0)
        return np.asarray(small, np.float32) / np.float32(127.5) - 1

    def _features(self, told: Array) -> tuple[Array, Array, Array]:
        """Whether a thing's middle is in each of the 64 cells, its box's Fourier features, and its words."""
        first, kinds, colors = v.FIRST_KIND, len(v.KINDS), len(v.COLORS)
        there, box, kind, color = np.split(told, [1, 5, 5 + kinds], 1)
        words = np.concatenate([softmax(kind), softmax(color)], 1)
        named: Array = words @ self.embeddings[first : first + kinds + colors]
        return sigmoid(there), fourier(sigmoid(box)).reshape(len(told), -1), named


class _Reader:
    """A decoder that has seen a picture and reads tokens; keys and values of all that it read are kept."""

    def __init__(self, model: Model, seen: Array) -> None:
        self._model = model
        self._kept: list[Pair] = [block.attention.keys_values(seen) for block in model.decoder]
        self.length = 0

    def read(self, tokens: Sequence[int]) -> Array:
        """Read tokens, which all see each other, and return the state after the last."""
        model, after = self._model, self.length + len(tokens)
        x = model.embeddings[tokens] + model.positions[self.length : after]
        for n, block in enumerate(model.decoder):
            x, self._kept[n] = block(x, self._kept[n])
        self.length = after
        return model.final_norm(x[-1])


def _scorer(arrays: dict[str, Any], bins: Array) -> Linear:
    """Scores of all tokens in one product; those that are never part of an answer are out of reach."""
    matrix = np.concatenate([arrays["words_out.weight"], bins @ arrays["locs_out.weight"]])
    bias = np.concatenate([arrays["words_out.bias"], bins @ arrays["locs_out.bias"]])
    bias[UNSPEAKABLE] = -1e9
    return Linear(np.ascontiguousarray(matrix.T), bias)


def _prefix(prompt: str) -> list[int]:
    words = language.understand(prompt) or prompt.split()
    return [v.BOS, *v.encode(words), v.NEWLINE]


def _say(text: str, most: int) -> Iterator[Token]:
    words = text.split(" ")
    for n, word in enumerate(words, 1):
        end = "stop" if n == len(words) else "length" if n == most else None
        yield Token(word if n == 1 else f" {word}", end)
        if end:
            return
