"""The task bar: presets with their own fields, and the prompts that were asked before."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from nbvlm import prompts
from nbvlm.widgets.esm import script, style

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbvlm.endpoints import Endpoint


__all__ = ["TASKS", "Task", "TaskBar", "tasks_for"]


@dataclass(frozen=True, slots=True)
class Task:
    """A preset.

    Attributes
    ----------
    title
        Its name in the task field.
    kind
        What its prompt is made of: "caption", "describe", "ocr", "answer", "detect", "segment" or "region".
    question
        The first question of an "answer"; `{thing}` stands for what the picture is known to hold.
    """

    title: str
    kind: str
    question: str = ""


TASKS = (
    Task("Caption", "caption"),
    Task("Detect", "detect"),
    Task("Segment", "segment"),
    Task("Ask", "answer", "what color is the {thing}?"),
    Task("Count", "answer", "how many {thing}s are there?"),
    Task("Describe", "describe"),
    Task("Read text", "ocr"),
    Task("Caption a region", "region"),
)
#: Languages that the embedded model was taught, by the kind of task.
DEMO_LANGUAGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"caption": ("en", "es", "fr", "de"), "describe": ("en",), "answer": ("en",)}
)


def tasks_for(endpoint: Endpoint) -> list[dict[str, Any]]:
    """Return the presets for an endpoint, as the page takes them.

    Returns
    -------
    list of dict
        `title`, `kind`, `question`, and `languages`, pairs of code and name, where there is a choice.
    """
    return [
        {
            "title": task.title,
            "kind": task.kind,
            "question": task.question,
            "languages": _languages(task.kind, endpoint),
        }
        for task in TASKS
    ]


def _languages(kind: str, endpoint: Endpoint) -> list[list[str]]:
    if kind not in DEMO_LANGUAGES:
        return []
    codes = DEMO_LANGUAGES[kind] if endpoint.name == "demo" else ("en", *prompts.LANGUAGES)
    return [[code, prompts.LANGUAGES[code]] for code in dict.fromkeys(codes)]


_REMEMBERED = 100  # prompts


class TaskBar(anywidget.AnyWidget):  # type: ignore[misc] # the base class has no types
    """Writes prompts: a preset and its fields on one side, the prompt's text on the other follow each other.

    All of that happens on the page, so a press on Run right after a choice asks what was chosen. A region is
    drawn on the picture, which is not this widget's, so its owner is asked for it.

    Parameters
    ----------
    endpoint
        Decides the presets.
    on_region
        Called with whether a box is to be drawn on the picture; answered by `region`.

    Attributes
    ----------
    tasks
        See `nbvlm.widgets.task_bar.tasks_for`.
    things
        What the picture is known to hold.
    size
        Width and height of the picture in pixels, or nothing.
    """

    _esm = script("task_bar")
    _css = style("task_bar")
    tasks = traitlets.List(traitlets.Dict()).tag(sync=True)
    things = traitlets.List(traitlets.Unicode()).tag(sync=True)
    size = traitlets.List(traitlets.Int()).tag(sync=True)

    def __init__(self, endpoint: Endpoint, on_region: Callable[[bool], None]) -> None:
        self._asked: list[str] = []
        self._on_region = on_region
        super().__init__(tasks=tasks_for(endpoint))
        self.add_class("nbvlm-taskbar")
        self.on_msg(TaskBar.take)

    def take(self, message: Mapping[str, Any], _buffers: Sequence[memoryview]) -> None:
        """Take one message of the page."""
        if message.get("type") == "hello":
            self.send({"type": "asked", "prompts": self._asked})
        elif message.get("type") == "region":
            self._on_region(bool(message.get("on")))

    def serve(self, endpoint: Endpoint) -> None:
        """Offer another endpoint's presets."""
        self.tasks = tasks_for(endpoint)

    def remember(self, prompt: str) -> None:
        """Keep a prompt for the arrow keys."""
        kept = [one for one in self._asked if one != prompt]
        self._asked = [*kept, prompt][-_REMEMBERED:]
        self.send({"type": "asked", "prompts": self._asked})

    def look(self) -> None:
        """Let the fields follow a prompt that the kernel has written."""
        self.send({"type": "look"})

    def region(self, box: Sequence[float] | None) -> None:
        """Take a box that was drawn, in pixels of the picture; None for none."""
        self.send({"type": "region", "box": None if box is None else [float(value) for value in box]})

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"
