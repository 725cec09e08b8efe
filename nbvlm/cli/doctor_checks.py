"""Checks of `nbvlm doctor`; each yields findings."""

from __future__ import annotations

import json
import os
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbvlm._text import size
from nbvlm._version import __version__
from nbvlm.cli.findings import good, note, problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbvlm.cli.findings import Finding

__all__ = ["cache", "extensions", "kernel", "key", "local", "model", "packages", "python", "websocket"]

_SHOWN = ("jupyterlab", "ipykernel", "ipywidgets", "anywidget", "ipython")
_OPTIONAL = ("notebook", "voila", "jupyter-server")
_EXTENSIONS = {"@jupyter-widgets/jupyterlab-manager": "jupyterlab_widgets", "anywidget": "anywidget"}
_LAB = 'pip install "nbvlm[lab]"'
_REQUIREMENT = re.compile(r"([\w.-]+)>=([\d.]+)")
_MIB = 2**20
_PIECE, _TORNADO = _MIB, 10 * _MIB


def python() -> Iterator[Finding]:
    """Find the versions and places of Python and nbvlm."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield good("Python", f"{version}, {sys.executable}")
    yield good("nbvlm", f"{__version__}, {Path(__file__).parents[1]}")


def packages() -> Iterator[Finding]:
    """Compare Jupyter's packages with the versions that nbvlm requires."""
    required = _required()
    for name in _SHOWN:
        version = _version(name)
        if version is None:
            lab = name in ("jupyterlab", "ipykernel")
            advice = f"Install it: {_LAB}" if lab else "Install nbvlm again: pip install -U nbvlm"
            yield problem(name, "not installed", advice)
        elif _numbers(version) < _numbers(required.get(name, "0")):
            advice = f'Update it: pip install -U "{name}>={required[name]}"'
            yield problem(name, f"{version} is too old", advice)
        else:
            yield good(name, version)
    yield from (good(name, version) for name in _OPTIONAL if (version := _version(name)))


def kernel() -> Iterator[Finding]:
    """Check that the kernel "python3" is this Python."""
    try:
        from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    except ImportError:
        return
    try:
        program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        advice = f"Install it: {sys.executable} -m ipykernel install --sys-prefix"
        yield problem("kernel", "Jupyter has no kernel named python3", advice)
        return
    # A bare name stands for the Python that Jupyter runs on.
    if Path(program).name == program or Path(program).parent == Path(sys.executable).parent:
        yield good("kernel", "python3 is this Python")
    else:
        advice = "Set JUPYTER_PREFER_ENV_PATH=1, or start JupyterLab by nbvlm lab, which sets it."
        yield problem("kernel", f"python3 is another Python, {program}, which may lack nbvlm", advice)


def extensions() -> Iterator[Finding]:
    """Check the extensions that JupyterLab and Notebook need in the page to show the panel."""
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
            yield problem(check, "not installed, so the panel stays empty", advice)
        elif name in disabled:
            yield problem(check, "disabled", f"Enable it: jupyter labextension enable {name}")
        else:
            yield good(check, str(_read(found / "package.json").get("version", "there")))


def websocket() -> Iterator[Finding]:
    """Check the configured size limit of a message between page and server."""
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
        yield problem("websocket", f"{found}, too little for pictures sent from the page", advice)
    rate = dict(app.config.ZMQChannelsWebsocketConnection).get("iopub_data_rate_limit")
    if rate is not None and rate < _MIB // 2:
        advice = "Start Jupyter with --ZMQChannelsWebsocketConnection.iopub_data_rate_limit=1e6"
        yield note("output rate", f"limited to {rate:.0f} bytes/s, so pictures may be held back", advice)


def _required() -> dict[str, str]:
    """Return the lowest versions that the installed nbvlm requires."""
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
    """Collect the extensions that a page configuration disables; the first in the path decides."""
    states: dict[str, bool] = {}
    for place in places:
        found = _read(place / "labconfig" / "page_config.json").get("disabledExtensions", {})
        for name, off in (found if isinstance(found, dict) else dict.fromkeys(found, True)).items():
            states.setdefault(name, bool(off))
    return {name for name, off in states.items() if off}


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


_FREE = "keys are free at build.nvidia.com"


def key() -> Iterator[Finding]:
    """Find where the key for the hosted model comes from; the key itself is never shown."""
    from nbvlm.client import ENVIRONMENT, find_key
    from nbvlm.errors import AuthenticationError

    try:
        found = find_key()
    except AuthenticationError as error:
        yield problem("key", error.message.rstrip("."), error.hint or "")
        return
    if not found and ENVIRONMENT in os.environ:
        yield problem("key", f"{ENVIRONMENT} is set, but empty", "Set it to the whole key, or unset it.")
    elif found is None:
        advice = f"For the hosted model set {ENVIRONMENT}, or call nbvlm.login() in a notebook; {_FREE}."
        yield note("key", "not found, so the embedded model answers", advice)
    else:
        yield good("key", f"found in {found[1]}")


def cache() -> Iterator[Finding]:
    """Check the folder of downloaded files."""
    from nbvlm._files import VAE_OID, directory, expanded, sound

    folder = directory()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    by_hand = os.environ.get(VAE_OID.variable)
    held = by_hand or (str(folder) if sound(folder / VAE_OID.file, VAE_OID) else None)
    if by_hand and not sound(expanded(by_hand), VAE_OID):
        advice = f"Unset {VAE_OID.variable}, or set it to the path of the published {VAE_OID.file}."
        yield problem("cache", f"{VAE_OID.variable} does not name the published {VAE_OID.file}", advice)
    elif held:
        yield good("cache", f"{held}, with {VAE_OID.file} for the hosted model's masks")
    elif not there.is_dir() or not os.access(there, os.W_OK):
        advice = "Set NBVLM_CACHE to a folder that you can write; only masks of the hosted model need it."
        yield note("cache", f"{folder} cannot be written", advice)
    else:
        later = f"{VAE_OID.file} ({size(VAE_OID.size)}) is downloaded with the hosted model's first mask"
        yield good("cache", f"{folder}; {later}")


def model() -> Iterator[Finding]:
    """Ask the embedded model a question."""
    from nbvlm.client import Client
    from nbvlm.demo.gallery import GALLERY

    with Client("demo") as client:
        result = client.ask(GALLERY[0].picture(), "caption en")
    yield good("embedded model", f"answers in {result.timing.total_s:.2f} s")


def local() -> Iterator[Finding]:
    """Check whether PyTorch sees a GPU, and which models fit into its memory."""
    if _version("torch") is None or _version("transformers") is None:
        advice = 'To run PaliGemma on this computer: pip install "nbvlm[local]"'
        yield note("local models", "PyTorch and transformers are not installed", advice)
        return
    from nbvlm.local import device_memory, devices, fitting

    for device, title in devices().items():
        free = device_memory(device)
        fits = [str(fit) for fit in fitting(free, device=device)][:3]
        found = f"{title}, {free / 1e9:.1f} GB free"
        if fits:
            yield good("local models", f"{found}; fits: {', '.join(fits)}")
        else:
            yield note("local models", f"{found}; none of the models to advise fits", "Close other programs.")
