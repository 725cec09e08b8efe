"""The choice of the model and the error card: the actions of their messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbvlm.errors import AuthenticationError
from nbvlm.widgets import ErrorCard, ModelChoice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbvlm.client import AsyncClient, Client
    from nbvlm.panel.form import Form
    from nbvlm.panel.messages import MessageSequencer
    from nbvlm.recording import RecordedQuestion
    from nbvlm.widgets import Offer

__all__ = ["ConnectionActions"]


class ConnectionActions:
    """Model choice and error card of one panel; its owner is called when it must react."""

    def __init__(
        self,
        client: Client | AsyncClient,
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
        self._form = form
        self._on_connection, self._on_key = on_connection, on_key
        self._on_ask, self._on_shrink, self._on_recorded = on_ask, on_shrink, on_recorded
        self._on_private = on_private
        self._nearest: RecordedQuestion | None = None
        self.choice = ModelChoice(
            client,
            offer=offer,
            handler=messages.handler,
            on_model=self._serve,
            on_key=self._use_key,
            on_fields=form.take,
            on_refused=on_refused,
            bare=True,
        )
        self.error_card = ErrorCard(
            on_message=messages.handler({"act": self._act}), offer=offer, on_refused=on_refused, bare=True
        )

    def _serve(self, parameters: Mapping[str, Any] | None) -> None:
        self._on_connection()
        self._form.fill(parameters=parameters)

    def _use_key(self) -> None:
        self._on_key()
        self.error_card.clear()

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
            self.choice.choose(action.removeprefix("model:"))
            self._on_ask()

    def show(self, error: Exception, *, asking: bool = False) -> None:
        """Show an error; where an answer was under way, a key that is missing or refused is asked for."""
        settings = self.choice.connection.settings
        origin = "" if self.error_card.allowed.public else None if settings.in_process else settings.base_url
        self._nearest = getattr(error, "nearest", None)
        self.error_card.show(error, settings.endpoint, asking=asking, origin=origin)
        if asking and isinstance(error, AuthenticationError) and error.status in (None, 401):
            self.choice.ask_key(again=True)
