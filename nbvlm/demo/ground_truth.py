"""True answers to prompts about a scene, for training and evaluation of the embedded model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbvlm.demo.model import tokenizer as w
from nbvlm.demo.model.tokenizer import Piece
from nbvlm.demo.world.vocabulary import LANGUAGES, PLURALS, place

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from random import Random

__all__ = ["LARGE", "SAME", "Fact", "answer", "overlap", "split", "text"]

LARGE = 0.235
"""Least side of a large thing: the root of its box's area, in shares of the picture's shorter side."""
SAME = 0.3
"""Least overlap of the region in a prompt with the thing that it shows."""
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing of a scene."""

    kind: str
    color: str
    box: Box  # in shares of width and height
    text: str | None = None  # of a sign
    aspect: float = 1.0  # of the picture, width divided by height

    def is_a(self, item: Sequence[str]) -> bool:
        """Whether the words of an item ("car", "red car", "thing") describe it."""
        return all(word in (self.kind, self.color, "thing") for word in item)

    @property
    def area(self) -> float:
        """Of its box, as a share of the picture's."""
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])

    @property
    def side(self) -> float:
        """Of a square with its box's area, in shares of the picture's shorter side."""
        return float((self.area * max(self.aspect, 1 / self.aspect)) ** 0.5)

    def place(self) -> list[str]:
        """Return words for the place of its middle."""
        return place((self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2)


def answer(
    prompt: Sequence[str],
    facts: Sequence[Fact],
    background: str,
    *,
    box: Box | None = None,  # the region of ("caption", "<box>")
    rng: Random | None = None,
) -> list[Piece]:
    """Return the tokens of the true answer to a prompt in the words of `prompt_reader.understand`.

    The facts stand from left to right; `rng` chooses among several true answers, else it is the first one.
    """
    match list(prompt):
        case ["caption", "<box>"]:
            return _region(facts, box or (0.0, 0.0, 1.0, 1.0))
        case ["caption", code]:
            return _caption(facts, background, code)
        case ["describe", *_]:
            return _description(facts, background, rng)
        case ["detect" | "segment" as task, *items]:
            return _boxes(items, facts, outlines=task == "segment")
        case ["ocr"]:
            return _signs(facts) or _plain("no text")
        case ["answer", "en", *rest]:
            return _reply(rest, facts)
        case ["question", "en", given]:
            return _question(given, facts, rng)
    raise ValueError(f"prompt must be in the model's words, got {prompt!r}.")


def text(pieces: Sequence[Piece]) -> str:
    """Return the text of an answer's tokens."""
    return "".join(w.text_of(piece, pieces[:n]) for n, piece in enumerate(pieces))


def _plain(words: str | Iterable[str], region: int = -1) -> list[Piece]:
    return [Piece(token, region) for token in w.encode(words.split() if isinstance(words, str) else words)]


def _joined(parts: Sequence[list[Piece]], conjunction: str = "and") -> list[Piece]:
    """Parts with commas between them, and "and" before the last."""
    pieces: list[Piece] = []
    for n, part in enumerate(parts):
        if n:
            pieces += _plain([conjunction if n == len(parts) - 1 else ","])
        pieces += part
    return pieces


def _caption(facts: Sequence[Fact], background: str, code: str) -> list[Piece]:
    language = LANGUAGES[code]
    named = [_plain(language.thing(fact.kind, fact.color), n) for n, fact in enumerate(facts)]
    return [*_joined(named, language.conjunction), *_plain(language.backgrounds[background])]


OPENINGS = (("the", "picture", "shows"), ("i", "see"), ("there", "are"))
"""Ways to begin a description, the likeliest first."""


def _description(facts: Sequence[Fact], background: str, rng: Random | None) -> list[Piece]:
    opening = rng.choices(OPENINGS, (5, 3, 2))[0] if rng else OPENINGS[0]
    thing = "thing" if len(facts) == 1 else "things"
    if opening[0] == "there" and len(facts) == 1:
        opening = ("there", "is")
    parts = [_described(n, fact) for n, fact in enumerate(facts)]
    head = [*opening, str(len(facts)), thing, *LANGUAGES["en"].backgrounds[background].split(), ":"]
    return [*_plain(head), *_joined(parts), *_plain(".")]


def _described(n: int, fact: Fact) -> list[Piece]:
    size = "large" if fact.side > LARGE else "small"
    says = [*_plain("saying", n), Piece(w.TEXT, n, text=fact.text)] if fact.text else []
    return [*_plain(["a", size, fact.color, fact.kind], n), *says, *_plain(fact.place(), n)]


def _boxes(items: list[str], facts: Sequence[Fact], *, outlines: bool) -> list[Piece]:
    pieces: list[Piece] = []
    for item in split(items):
        for n, fact in enumerate(facts):
            if fact.is_a(item):
                x0, y0, x1, y1 = fact.box
                pieces += _plain(";") if pieces else []
                pieces += [Piece(w.LOC, n, w.bin_of(value)) for value in (y0, x0, y1, x1)]
                pieces += [Piece(w.SEG, n)] * 16 if outlines else []
                pieces += _plain(item, n)
    return pieces or _plain("nothing found")


def split(words: Sequence[str]) -> list[list[str]]:
    """Split a list of words into items, at each ``;``."""
    return [item.split() for item in " ".join(words).split(";")]


def _signs(facts: Sequence[Fact]) -> list[Piece]:
    return [Piece(w.TEXT, n, text=fact.text) for n, fact in enumerate(facts) if fact.text]


def _region(facts: Sequence[Fact], box: Box) -> list[Piece]:
    best = max(range(len(facts)), key=lambda n: overlap(facts[n].box, box), default=-1)
    if best < 0 or overlap(facts[best].box, box) < SAME:
        return _plain("nothing found")
    return _plain(LANGUAGES["en"].thing(facts[best].kind, facts[best].color), best)


def overlap(a: Box, b: Box) -> float:
    """Return the intersection over union of two boxes."""
    w_, h_ = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if w_ <= 0 or h_ <= 0:
        return 0.0
    both = w_ * h_
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def _reply(words: list[str], facts: Sequence[Fact]) -> list[Piece]:
    match words:
        case ["how", "many", *item]:
            return _plain([str(len(_those(item, facts)))])
        case ["is", "there", *item]:
            return _plain(["yes" if _those(item, facts) else "no"])
        case ["what", "color", *item]:
            return _colors(_those(item, facts)) or _none(item)
        case ["where", *item]:
            places = [_plain(fact.place(), n) for n, fact in _those(item, facts).items()]
            return _joined(places) or _none(item)
        case ["what", "does", *item]:
            those = _those(item, facts).items()
            said = [[Piece(w.TEXT, n, text=fact.text)] for n, fact in those if fact.text]
            return _joined(said) or _none(item)
        case ["which", "larger", *items]:
            return _larger(split(items), facts)
    raise ValueError(f"The question must be in the model's words, got {words!r}.")


def _those(item: Sequence[str], facts: Sequence[Fact]) -> dict[int, Fact]:
    return {n: fact for n, fact in enumerate(facts) if fact.is_a(item)}


def _none(item: Sequence[str]) -> list[Piece]:
    return _plain(["there", "is", "no", *(["such", "thing"] if list(item) == ["<unk>"] else item)])


def _colors(those: dict[int, Fact]) -> list[Piece]:
    first = {fact.color: n for n, fact in reversed(those.items())}
    return _joined([_plain([fact.color], n) for n, fact in those.items() if first[fact.color] == n])


def _larger(items: list[list[str]], facts: Sequence[Fact]) -> list[Piece]:
    one, other = items
    for item in (one, other):
        if not _those(item, facts):
            return _none(item)
    sizes = [max((fact.area, n) for n, fact in _those(item, facts).items()) for item in (one, other)]
    item, (_, n) = (one, sizes[0]) if sizes[0] > sizes[1] else (other, sizes[1])
    return _plain(["the", *item], n)


def _question(given: str, facts: Sequence[Fact], rng: Random | None) -> list[Piece]:
    """A question whose answer is the given word."""
    right = _questions(given, facts)
    return (rng.choice(right) if rng else right[0]) if right else _plain("i do not know")


def _questions(given: str, facts: Sequence[Fact]) -> list[list[Piece]]:
    if given.isdigit():
        kinds = {"thing": 0 if facts else -1}
        for n, fact in enumerate(facts):
            kinds.setdefault(fact.kind, n)
        asked = [kind for kind in kinds if len(_those([kind], facts)) == int(given)]
        return [_plain(["how", "many", PLURALS[kind], "are", "there", "?"], kinds[kind]) for kind in asked]
    if given == "yes":
        return [
            _plain(["is", "there", *LANGUAGES["en"].thing(fact.kind, fact.color), "?"], n)
            for n, fact in enumerate(facts)
        ]
    alone = [(n, fact) for n, fact in enumerate(facts) if len(_those([fact.kind], facts)) == 1]
    return [
        _plain(["what", "color", "is", "the", fact.kind, "?"], n) for n, fact in alone if fact.color == given
    ]
