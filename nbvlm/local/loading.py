"""Load models, and keep as many in memory as asked for: one by default."""

from __future__ import annotations

import gc
import re
import threading
from typing import TYPE_CHECKING, Any

from nbvlm._optional import require
from nbvlm._text import reason
from nbvlm.errors import Error, ParameterError
from nbvlm.local import files, memory
from nbvlm.local.generation import Generation
from nbvlm.local.progress import Stopped

if TYPE_CHECKING:
    from nbvlm.local.options import LocalOptions
    from nbvlm.local.progress import Progress

__all__ = ["free", "keep", "load", "release"]

_LOADING = threading.Lock()  # one model is loaded at a time; held for as long as a download takes
# Guards what follows, for moments only: a client closes without waiting for a download.
_TABLE = threading.RLock()
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
    _most = models
    _make_room(_most)


def free() -> None:
    """Free the memory of all local models; the next question loads its model again."""
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
    if (found := _take(options, user)) is not None:
        return found
    with _LOADING:
        progress.check()
        if (found := _take(options, user)) is not None:  # loaded meanwhile
            return found
        found = _load(options, token, progress)
        with _TABLE:
            if user in _users.get(options, ()):
                _loaded[options] = found
                return found
    _drop(found)  # its last user went while it was loaded
    raise Stopped


def release(options: LocalOptions, user: int) -> None:
    """Free a model's memory when its last user is gone."""
    with _TABLE:
        users = _users.get(options, set())
        users.discard(user)
        if users:
            return
        _users.pop(options, None)
        found = _loaded.pop(options, None)
    if found is not None:
        _drop(found)


def _take(options: LocalOptions, user: int) -> Generation | None:
    """Note who needs a model, and return it where it is in memory."""
    with _TABLE:
        _users.setdefault(options, set()).add(user)
        if (found := _loaded.pop(options, None)) is not None:
            _loaded[options] = found  # the last one was asked for most recently
        return found


def _make_room(most: int, progress: Progress | None = None) -> None:
    """Free models until so many are left; with `progress`, those that answer may end first."""
    while True:
        with _TABLE:
            if len(_loaded) <= most:
                return
            options = next(iter(_loaded))
            found = _loaded.pop(options)
        if progress is not None:
            try:
                found.drain(progress.check)
            except Stopped:
                with _TABLE:
                    _loaded[options] = found
                raise
        _drop(found)


def _drop(model: Generation) -> None:
    model.close()
    gc.collect()  # modules refer to each other
    torch = require("torch", purpose="A local model", extra="local")
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()


def _load(options: LocalOptions, token: str | None, progress: Progress) -> Generation:
    torch = require("torch", purpose="A local model", extra="local")
    transformers = require("transformers", purpose="A local model", extra="local")
    memory.choose(options)  # report a missing device before any request or download
    if options.quantize is not None:
        require("bitsandbytes", purpose=f"quantize={options.quantize!r}")
    progress.begin("loading")
    device, dtype = memory.choose(options, _kind(transformers, options, token, progress))
    count = files.parameters(options, token)
    _make_room(_most - 1, progress)  # what is freed counts as free below
    if count is not None:
        memory.check(options, count, device, dtype)
    folder = files.folder(options, token, progress)
    if count is None:  # the site did not say it
        count = files.counted(folder)
        memory.check(options, count, device, dtype)
    total = int(memory.weights(count, options.quantize or dtype))
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


def _kind(transformers: Any, options: LocalOptions, token: str | None, progress: Progress) -> str:
    """Return a model's type, such as "paligemma"; refuse one without pictures before it is downloaded."""
    folder = files.config(options, token, progress).parent
    try:
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # noqa: BLE001 - as in _load
        raise _unloadable(options, error) from None
    if type(config) not in transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        raise _unknown(options)
    return str(config.model_type)


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
            f"There is not enough memory for {options.name}.",
            hint='Use a smaller model, quantize="4bit" on an NVIDIA GPU, or close other programs.',
        )
    if isinstance(error, ImportError):  # some families need packages of their own; the library names them
        found = re.search(r"pip install ([\w.\[\]-]+)", text)
        hint = f"Run: pip install {found[1]}" if found else "Install what it names."
        return Error(f"{options.name} needs a package that is not installed: {_first(text)}.", hint=hint)
    if "trust_remote_code" in text:
        return ParameterError(
            f"{options.name} needs code from its page, which nbvlm does not run.",
            hint="Choose a model that transformers itself knows.",
        )
    if "Unrecognized" in text or "does not recognize" in text or "model type" in text:
        return _unknown(options)
    if "image processor" in text or "processor" in text.partition(".")[0] or "tokenizer" in text:
        return Error(
            f"{options.name} lacks files of its processor or tokenizer: {_first(text)}.",
            hint="Save them beside the weights, processor.save_pretrained(folder), or download them again.",
        )
    if "mismatched" in text:
        return Error(
            f"The weights of {options.name} do not fit its config.json.", hint="Download or save it again."
        )
    return Error(
        f"{options.name} could not be loaded: {_first(text)}.", hint="Check the files, or download it again."
    )


def _first(text: str) -> str:
    """Return the first sentence: the library's further advice is for programs that call it."""
    return text.partition(". ")[0].rstrip(".")


def _unknown(options: LocalOptions) -> ParameterError:
    return ParameterError(
        f"{options.name} is not a vision-language model that this version of transformers knows.",
        hint="Choose another model, or run: pip install --upgrade transformers.",
    )
