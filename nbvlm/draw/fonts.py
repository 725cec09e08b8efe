"""The fonts of this machine, and the characters that each of them can draw.

Pillow draws a box for a character that a font lacks, without a sign to its caller; so the `cmap` table of the
file is read here (OpenType 1.9, formats 4 and 12, which all text fonts of today carry).
"""

from __future__ import annotations

import os
import struct
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from nbvlm._files import expanded

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BUNDLED", "Face", "coverage", "installed"]


@dataclass(frozen=True, slots=True)
class Face:
    """One font of a font file; `index` counts inside a collection."""

    path: str
    index: int = 0

    @property
    def emoji(self) -> bool:
        """Whether the file is named like a font of colour emoji."""
        name = Path(self.path).name.lower()
        return "emoji" in name or name.startswith("seguiemj")


BUNDLED: Final = Face(str(Path(__file__).parent / "data" / "DejaVuSansCondensed-Bold.ttf"))

# Wide coverage in a plain upright cut first; the order decides how a label looks.
_PREFERRED = (
    "NotoSansCJK-Regular", "NotoSansCJK", "SourceHanSans", "PingFang", "ヒラギノ角ゴシック W3",
    "Hiragino Sans GB", "AppleSDGothicNeo", "msyh", "YuGothM", "malgun", "wqy-microhei", "wqy-zenhei",
    "DroidSansFallback", "NotoSans-Regular", "NotoSans", "DejaVuSans.", "segoeui.", "Arial Unicode",
    "FreeSans.", "unifont",
)  # fmt: skip
_LESS = ("Bold", "Italic", "Oblique", "Mono", "Light", "Thin", "Black", "Serif", "Condensed")


def _folders() -> Iterator[Path]:
    home = expanded("~")  # without a home folder it stays "~", which holds no fonts
    if sys.platform == "darwin":
        yield from (Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts")
    elif sys.platform == "win32":
        yield Path(os.environ.get("WINDIR", r"C:\Windows")) / "Fonts"
        yield home / "AppData/Local/Microsoft/Windows/Fonts"
    else:
        shares = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
        yield from (Path(share) / "fonts" for share in shares.split(":"))
        yield from (home / ".local/share/fonts", home / ".fonts")


def _rank(path: Path) -> tuple[int, int, str]:
    name = path.name
    place = next((at for at, start in enumerate(_PREFERRED) if name.startswith(start)), len(_PREFERRED))
    return place, sum(word in name for word in _LESS), str(path)


@lru_cache(maxsize=1)
def installed() -> tuple[Face, ...]:
    """List the fonts of this machine, the most suitable for labels first; one of each collection."""
    found = {
        Path(folder, name)
        for root in _folders()
        for folder, _, names in os.walk(root)
        for name in names
        if name.lower().endswith((".ttf", ".otf", ".ttc", ".otc"))
    }
    return tuple(Face(str(path)) for path in sorted(found, key=_rank))


@lru_cache(maxsize=256)
def coverage(face: Face) -> frozenset[int]:
    """Return the code points that a font can draw; none for a file that cannot be read as a font."""
    try:
        return _mapped(Path(face.path).read_bytes(), face.index)
    except (OSError, struct.error, ValueError, IndexError):
        return frozenset()


def _mapped(data: bytes, index: int) -> frozenset[int]:
    """Return the code points that a font in memory maps to a glyph."""
    start = struct.unpack_from(">I", data, 12 + 4 * index)[0] if data[:4] == b"ttcf" else 0
    (tables,) = struct.unpack_from(">H", data, start + 4)
    records = (struct.unpack_from(">4sIII", data, start + 12 + 16 * at) for at in range(tables))
    table = next((offset for tag, _, offset, _ in records if tag == b"cmap"), None)
    if table is None:
        return frozenset()
    points: set[int] = set()
    (count,) = struct.unpack_from(">H", data, table + 2)
    for at in range(count):
        platform, encoding, offset = struct.unpack_from(">HHI", data, table + 4 + 8 * at)
        (kind,) = struct.unpack_from(">H", data, table + offset)
        if kind in _FORMATS and (platform, encoding) != (3, 0):  # 3, 0 is a font of symbols
            points |= _FORMATS[kind](data, table + offset)
    return frozenset(points)


def _format12(data: bytes, offset: int) -> set[int]:
    (count,) = struct.unpack_from(">I", data, offset + 12)
    groups = np.frombuffer(data, ">u4", count * 3, offset + 16).reshape(-1, 3)
    return {point for first, last, _ in groups.tolist() for point in range(first, min(last, 0x10FFFF) + 1)}


def _format4(data: bytes, offset: int) -> set[int]:
    length, _, twice = struct.unpack_from(">HHH", data, offset + 2)
    words = np.frombuffer(data, ">u2", length // 2, offset).astype(int)
    count = twice // 2
    ends, starts, deltas, ranges = (
        words[at : at + count] for at in (7, 8 + count, 8 + 2 * count, 8 + 3 * count)
    )
    lengths = np.maximum(ends - starts + 1, 0)
    if lengths.sum() > 0x10000:
        raise ValueError("the segments overlap")
    segment = np.repeat(np.arange(count), lengths)
    steps = np.arange(len(segment)) - (np.cumsum(lengths) - lengths)[segment]
    codes = starts[segment] + steps
    # A range of 0 maps codes by the delta alone, another is the distance in bytes to a list of glyphs.
    at = 8 + 3 * count + segment + ranges[segment] // 2 + steps
    listed = ranges[segment] > 0
    glyphs = np.where(listed, words[np.minimum(at, len(words) - 1)], codes)
    mapped = ((glyphs + deltas[segment]) % 0x10000 != 0) & ~(listed & ((glyphs == 0) | (at >= len(words))))
    return set(codes[mapped].tolist()) - {0xFFFF}


_FORMATS = {4: _format4, 12: _format12}
