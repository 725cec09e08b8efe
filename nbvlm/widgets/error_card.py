"""The error card: the failure, the next step, buttons for it, and the details."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nbvlm import errors
from nbvlm._text import shorten, visible
from nbvlm.client import redact
from nbvlm.endpoints import GATEWAY
from nbvlm.widgets._base import OfferingWidget
from nbvlm.widgets.esm import script
from nbvlm.widgets.messages import Ignored, Message, fields, optional, text
from nbvlm.widgets.offers import NotOffered
from nbvlm.widgets.status_text import failure_text

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence

    from nbvlm.endpoints import Endpoint

    _Buttons = Sequence["Action"] | Callable[[BaseException, Endpoint], Sequence["Action"]]

__all__ = ["Action", "ErrorPage", "describe"]

#: Seconds to wait after a 429 that does not say how long: the hosted limit is counted by the minute.
MINUTE = 60.0
LONGEST = 4000  # characters of the details


@dataclass(frozen=True, slots=True)
class Action:
    """A button of a card: the id of its press, and its text."""

    id: str
    label: str


AGAIN = Action("again", "Ask again")
KEY = Action("key", "Enter a key")
DEMO = Action("model:demo", "Ask the demo model")
CLASS = Action("model:gateway", "Ask the model of the class")
RECORDING = Action("recording", "Play a recording")
SHRINK = Action("shrink", "Shrink the picture and ask")
RESET = Action("reset", "Reset the parameters")
PROMPT = Action("prompt", "Write a prompt")
MODELS = Action("models", "Choose a model")
UPLOAD = Action("upload", "Choose another file")
PRIVATE = Action("private", "Open it all the same")


def describe(
    error: BaseException, endpoint: Endpoint, *, asking: bool = False, origin: str | None = None
) -> dict[str, Any]:
    """Describe a failure for the page; `asking`: whether an answer was under way.

    `origin` is the address of the service, "" to leave it out.

    Only nbvlm's own errors are quoted, for their texts are free of keys by construction; any other error is
    named by its type alone. The card has `title`, `message`, `hint`, `details` (pairs of name and text),
    `actions` (`id` and `label`), and `seconds` to wait before asking again, or None.
    """
    title, buttons = next((title, buttons) for kind, title, buttons in _CARDS if isinstance(error, kind))
    if endpoint.name in _HERE and not origin:
        title = title.replace("The service", "The model").replace("the request", "the question")
    if not asking:  # no question caused it, so "Ask again" would make no sense
        offered: Sequence[Action] = [UPLOAD] if isinstance(error, errors.ImageError) else []
    elif getattr(error, "gone", None) == "unloadable":
        offered = [KEY if isinstance(error, errors.AuthenticationError) else AGAIN, DEMO]
    elif alternatives := getattr(error, "alternatives", ()):
        offered = [_ALTERNATIVES.get(name) or Action(f"model:{name}", f"Ask {name}") for name in alternatives]
    else:
        offered = buttons(error, endpoint) if callable(buttons) else buttons
    if getattr(error, "private", False):
        offered = [PRIVATE, *offered]
    return {
        **failure_text(error),
        "title": _special_title(error, is_class=endpoint.name == GATEWAY.name) or title,
        "details": _details(error, endpoint, origin),
        "actions": [
            asdict(action) for action in offered if action is CLASS or action.id != f"model:{endpoint.name}"
        ],
        "seconds": _wait(error) if asking else None,
    }


_HERE = ("demo", "local")
"""Endpoints of models in this process, where no origin is given."""
_ALTERNATIVES = {"demo": DEMO, "gateway": CLASS}
_LOST_ASSET = "failed to find asset"
_GONE = {
    "retired": "This model has been retired",
    "withdrawn": "This model is not open to this account",
    "unknown": "This model was not found",
    "offline": "This model is offline",
    "failing": "This model fails every time",
    "blind": "This model cannot see",
}


def _special_title(error: BaseException, *, is_class: bool) -> str:
    status = getattr(error, "status", None)
    if isinstance(error, errors.QuotaError) and is_class:
        return "Your quota is used up"
    if isinstance(error, errors.AuthenticationError) and is_class and status == 403:
        return "Your class does not allow this now"
    if gone := getattr(error, "gone", None):
        return _unloadable(error) if gone == "unloadable" else _GONE[gone]
    if isinstance(error, errors.AuthenticationError) and status is None:
        return "A key is needed"
    if isinstance(error, errors.NotFoundError) and _LOST_ASSET in error.message:
        return "The uploaded picture was not found"
    return ""


def _unloadable(error: BaseException) -> str:
    """Return the title for a model that cannot be loaded; "" where its kind of error has a good one."""
    if isinstance(error, errors.AuthenticationError):
        return "This model needs a licence or a token"
    known = (errors.NotFoundError, errors.RateLimitError, errors.TransportError)
    return "" if isinstance(error, known) else "This model cannot be loaded"


def _wait(error: BaseException) -> float | None:
    if not isinstance(error, errors.RateLimitError):
        return None
    asked = getattr(error, "retry_after", None)
    return MINUTE if asked is None else float(asked)


def _again_or_demo(error: BaseException, _endpoint: Endpoint) -> Sequence[Action]:
    status = getattr(error, "status", None)
    return [AGAIN, DEMO] if status is None or status >= 500 else [AGAIN]


def _other_models(error: BaseException, _endpoint: Endpoint) -> Sequence[Action]:
    text = str(error)
    if _LOST_ASSET in text:
        return [AGAIN, SHRINK]
    if "request that it was working on" in text:
        return [AGAIN]
    return [DEMO, MODELS]


def _nearest(error: BaseException, _endpoint: Endpoint) -> Sequence[Action]:
    nearest = getattr(error, "nearest", None)
    if nearest is None:
        return [DEMO]
    return [Action("nearest", f"Ask “{shorten(visible(nearest.prompt), 60)}”"), DEMO]


def _rejected(error: BaseException, _endpoint: Endpoint) -> Sequence[Action]:
    text = str(error).lower()
    large = getattr(error, "status", None) == 413 or any(word in text for word in ("large", "size", "180"))
    return [SHRINK, AGAIN] if large else [RESET, AGAIN]


#: The title and the buttons of a card, by the kind of its error; the first that fits counts.
_CARDS: tuple[tuple[type[BaseException], str, _Buttons], ...] = (
    (NotOffered, "This is not offered", []),
    (errors.PromptError, "The prompt cannot be sent", [PROMPT]),
    (errors.ParameterError, "A value cannot be sent", [RESET]),
    (errors.ImageError, "The picture cannot be used", [UPLOAD]),
    (errors.AuthenticationError, "This key may not use this model", [KEY, DEMO]),
    (errors.QuotaError, "The account has no credits left", [KEY, DEMO]),
    (errors.NotFoundError, "This model was not found", _other_models),
    (errors.RateLimitError, "Too many requests were sent", [AGAIN, DEMO]),
    (errors.RequestRejected, "The service refused the request", _rejected),
    (errors.AssetError, "The picture could not be uploaded", [SHRINK, AGAIN]),
    (errors.ServerError, "The service failed", _again_or_demo),
    (errors.TruncatedStream, "The answer is incomplete", [AGAIN, DEMO, RECORDING]),
    (errors.TransportError, "The connection failed", [AGAIN, DEMO, RECORDING]),
    (errors.TimeoutError, "The service took too long", _again_or_demo),
    (errors.ReplayMiss, "The recording does not hold this question", _nearest),
    (BaseException, "An unexpected error", _again_or_demo),
)


def _details(error: BaseException, endpoint: Endpoint, origin: str | None) -> list[list[str]]:
    from nbvlm._version import __version__

    if origin is None:
        where = " in this process" if endpoint.name in _HERE else f" at {endpoint.base_url}"
    else:
        where = f" at {origin}" if origin else ""

    facts = [
        ("Error", type(error).__name__),
        ("Status", getattr(error, "status", None)),
        ("Request", getattr(error, "request_id", None)),
        ("Model", f"{endpoint.model}{where}"),
        ("nbvlm", __version__),
        ("The service said", _detail(getattr(error, "detail", None))),
    ]
    return [[name, redact(str(text))[:LONGEST]] for name, text in facts if text not in (None, "")]


def _detail(detail: Any) -> str | None:
    if detail is None or isinstance(detail, str):
        return detail
    return json.dumps(
        redact(detail), indent=2, ensure_ascii=False, default=lambda value: type(value).__name__
    )


class ErrorPage(OfferingWidget):
    """Shows one failure at a time, or none.

    Parameters
    ----------
    on_message
        Called with the message of a press: `action` is the id of a card's action. "again" never comes: the
        page presses Run itself, so that the values of the fields travel with it.
    on_close
        Called when the page closes the card.
    buttons
        The ids of the actions that a card has, as far as they fit its error; None for all that are offered.
    **options
        As of every widget with parts that it may not offer: `offer` and `on_refused`.
    """

    _esm = script("error_card", "error_card")
    kind = "error_card"
    css_class = "nbvlm-alert"
    messages = MappingProxyType({"act": Message(action=text, fields=optional(fields)), "close": Message()})

    def __init__(
        self,
        on_message: Callable[[Mapping[str, Any]], None],
        on_close: Callable[[], None],
        buttons: Container[str] | None,
        **options: Any,
    ) -> None:
        self._card: dict[str, Any] | None = None
        self._on_close, self._buttons = on_close, buttons
        super().__init__(on_message, **options)
        self.observe(lambda _change: self.send_all(), "offered")

    @property
    def card(self) -> dict[str, Any] | None:
        """The card that is shown; see `nbvlm.widgets.error_card.describe`.

        It has no buttons for what is not offered, and no folders where they are not to be seen.
        """
        if self._card is None:
            return None
        shown = self.allowed.shown
        texts = {name: shown(self._card[name]) for name in ("message", "hint")}
        details = [[name, shown(text)] for name, text in self._card["details"]]
        actions = [action for action in self._card["actions"] if self._offers(action["id"])]
        return {**self._card, **texts, "details": details, "actions": actions}

    def offer(self, buttons: Container[str]) -> None:
        """Have these buttons from now on."""
        self._buttons = buttons
        self.send_all()

    def _offers(self, action: str) -> bool:
        if self._buttons is not None:
            return action in self._buttons
        if action.startswith("model:"):
            return self.allowed.has_model(action.removeprefix("model:"))
        if action == "private":
            return self.allowed.private
        name = {"key": "key", "recording": "path", "models": "models", "upload": "upload"}.get(action)
        return name is None or name in self.allowed

    def show(
        self, error: BaseException, endpoint: Endpoint, *, asking: bool = False, origin: str | None = None
    ) -> None:
        """Show a failure in place of the last one; the parameters are those of `describe`."""
        self._card = describe(error, endpoint, asking=asking, origin=origin)
        self.send_all()

    def clear(self) -> None:
        """Remove the card, if there is one."""
        if self._card is not None:
            self._card = None
            self.send_all()

    def take(self, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Take a press on a button of the card."""
        if message["type"] == "close":
            self._card = None
            self._on_close()
        elif message["action"] not in {action["id"] for action in (self.card or {}).get("actions", ())}:
            raise Ignored("the card has no such button")
        else:
            super().take(message, buffers)

    def send_all(self) -> None:
        """Send the card, to a page that opens."""
        self.send({"type": "card", "card": self.card})

    def _summary(self) -> str:
        return self._card["title"] if self._card else "nothing"
