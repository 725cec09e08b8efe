"""A sweep as a value: one picture, several prompts, temperatures and repeats, and their answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from nbvlm._optional import require
from nbvlm._text import count
from nbvlm.errors import Error, ParameterError, PromptError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pandas as pd

    from nbvlm.endpoints import Endpoint
    from nbvlm.images import Picture
    from nbvlm.panel.form import Inputs
    from nbvlm.result import Result

__all__ = ["MOST", "Cell", "Sweep", "plan"]

#: The most questions of one sweep.
MOST = 200
COLUMNS = ("prompt", "temperature", "repeat", "text", "found", "seconds", "error")


@dataclass(frozen=True, slots=True)
class Cell:
    """One question of a sweep.

    Attributes
    ----------
    prompt, temperature
        The question; the temperature is None for an endpoint without that parameter.
    repeat
        Counts the times that the same is asked, from 1.
    result
        The answer, once it is there.
    error
        The error in place of an answer.
    """

    prompt: str
    temperature: float | None
    repeat: int
    result: Result | None = None
    error: Error | None = None

    @property
    def done(self) -> bool:
        """Whether there is an answer or an error."""
        return self.result is not None or self.error is not None


@dataclass(frozen=True, slots=True, repr=False)
class Sweep:
    """One picture asked about with every prompt at every temperature, several times.

    Iterates over its cells: prompt by prompt, temperature by temperature, repeat by repeat.

    Attributes
    ----------
    picture
        The picture.
    prompts, temperatures, repeats
        The axes of the grid.
    parameters
        The other parameters, the same for all cells.
    cells
        All of them, done or not.
    route
        How the picture travels: "auto", "inline" or "asset".

    Examples
    --------
    >>> [cell.result.text for cell in panel.sweep if cell.result]  # doctest: +SKIP
    """

    picture: Picture
    prompts: tuple[str, ...]
    temperatures: tuple[float | None, ...]
    repeats: int
    parameters: Mapping[str, Any]
    cells: tuple[Cell, ...]
    route: Any = "auto"

    @property
    def done(self) -> int:
        """How many cells have an answer or an error."""
        return sum(cell.done for cell in self.cells)

    @property
    def results(self) -> list[Result]:
        """The answers that are there."""
        return [cell.result for cell in self.cells if cell.result is not None]

    def to_dataframe(self) -> pd.DataFrame:
        """Make a pandas table, one row a cell.

        Returns
        -------
        pandas.DataFrame
            `prompt`, `temperature`, `repeat`, `text`, `found` (number of detections), `seconds`, `error`;
            missing where a cell is not done.

        Raises
        ------
        Error
            If pandas is not installed; the hint is the line that installs it.
        """
        pandas = require("pandas", extra="pandas", purpose="A table")
        frame: pd.DataFrame = pandas.DataFrame([_row(cell) for cell in self.cells], columns=list(COLUMNS))
        return frame.astype({"temperature": "float64", "found": "Int64", "seconds": "float64"})

    def __iter__(self) -> Iterator[Cell]:
        return iter(self.cells)

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, index: int) -> Cell:
        return self.cells[index]

    def put(self, index: int, *, result: Result | None = None, error: Error | None = None) -> Sweep:
        """Return the same sweep with one cell done."""
        cells = list(self.cells)
        cells[index] = replace(cells[index], result=result, error=error)
        return replace(self, cells=tuple(cells))

    def __repr__(self) -> str:
        spans = f"{count(len(self.prompts), 'prompt')} × {count(len(self.temperatures), 'temperature')}"
        failed = sum(cell.error is not None for cell in self.cells)
        return (
            f"<Sweep: {spans} × {count(self.repeats, 'repeat')}, {self.done} of {len(self)} done"
            f"{f', {failed} failed' if failed else ''}>"
        )


def _row(cell: Cell) -> tuple[Any, ...]:
    result = cell.result
    text, found, seconds = None, None, None
    if result is not None:
        text, found, seconds = result.text, len(result.detections), result.timing.total_s
    error = None if cell.error is None else str(cell.error)
    return cell.prompt, cell.temperature, cell.repeat, text, found, seconds, error


def plan(
    inputs: Inputs,
    endpoint: Endpoint,
    prompts: Iterable[str] | str,
    temperatures: Iterable[float] | float | None,
    repeats: int,
) -> Sweep:
    """Lay out a sweep; none of its cells is done.

    Empty and repeated prompts are left out; without temperatures, that of `inputs` is taken.
    """
    given = _prompts([prompts] if isinstance(prompts, str) else prompts)
    heats = _temperatures(temperatures, endpoint, inputs.parameters)
    if isinstance(repeats, bool) or not isinstance(repeats, int) or repeats < 1:
        raise ParameterError(f"repeats must be a positive integer, got {repeats!r}.", hint="Take 1 or more.")
    questions = len(given) * len(heats) * repeats
    if questions > MOST:
        raise ParameterError(
            f"A sweep can have at most {MOST} questions, got {questions}.",
            hint="Take fewer prompts, temperatures or repeats.",
        )
    others = {name: value for name, value in inputs.parameters.items() if name != "temperature"}
    cells = tuple(Cell(*place) for place in product(given, heats, range(1, repeats + 1)))
    return Sweep(inputs.picture, given, heats, repeats, others, cells, inputs.route)


def _prompts(prompts: Iterable[str]) -> tuple[str, ...]:
    given = tuple(dict.fromkeys(filter(None, (prompt.strip() for prompt in prompts))))
    if not given:
        raise PromptError("The sweep has no prompt.", hint='Write one prompt a line, such as "caption en".')
    return given


def _temperatures(
    wanted: Iterable[float] | float | None, endpoint: Endpoint, parameters: Mapping[str, Any]
) -> tuple[float | None, ...]:
    if not any(parameter.name == "temperature" for parameter in endpoint.parameters):
        return (None,)
    if wanted is None:
        return (parameters.get("temperature"),)
    heats: Sequence[float] = [wanted] if isinstance(wanted, int | float) else list(wanted)
    known = endpoint.parameter("temperature")
    for heat in heats:
        if not (known.low < heat if known.low_open else known.low <= heat) or not heat <= known.high:
            above = "above" if known.low_open else "from"
            raise ParameterError(
                f"Temperature {heat:g} is out of range.",
                hint=f"Give numbers {above} {known.low:g} up to {known.high:g}.",
            )
    if not heats:
        raise ParameterError("The sweep has no temperature.", hint="Give one or more, such as 0.2, 0.6, 1.")
    return tuple(dict.fromkeys(float(heat) for heat in heats))
