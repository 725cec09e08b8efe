"""A dialect: how a model family writes places, and how it is asked for them, as data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, get_args

from nbvlm.grounding.dialects.spaces import Order, Reading, Scale, Space

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbvlm.grounding.masks.types import Size

__all__ = ["TASKS", "Dialect", "Form"]

Form = Literal[
    "json", "named", "loc", "ref-box", "ref-det", "box-tokens", "begin-box", "tuples", "points", "tracks",
    "bbox", "point-box", "label-loc", "doctags", "corners", "parse", "box-ref", "xy-bbox", "patches", "bare",
]  # fmt: skip
"""How a family writes a box; the table of `nbvlm.grounding.dialects` has an example of each."""

TASKS = ("detect", "segment", "point", "count", "caption", "cap", "describe", "ocr", "answer")
"""The tasks of `nbvlm.prompts` that a dialect can put into its own words."""

_NAMED = (
    'Find every {things} in the picture. Answer with JSON only: a list of {{"label": …, "x1": …, "y1": …, '
    '"x2": …, "y2": …}}, one entry for each object. The coordinates are whole numbers from 0 to 1000 on each '
    "axis: x from the left edge (0) to the right edge (1000), y from the top edge (0) to the bottom edge "
    "(1000), "
    'whatever the shape of the picture. The first entry is the whole picture: {{"label": "__IMAGE__", '
    '"x1": 0, '
    '"y1": 0, "x2": 1000, "y2": 1000}}. The labels are: {list}.'
)
_POINTS = (
    'Point to every {things} in the picture. Answer with JSON only: a list of {{"label": …, "x": …, "y": '
    "…}}, one "
    "entry for each object. The coordinates are whole numbers from 0 to 1000 on each axis, from the "
    "upper left "
    "corner, whatever the shape of the picture. The labels are: {list}."
)
GENERIC_WORDS: Mapping[str, str] = {
    "detect": _NAMED,
    "segment": _NAMED,
    "count": _NAMED,
    "point": _POINTS,
    "caption": "Describe the picture in one short sentence, in {language}.",
    "cap": "Describe the picture in a few words, in {language}.",
    "describe": "Describe the picture in detail, in {language}.",
    "ocr": "Read all text in the picture, in reading order. Answer with the text only.",
    "answer": "{question} Answer briefly, in {language}.",
}
"""The words for models that are not known: named fields, a space that is explained, and an anchor."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a model family writes places, and how it is asked for them.

    Attributes
    ----------
    name
        Name of the family.
    matches
        Regular expressions; one of them is found in the ids of the family's models, which are compared in
        lower case, without owner, tag, date, blanks, `-`, `_` and `.` ("Qwen/Qwen3-VL-8B-Instruct" is
        "qwen3vl8binstruct").
    form
        How the family writes by default. Reading recognises all forms in every dialect; some decide what a
        doubtful text means.
    order
        "xyxy" or "yxyx" of a list of numbers; None if the prompt decides. Named fields need no order.
    scale
        The number at the right and bottom edge (1000, 999, 1, 100, 1023, 500); "pixels"; or None: the
        numbers of each answer decide.
    space
        How the picture that the model sees is made from the one that was sent; None if it is the same, or
        only resized in a way that numbers on a fixed scale survive.
    shift
        Offset added to each number before it is scaled: 0.5 if numbers are the centres of bins.
    obeys
        True where the model writes in the space that the prompt asks for.
    keys
        Keys of a box, a point and a label in JSON.
    fence
        True where JSON comes in a Markdown fence.
    label_last
        True where tokens name a box after it.
    words
        Prompts for `TASKS`, with the fields `{things}` ("cat or dog"), `{list}` ("cat, dog"), `{count}`,
        `{language}`, `{code}`, `{question}`, `{width}` and `{height}` (of the picture that is sent); those
        missing are generic.
    masks
        How the family writes masks: "png", "polygon", "codes", or None if it writes none.
    note
        A peculiarity, as one sentence.

    Examples
    --------
    >>> from nbvlm.grounding import dialects
    >>> dialects.of("Qwen/Qwen3-VL-8B-Instruct").reading((640, 480)).frame
    (1000.0, 1000.0)
    """

    name: str
    matches: tuple[str, ...] = ()
    form: Form = "json"
    order: Order | None = "xyxy"
    scale: Scale = 1000.0
    space: Space | None = None
    shift: float = 0.0
    obeys: bool = False
    keys: tuple[str, str, str] = ("bbox_2d", "point_2d", "label")
    fence: bool = False
    label_last: bool = False
    words: Mapping[str, str] = field(default_factory=dict, hash=False)
    masks: Literal["png", "polygon", "codes"] | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.form not in get_args(Form):
            raise ValueError(f"form must be one of {', '.join(get_args(Form))}, got {self.form!r}.")
        if self.order not in ("xyxy", "yxyx", None):
            raise ValueError(f'order must be "xyxy", "yxyx" or None, got {self.order!r}.')
        if (
            self.scale != "pixels"
            and self.scale is not None
            and not (isinstance(self.scale, (int, float)) and self.scale > 0)
        ):
            raise ValueError(f'scale must be a number above 0, "pixels" or None, got {self.scale!r}.')
        unknown = [task for task in self.words if task not in TASKS]
        if unknown:
            raise ValueError(f"words must have tasks as keys ({', '.join(TASKS)}), got {', '.join(unknown)}.")

    def but(self, **changes: object) -> Dialect:
        """Return the dialect with other values of the attributes given."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def reading(self, sent: Size, *, order: Order | None = None, scale: Scale = None) -> Reading:
        """Return how numbers become places, for a picture that was sent in this size.

        `order` and `scale` replace those of the dialect; where both leave them open, they are "xyxy" and
        1000.
        """
        order = order or self.order or "xyxy"
        scale = scale or self.scale or 1000.0
        seen, (x0, y0, x1, y1) = (
            self.space.seen(sent) if self.space else (sent, (0.0, 0.0, *map(float, sent)))
        )
        if scale == "pixels":
            return Reading(order, (x1 - x0, y1 - y0), (x0 - self.shift, y0 - self.shift))
        wide, high = scale / seen[0], scale / seen[1]
        frame = ((x1 - x0) * wide, (y1 - y0) * high) if (x1 - x0, y1 - y0) != seen else (scale, scale)
        return Reading(order, frame, (x0 * wide - self.shift, y0 * high - self.shift))

    def names_language(self, task: str) -> bool:
        """Return whether the words for a task say in which language the answer should be."""
        words = self.words.get(task) or GENERIC_WORDS.get(task, "")
        return "{language}" in words or "{code}" in words

    def ask(
        self,
        task: str,
        things: Sequence[str] = (),
        *,
        language: str = "English",
        code: str = "en",
        question: str = "",
        size: Size = (1000, 1000),
    ) -> str:
        """Put a task into the words of this family.

        Parameters
        ----------
        task
            One of `TASKS`.
        things
            Names of the things to look for.
        language, code
            Of the answer: "French" and "fr".
        question
            The question of the task "answer".
        size
            Width and height of the picture that is sent.

        Examples
        --------
        >>> from nbvlm.grounding import dialects
        >>> dialects.of("molmo-7b").ask("point", ["cat"])
        'Point to the cat.'
        """
        words = self.words.get(task) or GENERIC_WORDS.get(task)
        if words is None:
            raise ValueError(f"task must be one of {', '.join(TASKS)}, got {task!r}.")
        return words.format(
            things=" or ".join(things),
            semicolons=" ; ".join(things),
            list=", ".join(things),
            quoted=", ".join(f'"{thing}"' for thing in things),
            count=len(things),
            language=language,
            code=code,
            question=question,
            width=size[0],
            height=size[1],
        )
