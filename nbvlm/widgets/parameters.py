"""The sliders of a model's parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets
import traitlets

from nbvlm.client import check_pace, check_parameters
from nbvlm.widgets._base import PageWidget
from nbvlm.widgets._fields import (
    Dropdown,
    button,
    column,
    fixed_text,
    is_on_grid,
    number_of,
    on_slider,
    slider_of,
)
from nbvlm.widgets._life import close_all, weakly
from nbvlm.widgets._part import PartBox
from nbvlm.widgets._values import EndpointTrait, Typed
from nbvlm.widgets.esm import script

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbvlm.endpoints import Endpoint

__all__ = ["Parameters"]

_NAMES = ("temperature", "top_p", "max_tokens")
_PACES = (30.0, 5.0)
_FASTEST = "As fast as it can"
_NOTE = "The service advises changing temperature or top p, not both."


class _SliderNames(PageWidget):
    """Lets screen readers say the sliders' names, and their values as the fields beside them show them.

    In the panel, its head does so.
    """

    _esm = script("slider_names")
    kind = "slider_names"


class _Parameter(Typed[Any, Any]):
    """A value that the model takes; None stands for its default."""

    default_value = None
    info_text = "a value that the model takes, or None"

    def validate(self, obj: Any, value: Any) -> Any:
        """Check a value as `Client.ask` does."""
        if value is None:
            return obj.default_of(self.name)
        return check_parameters(obj.endpoint, {self.name: value})[self.name]


class _Pace(Typed[Any, Any]):
    """Tokens a second, or None."""

    default_value = None
    info_text = "a number above 0, or None"

    def validate(self, _obj: Any, value: Any) -> float | None:
        """Check a pace as `Client` does."""
        return check_pace(value)


class Parameters(PartBox):
    """Show a slider for each parameter of a model.

    Each trait below can be given by name, observed and linked; the page changes all but `endpoint` and
    `has_pace`. Where the service advises against changing two parameters, a note says so. A value out of
    range or of a wrong type raises a `ParameterError` at once, and nothing changes.

    Parameters
    ----------
    endpoint
        An `Endpoint` or its name, which gives the sliders their ranges and defaults.
    on_reset
        Called when the button Defaults is pressed, in place of `reset`.

    Attributes
    ----------
    endpoint : Endpoint
        The model; another one keeps the values that are within its ranges. Default: the embedded model.
        ``parameters.endpoint = "nvidia"``
    temperature : float or None
        Randomness, within the model's range; None for a model without it. Setting None takes the model's
        default. Default: the model's own, for PaliGemma 0.2. ``parameters.temperature = 0.9``
    top_p : float or None
        Share of the probability that is sampled from, likewise; for PaliGemma 0.7. ``parameters.top_p = 0.5``
    max_tokens : int or None
        The most tokens of an answer, likewise; for PaliGemma 1024. ``parameters.max_tokens = 64``
    value : dict
        All parameters of the model by name; setting some leaves the others as they are.
        ``parameters.value = {"temperature": 0.9, "max_tokens": 64}``
    pace : float or None
        The most tokens a second of the embedded model; None does not slow it down. `connect` asks at this
        pace where `has_pace` is True. Default: None. ``parameters.pace = 5``
    has_pace : bool
        Whether the choice of a pace is shown: only the embedded model can be slowed down. Default: False.
        ``parameters.has_pace = True``

    Raises
    ------
    ParameterError
        For a value that the model does not take.

    Examples
    --------
    >>> import nbvlm  # doctest: +SKIP
    >>> parameters = nbvlm.widgets.Parameters(temperature=0.9)  # doctest: +SKIP
    >>> parameters.value  # doctest: +SKIP
    {'temperature': 0.9, 'top_p': 0.7, 'max_tokens': 1024}
    """

    endpoint = EndpointTrait()
    temperature: Typed[float | None, float | None] = _Parameter()
    top_p: Typed[float | None, float | None] = _Parameter()
    max_tokens: Typed[int | None, int | None] = _Parameter()
    value = traitlets.Any()
    pace: Typed[float | None, float | None] = _Pace()
    has_pace = traitlets.Bool(False)

    @traitlets.default("value")  # type: ignore[untyped-decorator]
    def _default_value(self) -> dict[str, Any]:
        return {}

    def __init__(
        self,
        endpoint: Endpoint | str | None = None,
        *,
        on_reset: Callable[[], Any] | None = None,
        bare: bool = False,
        **traits: Any,
    ) -> None:
        self._bare, self._on_reset = bare, on_reset
        self._sliders: dict[str, Any] = {}
        self._note = fixed_text(_NOTE, "nbvlm-note", layout=ipywidgets.Layout())
        self._pace_field = Dropdown(
            description="Pace",
            tooltip="Tokens a second of the embedded model: slow answers can be watched, and stopped",
            layout=ipywidgets.Layout(),
        ).add_class("nbvlm-pace")
        self._pace_field.observe(weakly(self._paced), "value")
        self._reset = button("Defaults", "nbvlm-reset", "Set all sliders to the model's defaults")
        self._reset.on_click(weakly(self._take_reset))
        self._head = column([fixed_text("Parameters", "nbvlm-heading"), self._reset], "nbvlm-sliders-head")
        self._names = [] if bare else [_SliderNames(layout={"display": "none"})]
        if not bare:  # no style sheet comes with plain sliders
            self._reset.layout.width = self._pace_field.layout.width = "auto"
            self._head.layout.flex_flow, self._head.layout.justify_content = "row wrap", "space-between"
            self._pace_field.style.description_width = "96px"
        self._fitting = self._pacing = self._ready = False
        if endpoint is not None:
            self.endpoint = endpoint
        self._offer_paces()
        super().__init__(self._fit(), bare=bare, **traits)
        self._ready = True
        if bare:
            self.remove_class("nbvlm-inside")
        self.add_class("nbvlm-sliders")

    def reset(self) -> None:
        """Set all parameters to the model's defaults."""
        self.value = dict.fromkeys(self._sliders)

    def _take_reset(self, _button: Any = None) -> None:
        if self._on_reset is None:
            self.reset()
        else:
            self._on_reset()

    # A pace

    def _paced(self, change: Any) -> None:
        if not self._pacing:
            self.pace = change["new"] or None

    @traitlets.observe("pace", "has_pace")  # type: ignore[untyped-decorator]
    def _offer_paces(self, _change: Any = None) -> None:
        """Offer the usual paces, and the one that is chosen."""
        paces = sorted({*_PACES, *([self.pace] if self.pace else [])}, reverse=True)
        options = ((_FASTEST, 0.0), *((_tokens_a_second(one), one) for one in paces))
        self._pacing = True  # new options choose the first one for a moment
        try:
            if self._pace_field.options != options:
                self._pace_field.options = options
            self._pace_field.value = self.pace or 0.0
        finally:
            self._pacing = False
        self._pace_field.layout.display = "" if self.has_pace else "none"

    # Values of the fields of a page

    def take(self, values: Mapping[str, Any]) -> None:
        """Take values near those that sliders can have; parameters without a slider are ignored."""
        for name, value in values.items():
            if name in self._sliders:
                self._sliders[name].value = on_slider(self._sliders[name], value)

    def takes(self, name: str, value: float) -> bool:
        """Check that a slider reaches a value of a page, and that this is more than a rounding of its own."""
        slider = self._sliders.get(name)
        if slider is None or not slider.min <= round(value, 6) <= slider.max:
            return False
        # A slider on a page stands on multiples of its step only.
        return bool(abs(value - slider.value) > 0.51 * slider.step or is_on_grid(slider))

    # The sliders

    @traitlets.validate("value")  # type: ignore[untyped-decorator]
    def _check_all(self, proposal: Any) -> dict[str, Any]:
        if not hasattr(proposal["value"], "items"):
            kind = type(proposal["value"]).__name__
            raise traitlets.TraitError(f"value must be a dictionary of parameters, got {kind}.")
        given, now = dict(proposal["value"]), self._now()
        checked = check_parameters(self.endpoint, given)  # those that are not given are their defaults
        return {name: checked[name] if name in given else now[name] for name in self._sliders}

    def default_of(self, name: str) -> Any:
        """Return the model's default of a parameter; None for a model without it."""
        found = (one for one in self.endpoint.parameters if one.name == name)
        return next((number_of(one, one.default) for one in found), None)

    def _now(self) -> dict[str, Any]:
        return {name: slider.value for name, slider in self._sliders.items()}

    @traitlets.observe("endpoint")  # type: ignore[untyped-decorator]
    def _endpoint_changed(self, _change: Any) -> None:
        if self._ready:
            self.children = self._fit()

    def _fit(self) -> list[Any]:
        """Make the sliders of the model; values within its ranges are kept. Returns all that is shown."""
        kept, old = self._now(), self._sliders
        self._sliders = {one.name: slider_of(one) for one in self.endpoint.parameters}
        for name, slider in self._sliders.items():
            if not self._bare:
                slider.style.description_width, slider.layout.width = "96px", "auto"
            if name in kept:
                slider.value = on_slider(slider, kept[name])
            slider.observe(weakly(self._moved), "value")
        self._report()
        for slider in old.values():
            slider.layout.close()
            slider.style.close()
            slider.close()
        head, note = ([self._head], [self._note]) if self._sliders else ([], [])
        return [*head, *self._sliders.values(), self._pace_field, *note, *self._names]

    def _moved(self, _change: Any) -> None:
        if not self._fitting:
            self._report()

    def _report(self) -> None:
        """Let the traits follow the sliders."""
        self._advise()
        now = self._now()
        with self.hold_trait_notifications():
            for name in _NAMES:
                if getattr(self, name) != now.get(name):
                    setattr(self, name, now.get(name))
            if self.value != now:
                self.value = now

    def _advise(self) -> None:
        """Show the published advice while both temperature and top p differ from their defaults."""
        changed = {name for name, value in self._now().items() if value != self.default_of(name)}
        advised = self.endpoint.dialect == "nvidia" and changed >= {"temperature", "top_p"}
        self._note.layout.display = "" if advised else "none"

    @traitlets.observe("temperature", "top_p", "max_tokens")  # type: ignore[untyped-decorator]
    def _one_changed(self, change: Any) -> None:
        if change["new"] is not None:
            self._put({change["name"]: change["new"]})

    @traitlets.observe("value")  # type: ignore[untyped-decorator]
    def _value_changed(self, change: Any) -> None:
        self._put(change["new"])

    def _put(self, values: dict[str, Any]) -> None:
        self._fitting = True
        try:
            for name, value in values.items():
                slider = self._sliders.get(name)
                if slider is not None and slider.value != value:
                    slider.min = min(slider.min, value)  # the range may begin below the first step
                    slider.value = value
        finally:
            self._fitting = False
        self._report()

    def close(self) -> None:
        """Take the part and all inside it off the page, and end it; again, nothing happens."""
        if "_note" in self.__dict__ and not self._sliders and self.comm is not None:
            for one in (self._head, self._note):
                close_all(one)
        self._on_reset = None
        super().close()


def _tokens_a_second(pace: float) -> str:
    return f"{pace:g} token{'' if pace == 1 else 's'} a second"
