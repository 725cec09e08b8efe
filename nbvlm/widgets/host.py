"""The host that shows the widgets, as far as it matters: whether people other than its owner see them."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

__all__ = ["public_host"]


def public_host() -> str:
    """Return the name of the host if it shows widgets to visitors, else "".

    Such a host is recognised by what it leaves in the process: Voila sets `SERVER_SOFTWARE` for its kernels;
    Solara's server runs in it; a session of Shiny or of HoloViz Panel's server is under way; marimo runs an
    app. All others, notebooks above all, are taken for the owner's own.
    """
    found = (name for name, check in _CHECKS.items() if check())
    return next(found, "")


def _voila() -> bool:
    return os.environ.get("SERVER_SOFTWARE", "").lower().startswith("voila")


def _solara() -> bool:
    # Only a server loads one of these; `import solara` in a notebook does not.
    return any(f"solara.server.{name}" in sys.modules for name in ("starlette", "flask", "fastapi"))


def _bokeh() -> bool:
    io = sys.modules.get("bokeh.io")
    return io is not None and io.curdoc().session_context is not None


def _shiny() -> bool:
    session = sys.modules.get("shiny.session")
    return session is not None and session.get_current_session() is not None


def _marimo() -> bool:
    marimo = sys.modules.get("marimo")
    if marimo is None:
        return False
    with suppress(Exception):  # its interface may change; without an answer, it is an editor
        return bool(marimo.app_meta().mode == "run")
    return False


_CHECKS = {
    "Voila": _voila,
    "Solara": _solara,
    "HoloViz Panel": _bokeh,
    "Shiny": _shiny,
    "marimo": _marimo,
}
