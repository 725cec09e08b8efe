"""Task presets: each writes a prompt, and a prompt tells which preset it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbvlm import prompts
from nbvlm.drawing import palette

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbvlm.endpoints import Endpoint

__all__ = ["OWN_WORDS", "TASKS", "Task", "task_of", "tasks_for", "write"]

#: What the task field shows for a prompt that no preset would write.
OWN_WORDS = "Own words"


@dataclass(frozen=True, slots=True)
class Task:
    """A preset.

    Attributes
    ----------
    title
        Its name in the task field.
    prefix
        First word of the prompts that it writes.
    template
        The prompt; `{things}` and `{thing}` stand for what to look for.
    demo
        Whether the embedded demo model was taught this task.
    """

    title: str
    prefix: str
    template: str
    demo: bool


TASKS = (
    Task("Caption", "caption", prompts.caption(), demo=True),
    Task("Detect", "detect", "detect {things}", demo=True),
    Task("Count", "answer", "answer en how many {thing}s are there?", demo=True),
    Task("Ask", "answer", "answer en what color is the {thing}?", demo=True),
    Task("Describe", "describe", prompts.describe(), demo=False),
    Task("Read text", "ocr", prompts.ocr(), demo=False),
    Task("Segment", "segment", "segment {things}", demo=False),
)


def tasks_for(endpoint: Endpoint) -> tuple[Task, ...]:
    """Presets worth offering: all, or those that the demo model knows."""
    return tuple(task for task in TASKS if task.demo or endpoint.name != "demo")


def write(task: Task, things: Sequence[str], current: str = "") -> str:
    """Write the preset's prompt.

    Parameters
    ----------
    task
        The preset.
    things
        What the picture is known to hold; may be empty.
    current
        The prompt so far: the things it names are kept.

    Examples
    --------
    >>> write(TASKS[1], ["car"], "segment boat ; fish")
    'detect boat ; fish'
    """
    named = palette.prompt_things(current) or tuple(things) or ("thing",)
    return task.template.replace("{things}", " ; ".join(named)).replace("{thing}", named[0])


def task_of(prompt: str, offered: Sequence[Task]) -> str:
    """Title of the preset that a prompt belongs to, `OWN_WORDS` for none.

    >>> task_of("detect cat", TASKS), task_of("What is this?", TASKS)
    ('Detect', 'Own words')
    """
    words = prompt.split()
    if not words:
        return OWN_WORDS
    counting = "how many" in prompt.lower()
    for task in offered:
        if task.prefix == words[0] and (task.prefix != "answer" or counting == (task.title == "Count")):
            return task.title
    return OWN_WORDS
