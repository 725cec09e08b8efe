"""The files of a model: in a folder, in Hugging Face's cache, or downloaded into it with progress."""

from __future__ import annotations

import errno
import json
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbvlm._optional import require
from nbvlm._text import reason, size
from nbvlm.errors import (
    AuthenticationError,
    Error,
    NotFoundError,
    ParameterError,
    RateLimitError,
    TransportError,
)
from nbvlm.local.retries import Ended, bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nbvlm.local.options import LocalOptions
    from nbvlm.local.progress import Progress

__all__ = ["config", "counted", "folder", "parameters"]

_WANTED = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.model", "*.txt", "*.jinja"]
_UNWANTED = ["*/*", "consolidated*", "*.gguf", "*.onnx"]  # other forms of the same weights
_SITE = "huggingface.co"
_MORE_DISK = "Free some space, or set HF_HOME to a folder on another disk; whole files are kept."


def folder(options: LocalOptions, token: str | None, progress: Progress) -> Path:
    """Return the folder with a model's files, downloaded where they are not here yet.

    Raises
    ------
    AuthenticationError
        If the licence must be accepted, or a token is needed.
    NotFoundError
        If the site has no such model.
    TransportError
        If the site cannot be reached, and files are missing.
    Stopped
        If `progress` was stopped.
    """
    if options.folder is not None:
        return options.folder
    found: Path = _guarded(options, lambda hub: _download(hub, options, token, progress), progress)
    return found


def config(options: LocalOptions, token: str | None, progress: Progress) -> Path:
    """Return a model's config.json, downloaded where it is not here; raise as `folder` does."""
    if options.folder is not None:
        return options.folder / "config.json"

    def get(hub: Any) -> Path:
        name = "config.json"
        try:
            return Path(hub.hf_hub_download(options.model, name, token=token))
        except Ended as ended:
            return _here(hub, ended, lambda: hub.hf_hub_download(options.model, name, local_files_only=True))

    found: Path = _guarded(options, get, progress)
    return found


def parameters(options: LocalOptions, token: str | None) -> float | None:
    """Return how many weights a model has, from the heads of its files; None where the site does not say.

    Nothing large is downloaded.
    """
    if options.folder is not None:
        return counted(options.folder)

    def ask(hub: Any) -> float | None:
        found = hub.HfApi().model_info(options.model, token=token, timeout=10.0)
        counts = getattr(found.safetensors, "parameters", None) or {}
        return float(sum(counts.values())) or None

    try:
        found: float | None = _guarded(options, ask)
    except (RateLimitError, TransportError):  # without the site, files that are here already are enough
        return None
    return found


def counted(folder: Path) -> float:
    """Return how many weights the files of a folder have."""
    from nbvlm.local.memory import sizes

    return sizes(_weights(folder))


def _weights(folder: Path) -> list[Path]:
    found = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
    for index in folder.glob("*.safetensors.index.json"):
        missing = _parts(index) - {file.name for file in found}
        if missing:
            raise ParameterError(
                f"The folder {folder.name!r} lacks {', '.join(sorted(missing)[:3])}.",
                hint="Copy or download all parts of the weights.",
            )
    if not found:
        raise ParameterError(
            f"The folder {folder.name!r} has no weights.",
            hint="It must hold model.safetensors or its parts beside config.json.",
        )
    return found


