"""The 80 kinds of the detector: those of COCO, with their names in four languages and the words for them."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["GROUPS", "KINDS", "Kind", "Meaning", "meaning", "suggestions"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind, with its singular and plural in each language.

    Attributes
    ----------
    name
        The English singular, which answers use as a label.
    words
        For each of ``"en"``, ``"de"``, ``"es"``, ``"fr"``: singular and plural.
    """

    name: str
    words: dict[str, tuple[str, str]]


def _kind(line: str) -> Kind:
    pairs = [part.strip().split("|") for part in line.split(";")]
    words = {code: (one, many) for code, (one, many) in zip(("en", "de", "es", "fr"), pairs, strict=True)}
    return Kind(words["en"][0], words)


_TABLE = Path(__file__).with_name("kinds.txt")
KINDS = tuple(_kind(line) for line in _TABLE.read_text(encoding="utf-8").splitlines()[1:])
"""In the order of the detector's outputs, which is COCO's."""

GROUPS: dict[str, tuple[str, ...]] = {
    "vehicle": ("bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat"),
    "animal": (
        "bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe",
    ),
    "fruit": ("banana", "apple", "orange"),
    "food": (
        "banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake",
    ),
    "vegetable": ("broccoli", "carrot"),
    "furniture": ("bench", "chair", "couch", "bed", "dining table"),
    "cutlery": ("fork", "knife", "spoon"),
    "bag": ("backpack", "handbag", "suitcase"),
    "glass": ("wine glass", "cup"),
    "screen": ("tv", "laptop", "cell phone"),
    "bike": ("bicycle", "motorcycle"),
    "thing": tuple(kind.name for kind in KINDS),
}  # fmt: skip
"""Words for several kinds at once."""

_SYNONYMS = {
    "airplane": "plane, planes, aeroplane, aeroplanes, aircraft, jet, jets",
    "bicycle": "cycle, cycles",
    "motorcycle": "motorbike, motorbikes, motor bike, motor bikes, moped, mopeds, scooter, scooters",
    "car": "automobile, automobiles, auto, autos, taxi, taxis, cab, cabs",
    "truck": "lorry, lorries, pickup, pickups, van, vans",
    "boat": "ship, ships, sailboat, sailboats, ferry, ferries, canoe, canoes, kayak, kayaks",
    "bus": "coach, coaches",
    "train": "locomotive, locomotives, tram, trams",
    "traffic light": "traffic signal, traffic signals, stoplight, stoplights",
    "fire hydrant": "hydrant, hydrants",
    "sheep": "lamb, lambs",
    "cow": "cattle, bull, bulls, ox, oxen, calf, calves",
    "cat": "kitten, kittens, kitty",
    "dog": "puppy, puppies, doggy",
    "horse": "pony, ponies, foal, foals",
    "couch": "sofa, sofas, settee, settees",
    "tv": "television, televisions, tv set, tv sets, monitor, monitors",
    "cell phone": (
        "phone, phones, mobile, mobiles, mobile phone, mobile phones, smartphone, smartphones, "
        "telephone, telephones"
    ),
    "potted plant": "plant, plants, houseplant, houseplants",
    "dining table": "table, tables, desk, desks",
    "refrigerator": "fridge, fridges",
    "cup": "mug, mugs",
    "donut": "doughnut, doughnuts",
    "sports ball": "ball, balls, football, footballs",
    "suitcase": "luggage, trunk, trunks",
    "handbag": "purse, purses",
    "backpack": "rucksack, rucksacks",
    "tie": "necktie, neckties",
    "remote": "remote control, remote controls",
    "hair drier": "hair dryer, hair dryers, hairdryer, hairdryers",
    "skis": "ski",
    "tennis racket": "racket, rackets, racquet, racquets",
    "clock": "watch, watches",
    "teddy bear": "teddy, teddies",
    "person": "human, humans, persons, somebody, someone, pedestrian, pedestrians",
}
_PEOPLE = frozenset(
    "man men woman women child children boy boys girl girls baby babies kid kids lady ladies guy guys".split()  # noqa: SIM905 - a list of words reads best as text
)


@dataclass(frozen=True, slots=True)
class Meaning:
    """The kinds that a word names.

    Attributes
    ----------
    kinds
        Indices into `KINDS`.
    note
        A sentence about what the detector cannot tell apart, or "".
    """

    kinds: tuple[int, ...]
    note: str = ""


@cache
def _meanings() -> dict[str, Meaning]:
    numbers = {kind.name: n for n, kind in enumerate(KINDS)}
    found: dict[str, Meaning] = {}
    for name, members in GROUPS.items():
        group = Meaning(tuple(numbers[member] for member in members))
        found[name] = found[f"{name}s"] = group
    found["objects"] = found["object"] = found["everything"] = found["items"] = found["thing"]
    found["glasses"] = found["glass"]
    found["pets"] = found["pet"] = Meaning((numbers["cat"], numbers["dog"], numbers["bird"]))
    for word in _PEOPLE:
        note = f"It finds people, and cannot tell whether “{word}” is right."
        found[word] = Meaning((numbers["person"],), note)
    for name, words in _SYNONYMS.items():
        for word in words.split(", "):
            found[word] = Meaning((numbers[name],))
    for n, kind in enumerate(KINDS):
        for word in kind.words["en"]:
            found[word] = Meaning((n,))
    return found


def suggestions(phrase: str) -> list[str]:
    """Return words that the detector knows for a phrase that it does not know, at most three.

    These are the English words for a word of another language, the known words in a phrase, or the
    nearest spelling.

    Examples
    --------
    >>> suggestions("tasse"), suggestions("cup and table"), suggestions("persn"), suggestions("glorp")
    (['cup'], ['cup', 'table'], ['person'], [])
    """
    english = [
        kind.name for kind in KINDS for words in kind.words.values() if phrase in map(str.lower, words)
    ]
    found = english or [word for word in phrase.split() if word in _meanings()]
    if not found:
        found = difflib.get_close_matches(phrase, _meanings(), n=1, cutoff=0.8)
    return list(dict.fromkeys(found))[:3]


def meaning(word: str) -> Meaning | None:
    """Return the kind that a word or phrase in lower case names; None if the detector does not know it."""
    return _meanings().get(word)
