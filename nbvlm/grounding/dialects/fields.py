"""The keys of an object in JSON or what resembles it, and the places that its fields make.

>>> thing = Fields(0)
>>> thing.put("bbox_2d", Numbers(0, [1, 2, 3, 4])); thing.put("label", "cat")
>>> [(place.label, place.numbers) for place in thing.places()[0]]
[('cat', (1, 2, 3, 4))]
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from nbvlm.grounding.dialects.found import Found, Numbers, numbers_in, shapes
from nbvlm.grounding.dialects.svg import outline

__all__ = ["ANCHOR", "COORDINATE_KEYS", "Fields", "is_label", "is_place", "simple"]

ANCHOR = "__IMAGE__"

_BOXES = frozenset([
    "bbox2d", "box2d", "bbox", "box", "boundingbox", "coordinates", "coords", "rect", "region",
    "location", "position", "pos", "bboxes", "boxes", "startbox", "endbox", "boundingboxes", "bboxes2d",
    "boxes2d", "bbox2ds", "rectangle", "xyxy",
])  # fmt: skip
_POINTS = frozenset([
    "point2d", "point", "points", "coordinate", "click", "points2d", "startpoint", "endpoint", "keypoint",
    "center", "centre", "centerpoint",
])  # fmt: skip
_OUTLINES = frozenset([
    "polygon", "polygons", "segmentation", "contour", "contours", "quad", "quads", "quadboxes", "path",
    "mask", "outline",
])  # fmt: skip
_SOLID = frozenset(["box3d", "bbox3d", "boxes3d", "point3d"])
COORDINATE_KEYS = _BOXES | _POINTS | _OUTLINES
_CONTAINERS = frozenset([
    "detections", "objects", "results", "result", "data", "items", "annotations", "predictions",
    "instances", "output", "answer", "response", "regions", "elements", "arguments", "parameters",
    "image", "images", "input", "detection", "object", "found", "entities", "list", "content", "function",
])  # fmt: skip
_ANSWERS = frozenset([
    "detections", "detection", "objects", "object", "results", "result", "predictions", "instances", "output",
    "answer", "response", "found",
])  # fmt: skip
"""Containers whose list of four numbers is a box."""
_LABELS = {
    name: rank
    for rank, name in enumerate(
        [
            "label",
            "labelname",
            "labels",
            "name",
            "names",
            "objectname",
            "class",
            "classname",
            "category",
            "title",
            "object",
            "mention",
            "element",
            "type",
            "tag",
            "text",
            "textcontent",
            "content",
            "description",
            "caption",
            "alt",
            "action",
        ]
    )
}
_NOT_LABELS = frozenset([
    "bboxtype", "id", "index", "imgidx", "unit", "units", "format", "scale", "space", "color", "colour",
    "mime",
])  # fmt: skip
_SUFFIX = re.compile(r"(.+?)_?(en|english|cn|zh|chinese|ja|fr|de|es)", re.IGNORECASE)
_ROLES = {
    **dict.fromkeys(["xmin", "left", "x0", "xleft", "topleftx", "startx"], "x0"),
    **dict.fromkeys(["ymin", "top", "y0", "ytop", "toplefty", "starty"], "y0"),
    "x1": "x1?",  # the first corner beside "x2", the last one beside "x0"
    "y1": "y1?",
    **dict.fromkeys(["x2", "xmax", "right", "xright", "bottomrightx", "endx"], "x1"),
    **dict.fromkeys(["y2", "ymax", "bottom", "ybottom", "bottomrighty", "endy"], "y1"),
    **dict.fromkeys(["w", "width"], "w"),
    **dict.fromkeys(["h", "height"], "h"),
    **dict.fromkeys(["cx", "xcenter", "centerx", "xc"], "cx"),
    **dict.fromkeys(["cy", "ycenter", "centery", "yc"], "cy"),
    "x": "x",
    "y": "y",
}
_LONGEST_LABEL = 2000
_FAR = 1e12


def simple(key: str) -> str:
    """Write a key in lower case, without `_`, `-` and blanks."""
    return re.sub(r"[_\-\s]+", "", key.lower())


def is_place(key: str) -> bool:
    """Whether a key's value is a place."""
    return simple(key) in COORDINATE_KEYS


def is_label(key: str) -> bool:
    """Whether a key's value is a label."""
    return _label_rank(key) is not None