def _parts(index: Path) -> set[str]:
    """Return the names of the files that an index of weights names."""
    try:
        return set(json.loads(index.read_text("utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        reason = f"{index.name} cannot be read ({type(error).__name__})."
        raise ParameterError(reason, hint="Download or save the model again.") from None


def _download(hub: Any, options: LocalOptions, token: str | None, progress: Progress) -> Path:
    try:
        listed = hub.snapshot_download(
            options.model,
            token=token,
            allow_patterns=_WANTED,
            ignore_patterns=_UNWANTED,
            dry_run=True,
            tqdm_class=progress.bar(counts=False),
        )
    except _unreachable(hub) as error:
        # The site is not reachable; what is here may be all that is needed.
        return _here(hub, error, lambda: hub.snapshot_download(options.model, local_files_only=True))
    missing = [file for file in listed if file.will_download]
    total = sum(file.file_size for file in missing)
    progress.begin("download", total, files=len(missing))
    _check_disk(options, Path(hub.constants.HF_HUB_CACHE), total)
    bar = progress.bar()
    with _plain_http(hub):
        paths = [
            hub.hf_hub_download(
                options.model, file.filename, token=token, revision=file.commit_hash, tqdm_class=bar
            )
            for file in listed
        ]
    return next(Path(path) for path in paths if Path(path).name == "config.json").parent


def _here(hub: Any, failure: Exception, find: Callable[[], str]) -> Path:
    """Return files that are here already; without them, raise why the site did not give them."""
    try:
        return Path(find())
    except hub.errors.LocalEntryNotFoundError:
        raise failure from None


def _check_disk(options: LocalOptions, cache: Path, total: int) -> None:
    """Refuse a download for which the disk has no room."""
    with suppress(OSError):
        there = next(path for path in (cache, *cache.parents) if path.exists())
        free = shutil.disk_usage(there).free
        if free < total:
            raise Error(
                f"The disk has {size(free)} free; the files of {options.model} need {size(total)}.",
                hint=_MORE_DISK,
            )


@contextmanager
def _plain_http(hub: Any) -> Iterator[None]:
    """Download by HTTP: Hugging Face's other way counts each byte twice, and cannot be stopped in a file."""
    before = hub.constants.HF_HUB_DISABLE_XET
    hub.constants.HF_HUB_DISABLE_XET = True
    try:
        yield
    finally:
        hub.constants.HF_HUB_DISABLE_XET = before


def _guarded(options: LocalOptions, work: Callable[[Any], Any], progress: Progress | None = None) -> Any:
    """Do something with Hugging Face's library; its errors become ours, without addresses or tokens."""
    hub = require("huggingface_hub", purpose="A local model", extra="local")
    require("huggingface_hub.errors", purpose="A local model", extra="local")
    try:
        with bounded(progress.check if progress is not None else lambda: None):
            return work(hub)
    except Error:
        raise
    except (Ended, OSError, ValueError, hub.errors.EntryNotFoundError, hub.errors.HTTPError) as error:
        raise _ours(hub, options, error) from None


def _unreachable(hub: Any) -> tuple[type[Exception], ...]:
    """Return the exceptions that the library raises if it cannot reach the site."""
    names = ("LocalEntryNotFoundError", "OfflineModeIsEnabled", "DryRunError")
    return (Ended, *(getattr(hub.errors, name) for name in names if hasattr(hub.errors, name)))


def _ours(hub: Any, options: LocalOptions, error: Exception) -> Error:
    """Convert an exception of the library, or of its dependencies, to an `Error`."""
    errors, page = hub.errors, f"{_SITE}/{options.model}"
    if isinstance(error, Ended):
        return (
            _refused(options, error.status, error.retry_after) if error.status else _missing(options, error)
        )
    if isinstance(error, errors.GatedRepoError):
        return AuthenticationError(
            f"{options.model} is open only to people who accepted its licence.",
            status=403,
            hint=f"Accept it at {page}, then pass a token of {_SITE}/settings/tokens "
            "as api_key=…, or set HF_TOKEN.",
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return NotFoundError(
            f"{_SITE} has no model {options.model!r}, or it is not open to this token.",
            status=404,
            hint=f"Check the id at {page}; a private model needs a token: api_key=…, or HF_TOKEN.",
        )
    if isinstance(error, _unreachable(hub)):
        return _missing(options, error)
    if isinstance(error, errors.EntryNotFoundError):
        return NotFoundError(
            f"{options.model} has no config.json, so transformers cannot load it.",
            hint="Choose a model whose page says Transformers.",
        )
    if isinstance(error, errors.HfHubHTTPError):
        return _refused(options, getattr(getattr(error, "response", None), "status_code", None))
    if isinstance(error, errors.HTTPError):  # what the library's own transport raises
        return TransportError(
            f"The connection to {_SITE} broke while {options.model} was downloaded.",
            hint="Check the network and ask again; whole files are kept.",
        )
    if isinstance(error, errors.HFValidationError):
        message = f"The folder {options.model!r} does not exist any more."
        return ParameterError(message, hint="Put it back, or choose another model.")
    return _unwritten(options, error)


def _unwritten(options: LocalOptions, error: Exception) -> Error:
    """Return the error for files that could not be written, or that did not come whole."""
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT):
        return Error(f"The disk is full: {options.model} could not be downloaded.", hint=_MORE_DISK)
    if number in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return Error(
            f"The folder for downloads cannot be written: {reason(error)}.",
            hint="Set HF_HOME to a folder that you can write, before Python starts.",
        )
    if "Consistency check failed" in str(error):
        return TransportError(
            f"A file of {options.model} came incomplete, and was not kept.",
            hint="Ask again; whole files are kept.",
        )
    return Error(
        f"{options.model} could not be downloaded: {reason(error)}.",
        hint="Check the network and the folder that HF_HOME names.",
    )


def _missing(options: LocalOptions, error: Exception) -> Error:
    """Return the error for files that are not here; the library says no more, whatever the site answered."""
    status = getattr(getattr(error.__cause__, "response", None), "status_code", None)
    if status is not None:
        return _refused(options, status)
    return TransportError(
        f"{options.model} is not on this computer, and {_SITE} cannot be reached.",
        hint="Check the network, or pass the folder of a copy: model='/path/to/model'.",
    )


def _refused(options: LocalOptions, status: int | None, retry_after: float | None = None) -> Error:
    """Return the error for a status of the site; its own text has addresses, which may be signed."""
    if status in (401, 403):
        hint = (
            f"Make a token that may read at {_SITE}/settings/tokens, pass it as api_key=…, or set HF_TOKEN."
        )
        return AuthenticationError(f"{_SITE} refuses the token ({status}).", status=status, hint=hint)
    if status == 429:
        hint = "Wait some minutes; with a token, api_key=… or HF_TOKEN, the site takes more requests."
        error = RateLimitError(f"{_SITE} takes no more requests for now (429).", status=429, hint=hint)
        error.retry_after = retry_after
        return error
    return TransportError(
        f"{_SITE} refused {options.model} ({status}).", status=status, hint="Try again later."
    )
