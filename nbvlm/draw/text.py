"""Draw text of any script: the right font for every part of it, nothing left out.

Each cluster of the text (one character to a reader) gets the first font that can draw it; neighbours with
the same font become one run, so that ligatures, Arabic joining and emoji sequences stay whole. A character
that no font has is drawn as a box with its code point in it.
"""

from __future__ import annotations

import bisect
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image, ImageDraw, ImageFont

from nbvlm.draw.fonts import BUNDLED, Face, coverage, installed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbvlm.draw.palette import RGB

__all__ = ["TextLine", "clean", "clusters", "is_emoji", "measure", "needed", "paint", "runs", "wrap"]

_JOINERS = {0x200C, 0x200D}


def clean(text: str) -> str:
    r"""Prepare a label for drawing: one line, composed, without control characters.

    >>> clean("cafe\u0301 \n  au lait\x07")
    'café au lait'
    """
    kept = (char for char in " ".join(text.split()) if _drawable(char))
    return unicodedata.normalize("NFC", "".join(kept))


def _drawable(char: str) -> bool:
    category = unicodedata.category(char)
    return category != "Cc" and (category != "Cf" or ord(char) in _JOINERS or ord(char) >= 0xE0020)


def clusters(text: str) -> list[str]:
    """Cut a text into clusters: each is one character to a reader.

    >>> [len(cluster) for cluster in clusters("a👩‍🚀🇩🇪")]
    [1, 3, 2]
    """
    parts: list[str] = []
    for char in text:
        if parts and _continues(parts[-1], char):
            parts[-1] += char
        else:
            parts.append(char)
    return parts


def _continues(before: str, char: str) -> bool:
    code = ord(char)
    flag = len(before) == 1 and all(0x1F1E6 <= ord(half) <= 0x1F1FF for half in before + char)
    return (
        unicodedata.category(char)[0] == "M"
        or code in _JOINERS
        or 0x1F3FB <= code <= 0x1F3FF
        or 0xE0020 <= code <= 0xE007F
        or ord(before[-1]) == 0x200D
        or flag
    )


def needed(cluster: str) -> list[int]:
    """List the code points that a font must have: joiners, tags and selectors draw nothing."""
    return [
        code
        for code in map(ord, cluster)
        if code not in _JOINERS and not 0xFE00 <= code <= 0xFE0F and not 0xE0020 <= code <= 0xE007F
    ]


def is_emoji(cluster: str) -> bool:
    """Return whether a cluster asks for the colourful form."""
    return "\ufe0f" in cluster or any(0x1F000 <= code <= 0x1FAFF for code in map(ord, cluster))


_MISSING = Face("")
_BITMAP_SIZES = (109, 160, 136, 128, 96, 64)


class Run(NamedTuple):
    """Text in one font."""

    text: str
    face: Face


@dataclass(frozen=True, slots=True)
class TextLine:
    """One measured line: its runs with their places, its width, its reach above and below the baseline."""

    runs: tuple[tuple[int, Run], ...]
    width: int
    up: int
    down: int


def _covers(face: Face, cluster: str) -> bool:
    points = coverage(face)
    return all(code in points for code in needed(cluster)) and _opens(face)


@lru_cache(maxsize=256)
def _opens(face: Face) -> bool:
    """Return whether the font can be drawn: a file with readable tables may be damaged elsewhere."""
    try:
        _font(face, _BITMAP_SIZES[0])
    except OSError:
        return False
    return True


@lru_cache(maxsize=4096)
def _face(cluster: str, current: Face | None, own: Face | None) -> Face:
    """Choose the font of a cluster; spaces and marks stay in the font of the text before them."""
    neutral = unicodedata.category(cluster[0])[0] in "ZPSN" and not is_emoji(cluster)
    if neutral and current and not current.emoji and current != _MISSING and _covers(current, cluster):
        return current
    system = installed()
    emoji = [face for face in system if face.emoji]
    text = [*filter(None, [own]), BUNDLED, *(face for face in system if not face.emoji)]
    order = emoji + text if is_emoji(cluster) else text + emoji
    return next((face for face in order if _covers(face, cluster)), _MISSING)


def runs(text: str, own: Face | None = None) -> list[Run]:
    """Cut one line of text into pieces of one font each; `own` is a font to try first."""
    found: list[Run] = []
    for cluster in clusters(text):
        face = _face(cluster, found[-1].face if found else None, own)
        if found and found[-1].face == face and face != _MISSING:
            found[-1] = Run(found[-1].text + cluster, face)
        else:
            found.append(Run(cluster, face))
    return found


@lru_cache(maxsize=128)
def _font(face: Face, size: int) -> tuple[ImageFont.FreeTypeFont, float]:
    """Open a font at a size; bitmap emoji exist in few sizes only, so the factor to scale by comes along."""
    for fixed in (size, *_BITMAP_SIZES):
        try:
            font = ImageFont.truetype(face.path, fixed, index=face.index)
        except OSError:
            continue
        return font, size / fixed if fixed != size else 1.0
    raise OSError(f"{face.path} has no size that can be drawn.")


