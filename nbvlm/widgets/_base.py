"""The part that all widgets of the panel share: messages of a page come in, the whole state goes out."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import weakref
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import anywidget
import ipywidgets
import traitlets

from nbvlm._text import encodable
from nbvlm.client import refuse_unknown
from nbvlm.widgets._inner import InnerComm, is_inner
from nbvlm.widgets.messages import Ignored, Message
from nbvlm.widgets.offers import NotOffered, Offer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from nbvlm.widgets.messages import Check, Handler

__all__ = [
    "OfferingWidget",
    "PageState",
    "PageWidget",
    "guard",
    "guarded",
    "ignored",
    "one_layout",
    "refuse_keywords",
]

_LOGGER = logging.getLogger("nbvlm")
HELLO = Message()
_LAYOUT: ContextVar[ipywidgets.Layout | None] = ContextVar("layout", default=None)


@contextlib.contextmanager
def one_layout() -> Iterator[None]:
    """Let the widgets that are made in this block share one layout, which stays as it is.

    A layout is a widget of its own, with a connection and a kilobyte of saved state. A widget that is given a
    layout keeps that one.
    """
    token = _LAYOUT.set(ipywidgets.Layout())
    try:
        yield
    finally:
        _LAYOUT.reset(token)


def ignored(name: str, reason: str) -> None:
    """Log that a message of a page to a widget has no effect; its values stay out of the log."""
    _LOGGER.warning("%s ignored a message of its page: %s.", name, reason)


def guard(name: str, action: Callable[[], Any], fail: Callable[[Exception], Any]) -> None:
    """Run an action of a page, and hand its error to `fail`, for ipywidgets would swallow it."""
    try:
        action()
    except Ignored as reason:
        ignored(name, str(reason))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is shown
        fail(error)


def guarded(name: str, fail: Callable[[Exception], Any]) -> Handler:
    """Return what makes of actions, by the types of messages, a function that takes a message, guarded."""
    return lambda actions: lambda message: guard(name, lambda: actions[message["type"]](message), fail)


def refuse_keywords(kind: type[Any], given: Mapping[str, Any], offered: Sequence[str]) -> None:
    """Refuse a keyword that is not a trait of a widget, and list those that there are.

    ipywidgets warns, and goes on.
    """
    known = {*kind.class_trait_names(), "model_id"}
    refuse_unknown({name: value for name, value in given.items() if name not in known}, tuple(offered))


class PageState:
    """Lets a page change only some traits of a widget, each to a value that it may have.

    Stands before a class of ipywidgets. Any other message, whatever is wrong with it, has no effect and
    raises nothing.
    """

    #: The traits that a page may change, and the check of their values.
    page_traits: ClassVar[Mapping[str, Check]] = MappingProxyType({})

    def __init__(self, *args: Any, **traits: Any) -> None:
        if (shared := _LAYOUT.get()) is not None:
            traits.setdefault("layout", shared)
        super().__init__(*args, **traits)
        for name in ("layout", "style"):
            inner = getattr(self, name, None)
            if isinstance(inner, ipywidgets.Widget):
                _close_to_pages(inner)

    def open(self) -> None:
        """Open the connection to the pages; a widget that is made inside of another one uses that one's."""
        widget: Any = self  # of the class that stands after this, as below
        if is_inner() and widget.comm is None:
            widget.comm = InnerComm()
        super().open()  # type: ignore[misc] # opens none where there is one

    def accepts(self, name: str, value: Any) -> bool:
        """Check the `value` that a page gives the trait `name`."""
        return name in self.page_traits and self.page_traits[name](value)

    def set_state(self, sync_data: Any) -> None:
        """Take the state of a page, if it may set all of it."""
        if not all(self.accepts(name, value) for name, value in sync_data.items()):
            raise Ignored("a page does not set this state")
        super().set_state(sync_data)  # type: ignore[misc]

    def get_state(self, *args: Any, **options: Any) -> Any:
        """Return the state in characters and numbers that a message can carry."""
        return sendable(super().get_state(*args, **options))  # type: ignore[misc]

    def _send(self, msg: Any, buffers: Any = None) -> None:
        super()._send(sendable(msg), buffers)  # type: ignore[misc]

    def _handle_msg(self, msg: Any) -> None:
        try:
            self._take_message(msg["content"]["data"], msg.get("buffers") or [])
        except Exception as error:  # noqa: BLE001 - a page may send anything
            ignored(type(self).__name__, str(error) if isinstance(error, Ignored) else type(error).__name__)

    def _take_message(self, data: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        method, content = data["method"], data.get("content")
        if method == "request_state":
            self.send_state()  # type: ignore[attr-defined] # as the others, of the class that stands after this
        elif method == "update" and isinstance(data.get("state"), dict) and not buffers:
            self.set_state(data["state"])
        elif method == "custom" and isinstance(content, dict):
            self._handle_custom_msg(content, buffers)  # type: ignore[attr-defined]
        else:
            raise Ignored("it is neither state nor a message")


def _close_to_pages(inner: Any) -> None:
    """Let a page read a layout or a style, and never change it."""
    state = weakref.WeakMethod(inner.send_state)

    def handle(message: Any) -> None:
        if message["content"].get("data") == {"method": "request_state"} and (send := state()):
            send()

    inner.comm.on_msg(handle)


def sendable(value: Any) -> Any:
    """Replace characters and numbers that JSON cannot carry: half characters, NaN and infinity."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {sendable(key): sendable(one) for key, one in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(sendable, value))
    return value


class PageWidget(PageState, anywidget.AnyWidget):  # type: ignore[misc] # the base class has no types
    """A widget whose page sends "hello" when it opens, and then messages that ask for something.

    `on_message` takes each message that the widget does not handle itself; `traits` are synced ones, which a
    page only reads.
    """

    #: Class of the HTML element, if the page relies on one.
    css_class = ""
    #: The name of its module in `static`, where a `Carrier` can show it.
    kind = ""
    #: The messages that a page sends, by their `type`; any other is ignored.
    messages: ClassVar[Mapping[str, Message]] = MappingProxyType({})

    def __init__(self, on_message: Callable[[Mapping[str, Any]], Any] | None = None, **traits: Any) -> None:
        self._lock = threading.RLock()
        self._on_message = on_message
        super().__init__(**traits)
        if self.css_class:
            self.add_class(self.css_class)
        self.on_msg(type(self).receive)  # a plain function: a bound method would keep the widget alive

    def receive(self, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Take one message of a page; one that does not fit is ignored."""
        try:
            self._check(message, buffers)
            if message["type"] == "hello":
                self.send_all()
            else:
                self.take(message, buffers)
        except Ignored as reason:
            ignored(type(self).__name__, str(reason))

    def _check(self, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        kind = message.get("type")
        known = HELLO if kind == "hello" else self.messages.get(kind) if isinstance(kind, str) else None
        if known is None:
            raise Ignored("its type is not known")
        if fault := known.fault(message, buffers):
            raise Ignored(f"{kind!r} does not fit: {fault}")

    def take(self, message: Mapping[str, Any], _buffers: Sequence[Any]) -> None:
        """Take a message that asks for something."""
        if self._on_message is not None:
            self._on_message(message)

    def send_all(self) -> None:
        """Send everything that a page shows, to a page that opens."""

    def close(self) -> None:
        """Take the widget off the page, and drop what it showed."""
        self._on_message = None
        super().close()

    def _summary(self) -> str:
        return ""

    def __repr__(self) -> str:
        summary = self._summary()
        return f"<{type(self).__name__}{summary and f': {summary}'}>"


class OfferingWidget(PageWidget):
    """A widget with parts that it may not offer: its page hides them, and it refuses their messages.

    `on_refused` takes the error of such a message; without it, it is logged.

    Attributes
    ----------
    offered
        The names of what is offered; see `nbvlm.widgets.offers`.
    """

    #: What a message asks for, by its `type`; a type that is not listed is always taken.
    needs: ClassVar[Mapping[str, str]] = MappingProxyType({})

    offered = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def __init__(
        self,
        on_message: Callable[[Mapping[str, Any]], Any] | None = None,
        *,
        offer: Offer | None = None,
        on_refused: Callable[[Exception], Any] | None = None,
        **traits: Any,
    ) -> None:
        self._on_refused = on_refused
        self._offer = Offer.of() if offer is None else offer
        super().__init__(on_message, offered=list(self._offer.names), **traits)

    @property
    def allowed(self) -> Offer:
        """What is offered."""
        return self._offer

    @allowed.setter
    def allowed(self, offer: Offer) -> None:
        self._offer, self.offered = offer, list(offer.names)

    def needed(self, message: Mapping[str, Any]) -> str | None:
        """Return the name of what a message asks for, None if it is always offered."""
        return self.needs.get(message["type"])

    def receive(self, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Take one message of a page, unless it asks for what is not offered."""
        try:
            super().receive(message, buffers)
        except NotOffered as error:
            self.turn_away(error, message)

    def turn_away(self, error: NotOffered, _message: Mapping[str, Any]) -> None:
        """Report a message that asks for what is not offered."""
        if self._on_refused is None:
            ignored(type(self).__name__, error.message)
        else:
            self._on_refused(error)

    def _check(self, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        super()._check(message, buffers)
        if (name := self.needed(message)) is not None:
            self._offer.need(name)

    def close(self) -> None:
        """Take the widget off the page, and drop what it showed."""
        self._on_refused = None
        super().close()
