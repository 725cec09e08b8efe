"""Read objects, lists, strings and numbers: JSON, and whatever resembles it."""

from __future__ import annotations

import json
import re

from nbvlm.grounding.dialects.fields import Fields, class_of, is_label, is_place, kind_of, simple
from nbvlm.grounding.dialects.found import NUMBER, Found, Numbers, numbers_in, shapes
from nbvlm.grounding.dialects.state import ACTION_RANK, BLANK, BOX_NUMBERS, WAIT, State, Tagged

__all__ = ["DataScanner"]

_DEEPEST = 32
_DIGITS = re.compile(r"[0-9.]*")
_LONGEST_GAP = 64
_SKIP = re.compile(r"[\s,;，；]{1,64}")
_WORD = re.compile(r"[^\W\d][\w.]{0,80}")
_AFTER_WORD = re.compile(r"([\"'”]?)\s{0,64}([:：=]?)")
_STOP = re.compile(r"[\"'“”\\`]|[}\]](?=\s{0,16},?\s{0,16}\{\s{0,16}[\"'])")
_STOP_PART = re.compile(r"[}\]][\s,]{0,32}\{?\s{0,16}\Z")
_QUOTES = {'"': '"', "'": "'", "“": "”", "”": "”"}
_CLOSERS = ",，}｝]］)）:：;=`<[{\"'"
_OPENERS = "[({［｛"
_ENDERS = "])}］｝"


class DataScanner(State):
    """Reads what lies in brackets."""

    def _data(self, text: str, at: int, final: bool) -> int:  # noqa: C901 - one branch a sign
        sign = text[at]
        skip = _SKIP.match(text, at)
        if skip:
            within = isinstance(self._stack[-1], Tagged)  # where an empty line ends what has no end
            if within and not final and skip.end() == len(text) and len(skip[0]) < _LONGEST_GAP:
                return WAIT
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
                return WAIT
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
        elif isinstance(top, Numbers):
            # CogVLM separates the boxes of one name so: [[1,2,3,4;5,6,7,8]].
            if ";" in gap and len(top.values) == BOX_NUMBERS and isinstance(self._stack[-2:][0], Numbers):
                self._close_list()
                self._stack.append(Numbers(top.position))
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
                else (WAIT if text[at:] == "*" and self._comment == "*/" else len(text))
            )
        end = found + len(self._comment)
        self._comment = ""
        return end

    def _number(self, text: str, at: int, final: bool) -> int:
        number = NUMBER.match(text, at)
        end = number.end() if number else at + 1
        if not final and (end == len(text) or (text[end] in "eE" and len(text) - end < 5)):
            return WAIT
        if number is None:
            if isinstance(top := self._stack[-1], Numbers):
                top.other = True
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
            return WAIT
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
            top.stray, top.other = top.stray or bool(top.values), True
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
            return WAIT
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
            return WAIT
        sign = stop[0]
        if sign in "}]":  # the string has lost its end
            self._string("".join(pieces), key=False)
            return at
        if sign == "\\":
            length = 6 if text[at + 1 : at + 2] == "u" else 2
            if at + length > len(text) and not final:
                return WAIT
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
            return WAIT
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
        blank = BLANK.match(text, end)
        after = blank.end() if blank else end
        if after == len(text) and not final and after - end < 64:
            return WAIT
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
        inner = type(self)()
        inner._deep = -1  # noqa: SLF001 - not once more
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
            fresh.labels = {rank: text for rank, text in top.labels.items() if rank == ACTION_RANK}
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
        """Emit the values of an object, or pass them to the object around it."""
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
        """End everything at the end of the text; omit incomplete items."""
        if self._pieces is not None:
            self._pieces = None
        if self._tag.open:
            self._tag_places(self._tag.end())
        cut = None
        while self._stack:
            top = self._stack[-1]
            if isinstance(top, Tagged):
                self._close_tagged(cut=True)
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


def _same_kind(item: Fields, name: str) -> bool:
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
