"""A dozen scenes to begin with: the panel's samples, and the notebooks' pictures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from nbvlm.demo import scenes

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["GALLERY", "GalleryScene"]


@dataclass(frozen=True, slots=True)
class GalleryScene:
    """A scene with a name and a prompt that suits it.

    Attributes
    ----------
    name
        A word for file names.
    title
        What a person is shown.
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

    def picture(self) -> Image.Image:
        """Draw the picture alone (RGB, a copy)."""
        return self.scene().picture.copy()


@cache
def _drawn(seed: int) -> scenes.Scene:
    return scenes.sample(seed, pixels=800)


GALLERY: tuple[GalleryScene, ...] = (
    GalleryScene("traffic", "Traffic on a meadow", 1105, "detect car ; tree"),
    GalleryScene("village", "A village", 1051, "caption en"),
    GalleryScene("fishes", "Fish on the sand", 1137, "detect fish"),
    GalleryScene("harbour", "Boats and hearts", 1174, "answer en how many boats are there?"),
    GalleryScene("night", "A night in town", 1112, "detect car ; house"),
    GalleryScene("winter", "A winter's day", 1114, "caption en"),
    GalleryScene("hearts", "Hearts at sea", 1087, "detect heart ; purple fish"),
    GalleryScene("paper", "Shapes on paper", 1143, "answer en what color is the heart?"),
    GalleryScene("islands", "Houses at sea", 1064, "detect house ; tree"),
    GalleryScene("balls", "Two balls and a boat", 1062, "answer en is there a red car?"),
    GalleryScene("stars", "Stars and cars", 1163, "detect star ; car"),
    GalleryScene("aquarium", "Three fish", 1192, "caption en"),
)
"""The scenes, in the order they are shown; the first is the one a new panel opens with."""
