"""The detector as a model of the service: it streams an answer about a photograph.

>>> from nbvlm.demo.gallery import PHOTOS
>>> from nbvlm.demo.photos import load
>>> tokens = load().stream(PHOTOS[0].picture(), "answer en is there a cat?")
>>> "".join(token.text for token in tokens)
'yes'
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from nbvlm.demo.model import Token, pick, pieces_until
from nbvlm.demo.photos import detector, network
from nbvlm.demo.photos.answers import answer, understand

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from PIL import Image

    from nbvlm.demo.photos.detector import Found
    from nbvlm.demo.photos.network import Network

__all__ = ["NOTICE", "PhotoModel", "load"]

NOTICE = (
    "A small detector of 80 everyday kinds answers, not a vision-language model; about one in six of its "
    "boxes is wrong."
)
"""Said with every answer."""


@cache
def load() -> PhotoModel:
    """Load the model; later calls return the same one, which many threads may use at once."""
    return PhotoModel(network.load())


class PhotoModel:
    """The detector behind the questions of a vision-language model; immutable.

    Parameters
    ----------
    net
        The network.
    """

    def __init__(self, net: Network) -> None:
        self._net = net

    def count(self, prompt: str) -> int:
        """Count the tokens of a request: one for each cell of the coarsest level, and the prompt's words."""
        return (network.SIDE // network.STRIDES[-1]) ** 2 + len(prompt.split())

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
        """Answer a prompt about a photograph, token by token.

        Parameters
        ----------
        image
            Any picture; its longer side becomes 512 pixels.
        prompt
            See `nbvlm.demo.photos.answers.answer`.
        temperature, top_p
            Whether a box of little more than the least probability is in the answer is chosen as tokens are:
            the odds of the box against those at the floor of 0.40. Boxes below the floor never are.
        max_tokens
            Most tokens to write, at least 1.
        seed
            Makes the choice repeatable.

        Yields
        ------
        Token
            The first one carries a notice; the last one has the finish reason.
        """
        words = understand(prompt)
        served = words is not None and words.words[0] not in ("segment", "ocr", "question")
        things: Sequence[Found] = ()
        if served:
            rng = np.random.default_rng(seed)
            found = detector.detect(image, self._net)
            things = [thing for thing in found if _is_chosen(thing, temperature, top_p, rng)]
        made = answer(prompt, things)
        limits = words.limits if words is not None and served else ""
        notice = " ".join(dict.fromkeys(filter(None, [NOTICE, *made.notes, limits])))
        for n, (piece, end) in enumerate(pieces_until(made.pieces, max_tokens)):
            yield Token(piece, end, notice if n == 0 else None)


def _is_chosen(thing: Found, temperature: float, top_p: float, rng: np.random.Generator) -> bool:
    """Choose between naming a thing and leaving it out, as between two tokens."""
    odds = _log_odds(min(thing.score, 0.999)) - _log_odds(detector.FLOOR)
    return pick(np.array([odds, 0.0], np.float32), temperature, top_p, rng) == 0


def _log_odds(probability: float) -> float:
    return float(np.log(probability / (1 - probability)))
