"""What went wrong, as a card: what happened, what to do, the details folded, and buttons that do it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anywidget

from nbvlm import endpoints, errors
from nbvlm.client import redact
from nbvlm.widgets import status_text
from nbvlm.widgets.esm import script, style

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbvlm.endpoints import Endpoint

__all__ = ["Action", "Alert", "card"]

#: Seconds to wait after a 429 that does not say how long: the hosted limit is counted by the minute.
MINUTE = 60.0
LONGEST = 4000  # characters of the details
_OFFERED = 2  # siblings of a retired model


@dataclass(frozen=True, slots=True)
class Action:
    """A button of a card: what its press is called, and what it says."""

    id: str
    label: str


AGAIN = Action("again", "Ask again")
KEY = Action("key", "Enter a key")
DEMO = Action("model:demo", "Ask the demo model")
RECORDING = Action("recording", "Play a recording")
SHRINK = Action("shrink", "Shrink the picture and ask")
RESET = Action("reset", "Reset the parameters")
PROMPT = Action("prompt", "Write a prompt")
MODELS = Action("models", "Choose a model")
UPLOAD = Action("upload", "Choose another file")

_Kind = type[BaseException]
_TITLES: tuple[tuple[_Kind, str], ...] = (
    (errors.PromptError, "The prompt cannot be sent"),
    (errors.ParameterError, "A value cannot be sent"),
    (errors.ImageError, "The picture cannot be used"),
    (errors.AuthenticationError, "The key does not open this model"),
    (errors.QuotaError, "No credits are left"),
    (errors.NotFoundError, "This model is not there"),
    (errors.RateLimitError, "Too many requests"),
    (errors.RequestRejected, "The service refused the request"),
    (errors.AssetError, "The picture could not be uploaded"),
    (errors.ServerError, "The service failed"),
    (errors.TruncatedStream, "The answer broke off"),
    (errors.TransportError, "No connection"),
    (errors.TimeoutError, "It took too long"),
    (errors.ReplayMiss, "The recording has no such answer"),
)


def card(
    error: BaseException, endpoint: Endpoint, *, asking: bool = False, origin: str | None = None
) -> dict[str, Any]:
    """Describe a failure for the page.

    Parameters
    ----------
    error
        What was raised. Only nbvlm's own errors are quoted, for their texts are free of keys by construction;
        of any other error the type alone is told.
    endpoint
        The model that was, or would have been, asked.
    asking
        Whether an answer was under way.
    origin
        Where the model is asked, if not where it is by itself.

    Returns
    -------
    dict
        `title`, `message`, `hint`, `details` (pairs of name and text), `actions` (`id` and `label`), and
        `seconds` to wait before asking again, or None.
    """
    actions = _actions(error, endpoint) if asking else _quiet_actions(error)
    return {
        **status_text.failure(error),
        "title": _title(error),
        "details": _details(error, endpoint, origin or endpoint.base_url),
        "actions": [{"id": action.id, "label": action.label} for action in actions],
        "seconds": _wait(error) if asking else None,
    }


_LOST_ASSET = "failed to find asset"


def _title(error: BaseException) -> str:
    status = getattr(error, "status", None)
    if isinstance(error, errors.NotFoundError) and status == 410:
        return "This model has been retired"
    if isinstance(error, errors.AuthenticationError) and status is None:
        return "A key is needed"
    if isinstance(error, errors.NotFoundError) and _LOST_ASSET in error.message:
        return "The uploaded picture is gone"
    return next((title for kind, title in _TITLES if isinstance(error, kind)), "Something went wrong")


def _wait(error: BaseException) -> float | None:
    if not isinstance(error, errors.RateLimitError):
        return None
    asked = getattr(error, "retry_after", None)
    return MINUTE if asked is None else float(asked)


def _quiet_actions(error: BaseException) -> Sequence[Action]:
    """Nothing was asked: there is nothing to ask again."""
    return [UPLOAD] if isinstance(error, errors.ImageError) else []


def _actions(error: BaseException, endpoint: Endpoint) -> Sequence[Action]:
    found = next((make for kind, make in _MAKERS if isinstance(error, kind)), _again_or_demo)
    offered = found(error, endpoint)
    return [action for action in offered if action.id != f"model:{endpoint.name}"]


def _again_or_demo(error: BaseException, _endpoint: Endpoint) -> Sequence[Action]:
    status = getattr(error, "status", None)
    return [AGAIN, DEMO] if status is None or status >= 500 else [AGAIN]


def _other_models(error: BaseException, endpoint: Endpoint) -> Sequence[Action]:
    text = str(error)
    if _LOST_ASSET in text:
        return [AGAIN, SHRINK]
    if "request that it was working on" in text:
        return [AGAIN]
    others = [name for name in _siblings(endpoint) if name != endpoint.name][:_OFFERED]
    return [DEMO, *(Action(f"model:{name}", f"Ask {endpoints.get(name).model}") for name in others), MODELS]


def _siblings(endpoint: Endpoint) -> Sequence[str]:
    if endpoint.dialect != "nvidia":
        return ()
    return [name for name, entry in endpoints.ENDPOINTS.items() if entry.streams and name != "demo"]


def _rejected(error: BaseException, _endpoint: Endpoint) -> Sequence[Action]:
    text = str(error).lower()
    large = getattr(error, "status", None) == 413 or any(word in text for word in ("large", "size", "180"))
    return [SHRINK, AGAIN] if large else [RESET, AGAIN]


_Maker = "Callable[[BaseException, Endpoint], Sequence[Action]]"
_MAKERS: tuple[tuple[_Kind, Any], ...] = (
    (errors.PromptError, lambda _error, _endpoint: [PROMPT]),
    (errors.ParameterError, lambda _error, _endpoint: [RESET]),
    (errors.ImageError, lambda _error, _endpoint: [UPLOAD]),
    (errors.AuthenticationError, lambda _error, _endpoint: [KEY, DEMO]),
    (errors.QuotaError, lambda _error, _endpoint: [KEY, DEMO]),
    (errors.NotFoundError, _other_models),
    (errors.RateLimitError, lambda _error, _endpoint: [AGAIN, DEMO]),
    (errors.RequestRejected, _rejected),
    (errors.AssetError, lambda _error, _endpoint: [SHRINK, AGAIN]),
    (errors.TransportError, lambda _error, _endpoint: [AGAIN, DEMO, RECORDING]),
    (errors.ReplayMiss, lambda _error, _endpoint: [DEMO]),
)


def _details(error: BaseException, endpoint: Endpoint, origin: str) -> list[list[str]]:
    from nbvlm._version import __version__

    told = [
        ("Error", type(error).__name__),
        ("Status", getattr(error, "status", None)),
        ("Request", getattr(error, "request_id", None)),
        ("Model", f"{endpoint.model} at {origin}"),
        ("nbvlm", __version__),
        ("The service said", _said(getattr(error, "detail", None))),
    ]
    return [[name, redact(str(text))[:LONGEST]] for name, text in told if text not in (None, "")]


def _said(detail: Any) -> str | None:
    if detail is None or isinstance(detail, str):
        return detail
    return json.dumps(
        redact(detail), indent=2, ensure_ascii=False, default=lambda value: type(value).__name__
    )


class Alert(anywidget.AnyWidget):  # type: ignore[misc] # the base class has no types
    """Shows one failure at a time, or none.

    Parameters
    ----------
    on_act
        Called with the message of a press: `action` is the id of a card's action. "again" never comes: the
        page presses Run itself, so that what the fields say travels with it.
    """

    _esm = script("error_card")
    _css = style("error_card")

    def __init__(self, on_act: Callable[[Mapping[str, Any]], None]) -> None:
        self._card: dict[str, Any] | None = None
        super().__init__()
        self.add_class("nbvlm-alert")
        self._on_act = on_act
        self.on_msg(Alert.take)

    @property
    def card(self) -> dict[str, Any] | None:
        """What is shown; see `nbvlm.widgets.error_card.card`."""
        return self._card

    def show(self, card: Mapping[str, Any] | None) -> None:
        """Show a card in place of the last one, or none."""
        self._card = None if card is None else dict(card)
        self.send({"type": "card", "card": self._card})

    def clear(self) -> None:
        """Take the card away, if there is one."""
        if self._card is not None:
            self.show(None)

    def take(self, message: Mapping[str, Any], _buffers: Sequence[memoryview]) -> None:
        """Take one message of the page."""
        if message.get("type") == "hello":
            self.send({"type": "card", "card": self._card})
        elif message.get("type") == "close":
            self._card = None
        else:
            self._on_act(message)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._card['title'] if self._card else 'nothing'}>"
