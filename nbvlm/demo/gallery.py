"""A dozen scenes and four photographs, with prompts: the samples of the panel and of the notebooks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from nbvlm.demo import scenes
from nbvlm.images import open_encoded

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["GALLERY", "PHOTOS", "SCENES", "GalleryPhoto", "GalleryScene"]

_PICTURES = Path(__file__).parent / "photos" / "pictures"


@dataclass(frozen=True, slots=True)
class GalleryScene:
    """A scene with a name and a prompt that suits it.

    Attributes
    ----------
    name
        A word for file names.
    title
        Shown to people.
    seed
        For `nbvlm.demo.scenes.sample`.
    prompt
        A first question.
    """

    name: str
    title: str
    seed: int
    prompt: str

    def scene(self) -> scenes.Scene:
        """Draw the scene with its ground truth; the longer side has 800 pixels."""
        return _drawn(self.seed)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of things in it, each once."""
        return tuple(dict.fromkeys(thing.kind for thing in self.scene().things))

    def picture(self) -> Image.Image:
        """Draw the picture alone (RGB, a copy)."""
        return self.scene().picture.copy()


@dataclass(frozen=True, slots=True)
class GalleryPhoto:
    """A photograph with a name and a prompt that suits it.

    Attributes
    ----------
    name
        A word for file names.
    title
        Shown to people.
    prompt
        A first question.
    kinds
        The kinds of things in it that the embedded detector knows.
    """

    name: str
    title: str
    prompt: str
    kinds: tuple[str, ...]

    @property
    def path(self) -> Path:
        """The file, a JPEG."""
        return _PICTURES / f"{self.name}.jpg"

    def picture(self) -> Image.Image:
        """Load the photograph (RGB, a copy); the longer side has at most 640 pixels."""
        return _loaded(self.name).copy()


@cache
def _loaded(name: str) -> Image.Image:
    return open_encoded((_PICTURES / f"{name}.jpg").read_bytes(), "JPEG", "The photograph").convert("RGB")


@cache
def _drawn(seed: int) -> scenes.Scene:
    return scenes.sample(seed, pixels=800, clean=True)


SCENES: tuple[GalleryScene, ...] = (
    GalleryScene("pets", "Cats and a dog", 2824, "detect cat ; dog"),
    GalleryScene("traffic", "Cars in the city", 11440, "detect orange car ; house"),
    GalleryScene("aquarium", "Fish in the sea", 21955, "segment fish"),
    GalleryScene("signs", "Two signs", 3077, "ocr"),
    GalleryScene("night", "A cat at night", 7496, "describe en"),
    GalleryScene("harbour", "Boats at sea", 36473, "answer en how many boats are there?"),
    GalleryScene("garden", "A garden", 13933, "segment flower ; bird"),
    GalleryScene("winter", "Dogs in the snow", 4166, "answer en where is the tree?"),
    GalleryScene("balloons", "Three balloons", 2032, "answer en which is larger, the cat or the boat?"),
    GalleryScene("village", "Two houses", 4569, "caption fr"),
    GalleryScene("orchard", "Apples", 14781, "answer en what color is the tree?"),
    GalleryScene("shapes", "Shapes on paper", 24662, "caption de"),
)
"""The scenes, which the embedded model of the picture-book world knows."""

PHOTOS: tuple[GalleryPhoto, ...] = (
    GalleryPhoto("cat", "A cat (photograph)", "detect cat", ("cat",)),
    GalleryPhoto("coffee", "Coffee (photograph)", "detect cup ; table", ("cup", "table")),
    GalleryPhoto("astronaut", "An astronaut (photograph)", "caption en", ("person",)),
    GalleryPhoto("camera", "A man with a camera (photograph)", "describe en", ("person",)),
)
"""Photographs, for the embedded detector of 80 everyday kinds; their licences are in `photos/LICENSES.md`."""

GALLERY: tuple[GalleryScene | GalleryPhoto, ...] = (*SCENES, *PHOTOS)
"""All samples, in the order of the panel, which opens with the first."""
