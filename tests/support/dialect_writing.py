"""Write boxes and points as a model family writes them, from the dialect's data alone."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from nbvlm.grounding.dialects.dialect import Dialect
    from nbvlm.grounding.masks.types import Size

__all__ = ["write"]

_GRID = 32
_Things = list[tuple[str, tuple[float, ...]]]


def write(
    dialect: Dialect, things: Iterable[tuple[str, Sequence[float]]], size: Size, sent: Size | None = None
) -> str:
    """Write an answer in the dialect.

    Parameters
    ----------
    dialect
        How to write.
    things
        Labels, and boxes (x0, y0, x1, y1) or points (x, y) in pixels of the picture. Families that
        write points only get the middle of a box, those that write boxes only a box without area.
    size
        Width and height of the picture.
    sent
        Width and height of the picture as it travelled; by default `size`.

    Returns
    -------
    str
        The answer; numbers are rounded as the family rounds them.
    """
    reading = dialect.reading(sent or size, order="xyxy" if dialect.form == "named" else None)
    scaled = [(label, reading.numbers(_shaped(place, dialect), size)) for label, place in things]
    digits = 0 if min(reading.frame) > 100 else 1 if min(reading.frame) >= 100 else 4
    rounded = [
        (label, tuple(round(value, digits) if digits else round(value) for value in numbers))
        for label, numbers in scaled
    ]
    return _WRITERS[dialect.form](rounded, dialect)


def _shaped(place: Sequence[float], dialect: Dialect) -> Sequence[float]:
    if dialect.form in ("points", "tracks") and len(place) == 4:
        return (place[0] + place[2]) / 2, (place[1] + place[3]) / 2
    if len(place) == 2 and dialect.form not in ("points", "tracks", "json", "named", "bbox", "box-tokens"):
        return *place, *place
    return place


def _json(things: _Things, dialect: Dialect) -> str:
    box, point, name = dialect.keys
    items = [{box if len(numbers) == 4 else point: list(numbers), name: label} for label, numbers in things]
    lines = ",\n".join("\t" + json.dumps(item, ensure_ascii=False) for item in items)
    text = f"[\n{lines}\n]" if lines else "[]"
    return f"```json\n{text}\n```" if dialect.fence else text


def _named(things: _Things, dialect: Dialect) -> str:
    items = []
    for label, numbers in things:
        names = ("x_min", "y_min", "x_max", "y_max") if len(numbers) == 4 else ("x", "y")
        items.append({"label": label, **dict(zip(names, numbers, strict=True))})
    return json.dumps(items, ensure_ascii=False)


def _loc(things: _Things, dialect: Dialect) -> str:
    return " ; ".join(
        "".join(f"<loc{int(n):04d}>" for n in numbers) + f" {label}" for label, numbers in things
    )


def _each(
    form: Callable[[str, tuple[Any, ...]], str], between: str = "\n"
) -> Callable[[_Things, Dialect], str]:
    return lambda things, dialect: between.join(form(label, numbers) for label, numbers in things)


def _list(numbers: tuple[Any, ...]) -> str:
    return f"[[{', '.join(map(str, numbers))}]]"


def _corners(n: tuple[Any, ...]) -> tuple[Any, ...]:
    return n[0], n[1], n[2], n[1], n[2], n[3], n[0], n[3]


def _tuples(n: tuple[Any, ...]) -> str:
    return ",".join(f"({n[at]},{n[at + 1]})" for at in range(0, len(n), 2))


def _begin_box(things: _Things, dialect: Dialect) -> str:
    return f"<|begin_of_box|>{_json(things, dialect)}<|end_of_box|>"


def _by_label(things: _Things) -> dict[str, list[tuple[Any, ...]]]:
    groups: dict[str, list[tuple[Any, ...]]] = {}
    for label, numbers in things:
        groups.setdefault(label, []).append(numbers)
    return groups


def _points(things: _Things, dialect: Dialect) -> str:
    tags = []
    for label, points in _by_label(things).items():
        name = html.escape(label)
        if len(points) == 1:
            tags.append(f'<point x="{points[0][0]}" y="{points[0][1]}" alt="{name}">{name}</point>')
            continue
        places = " ".join(f'x{at}="{x}" y{at}="{y}"' for at, (x, y) in enumerate(points, 1))
        tags.append(f'<points {places} alt="{name}">{name}</points>')
    return " " + "\n".join(tags)


def _tracks(things: _Things, dialect: Dialect) -> str:
    tags = []
    for label, points in _by_label(things).items():
        places = " ".join(f"{at} {x} {y}" for at, (x, y) in enumerate(points, 1))
        tags.append(f'<points coords="1 {places}">{html.escape(label)}</points>')
    return "\n".join(tags)


def _cells(n: tuple[float, ...]) -> str:
    first, last = (
        min(int(y * _GRID), _GRID - 1) * _GRID + min(int(x * _GRID), _GRID - 1) for x, y in (n[:2], n[2:])
    )
    return f"<patch_index_{first:04d}><patch_index_{last:04d}>"


_WRITERS: dict[str, Callable[[_Things, Dialect], str]] = {
    "json": _json,
    "named": _named,
    "loc": _loc,
    "begin-box": _begin_box,
    "points": _points,
    "tracks": _tracks,
    "ref-box": _each(lambda label, n: f"<ref>{label}</ref><box>{_list(n)}</box>"),
    "ref-det": _each(lambda label, n: f"<|ref|>{label}<|/ref|><|det|>{_list(n)}<|/det|>"),
    "box-tokens": _each(
        lambda label, n: f"<|object_ref_start|>{label}<|object_ref_end|><|box_start|>{_tuples(n)}<|box_end|>"
    ),
    "tuples": _each(lambda label, n: f"{label}{_tuples(n)}", ""),
    "bbox": _each(
        lambda label, n: (
            f"{label}<bbox>{' '.join(map(str, n))}</bbox>"
            if len(n) == 4
            else f"{label}<point>{n[0]} {n[1]}</point>"
        )
    ),
    "point-box": _each(
        lambda label, n: (
            f'<point_box mention="{html.escape(label)}"> ({n[0]},{n[1]}) ({n[2]},{n[3]}) </point_box>'
        )
    ),
    "label-loc": _each(lambda label, n: label + "".join(f"<loc_{max(0, int(v))}>" for v in n), ""),
    "doctags": _each(lambda label, n: f"<{label}>{''.join(f'<loc_{int(v)}>' for v in n)}</{label}>"),
    "corners": _each(lambda label, n: label + "".join(f"<|LOC_{int(v)}|>" for v in _corners(n))),
    "parse": _each(
        lambda label, n: f"<x_{n[0]}><y_{n[1]}>{label}<x_{n[2]}><y_{n[3]}><class_{label}>", "\n\n"
    ),
    "box-ref": _each(
        lambda label, n: f"<|box_start|>{' '.join(map(str, n))}<|box_end|><|ref_start|>{label}<|ref_end|>"
    ),
    "xy-bbox": _each(lambda label, n: f"<bbox><x_{n[0]}><y_{n[1]}><x_{n[2]}><y_{n[3]}></bbox>{label}"),
    "patches": _each(lambda label, n: f"<phrase>{label}</phrase><object>{_cells(n)}</object>", " "),
    "bare": _each(lambda label, n: f"{label} {_list(n)}"),
}
