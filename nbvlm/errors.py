"""The errors that nbvlm raises.

Error
├── ImageError          the picture cannot be read or sent             (also ValueError)
├── PromptError         the prompt cannot be sent                      (also ValueError)
├── ParameterError      a parameter is outside its published range     (also ValueError)
├── AuthenticationError 401, 403: the key is missing or refused
├── QuotaError          402: no credits left
├── NotFoundError       404, 410: the model or asset is gone
├── RateLimitError      429: too many requests
├── RequestRejected     400, 422: the service refused the request body
├── AssetError          an upload to, or a deletion from, the asset service failed
├── ServerError         5xx: the service failed
├── TransportError      no connection, or it broke                     (also ConnectionError)
│   └── TruncatedStream the answer stopped before its end; `.text` holds what came
├── TimeoutError        a deadline passed                              (also builtins.TimeoutError)
└── ReplayMiss          the recording has no such exchange             (also LookupError)

DemoWarning             the embedded model answers for lack of a key   (a UserWarning)
"""

from __future__ import annotations

import builtins
from typing import Any

_LATER = frozenset({407, 408, 409, 421, 425, 429, 499})
"""Refusals of the moment, of a proxy's key, or of one connection: the same request may be answered later."""

__all__ = [
    "AssetError",
    "AuthenticationError",
    "DemoWarning",
    "Error",
    "ImageError",
    "NotFoundError",
    "ParameterError",
    "PromptError",
    "QuotaError",
    "RateLimitError",
    "ReplayMiss",
    "RequestRejected",
    "ServerError",
    "TimeoutError",
    "TransportError",
    "TruncatedStream",
]


class Error(Exception):
    """Root of all errors that nbvlm raises.

    Parameters
    ----------
    message
        One sentence about the failure.
    status
        HTTP status code, where a response was received.
    request_id
        The service's id of the request, for a support question.
    detail
        The service's own words, redacted and parsed where possible.
    hint
        One sentence about the next step.

    Attributes
    ----------
    message, status, request_id, detail, hint
        As given.
    retry_after
        Seconds to wait before the next try, where the service named them.
    gone
        Why the model cannot answer, whatever is asked: "retired", "withdrawn" (not open to this account),
        "unknown", "offline", "failing", "blind" (it does not see) or "unloadable" (in this process); None for
        any other failure.
    alternatives
        Names of models to ask instead, for `nbvlm.Client`, where the model is gone.
    private
        Whether an address was refused because it leads to a private network; `allow_private=True` takes it.
    final
        Whether asking the same again is of no use.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        request_id: str | None = None,
        detail: Any = None,
        hint: str | None = None,
    ) -> None:
        message = _encodable(message)
        super().__init__(message)
        self.message = message
        self.status = status
        self.request_id = request_id
        self.detail = detail
        self.hint = None if hint is None else _encodable(hint)
        self.retry_after: float | None = None
        self.gone: str | None = None
        self.alternatives: tuple[str, ...] = ()
        self.private = False

    def __str__(self) -> str:
        """Message, hint and request id, in this order, as one paragraph."""
        request = f"(request {self.request_id})" if self.request_id else None
        return " ".join(part for part in (self.message, self.hint, request) if part)

    @property
    def final(self) -> bool:
        """Whether the same question would fail again: the fault lies in its picture, prompt or parameters."""
        if isinstance(self, RequestRejected):
            return self.status not in _LATER
        return isinstance(self, (ImageError, PromptError, ParameterError))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message,), dict(self.__dict__)


def _encodable(text: str) -> str:
    """Write lone surrogates, as in file names that are not UTF-8, as escapes: every stream takes the text."""
    return text.encode("utf-8", "backslashreplace").decode()


class ImageError(Error, ValueError):
    """The picture cannot be read, or cannot be sent."""


class PromptError(Error, ValueError):
    """The prompt is empty or cannot be sent."""


class ParameterError(Error, ValueError):
    """A parameter is outside the endpoint's published range."""


class AuthenticationError(Error):
    """The key is missing or was refused (401, 403)."""


class QuotaError(Error):
    """The account has no credits left (402)."""


class NotFoundError(Error):
    """The model, asset or path does not exist, or not any more (404, 410)."""


class RateLimitError(Error):
    """Too many requests (429)."""


class RequestRejected(Error):
    """The service refused the request body (400, 422)."""


class AssetError(Error):
    """The asset service failed to take, list or delete an asset."""


class ServerError(Error):
    """The service failed (5xx)."""


class TransportError(Error, ConnectionError):
    """There was no connection, or it broke."""


class TruncatedStream(TransportError):
    """The answer stopped before its end.

    Attributes
    ----------
    text
        The text that arrived.
    """

    text: str = ""


class TimeoutError(Error, builtins.TimeoutError):  # noqa: A001 - the public name, fixed
    """A deadline passed."""


class ReplayMiss(Error, LookupError):
    """The recording holds no exchange for this picture, prompt and parameters.

    Attributes
    ----------
    nearest
        The recorded question with the most similar prompt, preferably about the same picture: it has
        `prompt`, `parameters`, and the `name` of its picture. None for an empty recording.
    """

    nearest: Any = None


class DemoWarning(UserWarning):
    """No key was found, so the embedded model answers: a warning, once a process.

    `nbvlm.Client("demo")` chooses the embedded model, and does not warn.

    Parameters
    ----------
    message
        Its text.

    Examples
    --------
    >>> import warnings
    >>> warnings.simplefilter("ignore", DemoWarning)  # doctest: +SKIP
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(message)


def __dir__() -> list[str]:
    return sorted(__all__)
