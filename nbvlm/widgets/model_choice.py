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
from nbvlm.widgets._base import guarded, ignored
from nbvlm.widgets._fields import button, column, text_block
from nbvlm.widgets._life import weakly
from nbvlm.widgets._part import PartBox
from nbvlm.widgets._values import ClientTrait, EndpointTrait
from nbvlm.widgets.dialogs import KeyField, ServerForm, list_models, look_here
from nbvlm.widgets.esm import script
from nbvlm.widgets.messages import Ignored
from nbvlm.widgets.model_connection import ModelConnection
from nbvlm.widgets.model_list import ModelList
from nbvlm.widgets.offers import Offer
from nbvlm.widgets.status_text import failure_sentences

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from nbvlm.client import AsyncClient
    from nbvlm.widgets.messages import Action, Handler
    from nbvlm.widgets.offers import Allow

__all__ = ["ModelChoice"]

_STYLES = ("colors", "scheme", "theme", "place", "form", "model_list", "dialog", "own")


class _OwnList(ModelList):
    _esm = script("model_list", *_STYLES)


class _OwnKeyField(KeyField):
    _esm = script("key_dialog", *_STYLES)


class _OwnForm(ServerForm):
    _esm = script("server_dialog", *_STYLES)


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
    **options
        `offer` in place of `allow` and `paths`; `handler` makes of actions, by the types of messages, the
        function that takes a message of the page; `on_fields` takes the values of fields that come with it;
        `on_model` is called once another model is asked, with the parameters that a recording needs or None,
        and `on_key` once a key is used; `on_refused` takes the error of a message that asks for what is not
        offered.

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

    #: The clients that the part made, unless it leaves them to the panel around it.
    _own: list[Any] | None = None

    @traitlets.default("models")  # type: ignore[untyped-decorator]
    def _default_models(self) -> list[str]:
        return _models_of(self._offer)

    def __init__(
        self,
        client: Client | AsyncClient | None = None,
        *,
        allow: Allow = None,
        paths: str | os.PathLike[str] | None = None,
        offer: Offer | None = None,
        handler: Handler | None = None,
        on_model: Callable[[Mapping[str, Any] | None], Any] | None = None,
        on_key: Callable[[], Any] | None = None,
        on_fields: Callable[[Mapping[str, Any]], Any] | None = None,
        on_refused: Callable[[Exception], Any] | None = None,
        bare: bool = False,
        **traits: Any,
    ) -> None:
        self._own = None if bare else []
        self._on_model, self._on_key, self._on_fields = on_model, on_key, on_fields
        self._offer = Offer.of(allow, paths) if offer is None else offer
        given = Client() if client is None else client
        if client is None and self._own is not None:
            self._own.append(given)
        self.connection = ModelConnection(given)
        self._note = None if bare else text_block()
        kinds = (ModelList, KeyField, ServerForm) if bare else (_OwnList, _OwnKeyField, _OwnForm)
        take = (guarded("ModelChoice", _log) if handler is None else handler)(self._actions())
        options: dict[str, Any] = {"offer": self._offer, "on_refused": on_refused}
        self._list = kinds[0](take, **options, opens=bare)
        self._key_page, self._form_page = kinds[1](take, **options), kinds[2](take, **options)
        self.client = given
        others = [] if self._note is None else [self._note, self._openers()]
        super().__init__([self._list, *others, self._key_page, self._form_page], bare=bare, **traits)
        self._show()

    def _openers(self) -> Any:
        """Return the buttons of what is offered, which open the forms."""
        made = {
            "key": ("Key …", "Enter a key for this model", self.ask_key),
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
        return row

    def ask_key(self, _button: Any = None, *, again: bool = False) -> None:
        """Open the field for a key, if it is offered; `again` repeats the question with the new key."""
        self._key_page.ask(again=again)

    def _open_server(self, _button: Any = None) -> None:
        self._form_page.ask("server")

    def _open_recording(self, _button: Any = None) -> None:
        self._form_page.ask("recording")

    @property
    def allowed(self) -> Offer:
        """What is offered."""
        return self._offer

    @allowed.setter
    def allowed(self, offer: Offer) -> None:
        self._offer = self._list.allowed = self._key_page.allowed = self._form_page.allowed = offer
        self.models = _models_of(offer)
        self._show()
        if "key" not in offer:
            self._key_page.leave()
        if not {"server", "path"} <= set(offer.names):
            self._form_page.connected()

    # Messages of the page

    def _actions(self) -> dict[str, Action]:
        actions = {
            "model": self._take_choice,
            "key": self._take_key,
            "models": self._list_models,
            "local": self._look_here,
            "connect": self._connect,
            "play": self._play,
        }
        return {name: weakly(action) for name, action in actions.items()}

    def _take_choice(self, message: Mapping[str, Any]) -> None:
        if message["choice"] not in {one["value"] for one in self._listed()}:
            raise Ignored("this model is not offered")
        if self._on_fields is not None:
            self._on_fields(message.get("fields") or {})
        self.choose(message["choice"])

    def _take_key(self, message: Mapping[str, Any]) -> None:
        try:
            self.connection.take_key(message["key"])
        except Error as error:
            self._key_page.refused(failure_sentences(error))
        except Exception as error:  # noqa: BLE001 - its text might hold the key
            self._key_page.refused(f"The key could not be used ({type(error).__name__}).")
        else:
            self._follow()
            if self._on_key is not None:
                self._on_key()
            self._key_page.accepted()

    def _list_models(self, message: Mapping[str, Any]) -> None:
        Task(list_models(self._form_page, message["url"], message["key"]))

    def _look_here(self, _message: Mapping[str, Any]) -> None:
        Task(look_here(self._form_page))

    def _connect(self, message: Mapping[str, Any]) -> None:
        self._switch(lambda: self.connection.connect(message["url"], message["model"], message["key"]))

    def _play(self, message: Mapping[str, Any]) -> None:
        self._switch(lambda: self.connection.play(message["path"], self._offer.folder))

    def _switch(self, connect: Callable[[], Mapping[str, Any] | None]) -> None:
        """Ask a server or a recording from now on, or show below the form why that is not possible."""
        try:
            parameters = connect()
        except Error as error:
            self._form_page.refused(failure_sentences(error))
        else:
            self._form_page.connected()
            self._changed(parameters)

    # The choice

    def choose(self, value: str) -> None:
        """Ask another model from now on; `value` is that of one of `ModelConnection.choices`."""
        self.connection.choose(value)
        self._changed()

    def _changed(self, parameters: Mapping[str, Any] | None = None) -> None:
        self._follow()
        if self._on_model is not None:
            self._on_model(parameters)

    def _follow(self) -> None:
        """Hold a client with the settings of the connection."""
        before, now = self.client, self.connection.shown
        if self._own is not None and now is not before and now not in self._own:
            self._own.append(now)
        self.client = now
        self._show()

    @traitlets.validate("models")  # type: ignore[untyped-decorator]
    def _check_models(self, proposal: Any) -> list[str]:
        return [endpoints.get(name).name for name in proposal["value"]]

    @traitlets.observe("client")  # type: ignore[untyped-decorator]
    def _client_changed(self, change: Any) -> None:
        client, is_given = change["new"], change["new"] is not self.connection.shown
        if is_given:
            self.connection.use(client)
        self.endpoint = client.settings.endpoint
        if self._own is not None:
            for own in [one for one in self._own if one is not client]:
                self._own.remove(own)
                own.close()
        self._show()
        if is_given and self._on_model is not None:
            self._on_model(None)

    @traitlets.observe("endpoint")  # type: ignore[untyped-decorator]
    def _endpoint_changed(self, change: Any) -> None:
        if change["new"] != self.client.settings.endpoint:
            self.connection.ask_endpoint(change["new"])
            self._changed()

    def _listed(self) -> list[dict[str, str]]:
        return self.connection.choices(replace(self._offer, models=tuple(self.models)))

    @traitlets.observe("models")  # type: ignore[untyped-decorator]
    def _show(self, _change: Any = None) -> None:
        listed, choice, key = self._listed(), self.connection.choice, self.connection.key()
        about = key if "key" in self._offer else {"state": "none", "text": ""}
        self._list.show(listed, choice, about)
        self._key_page.about = self.connection.about_key()
        self.set_trait("key_state", key["text"])
        if self._note is not None:
            note = next(one["note"] for one in listed if one["value"] == choice)
            self._note.value = html.escape(" ".join(filter(None, [note, key["text"] and f"{key['text']}."])))

    def close(self) -> None:
        """Close the clients that the part made, take it off the page, and end it; again, nothing happens."""
        own, self._own = self._own or [], None
        self._on_model = self._on_key = self._on_fields = None
        for client in own:
            client.close()
        super().close()


def _models_of(offer: Offer) -> list[str]:
    return list(endpoints.ENDPOINTS if offer.models is None else offer.models)


def _log(error: Exception) -> None:
    ignored("ModelChoice", type(error).__name__)  # its text might hold the key
