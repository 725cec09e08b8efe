"""Parse prompts, as people write them, into the few words that an embedded model knows."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nbvlm import prompts
from nbvlm._text import shorten
from nbvlm.demo.model.free_wording import listed, phrases, read_words, split
from nbvlm.demo.scenes import COLORS, KINDS
from nbvlm.demo.world.vocabulary import LANGUAGES, PLURALS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["HELP", "MOST_ITEMS", "QUESTION_WORDS", "ParsedPrompt", "Reader", "understand"]

HELP = (
    "I know picture-book scenes only. Ask me: caption en (or es, fr, de), describe en, detect cat ; red car, "
    "segment tree, ocr, answer en how many cars are there?, answer en what color is the car?, "
    "answer en is there a red car?, answer en where is the cat?, "
    "answer en which is larger, the cat or the dog?, "
    "answer en what does the sign say?, or question en red."
)
"""The answer to a prompt that is not one of the tasks."""

MOST_ITEMS = 10

QUESTION_WORDS = {
    "colour": "color",
    "colors": "color",
    "colours": "color",
    "bigger": "larger",
    "largest": "larger",
    "biggest": "larger",
}
"""Other spellings of the words that questions are made of."""
_SYNONYMS = {
    **QUESTION_WORDS,
    **{plural: kind for kind, plural in PLURALS.items()},
    **{f"{kind}s": kind for kind in KINDS},
    **dict.fromkeys(("automobile", "automobiles", "vehicle", "vehicles", "auto"), "car"),
    **dict.fromkeys(("home", "homes", "building", "buildings", "hut"), "house"),
    **dict.fromkeys(("ship", "ships", "sailboat", "sailboats"), "boat"),
    **dict.fromkeys(("ball", "balls", "disc", "discs", "disk", "disks"), "circle"),
    **dict.fromkeys(("box", "boxes"), "square"),
    **dict.fromkeys(("kitten", "kittens", "kitty"), "cat"),
    **dict.fromkeys(("puppy", "puppies", "doggy"), "dog"),
    **dict.fromkeys(("blossom", "blossoms"), "flower"),
    **dict.fromkeys(("parasol", "parasols"), "umbrella"),
    **dict.fromkeys(("signpost", "signs", "board"), "sign"),
    **dict.fromkeys(("objects", "items", "object", "item", "thing", "everything"), "thing"),
    "violet": "purple",
}
_FILLERS = frozenset(
    "the a an any are in on of this picture image scene photo all please i can you see now there's".split()  # noqa: SIM905 - a list of words reads best as text
)
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight")
_REGION = re.compile(r"caption\s+(?:en\s+)?((?:<loc\d{4}>\s*){4})")
_LOC = re.compile(r"<loc(\d{4})>")


@dataclass(frozen=True, slots=True)
class ParsedPrompt:
    """A prompt in the model's words."""

    words: tuple[str, ...]  # for example ("detect", "car", ";", "red", "tree")
    box: tuple[float, float, float, float] | None = None  # of ("caption", "<box>"), in shares of the sides
    free: bool = False  # whether single words of a free question gave this away
    ignored: tuple[str, ...] = ()  # words of such a question that had no effect
    unknown: tuple[str, ...] = field(default=(), compare=False)  # things that the model has no word for
    language: str = field(default="", compare=False)  # code of one that was asked for and is not known
    left_out: str = field(default="", compare=False)  # says that some things are not looked for

    @property
    def notice(self) -> str | None:
        """The understood and the unknown words of a question in free words; else None."""
        return " ".join(filter(None, [self._read_as(), self._not_known(), self.limits])) or None

    @property
    def limits(self) -> str:
        """Say which part of the question the model does not serve; "" where it serves all."""
        return " ".join(filter(None, [self.in_english, self.left_out]))

    @property
    def in_english(self) -> str:
        """Say that the answer is in English where another language was asked for; else ""."""
        if not self.language:
            return ""
        known = LANGUAGES if self.words[0] == "caption" else ("en",)
        names = _listed_names([prompts.LANGUAGES[code] for code in known])
        wanted = prompts.LANGUAGES[self.language]
        return f"The embedded model writes this in {names}, not in {wanted}: the answer is in English."

    def _not_known(self) -> str:
        if not self.unknown:
            return ""
        words = " and ".join(f"“{shorten(phrase, 30)}”" for phrase in self.unknown[:5])
        return f"The embedded model does not know {words}: it knows {', '.join(KINDS)}."

    def _read_as(self) -> str:
        if not self.free:
            return ""
        read = " ".join(self.words).removeprefix("answer en ")
        ignored = ", ".join(f"“{word[:30]}”" for word in self.ignored[:5])
        without = f" and ignores {ignored}" if ignored else ""
        return f"The embedded model reads this question as “{read}”{without}."


