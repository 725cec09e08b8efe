"""Scripts and style sheets of the widgets, as they travel to the page.

A widget has one module, which may request nothing. So the modules that it imports and its style sheets travel
inside it, gzipped, since a saved notebook holds them for every widget; `static/loader.js` unpacks them in the
browser, links the modules and adds the style sheets to the page.

>>> list(modules("series_bar"))
['dom.js', 'series_bar.js']
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from graphlib import TopologicalSorter
from pathlib import Path

__all__ = ["modules", "script", "style"]

_STATIC = Path(__file__).parent / "static"
_PANEL = re.compile(r"\.nbvlm-panel(?![\w-])")
_IMPORT = re.compile(r' from "\./(\w+\.js)";')


def script(name: str, *styles: str) -> str:
    """Return the self-contained module of a widget.

    `name` is a script of `static` without ".js", `styles` are style sheets there without ".css".
    """
    parts = {"name": " ".join([name, *styles]), "css": style(*styles), "modules": [*modules(name).items()]}
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    packed = base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()
    return _read("loader.js").replace("PACKED", packed)


def modules(name: str) -> dict[str, str]:
    """Return the texts of a module and of its imports, by file name; each stands after those it imports."""
    texts: dict[str, str] = {}
    waiting = [f"{name}.js"]
    while waiting:
        file = waiting.pop()
        if file not in texts:
            texts[file] = _read(file)
            waiting += _IMPORT.findall(texts[file])
    order = TopologicalSorter({file: _IMPORT.findall(text) for file, text in texts.items()})
    return {file: texts[file] for file in order.static_order()}


def style(*names: str) -> str:
    """Return style sheets as one, in the order of their names (without ".css"), without comments.

    What is written for the panel holds for a part that stands alone as well.
    """
    text = "".join((_STATIC / f"{name}.css").read_text(encoding="utf-8") for name in names)
    if "theme" in names:
        text = _PANEL.sub(":is(.nbvlm-panel, .nbvlm-part)", text)
    text = re.sub(r"(?<![^;{}])(?:\s|/\*.*?\*/)+", "", text, flags=re.DOTALL)
    # A saved notebook holds the style sheets of every widget: what browsers do not need goes.
    text = text.replace(" {", "{").replace(";}", "}").replace(",\n", ",")
    return re.sub(r"(?<=[;{])([\w-]+): ", r"\1:", text)


def _read(file: str) -> str:
    # Comments and indentation go, lines stay: the browser's console gives the file, and the line in it.
    text = (_STATIC / file).read_text(encoding="utf-8")
    text = re.sub(r"^ *(//.*|/\*\*.*\*/)?$|^ +", "", text, flags=re.MULTILINE)
    return f"{text}//# sourceURL=nbvlm/{file}\n"
