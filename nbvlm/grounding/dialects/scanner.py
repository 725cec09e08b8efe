"""Find places in any text, piece by piece: one scanner for all forms that models write.

The text is read once, from left to right. Outside brackets it is prose, in which a few marks begin something:
a brace, a bracket with numbers, a tag, the key of a place. Inside, a stack holds what is open: objects
(`Fields`), lists (`Numbers`) and tags (`Tagged`). What ends wrongly costs itself only: a bracket of the wrong
kind closes it, a fence closes everything, and the next key of a place begins the next item.

What is read never depends on how the text was cut: a number, a word or a tag counts only when what follows is
known, and until then the little that is not sure waits.
"""

from __future__ import annotations

import re

from nbvlm.grounding.dialects.fields import Fields
from nbvlm.grounding.dialects.found import NUMBER, Found, Numbers, floats
from nbvlm.grounding.dialects.markup import MarkupScanner
from nbvlm.grounding.dialects.state import ACTION, ACTION_RANK, BLANK, BOX_NUMBERS, WAIT

__all__ = ["Scanner"]

_LONGEST_LINE = 500
_LONGEST_NAME = 120
_VERB = re.compile(r"\b(?:is|are|was|at|located|found)\b", re.IGNORECASE)
_KEYS = (
    "bbox_2d|box_2d|bboxes_2d|bboxes|bbox|bounding_box(?:es)?|boundingBox|boundingbox|point_2d|points_2d|start_box|end_box|"
    "start_point|end_point|x_min|xmin|coordinate|point|box|boxes"
)
_MARK = re.compile(rf"[<{{｛\[［(\n]|(?<!\w)(?:{_KEYS})(?=[\"']?\s*[:=：])", re.IGNORECASE)
_KEY = re.compile(rf"({_KEYS})[\"']?\s{{0,8}}[:=：]\s{{0,8}}(?=([\[({{\"'“\d.-]?))", re.IGNORECASE)
_KEY_PART = re.compile(r"[\"']?\b[A-Za-z][\w]{0,20}[\"']?\s{0,8}[:=：]?\s{0,8}\Z")
_OBJECT = re.compile(r"[{｛]\s{0,64}(?:[\"'{“}\[]|//|/\*|[A-Za-z_]\w{0,40}\s{0,8}[:=：])")
_OBJECT_PART = re.compile(r"[{｛]\s{0,64}(?:[A-Za-z_]\w{0,40}\s{0,8}|/)?\Z")
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
_LIST = re.compile(r"[\[(［]\s{0,64}(?:[\[({\"'“［｛]|//|/\*)")
_EMPTY = re.compile(r"\[\s{0,64}\]")
# A number is taken whole: tried in parts, one of many digits would be read in exponentially many ways.
_FLAT = re.compile(r"[\[(［]((?:[\s,，;]{0,64}+[-+]?[0-9.]{1,24}+%?(?:px)?){1,32})[\s,，]{0,64}[\])］]")
_FLAT_PART = re.compile(r"[\[(［][-+\s,，;0-9.%px]{0,800}\Z")
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
_ABOUT = re.compile(
    r"\b(?:box|bbox|boxes|bounding|coordinates?|located|location|position|region|at|point|points)\b",
    re.IGNORECASE,
)


class Scanner(MarkupScanner):
    """Finds places in a text that comes in pieces.

    Parameters
    ----------
    label_last
        Whether tokens name a box after it.
    prose
        Whether a list of four numbers in a sentence is a box.
    outlines
        Whether location tokens outline a thing.
    pairs
        The meaning of pairs of numbers by the prompt: "outline", "point", or "" if two are corners.

    Attributes
    ----------
    found, problems
        All so far.
    """

    def _prose(self, text: str, at: int, final: bool) -> int:
        mark = (_ANGLE if self._naming else _MARK).search(text, at)
        until = mark.start() if mark else len(text)
        if mark is None and not final:
            # A key of a place may still be incomplete.
            part = _KEY_PART.search(text, max(at, len(text) - 48))
            until = part.start() if part else until
            if until == at:
                return WAIT
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
        if sign in "{｛":
            return self._brace(text, at, final)
        if sign in "[［(":
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
            return WAIT
        self._say(text[at])
        return at + 1

    def _regular(self, text: str, at: int, final: bool) -> int:
        """Read an object as most models write it at once: a box and a label; return 0 for any other."""
        item = _REGULAR.match(text, at)
        if item is None:
            waits = not final and len(text) - at < _LONGEST_WAIT and text.find("}", at) < 0
            return WAIT if waits else 0
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
            return WAIT if waits else 0
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
                return WAIT
            self._say(text[at])
            return at + 1
        if not key[2]:
            self._say(text[at : key.end()])
            return key.end()
        item = Fields(self._base + at, implicit=True, key=key[1])
        if action := ACTION.search(self._words):
            item.labels[ACTION_RANK] = action[1]
        self._open_fields(item)
        self._words = ""
        return key.end()

    def _bracket(self, text: str, at: int, final: bool) -> int:
        """Read a bracket in prose: a list of lists or objects, a pair of tuples, or four numbers."""
        if text[at] == "(":
            pair = _PAIR.match(text, at)
            if pair:
                numbers = floats(pair.groups())
                if numbers is not None:
                    self._place(Found("box", numbers, self._said(), self._base + at, pair[0]))
                return pair.end()
            if not final and _PAIR_PART.match(text, at):
                return WAIT
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
                return WAIT
            self._say(text[at])
            return at + 1
        rest = BLANK.match(text, flat.end())
        if (
            not final
            and rest is not None
            and rest.end() == len(text)
            and "\n" not in rest[0]
            and len(rest[0]) < 64
        ):
            return WAIT
        line_ends = rest is None or rest.end() == len(text) or "\n" in rest[0] or text[rest.end()] in "<`|"
        self._flat(flat, self._base + at, line_ends)
        return flat.end()

    def _flat(self, flat: re.Match[str], position: int, line_ends: bool) -> None:
        """Take a list of numbers in prose, if it is the whole line, or if the words name its kind."""
        numbers = floats(NUMBER.findall(flat[1]))
        words = self._words
        if ";" in flat[1] and self._several(flat, position):
            return
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

    def _several(self, flat: re.Match[str], position: int) -> bool:
        """Take the boxes that a semicolon separates in one bracket (Shikra); return whether there are any."""
        boxes = [floats(NUMBER.findall(part)) for part in flat[1].split(";")]
        if any(box is None or len(box) != BOX_NUMBERS for box in boxes):
            return False
        label = self._said(flat=True)
        space = "percent" if "%" in flat[1] else ""
        for box in boxes:
            self._place(Found("box", box or (), label, position, flat[0], space=space))
        return True

    def _said(self, *, flat: bool = False) -> str:
        """Return the label that the prose before a place gives."""
        if self._label:
            return self._label
        words = self._words
        if operation := _OPERATION.search(words):
            return operation[1]
        if action := ACTION.search(words):
            return action[1]
        line = (
            _BULLET.sub("", words).strip(" \t*_`\"',;|，。、").rpartition("|")[2]
        )  # of a table the last cell
        line = line.rstrip(":：=- ").strip(" \t*_`\"'")
        if len(line) > _LONGEST_NAME or (flat and _is_sentence(line)):
            return ""
        return " ".join(re.sub(r"<[^<>]*>", "", line).split())


def _is_sentence(line: str) -> bool:
    """Whether a line is a sentence rather than a name."""
    return len(line.split()) > 4 or line.endswith((".", "?", "!")) or bool(_VERB.search(line))
