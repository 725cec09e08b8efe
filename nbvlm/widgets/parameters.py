"""The sliders of a model's parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from nbvlm import endpoints
from nbvlm.client import check_parameters
from nbvlm.widgets._base import PageWidget
from nbvlm.widgets._fields import button, column, label, number_of, on_slider, slider_of
from nbvlm.widgets._part import PartBox, weakly
from nbvlm.widgets._values import EndpointTrait, Typed
from nbvlm.widgets.esm import script

if TYPE_CHECKING:
    from nbvlm.endpoints import Endpoint

__all__ = ["Parameters"]

_NAMES = ("temperature", "top_p", "max_tokens")


class _SliderNames(PageWidget):
    """Lets screen readers say the sliders' names, and their values as the fields beside them show them."""

    _esm = script("slider_names")
    _css = ""


class _Parameter(Typed[Any, Any]):
    """A value that the model takes; None stands for its default."""

    default_value = None
    info_text = "a value that the model takes, or None"

    def validate(self, obj: Any, value: Any) -> Any:
        """Check a value as `Client.ask` does."""
        if value is None:
            return obj.default_of(self.name)
        return check_parameters(obj.endpoint, {self.name: value})[self.name]


class Parameters(PartBox):
    """Show a slider for each parameter of a model.

    Each trait below can be given by name, observed and linked; the page changes all but `endpoint`. A value
    out of range or of a wrong type raises a `ParameterError` at once, and nothing changes.

    Parameters
    ----------
    endpoint
        An `Endpoint` or its name, which gives the sliders their ranges and defaults.

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

    @traitlets.default("endpoint")  # type: ignore[untyped-decorator]
    def _default_endpoint(self) -> Endpoint:
        return endpoints.get("demo")

    @traitlets.default("value")  # type: ignore[untyped-decorator]
    def _default_value(self) -> dict[str, Any]:
        return {}

    def __init__(self, endpoint: Endpoint | str | None = None, **traits: Any) -> None:
        self._sliders: dict[str, Any] = {}
        self._box = column([], "nbvlm-sliders")
        self._reset = button("Defaults", "nbvlm-reset", "Set all sliders to the model's defaults")
        self._reset.on_click(weakly(self._take_reset))
        self._head = column([label("Parameters", "nbvlm-heading"), self._reset], "nbvlm-sliders-head")
        for place in (self._reset.layout, self._box.layout):
            place.width = "auto"
        self._head.layout.flex_flow, self._head.layout.justify_content = "row wrap", "space-between"
        self._fitting = False
        self._names = _SliderNames()
        self._names.layout.display = "none"
        if endpoint is not None:
            self.endpoint = endpoint
        self._fit()
        super().__init__([self._box, self._names], **traits)

    def reset(self) -> None:
        """Set all parameters to the model's defaults."""
        self.value = dict.fromkeys(self._sliders)

    def _take_reset(self, _button: Any = None) -> None:
        self.reset()

    @traitlets.validate("value")  # type: ignore[untyped-decorator]
    def _check_all(self, proposal: Any) -> dict[str, Any]:
        if not hasattr(proposal["value"], "items"):
            kind = type(proposal["value"]).__name__
            raise traitlets.TraitError(f"value must be a dictionary of parameters, got {kind}.")
        given = dict(proposal["value"])
        checked = check_parameters(self.endpoint, {n: one for n, one in given.items() if one is not None})
        defaults = {name: self.default_of(name) for name, one in given.items() if one is None}
        return {name: {**self._now(), **checked, **defaults}[name] for name in self._sliders}

    def default_of(self, name: str) -> Any:
        """Return the model's default of a parameter; None for a model without it."""
        found = (one for one in self.endpoint.parameters if one.name == name)
        return next((number_of(one, one.default) for one in found), None)

    def _now(self) -> dict[str, Any]:
        return {name: slider.value for name, slider in self._sliders.items()}

    @traitlets.observe("endpoint")  # type: ignore[untyped-decorator]
    def _endpoint_changed(self, _change: Any) -> None:
        if hasattr(self, "_box"):
            self._fit()

    def _fit(self) -> None:
        """Make the sliders of the model; values within its ranges are kept."""
        kept, old = self._now(), self._sliders
        self._sliders = {one.name: slider_of(one) for one in self.endpoint.parameters}
        for name, slider in self._sliders.items():
            slider.style.description_width, slider.layout.width = "96px", "auto"
            if name in kept:
                slider.value = on_slider(slider, kept[name])
            slider.observe(weakly(self._moved), "value")
        self._box.children = [self._head, *self._sliders.values()] if self._sliders else []
        self._report()
        for slider in old.values():
            slider.layout.close()
            slider.style.close()
            slider.close()

    def _moved(self, _change: Any) -> None:
        if not self._fitting:
            self._report()

    def _report(self) -> None:
        """Let the traits follow the sliders."""
        now = self._now()
        with self.hold_trait_notifications():
            for name in _NAMES:
                if getattr(self, name) != now.get(name):
                    setattr(self, name, now.get(name))
            if self.value != now:
                self.value = now

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
