"""How much memory a model needs, how much a device has, and what would fit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbvlm._optional import require
from nbvlm.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nbvlm.local.options import LocalOptions

__all__ = [
    "KNOWN",
    "Fit",
    "check",
    "choose",
    "device_memory",
    "devices",
    "fitting",
    "needed",
    "sizes",
    "weights",
]

KNOWN: Mapping[str, float] = {
    "google/paligemma2-28b-mix-448": 27.7e9,
    "google/paligemma2-10b-mix-448": 9.7e9,
    "google/paligemma2-3b-mix-448": 3.0e9,
    "google/paligemma2-3b-mix-224": 3.0e9,
    "Qwen/Qwen3-VL-8B-Instruct": 8.8e9,
    "Qwen/Qwen3-VL-2B-Instruct": 2.1e9,
    "HuggingFaceTB/SmolVLM-256M-Instruct": 0.26e9,
}
"""Parameters of models to advise, the largest PaliGemma first; rounded, from their cards."""

_BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "8bit": 1.1, "4bit": 0.65}
"""Bytes a parameter; quantised weights keep their scales, and embeddings stay whole."""
_DEVICES = {"cuda": "The GPU", "mps": "This Mac", "cpu": "This computer"}
_WIDE = ("gemma3", "shieldgemma2")
"""Types of models whose numbers exceed float16: their answers come out empty in it."""
_SPARE = 0.12  # of the weights: activations, keys and values, and what the library holds while it loads
_FLOOR = 300e6  # bytes for the same of a small model
_GB = 1e9


@dataclass(frozen=True, slots=True)
class Fit:
    """A model that fits.

    Attributes
    ----------
    model
        Its id.
    dtype
        Precision, or the quantisation.
    bytes
        Estimated need.
    """

    model: str
    dtype: str
    bytes: float

    def __str__(self) -> str:
        return f"{self.model} in {self.dtype} ({self.bytes / _GB:.1f} GB)"


def needed(parameters: float, dtype: str) -> float:
    """Estimate the bytes that a model needs while it answers.

    Parameters
    ----------
    parameters
        Number of weights.
    dtype
        `"float32"`, `"bfloat16"`, `"float16"`, `"8bit"` or `"4bit"`.

    Examples
    --------
    >>> round(needed(3.0e9, "bfloat16") / 1e9, 1)
    6.7
    """
    bytes_ = weights(parameters, dtype)
    return bytes_ + max(_SPARE * bytes_, _FLOOR)


def weights(parameters: float, dtype: str) -> float:
    """Return the bytes of the weights alone; parameters as `needed`."""
    return parameters * _BYTES[dtype]


def devices() -> dict[str, str]:
    """Return the devices that PyTorch sees, with their titles; "cpu" is the last."""
    torch = require("torch", purpose="A local model", extra="local")
    found = {}
    if torch.cuda.is_available():
        found = {f"cuda:{n}": torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())}
    if torch.backends.mps.is_available():
        found["mps"] = "Apple GPU"
    return found | {"cpu": f"no GPU, PyTorch {torch.__version__}" if not found else "this computer"}


def device_memory(device: str) -> float:
    """Return the bytes that are free on a device; "cpu" is this computer, within its control group."""
    torch = require("torch", purpose="A local model", extra="local")
    if device.startswith("cuda"):
        return float(torch.cuda.mem_get_info(torch.device(device))[0])
    if device == "mps":
        return float(torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory())
    psutil = require("psutil", purpose="A local model", extra="local")
    return min(float(psutil.virtual_memory().available), _group_left())


def _group_left() -> float:
    """Return the bytes that a container's control group leaves; infinite without a limit."""
    for most, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            root = Path("/sys/fs/cgroup")
            return float(int((root / most).read_text()) - int((root / used).read_text()))
        except (OSError, ValueError):  # "max" means no limit
            continue
    return float("inf")


