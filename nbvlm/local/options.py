"""Which model runs in this process, on which device, in which precision."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from nbvlm import endpoints
from nbvlm._text import did_you_mean
from nbvlm.errors import ParameterError

__all__ = ["DTYPES", "LocalOptions"]

ORIGIN = "http://local.nbvlm.localhost"
"""Never resolved: the transport stays in this process."""
DTYPES = ("auto", "bfloat16", "float16", "float32")
QUANTIZED = ("4bit", "8bit")
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?")
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """The model to load, and how.

    Attributes
    ----------
    model
        Id on Hugging Face, such as `"google/paligemma2-3b-mix-448"`, or a folder that holds a model.
    device
        `"auto"` (CUDA, else MPS, else CPU), `"cuda"`, `"cuda:1"`, `"mps"` or `"cpu"`.
    dtype
        `"auto"` (bfloat16 on a device that computes with it, else float16 on CUDA, else float32),
        `"bfloat16"`, `"float16"` or `"float32"`.
    quantize
        `"4bit"` or `"8bit"`, by bitsandbytes; None for whole weights.

    Raises
    ------
    ParameterError
        If one of them is not of these forms.

    Examples
    --------
    >>> LocalOptions("google/paligemma2-3b-mix-448").folder is None
    True
    """

    model: str
    device: str = "auto"
    dtype: str = "auto"
    quantize: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.model, os.PathLike):
            object.__setattr__(self, "model", os.fspath(self.model))
        if not isinstance(self.model, str) or not self.model.strip():
            raise ParameterError(
                "A local model needs a name.",
                hint='Pass model="google/paligemma2-3b-mix-448", another id of Hugging Face, or a folder.',
            )
        if not isinstance(self.device, str) or not _DEVICE.fullmatch(self.device):
            raise ParameterError(
                f"{self.device!r} is not a device.", hint='Use "auto", "cuda", "cuda:1", "mps" or "cpu".'
            )
        _one_of("dtype", self.dtype, DTYPES)
        if self.quantize is not None:
            _one_of("quantize", self.quantize, QUANTIZED)
        if self.folder is None and not _REPOSITORY.fullmatch(self.model):
            raise ParameterError(
                f"{self.model!r} is neither a folder here nor an id of Hugging Face.",
                hint="An id has the form owner/name. A folder must exist and hold config.json.",
            )

    @property
    def folder(self) -> Path | None:
        """The model's folder, or None where it is an id."""
        path = Path(self.model).expanduser()
        try:
            return path.absolute() if path.is_dir() and not self._is_only_id(path) else None
        except OSError:
            return None

    def _is_only_id(self, path: Path) -> bool:
        """Whether a folder of the same name as an id holds no model, such as a checkout of its documents."""
        return bool(_REPOSITORY.fullmatch(self.model)) and not (path / "config.json").is_file()

    @property
    def name(self) -> str:
        """The model's name in results: its id, or the architecture and its folder's name."""
        folder = self.folder
        if folder is None:
            return self.model.strip()
        kind = _architecture(folder)
        return folder.name if _plain(folder.name).startswith(_plain(kind)) else f"{kind}:{folder.name}"

    def endpoint(self) -> endpoints.Endpoint:
        """Describe the served model."""
        facts = endpoints.openai(f"{ORIGIN}/v1", self.name)
        note = "Runs in this process, by transformers."
        return replace(facts, name="local", loads=True, seed=True, pictures=1, note=note)


def _one_of(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        hint = did_you_mean(str(value), known).strip() or None
        raise ParameterError(f"{name} must be one of {', '.join(known)}, got {value!r}.", hint=hint)


def _plain(text: str) -> str:
    return "".join(char for char in text.lower() if char.isalnum())


def _architecture(folder: Path) -> str:
    """Read which architecture a folder's model has, such as "paligemma"."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        # qwen2_5_vl is Qwen2.5-VL: the form of the answers is chosen by the name.
        return re.sub(r"(?<=\d)_(?=\d)", ".", str(config["model_type"])).replace("_", "-")
    except FileNotFoundError:
        raise ParameterError(
            f"The folder {folder.name!r} holds no model.", hint="It must hold config.json and the weights."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"config.json of {folder.name!r} cannot be read ({type(error).__name__})."
        raise ParameterError(reason, hint="Save the model again with save_pretrained.") from None
