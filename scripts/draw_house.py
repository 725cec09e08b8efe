"""The rooms of nbvlm as a picture, from the real imports: docs/images/house.svg.

Usage: draw_house.py [--check]. The layers are those of `pyproject.toml`, the arrows are the imports that
grimp finds, the words are the first ones of each room's docstring. --check writes nothing and exits with
status 1 where the picture is out of date.
"""

from __future__ import annotations

import argparse
import ast
import itertools
import re
import sys
import textwrap
import tomllib
from html import escape
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "house.svg"

WIDTH, BOX, HEIGHT, GAP, MARGIN = 1000, 180, 78, 62, 20
ROOMS, SLOTS = 5, 9  # rooms in a row at most, and places for them; two rooms are two places apart
STEP = (WIDTH - 2 * MARGIN - BOX) / (SLOTS - 1)
STYLE = """
svg { --paper: #ffffff; --ink: #1d2430; --dim: #4c576b; --box: #e8f0fb; --edge: #2f6fb5; --ground: #efeadd }
@media (prefers-color-scheme: dark) {
  svg { --paper: #14181f; --ink: #eef2f8; --dim: #b3bdcd; --box: #20304a; --edge: #7fb2ee; --ground: #322d22 }
}
.paper { fill: var(--paper) }
.box { fill: var(--box); stroke: var(--edge); stroke-width: 1.2 }
.ground { fill: var(--ground) }
text { fill: var(--ink); font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif }
text { text-anchor: middle }
.name { font-weight: 600; font-size: 18px }
.says { fill: var(--dim); font-size: 12.5px }
path { fill: none; stroke: var(--edge); stroke-width: 1.8 }
marker path { fill: var(--edge); stroke: none }
"""

Imports = dict[str, set[str]]
Places = dict[str, tuple[int, int]]  # slot and row of each room
Line = tuple[float, float, float, float]


