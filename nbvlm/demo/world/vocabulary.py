"""The words of the picture-book world in four languages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbvlm.demo.world.backgrounds import BACKGROUNDS
from nbvlm.demo.world.objects import COLORS, KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LANGUAGES", "PLURALS", "Language", "place", "words_of"]


@dataclass(frozen=True, slots=True)
class Language:
    """How one language captions a scene."""

    nouns: dict[str, tuple[str, str]]  # word and gender ("m", "f", "n") of each kind
    articles: dict[str, str]  # "a" for each gender
    colors: dict[str, tuple[str, ...]]  # forms of each colour, one a gender, in the order of `articles`
    backgrounds: dict[str, str]  # the end of a caption, for each background
    conjunction: str
    before: bool  # whether the colour precedes the noun

    def thing(self, kind: str, color: str) -> list[str]:
        """Return the words for a thing, "a red car"."""
        noun, gender = self.nouns[kind]
        form = self.colors[color][list(self.articles).index(gender)]
        named = [form, noun] if self.before else [noun, form]
        return [self._article(gender, named[0]), *named]

    def _article(self, gender: str, following: str) -> str:
        article = self.articles[gender]
        return "an" if article == "a" and following[0] in "aeiou" else article

    def words(self) -> list[str]:
        """Return all words of its captions."""
        forms = [form for forms in self.colors.values() for form in forms]
        ends = [word for end in self.backgrounds.values() for word in end.split()]
        return [
            *(noun for noun, _ in self.nouns.values()),
            *self.articles.values(),
            *forms,
            *ends,
            self.conjunction,
        ]


def _nouns(text: str) -> dict[str, tuple[str, str]]:
    pairs = [entry.split("/") for entry in text.split()]
    return {kind: (noun, gender) for kind, (noun, gender) in zip(KINDS, pairs, strict=True)}


def _forms(text: str, endings: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
    forms = [tuple(entry.split("/")) for entry in text.split()]
    if endings:
        forms = [tuple(stem + ending for ending in endings) for (stem,) in forms]
    return {color: form if len(form) > 1 else form * 2 for color, form in zip(COLORS, forms, strict=True)}


def _ends(text: str) -> dict[str, str]:
    return dict(zip(BACKGROUNDS, (end.strip() for end in text.split(",")), strict=True))


LANGUAGES: dict[str, Language] = {
    "en": Language(
        {kind: (kind, "n") for kind in KINDS},
        {"n": "a"},
        {color: (color,) for color in COLORS},
        {name: background.phrase for name, background in BACKGROUNDS.items()},
        "and",
        before=True,
    ),
    "es": Language(
        _nouns(
            "gato/m perro/m pájaro/m pez/m coche/m barco/m casa/f árbol/m flor/f "
            "estrella/f corazón/m círculo/m "
            "cuadrado/m triángulo/m globo/m paraguas/m manzana/f letrero/m"
        ),
        {"m": "un", "f": "una"},
        _forms(
            "rojo/roja naranja amarillo/amarilla verde azul morado/morada rosa "
            "marrón negro/negra blanco/blanca"
        ),
        _ends(
            "en un prado, en el mar, de noche, en la arena, en la nieve, en la "
            "ciudad, en el bosque, sobre papel"
        ),
        "y",
        before=False,
    ),
    "fr": Language(
        _nouns(
            "chat/m chien/m oiseau/m poisson/m voiture/f bateau/m maison/f arbre/m "
            "fleur/f étoile/f cœur/m cercle/m "
            "carré/m triangle/m ballon/m parapluie/m pomme/f panneau/m"
        ),
        {"m": "un", "f": "une"},
        _forms(
            "rouge orange jaune vert/verte bleu/bleue violet/violette rose marron noir/noire blanc/blanche"
        ),
        _ends(
            "dans un pré, sur la mer, la nuit, sur le sable, dans la neige, en "
            "ville, dans la forêt, sur du papier"
        ),
        "et",
        before=False,
    ),
    "de": Language(
        _nouns(
            "Katze/f Hund/m Vogel/m Fisch/m Auto/n Boot/n Haus/n Baum/m Blume/f Stern/m Herz/n Kreis/m "
            "Quadrat/n Dreieck/n Ballon/m Regenschirm/m Apfel/m Schild/n"
        ),
        {"m": "ein", "f": "eine", "n": "ein"},
        _forms("rot orangefarben gelb grün blau violett rosafarben braun schwarz weiß", ("er", "e", "es")),
        _ends(
            "auf einer Wiese, auf dem Meer, bei Nacht, auf dem Sand, im Schnee, in "
            "der Stadt, im Wald, auf Papier"
        ),
        "und",
        before=True,
    ),
}
"""English, Spanish, French and German, by code."""

PLURALS = {kind: f"{kind}es" if kind == "fish" else f"{kind}s" for kind in KINDS} | {"thing": "things"}
"""English plurals."""


def words_of() -> list[str]:
    """Return all words of all captions, each once."""
    return list(dict.fromkeys(word for language in LANGUAGES.values() for word in language.words()))


def place(x: float, y: float) -> list[str]:
    """Return words for a place, x and y in shares of the sides: "at the top left"."""
    down = "top" if y < 1 / 3 else "bottom" if y > 2 / 3 else ""
    across = "left" if x < 1 / 3 else "right" if x > 2 / 3 else ""
    if not down and not across:
        return ["in", "the", "middle"]
    return ["at", "the", *(word for word in (down, across) if word)]
