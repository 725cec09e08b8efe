"""The error card as a part of its own: a failure in plain words, with buttons that call functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from nbvlm import endpoints
from nbvlm.widgets._part import PartBox, weakly
from nbvlm.widgets._values import EndpointTrait
from nbvlm.widgets.error_card import ErrorPage
from nbvlm.widgets.esm import style

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbvlm.endpoints import Endpoint

__all__ = ["ErrorCard"]


class _Page(ErrorPage):
    """A card that offers the buttons that have a function."""

    _css = style("colors", "theme", "error_card")

    def __init__(self, on_message: Callable[[Mapping[str, Any]], None], on_close: Callable[[], None]) -> None:
        self._buttons: Mapping[str, Any] = {}
        self._on_close = on_close
        super().__init__(on_message)

    def offer(self, buttons: Mapping[str, Any]) -> None:
        self._buttons = buttons
        self.send_all()

    def _offers(self, action: str) -> bool:
        return action in self._buttons

    def take(self, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        super().take(message, buffers)
        if message["type"] == "close":
            self._on_close()


class ErrorCard(PartBox):
    """Show an error: what happened, what to do, and the details, without secrets.

    Each trait below can be given by name, observed and linked. Which buttons a card could have depends on the
    error; it has those that were given a function.

    Parameters
    ----------
    error
        An `nbvlm.Error`; any other error is named by its type alone.
    actions
        The functions of the buttons, called without arguments, by the names of the buttons: "again", "key",
        "model:demo" (or another name of a model), "shrink", "reset", "prompt", "models", "upload",
        "private", "recording" and "nearest".

    Attributes
    ----------
    error : Exception or None
        The error on the screen; None for none. The page's close button sets None. Default: None.
        ``card.error = nbvlm.Error("The lamp is off.", hint="Switch it on.")``
    endpoint : Endpoint
        The model that was asked; takes its name. Default: the embedded model. ``card.endpoint = "nvidia"``
    actions : dict
        As the argument. Default: {}. ``card.actions = {"again": asking.run}``

    Raises
    ------
    traitlets.TraitError
        For a value of another kind.

    Examples
    --------
    >>> import nbvlm  # doctest: +SKIP
    >>> error = nbvlm.RateLimitError("The limit is reached.")  # doctest: +SKIP
    >>> nbvlm.widgets.ErrorCard(error, actions={"again": print})  # doctest: +SKIP
    """

    error = traitlets.Instance(BaseException, allow_none=True)
    endpoint = EndpointTrait()
    actions = traitlets.Dict(
        default_value={}, key_trait=traitlets.Unicode(), value_trait=traitlets.Callable()
    )

    @traitlets.default("endpoint")  # type: ignore[untyped-decorator]
    def _default_endpoint(self) -> Endpoint:
        return endpoints.get("demo")

    def __init__(self, error: BaseException | None = None, **traits: Any) -> None:
        self._page = _Page(weakly(self._act), weakly(self.clear))
        super().__init__([self._page], **traits)
        if error is not None:
            self.error = error

    def clear(self) -> None:
        """Show no error."""
        self.error = None

    def _act(self, message: Mapping[str, Any]) -> None:
        action = self.actions.get(message["action"])
        self.clear()
        if action is not None:
            action()

    @traitlets.observe("error", "endpoint")  # type: ignore[untyped-decorator]
    def _show(self, _change: Any) -> None:
        if self.error is None:
            self._page.clear()
        else:
            self._page.show(self.error, self.endpoint, asking=True)

    @traitlets.observe("actions")  # type: ignore[untyped-decorator]
    def _offer(self, change: Any) -> None:
        self._page.offer(change["new"])
