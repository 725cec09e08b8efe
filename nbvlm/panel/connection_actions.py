"""The desk: takes what the page's head, its drawers and the error card ask for, and has the session do it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbvlm._background import Task
from nbvlm.client import AsyncClient
from nbvlm.errors import AuthenticationError, Error
from nbvlm.widgets import Alert, Header, KeyField, Server, error_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbvlm.panel.controller import Session

__all__ = ["Desk"]


class Desk:
    """Head, key field, server form and error card of one panel.

    Parameters
    ----------
    session
        Does what is asked for.

    Attributes
    ----------
    header, key, server, alert
        The widgets.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._actions: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "run": session.press,
            "stop": lambda _message: session.stop(),
            "reset": lambda _message: session.fields.reset(),
            "model": self._choose,
            "connect": self._connect,
            "play": self._play,
            "models": lambda message: Task(self._list(str(message["url"]))),
            "act": self._act,
        }
        self.header = Header(session.line, on_message=self.take)
        self.key = KeyField(order=session.order, on_key=self.take_key)
        self.server = Server(on_message=self.take)
        self.alert = Alert(on_act=self.take)

    def take(self, message: Mapping[str, Any]) -> None:
        """Take a message of the page, in the order in which the page sent it."""
        action = self._actions[message["type"]]
        self._session.order.take(message, lambda: self._session.guarded(lambda: action(message)))

    def _choose(self, message: Mapping[str, Any]) -> None:
        self._session.fields.take(message.get("fields") or {})
        self.choose(str(message["choice"]))

    def choose(self, value: str) -> None:
        """Ask another model from now on; see `Line.choices`."""
        self._session.line.choose(value)
        self._session.serve()

    def take_key(self, text: str) -> None:
        """Use a key that was typed."""
        self._session.line.take_key(text)
        self.header.show(self._session.line)
        self.alert.clear()

    def _connect(self, message: Mapping[str, Any]) -> None:
        line = self._session.line
        self._lead(lambda: line.connect(str(message["url"]), str(message["model"])))

    def _play(self, message: Mapping[str, Any]) -> None:
        self._lead(lambda: self._session.line.play(str(message["path"])))

    def _lead(self, to: Callable[[], Mapping[str, Any] | None]) -> None:
        """Ask what a form names from now on, or say below the form why that is not possible."""
        try:
            parameters = to()
        except Error as error:
            self.server.refused(_words(error))
            return
        self.server.connected()
        self._session.serve()
        self._session.fields.fill(parameters=parameters)

    async def _list(self, url: str) -> None:
        try:
            async with AsyncClient(url.strip(), model="?") as client:
                names = await client.models()
        except Error as error:
            self.server.refused(_words(error))
        except Exception as error:  # noqa: BLE001 - shown where the user looks
            self.server.refused(f"Something unexpected happened in nbvlm ({type(error).__name__}).")
        else:
            self.server.models(names, "" if names else "The server names no models.")

    def _act(self, message: Mapping[str, Any]) -> None:
        """Do what a button of the error card says."""
        session, action = self._session, str(message["action"])
        session.fields.take(message.get("fields") or {})
        self.alert.clear()
        if action == "reset":
            session.fields.reset()
        elif action == "shrink":
            session.source.take_route("inline")
            session.press()
        elif action.startswith("model:"):
            self.choose(action.removeprefix("model:"))
            session.press()

    def fail(self, error: Exception) -> None:
        """Show why no answer came; a key that was refused, or is missing, is asked for at once."""
        self._show(error, asking=True)
        if isinstance(error, AuthenticationError) and error.status in (None, 401):
            self.key.ask(again=True)

    def complain(self, error: Exception) -> None:
        """Show what went wrong beside the answers."""
        self._show(error)

    def _show(self, error: Exception, *, asking: bool = False) -> None:
        line = self._session.line
        origin = None if line.settings.in_process else line.settings.base_url
        self.alert.show(error_text(error, line.endpoint, asking=asking, origin=origin))


def _words(error: Error) -> str:
    return f"{error.message} {error.hint or ''}".strip()
