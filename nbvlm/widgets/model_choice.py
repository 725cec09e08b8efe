"""The choice of the model that is asked."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import traitlets

from nbvlm import endpoints
from nbvlm.client import Client, resolve
from nbvlm.widgets._fields import Dropdown, text_block
from nbvlm.widgets._part import PartBox, weakly
from nbvlm.widgets._values import ClientTrait, EndpointTrait

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbvlm.client import AsyncClient
    from nbvlm.endpoints import Endpoint

__all__ = ["ModelChoice"]


class ModelChoice(PartBox):
    """List the models that can be asked, and hold a client for the chosen one.

    Only a person at the page, or Python, changes the choice; a model without a key stays chosen, and the
    question fails with an `AuthenticationError` that names the next step.

    Parameters
    ----------
    client
        A `Client` or an `AsyncClient`; None takes `Client()`, which says which model answers.

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

    @traitlets.default("models")  # type: ignore[untyped-decorator]
    def _default_models(self) -> list[str]:
        return list(endpoints.ENDPOINTS)

    def __init__(self, client: Client | AsyncClient | None = None, **traits: Any) -> None:
        self._own: list[Client] = []
        self._putting = False
        self._field = Dropdown(description="Model").add_class("nbvlm-model-choice")
        self._note = text_block()
        self._field.layout.width = "auto"
        self._field.observe(weakly(self._picked), "index")
        self._listed: list[Endpoint] = []
        self.client = self._made(Client()) if client is None else client
        super().__init__([self._field, self._note], **traits)
        self._show()

    def _made(self, client: Client) -> Client:
        self._own.append(client)
        return client

    def _picked(self, change: Any) -> None:
        if not self._putting and change["new"] is not None:
            self.endpoint = self._listed[change["new"]]

    @traitlets.validate("models")  # type: ignore[untyped-decorator]
    def _check_models(self, proposal: Any) -> list[str]:
        return [endpoints.get(name).name for name in proposal["value"]]

    @traitlets.observe("client")  # type: ignore[untyped-decorator]
    def _client_changed(self, change: Any) -> None:
        self.endpoint = change["new"].settings.endpoint
        for own in [one for one in self._own if one is not change["new"]]:
            self._own.remove(own)
            own.close()
        self._show()

    @traitlets.observe("endpoint")  # type: ignore[untyped-decorator]
    def _endpoint_changed(self, change: Any) -> None:
        if change["new"] != self.client.settings.endpoint:
            self.client = self._made(Client.from_settings(resolve(change["new"])))

    @traitlets.observe("models")  # type: ignore[untyped-decorator]
    def _show(self, _change: Any = None) -> None:
        listed: Sequence[Endpoint] = [endpoints.get(name) for name in self.models]
        if self.endpoint not in listed:
            listed = [self.endpoint, *listed]
        self._putting = True  # new options choose the first one for a moment
        try:
            if list(listed) != self._listed:
                self._listed = list(listed)
                self._field.options = [(one.model, index) for index, one in enumerate(self._listed)]
            self._field.index = self._listed.index(self.endpoint)
            self._note.value = html.escape(self.endpoint.note)
        finally:
            self._putting = False

    def close(self) -> None:
        """Close the clients that the part made, take it off the page, and end it; again, nothing happens."""
        own, self._own = self._own, []
        for client in own:
            client.close()
        super().close()