def sizes(files: Iterable[Path]) -> float:
    """Count the parameters in weight files; files other than safetensors count two bytes a parameter."""
    safetensors = require("safetensors", purpose="A local model", extra="local")
    total = 0.0
    for file in files:
        if file.suffix != ".safetensors":
            total += file.stat().st_size / 2
            continue
        try:
            with safetensors.safe_open(file, framework="pt") as opened:
                for name in opened.keys():  # noqa: SIM118 - not a dictionary
                    total += math.prod(opened.get_slice(name).get_shape(), start=1.0)
        except safetensors.SafetensorError as error:
            raise ParameterError(
                f"{file.name} is damaged ({error}).", hint="Download or save the model again."
            ) from None
    return total


def fitting(free: float, *, device: str = "cuda", names: Mapping[str, float] = KNOWN) -> list[Fit]:
    """Return what fits into so many bytes of a device, each in its best precision, the largest first."""
    # Without a GPU, float32 is the precision that is taken where none is asked for.
    precisions = {"cuda": ("bfloat16", "8bit", "4bit"), "cpu": ("float32", "bfloat16")}.get(
        device.partition(":")[0], ("bfloat16",)
    )
    found = []
    for name, parameters in names.items():
        for dtype in precisions:
            if (need := needed(parameters, dtype)) <= free:
                found.append(Fit(name, dtype, need))
                break
    return found


def check(options: LocalOptions, parameters: float, device: str, dtype: str) -> None:
    """Refuse a model that does not fit, before anything is loaded.

    Raises
    ------
    ParameterError
        With what would fit.
    """
    free, need = device_memory(device), needed(parameters, options.quantize or dtype)
    if need <= free:
        return
    own = fitting(free, device=device, names={options.name: parameters})
    others = {name: count for name, count in KNOWN.items() if name != options.name}
    found = (*own, *fitting(free, device=device, names=others)[:2])
    fits = " or ".join(map(str, found))
    where = _DEVICES[device.partition(":")[0]]
    raise ParameterError(
        f"{options.name} needs about {need / _GB:.1f} GB in {options.quantize or dtype}; "
        f"{where} has {free / _GB:.1f} GB free.",
        hint=f"What fits: {fits}." if fits else 'Close other programs, or use nbvlm.Client("demo").',
    )


def choose(options: LocalOptions, kind: str = "") -> tuple[str, str]:
    """Return the device and the precision that the options mean on this computer, for a type of model."""
    torch = require("torch", purpose="A local model", extra="local")
    device = options.device
    if device == "auto":
        device = (
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    elif device.startswith("cuda"):
        number = int(device.partition(":")[2] or 0)
        if not torch.cuda.is_available() or number >= torch.cuda.device_count():
            raise ParameterError(
                f"PyTorch finds no GPU {device!r} here.",
                hint='Use device="auto", or install PyTorch for CUDA.',
            )
    elif device == "mps" and not torch.backends.mps.is_available():
        raise ParameterError("PyTorch finds no Apple GPU here.", hint='Use device="auto".')
    if options.quantize is not None and not device.startswith("cuda"):
        raise ParameterError(
            f"quantize={options.quantize!r} needs an NVIDIA GPU; this device is {device!r}.",
            hint="Leave it out.",
        )
    if options.dtype != "auto":
        return device, options.dtype
    if device.startswith("cuda"):
        with torch.cuda.device(device):
            computes = torch.cuda.is_bf16_supported(including_emulation=False)
        return device, "bfloat16" if computes else "float32" if kind.startswith(_WIDE) else "float16"
    return device, "bfloat16" if device == "mps" and _computes(torch, device) else "float32"


def _computes(torch: Any, device: str) -> bool:
    """Whether a device computes with bfloat16."""
    try:
        torch.ones(1, dtype=torch.bfloat16, device=device).add(1)
    except (RuntimeError, TypeError):
        return False
    return True
