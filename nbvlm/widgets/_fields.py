"""Fields, sliders and buttons of ipywidgets, of which a page changes the values only."""

from __future__ import annotations

from html import escape
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import ipywidgets

from nbvlm.widgets._base import PageState
from nbvlm.widgets.messages import number, text, whole

if TYPE_CHECKING:
    from nbvlm.endpoints import Parameter

__all__ = [
    "Box",
    "Dropdown",
    "button",
    "column",
    "fixed_text",
    "is_on_grid",
    "label",
    "number_of",
    "on_slider",
    "prompt_field",
    "slider_of",
    "text_block",
]

TITLES = {"temperature": "Temperature", "top_p": "Top p", "max_tokens": "Max tokens"}


class Box(PageState, ipywidgets.VBox):  # type: ignore[misc] # the base class has no types
    """A box that no page changes."""


class Label(PageState, ipywidgets.Label):  # type: ignore[misc] # likewise
    """A text that no page changes."""


class Html(PageState, ipywidgets.HTML):  # type: ignore[misc] # likewise
    """A text of several lines that no page changes."""


class Button(PageState, ipywidgets.Button):  # type: ignore[misc] # likewise
    """A button that a page presses."""


class Textarea(PageState, ipywidgets.Textarea):  # type: ignore[misc] # likewise
    """A field that takes any text of a page."""

    page_traits = MappingProxyType({"value": text})


class Dropdown(PageState, ipywidgets.Dropdown):  # type: ignore[misc] # likewise
    """A choice that takes one of its options."""

    page_traits = MappingProxyType({"index": whole})

    def accepts(self, name: str, value: Any) -> bool:
        """Check the `index` that a page gives."""
        return super().accepts(name, value) and value < len(self.options)


class InRange(PageState):
    """A slider that takes the numbers of its range."""

    page_traits = MappingProxyType({"value": number})

    def accepts(self, name: str, value: Any) -> bool:
        """Check the `value` that a page gives the trait `name`."""
        return super().accepts(name, value) and self.min <= value <= self.max  # type: ignore[attr-defined]


class FloatSlider(InRange, ipywidgets.FloatSlider):  # type: ignore[misc] # likewise
    pass


class IntSlider(InRange, ipywidgets.IntSlider):  # type: ignore[misc] # likewise
    page_traits = MappingProxyType({"value": whole})


def column(children: list[Any], name: str) -> Any:
    """Place widgets one below the other, in a box with a CSS class that no page changes."""
    return Box(children).add_class(name)


def label(text: str, name: str, **traits: Any) -> Any:
    return Label(text, **traits).add_class(name)


def fixed_text(words: str, name: str, **traits: Any) -> Any:
    """Return a text that never changes; HoloViz Panel shows it, where a `Label` stays empty."""
    return Html(escape(words), **traits).add_class(name)


def text_block() -> Any:
    """Return a text that breaks its lines; its value is HTML."""
    return Html()


def prompt_field() -> Any:
    return Textarea(
        description="Prompt",
        placeholder="caption en, detect cat ; dog, …",
        continuous_update=False,
        tooltip="Arrow up brings back earlier prompts",
    ).add_class("nbvlm-prompt")


def number_of(parameter: Parameter, value: float) -> float | int:
    return int(value) if parameter.integer else float(value)


def slider_of(parameter: Parameter) -> Any:
    kind = IntSlider if parameter.integer else FloatSlider
    lowest = parameter.low + parameter.step if parameter.low_open else parameter.low
    title = TITLES.get(parameter.name, parameter.name)
    return kind(
        value=number_of(parameter, parameter.default),
        min=number_of(parameter, lowest),
        max=number_of(parameter, parameter.high),
        step=number_of(parameter, parameter.step),
        description=title,
        tooltip=f"{title}: {lowest:g} to {parameter.high:g}, by default {parameter.default:g}",
        continuous_update=False,
        layout=ipywidgets.Layout(),  # it is closed with the slider, when another model is chosen
        **({} if parameter.integer else {"readout_format": ".2f"}),
    ).add_class(f"nbvlm-{parameter.name.replace('_', '-')}")


def is_on_grid(slider: Any) -> bool:
    steps = (slider.value - slider.min) / slider.step
    return bool(abs(steps - round(steps)) < 1e-6)


def on_slider(slider: Any, value: Any) -> Any:
    """Round off the error of a browser's arithmetic, as in 0.30000000000000004, and keep to the range."""
    number = round(value) if isinstance(slider, ipywidgets.IntSlider) else round(float(value), 6)
    return min(max(number, slider.min), slider.max)


def button(text: str, name: str, tooltip: str, *, disabled: bool = False) -> Any:
    return Button(description=text, tooltip=tooltip, disabled=disabled).add_class(name)
