"""Export a result as one HTML file without scripts: picture, table, answer, request, code to ask again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbvlm.errors import ImageError
from nbvlm.result import code, description, markup, notebook

if TYPE_CHECKING:
    from nbvlm.result.values import ResultData

__all__ = ["to_html"]

_SIDE = 1600
_BYTES = 2_000_000

_STYLE = """
:root { color-scheme: light dark;
  --ink: #1c1e21; --soft: #5c6370; --paper: #fff; --line: #d8dce2; --tint: #f4f6f8 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e7e9ec; --soft: #a6adb8; --paper: #15171a; --line: #363b43; --tint: #1f2227 }
}
* { box-sizing: border-box }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 72rem;
  background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.35rem; line-height: 1.3; margin: 0 0 .25rem; overflow-wrap: anywhere }
h2 { font-size: 1.05rem; margin: 2rem 0 .5rem }
.facts { color: var(--soft); margin: 0 0 1.25rem; overflow-wrap: anywhere }
img { max-width: 100%; height: auto; border-radius: 6px; display: block }
figure { margin: 0 }
figcaption { color: var(--soft); margin-top: .5rem }
.scroll { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
caption { text-align: left; color: var(--soft); padding-bottom: .5rem }
th, td { padding: .3rem .9rem .3rem 0; text-align: left; white-space: nowrap;
  border-bottom: 1px solid var(--line) }
td:nth-child(n+3):nth-child(-n+6), thead th:nth-child(n+3):nth-child(-n+6) { text-align: right }
tbody th { font-weight: normal; color: var(--soft) }
pre { background: var(--tint); border: 1px solid var(--line); border-radius: 6px; padding: .75rem 1rem;
  margin: 0; overflow-x: auto; font: 14px/1.5 ui-monospace, monospace }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.25rem; margin: 0 }
dt { color: var(--soft) }
dd { margin: 0; overflow-wrap: anywhere }
"""

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{prompt}</h1>
<p class="facts">{facts}</p>
{figure}
{sections}
</main>
</body>
</html>
"""


def to_html(result: ResultData) -> str:
    """Write the page; see `Result.to_html`."""
    table = markup.table(result, len(result.detections), markup.label_colors(result))
    sections = [
        _section("Detections", f'<div class="scroll">{table}</div>' if table else ""),
        _section("Answer", markup.answer(result) + markup.reasoning(result)),
        _section("Remarks", markup.remarks(result)),
        _section("Request", _request(result)),
        _section("Ask again", _code(result)),
    ]
    return _PAGE.format(
        title=markup.text_only(f"{result.prompt} · {result.model}"),
        style=_STYLE,
        prompt=markup.text(result.prompt),
        facts=markup.text(" · ".join(description.facts(result))),
        figure=_figure(result),
        sections="\n".join(section for section in sections if section),
    )


def _section(title: str, body: str) -> str:
    return f"<section>\n<h2>{title}</h2>\n{body}\n</section>" if body else ""


def _figure(result: ResultData) -> str:
    picture = result.picture
    caption = markup.text(f"{picture.name or 'Picture'}, {picture.width} × {picture.height} pixels")
    try:
        shown = notebook.preview(result, _SIDE, _BYTES)
    except ImageError as error:
        return f"<p>{markup.text(error)}</p>"
    alt = markup.attribute(description.alt_text(result))
    image = f'<img src="{shown.uri}" alt="{alt}" width="{shown.width}" height="{shown.height}">'
    return f"<figure>\n{image}\n<figcaption>{caption}</figcaption>\n</figure>"


def _request(result: ResultData) -> str:
    sent, timing = result.sent, result.timing
    first = f"{timing.first_token_s:.2f} s to the first token, " if timing.first_token_s is not None else ""
    rows = {
        "model": result.model,
        "endpoint": result.endpoint,
        "parameters": ", ".join(f"{name} {value}" for name, value in result.parameters.items()),
        "route": f"{result.route}, {sent.width} × {sent.height} {sent.mime}, {sent.bytes:,} bytes",
        "picture": f"SHA-256 {result.picture.sha256}",
        "time": f"{first}{timing.total_s:.2f} s in all",
        "finished": result.finish_reason,
        "request": result.request_id,
        "asked": result.created,
    }
    lines = (f"<dt>{name}</dt><dd>{markup.text(value)}</dd>" for name, value in rows.items() if value)
    return f"<dl>{''.join(lines)}</dl>"


def _code(result: ResultData) -> str:
    """Show the Python code; the picture itself is in the page already, and its file may be elsewhere."""
    lead = "<p>Write the path of the picture into the line that begins with <code>picture =</code>.</p>"
    return f"{lead}<pre>{markup.text(code.to_python(result, image='path/of/the/picture'))}</pre>"
