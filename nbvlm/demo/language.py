"""What can be asked of the embedded model, and what is true of a scene.

`understand` reads a prompt as people write it into the few words that the model was taught with;
`lessons` makes the questions and true answers that it is taught from.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbvlm.demo import vocabulary as v
from nbvlm.demo.grounds import GROUNDS
from nbvlm.demo.vocabulary import COLORS, KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

__all__ = ["HELP", "Fact", "Lesson", "answer", "lessons", "text", "understand"]

HELP = (
    "I know picture-book scenes only. Ask me: caption en, detect car ; tree, "
    "answer en how many cars are there?, answer en what color is the car?, or answer en is there a red car?"
)
"""The answer to a prompt that is none of the tasks."""

_SYNONYMS = {
    **{f"{kind}s": kind for kind in KINDS},
    "fishes": "fish",
    "automobile": "car",
    "vehicle": "car",
    "home": "house",
    "ship": "boat",
    "sailboat": "boat",
    "ball": "circle",
    "disc": "circle",
    "disk": "circle",
    "box": "square",
    "colour": "color",
    "violet": "purple",
    "things": "thing",
    "objects": "thing",
    "items": "thing",
    "object": "thing",
    "item": "thing",
    "ships": "boat",
    "automobiles": "car",
    "vehicles": "car",
    "homes": "house",
    "balls": "circle",
    "boxes": "square",
}
_FILLERS = frozenset("the a an any are in of this picture image scene all please i can you see".split())  # noqa: SIM905 - a list of words reads best as text
MOST_ITEMS = 10
LONGEST_LESSON = 48


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing of a scene; `box` is (x0, y0, x1, y1) in shares of width and height."""

    kind: str
    color: str
    box: tuple[float, float, float, float]

    def is_a(self, item: Sequence[str]) -> bool:
        """Whether the words of an item ("car", "red car", "thing") name it."""
        return all(word in (self.kind, self.color, "thing") for word in item)


@dataclass(frozen=True, slots=True)
class Lesson:
    """A question in the model's words and the tokens of its true answer, `<eos>` included."""

    prompt: tuple[str, ...]
    answer: tuple[int, ...]


def understand(prompt: str) -> tuple[str, ...] | None:
    """Read a prompt into the model's words.

    Tolerates capitals, plurals, articles, question marks, `a;b` and `a , b`, and a few synonyms.

    Parameters
    ----------
    prompt
        As typed: "Detect Cars ; a red tree", "answer en How many boats are there?".

    Returns
    -------
    tuple of str or None
        For example `("detect", "car", ";", "red", "tree")`; None where it is none of the tasks.
    """
    task, _, rest = prompt.strip().lower().partition(" ")
    if task == "detect":
        return _detect(rest)
    if task == "caption":
        return ("caption", "en") if _plain(rest) in ([], ["en"]) else None
    return _question(_plain(rest.removeprefix("en ") if task == "answer" else prompt.lower()))


def _plain(text: str) -> list[str]:
    words = re.findall(r"[^\s.,;:!?\"'()]+", text)
    return [_SYNONYMS.get(word, word) for word in words if word not in _FILLERS]


def _detect(rest: str) -> tuple[str, ...] | None:
    items = [_item(words) for part in re.split(r"[;,]", rest) if (words := _plain(part))]
    if not items or len(items) > MOST_ITEMS:
        return None
    return ("detect", *(word for n, item in enumerate(items) for word in ((";", *item) if n else item)))


def _item(words: list[str]) -> list[str]:
    if len(words) == 1 and words[0] in (*KINDS, "thing"):
        return words
    if len(words) == 2 and words[0] in COLORS and words[1] in KINDS:
        return words
    return ["<unk>"]


def _question(words: list[str]) -> tuple[str, ...] | None:
    match words:
        case ["how", "many", *rest]:
            return ("answer", "en", "how", "many", *_item(_without(rest, "there", "is") or ["thing"]))
        case ["what", "color", "is" | "has", *rest]:
            return ("answer", "en", "what", "color", *_item(rest))
        case ["is", "there", *rest] | ["there", *rest] if rest:
            return ("answer", "en", "is", "there", *_item(rest))
    return None


def _without(words: list[str], *out: str) -> list[str]:
    return [word for word in words if word not in out]


def answer(prompt: Sequence[str], facts: Sequence[Fact], ground: str) -> list[int]:
    """Tokens of the true answer to a prompt in the model's words; facts go from left to right."""
    match list(prompt):
        case ["caption", *_]:
            return v.encode(_caption(facts, ground))
        case ["detect", *items]:
            return _boxes(items, facts)
        case ["answer", "en", *rest]:
            return v.encode(_reply(rest, facts))
    raise ValueError(f"not a prompt in the model's words: {prompt}")


