"""Task presets: what each asks for, and in which languages. The page writes their prompts (taskbar.js)."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nbvlm import prompts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbvlm.endpoints import Endpoint

__all__ = ["TASKS", "Task", "tasks_for"]


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
