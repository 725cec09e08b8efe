"""Page parts: one module each, put together from a few plain files when a widget is defined.

>>> script("header").startswith("function element")
True
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["PARTS", "script"]

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


def script(name: str) -> str:
    """Return a module's text, without comment lines and indentation: notebooks that are saved hold it.

    Parameters
    ----------
    name
        One of `PARTS`.
    """
    texts = (_HERE.joinpath(f"{part}.js").read_text(encoding="utf-8") for part in PARTS[name])
    lines = (line.strip() for text in texts for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))
