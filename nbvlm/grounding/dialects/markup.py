"""Read tags and tokens in angle brackets as they come, and what lies between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbvlm.grounding.dialects import tags
from nbvlm.grounding.dialects.data import DataScanner
from nbvlm.grounding.dialects.fields import Fields
from nbvlm.grounding.dialects.found import NUMBER, Found, Numbers, chunks, floats, shape
from nbvlm.grounding.dialects.state import ACTION, WAIT, Frame, Tagged

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MarkupScanner"]

_QUAD, _TRIANGLE = 8, 6  # numbers of their corners


class MarkupScanner(DataScanner):
    """Reads tags."""

    def _angle(self, text: str, at: int, final: bool) -> int:
        """Read a tag or a token in angle brackets."""
        token = tags.match(text, at)
        if token is None:
            if not final and tags.incomplete(text, at):
                return WAIT
            top = self._stack[-1] if self._stack else None
            if top is None:
                if self._places_list and tags.incomplete(text, at):
                    return len(text)  # the answer ends within a location
                self._say(text[at])
            elif isinstance(top, Tagged) and top.bare and tags.incomplete(text, at):
                return len(text)  # the answer ends within a number
            return at + 1
        self._token(token, self._base + at)
        return token.end

    def _token(self, token: tags.Token, position: int) -> None:
        top = self._stack[-1] if self._stack else None
        if token.kind == "number":
            self._number_tag(token, position, top)
        elif token.kind == "class":
            self._class_tag(token.text, position)
        elif token.kind == "attributes":
            self._leave_tagged()
            self._tag.begin(token.name, position)
        elif token.kind == "names":
            self._names(token)
        elif token.kind == "places":
            self._places(token, position)
        elif token.kind == "element":
            self._element(token)
        elif token.kind == "bbox":  # HTML with data-bbox
            numbers = floats(NUMBER.findall(token.text))
            if numbers is not None and len(numbers) == 4:
                self._emit(Found("box", numbers, token.name, position))

    def _element(self, token: tags.Token) -> None:
        """Pass over a tag that says nothing about places; it may name the locations behind it."""
        if token.name == "sep" and self._separate():
            return
        self._flush_locations()
        if self._pending and self._until in ("line", "content"):
            self._settle(self._words)
        self._element_name = token.name if not token.closing else ""
        if token.name == "collection":
            self._label = ""
        self._words = ""

    def _separate(self) -> bool:
        """Begin another outline of the same thing (Florence-2); return False for the first one."""
        top = self._stack[-1] if self._stack else None
        if isinstance(top, Tagged):
            top.numbers.children.append(Numbers(top.position, top.numbers.values))
            top.numbers.values = []
            return True
        if top is not None or not self._places_list or self._places_name != "loc":
            return False
        self._parts.append(tuple(self._places_list))
        self._places_list.clear()
        return True

    def _names(self, token: tags.Token) -> None:
        self._leave_tagged()
        self._flush_locations()
        if not token.closing:
            if self._pending and self._until == "line":
                self._settle(self._words)
            self._naming, self._words = True, ""
            return
        if not self._naming:
            self._words = ""  # its beginning was dropped
            return
        self._naming = False
        label = " ".join(self._words.split())
        self._words = ""
        if self._pending and self._until == "ref":
            self._label_last = True
            self._settle(label)
            self._label = ""
            return
        self._label = label

    def _places(self, token: tags.Token, position: int) -> None:
        top = self._stack[-1] if self._stack else None
        if token.closing:
            if any(isinstance(frame, Tagged) for frame in self._stack):
                while self._stack and not isinstance(self._stack[-1], Tagged):
                    self._drop_top()
                self._close_tagged()
            elif self._pending and self._until == "content":
                self._settle(self._words)
                self._words = ""
            return
        self._leave_tagged()
        if self._pending and self._until == "line":
            self._settle(self._words)
            self._words = ""
        if isinstance(top, (Fields, Numbers)):
            return  # a tag within data says nothing new
        said = self._words
        glued = bool(said) and not said[-1:].isspace()
        label = token.text or self._label or (self._said() if glued or ACTION.search(said) else "")
        self._stack.append(Tagged(token.name, token.places, position, label))
        self._words = ""

    def _drop_top(self) -> None:
        """Close everything open within a tag that ends; a list without its end is incomplete."""
        top = self._stack[-1]
        if isinstance(top, Fields):
            self._close_fields()
            return
        self._stack.pop()
        if isinstance(top, Numbers) and (top.values or top.broken):
            if top.broken or len(top.values) not in (2, 4, 8):
                if self._stack and isinstance(self._stack[-1], Tagged):
                    top.broken = True  # reported with its tag
                    self._stack[-1].numbers.children.append(top)
                else:
                    self._report("item", top.position, str(top.values[:8]))
                return
            if self._stack and isinstance(self._stack[-1], Numbers):
                self._stack[-1].children.append(top)
            elif self._stack and isinstance(self._stack[-1], Tagged):
                self._stack[-1].numbers.children.append(top)
        elif (
            isinstance(top, Numbers) and top.children and self._stack and isinstance(self._stack[-1], Tagged)
        ):
            self._stack[-1].numbers.children.append(top)

    def _leave_tagged(self) -> None:
        """End a tag without an end where another begins; its incomplete list is left out."""
        if not any(isinstance(frame, Tagged) for frame in self._stack):
            return
        while not isinstance(self._stack[-1], Tagged):
            top = self._stack.pop()
            if isinstance(top, Numbers):
                if top.values:
                    self._report("item", top.position, str(top.values[:8]))
                elif top.children and self._stack and isinstance(self._stack[-1], Tagged):
                    self._stack[-1].numbers.children.append(top)
        self._close_tagged()

    def _close_tagged(self, *, cut: bool = False) -> None:
        """End the innermost tag; with `cut`, the answer has ended first, and half a place is left out."""
        while self._stack:
            done = self._stack.pop()
            if isinstance(done, Tagged):
                break
        else:
            return
        places, wrong = _tagged_places(done, self._pairs)
        if cut and (kept := [place for place in places if _whole(place, done)]) != places:
            places = kept
            self._report("unfinished", done.position, done.label)
        label = done.label or (" ".join(done.words) if done.name == "det" else "")
        for place in places:
            place.label = label
        if wrong and done.name != "begin_of_box":  # that tag is around any answer
            self._report("item", done.position, label)
        if done.words[:1] in (["none"], ["None"]):
            self.answered = True
        self._words = ""
        if not places:
            return
        self._plain = False
        if done.cells:
            self._wait_for(places, "line")
        elif not label and (self._label_last or not self._label) and done.name in ("box", "quad"):
            self._wait_for(places, "ref")
        else:
            self._tag_places(places)

    def _in_tag(self, text: str, at: int, final: bool) -> int:
        end, places, done = self._tag.read(text, at, final)
        if done:
            if places and not self._tag.label:
                self._wait_for(places, "content")
            else:
                self._tag_places(places)
            if places or self._tag.opens:
                self._plain = False
            if self._tag.opens:
                self._stack.append(
                    Tagged(self._tag.name, self._tag.opens, self._tag.position, self._tag.label)
                )
            elif self._tag.name == "collection":
                self._label = self._tag.label
            self._words = ""
        return end

    # -- tokens that are numbers ---------------------------------------------------------------------------

    def _number_tag(self, token: tags.Token, position: int, top: Frame | None) -> None:
        while isinstance(top, Numbers) and any(isinstance(frame, Tagged) for frame in self._stack):
            self._close_list()
            top = self._stack[-1]
        if isinstance(top, Tagged):
            if token.name == "patch":
                top.cells.append(token.value)
                top.kind = "patch"
                if len(top.cells) == 2:
                    corners = tags.patches(top.cells[0], top.cells[1])
                    place = Found("box", corners, top.label or self._label, top.position, space="share")
                    top.cells = []
                    self._tag_places([place])
                return
            if token.name in ("x", "y"):
                top.cells.append(token.value)
            top.bare = True
            top.numbers.values.append(token.value)
        elif top is None:
            self._locations(token, position)

    def _locations(self, token: tags.Token, position: int) -> None:
        """Take a location that stands in prose: <loc_1>, <|LOC_1|>, <x_0.1>, <1>."""
        before = self._places_name
        page = before in ("x", "y") and token.name in ("x", "y")
        if before and not page and (before != token.name or self._words.strip()):
            self._flush_locations()
        if not (self._places_list or self._parts):
            self._places_at = position
            self._places_label = self._said() if token.name not in ("x", "y") else ""
            self._places_doc = self._element_name if not self._words.strip() else ""
            self._element_name = ""
        self._places_name = token.name
        self._places_list.append(token.value)
        self._words = ""

    def _class_tag(self, name: str, position: int) -> None:
        values = tuple(self._places_list)
        self._places_list.clear()
        self._places_name = ""
        self._words = ""
        if len(values) == 4:
            self._emit(Found("box", values, name, self._places_at or position, space="parse"))
            self._plain = False
        else:
            self._report("item", position, name)

    def _flush_locations(self, *, final: bool = False) -> None:
        values, name = tuple(self._places_list), self._places_name
        parts = (*self._parts, values) if self._parts or (self._outlines and name == "loc") else ()
        if not (values or parts):
            return
        self._places_list.clear()
        self._parts.clear()
        self._places_name = ""
        self._plain = False
        label, at = self._places_label, self._places_at
        wrong = len(values) % 4 > 0
        if parts:
            outlines = [part for part in parts if _is_outline(part)]
            places = [Found("outline", part, label, at, space="bins", named=True) for part in outlines]
            wrong = len(places) < len(parts)
        else:
            half = len(values) % _QUAD if name == "LOC" or self._quads else 0
            if final and half:  # the answer ends within four corners
                values, wrong = values[:-half], True
            places = tags.located(values, name, label, self._places_doc, at)
        for place in places:
            self._quads = self._quads or place.kind == "outline"
            self._emit(place)
        if wrong:
            self._report("item", at, label)


def _tagged_places(done: Tagged, asked: str) -> tuple[list[Found], bool]:
    """Return the places in a tag; `asked` is what pairs of numbers are, "" for corners."""
    numbers, kind = done.numbers, done.kind
    lists = [one for child in numbers.children for one in child.flat()]
    if numbers.values or numbers.broken:
        lists.append(Numbers(done.position, numbers.values, broken=numbers.broken, stray=numbers.stray))
    lists = [one for one in lists if one.values or one.broken]
    damaged = kind in ("box", "outline") and any(map(_is_damaged, _leaves(numbers)))
    if damaged:
        lists = _without_lone_corners(numbers)
    pairs = bool(lists) and all(len(one.values) == 2 and not (one.broken or one.is_rest) for one in lists)
    if pairs and done.name == "begin_of_box" and (asked or len(lists) > 2):
        kind = asked or "point"  # GLM's tag is around any answer
    if pairs and not done.bare and kind in ("box", "outline"):
        flat = [value for one in lists for value in one.values]
        lists = [Numbers(done.position, flat)]
    found: list[Found] = []
    wrong = damaged
    for one in lists:
        rest = kind == "box" and one.is_rest
        read = None if one.broken or rest else _tagged_shape(tuple(one.values), kind, done)
        if read is None:
            wrong = True
            continue
        found += [
            Found(form, values, "", done.position, stray=one.stray, named=form == "outline")  # type: ignore[arg-type]
            for form, values in read
        ]
    return found, wrong


def _is_outline(numbers: tuple[float, ...]) -> bool:
    return len(numbers) >= _TRIANGLE and len(numbers) % 2 == 0


def _whole(place: Found, done: Tagged) -> bool:
    """Whether a place in a tag without an end has all its numbers."""
    if place.kind == "outline":
        return done.name == "quad" and len(place.numbers) == _QUAD
    if place.kind == "box" and place.numbers[3] < place.numbers[1]:
        return False  # its last number is cut
    return place.kind == "box" and done.kind in ("box", "patch")


def _leaves(numbers: Numbers) -> Iterator[Numbers]:
    """The innermost lists within `numbers`."""
    for child in numbers.children:
        if child.children:
            yield from _leaves(child)
        else:
            yield child


def _is_damaged(part: Numbers) -> bool:
    return part.broken or part.is_rest or not part.values or len(part.values) % 2 == 1


def _without_lone_corners(numbers: Numbers) -> list[Numbers]:
    """Return the whole parts of a damaged tag; a corner without its other one is not a point."""
    kept: list[Numbers] = []
    corner: Numbers | None = None
    for part in _leaves(numbers):
        if _is_damaged(part):
            corner = None
        elif len(part.values) != 2:
            kept.append(part)
        elif corner is None:
            corner = part
        else:
            kept.append(Numbers(corner.position, [*corner.values, *part.values]))
            corner = None
    return kept


def _tagged_shape(
    values: tuple[float, ...], kind: str, done: Tagged
) -> list[tuple[str, tuple[float, ...]]] | None:
    if kind == "point":
        return [("point", pair) for pair in chunks(values, 2)] if len(values) % 2 == 0 else None
    if kind == "box" and not done.bare and len(values) > 4:
        return [("box", four) for four in chunks(values, 4)] if len(values) % 4 == 0 else None
    read = shape(values, kind)
    return list(read) if read is not None else None
