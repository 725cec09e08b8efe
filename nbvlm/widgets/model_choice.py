"""The choice of the model that is asked: a listed one, a server of one's own, a recording; and its key."""

from __future__ import annotations

import html
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import traitlets

from nbvlm import endpoints
from nbvlm._background import Task
from nbvlm.client import Client
from nbvlm.errors import Error
from nbvlm.widgets._base import ignored
from nbvlm.widgets._fields import Dropdown, button, column, text_block
from nbvlm.widgets._life import weakly
from nbvlm.widgets._part import PartBox
from nbvlm.widgets._values import ClientTrait, EndpointTrait
from nbvlm.widgets.dialogs import KeyField, ServerForm, list_models, look_here
from nbvlm.widgets.esm import style
from nbvlm.widgets.model_connection import ModelConnection
from nbvlm.widgets.offers import Offer
from nbvlm.widgets.status_text import failure_sentences

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from nbvlm.client import AsyncClient
    from nbvlm.widgets.offers import Allow

__all__ = ["ModelChoice"]

_STYLE = style("colors", "scheme", "theme", "place", "form", "dialog", "own")


class _KeyPage(KeyField):
    _css = _STYLE


class _FormPage(ServerForm):
    _css = _STYLE


class ModelChoice(PartBox):
    """List the models that can be asked, and hold a client for the chosen one.

    Buttons open a field for a key, a form for the address of another server, and one for the path of a
    recording. Only a person at the page, or Python, changes the choice; a model without a key stays chosen,
    and the question fails with an `AuthenticationError` that names the next step.

    A key travels to the kernel in the buffer of one message. It is kept in memory as by `nbvlm.login()`, one
    for another server in its client alone; it is in no trait, no saved state and no log.

    Parameters
    ----------
    client
        A `Client` or an `AsyncClient`; None takes `Client()`, which says which model answers.
    allow
        What is offered: names among "models", "server" (another server by its address), "path" (a recording)
        and "key"; None takes the default of the host, as `Panel` does.
    paths
        A folder that paths of recordings cannot leave; None offers the whole disk where paths are offered.

    Attributes
    ----------
    client : Client or AsyncClient
        The client of the chosen model: the given one, or one with the usual settings of its model. Default:
        `Client()`. ``choice.client = nbvlm.Client("demo")``
    endpoint : Endpoint
        The chosen model; takes its name. Default: that of the client. ``choice.endpoint = "demo"``
    models : list of str
        Names of the models that are offered beside that of the client. Default: all of `nbvlm.endpoints`.
        ``choice.models = ["demo", "nvidia"]``
    key_state : str
        Where the key of the chosen model comes from, never the key: such as "Key from this panel" or "No key
        yet"; "" for a model that needs none. Default: that of the client. Read-only. ``choice.key_state``

    Raises
    ------
    ValueError
        For the name of a model that does not exist.
    traitlets.TraitError
        For a value of another kind.

    Examples
    --------
    >>> import nbvlm  # doctest: +SKIP
    >>> choice = nbvlm.widgets.ModelChoice(nbvlm.Client("demo"))  # doctest: +SKIP
    >>> choice.observe(lambda change: print(change.new.model), "endpoint")  # doctest: +SKIP
    """

    client = ClientTrait()
    endpoint = EndpointTrait()
    models = traitlets.List(traitlets.Unicode())
    key_state = traitlets.Unicode("", read_only=True)

    @traitlets.default("models")  # type: ignore[untyped-decorator]
    def _default_models(self) -> list[str]:
        return list(endpoints.ENDPOINTS)

    def __init__(
        self,
        client: Client | AsyncClient | None = None,
        *,
        allow: Allow = None,
        paths: str | os.PathLike[str] | None = None,
        **traits: Any,
    ) -> None:
        self._offer = Offer.of(allow, paths)
        self._own: list[Any] = []
        self._putting = False
        self._values: list[str] = []
        self._field = Dropdown(description="Model").add_class("nbvlm-model-choice")
        self._note = text_block()
        self._field.layout.width = "auto"
        self._field.observe(weakly(self._picked), "index")
        given = Client() if client is None else client
        if client is None:
            self._own.append(given)
        self._connection = ModelConnection(given)
        self._key_page = _KeyPage(_taking(weakly(self._take)), offer=self._offer)
        self._form_page = _FormPage(_taking(weakly(self._take)), offer=self._offer)
        self.client = given
        super().__init__([self._field, self._note, *self._openers()], **traits)
        self._show()

    def _openers(self) -> list[Any]:
        """Return the buttons of what is offered, and the forms that they open."""
        made = {
            "key": ("Key …", "Enter a key for this model", self._open_key),
            "server": ("Another server …", "Ask a server by its address", self._open_server),
            "path": ("A recording …", "Take the answers from a recording", self._open_recording),
        }
        buttons = []
        for name, (text, tooltip, action) in made.items():
            if name in self._offer:
                one = button(text, f"nbvlm-open-{name}", tooltip)
                one.on_click(weakly(action))
                one.layout.width = "auto"
                buttons.append(one)
        row = column(buttons, "nbvlm-model-forms")
        row.layout.flex_flow = "row wrap"
        return [row, self._key_page, self._form_page]

    def _open_key(self, _button: Any = None) -> None:
        self._key_page.ask()

    def _open_server(self, _button: Any = None) -> None:
        self._form_page.ask("server")

    def _open_recording(self, _button: Any = None) -> None:
        self._form_page.ask("recording")

    # Messages of the page

    def _take(self, message: Mapping[str, Any]) -> None:
        kind, connection = message["type"], self._connection
        if kind == "key":
            self._take_key(message["key"])
        elif kind == "models":
            Task(list_models(self._form_page, message["url"], message["key"]))
        elif kind == "local":
            Task(look_here(self._form_page))
        elif kind == "connect":
            self._switch(lambda: connection.connect(message["url"], message["model"], message["key"]))
        else:
            self._switch(lambda: connection.play(message["path"], self._offer.folder))

    def _take_key(self, key: Any) -> None:
        try:
            self._connection.take_key(key)
        except Error as error:
            self._key_page.refused(failure_sentences(error))
        except Exception as error:  # noqa: BLE001 - its text might hold the key
            self._key_page.refused(f"The key could not be used ({type(error).__name__}).")
        else:
            self._key_page.accepted()
            self._follow()

    def _switch(self, connect: Callable[[], Any]) -> None:
        try:
            connect()
        except Error as error:
            self._form_page.refused(failure_sentences(error))
        else:
            self._form_page.connected()
            self._follow()

    # The choice

    def _picked(self, change: Any) -> None:
        if not self._putting and change["new"] is not None:
            self._connection.choose(self._values[change["new"]])
            self._follow()

    def _follow(self) -> None:
        """Hold a client with the settings of the connection."""
        before, now = self.client, self._connection.shown
        if now is not before and now not in self._own:
            self._own.append(now)
        self.client = now
        self._show()

    @traitlets.validate("models")  # type: ignore[untyped-decorator]
    def _check_models(self, proposal: Any) -> list[str]:
        return [endpoints.get(name).name for name in proposal["value"]]

    @traitlets.observe("client")  # type: ignore[untyped-decorator]
    def _client_changed(self, change: Any) -> None:
        client = change["new"]
        if client is not self._connection.shown:
            self._connection.use(client)
        self.endpoint = client.settings.endpoint
        for own in [one for one in self._own if one is not client]:
            self._own.remove(own)
            own.close()
        self._show()

    @traitlets.observe("endpoint")  # type: ignore[untyped-decorator]
    def _endpoint_changed(self, change: Any) -> None:
        if change["new"] != self.client.settings.endpoint:
            self._connection.ask_endpoint(change["new"])
            self._follow()

    @traitlets.observe("models")  # type: ignore[untyped-decorator]
    def _show(self, _change: Any = None) -> None:
        listed = self._connection.choices(replace(self._offer, models=tuple(self.models)))
        values = [one["value"] for one in listed]
        self._putting = True  # new options choose the first one for a moment
        try:
            options = [(one["label"], index) for index, one in enumerate(listed)]
            if values != self._values or list(self._field.options) != options:
                self._values = values
                self._field.options = options
            at = values.index(self._connection.choice)
            self._field.index = at
            key = self._connection.key()["text"]
            self.set_trait("key_state", key)
            self._key_page.about = self._connection.about_key()
            self._note.value = html.escape(" ".join(filter(None, [listed[at]["note"], key and f"{key}."])))
        finally:
            self._putting = False

    def close(self) -> None:
        """Close the clients that the part made, take it off the page, and end it; again, nothing happens."""
        own, self._own = self._own, []
        for client in own:
            client.close()
        super().close()


def _taking(take: Callable[[Mapping[str, Any]], Any]) -> Callable[[Mapping[str, Any]], Any]:
    """Return a function that takes a message of the page; an error in it is logged without its text."""

    def call(message: Mapping[str, Any]) -> None:
        try:
            take(message)
        except Exception as error:  # noqa: BLE001 - its text might hold the key
            ignored("ModelChoice", type(error).__name__)

    return call
