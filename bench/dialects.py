"""The dialects: recorded answers of many model families, read exactly; and the cost of a streamed token.

    python bench/dialects.py

An answer is read exactly where every thing is found once, with its label, a box that overlaps by 0.9 or
more (a point within half a percent of the picture), and nothing else. Beside it stands what `supervision`
reads, where it is installed and has a reader for the family. Gates: 95 % of the answers whose meaning is
sure; a token of a streamed answer in JSON costs at most 1.5 times the CPU time of one in location tokens.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

import nbvlm
from nbvlm.grounding import dialects, overlaps

GOLDEN = Path(__file__).parents[1] / "tests" / "data" / "golden" / "grounding.json"
SHARE, TIMES = 0.95, 1.5
ANY_SIZE = (1000, 1000)
BOXES = 200


def expected(answer: dict[str, Any], size: tuple[int, int]) -> list[tuple[str, list[float]]]:
    """Labels and boxes (or points) in pixels."""
    things = []
    for thing in answer["expected"]:
        corners = next(value for key, value in thing.items() if key not in ("label", "text"))
        key = next(key for key in thing if key not in ("label", "text"))
        flat = np.array(corners, dtype=float).reshape(-1, 2)
        if "fraction" in key:
            flat = flat * size
        things.append((thing["label"], [*flat.min(axis=0), *flat.max(axis=0)]))
    return things


def matches(found: Any, wanted: list[tuple[str, list[float]]], size: tuple[int, int]) -> bool:
    """Whether the detections are the things, each once."""
    if len(found) != len(wanted):
        return False
    left = list(range(len(wanted)))
    for label, box in zip(found.labels, found.xyxy.tolist(), strict=True):
        hit = next((at for at in left if wanted[at][0] == label and _same(box, wanted[at][1], size)), None)
        if hit is None:
            return False
        left.remove(hit)
    return True


def _same(box: list[float], other: list[float], size: tuple[int, int]) -> bool:
    if overlaps(np.array([box]), np.array([other]))[0, 0] >= 0.9:
        return True
    near = [
        abs(one - two) <= 0.005 * size[at % 2] for at, (one, two) in enumerate(zip(box, other, strict=True))
    ]
    return all(near)


def read(answer: dict[str, Any]) -> bool:
    size = tuple(answer["image_size"] or ANY_SIZE)
    found = nbvlm.parse(answer["answer"], size, answer["prompt"], model=answer["model"])
    return matches(found, expected(answer, size), size)


def by_supervision(answer: dict[str, Any]) -> bool | None:
    """Whether supervision reads the answer; None where it has no reader for the family."""
    import supervision as sv

    readers = {
        "paligemma": "paligemma", "gemini": "gemini_2_5", "qwen2.5-vl": "qwen_2_5_vl", "qwen3-vl":
        "qwen_3_vl", "deepseek-ocr": "deepseek_vl_2", "deepseek-vl2": "deepseek_vl_2", "gemma": "gemini_2_5",
    }  # fmt: skip
    name = readers.get(dialects.of(answer["model"]).name)
    if name is None:
        return None
    size = tuple(answer["image_size"] or ANY_SIZE)
    more: dict[str, Any] = {"resolution_wh": size}
    if name == "qwen_2_5_vl":
        more["input_wh"] = tuple(answer["processed_size"] or size)
    try:
        found = sv.Detections.from_vlm(sv.VLM(name), result=answer["answer"], **more)
        names = found.data.get("class_name", [])
        value = type(
            "Found",
            (),
            {"labels": list(map(str, names)), "xyxy": found.xyxy, "__len__": lambda me: len(me.labels)},
        )()
        return matches(value, expected(answer, size), size)
    except Exception:  # noqa: BLE001 - an answer that it cannot read is the finding
        return False


def tokens(text: str) -> list[str]:
    """Cut as tokenizers of chat models do: words, and numbers digit by digit."""
    return re.findall(r"<loc\d{4}>|[0-9]|\s*[A-Za-z_]+|[^\sA-Za-z0-9]{1,3}|\s+", text)


def per_token(pieces: list[str], model: str) -> float:
    """CPU microseconds a token."""
    parser = nbvlm.Parser((640, 480), "detect shoe", model=model)
    start = time.process_time()
    for piece in pieces:
        parser.feed(piece)
    parser.close()
    took = time.process_time() - start
    assert len(parser.detections) == BOXES, (model, len(parser.detections))
    return took / len(pieces) * 1e6


def main() -> int:
    answers = [one for one in json.loads(GOLDEN.read_text(encoding="utf-8")) if one["expected"] is not None]
    try:
        import supervision  # noqa: F401

        compared = True
    except ImportError:
        compared = False
    read_by_us: Counter[str] = Counter()
    read_by_them: Counter[str] = Counter()
    all_of: Counter[str] = Counter()
    wrong = []
    for answer in answers:
        all_of[answer["family"]] += 1
        exact = read(answer)
        read_by_us[answer["family"]] += exact
        if not exact:
            wrong.append(f"{answer['id']} ({answer['sure']})")
        theirs = by_supervision(answer) if compared else None
        read_by_them[answer["family"]] += bool(theirs)
    print(f"{'family':18}{'answers':>9}{'read':>7}{'supervision':>13}")
    for family, count in sorted(all_of.items()):
        print(f"{family:18}{count:9}{read_by_us[family]:7}{read_by_them[family] if compared else '-':>13}")
    sure = [answer for answer in answers if answer["sure"] == "high"]
    exact = sum(map(read, sure))
    print(
        f"{'all':18}{len(answers):9}{sum(read_by_us.values()):7}"
        f"{sum(read_by_them.values()) if compared else '-':>13}"
    )
    print(f"sure answers: {exact} of {len(sure)}; not read: {', '.join(wrong) or 'none'}")

    boxes = ",\n".join('\t{"bbox_2d": [51, 309, 708, 646], "label": "shoe"}' for _ in range(BOXES))
    streams = {
        "location tokens": ("google/paligemma", "<loc0051><loc0309><loc0708><loc0646> shoe ; " * BOXES),
        "JSON (Qwen)": ("qwen3-vl", f"```json\n[\n{boxes}\n]\n```"),
        "tags (InternVL)": ("internvl3", "<ref>shoe</ref><box>[[51, 309, 708, 646]]</box>\n" * BOXES),
        "leftovers (InternVL)": ("internvl3", "shoe[[51, 309, 708, 646]]\n" * BOXES),
        "JSON, model not known": ("new", f"```json\n[\n{boxes}\n]\n```"),
    }
    pieces = {name: tokens(text) for name, (_, text) in streams.items()}
    # One after the other, so that a slow moment of the machine touches all; the best of each is its own cost.
    rounds = [{name: per_token(pieces[name], streams[name][0]) for name in streams} for _ in range(9)]
    costs = {name: min(one[name] for one in rounds) for name in streams}
    base = costs["location tokens"]
    print()
    for name, cost in costs.items():
        print(f"{name:24}{cost:8.2f} µs a token{cost / base:8.2f} ×")
    held = exact >= SHARE * len(sure) and max(costs.values()) <= TIMES * base
    print(
        f"\n{SHARE:.0%} of the sure answers exactly, at most {TIMES} × a location token:",
        "yes" if held else "NO",
    )
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
