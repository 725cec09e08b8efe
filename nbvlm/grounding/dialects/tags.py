"""Tags and tokens in angle brackets that say something about places.

>>> match("<|box_start|>", 0).places, match("<loc_12>", 0).value
('box', 12.0)
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field

from nbvlm.grounding.dialects.found import FAR, NUMBER, Found, chunks

__all__ = ["Reader", "Token", "incomplete", "located", "match", "patches"]

_NAMES = frozenset(["ref", "object_ref", "phrase"])
_PLACES = {
    "box": "box", "bbox": "box", "det": "box", "begin_of_box": "box", "bounding_box": "box", "point_box":
    "box", "object": "box", "quad": "outline", "poly": "outline", "polygon": "outline", "point": "point",
    "points": "point",
}  # fmt: skip
_SPECIAL = frozenset(["s", "pad", "unk", "bos", "eos", "mask", "br", "image", "img"])

_TOKEN = re.compile(
    r"<(?:(?P<plain>[0-9]{1,5})|loc_(?P<loc>[0-9]{1,5})|\|LOC_(?P<LOC>[0-9]{1,5})\||x_(?P<x>[0-9.]{1,12})"
    r"|y_(?P<y>[0-9.]{1,12})|patch_index_(?P<patch>[0-9]{1,5})|class_(?P<class>[^<>]{1,60}))>"
)
_TAG = re.compile(r"<(?P<slash>/?)(?P<bar>\|?)(?P<slash2>/?)(?P<name>[A-Za-z][\w-]{0,60})\|?/?>")
_ATTRIBUTES = re.compile(r"<(point|points|tracks|point_box|polygon|collection|box)(?=\s)", re.IGNORECASE)
_HTML = re.compile(r"<([A-Za-z][\w-]{0,40})\s[^<>]{0,2000}>")
_DATA_BOX = re.compile(r"data-(?:bbox|points?)\s*=\s*[\"']([^\"']*)[\"']", re.IGNORECASE)
_END_MARK = re.compile(r"<[｜|][^<>]{1,60}[｜|]>")
_PART = re.compile(
    r"<(?:/?[|｜]?/?(?:[A-Za-z0-9][\w.▁-]{0,60}[|｜]?/?)?|[A-Za-z][\w-]{0,40}\s[^<>]{0,2000}|class_[^<>]{0,60}|[|｜][^<>]{0,61})\Z"
)
_ATTRIBUTE = re.compile(r"\s{0,64}([\w:-]{1,40})\s{0,8}=\s{0,8}(?:\"([^\"]*)\"|'([^']*)')")
_ATTRIBUTE_PART = re.compile(r"\s{0,64}(?:[\w:-]{1,40}(?:\s{0,8}(?:=\s{0,8}(?:\"[^\"]*|'[^']*)?)?)?|/)?\Z")
_BLANKS = re.compile(r"\s{0,64}")
_GRID = 32


@dataclass(slots=True)
class Token:
    """A tag or token: its kind and content."""

    kind: str
    end: int
    name: str = ""
    text: str = ""
    value: float = 0.0
    closing: bool = False
    places: str = ""


def match(text: str, at: int) -> Token | None:
    """Read the tag that begins here; None without a complete tag."""
    token = _TOKEN.match(text, at)
    if token is not None:
        name = token.lastgroup or ""
        if name == "class":
            return Token("class", token.end(), text=token[name])
        try:
            return Token("number", token.end(), name, value=float(token[name]))
        except ValueError:
            return Token("special", token.end())
    begun = _ATTRIBUTES.match(text, at)
    if begun is not None:
        return Token("attributes", begun.end(), begun[1].lower())
    tag = _TAG.match(text, at)
    if tag is not None:
        return _tag(tag)
    element = _HTML.match(text, at)
    if element is not None:
        box = _DATA_BOX.search(element[0])
        return Token("bbox" if box else "element", element.end(), element[1].lower(), box[1] if box else "")
    mark = _END_MARK.match(text, at)
    return Token("special", mark.end()) if mark else None


def _tag(tag: re.Match[str]) -> Token:
    name = tag["name"].lower()
    closing = bool(tag["slash"] or tag["slash2"]) or name.endswith("_end") or name.startswith("end_of")
    plain = re.sub(r"_(?:start|begin|end)$", "", name).replace("end_of_box", "begin_of_box")
    if plain in _NAMES:
        return Token("names", tag.end(), plain, closing=closing)
    if plain in _PLACES:
        return Token("places", tag.end(), plain, closing=closing, places=_PLACES[plain])
    if plain == "tracks":
        return Token("places", tag.end(), plain, closing=True)
    return Token("special" if tag["bar"] or name in _SPECIAL else "element", tag.end(), name, closing=closing)


def incomplete(text: str, at: int) -> bool:
    """Whether a tag may begin here whose end is still to come."""
    return _PART.match(text, at) is not None


@dataclass(slots=True)
class Reader:
    """Reads a tag with attributes, which may be long, one attribute at a time."""

    open: bool = False
    name: str = ""
    position: int = 0
    label: str = ""
    opens: str = ""  # the kind of places that its content holds
    pending: str = ""
    places: list[Found] = field(default_factory=list)

    def begin(self, name: str, position: int) -> None:
        """Begin a tag."""
        self.open, self.name, self.position = True, name, position
        self.label = self.opens = ""
        self.places, self._values = [], {}

    _values: dict[str, float] = field(default_factory=dict)

    def read(self, text: str, at: int, final: bool) -> tuple[int, list[Found], bool]:
        """Read on; return where it stopped (-1 to wait), the places, and whether the tag has ended."""
        attribute = _ATTRIBUTE.match(text, at)
        if attribute is not None:
            value = attribute[2] if attribute[2] is not None else attribute[3]
            self._take(attribute[1].lower(), html.unescape(value))
            return attribute.end(), [], False
        blanks = _BLANKS.match(text, at)
        blank = blanks.end() if blanks else at
        if text.startswith((">", "/>"), blank):
            closed = text.startswith("/>", blank)
            places = self.end()
            if not places and not closed:
                self.opens = _PLACES.get(self.name, "")
            return blank + (2 if closed else 1), places, True
        if not final and _ATTRIBUTE_PART.match(text, at):
            return -1, [], False
        if text[at] == "<" or text.startswith("\n\n", at):
            return at, self.end(), True
        return at + 1, [], False

    def end(self) -> list[Found]:
        """End the tag; return its places, with their label as far as it is known."""
        self.open = False
        for place in self.places:
            place.label = " ".join(self.label.split())
        places, self.places = self.places, []
        return places

    def _take(self, name: str, value: str) -> None:
        if name in ("alt", "label", "mention"):
            self.label = self.label or value
        elif name == "coords":
            self.places += _coords(value, self.position)
        elif re.fullmatch(r"[xy][0-9]{0,6}", name):
            bare = value.strip("% ")
            if NUMBER.fullmatch(bare) is None or abs(float(bare)) >= FAR:
                return
            self._values[name] = float(bare)
            number = name[1:]
            if f"x{number}" in self._values and f"y{number}" in self._values:
                pair = self._values.pop(f"x{number}"), self._values.pop(f"y{number}")
                self.places.append(Found("point", pair, "", self.position, named=True, space="tag"))


def _coords(value: str, position: int) -> list[Found]:
    """Read "1 1 900 400 2 911 800": a picture's number, then a number, x and y for each point."""
    found = []
    for picture in re.split(r"[\t;:,]", value):
        numbers = [float(number) for number in re.findall(r"[0-9]{1,12}(?:\.[0-9]+)?", picture[:200_000])]
        found += [
            Found("point", (x, y), "", position, space="thousand") for _, x, y in chunks(numbers[1:], 3)
        ]
    return found


