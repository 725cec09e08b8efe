"""The controls: prompt, sliders, Run and Stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbvlm.widgets._fields import (
    Dropdown,
    button,
    column,
    is_on_grid,
    label,
    number_of,
    on_slider,
    prompt_field,
    slider_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbvlm.endpoints import Endpoint

__all__ = ["Controls"]

_PACES = (30.0, 5.0)
_FASTEST = "As fast as it can"
_NOTE = "The service advises changing temperature or top p, not both."


class Controls:
    """Fields for the prompt and the parameters of one endpoint, with the buttons.

    Parameters
    ----------
    endpoint
        Gives the sliders their ranges and defaults.
    on_prompt, on_parameters
        Called when the prompt or a slider has changed.
    on_pace
        Called when another pace of the embedded model was chosen.
    on_run, on_stop, on_reset
        Called when the buttons are pressed; a page with the toolbar sends a message of its own instead.
    guard
        Runs an action and shows its errors.

    Attributes
    ----------
    prompt, sliders, pace_field, note, run, stop
        The single widgets; sliders by the names of their parameters.
    widgets
        The widgets to place in a layout, in order.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        on_prompt: Callable[[], Any],
        on_parameters: Callable[[], Any],
        on_run: Callable[[], Any],
        on_stop: Callable[[], Any],
        on_reset: Callable[[], Any],
        on_pace: Callable[[], Any],
        guard: Callable[[Callable[[], Any]], None],
    ) -> None:
        self._guard, self._on_parameters = guard, on_parameters
        self.prompt = prompt_field()
        self.run = button("Run", "nbvlm-run", "Ask the model (Ctrl+Enter, on a Mac ⌘+Enter)")
        self.stop = button("Stop", "nbvlm-stop", "Stop the answer (Esc)", disabled=True)
        self._reset = button("Defaults", "nbvlm-reset", "Set all sliders to the model's defaults")
        self.note = label(_NOTE, "nbvlm-note")
        self.pace_field = Dropdown(
            description="Pace",
            tooltip="Tokens a second of the embedded model: slow answers can be watched, and stopped",
        ).add_class("nbvlm-pace")
        self._putting = False
        self.put_pace(None)
        self._head = column([label("Parameters", "nbvlm-heading"), self._reset], "nbvlm-sliders-head")
        self._sliders = column([], "nbvlm-sliders")
        actions = column([self.run, self.stop], "nbvlm-actions")
        # Run stands above the sliders, which few people move: it is on the screen without scrolling.
        self.widgets = (self.prompt, actions, self._sliders)
        self.prompt.observe(lambda _change: guard(on_prompt), "value")
        self.run.on_click(lambda _button: guard(on_run))
        self.stop.on_click(lambda _button: guard(on_stop))
        self.pace_field.observe(lambda _change: None if self._putting else guard(on_pace), "value")
        self._reset.on_click(lambda _button: guard(on_reset))
        self.sliders: dict[str, Any] = {}
        self.serve(endpoint)

    def serve(self, endpoint: Endpoint) -> None:
        """Fit the fields to an endpoint; values within its ranges are kept."""
        kept, old = self.parameters, self.sliders
        self._endpoint = endpoint
        self.sliders = {parameter.name: slider_of(parameter) for parameter in endpoint.parameters}
        self.take(parameters=kept)
        for slider in self.sliders.values():
            slider.observe(lambda _change: self._guard(self._moved), "value")
        sliders = [self._head, *self.sliders.values(), self.note] if self.sliders else []
        self._sliders.children = [*sliders[:-1], self.pace_field, *sliders[-1:]]
        self.advise()
        for slider in old.values():
            slider.close()

    def offer_pace(self, offered: bool) -> None:
        """Show the choice of a pace, or not: only the embedded model has one."""
        self.pace_field.layout.display = "" if offered else "none"

    @property
    def pace(self) -> float | None:
        """The chosen tokens a second; None does not slow the model down."""
        return self.pace_field.value or None

    def put_pace(self, pace: float | None) -> None:
        """Choose a pace, which need not be one of the usual ones."""
        paces = sorted({*_PACES, *([pace] if pace else [])}, reverse=True)
        titles = [(f"{one:g} tokens a second", one) for one in paces]
        options = ((_FASTEST, 0.0), *titles)
        self._putting = True  # new options choose the first one for a moment
        try:
            if self.pace_field.options != options:
                self.pace_field.options = options
            self.pace_field.value = pace or 0.0
        finally:
            self._putting = False

    @property
    def parameters(self) -> dict[str, float | int]:
        """Values of the sliders, by the names of the parameters."""
        return {name: slider.value for name, slider in self.sliders.items()}

    def take(self, prompt: Any = None, parameters: Mapping[str, Any] | None = None) -> None:
        """Take values of the fields from a page; parameters without a slider are ignored."""
        if isinstance(prompt, str):
            self.prompt.value = prompt
        for name, value in (parameters or {}).items():
            if name in self.sliders:
                self.sliders[name].value = on_slider(self.sliders[name], value)

    def takes(self, name: str, value: float) -> bool:
        """Check that a slider reaches a value of a page, and that this is more than a rounding of its own."""
        slider = self.sliders.get(name)
        if slider is None or not slider.min <= round(value, 6) <= slider.max:
            return False
        # A slider on a page stands on multiples of its step only.
        return bool(abs(value - slider.value) > 0.51 * slider.step or is_on_grid(slider))

    def put(self, values: Mapping[str, float]) -> None:
        """Write values that the endpoint accepts, exactly."""
        for name, value in values.items():
            slider = self.sliders[name]
            slider.min = min(slider.min, value)  # the endpoint's range may begin below the first step
            slider.value = value

    def _moved(self) -> None:
        self.advise()
        self._on_parameters()

    def reset(self) -> None:
        """Set all sliders to the endpoint's defaults."""
        for parameter in self._endpoint.parameters:
            self.sliders[parameter.name].value = number_of(parameter, parameter.default)

    def advise(self) -> None:
        """Show the published advice while both temperature and top p differ from their defaults."""
        defaults = {parameter.name: parameter.default for parameter in self._endpoint.parameters}
        changed = {name for name, value in defaults.items() if self.sliders[name].value != value}
        advised = self._endpoint.dialect == "nvidia" and changed >= {"temperature", "top_p"}
        self.note.layout.display = "" if advised else "none"

    def running(self, running: bool, *, queued: bool = False) -> None:
        """Switch Run and Stop; while an answer is under way, Run keeps one question for later."""
        self.stop.disabled = not running
        self.run.description = "Queued" if queued else "Run next" if running else "Run"