def kind_of(key: str) -> str:
    """Return the kind of a key's places: "box", "point", "outline", or "" for none."""
    name = simple(key)
    return "box" if name in _BOXES else "point" if name in _POINTS else "outline" if name in _OUTLINES else ""


def _label_rank(key: str) -> tuple[int, int] | None:
    name = simple(key)
    if name in _LABELS:
        return _LABELS[name], 0
    part = _SUFFIX.fullmatch(key)
    if part and simple(part[1]) in _LABELS:
        return _LABELS[simple(part[1])], 1 if part[2].lower().startswith("en") else 2
    return None


def class_of(key: str) -> str:
    """Return the label that a key is: the name of a class, not a container's."""
    name = simple(key)
    known = name in COORDINATE_KEYS or name in _CONTAINERS or _label_rank(key) is not None or name in _SOLID
    return "" if known or name.isdigit() or key.startswith("<") else key


@dataclass(slots=True)
class Fields:
    """One object while it is read.

    Attributes
    ----------
    under
        The key that it lies under.
    key
        The key whose value comes next.
    implicit
        Whether it began without a brace.
    """

    position: int
    under: str = ""
    implicit: bool = False
    key: str = ""
    lists: list[tuple[str, Numbers]] = field(default_factory=list)
    others: list[tuple[str, Numbers]] = field(default_factory=list)
    named: dict[str, float] = field(default_factory=dict)
    labels: dict[tuple[int, int], str] = field(default_factory=dict)
    strings: list[tuple[str, str]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)  # one for each of the lists
    mask: str | None = None
    path: tuple[float, ...] = ()  # an outline in shares of the box
    percent: bool = False
    wanted: bool = False  # whether it has a key of places

    @property
    def placed(self) -> bool:
        """Whether a place is complete."""
        return bool(self.lists or self._named() or self.others)

    @property
    def labelled(self) -> bool:
        """Whether it has a label."""
        return bool(self.labels)

    def put(self, key: str, value: str | float | Numbers) -> None:
        """Take the value of a key; "" for a value without one."""
        kind = kind_of(key)
        self.wanted = self.wanted or bool(kind)
        if isinstance(value, Numbers):
            self._put_list(key, kind, value)
        elif isinstance(value, str):
            self._put_text(key, kind, value)
        else:
            role = _ROLES.get(simple(key))
            if role is not None and abs(value) < _FAR:
                self.named[role] = float(value)
            elif (rank := _label_rank(key)) is not None:
                self.labels.setdefault(rank, f"{value:g}")

    def _put_list(self, key: str, kind: str, value: Numbers) -> None:
        if kind:
            self.lists.append((kind, value))
        elif simple(key) not in _SOLID:
            if value.strings and (rank := _label_rank(key)) is not None:
                self.labels.setdefault(rank, value.strings[0])
                self.names = value.strings
            self.others.append((key, value))

    def _put_text(self, key: str, kind: str, value: str) -> None:
        head = value[:20].lstrip()
        if head.startswith(("data:image/", "iVBOR")) and (kind or "mask" in simple(key)):
            self.mask = value.strip()
            return
        if simple(key) == "path" and (path := outline(value)):
            self.path = path
            return
        role = _ROLES.get(simple(key))
        if kind or role:
            numbers = numbers_in(value)
            if numbers is not None and kind:
                self.lists.append((kind, numbers))
            elif numbers is not None and role and len(numbers.values) == 1:
                self.named[role] = numbers.values[0]
            self.percent = self.percent or bool(numbers and numbers.percent)
            if numbers is not None or kind:
                return
        rank = _label_rank(key)
        if rank is not None:
            self.labels[rank] = value[:_LONGEST_LABEL]
        elif simple(key) not in _NOT_LABELS and "mask" not in simple(key):
            self.strings.append((key, value[:_LONGEST_LABEL]))

    def fold(self, key: str, inner: Fields) -> None:
        """Merge the fields of an object under `key` that is not a place itself."""
        if inner.placed:
            self.lists += inner.lists
            self.others += inner.others
            self.named.update(inner.named)
            self.path = self.path or inner.path
            self.mask, self.percent, self.wanted = (
                self.mask or inner.mask,
                self.percent or inner.percent,
                True,
            )
            for rank, text in inner.labels.items():
                self.labels.setdefault(rank, text)
            return
        base = _label_rank(key)
        if base is None:
            return
        for rank, text in inner.labels.items():
            self.labels.setdefault((base[0], rank[1] or 2), text)
        for name, text in inner.strings:  # by language: {"names": {"en": …}}
            self.labels.setdefault((base[0], 1 if name.lower().startswith("en") else 2), text)

    @property
    def label(self) -> str:
        """The label: of several keys the one that names shortest, in English if it is there."""
        if self.labels:
            return _clean(self.labels[min(self.labels)])
        return _clean(self.strings[0][1]) if self.strings else ""

    def places(self) -> tuple[list[Found], bool]:
        """Return its places, and whether a part of it could not be read."""
        label = self.label
        found, wrong = self._listed(label)
        if not found and (named := self._named()):
            kind, numbers = named
            found = [Found(kind, numbers, label, self.position, named=True)]  # type: ignore[arg-type]
        if not found:
            found, wrong = self._classes(label, wrong)
        for place in found:
            place.space = "percent" if self.percent or place.space else ""
            if place.kind == "box" and self.mask:
                place.mask = self.mask
            if place.kind == "box" and self.path:
                place.outline = _within(place.numbers, self.path)
        return found, wrong or (self.wanted and not found and not self._empty())

    def _listed(self, label: str) -> tuple[list[Found], bool]:
        places: list[Found] = []
        wrong = False
        for kind, numbers in self.lists:
            read, bad = shapes(numbers, kind)
            wrong = wrong or bad
            percent = "percent" if numbers.percent else ""
            places += [
                Found(
                    form,
                    values,
                    label,
                    self.position,
                    space=percent,
                    stray=numbers.stray,
                    named=form == "outline",
                )
                for form, values in read
            ]
        if len(self.names) == len(places):
            for place, name in zip(places, self.names, strict=True):
                place.label = _clean(name)
        boxes = [place for place in places if place.kind == "box"]
        outlines = [place for place in places if place.kind == "outline"]
        if len(boxes) == 1 and places:
            # A box says best where the thing is: a point beside it is its middle, an outline its mask.
            boxes[0].outline = outlines[0].numbers if len(outlines) == 1 else None
            return boxes, wrong
        return (boxes or places), wrong

    def _classes(self, label: str, wrong: bool) -> tuple[list[Found], bool]:
        """Places under the names of classes: {"cat": [[1, 2, 3, 4]]}."""
        places = []
        for key, numbers in self.others:
            read, bad = shapes(numbers, "any")
            named = class_of(key) or ("" if key else label)
            if bad or (key and not named and simple(key) not in _ANSWERS):
                continue
            places += [
                Found(
                    form, values, named or label, self.position, stray=numbers.stray, named=form == "outline"
                )
                for form, values in read
                if form != "point" or not key
            ]
        return places, wrong

    def _named(self) -> tuple[str, tuple[float, ...]] | None:
        get = self.named.get
        x0, y0, x1, y1, wide, high = map(get, ("x0", "y0", "x1", "y1", "w", "h"))
        x0, x1 = _corners(x0, x1, get("x1?"))
        y0, y1 = _corners(y0, y1, get("y1?"))
        if None not in (x0, y0, x1, y1):
            return "box", (x0, y0, x1, y1)  # type: ignore[return-value]
        x, y, cx, cy = map(get, ("x", "y", "cx", "cy"))
        x, y = (x if x is not None else x0), (y if y is not None else y0)
        if wide is not None and high is not None:
            if cx is not None and cy is not None:
                return "box", (cx - wide / 2, cy - high / 2, cx + wide / 2, cy + high / 2)
            if x is not None and y is not None:
                return "box", (x, y, x + wide, y + high)
        if x1 is None and y1 is None and x is not None and y is not None:
            return "point", (x, y)
        return ("point", (cx, cy)) if cx is not None and cy is not None else None

    def _empty(self) -> bool:
        """Whether its lists are empty: nothing was found, which is an answer."""
        return bool(self.lists) and not any(list(numbers.flat()) for _, numbers in self.lists)


def _within(box: tuple[float, ...], path: tuple[float, ...]) -> tuple[float, ...]:
    """Turn shares of a box into its own numbers."""
    x0, y0, x1, y1 = box
    return tuple(
        y0 + share * (y1 - y0) if at % 2 else x0 + share * (x1 - x0) for at, share in enumerate(path)
    )


def _corners(
    first: float | None, last: float | None, either: float | None
) -> tuple[float | None, float | None]:
    """Return the first and the last corner, of which "x1" is the one that is missing."""
    return (either, last) if first is None else (first, either if last is None else last)


def _clean(text: str) -> str:
    return " ".join(text.split())