def located(values: tuple[float, ...], name: str, label: str, element: str, at: int) -> list[Found]:
    """Turn the locations of one label into places: boxes of four, or corners of eight and more."""
    if name == "loc" and element:
        return [Found("box", four, element, at, space="docling") for four in chunks(values, 4)]
    space = {"loc": "bins", "LOC": "thousand"}.get(name, "")
    eights = chunks(values, 8)
    if len(values) % 8 == 0 and (name == "LOC" or all(map(_is_quad, eights))):
        return [Found("outline", eight, label, at, space=space, named=True) for eight in eights]
    return [Found("box", four, label, at, space=space) for four in chunks(values, 4)]


def _is_quad(corners: tuple[float, ...]) -> bool:
    """Whether eight numbers go round a quadrilateral, rather than being two boxes."""
    xs, ys = corners[0::2], corners[1::2]
    wide, high = max(xs) - min(xs), max(ys) - min(ys)
    level = abs(ys[0] - ys[1]) + abs(ys[2] - ys[3]) <= 0.7 * max(high, 1)
    upright = abs(xs[1] - xs[2]) + abs(xs[3] - xs[0]) <= 0.7 * max(wide, 1)
    return level and upright


def patches(first: float, last: float) -> tuple[float, float, float, float]:
    """Return the box, as shares of the picture, from one cell of a grid of 32×32 to another (kosmos-2)."""
    (top, left), (bottom, right) = divmod(int(first), _GRID), divmod(int(last), _GRID)
    if top == bottom or left == right:
        return left / _GRID, top / _GRID, (right + 1) / _GRID, (bottom + 1) / _GRID
    return (left + 0.5) / _GRID, (top + 0.5) / _GRID, (right + 0.5) / _GRID, (bottom + 0.5) / _GRID
