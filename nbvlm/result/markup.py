"""Pieces of HTML: escaped, plain enough for any sanitizer, readable on light and dark.

The answer of a model and the name of a file come from outside. They pass through `text` or `attribute` here;
no other module of the package writes HTML from them.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from nbvlm import prompts
from nbvlm.draw import colors as _colors
from nbvlm.draw import css_color
from nbvlm.grounding import decoded
from nbvlm.result import description

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbvlm.draw import RGB
    from nbvlm.result.values import ResultData

__all__ = ["answer", "attribute", "facts", "label_colors", "remarks", "table", "text", "text_only"]


_CAPTION = 800
_LEFT = ' style="text-align:left"'
_HEADS = (("#", ""), ("label", _LEFT), ("x0", ""), ("y0", ""), ("x1", ""), ("y1", ""), ("where", _LEFT))


def text(value: object) -> str:
    r"""Escape for element content, the signs of a formula included, for pages that typeset `$…$` and `\(…\)`.

    >>> text("<loc0001> $x$")
    '&lt;loc0001&gt; <span>$</span>x<span>$</span>'
    """
    escaped = html.escape(description.visible(str(value)))
    return escaped.replace("$", "<span>$</span>").replace("\\", "<span>&#92;</span>")


def text_only(value: object) -> str:
    """Escape where elements cannot stand, as in a title."""
    return html.escape(description.visible(str(value)))


def attribute(value: object) -> str:
    """Escape for an attribute in double quotes."""
    return html.escape(" ".join(description.visible(str(value)).split()))


def label_colors(result: ResultData) -> list[RGB]:
    """Give each detection the colour that it has in the picture."""
    return _colors(result.detections.labels, None, prompts.things(result.prompt))


def table(result: ResultData, rows: int, colors: Sequence[RGB], most: int = 200) -> str:
    """Lay `rows` detections out as a table, `most` characters of each label; "" without detections."""
    detections = result.detections
    if not len(detections):
        return ""
    body = []
    for at, (label, box) in enumerate(zip(detections.labels[:rows], detections.xyxy.tolist(), strict=False)):
        swatch = f'<span aria-hidden="true" style="color:{css_color(colors[at])}">&#9632;</span>'
        numbers = "".join(f"<td>{value:.1f}</td>" for value in box)
        name, place = text(description.shorten(label, most) or "?"), description.where(box, detections.size)
        cells = f"<td{_LEFT}>{swatch} {name}</td>{numbers}<td{_LEFT}>{place}</td>"
        body.append(f'<tr><th scope="row">{at + 1}</th>{cells}</tr>')
    if len(detections) > rows:
        body.append(f'<tr><td colspan="7">… and {len(detections) - rows} more</td></tr>')
    heads = "".join(f'<th scope="col"{style}>{head}</th>' for head, style in _HEADS)
    caption = text(description.shorten(description.summary(result), min(_CAPTION, 4 * most)))
    return (
        f'<table><caption style="text-align:left">{caption}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    )


def answer(result: ResultData, most: int | None = None) -> str:
    """Show the answer's text, tokens and all; `most` characters of it."""
    return _cut(result.text, most, "text")


def reasoning(result: ResultData, most: int | None = None) -> str:
    """Show the model's thinking, folded; "" without thinking."""
    if not result.reasoning:
        return ""
    summary = f"<summary>Reasoning ({len(result.reasoning):,} characters)</summary>"
    return f"<details>{summary}{_cut(result.reasoning, most, 'reasoning')}</details>"


def _cut(said: str, most: int | None, name: str) -> str:
    """Show `most` characters of a text, and where the rest is: the attribute `name` of the result."""
    more = len(said) - most if most is not None else 0
    rest = f"<p>… and {more:,} more characters in <code>result.{name}</code></p>" if more > 0 else ""
    return f'<pre style="white-space:pre-wrap;overflow-wrap:anywhere">{text(said[:most])}</pre>{rest}'


def remarks(result: ResultData, most: int = 20) -> str:
    """List at most `most` irregularities and as many notices, and why masks are missing; "" without any."""
    found = result.problems[:most]
    lines = [f"At character {item.position}: {item.message} ({item.text})" for item in found]
    if len(result.problems) > most:
        lines.append(f"{len(result.problems) - most} more problems")
    lines += result.notices[:most]
    if (reason := decoded(result.detections).reason) is not None:
        lines.append(f"The masks are left out. {reason}")
    items = "".join(f"<li>{text(description.shorten(line, 300))}</li>" for line in lines)
    return f"<ul>{items}</ul>" if lines else ""


def facts(result: ResultData) -> str:
    """Write the prompt and the facts of the answer in one line."""
    return f"{text(description.shorten(result.prompt, 300))} · {text(' · '.join(description.facts(result)))}"
