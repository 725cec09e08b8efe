"""The error card as a part of its own: a failure in plain words, with buttons that call functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from nbvlm.widgets._life import weakly
from nbvlm.widgets._part import PartBox
from nbvlm.widgets._values import EndpointTrait
from nbvlm.widgets.error_card import ErrorPage
from nbvlm.widgets.esm import script

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbvlm.endpoints import Endpoint
    from nbvlm.widgets.offers import Offer

__all__ = ["ErrorCard"]


class _OwnPage(ErrorPage):
    _esm = script("error_card", "colors", "scheme", "theme", "place", "error_card")


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
    on_message
        Called with each press on a button, in place of `actions`: `action` is the name of the button. The
        card then has all buttons that fit the error.
    offer
        What the buttons may lead to; None takes the default of the host, as `Panel` does.
    on_refused
        Called with the error of a press that leads to what is not offered.

    Attributes
    ----------
    error : Exception or None
        The error on the screen; None for none. The page's close button sets None. Default: None.
        ``card.error = nbvlm.Error("The lamp is off.", hint="Switch it on.")``
    endpoint : Endpoint
        The model that was asked; takes its name. Default: the embedded model. ``card.endpoint = "nvidia"``
    asking : bool
        Whether the error ended a question: only then the card offers to ask again. Default: True.
        ``card.asking = False``
    origin : str or None
        The address of the service that the details name; "" names none, None the model's own. Default: None.
        ``card.origin = "http://127.0.0.1:8000"``
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
    asking = traitlets.Bool(True)
    origin = traitlets.Unicode(None, allow_none=True)
    actions = traitlets.Dict(
        default_value={}, key_trait=traitlets.Unicode(), value_trait=traitlets.Callable()
    )

    def __init__(
        self,
        error: BaseException | None = None,
        *,
        on_message: Callable[[Mapping[str, Any]], Any] | None = None,
        offer: Offer | None = None,
        on_refused: Callable[[Exception], Any] | None = None,
        bare: bool = False,
        **traits: Any,
    ) -> None:
        self._on_message = on_message
        self._showing = False
        page = ErrorPage if bare else _OwnPage
        buttons = () if on_message is None else None
        self._page = page(weakly(self._act), weakly(self.clear), buttons, offer=offer, on_refused=on_refused)
        super().__init__([self._page], bare=bare, **traits)
        if error is not None:
            self.error = error

    @property
    def card(self) -> dict[str, Any] | None:
        """The card as the page shows it: `title`, `message`, `hint`, `details`, `actions`, `seconds`."""
        return self._page.card

    @property
    def allowed(self) -> Offer:
        """What the buttons may lead to."""
        return self._page.allowed

    @allowed.setter
    def allowed(self, offer: Offer) -> None:
        self._page.allowed = offer

    def show(
        self, error: BaseException, endpoint: Endpoint, *, asking: bool = True, origin: str | None = None
    ) -> None:
        """Show an error, with all that belongs to it; the same one may come again."""
        self._showing = True
        try:
            self.error, self.endpoint, self.asking, self.origin = error, endpoint, asking, origin
        finally:
            self._showing = False
        self._show()

    def clear(self) -> None:
        """Show no error."""
        self.error = None

    def _act(self, message: Mapping[str, Any]) -> None:
        if self._on_message is not None:
            self._on_message(message)
            return
        action = self.actions.get(message["action"])
        self.clear()
        if action is not None:
            action()

    @traitlets.observe("error", "endpoint", "asking", "origin")  # type: ignore[untyped-decorator]
    def _show(self, _change: Any = None) -> None:
        if self._showing:
            return
        if self.error is None:
            self._page.clear()
        else:
            self._page.show(self.error, self.endpoint, asking=self.asking, origin=self.origin)

    @traitlets.observe("actions")  # type: ignore[untyped-decorator]
    def _offer(self, change: Any) -> None:
        if self._on_message is None:
            self._page.offer(change["new"])

    def close(self) -> None:
        """Take the card off the page, and end it; again, nothing happens."""
        self._on_message = None
        super().close()
