"""The controls: task, prompt, sliders, Run and Stop, made of ipywidgets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

from nbvlm.panel import tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbvlm.endpoints import Endpoint, Parameter

__all__ = ["Controls"]

_TITLES = {"temperature": "Temperature", "top_p": "Top p", "max_tokens": "Max tokens"}


class Controls:
    """What is asked and how: fields that fit one endpoint.

    Parameters
    ----------
    endpoint
        Gives the sliders their ranges and defaults.
    on_run, on_stop
        Called when the buttons are pressed.
    guard
        Calls what a widget asks for, and shows what goes wrong.

    Attributes
    ----------
    task, prompt, sliders, run, stop
        The widgets by themselves; sliders by the names of their parameters.
    widgets
        What is placed in a layout, in order.
    things
        What the chosen picture is known to hold, for presets that name things.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        on_run: Callable[[], Any],
        on_stop: Callable[[], Any],
        guard: Callable[[Callable[[], Any]], None],
    ) -> None:
        self.things: tuple[str, ...] = ()
        self._tasks = tasks.tasks_for(endpoint)
        self._following = False
        self.task = _task_field([task.title for task in self._tasks])
        self.prompt = _prompt_field()
        self.sliders = {parameter.name: _slider(parameter) for parameter in endpoint.parameters}
        self._defaults = self.parameters
        self.run = _button("Run", "nbvlm-run", "Ask the model (Ctrl+Enter)")
        self.stop = _button("Stop", "nbvlm-stop", "Stop the answer (Esc)", disabled=True)
        self.widgets = (
            self.task,
            self.prompt,
            _box(list(self.sliders.values()), "nbvlm-sliders"),
            _box([self.run, self.stop], "nbvlm-actions"),
        )
        self.task.observe(lambda change: guard(lambda: self.write_prompt(change["new"])), "value")
        self.prompt.observe(lambda change: guard(lambda: self.follow_prompt(change["new"])), "value")
        self.run.on_click(lambda _button: guard(on_run))
        self.stop.on_click(lambda _button: guard(on_stop))

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
        for name, value in self._defaults.items():
            self.sliders[name].value = value

    def write_prompt(self, title: str) -> None:
        """Write the prompt of a preset, unless the task field only follows the prompt."""
        chosen = next((task for task in self._tasks if task.title == title), None)
        if chosen is not None and not self._following:
            self.prompt.value = tasks.write(chosen, self.things, self.prompt.value)

    def follow_prompt(self, prompt: str) -> None:
        """Let the task field show what kind of prompt this is."""
        self._following = True
        try:
            self.task.value = tasks.task_of(prompt, self._tasks)
        finally:
            self._following = False

    def running(self, running: bool, *, queued: bool = False) -> None:
        """Switch Run and Stop; while an answer is under way, Run keeps one question for the time after it."""
        self.stop.disabled = not running
        self.run.description = "Queued" if queued else "Run next" if running else "Run"


def _box(children: list[Any], name: str) -> Any:
    box = ipywidgets.VBox(children)
    box.add_class(name)
    return box


def _task_field(titles: list[str]) -> Any:
    field = ipywidgets.Dropdown(options=[*titles, tasks.OWN_WORDS], value=tasks.OWN_WORDS, description="Task")
    field.add_class("nbvlm-task")
    return field


def _prompt_field() -> Any:
    # Told when it is left, not with every letter: so the text is in the kernel before the press on Run.
    field = ipywidgets.Textarea(
        description="Prompt", placeholder="caption en, detect cat ; dog, …", continuous_update=False
    )
    field.add_class("nbvlm-prompt")
    return field


def _slider(parameter: Parameter) -> Any:
    kind = ipywidgets.IntSlider if parameter.integer else ipywidgets.FloatSlider
    number = int if parameter.integer else float
    lowest = parameter.low + parameter.step if parameter.low_open else parameter.low
    slider = kind(
        value=number(parameter.default),
        min=number(lowest),
        max=number(parameter.high),
        step=number(parameter.step),
        description=_TITLES.get(parameter.name, parameter.name),
        continuous_update=False,
        **({} if parameter.integer else {"readout_format": ".2f"}),
    )
    slider.add_class(f"nbvlm-{parameter.name.replace('_', '-')}")
    return slider


def _of_slider(slider: Any, value: Any) -> Any:
    """Round off what a browser's arithmetic adds, as in 0.30000000000000004."""
    return round(value) if isinstance(slider, ipywidgets.IntSlider) else round(float(value), 6)


def _button(text: str, name: str, tooltip: str, *, disabled: bool = False) -> Any:
    button = ipywidgets.Button(description=text, tooltip=tooltip, disabled=disabled)
    button.add_class(name)
    return button
