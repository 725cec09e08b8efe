"""Page parts: one module each, put together from a few plain files when a widget is defined.

>>> script("header").startswith("function element")
True
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["PARTS", "SHEETS", "script", "style"]

_HERE = Path(__file__).parent

#: Files of each module, in order; the last one exports.
PARTS = {
    "alert": ("common", "alert"),
    "header": ("common", "header"),
    "keyfield": ("common", "keyfield"),
    "exports": ("common", "exports"),
    "grid": ("common", "grid"),
    "sides": ("common", "sides"),
    "strip": ("common", "strip"),
    "picker": ("common", "sender", "opener", "camera", "picker"),
    "server": ("common", "server"),
    "taskbar": ("common", "grammar", "recall", "taskbar"),
}

#: The same for style sheets, where they are more than one.
SHEETS = {"header": ("panel", "fields")}


def script(name: str) -> str:
    """Return a module's text, without comment lines and indentation: notebooks that are saved hold it.

    Parameters
    ----------
    name
        One of `PARTS`.
    """
    return _plain(f"{part}.js" for part in PARTS[name])


def style(name: str) -> str:
    """Return a style sheet, put together as `script` does; `name` is one of `SHEETS`, or that of a file."""
    return re.sub(
        r"/\*.*?\*/\n?", "", _plain(f"{part}.css" for part in SHEETS.get(name, (name,))), flags=re.DOTALL
    )


def _plain(files: Iterable[str]) -> str:
    texts = (_HERE.joinpath(file).read_text(encoding="utf-8") for file in files)
    lines = (line.strip() for text in texts for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))
