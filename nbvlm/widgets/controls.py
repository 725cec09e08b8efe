"""The controls: task, prompt, sliders, Run and Stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

from nbvlm.widgets.task_bar import TaskBar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbvlm.endpoints import Endpoint, Parameter

__all__ = ["Controls"]

_TITLES = {"temperature": "Temperature", "top_p": "Top p", "max_tokens": "Max tokens"}
_BOTH = ("temperature", "top_p")
_NOTE = "The service advises to change temperature or top p, not both."


class Controls:
    """What is asked and how: fields that fit one endpoint.

    Parameters
    ----------
    endpoint
        Gives the sliders their ranges and defaults.
    on_run, on_stop, on_reset
        Called when the buttons are pressed, where the page has not said so in a message of its own.
    on_region
        Called with whether a region is to be drawn on the picture.
    guard
        Calls what a widget asks for, and shows what goes wrong.

    Attributes
    ----------
    task, prompt, sliders, note, run, stop
        The widgets by themselves; sliders by the names of their parameters.
    widgets
        What is placed in a layout, in order.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        on_run: Callable[[], Any],
        on_stop: Callable[[], Any],
        on_reset: Callable[[], Any],
        on_region: Callable[[bool], Any],
        guard: Callable[[Callable[[], Any]], None],
    ) -> None:
        self._guard = guard
        self.task = TaskBar(endpoint, on_region=lambda on: guard(lambda: on_region(on)))
        self.prompt = _prompt_field()
        self.run = _button("Run", "nbvlm-run", "Ask the model (Ctrl+Enter, on a Mac ⌘+Enter)")
        self.stop = _button("Stop", "nbvlm-stop", "Stop the answer (Esc)", disabled=True)
        self._reset = _button("Reset", "nbvlm-reset", "Bring all sliders back to the model's defaults")
        self.note = _words(_NOTE, "nbvlm-note")
        head = _box([_words("Parameters", "nbvlm-heading"), self._reset], "nbvlm-sliders-head")
        self._sliders = _box([], "nbvlm-sliders")
        self._head = head
        actions = _box([self.run, self.stop], "nbvlm-actions")
        self.widgets = (self.task, self.prompt, self._sliders, actions)
        self.prompt.observe(lambda _change: guard(self.task.look), "value")
        self.run.on_click(lambda _button: guard(on_run))
        self.stop.on_click(lambda _button: guard(on_stop))
        self._reset.on_click(lambda _button: guard(on_reset))
        self.sliders: dict[str, Any] = {}
        self.serve(endpoint)

    def serve(self, endpoint: Endpoint) -> None:
        """Fit the fields to an endpoint; values that it takes are kept."""
        kept, old = self.parameters, self.sliders
        self._endpoint = endpoint
        self.sliders = {parameter.name: _slider(parameter) for parameter in endpoint.parameters}
        self.take(parameters=kept)
        for slider in self.sliders.values():
            slider.observe(lambda _change: self._guard(self.advise), "value")
        self._sliders.children = [self._head, *self.sliders.values(), self.note] if self.sliders else []
        self.task.serve(endpoint)
        self.advise()
        for slider in old.values():
            slider.close()

    @property
    def parameters(self) -> dict[str, float | int]:
        """Values of the sliders, by the names of the parameters."""
        return {name: slider.value for name, slider in self.sliders.items()}

    def take(self, prompt: Any = None, parameters: Mapping[str, Any] | None = None) -> None:
        """Take what the page says the fields hold; what cannot be their value is left alone."""
        if isinstance(prompt, str):
            self.prompt.value = prompt
        for name, value in (parameters or {}).items():
            if name in self.sliders:
                self.sliders[name].value = _of_slider(self.sliders[name], value)

    def reset(self) -> None:
        """Bring all sliders back to the endpoint's defaults."""
        for parameter in self._endpoint.parameters:
            self.sliders[parameter.name].value = _number(parameter, parameter.default)

    def advise(self) -> None:
        """Show the published advice where both temperature and top p were changed, as long as they are."""
        defaults = {parameter.name: parameter.default for parameter in self._endpoint.parameters}
        changed = [name for name in _BOTH if name in defaults and self.sliders[name].value != defaults[name]]
        advised = self._endpoint.dialect == "nvidia" and len(changed) == len(_BOTH)
        self.note.layout.display = "" if advised else "none"

    def running(self, running: bool, *, queued: bool = False) -> None:
        """Switch Run and Stop; while an answer is under way, Run keeps one question for the time after it."""
        self.stop.disabled = not running
        self.run.description = "Queued" if queued else "Run next" if running else "Run"


def _box(children: list[Any], name: str) -> Any:
    box = ipywidgets.VBox(children)
    box.add_class(name)
    return box


def _words(text: str, name: str) -> Any:
    label = ipywidgets.Label(text)
    label.add_class(name)
    return label


def _prompt_field() -> Any:
    field = ipywidgets.Textarea(
        description="Prompt",
        placeholder="caption en, detect cat ; dog, …",
        continuous_update=False,
        tooltip="Arrow up brings back what was asked before",
    )
    field.add_class("nbvlm-prompt")
    return field


def _number(parameter: Parameter, value: float) -> float | int:
    return int(value) if parameter.integer else float(value)


def _slider(parameter: Parameter) -> Any:
    kind = ipywidgets.IntSlider if parameter.integer else ipywidgets.FloatSlider
    lowest = parameter.low + parameter.step if parameter.low_open else parameter.low
    title = _TITLES.get(parameter.name, parameter.name)
    slider = kind(
        value=_number(parameter, parameter.default),
        min=_number(parameter, lowest),
        max=_number(parameter, parameter.high),
        step=_number(parameter, parameter.step),
        description=title,
        tooltip=f"{title}: {lowest:g} to {parameter.high:g}, by default {parameter.default:g}",
        continuous_update=False,
        **({} if parameter.integer else {"readout_format": ".2f"}),
    )
    slider.add_class(f"nbvlm-{parameter.name.replace('_', '-')}")
    return slider


def _of_slider(slider: Any, value: Any) -> Any:
    """Round off what a browser's arithmetic adds, as in 0.30000000000000004, and keep to the range."""
    number = round(value) if isinstance(slider, ipywidgets.IntSlider) else round(float(value), 6)
    return min(max(number, slider.min), slider.max)


def _button(text: str, name: str, tooltip: str, *, disabled: bool = False) -> Any:
    button = ipywidgets.Button(description=text, tooltip=tooltip, disabled=disabled)
    button.add_class(name)
    return button
