"""Understand the words of a family, and write the embedded model's answer in its form."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from nbvlm.demo.model import pieces_until
from nbvlm.demo.speaking.forms import MARKED, Page, write
from nbvlm.demo.speaking.questions import BOXES, Question, understand
from nbvlm.errors import ParameterError
from nbvlm.grounding import Parser, asked_order, asked_scale, dialects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nbvlm.grounding.dialects import Dialect, Reading

__all__ = ["HABITS", "Speaker", "Spoken", "model_id", "speaker"]

PREFIX = "nbvlm/demo-"
_NAME = re.compile(r"[\w.:+-]{1,100}", re.ASCII)  # it comes back in each event of a stream
HABITS = {
    "think": "writes its thoughts into the answer, with a place that is not a result",
    "reason": "sends its thoughts beside the answer, as `reasoning_content`",
    "drift": "answers on another scale than usual",
    "prose": "writes sentences around its answer",
    "dropped": "loses its special tokens, whatever the request asks for",
}
"""Habits that can be added to a family: `"qwen3-vl+think"`."""

# Names of dialects by which `dialects.of` finds another one, or none.
_MEMBERS = {
    "ernie-vl": "ernie-4.5-vl",
    "gemma": "gemma-4",
    "gpt": "gpt-5.2",
    "claude-4.6": "claude-sonnet-4-6",
    "glm-v": "glm-4.5v",
    "lfm": "lfm2-vl",
    "nova": "nova-pro",
}


_PROSE = dialects.GENERIC.but(name="llama", form="bare", scale=1.0, obeys=False)
"""For models without a form of their own: fractions in a sentence."""


class _Token(Protocol):
    @property
    def text(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Spoken:
    """One piece of an answer, of about a token's length."""

    text: str = ""
    finish_reason: str | None = None
    notice: str | None = None
    reasoning: str = ""


def model_id(name: str) -> str:
    """Return the id of the embedded model that answers as a family.

    Parameters
    ----------
    name
        Name of a dialect, or the id of a model of that family; with "+" and habits behind it.

    Raises
    ------
    ParameterError
        If the family or a habit is not known.

    Examples
    --------
    >>> model_id("qwen3-vl"), model_id("Qwen/Qwen2.5-VL-7B-Instruct"), model_id("gemini+think")
    ('nbvlm/demo-qwen3-vl', 'nbvlm/demo-Qwen2.5-VL-7B-Instruct', 'nbvlm/demo-gemini+think')
    """
    family, *habits = str(name).strip().split("+")
    last = family.rpartition("/")[2]
    if not _NAME.fullmatch(last) or (_dialect(last) is None and last not in _MEMBERS):
        names = ", ".join((*dialects.names(), "llama"))
        raise ParameterError(
            f"speak must be a family or one of its models, got {family!r}.", hint=f"Families: {names}."
        )
    for habit in habits:
        if habit not in HABITS:
            raise ParameterError(f"The habit {habit!r} does not exist.", hint=f"Habits: {', '.join(HABITS)}.")
    return PREFIX + "+".join((_MEMBERS.get(last, last), *habits))


def speaker(model: str) -> Speaker | None:
    """Return the speaker of a model id, or None if it is not one of `model_id`."""
    name = model.removeprefix(PREFIX)
    if name == model or not _NAME.fullmatch(name):
        return None
    family, *habits = name.split("+")
    dialect = _dialect(family)
    if dialect is None or not set(habits) <= set(HABITS):
        return None
    return Speaker(dialect, frozenset(habits))


def _dialect(name: str) -> Dialect | None:
    if "llama" in name.lower():
        return _PROSE
    found = dialects.of(name)
    return None if found is dialects.GENERIC and name != found.name else found


