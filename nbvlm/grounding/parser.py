"""Parse location and mask tokens of an answer into detections, piece by piece.

The grammar, with the irregularities that models and services show::

    answer := [echo] item (";" item)* [";"] ["<eos>"]
    item   := LOC LOC LOC LOC [SEG × 16] [label]
    LOC    := "<loc" 4 digits ">"    in the order y0, x0, y1, x1; a pixel is t / bins × extent
    SEG    := "<seg" 3 digits ">"    the codes of a mask, row by row

Both written forms of a segmentation, ``LOC×4 " " SEG×16 " " label`` and ``LOC×4 SEG×16``, are one
item here, since blanks between tokens mean nothing. An item ends at ``;``, at the first location
after its label or codes, at ``<eos>`` and at the end. What does not fit becomes a `Problem`, and its
neighbours stay as they are. big_vision encodes with ``round(v * 1023)``, so 1023 bins are exact; many
decoders divide by 1024, which ``bins=1024`` reproduces.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from nbvlm import prompts
from nbvlm.grounding import dialects
from nbvlm.grounding.detections import Detection, Detections, unchecked
from nbvlm.grounding.dialects.paligemma import CORNERS, REGULAR_ITEM, TOKEN, PendingItem, PromptEcho, complete
from nbvlm.grounding.dialects.reader import DialectReader
from nbvlm.grounding.dialects.reasoning import Reasoning
from nbvlm.grounding.masks.lazy import LazyMask
from nbvlm.grounding.masks.types import CODES, Codes, size_of
from nbvlm.grounding.problems import Problem
from nbvlm.grounding.readings import Reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbvlm.grounding.dialects import Dialect, Part
    from nbvlm.grounding.masks.codebooks import Codebook
    from nbvlm.grounding.masks.types import Size

__all__ = ["Parser", "parse"]

Locations = tuple[int, int, int, int]

_LAST_LOCATION = 1023
_CODE_VALUES = 128
_NUMBER = re.compile("[0-9]+")
_LOCATION_GROUP = 1  # of a token
_ENDS = re.compile(r"[\]})>;\n］｝）]")
_LOCATION = re.compile(r"<loc[0-9]{4}>")


class LocReader:
    """Reads the location tokens of an answer as it arrives."""

    def __init__(
        self,
        size: Size,
        prompt: str | None,
        bins: int,
        codebook: Codebook | str | None,
        fallback: str,
    ) -> None:
        self._size, self._bins, self._codebook = size, bins, codebook
        self._reading = Reading("yxyx", (float(bins), float(bins)))
        self._last = min(bins, _LAST_LOCATION)
        self._values: int = getattr(codebook, "values", _CODE_VALUES)
        self._fallback = fallback
        self._echo = PromptEcho(prompt)
        self._position, self._tail = 0, ""
        self._item = PendingItem()
        self.detections: list[Detection] = []
        self.problems: list[Problem] = []
        self.has_locations = False
        self._readers: tuple[Callable[[int, str], None], ...] = (self._location, self._code, self._separator)

    @property
    def within(self) -> bool:
        """Whether no item is complete yet, so that a location that came next would end none."""
        return not (self._item.ended or self._tail or self._echo.waits)

    def feed(self, text: str) -> None:
        """Read the next piece of the answer."""
        self._scan(*self._echo.feed(text))

    def skip(self, length: int) -> None:
        """Pass over characters that are not part of the answer."""
        self._position += length

    def close(self) -> None:
        """Read the rest at the end of the answer."""
        self._scan(*self._echo.close())
        position, tail = self._position, self._tail
        # A single "<" at the end of a label belongs to the label.
        cut = len(tail) > 1 or not self._item.words
        if tail and not cut:
            self._text(position, tail)
        self._finish()
        if tail and cut:
            self.problems.append(Problem("cut", position, tail))

    def _scan(self, skipped: int, text: str) -> None:
        start = self._position + skipped
        text = self._tail + text
        end = complete(text)
        at = 0
        while at < end:
            at = self._regular(text, at, end)
            if at < end:
                at = self._token(start, text, at, end)
        self._position, self._tail = start + end, text[end:]

    def _regular(self, text: str, at: int, end: int) -> int:
        """Read complete items without irregularities, each at once; return where the last of them ends."""
        while at < end and self._item.fresh and (found := REGULAR_ITEM.match(text, at, end)) is not None:
            tokens, label = found.group(5, 6)
            y0, x0, y1, x1 = map(int, found.group(1, 2, 3, 4))
            locations = y0, x0, y1, x1
            codes = tuple(map(int, _NUMBER.findall(tokens))) if tokens is not None else None
            if not (y0 < y1 <= self._last and x0 < x1 <= self._last):
                break
            if codes is not None and max(codes) >= self._values:
                break
            self.has_locations = True
            self._found(" ".join(label.split()), locations, locations, codes)
            at = found.end()
        return at

    def _token(self, start: int, text: str, at: int, end: int) -> int:
        """Read up to the next token, and the token; return where it ends."""
        token = TOKEN.search(text, at, end)
        until = token.start() if token is not None else end
        if until > at:
            self._text(start + at, text[at:until])
        if token is None:
            return end
        kind = token.lastindex or 0
        self._readers[kind - 1](start + until, token[kind])
        return token.end()

    def _text(self, position: int, text: str) -> None:
        item = self._item
        if not item.words and text.isspace():
            item.gap = True
            return
        if item.position < 0:
            item.position = position + len(text) - len(text.lstrip())
        item.words.append(text)

    def _location(self, position: int, digits: str) -> None:
        if self._item.ended:
            self._finish()
        item = self._item
        if item.position < 0:
            item.position = position
        self.has_locations = True
        item.spaced = item.spaced or (item.gap and bool(item.locations))
        item.gap = False
        item.locations.append(int(digits))

    def _code(self, position: int, digits: str) -> None:
        item = self._item
        if item.position < 0:
            item.position = position
        if item.words:
            item.stray = True
        else:
            item.codes.append(int(digits))

    def _separator(self, position: int, text: str) -> None:  # noqa: ARG002 - called like the others
        self._finish()

    def _finish(self) -> None:
        item, self._item = self._item, PendingItem()
        if not item.locations:
            if item.codes or item.stray:
                self._report("stray codes", item)
            elif item.words and self.has_locations:
                self._report("text", item)
        elif len(item.locations) % CORNERS:
            point = len(item.locations) == 2 and item.words and not item.codes
            self._report("point" if point else "locations", item)
        else:  # boxes in a row: codes and label belong to the last
            while len(item.locations) > CORNERS:
                self._read(PendingItem(item.position, item.locations[:CORNERS]))
                item.locations = item.locations[CORNERS:]
            self._read(item)
        if item.locations and item.stray:
            self._report("stray codes", item)

    def _found(self, label: str, locations: Locations, raw: Locations, codes: Codes | None) -> None:
        (width, height), bins = self._size, self._bins
        y0, x0, y1, x1 = locations
        # Multiplied before the division: the last bin is then the picture's edge exactly.
        box = x0 * width / bins, y0 * height / bins, x1 * width / bins, y1 * height / bins
        mask = LazyMask(box, self._size, codes, self._codebook)
        self.detections.append(
            unchecked(label or self._fallback, box, codes, self._size, mask, None, raw, self._reading)
        )

    def _read(self, item: PendingItem) -> None:
        """Make a detection of an item with four locations, and report its problems."""
        if max(item.locations) > self._last:
            self._report("range", item)
        y0, x0, y1, x1 = (min(value, self._last) for value in item.locations)
        if y0 > y1 or x0 > x1:
            self._report("swapped", item)
        elif y0 == y1 or x0 == x1:
            self._report("empty", item)
        raw = (item.locations[0], item.locations[1], item.locations[2], item.locations[3])
        self._found(item.label, (y0, x0, y1, x1), raw, self._codes(item))

    def _codes(self, item: PendingItem) -> Codes | None:
        if not item.codes:
            return None
        if len(item.codes) != CODES:
            self._report("codes", item)
            return None
        if max(item.codes) >= self._values:
            self._report("code range", item)
            return None
        return tuple(item.codes)

    def _report(self, kind: str, item: PendingItem) -> None:
        self.problems.append(Problem(kind, item.position, item.excerpt()))


class Parser:
    """Reads an answer as it arrives.

    The same answer gives the same detections and problems wherever it is cut into pieces. Whatever a model
    writes is recognised: location tokens, JSON and what resembles it, tags, tuples; a model's thinking is
    left out. `nbvlm.grounding.dialects` defines the meaning of the numbers.

    Parameters
    ----------
    size
        Width and height in pixels of the picture that the boxes refer to.
    prompt
        The prompt that was asked. An item without a label gets its label from a prompt that names one thing
        only, an echo of the prompt is left out of the answer, and an order or a scale that it asks for is
        taken where the model's family leaves it open.
    bins
        The divisor of a location token: 1023, the inverse of the encoder, or 1024.
    codebook
        Decodes the masks when they are first read: a `nbvlm.grounding.Codebook`, its name, or None.
    model
        The id of the model that answers, as any server writes it.
    dialect
        A `nbvlm.grounding.dialects.Dialect`, or the name of one, in place of the model's; its order and scale
        then hold whatever the numbers are.
    sent
        Width and height of the picture as it travelled, where the resizing of some models begins; by default
        `size`.

    Attributes
    ----------
    has_locations : bool
        Whether the answer holds a location, or says that it found nothing. If False, the model answered in
        words, which is not the same as finding nothing.

    Raises
    ------
    ValueError
        For a size that is not positive, bins below 1, and a dialect that does not exist.

    Examples
    --------
    >>> parser = Parser(size=(1023, 1023))
    >>> parser.feed("<loc0010><loc0020><loc0030><lo")
    []
    >>> parser.feed("c0040> cat ; <loc0001>")
    [Detection('cat', (20.0, 10.0, 40.0, 30.0))]
    >>> parser.close(), [problem.kind for problem in parser.problems]
    ([], ['locations'])
    """

    def __init__(
        self,
        size: Size,
        prompt: str | None = None,
        bins: int = 1023,
        codebook: Codebook | str | None = None,
        *,
        model: str | None = None,
        dialect: Dialect | str | None = None,
        sent: Size | None = None,
    ) -> None:
        if bins < 1:
            kinds = "1023, the inverse of the encoder, or 1024"
            raise ValueError(f"bins must be at least 1 ({kinds}), got {bins}.")
        for name, value in (("prompt", prompt), ("model", model)):
            if not isinstance(value, str | None):
                raise TypeError(f"{name} must be text or None, got {type(value).__name__}.")
        self._size = size_of(size)
        sent = size_of(sent) if sent is not None else self._size
        chosen = dialects.get(dialect) if isinstance(dialect, str) else dialect or dialects.of(model)
        self._dialect = chosen
        named = prompts.things(prompt)
        fallback = named[0] if len(named) == 1 else ""
        self._new_loc = partial(LocReader, self._size, prompt, bins, codebook, fallback)
        self._new_other = partial(
            DialectReader, chosen, self._size, sent, prompt, fallback, explicit=dialect is not None
        )
        self._reasoning = Reasoning() if chosen.form != "loc" else None
        self._held: list[str] = []
        self._closed = False
        self._begin()

    def _begin(self, position: int = 0) -> None:
        """Begin to read at a position: all before it was thinking."""
        self._loc = self._new_loc()
        self._loc.skip(position)
        self._reader: LocReader | DialectReader = self._loc
        self._other = self._new_other() if self._reasoning is not None else None
        self._tail, self._tail_at = "", position  # may be a token's beginning, while the form is not known
        self._within = False  # whether a location next would end nothing
        self._returned = 0

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The irregularities so far, in the order of the answer."""
        self._read()
        return tuple(self._reader.problems)

    @property
    def has_locations(self) -> bool:
        """Whether the answer holds a location, or says that it found nothing."""
        self._read()
        reader = self._reader
        return reader.has_locations

    @property
    def detections(self) -> Detections:
        """All detections so far; a late number may change the scale of all."""
        self._read()
        return Detections.of(self._reader.detections, self._size)

    def feed(self, text: str) -> list[Detection]:
        """Read the next piece of the answer.

        Returns
        -------
        list of Detection
            Those that became complete with this piece.

        Raises
        ------
        ValueError
            After `close`.
        """
        if self._closed:
            raise ValueError("The parser is closed. Make a new Parser for another answer.")
        self._held.append(text)
        # Nothing is complete by a location behind another, nor without one of these marks; and reading in
        # few pieces costs less.
        if (self._within and _LOCATION.fullmatch(text)) or not _ENDS.search(text):
            return []
        self._read()
        return self._new()

    def close(self) -> list[Detection]:
        """Read the rest at the end of the answer; a second call returns an empty list.

        Returns
        -------
        list of Detection
            Those that became complete at the end.
        """
        if self._closed:
            return []
        self._read()
        self._closed = True
        if self._reasoning is not None:
            self._parts(self._reasoning.close())
        if self._other is not None:
            self._other.feed(self._tail, self._tail_at)
            self._other.close()
            if self._other.has_locations or self._other.problems:
                self._choose(self._other)
        self._reader.close()
        return self._new()

    def _new(self) -> list[Detection]:
        found = self._reader.detections
        new = found[self._returned :]
        self._returned = len(found)
        return new

    def _choose(self, reader: LocReader | DialectReader) -> None:
        self._reader, self._other = reader, None

    def _read(self) -> None:
        if not self._held:
            return
        text = "".join(self._held)
        self._held = []
        if self._reasoning is not None:
            self._parts(self._reasoning.feed(text))
        else:
            self._loc.feed(text)
        if self._reader is self._loc:
            self._within = self._loc.within

    def _parts(self, parts: list[Part]) -> None:
        for part in parts:
            end = part.position + len(part.text)
            if part.before:  # it was thinking all the time
                self._begin(end)
            elif part.thinking:
                self._pass_over(part)
            elif self._other is not None:
                self._recognise(part.text, part.position)
            elif isinstance(self._reader, DialectReader):
                self._reader.feed(part.text, part.position)
            else:
                self._loc.feed(part.text)

    def _pass_over(self, part: Part) -> None:
        """Leave out thinking."""
        if self._other is not None:
            self._other.feed(self._tail, self._tail_at)
            self._tail = ""
        self._loc.skip(len(part.text))

    def _recognise(self, text: str, position: int) -> None:
        """Let both readers read until one has found what only it can read."""
        other = self._other
        if other is None:
            return
        self._loc.feed(text)
        start = position - len(self._tail)
        text = self._tail + text
        end = complete(text)
        at = 0
        for token in TOKEN.finditer(text, 0, end):
            if token.lastindex != _LOCATION_GROUP:
                continue
            other.feed(text[at : token.start()], start + at)
            at = token.start()
            if other.has_locations or other.idle:
                break
        else:
            other.feed(text[at:end], start + at)
            at = end
        self._tail, self._tail_at = text[at:], start + at
        if other.has_locations:
            other.feed(self._tail, self._tail_at)
            self._choose(other)
        elif at < end:
            self._choose(self._loc)


