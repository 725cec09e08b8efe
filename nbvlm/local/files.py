"""The files of a model: in a folder, in Hugging Face's cache, or downloaded into it with progress."""

from __future__ import annotations

import errno
import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbvlm._optional import require
from nbvlm._text import reason
from nbvlm.errors import (
    AuthenticationError,
    Error,
    NotFoundError,
    ParameterError,
    RateLimitError,
    TransportError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nbvlm.local.options import LocalOptions
    from nbvlm.local.progress import Progress

__all__ = ["config", "folder", "parameters"]

_WANTED = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.model", "*.txt", "*.jinja"]
_UNWANTED = ["*/*", "consolidated*", "*.gguf", "*.onnx"]  # other forms of the same weights
_SITE = "huggingface.co"


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
    found: Path = _guarded(options, lambda hub: _download(hub, options, token, progress))
    return found


def config(options: LocalOptions, token: str | None) -> Path:
    """Return a model's config.json, downloaded where it is not here; raise as `folder` does."""
    if options.folder is not None:
        return options.folder / "config.json"
    found: Path = _guarded(
        options, lambda hub: Path(hub.hf_hub_download(options.model, "config.json", token=token))
    )
    return found


def parameters(options: LocalOptions, token: str | None) -> float | None:
    """Return how many weights a model has, from the heads of its files; None where the site does not say.

    Nothing large is downloaded.
    """
    if options.folder is not None:
        from nbvlm.local.memory import sizes

        return sizes(_weights(options.folder))

    def ask(hub: Any) -> float | None:
        found = hub.HfApi().model_info(options.model, token=token, timeout=10.0)
        counts = getattr(found.safetensors, "parameters", None) or {}
        return float(sum(counts.values())) or None

    try:
        found: float | None = _guarded(options, ask)
    except TransportError:  # without a network, files that are here already are enough
        return None
    return found


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
    except (hub.errors.LocalEntryNotFoundError, hub.errors.OfflineModeIsEnabled):
        # The site is not reachable; what is here may be all that is needed.
        return Path(hub.snapshot_download(options.model, local_files_only=True))
    missing = [file for file in listed if file.will_download]
    progress.begin("download", sum(file.file_size for file in missing), files=len(missing))
    bar = progress.bar()
    with _plain_http(hub):
        paths = [
            hub.hf_hub_download(
                options.model, file.filename, token=token, revision=file.commit_hash, tqdm_class=bar
            )
            for file in listed
        ]
    return next(Path(path) for path in paths if Path(path).name == "config.json").parent


@contextmanager
def _plain_http(hub: Any) -> Iterator[None]:
    """Download by HTTP: Hugging Face's other way counts each byte twice, and cannot be stopped in a file."""
    before = hub.constants.HF_HUB_DISABLE_XET
    hub.constants.HF_HUB_DISABLE_XET = True
    try:
        yield
    finally:
        hub.constants.HF_HUB_DISABLE_XET = before


def _guarded(options: LocalOptions, work: Callable[[Any], Any]) -> Any:
    """Do something with Hugging Face's library; its errors become ours, without addresses or tokens."""
    hub = require("huggingface_hub", purpose="A local model", extra="local")
    page = f"{_SITE}/{options.model}"
    try:
        return work(hub)
    except hub.errors.GatedRepoError:
        raise AuthenticationError(
            f"{options.model} is open to people who accepted its licence.",
            status=403,
            hint=f"Accept it at {page}, then pass a token of {_SITE}/settings/tokens "
            "as api_key=…, or set HF_TOKEN.",
        ) from None
    except hub.errors.RepositoryNotFoundError:
        raise NotFoundError(
            f"{_SITE} has no model {options.model!r}, or it is not open to this token.",
            status=404,
            hint=f"Check the id at {page}; a private model needs a token: api_key=…, or HF_TOKEN.",
        ) from None
    except hub.errors.LocalEntryNotFoundError as error:
        raise _missing(options, error) from None
    except hub.errors.EntryNotFoundError:
        raise NotFoundError(
            f"{options.model} has no config.json, so transformers cannot load it.",
            hint="Choose a model whose page says Transformers.",
        ) from None
    except Error:
        raise
    except hub.errors.HfHubHTTPError as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        raise _refused(options, status) from None
    except hub.errors.HTTPError:  # what the library's own transport raises
        raise TransportError(
            f"The connection to {_SITE} broke while {options.model} was downloaded.",
            hint="Check the network and ask again; whole files are kept.",
        ) from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise Error(
                f"The disk is full: {options.model} could not be downloaded.",
                hint="Free some space, or set HF_HOME to a folder on another disk; whole files are kept.",
            ) from None
        raise Error(
            f"{options.model} could not be downloaded: {reason(error)}.",
            hint="Check the network and the folder that HF_HOME names.",
        ) from None


def _missing(options: LocalOptions, error: Exception) -> Error:
    """Return the error for files that are not here; the library says no more, whatever the site answered."""
    status = getattr(getattr(error.__cause__, "response", None), "status_code", None)
    if status is not None:
        return _refused(options, status)
    return TransportError(
        f"{options.model} is not on this computer, and {_SITE} cannot be reached.",
        hint="Check the network, or pass the folder of a copy: model='/path/to/model'.",
    )


def _refused(options: LocalOptions, status: int | None) -> Error:
    """Return the error for a status of the site; its own text has addresses, which may be signed."""
    if status in (401, 403):
        hint = (
            f"Make a token that may read at {_SITE}/settings/tokens, pass it as api_key=…, or set HF_TOKEN."
        )
        return AuthenticationError(f"{_SITE} refuses the token ({status}).", status=status, hint=hint)
    if status == 429:
        hint = "Wait some minutes; with a token, api_key=… or HF_TOKEN, the site takes more requests."
        return RateLimitError(f"{_SITE} takes no more requests for now (429).", status=429, hint=hint)
    return TransportError(
        f"{_SITE} refused {options.model} ({status}).", status=status, hint="Try again later."
    )
