"""Load models, and keep as many in memory as asked for: one by default."""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING, Any

from nbvlm._optional import require
from nbvlm._text import reason
from nbvlm.errors import Error, ParameterError
from nbvlm.local import files, memory
from nbvlm.local.generation import Generation

if TYPE_CHECKING:
    from nbvlm.local.options import LocalOptions
    from nbvlm.local.progress import Progress

__all__ = ["free", "keep", "load", "release"]

_LOADING = threading.RLock()  # one model is loaded at a time
_loaded: dict[LocalOptions, Generation] = {}  # the least recently asked for first
_users: dict[LocalOptions, set[int]] = {}
_most = 1


def keep(models: int) -> None:
    """Set how many models may be in memory at once; the one that was asked longest ago is freed first.

    Parameters
    ----------
    models
        1 or more; 1 by default.

    Raises
    ------
    ParameterError
        If it is not a positive integer.
    """
    global _most
    if not isinstance(models, int) or isinstance(models, bool) or models < 1:
        raise ParameterError(f"models must be a positive integer, got {models!r}.")
    with _LOADING:
        _most = models
        _make_room(_most)


def free() -> None:
    """Free the memory of all local models; the next question loads its model again."""
    with _LOADING:
        _make_room(0)


def load(options: LocalOptions, token: str | None, progress: Progress, user: int) -> Generation:
    """Return a model, loaded where it is not in memory.

    Parameters
    ----------
    options
        Which one.
    token
        Of Hugging Face, or None for the one that its own library finds.
    progress
        Follows and stops it.
    user
        Who needs it; it stays until `release` was called for each user, or another model takes its place.

    Raises
    ------
    Error
        If it cannot be found, does not fit into the memory, or is not of a kind that can be loaded.
    Stopped
        If `progress` was stopped.
    """
    with _LOADING:
        progress.check()
        _users.setdefault(options, set()).add(user)
        if (found := _loaded.pop(options, None)) is None:
            found = _load(options, token, progress)
        _loaded[options] = found
        return found


def release(options: LocalOptions, user: int) -> None:
    """Free a model's memory when its last user is gone."""
    users = _users.get(options, set())
    users.discard(user)
    if users:
        return
    with _LOADING:
        if not _users.get(options) and (found := _loaded.pop(options, None)) is not None:
            _users.pop(options, None)
            _drop(found)


def _make_room(most: int) -> None:
    while len(_loaded) > most:
        _drop(_loaded.pop(next(iter(_loaded))))


def _drop(model: Generation) -> None:
    model.close()
    del model
    gc.collect()  # modules refer to each other
    torch = require("torch", purpose="A local model", extra="local")
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()


def _load(options: LocalOptions, token: str | None, progress: Progress) -> Generation:
    torch = require("torch", purpose="A local model", extra="local")
    transformers = require("transformers", purpose="A local model", extra="local")
    device, dtype = memory.choose(options)
    if options.quantize is not None:
        require("bitsandbytes", purpose=f"quantize={options.quantize!r}")
    progress.begin("loading")
    count = files.parameters(options, token)
    _make_room(_most - 1)  # what is freed counts as free below
    if count is not None:
        memory.check(options, count, device, dtype)
    folder = files.folder(options, token, progress)
    total = None if count is None else int(memory.needed(count, options.quantize or dtype))
    progress.begin("loading", total, measure=_taken(torch, device))
    bars = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()
    try:
        processor = transformers.AutoProcessor.from_pretrained(folder, trust_remote_code=False)
        network = transformers.AutoModelForImageTextToText.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            device_map={"": device},
            trust_remote_code=False,
            **_quantization(transformers, torch, options, dtype),
        )
    except Exception as error:  # noqa: BLE001 - a library that reads a stranger's files raises anything
        raise _unloadable(options, error) from None
    finally:
        if bars:
            transformers.utils.logging.enable_progress_bar()
    progress.check()
    return Generation(network.eval(), processor, options.name)


def _quantization(transformers: Any, torch: Any, options: LocalOptions, dtype: str) -> dict[str, Any]:
    if options.quantize is None:
        return {}
    computes = {"bnb_4bit_compute_dtype": getattr(torch, dtype)} if options.quantize == "4bit" else {}
    made = transformers.BitsAndBytesConfig(**{f"load_in_{options.quantize}": True}, **computes)
    return {"quantization_config": made}


def _taken(torch: Any, device: str) -> Any:
    """Return a function that measures how many bytes have been taken on a device since now."""
    if device.startswith("cuda"):
        before = torch.cuda.memory_allocated(device)
        return lambda: torch.cuda.memory_allocated(device) - before
    if device == "mps":
        before = torch.mps.current_allocated_memory()
        return lambda: torch.mps.current_allocated_memory() - before
    psutil = require("psutil", purpose="A local model", extra="local")
    process = psutil.Process()
    before = process.memory_info().rss
    return lambda: process.memory_info().rss - before


def _unloadable(options: LocalOptions, error: Exception) -> Error:
    text = reason(error)
    if isinstance(error, MemoryError) or "out of memory" in text.lower():
        return Error(
            f"The memory is not enough for {options.name}.",
            hint='Use a smaller model, quantize="4bit" on an NVIDIA GPU, or close other programs.',
        )
    if "trust_remote_code" in text:
        return ParameterError(
            f"{options.name} needs code from its page, which nbvlm does not run.",
            hint="Choose a model that transformers itself knows.",
        )
    if "Unrecognized" in text or "does not recognize" in text or "model type" in text:
        return ParameterError(
            f"{options.name} is not a vision-language model that this version of transformers knows.",
            hint="Run: pip install --upgrade transformers. Or choose another model.",
        )
    return Error(
        f"{options.name} could not be loaded: {text}.", hint="Check the files, or download it again."
    )
