"""Ask vision-language models about pictures in a notebook.

>>> import nbvlm
>>> result = nbvlm.ask("cat.jpg", "detect cat")  # doctest: +SKIP
>>> result.detections  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbvlm.errors import (
        AssetError,
        AuthenticationError,
        Error,
        ImageError,
        NotFoundError,
        ParameterError,
        PromptError,
        QuotaError,
        RateLimitError,
        ReplayMiss,
        RequestRejected,
        ServerError,
        TimeoutError,  # noqa: A004 - the public name
        TransportError,
        TruncatedStream,
    )

_HOMES = {
    "nbvlm.errors": (
        "AssetError AuthenticationError Error ImageError NotFoundError ParameterError PromptError QuotaError "
        "RateLimitError ReplayMiss RequestRejected ServerError TimeoutError TransportError TruncatedStream"
    ),
    "nbvlm.client": "AsyncClient Client ask login",
    "nbvlm.events": "DetectionFound Status TextDelta",
    "nbvlm.images": "Picture",
    "nbvlm.assets": "Asset",
    "nbvlm.parser": "Parser parse",
    "nbvlm.detections": "Detection Detections Problem",
    "nbvlm.result": "Result",
    "nbvlm.panel": "Panel",
    "nbvlm.replay": "record replay",
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}
_MODULES = ("demo", "endpoints", "prompts")

__version__ = "0.1.0"
__all__ = ["__version__", *sorted(_HOME_OF), *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        value = getattr(importlib.import_module(_HOME_OF[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"nbvlm.{name}")
    else:
        raise AttributeError(f"module 'nbvlm' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
