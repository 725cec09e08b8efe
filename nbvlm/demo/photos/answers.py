"""Answers of the detector, in PaliGemma's form: words and location tokens."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nbvlm._text import shorten
from nbvlm.demo.ground_truth import overlap
from nbvlm.demo.model import QUESTION_WORDS, Reader
from nbvlm.demo.photos.kinds import KINDS, meaning, suggestions
from nbvlm.demo.world.vocabulary import place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbvlm.demo.photos.detector import Found
    from nbvlm.demo.photos.kinds import Meaning

__all__ = ["CANNOT", "Answer", "answer", "understand"]

CANNOT = (
    "A small detector of 80 everyday kinds answers here. It can detect things (detect person ; dog), count "
    "them (how many cars are there?), answer is there …, where is … and which is larger …, and list them "
    "(caption en, de, es or fr; describe en). It cannot draw masks, read text, name colors or answer free "
    "questions: a vision-language model such as PaliGemma can."
)
"""The answer to a prompt that the detector cannot serve."""

_NOTHING = {"en": "nothing found", "de": "nichts gefunden", "es": "nada encontrado", "fr": "rien trouvé"}
_AND = {"en": "and", "de": "und", "es": "y", "fr": "et"}
_NAMED = 3  # most unknown words that are named
_ENOUGH = 0.3  # least overlap of a region and the box that it is named after


def _item(words: list[str]) -> list[str]:
    return [" ".join(words)]


understand = Reader(QUESTION_WORDS, _item, most=len(KINDS)).understand
"""Parse a prompt; the words for a thing stay as they were written, as one element."""


@dataclass(slots=True)
class Answer:
    """An answer in the pieces that a model would write, each a token.

    Attributes
    ----------
    pieces
        Joined, they are the text.
    notes
        Sentences about the answer as a whole.
    unknown
        Words for things that the detector does not know.
    """

    pieces: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    near: list[str] = field(default_factory=list)  # for each of these, what the detector knows

    def say(self, text: str) -> None:
        """Add words, each a piece."""
        for word in text.split():
            self.pieces.append(f" {word}" if self.pieces and self.pieces[-1] != "\n" else word)

    def look_up(self, phrase: str) -> Meaning | None:
        """Return the kinds that a phrase names, and note words that the detector does not know."""
        found = meaning(phrase)
        if found is None:
            self.unknown.append(shorten(phrase, 40))
            near = " and ".join(f"“{word}”" for word in suggestions(phrase))
            self.near.append(f"; it knows {near}" if near else "")
        elif found.note:
            self.notes.append(found.note)
        return found


def _unknown(words: Sequence[str], near: Sequence[str]) -> list[str]:
    """Name the words that are not known; many in one sentence, since a notice travels in a header."""
    if len(words) <= _NAMED:
        pairs = zip(words, near, strict=True)
        return [f"The detector does not know the word “{word}”{known}." for word, known in pairs]
    first = ", ".join(f"“{word}”" for word in words[:_NAMED])
    return [f"The detector does not know the words {first} and {len(words) - _NAMED} more."]


def answer(prompt: str, things: Sequence[Found]) -> Answer:
    """Answer a prompt about the things of a picture.

    Parameters
    ----------
    prompt
        As a person wrote it.
    things
        What the picture shows, from `nbvlm.demo.photos.detector.detect`.

    Returns
    -------
    Answer
        `CANNOT` for a prompt that is not one of its tasks.
    """
    parsed, made = understand(prompt), Answer()
    match parsed.words if parsed else ():
        case ("detect", *items):
            _boxes(made, [phrase for phrase in items if phrase != ";"], things)
        case ("caption", "<box>") if parsed and parsed.box:
            _region(made, parsed.box, things)
        case ("caption", code):
            _caption(made, code, things)
        case ("describe", "en"):
            _describe(made, things)
        case ("answer", "en", "how", "many", phrase):
            made.say(str(len(_those(made, phrase, things))))
        case ("answer", "en", "is", "there", phrase):
            made.say("yes" if _those(made, phrase, things) else "no")
        case ("answer", "en", "where", phrase):
            _where(made, phrase, things)
        case ("answer", "en", "which", "larger", one, ";", other):
            _larger(made, one, other, things)
        case _:
            made.say(CANNOT)
    made.notes += _unknown(made.unknown, made.near)
    if made.unknown and parsed and parsed.words[0] == "answer":  # "no" and "0" would claim to know
        made.pieces.clear()
        made.say(f"unknown: {', '.join(made.unknown)}")
    return made


def _those(made: Answer, phrase: str, things: Sequence[Found]) -> list[Found]:
    found = made.look_up(phrase)
    return [thing for thing in things if found and thing.kind in found.kinds]


def _boxes(made: Answer, phrases: Sequence[str], things: Sequence[Found]) -> None:
    # A thing comes once under a name: detect cat ; animal
    written: set[tuple[tuple[float, ...], str]] = set()
    for phrase in phrases:
        for thing in _those(made, phrase, things):
            label = _label(phrase, thing)
            if (thing.box, label) in written:
                continue
            written.add((thing.box, label))
            if made.pieces:
                made.pieces.append(" ; ")
            x0, y0, x1, y1 = thing.box
            made.pieces += [f"<loc{round(edge * 1023):04d}>" for edge in (y0, x0, y1, x1)]
            made.pieces += [f" {word}" for word in label.split()]
    if not made.pieces:
        made.say(_NOTHING["en"])


def _label(phrase: str, thing: Found) -> str:
    """The asked word where it names one kind, else the kind that was found."""
    found = meaning(phrase)
    return phrase if found and len(found.kinds) == 1 and not found.note else thing.name


def _region(made: Answer, box: tuple[float, float, float, float], things: Sequence[Found]) -> None:
    best = max(things, key=lambda thing: overlap(thing.box, box), default=None)
    made.say(best.name if best and overlap(best.box, box) >= _ENOUGH else _NOTHING["en"])


def _counted(things: Sequence[Found], code: str) -> list[str]:
    counts = Counter(thing.kind for thing in things)
    return [f"{count} {KINDS[kind].words[code][count > 1]}" for kind, count in counts.most_common()]


def _caption(made: Answer, code: str, things: Sequence[Found]) -> None:
    made.say(", ".join(_counted(things, code)) or _NOTHING[code])


def _describe(made: Answer, things: Sequence[Found]) -> None:
    if not things:
        made.say("The detector finds none of its 80 kinds in this picture.")
        return
    *most, last = [f"{_article(thing.name)} {_place(thing)}" for thing in things]
    made.say(f"The picture shows {', '.join(most)}{' and ' if most else ''}{last}.")


def _article(name: str) -> str:
    if name in ("skis", "scissors", "broccoli"):
        return name
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _place(thing: Found) -> str:
    x0, y0, x1, y1 = thing.box
    return " ".join(place((x0 + x1) / 2, (y0 + y1) / 2))


def _where(made: Answer, phrase: str, things: Sequence[Found]) -> None:
    those = _those(made, phrase, things)
    if those:
        made.say(f" {_AND['en']} ".join(_place(thing) for thing in those))
    else:
        made.say(_NOTHING["en"])


def _larger(made: Answer, one: str, other: str, things: Sequence[Found]) -> None:
    sides = [(phrase, _those(made, phrase, things)) for phrase in (one, other)]
    missing = [phrase for phrase, those in sides if not those]
    if missing:
        made.say(f"no {' and no '.join(missing)} found")
    else:
        made.say(max(sides, key=lambda side: max(thing.area for thing in side[1]))[0])
