"""The choice of model, server, recording and key, and the error card: the actions of their messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbvlm._background import Task
from nbvlm.errors import AuthenticationError, Error
from nbvlm.widgets import ErrorCard, Ignored, KeyField, ServerForm, failure_sentences, list_models, look_here

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbvlm.client import AsyncClient, Client
    from nbvlm.endpoints import Endpoint
    from nbvlm.panel.form import Form
    from nbvlm.panel.messages import MessageSequencer
    from nbvlm.recording import RecordedQuestion
    from nbvlm.widgets import ModelConnection, Offer

__all__ = ["ConnectionActions"]


class ConnectionActions:
    """Key field, server form and error card of one panel; its owner is called when it must react."""

    def __init__(
        self,
        connection: ModelConnection,
        form: Form,
        messages: MessageSequencer,
        *,
        on_connection: Callable[[], None],
        on_key: Callable[[], None],
        on_ask: Callable[[], None],
        on_shrink: Callable[[], None],
        on_recorded: Callable[[RecordedQuestion], None],
        on_private: Callable[[], None],
        on_refused: Callable[[Exception], None],
        offer: Offer,
    ) -> None:
        options: dict[str, Any] = {"offer": offer, "on_refused": on_refused}
        self._connection, self._form = connection, form
        self._on_connection, self._on_key = on_connection, on_key
        self._on_ask, self._on_shrink, self._on_recorded = on_ask, on_shrink, on_recorded
        self._on_private = on_private
        self._nearest: RecordedQuestion | None = None
        self.key_field = KeyField(messages.handler({"key": self._take_key}), **options)
        self.server_form = ServerForm(
            messages.handler(
                {
                    "connect": lambda message: self._switch(
                        lambda: connection.connect(message["url"], message["model"], message["key"])
                    ),
                    "play": lambda message: self._switch(
                        lambda: connection.play(message["path"], self._offer.folder)
                    ),
                    "models": lambda message: Task(
                        list_models(self.server_form, message["url"], message["key"])
                    ),
                    "local": lambda _message: Task(look_here(self.server_form)),
                }
            ),
            **options,
        )
        self.error_card = ErrorCard(on_message=messages.handler({"act": self._act}), bare=True, **options)

    @property
    def _offer(self) -> Offer:
        return self.error_card.allowed

    def choose(self, message: Mapping[str, Any]) -> None:
        """Ask another model from now on; `choice` is the value of one of `ModelConnection.choices`."""
        choice = message["choice"]
        if choice not in {entry["value"] for entry in self._connection.choices(self._offer)}:
            raise Ignored("this model is not offered")
        self._form.take(message.get("fields") or {})
        self._choose(choice)

    def use(self, client: Client | AsyncClient) -> None:
        """Ask with another client from now on."""
        self._connection.use(client)
        self._on_connection()

    def ask_endpoint(self, endpoint: Endpoint) -> None:
        """Ask another model from now on."""
        self._connection.ask_endpoint(endpoint)
        self._on_connection()

    def _choose(self, value: str) -> None:
        self._connection.choose(value)
        self._on_connection()

    def _switch(self, connect: Callable[[], Mapping[str, Any] | None]) -> None:
        """Ask a server or a recording from now on, or show below the form why that is not possible."""
        try:
            parameters = connect()
        except Error as error:
            self.server_form.refused(failure_sentences(error))
            return
        self.server_form.connected()
        self._on_connection()
        self._form.fill(parameters=parameters)

    def _take_key(self, message: Mapping[str, Any]) -> None:
        try:
            self._connection.take_key(message["key"])
        except Error as error:
            self.key_field.refused(failure_sentences(error))
        except Exception as error:  # noqa: BLE001 - its text might hold the key
            self.key_field.refused(f"The key could not be used ({type(error).__name__}).")
        else:
            self._on_key()
            self.error_card.clear()
            self.key_field.accepted()

    def _act(self, message: Mapping[str, Any]) -> None:
        """Run the action of a button of the error card."""
        action = message["action"]
        self._form.take(message.get("fields") or {})
        self.error_card.clear()
        if action == "reset":
            self._form.reset()
        elif action == "nearest" and self._nearest is not None:
            self._on_recorded(self._nearest)
        elif action == "private":
            self._on_private()
        elif action == "shrink":
            self._on_shrink()
        elif action.startswith("model:"):
            self._choose(action.removeprefix("model:"))
            self._on_ask()

    def show(self, error: Exception, *, asking: bool = False) -> None:
        """Show an error; where an answer was under way, a key that is missing or refused is asked for."""
        settings = self._connection.settings
        origin = "" if self._offer.public else None if settings.in_process else settings.base_url
        self._nearest = getattr(error, "nearest", None)
        self.error_card.show(error, settings.endpoint, asking=asking, origin=origin)
        if asking and isinstance(error, AuthenticationError) and error.status in (None, 401):
            self.key_field.ask(again=True)