def text(tokens: Sequence[int]) -> str:
    """Text of an answer's tokens."""
    return "".join(v.text_of(token, tokens[:n]) for n, token in enumerate(tokens))


def _caption(facts: Sequence[Fact], ground: str) -> list[str]:
    words: list[str] = []
    for n, fact in enumerate(facts):
        if n:
            words.append("and" if n == len(facts) - 1 else ",")
        words += ["an" if fact.color == "orange" else "a", fact.color, fact.kind]
    return [*words, *GROUNDS[ground].phrase.split()]


def _boxes(items: list[str], facts: Sequence[Fact]) -> list[int]:
    tokens: list[int] = []
    for item in _split(items):
        for fact in facts:
            if fact.is_a(item):
                x0, y0, x1, y1 = fact.box
                tokens += v.encode([";"]) if tokens else []
                tokens += [*map(v.loc, (y0, x0, y1, x1)), *v.encode(item)]
    return tokens or v.encode(["nothing", "found"])


def _split(words: Sequence[str]) -> list[list[str]]:
    items: list[list[str]] = [[]]
    for word in words:
        if word == ";":
            items.append([])
        else:
            items[-1].append(word)
    return items


def _reply(words: list[str], facts: Sequence[Fact]) -> list[str]:
    (first, second), item = words[:2], words[2:]
    those = [fact for fact in facts if fact.is_a(item)]
    if (first, second) == ("how", "many"):
        return [str(len(those))]
    if (first, second) == ("is", "there"):
        return ["yes" if those else "no"]
    if not those:
        return ["there", "is", "no", *(["such", "thing"] if item == ["<unk>"] else item)]
    colors = list(dict.fromkeys(fact.color for fact in those))
    return [word for n, color in enumerate(colors) for word in (("and", color) if n else (color,))]


def lessons(facts: Sequence[Fact], ground: str, chance: Random) -> tuple[list[Lesson], list[Lesson]]:
    """Make questions about a scene with their true answers: three long ones, four of a word or two."""
    long = [("caption", "en"), _to_find(facts, chance), _to_find_all(facts, chance)]
    short = [("answer", "en", *_asked(facts, chance)) for _ in range(4)]
    return _taught(long, facts, ground), _taught(short, facts, ground)


def _taught(prompts: list[tuple[str, ...]], facts: Sequence[Fact], ground: str) -> list[Lesson]:
    return [Lesson(prompt, (*answer(prompt, facts, ground), v.EOS)) for prompt in prompts]


def _to_find(facts: Sequence[Fact], chance: Random) -> tuple[str, ...]:
    while True:
        prompt = ("detect", *_items(facts, chance))
        if len(_boxes(list(prompt[1:]), facts)) <= LONGEST_LESSON:
            return prompt


def _to_find_all(facts: Sequence[Fact], chance: Random) -> tuple[str, ...]:
    """A longer list: what is there, most of it, among what is not."""
    present = list(dict.fromkeys(fact.kind for fact in facts))
    kept = chance.sample(present, max(1, len(present) - chance.randrange(2)))
    absent = chance.sample([kind for kind in KINDS if kind not in present], chance.randrange(3))
    kinds = chance.sample(kept + absent, len(kept) + len(absent))
    return ("detect", *" ; ".join(kinds).split())


def _items(facts: Sequence[Fact], chance: Random) -> list[str]:
    wanted = chance.choice((1, 1, 2, 2, 3, 4, 6))
    items: dict[tuple[str, ...], None] = {}
    for _ in range(wanted):
        items[_something(facts, chance, 0.72)] = None
    return [word for n, item in enumerate(items) for word in ((";", *item) if n else item)]


def _something(facts: Sequence[Fact], chance: Random, present: float) -> tuple[str, ...]:
    odd = chance.random()
    if odd < 0.06:
        return ("<unk>",) if odd < 0.03 else ("thing",)
    fact = chance.choice(facts)
    kind, color = fact.kind, fact.color
    if chance.random() >= present:
        kind, color = chance.choice((kind, chance.choice(KINDS))), chance.choice(COLORS)
    return (color, kind) if chance.random() < 0.25 else (kind,)


_PRESENT = {("how", "many"): 0.7, ("what", "color"): 0.9, ("is", "there"): 0.35}


def _asked(facts: Sequence[Fact], chance: Random) -> tuple[str, ...]:
    ask = chance.choice((("how", "many"), ("how", "many"), ("what", "color"), ("is", "there")))
    if ask == ("how", "many") and chance.random() < 0.25:
        return (*ask, "thing")
    item = _something(facts, chance, _PRESENT[ask])
    if ask == ("what", "color") and item[-1] in KINDS:
        item = item[-1:]
    return (*ask, *item)