def _listed_names(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else f"{last} only"


def _scene_item(words: list[str]) -> list[str]:
    *colors, kind = words or [""]
    known = kind in (*KINDS, "thing") and len(colors) <= 1 and all(color in COLORS for color in colors)
    return words if known else ["<unk>"]


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads prompts for a model.

    Attributes
    ----------
    synonyms
        A word that stands for another one.
    item
        Turns the words for a thing ("red", "car") into the model's.
    most
        Most things that are looked for at once.
    """

    synonyms: Mapping[str, str]
    item: Callable[[list[str]], list[str]]
    most: int = MOST_ITEMS

    def understand(self, prompt: str) -> ParsedPrompt | None:
        """Parse a prompt into the model's words; return None if it is not one of the tasks.

        Tolerates capitals, plurals, articles, question marks, `a;b` and `a , b`, and a few synonyms.
        """
        plain = " ".join(prompt.lower().split())
        if region := _REGION.fullmatch(plain):
            y0, x0, y1, x1 = (min(int(k), 1023) / 1023 for k in _LOC.findall(region[1]))
            return ParsedPrompt(("caption", "<box>"), (x0, y0, x1, y1))
        plain, code = _in_known_language(plain)
        plain, left_out = _within(plain, self.most)
        words = self._words(plain)
        return None if words is None else ParsedPrompt(tuple(words), language=code, left_out=left_out)

    def _words(self, plain: str) -> list[str] | None:
        task, _, rest = plain.partition(" ")
        match task, self._plain(rest):
            case (("detect" | "segment"), _):
                return self._listed(task, rest)
            case (("caption" | "cap"), []):
                return ["caption", "en"]
            case (("caption" | "cap"), [code]) if code in LANGUAGES:
                return ["caption", code]
            case "describe", [] | ["en"]:
                return ["describe", "en"]
            case "ocr", []:
                return ["ocr"]
            case "question", ["en", given]:
                return _asking(given)
            case "answer", ["en", *parsed]:
                return self._question(parsed)
        return self._question(self._plain(plain))

    def _plain(self, text: str) -> list[str]:
        return [self.synonyms.get(word, word) for word in split(text) if word not in _FILLERS]

    def _listed(self, task: str, rest: str) -> list[str] | None:
        items = [self.item(words) for part in re.split(r"[;,]", rest) if (words := self._plain(part))]
        return [task, *listed(items)] if items else None

    def _question(self, words: list[str]) -> list[str] | None:
        answer, item = ["answer", "en"], self.item
        match words:
            case ["how", "many", *rest]:
                counted = item(_without(rest, "there", "is", "shown", "visible") or ["thing"])
                return [*answer, "how", "many", *counted]
            case ["what", "color", "is" | "has" | "does", *rest]:
                return [*answer, "what", "color", *item(_without(rest, "have"))]
            case ["is", "there", *rest] | ["there", *rest] if rest:
                return [*answer, "is", "there", *item(rest)]
            case ["where", *rest] if _without(rest, "is"):
                return [*answer, "where", *item(_without(rest, "is"))]
            case ["which" | "what", "is", "larger", *rest] if "or" in rest:
                at = rest.index("or")
                return [*answer, "which", "larger", *item(rest[:at]), ";", *item(rest[at + 1 :])]
            case ["what", "does" | "do", *rest] if rest[-1:] == ["say"]:
                return [*answer, "what", "does", *item(rest[:-1])]
            case ["what", "is", "written", *_] | ["what", "text", *_] | ["read", *_]:
                return ["ocr"]
            case ["what", "is" | "thing" | "there"] | ["what", "thing", "is"] | ["what", "is", "shown"]:
                return ["caption", "en"]
            case ["describe"] | ["describe", "it"]:
                return ["describe", "en"]
        return None


_LANGUAGE = re.compile(r"(?:(caption|cap|describe) |(answer|question) (?=[a-z]{2,3} ))([a-z]{2,3})(.*)")


def _in_known_language(plain: str) -> tuple[str, str]:
    """Return a prompt in a language that the model has, and the code of the one that it does not have."""
    found = _LANGUAGE.fullmatch(plain)
    if found is None or found[3] not in prompts.LANGUAGES or (found[1] and found[4]):
        return plain, ""
    task, code = found[1] or found[2], found[3]
    known = LANGUAGES if task in ("caption", "cap") else ("en",)
    return (plain, "") if code in known else (f"{task} en{found[4]}", code)


def _within(plain: str, most: int) -> tuple[str, str]:
    """Return a prompt with at most `most` things, each once, and a sentence about those left out."""
    task, _, rest = plain.partition(" ")
    if task not in ("detect", "segment"):
        return plain, ""
    parts = re.split(r"[;,]", rest)
    if len(parts) <= most:
        return plain, ""
    things = list(dict.fromkeys(filter(None, map(str.strip, parts))))
    more = len(things) - most
    said = f"The embedded model looks for {most} things at once, and leaves the last {more} out."
    return f"{task} {' ; '.join(things[:most])}", said if more > 0 else ""


def _asking(given: str) -> list[str] | None:
    given = str(_NUMBERS.index(given)) if given in _NUMBERS else given
    known = given in COLORS or given == "yes" or (given.isdigit() and int(given) <= 8)
    return ["question", "en", given] if known else None


def _without(words: list[str], *out: str) -> list[str]:
    return [word for word in words if word not in out]


_strictly = Reader(_SYNONYMS, _scene_item).understand


def understand(prompt: str) -> ParsedPrompt | None:
    """Parse a prompt about a scene; see `Reader.understand`.

    A prompt that is not written as one of the tasks is read in free words, see `free_wording`.
    """
    parsed = _read(prompt)
    if parsed is None or "<unk>" not in parsed.words:
        return parsed
    return replace(parsed, unknown=_unknown(prompt))


def _unknown(prompt: str) -> tuple[str, ...]:
    """Return the things of a prompt that the model has no word for."""
    met: list[str] = []

    def note(words: list[str]) -> list[str]:
        item = _scene_item(words)
        if item == ["<unk>"] and words:
            met.append(" ".join(words))
        return item

    Reader(_SYNONYMS, note).understand(prompt)
    return tuple(phrase for phrase in dict.fromkeys(met) if not phrases(phrase.split(), _SYNONYMS).things)


def _read(prompt: str) -> ParsedPrompt | None:
    parsed = _strictly(prompt)
    if parsed is not None and "<unk>" not in parsed.words:
        return parsed
    plain, code = _in_known_language(" ".join(prompt.lower().split()))
    plain, _ = _within(plain, MOST_ITEMS)
    if parsed is not None and parsed.words[0] in ("detect", "segment"):
        return _freely_listed(parsed, plain)
    if plain.partition(" ")[0] in ("caption", "cap", "question", "segment", "ocr"):
        return parsed  # a task that is written wrongly; the list of tasks helps more than a guess
    found = read_words(plain.removeprefix("answer en "), _SYNONYMS, QUESTION_WORDS)
    if found is None:
        return parsed
    return ParsedPrompt(found.words, free=True, ignored=found.ignored, language=code)


def _freely_listed(parsed: ParsedPrompt, plain: str) -> ParsedPrompt:
    """Read the items of a list that are not known in free words, one by one."""
    task, _, rest = plain.partition(" ")
    items, ignored, free = [], [], False
    for part in re.split(r"[;,]", rest):
        words = split(part)
        plainly = [_SYNONYMS.get(word, word) for word in words if word not in _FILLERS]
        if not plainly:
            continue
        item = _scene_item(plainly)
        found = phrases(words, _SYNONYMS) if item == ["<unk>"] else None
        if found is not None and found.things:
            item, free = list(found.things[0]), True
            ignored += [*found.ignored, *(word for thing in found.things[1:] for word in thing)]
        items.append(item)
    if not free:
        return parsed
    return replace(parsed, words=(task, *listed(items)), free=True, ignored=tuple(ignored))