def _box_sizes(text: str, size: int) -> tuple[list[str], ImageFont.FreeTypeFont, int, int]:
    """Lay out the boxes of missing characters: their digits, the font of these, width and height of a box."""
    codes = [f"{code:04X}" for code in needed(text)] or ["0000"]
    small, _ = _font(BUNDLED, max(6, round(size * 0.42)))
    columns = (max(map(len, codes)) + 1) // 2
    return codes, small, columns * round(small.getlength("0")) + max(4, size // 4), size


def _extent(run: Run, size: int) -> tuple[int, int, int]:
    """Measure a run: width, reach above the baseline, reach below."""
    if run.face == _MISSING:
        codes, _, box, height = _box_sizes(run.text, size)
        return len(codes) * (box + 2), height - size // 6, size // 6
    font, factor = _font(run.face, size)
    left, top, right, bottom = font.getbbox(run.text, anchor="ls")
    width = max(font.getlength(run.text), right) - min(left, 0)
    return round(width * factor + 0.5), round(-top * factor + 0.5), round(bottom * factor + 0.5)


@lru_cache(maxsize=2048)
def measure(text: str, size: int, own: Face | None = None) -> TextLine:
    """Lay out one line of clean text, `size` pixels high, ready for `paint`.

    The line is at least as high as the ordinary letters of this size. `own` is a font to try first.
    """
    placed: list[tuple[int, Run]] = []
    x, up, down = 0, round(size * 0.76), round(size * 0.2)
    for run in runs(text, own):
        width, above, below = _extent(run, size)
        placed.append((x, run))
        x, up, down = x + width, max(up, above), max(down, below)
    return TextLine(tuple(placed), x, up, down)


def wrap(text: str, size: int, width: int, own: Face | None = None, lines: int = 3) -> tuple[str, ...]:
    """Break a clean text into lines of at most `width` pixels; at least one line.

    A word that does not fit alone is broken between characters. Where the text needs more than `lines`, the
    last one ends in "…". `size` is the height of the type in pixels, `own` a font to try first.
    """
    done: list[str] = []
    rest = text
    while rest and len(done) < lines:
        head, rest = _first_line(rest, size, width, own)
        done.append(head)
    if rest:
        done[-1] = _shorten(done[-1] + rest[:1], size, width, own)
    return tuple(done) or ("",)


def _fitting(parts: Sequence[str], size: int, width: int, own: Face | None) -> int:
    """Count by bisection how many parts, joined, are at most `width` wide."""

    def wide(count: int) -> bool:
        return measure("".join(parts[:count]).rstrip(), size, own).width > width

    return bisect.bisect(range(1, len(parts) + 1), False, key=wide)


def _first_line(text: str, size: int, width: int, own: Face | None) -> tuple[str, str]:
    words = [word + " " for word in text.split(" ")]
    count = _fitting(words, size, width, own)
    if count:
        return "".join(words[:count]).rstrip(), "".join(words[count:]).rstrip()
    parts = clusters(text)
    count = max(1, _fitting(parts, size, width, own))
    return "".join(parts[:count]), "".join(parts[count:])


def _shorten(text: str, size: int, width: int, own: Face | None) -> str:
    parts = clusters(text)
    while len(parts) > 1 and measure("".join(parts).rstrip() + "…", size, own).width > width:
        parts.pop()
    return "".join(parts).rstrip() + "…"


def paint(canvas: Image.Image, at: tuple[int, int], line: TextLine, size: int, color: RGB) -> None:
    """Draw a line, as measured with this size, on an RGB picture.

    `at` is the left end of the baseline. Emoji keep their own colours.
    """
    x, y = at
    for shift, run in line.runs:
        if run.face == _MISSING:
            _paint_boxes(canvas, (x + shift, y), run.text, size, color)
        else:
            _paint_run(canvas, (x + shift, y), run, size, color)


def _paint_run(canvas: Image.Image, at: tuple[int, int], run: Run, size: int, color: RGB) -> None:
    font, factor = _font(run.face, size)
    left, top, right, bottom = font.getbbox(run.text, anchor="ls")
    if factor == 1.0:
        draw = ImageDraw.Draw(canvas)
        draw.text((at[0] - min(left, 0), at[1]), run.text, color, font, "ls", embedded_color=True)
        return
    width, height = max(1, round(right - left)), max(1, round(bottom - top))
    big = Image.new("RGBA", (width, height))
    ImageDraw.Draw(big).text((-left, -top), run.text, color, font, "ls", embedded_color=True)
    scaled = max(1, round(width * factor)), max(1, round(height * factor))
    small = big.resize(scaled, Image.Resampling.LANCZOS)
    canvas.paste(small, (at[0] + round(max(left, 0) * factor), at[1] + round(top * factor)), small)


def _paint_boxes(canvas: Image.Image, at: tuple[int, int], text: str, size: int, color: RGB) -> None:
    codes, font, width, height = _box_sizes(text, size)
    draw = ImageDraw.Draw(canvas)
    top = at[1] - height + size // 6
    for number, code in enumerate(codes):
        left = at[0] + number * (width + 2)
        edges = (left, top, left + width - 1, top + height - 1)
        draw.rectangle(edges, outline=color, width=max(1, size // 16))
        half = (len(code) + 1) // 2
        for row, digits in enumerate((code[:half], code[half:])):
            middle = (left + width / 2, top + height * (0.28 + 0.45 * row))
            draw.text(middle, digits, color, font, "mm")
