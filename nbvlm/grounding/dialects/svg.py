"""The outline of an SVG path, as Moondream writes masks: in shares of the thing's own box.

>>> outline("M 0 0 L 1 0 V 1 Z")
(0.0, 0.0, 1.0, 0.0, 1.0, 1.0)
"""

from __future__ import annotations

import re
from itertools import pairwise

from nbvlm.grounding.dialects.found import NUMBER

__all__ = ["outline"]

_PATH = re.compile(r"\s*[Mm][MmLlHhVvCcSsQqTtZz0-9eE.,+\-\s]*")
_COMMAND = re.compile(r"([A-DF-Za-df-z])([^A-DF-Za-df-z]*)")
_TAKES = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "T": 2, "Z": 0}
"""Numbers of a command; a curve's last two are its end, and the others steer it."""
_STEPS = 8  # straight pieces of a curve
_LONGEST = 200_000
_FEWEST = 3

Point = tuple[float, float]


def outline(path: str) -> tuple[float, ...] | None:
    """Return x, y, … of the largest part of a path, curves as short lines; None if it is not a path.

    Parameters
    ----------
    path
        Commands M, L, H, V, C, S, Q, T and Z, absolute or relative.
    """
    if len(path) > _LONGEST or not _PATH.fullmatch(path):
        return None
    parts: list[list[Point]] = []
    x = y = 0.0
    mirrored: Point = (x, y)  # the last point that steered a curve, beyond its end
    for letter, rest in _COMMAND.findall(path):
        command, numbers = letter.upper(), [float(number) for number in NUMBER.findall(rest)]
        takes = _TAKES.get(command, 0)
        for at in range(0, len(numbers) - takes + 1, takes) if takes else ():
            steer = _absolute(command, numbers[at : at + takes], (x, y), relative=letter.islower())
            if command == "M" and at == 0:
                parts.append([])
            if not parts:
                return None
            if command in "ST":
                steer = [mirrored, *steer]
            parts[-1] += _curve([(x, y), *steer])
            x, y = steer[-1]
            mirrored = (2 * x - steer[-2][0], 2 * y - steer[-2][1]) if len(steer) > 1 else (x, y)
        if command == "Z" and parts and parts[-1]:
            x, y = parts[-1][0]
    whole = [part for part in parts if len(part) >= _FEWEST]
    if not whole:
        return None
    return tuple(value for point in max(whole, key=_area) for value in point)


def _absolute(command: str, numbers: list[float], now: Point, *, relative: bool) -> list[Point]:
    x, y = now if relative else (0.0, 0.0)
    if command == "H":
        return [(x + numbers[0], now[1])]
    if command == "V":
        return [(now[0], y + numbers[0])]
    return [(x + numbers[at], y + numbers[at + 1]) for at in range(0, len(numbers), 2)]


def _curve(points: list[Point]) -> list[Point]:
    """Return the points of a Bézier curve after its first one, by de Casteljau's construction."""
    if len(points) == 2:
        return points[1:]
    made = []
    for step in range(1, _STEPS + 1):
        share, level = step / _STEPS, points
        while len(level) > 1:
            level = [
                (one[0] + (two[0] - one[0]) * share, one[1] + (two[1] - one[1]) * share)
                for one, two in pairwise(level)
            ]
        made += level
    return made


def _area(points: list[Point]) -> float:
    pairs = zip(points, [*points[1:], points[0]], strict=True)
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairs)) / 2
