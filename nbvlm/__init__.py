"""Ask vision-language models about pictures in a notebook.

>>> import nbvlm
>>> result = nbvlm.ask("cat.jpg", "detect cat")  # doctest: +SKIP
>>> result.detections  # doctest: +SKIP
"""

from __future__ import annotations

import sys
from types import ModuleType

TYPE_CHECKING = False  # type checkers know the name; `typing` takes longer to import than all the rest here
if TYPE_CHECKING:
    from typing import Any

    from nbvlm import demo as demo
    from nbvlm import endpoints as endpoints
    from nbvlm import prompts as prompts
    from nbvlm.batches.api import abatch as abatch
    from nbvlm.batches.api import batch as batch
    from nbvlm.batches.api import ibatch as ibatch
    from nbvlm.batches.api import map_partitions as map_partitions
    from nbvlm.batches.api import results as results
    from nbvlm.client.client import AsyncClient as AsyncClient
    from nbvlm.client.client import Client as Client
    from nbvlm.client.client import ask as ask
    from nbvlm.client.client import login as login
    from nbvlm.client.flow.assets import Asset as Asset
    from nbvlm.client.flow.events import DetectionFound as DetectionFound
    from nbvlm.client.flow.events import Status as Status
    from nbvlm.client.flow.events import TextDelta as TextDelta
    from nbvlm.errors import AssetError as AssetError
    from nbvlm.errors import AuthenticationError as AuthenticationError
    from nbvlm.errors import Error as Error
    from nbvlm.errors import ImageError as ImageError
    from nbvlm.errors import NotFoundError as NotFoundError
    from nbvlm.errors import ParameterError as ParameterError
    from nbvlm.errors import PromptError as PromptError
    from nbvlm.errors import QuotaError as QuotaError
    from nbvlm.errors import RateLimitError as RateLimitError
    from nbvlm.errors import ReplayMiss as ReplayMiss
    from nbvlm.errors import RequestRejected as RequestRejected
    from nbvlm.errors import ServerError as ServerError
    from nbvlm.errors import TimeoutError as TimeoutError  # noqa: A004 - the public name
    from nbvlm.errors import TransportError as TransportError
    from nbvlm.errors import TruncatedStream as TruncatedStream
    from nbvlm.grounding.comparison import compare as compare
    from nbvlm.grounding.detections import Detection as Detection
    from nbvlm.grounding.detections import Detections as Detections
    from nbvlm.grounding.evaluation import evaluate as evaluate
    from nbvlm.grounding.parser import Parser as Parser
    from nbvlm.grounding.parser import parse as parse
    from nbvlm.grounding.problems import Problem as Problem
    from nbvlm.images.picture import Picture as Picture
    from nbvlm.panel import Panel as Panel
    from nbvlm.recording.transports import record as record
    from nbvlm.recording.transports import replay as replay
    from nbvlm.result.result import Result as Result

_HOMES = {
    "nbvlm.client.flow.assets": "Asset",
    "nbvlm.batch": "abatch batch ibatch map_partitions results",
    "nbvlm.client": "AsyncClient Client ask login",
    "nbvlm.compare": "compare",
    "nbvlm.grounding.detections": "Detection Detections",
    "nbvlm.errors": (
        "AssetError AuthenticationError Error ImageError NotFoundError ParameterError PromptError QuotaError "
        "RateLimitError ReplayMiss RequestRejected ServerError TimeoutError TransportError TruncatedStream"
    ),
    "nbvlm.grounding.evaluation": "evaluate",
    "nbvlm.client.flow.events": "DetectionFound Status TextDelta",
    "nbvlm.images": "Picture",
    "nbvlm.panel": "Panel",
    "nbvlm.grounding.parser": "Parser parse",
    "nbvlm.grounding.problems": "Problem",
    "nbvlm.replay": "record replay",
    "nbvlm.result": "Result",
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}
_MODULES = ("demo", "endpoints", "prompts")

__version__ = "0.1.0"
__all__ = ["__version__", *sorted(_HOME_OF), *_MODULES]


class _Face(ModuleType):
    """Keeps a function such as `nbvlm.replay` when the module of the same name is imported."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Face


def __getattr__(name: str) -> Any:
    import importlib

    if name in _HOME_OF:
        value = getattr(importlib.import_module(_HOME_OF[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"nbvlm.{name}")
    else:
        raise AttributeError(f"module 'nbvlm' has no attribute {name!r}")
    globals()[name] = value
    return value


def load_ipython_extension(shell: Any) -> None:
    """Bring the magics `%vlm` and `%%vlm`: what `%load_ext nbvlm` calls."""
    from nbvlm.magics import magic

    magic.load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Take the magics away again: what `%unload_ext nbvlm` calls."""
    from nbvlm.magics import magic

    magic.unload(shell)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
