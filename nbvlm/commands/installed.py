"""What is installed: Python, Jupyter's packages, the kernel, and what the pages load."""

from __future__ import annotations

import json
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbvlm
from nbvlm.commands.findings import good, note, problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbvlm.commands.findings import Finding

__all__ = ["extensions", "kernel", "packages", "python", "websocket"]

_SHOWN = ("jupyterlab", "ipykernel", "ipywidgets", "anywidget", "ipython")
_OPTIONAL = ("notebook", "voila", "jupyter-server")
_EXTENSIONS = {"@jupyter-widgets/jupyterlab-manager": "jupyterlab_widgets", "anywidget": "anywidget"}
_LAB = 'pip install "nbvlm[lab]"'
_REQUIREMENT = re.compile(r"([\w.-]+)>=([\d.]+)")
_MIB = 2**20
_PIECE, _TORNADO = _MIB, 10 * _MIB


def python() -> Iterator[Finding]:
    """Tell which Python runs, and which nbvlm."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield good("Python", f"{version}, {sys.executable}")
    yield good("nbvlm", f"{nbvlm.__version__}, {Path(nbvlm.__file__).parent}")


def packages() -> Iterator[Finding]:
    """Compare Jupyter's packages with what nbvlm asks for."""
    wanted = _wanted()
    for name in _SHOWN:
        version = _version(name)
        if version is None:
            lab = name in ("jupyterlab", "ipykernel")
            advice = f"Install it: {_LAB}" if lab else "Install nbvlm again: pip install -U nbvlm"
            yield problem(name, "not installed", advice)
        elif _numbers(version) < _numbers(wanted.get(name, "0")):
            yield problem(
                name, f"{version} is too old", f'Update it: pip install -U "{name}>={wanted[name]}"'
            )
        else:
            yield good(name, version)
    yield from (good(name, version) for name in _OPTIONAL if (version := _version(name)))


def kernel() -> Iterator[Finding]:
    """Find out whether the kernel "python3" is this Python."""
    try:
        from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    except ImportError:
        return
    try:
        program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        advice = f"Install one: {sys.executable} -m ipykernel install --sys-prefix"
        yield problem("kernel", "there is no kernel called python3", advice)
        return
    # A bare name stands for the Python that Jupyter runs on.
    if Path(program).name == program or Path(program).parent == Path(sys.executable).parent:
        yield good("kernel", "python3 is this Python")
    else:
        advice = "Set JUPYTER_PREFER_ENV_PATH=1, or start with nbvlm lab, which does."
        yield problem("kernel", f"python3 is another Python, {program}, perhaps without nbvlm", advice)


def extensions() -> Iterator[Finding]:
    """Find what JupyterLab and Notebook load in the page to show the panel."""
    try:
        from jupyter_core.paths import jupyter_config_path, jupyter_path
    except ImportError:
        return
    places = [Path(path) for path in jupyter_path("labextensions")]
    disabled = _disabled([Path(path) for path in jupyter_config_path()])
    for name, package in _EXTENSIONS.items():
        found = next((place / name for place in places if (place / name / "package.json").is_file()), None)
        check = f"extension {name.rpartition('/')[2]}"
        if found is None:
            advice = f"Install it in the environment that JupyterLab runs in: pip install {package}"
            yield problem(check, "not there: the panel would stay empty", advice)
        elif name in disabled:
            yield problem(check, "disabled", f"Enable it: jupyter labextension enable {name}")
        else:
            yield good(check, str(_read(found / "package.json").get("version", "there")))


def websocket() -> Iterator[Finding]:
    """Read the configured limit of a message between page and server."""
    try:
        from jupyter_server.serverapp import ServerApp
    except ImportError:
        return
    app = ServerApp()
    app.load_config_file(suppress_errors=True)
    settings = app.config.ServerApp.get("tornado_settings", {})
    limit = int(dict(settings).get("websocket_max_message_size", _TORNADO))
    found = f"{limit / _MIB:.3g} MiB a message"
    if limit > 2 * _PIECE:
        yield good("websocket", f"{found}; the panel sends pictures in pieces of {_PIECE // _MIB} MiB")
    else:
        setting = f'{{"websocket_max_message_size": {_TORNADO}}}'
        advice = f"Start Jupyter with --ServerApp.tornado_settings='{setting}'"
        yield problem("websocket", f"{found}: too little for pictures sent from the page", advice)
    rate = dict(app.config.ZMQChannelsWebsocketConnection).get("iopub_data_rate_limit")
    if rate is not None and rate < _MIB // 2:
        advice = "Start Jupyter with --ZMQChannelsWebsocketConnection.iopub_data_rate_limit=1e6"
        yield note("output rate", f"limited to {rate:.0f} bytes/s: pictures may be held back", advice)


def _wanted() -> dict[str, str]:
    """Read the lowest versions that the installed nbvlm asks for."""
    try:
        stated = metadata.requires("nbvlm") or []
    except metadata.PackageNotFoundError:
        return {}
    return {found[1].lower(): found[2] for text in stated if (found := _REQUIREMENT.match(text))}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _disabled(places: list[Path]) -> set[str]:
    """Collect the extensions that a page configuration switches off; what comes first in the path decides."""
    states: dict[str, bool] = {}
    for place in places:
        found = _read(place / "labconfig" / "page_config.json").get("disabledExtensions", {})
        for name, off in (found if isinstance(found, dict) else dict.fromkeys(found, True)).items():
            states.setdefault(name, bool(off))
    return {name for name, off in states.items() if off}


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
