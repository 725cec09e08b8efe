"""Draw the signs of the picture-book world: a board on a post, with a word on it."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

from nbvlm.demo.world.canvas import (
    DARK,
    WHITE,
    WOOD,
    Canvas,
    block,
    brightness,
    mix,
    oval,
    rounded,
    text_width,
)

if TYPE_CHECKING:
    from random import Random

LETTERS = 0.33
"""Height of a sign's letters, as a share of the sign's height."""

_LIST = """
STOP OPEN CAFE ZOO TAXI BUS EXIT SHOP BANK PARK TOWN CITY BOOK TOYS FOOD MILK BREAD TEA CAKE PIZZA
SOUP FRUIT SALE FREE NEW OLD HOT COLD WET DRY IN OUT UP DOWN LEFT RIGHT NORTH SOUTH EAST WEST GO
SLOW FAST WAIT LOOK PUSH PULL YES NO HELLO HOME HOTEL INN BAR PUB CLUB GYM POOL SPA BEACH LAKE RIVER
SEA PORT DOCK FERRY BOAT SHIP TRAIN TRAM METRO PLANE BIKE CAR ROAD STREET LANE HILL FARM BARN MILL
WELL WOOD FOREST GARDEN MUSEUM SCHOOL CLASS ART MUSIC DANCE FILM PLAY GAME FUN FAIR CIRCUS SHOW
STAGE DESK OFFICE POST MAIL POLICE FIRE DOCTOR HELP INFO MAP GUIDE TOUR ROOM KEY DOOR GATE BELL
CLOCK TIME DAY NIGHT SUN MOON STAR RAIN SNOW WIND ICE SAND SALT SUGAR HONEY JAM EGGS FISH MEAT RICE
CORN APPLE PEAR PLUM LEMON LIME CAT DOG BIRD DUCK HEN COW PIG GOAT SHEEP HORSE LION TIGER BEAR WOLF
FOX OWL BEE ANT FROG
"""
WORDS: tuple[str, ...] = tuple(_LIST.split())
"""Texts of signs, besides random letters."""


def words(rng: Random) -> str:
    """Choose the text of a sign: a word, or two to five random letters."""
    if rng.random() < 0.8:
        return rng.choice(WORDS)
    return "".join(rng.choices(string.ascii_uppercase, k=rng.randrange(2, 6)))


def aspect(text: str) -> float:
    """Return the width of a sign divided by its height."""
    return max(0.62, LETTERS * text_width(text) + 0.27)


def draw(c: Canvas) -> None:
    """Draw a board on one post, or on two if it is long, with the text of the canvas."""
    text = c.text or ""
    half = aspect(text) - 0.05
    for x in (0.0,) if half < 1.25 else (-0.6 * half, 0.6 * half):
        c.body((block(x - 0.08, -0.2, x + 0.08, 0.95), WOOD), edge=mix(WOOD, DARK, 0.5))
    c.body((rounded(block(-half, -0.95, half, 0.27), 0.16), c.color))
    inner = rounded(block(-half + 0.09, -0.86, half - 0.09, 0.18), 0.1)
    c.line((*inner, inner[0]), mix(c.color, ink(c), 0.45), 0.035)
    for x in (-half + 0.17, half - 0.17):
        c.fill(oval(x, -0.34, 0.03, 0.03, steps=10), mix(c.color, ink(c), 0.45))
    c.write(text, (0.0, -0.34 + LETTERS), 2 * LETTERS, ink(c))


def ink(c: Canvas) -> tuple[int, int, int]:
    """Return white or dark, the one with more contrast to the board."""
    return WHITE if brightness(c.color) < 150 else DARK