def parse(
    text: str,
    size: Size,
    prompt: str | None = None,
    bins: int = 1023,
    codebook: Codebook | str | None = None,
    *,
    model: str | None = None,
    dialect: Dialect | str | None = None,
    sent: Size | None = None,
) -> Detections:
    """Parse the `text` of a whole answer; `Parser` describes the parameters and keeps the irregularities too.

    Returns
    -------
    Detections
        In the order of the answer, repetitions kept. Masks are None unless a codebook is given, or the answer
        draws them itself.

    Raises
    ------
    ValueError
        For a size that is not positive, bins below 1, and a dialect that does not exist.

    Examples
    --------
    >>> parse("<loc0000><loc0000><loc1023><loc1023> cat", size=(640, 480)).xyxy
    array([[  0.,   0., 640., 480.]])
    >>> parse('[{"bbox_2d": [250, 500, 750, 1000], "label": "dog"}]', (640, 480), model="qwen3-vl-8b").xyxy
    array([[160., 240., 480., 480.]])
    """
    if not isinstance(text, str):
        raise TypeError(f"The answer must be text, got {type(text).__name__}.")
    parser = Parser(size, prompt, bins, codebook, model=model, dialect=dialect, sent=sent)
    parser.feed(text)
    parser.close()
    return parser.detections