@dataclass(frozen=True, slots=True)
class Speaker:
    """Answers as a family does.

    Attributes
    ----------
    dialect
        How the family writes.
    habits
        Some of `HABITS`.
    keeps_tokens
        Whether the server keeps special tokens (`skip_special_tokens: false` in the request).
    thinks
        Whether the request asks for thoughts (`chat_template_kwargs: {"enable_thinking": true}`).
    """

    dialect: Dialect
    habits: frozenset[str] = frozenset()
    keeps_tokens: bool = False
    thinks: bool = False

    def asked(self, *, keeps_tokens: bool, thinks: bool) -> Speaker:
        """Return the speaker for a request."""
        return replace(self, keeps_tokens=keeps_tokens and "dropped" not in self.habits, thinks=thinks)

    def prompt(self, text: str) -> str:
        """Return a question for the embedded model."""
        return understand(text, self.dialect).prompt

    def say(self, tokens: Iterable[_Token], text: str, size: tuple[int, int], most: int) -> Iterator[Spoken]:
        """Write the model's answer in the family's form, in pieces.

        Parameters
        ----------
        tokens
            The embedded model's answer to `prompt(text)`.
        text
            The question.
        size
            Width and height of the picture as it was sent.
        most
            Most pieces.
        """
        question = understand(text, self.dialect)
        notice, parser, plain = None, Parser(size, codebook="demo"), []
        for token in tokens:
            notice = notice or getattr(token, "notice", None)
            parser.feed(token.text)
            plain.append(token.text)
        parser.close()
        places = question.task in BOXES
        answer = self._places(question, text, size, parser) if places else "".join(plain)
        yield from _pieces(self._thoughts(question), answer, most, notice)

    def _places(self, question: Question, text: str, size: tuple[int, int], parser: Parser) -> str:
        named: tuple[str, ...] = ()
        anchor = False
        if self.dialect.obeys:
            named, anchor = _named(text, points=question.task == "point"), "__IMAGE__" in text
        page = Page(
            self.dialect,
            self._reading(text, size),
            size,
            parser.detections,
            points=question.task == "point",
            masks=question.task == "segment",
            named=named,
            anchor=anchor and len(named) == 4,
        )
        answer = write(page)
        if self.dialect.form in MARKED and not self.keeps_tokens and not named:
            answer = re.sub(r"<[^<>\n]*>", "", answer)
        if "prose" in self.habits:
            answer = f"Here is what I found in the picture:\n\n{answer}\n\nTell me if you need anything else."
        if "think" in self.habits:
            answer = f"<think>{_THOUGHTS.format(things=', '.join(question.things))}</think>\n\n{answer}"
        return answer

    def _reading(self, text: str, size: tuple[int, int]) -> Reading:
        order, scale = self.dialect.order, self.dialect.scale
        if self.dialect.obeys:
            order, scale = asked_order(text) or order, asked_scale(text) or scale
        if "drift" in self.habits:
            scale = 1000.0 if scale == 1.0 else 1.0
        return self.dialect.reading(size, order=order, scale=scale)

    def _thoughts(self, question: Question) -> str:
        if not (self.thinks or "reason" in self.habits):
            return ""
        return _THOUGHTS.format(things=", ".join(question.things) or "the picture")


_THOUGHTS = (
    "The question is about {things}. At first sight there is something at [110, 147, 193, 823]; I look again."
)


def _named(text: str, *, points: bool) -> tuple[str, ...]:
    """Return the named fields that a prompt asks for."""
    for keys in (("x1", "y1", "x2", "y2"), ("x_min", "y_min", "x_max", "y_max"), ("x", "y")):
        if all(re.search(rf"[\"']{key}[\"']", text) for key in keys) and points == (len(keys) == 2):
            return keys
    return ()


_PIECE = re.compile(r"<[^<>\s]{1,30}>|[A-Za-z0-9+/]{24}|\w{1,4}|\s+|.", re.DOTALL)


def _pieces(thoughts: str, answer: str, most: int, notice: str | None) -> Iterator[Spoken]:
    parts = [("reasoning", part) for part in _PIECE.findall(thoughts)]
    parts += [("text", part) for part in _PIECE.findall(answer)] or [("text", "")]
    for (kind, part), end in pieces_until(parts, most):
        yield Spoken(finish_reason=end, notice=notice, **{kind: part})
        notice = None
