"""The questions of a recording, as buttons."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nbvlm.widgets._base import PageWidget
from nbvlm.widgets.esm import script
from nbvlm.widgets.messages import Message, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbvlm.recording import RecordedQuestion

__all__ = ["RecordedQuestions"]

MOST = 300
"""Questions that are listed at most."""


class RecordedQuestions(PageWidget):
    """Lists the questions of a recording by picture; empty, it is not shown.

    Parameters
    ----------
    on_message
        Called with the message of a press: `type` is "ask", `index` the number of the question.
    """

    _esm = script("recorded_questions", "recorded_questions")
    css_class = "nbvlm-recorded"
    messages = MappingProxyType({"ask": Message(index=whole)})

    def __init__(self, on_message: Callable[[Mapping[str, Any]], None]) -> None:
        self._pictures: list[dict[str, Any]] = []
        super().__init__(on_message)

    def put(self, questions: Sequence[RecordedQuestion]) -> None:
        """List these questions and no others."""
        groups: dict[str, dict[str, Any]] = {}
        for index, question in enumerate(questions[:MOST]):
            group = groups.setdefault(question.sha256, {"name": question.name or "A picture", "asks": []})
            group["asks"].append([index, question.prompt])
        pictures = list(groups.values())
        if pictures != self._pictures:
            self._pictures = pictures
            self.send_all()

    def send_all(self) -> None:
        """Send the questions, to a page that opens."""
        self.send({"type": "questions", "pictures": self._pictures})

    def _summary(self) -> str:
        return f"{sum(len(picture['asks']) for picture in self._pictures)} questions"
