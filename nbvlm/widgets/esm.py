"""Page parts: one module each, put together from a few plain files when a widget is defined.

A notebook that is saved holds the module of every widget in it, so those that are not small are packed: a few
lines that unpack the rest, in the browser, without a request. `source` is what they unpack.

>>> source("toolbar").startswith("function element")
True
"""

from __future__ import annotations

import base64
import gzip
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["PARTS", "SHEETS", "script", "source", "style"]

_HERE = Path(__file__).parent / "static"

#: Files of each module, in order; the last one exports.
PARTS = {
    "error_card": ("dom", "error_card"),
    "toolbar": ("dom", "toolbar"),
    "key_dialog": ("dom", "key_dialog"),
    "export_menu": ("dom", "export_menu"),
    "sweep_grid": ("dom", "sweep_grid"),
    "comparison": ("dom", "comparison"),
    "history_strip": ("dom", "history_strip"),
    "picker": ("dom", "uploader", "path_field", "camera", "picker"),
    "viewer_root": (
        *("dom", "viewer_state", "overlay", "zoom", "region_select", "crop_copy", "viewer_tools"),
        *("detections_list", "answer_tokens", "status_line", "picture_view", "viewer_root"),
    ),
    "server_dialog": ("dom", "server_dialog"),
    "task_bar": ("dom", "prompt_syntax", "prompt_history", "task_bar"),
}

#: The same for style sheets, where they are more than one.
SHEETS = {"toolbar": ("panel", "form"), "viewer_root": ("viewer_root", "picture_view", "detections_list")}


_SMALL = 4_000

_PACKED = """\
const packed = "{}";
const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
const text = await new Response(stream).text();
const address = URL.createObjectURL(new Blob([text], {{ type: "text/javascript" }}));
const part = await import(address);
URL.revokeObjectURL(address);
export default part.default;
"""


def script(name: str) -> str:
    """Return the module of a widget: `source`, packed where it is not small.

    Parameters
    ----------
    name
        One of `PARTS`.
    """
    text = source(name)
    if len(text) <= _SMALL:
        return text
    return _PACKED.format(base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode())


def source(name: str) -> str:
    """Return a module's text, without comment lines and indentation.

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
