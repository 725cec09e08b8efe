"""Which embedded model answers: the one for picture-book scenes, or the detector for photographs."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from nbvlm.demo.model import FAMILIAR, Model
from nbvlm.demo.model import load as load_scenes
from nbvlm.endpoints import EMBEDDED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image

    from nbvlm.demo.model import Token

__all__ = ["MODELS", "Router", "load"]

SCENES, PHOTOS = EMBEDDED
MODELS = ("nbvlm/demo", SCENES, PHOTOS)
"""Names of the embedded models in results and requests; the first chooses by the picture."""


@cache
def load(name: str = MODELS[0]) -> Router:
    """Load an embedded model; later calls return the same one.

    Parameters
    ----------
    name
        One of `MODELS`.
    """
    return Router(load_scenes(), None if name == MODELS[0] else name)


class Router:
    """The embedded models behind one; immutable.

    Parameters
    ----------
    scenes
        The model of the picture-book world.
    only
        Which model answers; by default the one that the picture suits.
    """

    def __init__(self, scenes: Model, only: str | None = None) -> None:
        self._scenes, self._only = scenes, only

    def count(self, prompt: str) -> int:
        """Count the tokens of a request."""
        return self._scenes.count(prompt)

    def stream(self, image: Image.Image, prompt: str, **options: Any) -> Iterator[Token]:
        """Answer a prompt about a picture; options as `nbvlm.demo.model.Model.stream`.

        Yields
        ------
        Token
            The first one names the model.
        """
        seen = None
        if self._only != PHOTOS:
            seen = self._scenes.see(image)
        if seen is not None and (self._only == SCENES or seen.familiar >= FAMILIAR):
            yield from _named(self._scenes.stream(image, prompt, seen=seen, **options), SCENES)
        else:
            from nbvlm.demo import photos  # its weights are loaded for the first photograph

            yield from _named(photos.load().stream(image, prompt, **options), PHOTOS)


def _named(tokens: Iterator[Token], model: str) -> Iterator[Token]:
    for first in tokens:
        yield replace(first, model=model)
        break
    yield from tokens