def layers() -> list[list[str]]:
    """Read the layers from the top down; the modules of one layer do not import each other."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    [house] = [one for one in contracts if one.get("containers") == ["nbvlm"]]
    return [[name.strip() for name in layer.split("|")] for layer in house["layers"]]


def imports() -> Imports:
    """Find the rooms that each room imports; imports for type checkers do not count."""
    sys.path.insert(0, str(ROOT))
    graph = grimp.build_graph("nbvlm", exclude_type_checking_imports=True, cache_dir=None)
    found: Imports = {}
    for module in graph.modules - {"nbvlm", "nbvlm.__main__"}:
        room = module.split(".")[1]
        others = (name for name in graph.find_modules_directly_imported_by(module) if name != "nbvlm")
        found.setdefault(room, set()).update({name.split(".")[1] for name in others} - {room})
    return found


def reduced(found: Imports) -> Imports:
    """Leave out the imports that a way over other rooms implies."""

    def reach(room: str) -> set[str]:
        return found[room].union(*map(reach, found[room]))

    return {room: others - set().union(*map(reach, others)) for room, others in found.items()}


def joined(rows: list[list[str]], found: Imports) -> list[list[str]]:
    """Put neighbouring layers in one row where none of their rooms imports another of them."""
    result: list[list[str]] = []
    for row in rows:
        both = [*result[-1], *row] if result else row
        if result and len(both) <= ROOMS and not any(found[room] & set(both) for room in both):
            result[-1] = both
        else:
            result.append(row)
    return result


def arranged(rows: list[list[str]], arrows: Imports) -> Places:
    """Choose the slots of the rooms, a row at a time, until no choice makes a better picture."""
    ways = [[way for way in itertools.permutations(range(SLOTS), len(row)) if is_wide(way)] for row in rows]
    chosen = [options[len(options) // 2] for options in ways]

    def places() -> Places:
        return {
            room: (slot, y)
            for y, (row, way) in enumerate(zip(rows, chosen, strict=True))
            for room, slot in zip(row, way, strict=True)
        }

    best, before = cost(places(), arrows), float("inf")
    while best < before:
        before = best
        for y, options in enumerate(ways):
            kept = chosen[y]
            for chosen[y] in options:
                if (now := cost(places(), arrows)) < best:
                    best, kept = now, chosen[y]
            chosen[y] = kept
    return places()


def is_wide(way: tuple[int, ...]) -> bool:
    """Whether all rooms of a row have a slot between them."""
    return all(abs(a - b) > 1 for a, b in itertools.combinations(way, 2))


def cost(at: Places, arrows: Imports) -> float:
    """Rate an arrangement: long arrows are bad, crossings are worse, arrows behind a room are worst."""
    drawn = list(lines(at, arrows).values())
    total = sum(abs(x1 - x0) for x0, _, x1, _ in drawn) / WIDTH
    total += 0.2 * sum(abs(slot - SLOTS // 2) for slot, _ in at.values()) / SLOTS
    for line, place in itertools.product(drawn, at.values()):
        x, y = corner(place)
        inside = (across(line, height) for height in (y, y + HEIGHT / 2, y + HEIGHT))
        total += 4.0 * any(at_x is not None and x - 8 < at_x < x + BOX + 8 for at_x in inside)
    for one, other in itertools.combinations(drawn, 2):
        top, bottom = max(one[1], other[1]), min(one[3], other[3])
        if top < bottom:
            left, right = ((across(one, y) or 0) - (across(other, y) or 0) for y in (top, bottom))
            total += left * right < 0
    return total


def across(line: Line, y: float) -> float | None:
    """Return where a line crosses a height; None where it does not."""
    x0, y0, x1, y1 = line
    return x0 + (x1 - x0) * (y - y0) / (y1 - y0) if y0 <= y <= y1 else None


def lines(at: Places, arrows: Imports) -> dict[tuple[str, str], Line]:
    """Lead arrows from the lower edge of a room to the upper edge of another, spread along the edges."""
    below = {a: sorted(arrows[a], key=lambda b: slope(at[a], at[b])) for a in at}
    above = {b: sorted((a for a in at if b in arrows[a]), key=lambda a: -slope(at[a], at[b])) for b in at}
    found = {}
    for room in at:
        for other in below[room]:
            (x0, y0), (x1, y1) = corner(at[room]), corner(at[other])
            start = x0 + BOX * (below[room].index(other) + 1) / (len(below[room]) + 1)
            end = x1 + BOX * (above[other].index(room) + 1) / (len(above[other]) + 1)
            found[room, other] = (start, y0 + HEIGHT + 1, end, y1 - 2)
    return found


def slope(a: tuple[int, int], b: tuple[int, int]) -> float:
    """Return how far an arrow goes to the right for each row."""
    return (b[0] - a[0]) / (b[1] - a[1])


def corner(place: tuple[int, int]) -> tuple[float, float]:
    """Return the upper left corner of a room."""
    slot, row = place
    return MARGIN + slot * STEP, MARGIN + row * (HEIGHT + GAP)


def drawn_house() -> str:
    """Draw the house as SVG."""
    rows = layers()
    ground = [name for layer in rows if is_ground(layer) for name in layer]
    found = {room: others - set(ground) for room, others in imports().items()}
    arrows = reduced(found)
    rows = joined([layer for layer in rows if not is_ground(layer)], found)
    at = arranged(rows, arrows)
    top = MARGIN + len(rows) * (HEIGHT + GAP)
    height = top + HEIGHT + MARGIN
    names = " · ".join(sorted(ground, key=lambda name: name.strip("_")))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        "<title>The rooms of nbvlm; an arrow leads from a room to a room that it imports</title>",
        f"<style>{STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="9" markerHeight="9"',
        'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 8 4 0 8z"/></marker></defs>',
        f'<rect class="paper" width="{WIDTH}" height="{height}" rx="10"/>',
    ]
    for x0, y0, x1, y1 in lines(at, arrows).values():
        parts.append(f'<path d="M{x0:.0f} {y0:.0f} {x1:.0f} {y1:.0f}" marker-end="url(#tip)"/>')
    for room, place in at.items():
        parts.append(box("box", *corner(place), BOX, room, first_words(room)))
    parts.append(
        box("ground", MARGIN, top, WIDTH - 2 * MARGIN, names, "The ground, which every room may use")
    )
    return "\n".join([*parts, "</svg>", ""])


def is_ground(layer: list[str]) -> bool:
    """Whether every room may use a layer: the errors and the private modules."""
    return all(name.startswith("_") or name == "errors" for name in layer)


def first_words(room: str) -> str:
    """Return the docstring of a room up to its first colon, semicolon or full stop."""
    path = ROOT / "nbvlm" / room
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return re.split(r"[:;.](?:\s|$)", text)[0].replace("`", "")


def box(kind: str, x: float, y: float, width: float, name: str, words: str) -> str:
    """Draw a box with a name and at most three lines of words."""
    said = textwrap.wrap(words, int(width / 7.8), max_lines=3, placeholder=" …")
    middle, first = x + width / 2, y + (HEIGHT - 15 * len(said)) / 2 + 5
    texts = [("name", name, first)] + [("says", line, first + 18 + 15 * n) for n, line in enumerate(said)]
    parts = [f'<rect class="{kind}" x="{x:.0f}" y="{y:.0f}" width="{width}" height="{HEIGHT}" rx="8"/>']
    for style, text, line in texts:
        parts.append(f'<text class="{style}" x="{middle:.0f}" y="{line:.0f}">{escape(text)}</text>')
    return "".join(parts)


def main() -> int:
    """Write the picture, or check that it is up to date."""
    parser = argparse.ArgumentParser(description="Draw the rooms of nbvlm from the real imports.")
    parser.add_argument("--check", action="store_true", help="only check that the picture is up to date")
    only_check = parser.parse_args().check
    picture = drawn_house()
    if not only_check:
        PICTURE.write_text(picture, encoding="utf-8")
    elif not PICTURE.exists() or PICTURE.read_text(encoding="utf-8") != picture:
        print(f"{PICTURE.relative_to(ROOT)} is out of date. Run: python scripts/draw_house.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
