"""A dozen scenes and four photographs, with prompts: the samples of the panel and of the notebooks."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbvlm.demo import scenes
from nbvlm.images import Picture, encoded

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["GALLERY", "PHOTOS", "SCENES", "GalleryPhoto", "GalleryScene"]

_PICTURES = Path(__file__).parent / "photos" / "pictures"
_LATER = ("data", "mime", "width", "height", "sha256", "changes")


class _Sample(Picture):
    """A picture that is drawn or read on first use."""

    __slots__ = ("prompt", "title")
    name: str
    title: str
    prompt: str

    def __init__(self, name: str, title: str, prompt: str, **more: Any) -> None:
        for key, value in {"name": name, "title": title, "prompt": prompt, **more}.items():
            object.__setattr__(self, key, value)
        object.__setattr__(self, "_unturned", None)
        object.__setattr__(self, "_file", None)

    def _plain(self) -> Picture:
        return _encoded(self)

    def picture(self) -> Image.Image:
        """Return the picture as a PIL image (RGB, a copy)."""
        return self.image().copy()  # a copy is pixels alone, which no notice calls a converted PNG

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            # Reached for what only the drawn picture has.
            if name not in _LATER:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            return getattr(_encoded(self), name)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.name == getattr(other, "name", None)

    def __hash__(self) -> int:
        return hash((type(self), self.name))

    def __reduce__(self) -> tuple[Any, ...]:
        return _named, (self.name,)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.title!r}, prompt={self.prompt!r})"


class GalleryScene(_Sample):
    """A scene as a `nbvlm.Picture`, with a name and a prompt that suits it.

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

    Examples
    --------
    >>> GALLERY[0]
    GalleryScene('pets', 'Cats and a dog', prompt='detect cat ; dog')
    >>> nbvlm.ask(GALLERY[0], GALLERY[0].prompt)  # doctest: +SKIP
    """

    __slots__ = ("seed",)
    seed: int

    def __init__(self, name: str, title: str, seed: int, prompt: str) -> None:
        super().__init__(name, title, prompt, seed=seed)

    def scene(self) -> scenes.Scene:
        """Draw the scene with its ground truth; the longer side has 800 pixels."""
        return _drawn(self.seed)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of things in it, each once."""
        return tuple(dict.fromkeys(thing.kind for thing in self.scene().things))

    def _content(self) -> tuple[bytes, str]:
        return encoded(self.scene().picture, "PNG"), f"{self.name}.png"


class GalleryPhoto(_Sample):
    """A photograph as a `nbvlm.Picture`, with a name and a prompt that suits it.

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

    __slots__ = ("kinds",)
    kinds: tuple[str, ...]

    def __init__(self, name: str, title: str, prompt: str, kinds: tuple[str, ...]) -> None:
        super().__init__(name, title, prompt, kinds=kinds)

    @property
    def path(self) -> Path:
        """The file, a JPEG."""
        return _PICTURES / f"{self.name}.jpg"

    def _content(self) -> tuple[bytes, str]:
        return self.path.read_bytes(), self.path.name


@cache
def _encoded(sample: GalleryScene | GalleryPhoto) -> Picture:
    data, name = sample._content()  # noqa: SLF001 - our own class
    return Picture.load(data, name=name)


@cache
def _drawn(seed: int) -> scenes.Scene:
    return scenes.sample(seed, pixels=800, clean=True)


def _named(name: str) -> GalleryScene | GalleryPhoto:
    """Return a pickled sample again."""
    return next(sample for sample in GALLERY if sample.name == name)


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
"""All samples, in the order of the panel, which opens with the first; each is a `nbvlm.Picture`."""


def __dir__() -> list[str]:
    return sorted(__all__)
