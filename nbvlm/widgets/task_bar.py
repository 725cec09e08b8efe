"""The task bar: presets with their own fields, and the prompts that were asked before."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import traitlets

from nbvlm import prompts
from nbvlm.widgets._base import PageWidget
from nbvlm.widgets.esm import script
from nbvlm.widgets.messages import Message, flag

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbvlm.endpoints import Endpoint

__all__ = ["PRESETS", "Preset", "TaskFields", "tasks_for"]


@dataclass(frozen=True, slots=True)
class Preset:
    """A task of the task field."""

    title: str
    kind: str  # how its prompt is built
    question: str = ""  # the first of an "answer"; `{thing}` stands for a kind of thing in the picture


PRESETS = (
    Preset("Caption", "caption"),
    Preset("Detect", "detect"),
    Preset("Segment", "segment"),
    Preset("Ask", "answer", "what color is the {thing}?"),
    Preset("Count", "answer", "how many {thing}s are there?"),
    Preset("Describe", "describe"),
    Preset("Read text", "ocr"),
    Preset("Caption a region", "region"),
)
#: Languages that the embedded model speaks, by the kind of task.
DEMO_LANGUAGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"caption": ("en", "es", "fr", "de"), "describe": ("en",), "answer": ("en",)}
)


def tasks_for(endpoint: Endpoint) -> list[dict[str, Any]]:
    """Return the presets for an endpoint, as the page takes them.

    Each has `title`, `kind`, `question`, and `languages`, pairs of code and name, where there is a choice.
    """
    return [{**asdict(preset), "languages": _languages(preset.kind, endpoint)} for preset in PRESETS]


def _languages(kind: str, endpoint: Endpoint) -> list[list[str]]:
    if kind not in DEMO_LANGUAGES:
        return []
    codes = DEMO_LANGUAGES[kind] if endpoint.name == "demo" else ("en", *prompts.LANGUAGES)
    return [[code, prompts.LANGUAGES[code]] for code in dict.fromkeys(codes)]


_REMEMBERED = 100  # prompts


class TaskFields(PageWidget):
    """Writes prompts: the preset with its fields and the text of the prompt follow each other.

    All of that happens on the page, so a press on Run right after a choice already uses it. A region is drawn
    on the picture, which belongs to another widget, so the owner is asked for it.

    Parameters
    ----------
    endpoint
        Decides the presets.
    on_region
        Called with whether a box is to be drawn on the picture; the answer comes by `region`.

    Attributes
    ----------
    tasks
        See `nbvlm.widgets.task_bar.tasks_for`.
    things
        Kinds of things that the picture is known to hold.
    size
        Width and height of the picture in pixels, or nothing.
    """

    _esm = script("task_bar", "task_bar")
    kind = "task_bar"
    css_class = "nbvlm-taskbar"
    messages = MappingProxyType({"region": Message(on=flag)})
    tasks = traitlets.List(traitlets.Dict()).tag(sync=True)
    things = traitlets.List(traitlets.Unicode()).tag(sync=True)
    size = traitlets.List(traitlets.Int()).tag(sync=True)

    def __init__(self, endpoint: Endpoint, on_region: Callable[[bool], None]) -> None:
        self._prompts: list[str] = []
        self._on_region = on_region
        super().__init__(tasks=tasks_for(endpoint))

    def take(self, message: Mapping[str, Any], _buffers: Sequence[Any]) -> None:
        """Take the wish for a box on the picture, or its end."""
        self._on_region(message["on"])

    def send_all(self) -> None:
        """Send the prompts that were asked before, to a page that opens."""
        self.send({"type": "asked", "prompts": self._prompts})

    def serve(self, endpoint: Endpoint) -> None:
        """Offer another endpoint's presets."""
        self.tasks = tasks_for(endpoint)

    def remember(self, prompt: str) -> None:
        """Keep a prompt for the arrow keys."""
        others = [one for one in self._prompts if one != prompt]
        self._prompts = [*others, prompt][-_REMEMBERED:]
        self.send_all()

    def look(self) -> None:
        """Let the fields follow a prompt that the kernel has written."""
        self.send({"type": "look"})

    def region(self, box: Sequence[float] | None) -> None:
        """Take a box that was drawn, in pixels of the picture; None if there is none."""
        self.send({"type": "region", "box": None if box is None else [float(value) for value in box]})
