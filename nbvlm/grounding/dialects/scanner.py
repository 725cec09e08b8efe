"""Find places in any text, piece by piece: one scanner for all forms that models write.

The text is read once, from left to right. Outside brackets it is prose, in which a few marks begin something:
a brace, a bracket with numbers, a tag, the key of a place. Inside, a stack holds what is open: objects
(`Fields`), lists (`Numbers`) and tags (`Tagged`). What ends wrongly costs itself only: a bracket of the wrong
kind closes what is open, a fence closes everything, and the next key of a place begins the next item.

What is read never depends on how the text was cut: a number, a word or a tag counts only when what follows is
known, and until then the little that is not sure waits.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from nbvlm.grounding.dialects import tags
from nbvlm.grounding.dialects.fields import Fields, class_of, is_label, is_place, simple
from nbvlm.grounding.dialects.found import NUMBER, Found, Numbers, chunks, numbers_in, shape, shapes
from nbvlm.grounding.problems import Problem

__all__ = ["Scanner"]

_WAIT = -1
_ACTION_RANK = (99, 0)  # an action's name is a label if there is no other
_EXCERPT = 80
_DEEPEST = 32
_LONGEST_LINE = 500
_LONGEST_NAME = 120
_VERB = re.compile(r"\b(?:is|are|was|at|located|found)\b", re.IGNORECASE)

_KEYS = (
    "bbox_2d|box_2d|bboxes_2d|bboxes|bbox|bounding_box(?:es)?|boundingBox|boundingbox|point_2d|points_2d|start_box|end_box|"
    "start_point|end_point|x_min|xmin|coordinate|point|box|boxes"
)
_MARK = re.compile(rf"[<{{\[(\n]|(?<!\w)(?:{_KEYS})(?=[\"']?\s*[:=：])", re.IGNORECASE)
_KEY = re.compile(rf"({_KEYS})[\"']?\s{{0,8}}[:=：]\s{{0,8}}(?=([\[({{\"'“\d.-]?))", re.IGNORECASE)
_KEY_PART = re.compile(r"[\"']?\b[A-Za-z][\w]{0,20}[\"']?\s{0,8}[:=：]?\s{0,8}\Z")
_OBJECT = re.compile(r"\{\s{0,64}(?:[\"'{“}\[]|//|/\*|[A-Za-z_]\w{0,40}\s{0,8}[:=：])")
_OBJECT_PART = re.compile(r"\{\s{0,64}(?:[A-Za-z_]\w{0,40}\s{0,8}|/)?\Z")
_N = r"\s{0,64}(-?[0-9]{1,12}(?:\.[0-9]{1,20})?)\s{0,64}"
_BOX = rf'"(bbox_2d|box_2d|bbox|box)"\s{{0,8}}:\s{{0,8}}\[{_N},{_N},{_N},{_N}\]\s{{0,64}}'
_NAME = r'"label"\s{0,8}:\s{0,8}"(\s*[^"\\`{}\[\]“”\s][^"\\`{}\[\]“”]{0,200})"\s{0,64}'
_ONE = re.compile(rf"\[\[{_N},{_N},{_N},{_N}\]\]")
_REGULAR = re.compile(rf"\{{\s{{0,64}}(?:{_BOX},\s{{0,64}}{_NAME}|{_NAME},\s{{0,64}}{_BOX})\}}")
_LABEL_TAGS = ("<ref>", "<|ref|>", "<|object_ref_start|>")
_REGULAR_TAGS = re.compile(
    r"<(?:ref|\|ref\||\|object_ref_start\|)>([^<]{1,200})<(?:/ref|\|/ref\||\|object_ref_end\|)>"
    rf"(?=<(?:box|\|det\||\|box_start\|)>)<[a-z_|]{{3,11}}>\[\[{_N},{_N},{_N},{_N}\]\]"
    r"<(?:/box|\|/det\||\|box_end\|)>"
)
_BOX_END = re.compile(r"</box>|<\|/det\|>|<\|box_end\|>")
_ANGLE = re.compile("<")
_LONGEST_WAIT = 300  # characters that an object may be short of its end before it is read in parts
_LIST = re.compile(r"[\[(［]\s{0,64}(?:[\[({\"'“［]|//|/\*)")
_EMPTY = re.compile(r"\[\s{0,64}\]")
# A number is taken whole: tried in parts, one of many digits would be read in exponentially many ways.
_FLAT = re.compile(r"[\[(［]((?:[\s,，;]{0,64}+[-+]?[0-9.]{1,24}+%?(?:px)?){1,8})[\s,，]{0,64}[\])］]")
_FLAT_PART = re.compile(r"[\[(［][-+\s,，;0-9.%px]{0,200}\Z")
_PAIR = re.compile(
    r"\(\s{0,8}([-+]?[0-9.]{1,24})\s{0,8}[,，]\s{0,8}([-+]?[0-9.]{1,24})\s{0,8}\)\s{0,8}[,，]?\s{0,8}"
    r"\(\s{0,8}([-+]?[0-9.]{1,24})\s{0,8}[,，]\s{0,8}([-+]?[0-9.]{1,24})\s{0,8}\)"
)
_PAIR_PART = re.compile(r"\([-+\s,，0-9.()]{0,120}\Z")
_BARE = re.compile(
    r"[\s*\-•\"']*([-+]?[0-9]{1,6}(?:\.[0-9]+)?)[,\s_]+([-+]?[0-9]{1,6}(?:\.[0-9]+)?)[,\s_]+"
    r"([-+]?[0-9]{1,6}(?:\.[0-9]+)?)[,\s_]+([-+]?[0-9]{1,6}(?:\.[0-9]+)?)(?:[\s,:;]+(\D.*?))?[\s\"']*"
)
_BULLET = re.compile(r"^\s*(?:[-*•>#]+\s+|\d{1,4}[.)]\s+)*")
_OPERATION = re.compile(r"Grounded Operation:\s*(?:\[[^\]]{0,80}\]\s*)?(.{1,80}?)\s*->")
_ACTION = re.compile(r"([A-Za-z_]\w{0,40})\(\s*(?:\w{1,20}\s*=\s*)?[\"']?\Z")
_ABOUT = re.compile(
    r"\b(?:box|bbox|boxes|bounding|coordinates?|located|location|position|region|at|point|points)\b",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"[0-9.]*")
_SKIP = re.compile(r"[\s,;，；]+")
_WORD = re.compile(r"[^\W\d][\w.]{0,80}")
_AFTER_WORD = re.compile(r"([\"'”]?)\s{0,64}([:：=]?)")
_STOP = re.compile(r"[\"'“”\\`]|[}\]](?=\s{0,16},?\s{0,16}\{\s{0,16}[\"'])")
_STOP_PART = re.compile(r"[}\]][\s,]{0,32}\{?\s{0,16}\Z")
_BLANK = re.compile(r"\s{0,64}")
_QUOTES = {'"': '"', "'": "'", "“": "”", "”": "”"}
_CLOSERS = ",，}]):：;=`<[{\"'"
_OPENERS = "[({［｛"
_ENDERS = "])}］｝"


@dataclass(slots=True)
class Tagged:
    """What lies in a tag, while it is read."""

    name: str
    kind: str
    position: int
    label: str = ""
    numbers: Numbers = field(default_factory=lambda: Numbers(0))
    words: list[str] = field(default_factory=list)
    bare: bool = False  # numbers that are tags themselves
    cells: list[float] = field(default_factory=list)


Frame = Fields | Numbers | Tagged


class Scanner:
    """Finds places in a text that comes in pieces.

    Parameters
    ----------
    label_last
        Whether tokens name a box after it.

    Attributes
    ----------
    found, problems
        All so far.
    """

    def __init__(self, *, label_last: bool = False, prose: bool = False) -> None:
        self.found: list[Found] = []
        self.problems: list[Problem] = []
        self.answered = False  # whether the answer says that there is nothing
        self.y_first = False  # whether a key came that some families write y first
        self._label_last, self._prose_lists = label_last, prose
        self._text, self._base = "", 0
        self._before = ""  # the last character before the text at hand
        self._stack: list[Frame] = []
        self._deep = 0  # brackets beyond the deepest level
        self._words = ""  # prose since the last line break or place
        self._label = ""  # what a tag named, for the places behind it
        self._naming = False  # within a tag that names
        self._pending: list[Found] = []  # places whose label comes behind them
        self._until = ""  # … "ref", "line" or "content"
        self._pieces: list[str] | None = None  # of a string that is open
        self._quote, self._began = "", 0
        self._comment = ""
        self._digits = False  # within a number without end
        self._tag = tags.Reader()
        self._element_name = ""  # of the tag right before
        self._places_list: list[float] = []  # locations that are tokens
        self._places_name, self._places_label, self._places_doc, self._places_at = "", "", "", 0
        self._lines: list[Found] = []  # lines of four numbers
        self._plain = True  # whether there were no other lines
        self._line_at = 0

    @property
    def idle(self) -> bool:
        """Whether the text so far ends outside of anything that began."""
        return not (self._stack or self._tag.open or self._naming)

    # -- pieces --------------------------------------------------------------------------------------------

    def feed(self, text: str, position: int | None = None) -> None:
        """Read the next piece; `position` is where it begins, if something before it was left out."""
        if position is not None and position != self._base + len(self._text):
            self._run(final=True)
            self._text, self._base = "", position
        self._text += text
        self._run(final=False)

    def close(self) -> None:
        """Read the rest at the end of the text."""
        self._run(final=True)
        self._unclosed()
        self._end_line()
        self._flush_locations()
        self._settle()
        if self._plain and not self.found:
            self.found += self._lines

    def drop(self) -> None:
        """Forget everything so far: it was thinking."""
        self._run(final=True)
        self.__init__(label_last=self._label_last, prose=self._prose_lists)  # type: ignore[misc]

    def _run(self, *, final: bool) -> None:
        text, at, end = self._text, 0, len(self._text)
        while at < end:
            step = self._step(text, at, final)
            if step < 0:
                break
            at = step
        if at:
            self._base += at
            self._text, self._before = text[at:], text[at - 1]

    def _step(self, text: str, at: int, final: bool) -> int:
        """Read one thing; return where it ends, or -1 to wait for more text."""
        if self._pieces is not None:
            return self._in_string(text, at, final)
        if self._tag.open:
            return self._in_tag(text, at, final)
        if self._comment:
            return self._in_comment(text, at)
        if self._digits:
            return self._more_digits(text, at, final)
        if not self._stack:
            return self._prose(text, at, final)
        return self._data(text, at, final)

    # -- prose ---------------------------------------------------------------------------------------------

    def _prose(self, text: str, at: int, final: bool) -> int:
        mark = (_ANGLE if self._naming else _MARK).search(text, at)
        until = mark.start() if mark else len(text)
        if mark is None and not final:
            # A key of a place may still be incomplete.
            part = _KEY_PART.search(text, max(at, len(text) - 48))
            until = part.start() if part else until
            if until == at:
                return _WAIT
        if until > at:
            self._say(text[at:until])
            return until
        sign = text[at]
        before = text[at - 1] if at else self._before
        if sign.isalpha() and (before.isalnum() or before == "_"):  # within a word
            self._say(sign)
            return at + 1
        if sign == "\n":
            self._end_line(self._base + at + 1)
            return at + 1
        if sign == "<":
            return self._regular_tags(text, at, final) or self._angle(text, at, final)
        if sign == "{":
            return self._brace(text, at, final)
        if sign in "[(":
            return self._bracket(text, at, final)
        return self._prose_key(text, at, final)

    def _say(self, text: str) -> None:
        if self._places_list and self._places_name not in ("x", "y") and not text.isspace():
            self._flush_locations()
        self._words = (self._words + text)[-_LONGEST_LINE:]

    def _end_line(self, position: int = 0) -> None:
        """End a line of prose: it may be four numbers and nothing else."""
        if self._places_name not in ("x", "y"):
            self._flush_locations()
        line = self._words.strip()
        if self._pending and self._until == "line":
            self._settle(line)
            line = ""
        if line and self._plain and not line.startswith(("```", "~~~")):
            bare = _BARE.fullmatch(line)
            if bare is None or self.found:
                self._plain = False
            else:
                numbers = tuple(map(float, bare.group(1, 2, 3, 4)))
                self._lines.append(Found("box", numbers, (bare[5] or "").strip(), self._line_at, line))
        self._line_at = position
        self._words = ""

    def _brace(self, text: str, at: int, final: bool) -> int:
        if end := self._regular(text, at, final):
            return end
        if _OBJECT.match(text, at):
            self._open_fields(Fields(self._base + at))
            return at + 1
        if not final and _OBJECT_PART.match(text, at):
            return _WAIT
        self._say(text[at])
        return at + 1

    def _regular(self, text: str, at: int, final: bool) -> int:
        """Read an object as most models write it at once: a box and a label; return 0 for any other."""
        item = _REGULAR.match(text, at)
        if item is None:
            waits = not final and len(text) - at < _LONGEST_WAIT and text.find("}", at) < 0
            return _WAIT if waits else 0
        first, label = (1, item[6]) if item[1] else (8, item[7])
        numbers = tuple(map(float, item.group(first + 1, first + 2, first + 3, first + 4)))
        self.y_first = self.y_first or item[first] == "box_2d"
        self._emit(Found("box", numbers, " ".join(label.split()), self._base + at))
        return item.end()

    def _regular_tags(self, text: str, at: int, final: bool) -> int:
        """Read a label and a box in tags at once; return 0 for anything else."""
        if self._naming or self._pending or self._label_last or not text.startswith(_LABEL_TAGS, at):
            return 0
        item = _REGULAR_TAGS.match(text, at)
        if item is None:
            waits = not final and len(text) - at < _LONGEST_WAIT and not _BOX_END.search(text, at)
            return _WAIT if waits else 0
        self._flush_locations()
        self._plain, self._words, self._label = False, "", " ".join(item[1].split())
        self._emit(
            Found(
                "box",
                tuple(map(float, item.group(2, 3, 4, 5))),
                self._label,
                self._base + text.rfind("<", at, item.start(2)),
            )
        )
        return item.end()

    def _prose_key(self, text: str, at: int, final: bool) -> int:
        key = _KEY.match(text, at)
        if key is None or (not key[2] and key.end() == len(text)):
            if not final and len(text) - at < 64:
                return _WAIT
            self._say(text[at])
            return at + 1
        if not key[2]:
            self._say(text[at : key.end()])
            return key.end()
        item = Fields(self._base + at, implicit=True, key=key[1])
        if action := _ACTION.search(self._words):
            item.labels[_ACTION_RANK] = action[1]
        self._open_fields(item)
        self._words = ""
        return key.end()

    def _bracket(self, text: str, at: int, final: bool) -> int:
        """Read a bracket in prose: a list of lists or objects, a pair of tuples, or four numbers."""
        if text[at] == "(":
            pair = _PAIR.match(text, at)
            if pair:
                numbers = _floats(pair.groups())
                if numbers is not None:
                    self._place(Found("box", numbers, self._said(), self._base + at, pair[0]))
                return pair.end()
            if not final and _PAIR_PART.match(text, at):
                return _WAIT
        return self._list(text, at) or self._flat_list(text, at, final)

    def _list(self, text: str, at: int) -> int:
        """Begin a list of lists or objects, or read an empty one or one of one list; return 0 for another."""
        if empty := _EMPTY.match(text, at):
            self.answered = True
            return empty.end()
        if one := _ONE.match(text, at):
            label = self._said()
            self._plain = False
            self._place(Found("box", tuple(map(float, one.groups())), label, self._base + at + 1))
            return one.end()
        if _LIST.match(text, at):
            self._stack.append(Numbers(self._base + at))
            return at + 1
        return 0

    def _flat_list(self, text: str, at: int, final: bool) -> int:
        flat = _FLAT.match(text, at)
        if flat is None:
            if not final and _FLAT_PART.match(text, at):
                return _WAIT
            self._say(text[at])
            return at + 1
        rest = _BLANK.match(text, flat.end())
        if (
            not final
            and rest is not None
            and rest.end() == len(text)
            and "\n" not in rest[0]
            and len(rest[0]) < 64
        ):
            return _WAIT
        line_ends = rest is None or rest.end() == len(text) or "\n" in rest[0] or text[rest.end()] in "<`|"
        self._flat(flat, self._base + at, line_ends)
        return flat.end()

    def _flat(self, flat: re.Match[str], position: int, line_ends: bool) -> None:
        """Take a list of numbers in prose, if it is the whole line, or if the words say what it is."""
        numbers = _floats(NUMBER.findall(flat[1]))
        words = self._words
        label = self._said(flat=True)
        alone = not words.strip(" \t*-•>#`\"'") or bool(
            re.fullmatch(r"[^.!?]{1,80}[:：|]\W{0,4}", _BULLET.sub("", words).strip())
        )
        shares = numbers is not None and max(numbers) <= 1 and "." in flat[1]
        said = bool(_ABOUT.search(words[-60:])) or self._prose_lists or shares
        glued = bool(words) and not words[-1:].isspace() and words[-1:] not in "([{\"'" and flat[0][0] != "("
        whole = alone and line_ends
        point = numbers is not None and len(numbers) == 2 and whole and not words.strip()
        box = numbers is not None and len(numbers) == 4 and (whole or said or glued)
        if (
            numbers is None
            or not (point or box)
            or (box and numbers[0] > numbers[2] and numbers[1] > numbers[3])
        ):
            self._say(flat[0])
            return
        space = "percent" if "%" in flat[1] else ""
        self._place(Found("box" if box else "point", numbers, label, position, flat[0], space=space))

    def _said(self, *, flat: bool = False) -> str:
        """Return the label that the prose before a place gives."""
        if self._label:
            return self._label
        words = self._words
        if operation := _OPERATION.search(words):
            return operation[1]
        if action := _ACTION.search(words):
            return action[1]
        line = (
            _BULLET.sub("", words).strip(" \t*_`\"',;|，。、").rpartition("|")[2]
        )  # of a table the last cell
        line = line.rstrip(":：=- ").strip(" \t*_`\"'")
        if len(line) > _LONGEST_NAME or (flat and _is_sentence(line)):
            return ""
        return " ".join(re.sub(r"<[^<>]*>", "", line).split())

    def _place(self, place: Found) -> None:
        """Take a place in prose; its words are used up."""
        self._settle()
        self._emit(place)
        self._words = ""

    def _emit(self, place: Found) -> None:
        if place.stray:
            self._report("numbers", place.position, place.text or place.label)
        self.found.append(place)

    def _report(self, kind: str, position: int, text: str = "") -> None:
        text = " ".join(text.split())
        self.problems.append(
            Problem(kind, position, text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…")
        )

    # -- data ----------------------------------------------------------------------------------------------

    def _data(self, text: str, at: int, final: bool) -> int:  # noqa: C901 - one branch a sign
        sign = text[at]
        skip = _SKIP.match(text, at)
        if skip:
            return self._gap(skip[0], skip.end())
        if sign.isdigit() or sign in "+-.":
            return self._number(text, at, final)
        if sign in _OPENERS:
            if (
                sign == "{"
                and isinstance(self._stack[-1], Numbers)
                and (end := self._regular(text, at, final))
            ):
                return end
            self._open(sign, self._base + at)
            return at + 1
        if sign in _ENDERS:
            self._shut(sign)
            return at + 1
        if sign == "<":
            return self._angle(text, at, final)
        if sign in _QUOTES:
            return self._quoted(text, at)
        if sign == "`":
            return self._fence(text, at, final)
        if sign == "/" and (text.startswith(("//", "/*"), at) or (not final and at + 1 == len(text))):
            if at + 1 == len(text):
                return _WAIT
            self._comment = "\n" if text[at + 1] == "/" else "*/"
            return at + 2
        if sign.isalpha() or sign == "_":
            return self._word(text, at, final)
        return at + 1

    def _gap(self, gap: str, end: int) -> int:
        top = self._stack[-1]
        if isinstance(top, Tagged):
            if top.bare and "," in gap:
                top.numbers.children.append(Numbers(top.position, top.numbers.values))
                top.numbers.values = []
            if gap.count("\n") > 1:
                self._close_tagged()
        elif (
            "\n" in gap
            and isinstance(top, Fields)
            and top.implicit
            and len(self._stack) == 1
            and top.placed
            and not top.key
        ):
            self._close_fields()
        return end

    def _in_comment(self, text: str, at: int) -> int:
        found = text.find(self._comment, at)
        if found < 0:
            # The first half of "*/" waits.
            return (
                len(text) - 1
                if self._comment == "*/" and text[-1] == "*" and at < len(text) - 1
                else (_WAIT if text[at:] == "*" and self._comment == "*/" else len(text))
            )
        end = found + len(self._comment)
        self._comment = ""
        return end

    def _number(self, text: str, at: int, final: bool) -> int:
        number = NUMBER.match(text, at)
        end = number.end() if number else at + 1
        if not final and (end == len(text) or (text[end] in "eE" and len(text) - end < 5)):
            return _WAIT
        if number is None:
            return end
        if end < len(text) and text[end].isdigit():
            self._digits = True
            self._broken()
            return end
        self._value(float(number[0]), text[end : end + 1] == "%")
        return end

    def _more_digits(self, text: str, at: int, final: bool) -> int:
        digits = _DIGITS.match(text, at)
        end = digits.end() if digits else at
        self._digits = end == len(text)
        return end if end > at else self._step(text, at, final)

    def _broken(self) -> None:
        top = self._stack[-1]
        if isinstance(top, Tagged):
            top.numbers.broken = True
        elif isinstance(top, Numbers):
            top.broken = True
        elif top.key:
            top.wanted = top.wanted or is_place(top.key)
            top.key = ""

    def _value(self, number: float, percent: bool) -> None:
        top = self._stack[-1]
        if isinstance(top, Tagged):
            top.numbers.values.append(number)
        elif isinstance(top, Numbers):
            top.values.append(number)
            top.percent = top.percent or percent
        else:
            top.percent = top.percent or percent
            if top.key:
                top.put(top.key, number)
                top.key = ""

    def _word(self, text: str, at: int, final: bool) -> int:
        word = _WORD.match(text, at)
        if word is None:
            return at + 1
        after = _AFTER_WORD.match(text, word.end())
        if after is None or (not final and after.end() == len(text) and len(after[0]) < 64):
            return _WAIT
        if after[2] and not (after[2] == "=" and not is_place(word[0])):
            self._key(word[0], self._base + at)
            return after.end()
        if after[1] and is_place(word[0]):  # a key that lost its first quote, or its colon
            return word.end()
        return self._plain_word(word[0], word.end())

    def _plain_word(self, word: str, end: int) -> int:
        top = self._stack[-1]
        if isinstance(top, Tagged):
            top.words.append(word)
            if top.numbers.values or top.numbers.children:
                top.numbers.stray = True
        elif isinstance(top, Numbers):
            top.stray = top.stray or bool(top.values)
        elif top.key:
            if word.lower() not in ("none", "null", "true", "false", "nan", "infinity", "inf"):
                top.put(top.key, word)
            top.key = ""
        elif top.implicit and len(self._stack) == 1 and top.placed:
            self._close_fields()  # the prose goes on
            self._say(word)
        return end

    def _fence(self, text: str, at: int, final: bool) -> int:
        if text.startswith("```", at):
            self._close_all()
            return at + 3
        if not final and text[at:] in ("`", "``"):
            return _WAIT
        return at + 1

    # -- strings -------------------------------------------------------------------------------------------

    def _quoted(self, text: str, at: int) -> int:
        """Begin a string, if the quote stands where one can begin; else pass over it."""
        if (text[at - 1] if at else self._before).isalnum() or (
            text[at] == "'" and isinstance(self._stack[-1], Tagged)
        ):
            return at + 1
        self._pieces, self._quote, self._began = [], _QUOTES[text[at]], self._base + at
        return at + 1

    def _in_string(self, text: str, at: int, final: bool) -> int:
        pieces = self._pieces if self._pieces is not None else []
        stop = _STOP.search(text, at)
        until = stop.start() if stop else len(text)
        if stop is None and not final and (part := _STOP_PART.search(text, max(at, until - 56))):
            until = part.start()
        if until > at:
            pieces.append(text[at:until])
            return until
        if stop is None:
            return _WAIT
        sign = stop[0]
        if sign in "}]":  # the string has lost its end
            self._string("".join(pieces), key=False)
            return at
        if sign == "\\":
            length = 6 if text[at + 1 : at + 2] == "u" else 2
            if at + length > len(text) and not final:
                return _WAIT
            pieces.append(text[at : at + length])
            return min(at + length, len(text))
        if sign == "`":
            return self._fence_in_string(text, at, final)
        return self._maybe_end(text, at, final)

    def _fence_in_string(self, text: str, at: int, final: bool) -> int:
        if text.startswith("```", at):
            self._string("".join(self._pieces or ()), key=False)
            return at
        if not final and text[at:] in ("`", "``"):
            return _WAIT
        return self._more(text[at], at + 1)

    def _more(self, piece: str, end: int) -> int:
        if self._pieces is not None:
            self._pieces.append(piece)
        return end

    def _maybe_end(self, text: str, at: int, final: bool) -> int:
        """End the string at a quote, if what follows can follow a string."""
        end = at + 1
        if text[at] != self._quote and not (self._quote == "”" and text[at] == '"'):
            return self._more(text[at], end)
        blank = _BLANK.match(text, end)
        after = blank.end() if blank else end
        if after == len(text) and not final and after - end < 64:
            return _WAIT
        follows = text[after : after + 1]
        if follows and follows not in _CLOSERS and "\n" not in text[end:after]:
            return self._more(text[at], end)
        is_key = follows != "" and follows in ":：="
        self._string("".join(self._pieces or ()), key=is_key)
        return after + 1 if is_key else end

    def _string(self, raw: str, *, key: bool) -> None:
        self._pieces = None
        value = _unescaped(raw)
        if key:
            self._key(value, self._began)
            return
        top = self._stack[-1] if self._stack else None
        if isinstance(top, Tagged):
            top.words.append(value)
        elif isinstance(top, Numbers):
            self._named_list(top, value)
        elif isinstance(top, Fields):
            if "{" in value and self._nested(value):
                top.key = ""
                return
            top.put(top.key or ("label" if top.placed and not top.labelled else ""), value)
            top.key = ""

    def _nested(self, value: str) -> bool:
        """Read JSON that is a string of JSON, as the arguments of a tool call are."""
        if not value.lstrip().startswith(("{", "[")) or self._deep < 0:
            return False
        inner = Scanner()
        inner._deep = -1  # not once more
        inner.feed(value)
        inner.close()
        for place in inner.found:
            place.position = self._began
            self._emit(place)
        return bool(inner.found)

    def _named_list(self, top: Numbers, value: str) -> None:
        if len(self._stack) == 1 and self._pending and self._until == "list":
            self._settle(value)
            return
        number = numbers_in(value)
        if number is not None and len(number.values) == 1:  # ["1", "2", "3%", "4px"]
            top.values += number.values
            top.percent = top.percent or number.percent
            return
        top.strings.append(value)

    # -- keys and brackets ---------------------------------------------------------------------------------

    def _key(self, name: str, position: int) -> None:
        top = self._stack[-1]
        if isinstance(top, Tagged):
            top.words.append(name)
            return
        if isinstance(top, Numbers):
            if not (is_place(name) or is_label(name)):
                return
            top = Fields(position, implicit=True)
            self._stack.append(top)
        again = (is_place(name) and top.lists and _same_kind(top, name)) or (
            is_label(name) and _twice(top, name)
        )
        if again and top.placed:
            self._finish(top)
            fresh = Fields(position, top.under, top.implicit)
            fresh.labels = {rank: text for rank, text in top.labels.items() if rank == _ACTION_RANK}
            self._stack[-1] = top = fresh
        top.key = name
        self.y_first = self.y_first or name == "box_2d"

    def _open(self, sign: str, position: int) -> None:
        if len(self._stack) >= _DEEPEST:
            self._deep += 1
            return
        top = self._stack[-1]
        if sign in "{｛":
            if isinstance(top, Fields) and top.placed and not top.key:
                self._close_fields()  # it has lost its brace
                if not self._stack:
                    self._open_fields(Fields(position))
                    return
                top = self._stack[-1]
            under = top.key if isinstance(top, Fields) else ""
            if isinstance(top, Numbers):
                under = top.strings[-1] if top.strings and not top.values else self._under()
            self._open_fields(Fields(position, under=under))
        else:
            self._stack.append(Numbers(position))

    def _under(self) -> str:
        """Return the key of the innermost object that a list lies in."""
        for frame in reversed(self._stack):
            if isinstance(frame, Fields):
                return frame.key
        return ""

    def _open_fields(self, item: Fields) -> None:
        self._stack.append(item)

    def _shut(self, sign: str) -> None:
        if self._deep > 0:
            self._deep -= 1
            return
        top = self._stack[-1]
        brace = sign in "}｝"
        if isinstance(top, Tagged):
            return
        if isinstance(top, Fields):
            if top.implicit and not brace and len(self._stack) > 1 and not top.placed:
                return
            implicit = top.implicit
            self._close_fields()
            if (
                implicit
                and not brace
                and self._stack
                and isinstance(self._stack[-1], Numbers)
                and sign != ")"
            ):
                self._close_list()
        elif not brace:
            self._close_list()
        elif any(isinstance(frame, Fields) for frame in self._stack):
            while isinstance(self._stack[-1], Numbers):
                self._close_list()
            self._close_fields()

    def _close_list(self) -> None:
        done = self._stack.pop()
        if not isinstance(done, Numbers):
            return
        if not (done.values or done.children or done.strings or done.broken):
            self.answered = True
        if not self._stack:
            self._end_list(done)
            return
        top = self._stack[-1]
        if isinstance(top, Fields):
            if len(done.strings) == 1 and not done.values and is_place(done.strings[0]):
                top.key = done.strings[0]
                return
            top.put(top.key or ("box" if len(done.values) == 4 and not top.lists else ""), done)
            top.key = ""
        elif isinstance(top, Tagged):
            top.numbers.children.append(done)
        else:
            self._into_list(top, done)

    def _into_list(self, top: Numbers, done: Numbers) -> None:
        if len(done.strings) == 1 and not done.values and not done.children and is_place(done.strings[0]):
            self._stack.append(Fields(done.position, implicit=True, key=done.strings[0]))
            return
        if len(self._stack) == 1 and not top.children:
            read, wrong = shapes(done, "any")
            if any(form != "point" for form, _ in read):
                self._settle()
                label = " ".join((done.strings or [self._said()])[0].split())
                self._pending = [
                    Found(form, values, label, done.position, stray=done.stray, named=form == "outline")
                    for form, values in read
                ]
                self._until = "list"
                return
            if wrong:
                self._report("item", done.position, str(done.values))
                return
        top.children.append(done)

    def _end_list(self, done: Numbers) -> None:
        """Take a list that stands in prose."""
        self._settle()
        if len(done.strings) == 1 and not done.values and is_place(done.strings[0]):
            self._stack.append(Fields(done.position, implicit=True, key=done.strings[0]))
            return
        if done.children:
            corners = all(len(child.values) == 2 for child in done.children)
            read, _ = shapes(done, "box" if corners and len(done.children) == 2 else "any")
            for form, values in read:
                self._emit(Found(form, values, self._said(), done.position, stray=done.stray))
        elif len(done.values) == 4 and done.strings:
            self._emit(Found("box", tuple(done.values), done.strings[0], done.position))
        self._words = ""
        self._plain = False

    def _close_fields(self) -> None:
        done = self._stack.pop()
        if isinstance(done, Fields):
            self._finish(done)

    def _finish(self, done: Fields) -> None:
        """Emit what an object says, or give it to the object around it."""
        around = self._stack[-1] if self._stack and self._stack[-1] is not done else None
        if around is None and len(self._stack) > 1:
            around = self._stack[-2]
        if isinstance(around, Fields) and (
            not done.placed or (done.under and not class_of(done.under) and not done.labelled)
        ):
            if done.placed or done.labels or done.strings:
                around.fold(done.under, done)
            around.key = ""
            if done.placed or not done.wanted:
                return
        places, wrong = done.places()
        if isinstance(around, Fields):
            around.key = ""
        named = class_of(done.under) if done.under else ""
        for place in places:
            place.label = place.label or named or self._inherited()
            if done.under.startswith("<"):  # the dictionary of a processor, under the name of a task
                place.space = "pixels"
            self._emit(place)
        if wrong:
            self._report("item", done.position, done.label)

    def _inherited(self) -> str:
        """Return the label that tags or an object around give."""
        for frame in reversed(self._stack):
            if isinstance(frame, Fields) and frame.labels:
                return frame.label
            if isinstance(frame, Tagged):
                return frame.label
        return self._label

    def _close_all(self) -> None:
        while self._stack:
            top = self._stack[-1]
            if isinstance(top, Fields):
                self._close_fields()
            elif isinstance(top, Numbers):
                self._close_list()
            else:
                self._close_tagged()
        self._deep = min(self._deep, 0)

    def _unclosed(self) -> None:
        """End everything at the end of the text: what is incomplete there is left out."""
        if self._pieces is not None:
            self._pieces = None
        if self._tag.open:
            self._tag_places(self._tag.end())
        cut = None
        while self._stack:
            top = self._stack[-1]
            if isinstance(top, Tagged):
                self._close_tagged()
            elif isinstance(top, Fields):
                if top.implicit and top.placed:
                    self._close_fields()
                    continue
                self._stack.pop()
                cut = top.position if top.wanted or top.key else cut
            else:
                cut = self._unclosed_list(top, cut)
        if cut is not None:
            self._report("unfinished", cut)

    def _unclosed_list(self, top: Numbers, cut: int | None) -> int | None:
        """Keep the lists within a list that has no end; the last of them may be incomplete."""
        self._stack.pop()
        around = self._stack[-1] if self._stack else None
        if isinstance(around, Tagged):
            around.numbers.children += top.children
        elif isinstance(around, Numbers):
            around.children += top.children
        elif around is None:
            self._settle()
            if top.children:
                self._end_list(Numbers(top.position, children=top.children))
        return top.position if top.values or top.broken else cut

    # -- tags ----------------------------------------------------------------------------------------------

    def _angle(self, text: str, at: int, final: bool) -> int:
        """Read a tag or a token in angle brackets."""
        token = tags.match(text, at)
        if token is None:
            if not final and tags.incomplete(text, at):
                return _WAIT
            if not self._stack:
                self._say(text[at])
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
            numbers = _floats(NUMBER.findall(token.text))
            if numbers is not None and len(numbers) == 4:
                self._emit(Found("box", numbers, token.name, position))

    def _element(self, token: tags.Token) -> None:
        """Pass over a tag that says nothing about places; it may name the locations behind it."""
        self._flush_locations()
        if self._pending and self._until in ("line", "content"):
            self._settle(self._words)
        self._element_name = token.name if not token.closing else ""
        if token.name == "collection":
            self._label = ""
        self._words = ""

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
        label = token.text or self._label or (self._said() if glued or _ACTION.search(said) else "")
        self._stack.append(Tagged(token.name, token.places, position, label))
        self._words = ""

    def _drop_top(self) -> None:
        """Close what is open within a tag that ends; a list without its end is incomplete."""
        top = self._stack[-1]
        if isinstance(top, Fields):
            self._close_fields()
            return
        self._stack.pop()
        if isinstance(top, Numbers) and (top.values or top.broken):
            if top.broken or len(top.values) not in (2, 4, 8):
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

    def _close_tagged(self) -> None:
        while self._stack:
            done = self._stack.pop()
            if isinstance(done, Tagged):
                break
        else:
            return
        places, wrong = _tagged_places(done)
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

    def _wait_for(self, places: list[Found], what: str) -> None:
        self._settle()
        self._pending, self._until = places, what

    def _tag_places(self, places: list[Found]) -> None:
        self._settle()
        for place in places:
            self._emit(place)

    def _settle(self, label: str = "") -> None:
        """Emit the places that wait for a label."""
        waiting, self._pending = self._pending, []
        for place in waiting:
            place.label = " ".join(label.split()) or place.label
            self._emit(place)

    # -- tags with attributes ------------------------------------------------------------------------------

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
        if not self._places_list:
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

    def _flush_locations(self) -> None:
        values, name = tuple(self._places_list), self._places_name
        if not values:
            return
        self._places_list.clear()
        self._places_name = ""
        self._plain = False
        for place in tags.located(values, name, self._places_label, self._places_doc, self._places_at):
            self._emit(place)
        if len(values) % 4:
            self._report("item", self._places_at, self._places_label)


def _tagged_places(done: Tagged) -> tuple[list[Found], bool]:
    """Return the places in a tag."""
    numbers, kind = done.numbers, done.kind
    lists = [one for child in numbers.children for one in child.flat()]
    if numbers.values or numbers.broken:
        lists.append(Numbers(done.position, numbers.values, broken=numbers.broken, stray=numbers.stray))
    lists = [one for one in lists if one.values or one.broken]
    pairs = bool(lists) and all(len(one.values) == 2 and not one.broken for one in lists)
    if pairs and not done.bare and kind in ("box", "outline"):
        flat = [value for one in lists for value in one.values]
        lists = [Numbers(done.position, flat)]
    found: list[Found] = []
    wrong = False
    for one in lists:
        read = None if one.broken else _tagged_shape(tuple(one.values), kind, done)
        if read is None:
            wrong = True
            continue
        found += [
            Found(form, values, "", done.position, stray=one.stray, named=form == "outline")  # type: ignore[arg-type]
            for form, values in read
        ]
    return found, wrong


def _tagged_shape(
    values: tuple[float, ...], kind: str, done: Tagged
) -> list[tuple[str, tuple[float, ...]]] | None:
    if kind == "point":
        return [("point", pair) for pair in chunks(values, 2)] if len(values) % 2 == 0 else None
    if kind == "box" and not done.bare and len(values) > 4:
        return [("box", four) for four in chunks(values, 4)] if len(values) % 4 == 0 else None
    read = shape(values, kind)
    return list(read) if read is not None else None


def _floats(texts: object) -> tuple[float, ...] | None:
    try:
        return tuple(map(float, texts))  # type: ignore[call-overload]
    except ValueError:
        return None


def _is_sentence(line: str) -> bool:
    """Whether a line is a sentence rather than a name."""
    return len(line.split()) > 4 or line.endswith((".", "?", "!")) or bool(_VERB.search(line))


def _same_kind(item: Fields, name: str) -> bool:
    from nbvlm.grounding.dialects.fields import kind_of

    return any(kind == kind_of(name) for kind, _ in item.lists)


def _twice(item: Fields, name: str) -> bool:
    return simple(name) == "label" and (0, 0) in item.labels


def _unescaped(raw: str) -> str:
    if "\\" not in raw:
        return raw
    raw = raw.replace("\\'", "'")
    try:
        text = json.loads(f'"{raw}"', strict=False)
    except ValueError:
        return raw.replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")
    return text if isinstance(text, str) else raw
