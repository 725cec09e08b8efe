"""Ask vision-language models about pictures in a notebook.

>>> import nbvlm
>>> result = nbvlm.ask("cat.jpg", "detect cat")  # doctest: +SKIP
>>> result.detections  # doctest: +SKIP
"""

from __future__ import annotations

from nbvlm import _lazy
from nbvlm._version import __version__

TYPE_CHECKING = False  # type checkers know the name; `typing` takes longer to import than all the rest here
if TYPE_CHECKING:
    from typing import Any

    from nbvlm import demo as demo
    from nbvlm import endpoints as endpoints
    from nbvlm import prompts as prompts
    from nbvlm.batches import abatch as abatch
    from nbvlm.batches import batch as batch
    from nbvlm.batches import ibatch as ibatch
    from nbvlm.batches import map_partitions as map_partitions
    from nbvlm.batches import results as results
    from nbvlm.client import Asset as Asset
    from nbvlm.client import AsyncClient as AsyncClient
    from nbvlm.client import Client as Client
    from nbvlm.client import DetectionFound as DetectionFound
    from nbvlm.client import ReasoningDelta as ReasoningDelta
    from nbvlm.client import Status as Status
    from nbvlm.client import TextDelta as TextDelta
    from nbvlm.client import ask as ask
    from nbvlm.client import login as login
    from nbvlm.errors import AssetError as AssetError
    from nbvlm.errors import AuthenticationError as AuthenticationError
    from nbvlm.errors import DemoWarning as DemoWarning
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
    from nbvlm.grounding import Detection as Detection
    from nbvlm.grounding import Detections as Detections
    from nbvlm.grounding import Parser as Parser
    from nbvlm.grounding import Problem as Problem
    from nbvlm.grounding import compare as compare
    from nbvlm.grounding import evaluate as evaluate
    from nbvlm.grounding import parse as parse
    from nbvlm.images import Picture as Picture
    from nbvlm.panel import Panel as Panel
    from nbvlm.recording import record as record
    from nbvlm.recording import replay as replay
    from nbvlm.result import Result as Result

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    {
        "nbvlm.batches": "abatch batch ibatch map_partitions results",
        "nbvlm.client": "Asset AsyncClient Client DetectionFound ReasoningDelta Status TextDelta ask login",
        "nbvlm.errors": (
            "AssetError AuthenticationError DemoWarning Error ImageError NotFoundError ParameterError "
            "PromptError QuotaError RateLimitError ReplayMiss RequestRejected ServerError TimeoutError "
            "TransportError TruncatedStream"
        ),
        "nbvlm.grounding": "Detection Detections Parser Problem compare evaluate parse",
        "nbvlm.images": "Picture",
        "nbvlm.panel": "Panel",
        "nbvlm.recording": "record replay",
        "nbvlm.result": "Result",
    },
    modules=("demo", "endpoints", "prompts", "widgets"),
)
# The face of widgets holds inner parts of the panel beside those that are documented.
__all__ = ["__version__", *(name for name in __all__ if name != "widgets")]


def load_ipython_extension(shell: Any) -> None:
    """Register the magics `%vlm` and `%%vlm`: what `%load_ext nbvlm` calls."""
    from nbvlm import magics

    magics.load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Remove the magics: what `%unload_ext nbvlm` calls."""
    from nbvlm import magics

    magics.unload(shell)
