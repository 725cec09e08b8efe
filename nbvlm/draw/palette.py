"""Colours for labels: a label keeps its colour, and colours differ for every kind of sight.

The first seven are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), without black. The other nine
were chosen one by one, each as far as possible from all before it: the distance is half the OKLab distance
for ordinary sight plus the smaller of the OKLab distances under simulated protanopia and deuteranopia
(Machado, Oliveira and Fernandes 2009, severity 1).
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["COLORS", "assign", "css", "ink", "parse"]

RGB = tuple[int, int, int]

OKABE_ITO: Final = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
FURTHER: Final = (
    "#801420", "#8CF8F8", "#D414F8", "#5C148C", "#20D498", "#BC2068", "#14685C", "#F8B0BC", "#8C5014",
)  # fmt: skip


def parse(color: str | RGB) -> RGB:
    """Read a colour: Pillow's name or notation (#E69F00, teal, hsl(30, 90%, 50%)), or three integers 0…255.

    >>> parse("#0072B2")
    (0, 114, 178)
    """
    if isinstance(color, str):
        from PIL import ImageColor

        return ImageColor.getrgb(color)[:3]
    red, green, blue = (int(part) for part in color)
    if not all(0 <= part <= 255 for part in (red, green, blue)):
        raise ValueError(f"A colour must be a name, #RRGGBB, or three integers from 0 to 255, got {color!r}.")
    return red, green, blue


COLORS: Final[tuple[RGB, ...]] = tuple(
    (int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)) for text in OKABE_ITO + FURTHER
)


def css(color: RGB) -> str:
    """Write a colour for CSS, SVG or HTML.

    >>> css((0, 114, 178))
    '#0072b2'
    """
    return "#{:02x}{:02x}{:02x}".format(*color)


def luminance(color: RGB) -> float:
    """Relative luminance 0…1 as in WCAG 2.2."""
    red, green, blue = (
        part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in color
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: RGB, other: RGB) -> float:
    """Contrast ratio 1…21 as in WCAG 2.2."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@lru_cache(maxsize=256)
def ink(color: RGB) -> RGB:
    """Black or white, whichever reads better on `color`.

    >>> ink((240, 228, 66)), ink((0, 114, 178))
    ((0, 0, 0), (255, 255, 255))
    """
    black, white = (0, 0, 0), (255, 255, 255)
    return max(black, white, key=lambda candidate: contrast(color, candidate))


def _slot(label: str, taken: set[int]) -> int:
    """Take the label's own colour, else the next free one of Okabe and Ito, else of the further ones."""
    count = len(OKABE_ITO)
    first = zlib.crc32(label.casefold().encode("utf-8", "surrogatepass")) % count
    order = [*((first + step) % count for step in range(count)), *range(count, len(COLORS))]
    return next((slot for slot in order if slot not in taken), first)


def assign(labels: Iterable[str], fixed: Mapping[str, str | RGB] | None = None) -> dict[str, RGB]:
    """Give every label a colour, from `fixed` if it names one; up to 16 labels get different ones.

    The result depends on the set of labels alone: not on their order, the process or earlier pictures. A
    label has its own colour, which it leaves only to a label that sorts before it.

    >>> assign(["dog", "cat"]) == assign(["cat", "dog", "cat"])
    True
    """
    chosen = {label: parse(color) for label, color in (fixed or {}).items()}
    taken = {COLORS.index(color) for color in chosen.values() if color in COLORS}
    for label in sorted(set(labels) - chosen.keys()):
        slot = _slot(label, taken)
        taken.add(slot)
        chosen[label] = COLORS[slot]
    return chosen
