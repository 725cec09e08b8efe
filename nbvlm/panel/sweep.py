"""A sweep as a value: one picture, several prompts, temperatures and repeats, and what came of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from nbvlm._optional import require
from nbvlm._text import count as _count
from nbvlm.errors import Error, ParameterError, PromptError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pandas as pd

    from nbvlm.endpoints import Endpoint
    from nbvlm.images import Picture
    from nbvlm.result import Result

__all__ = ["MOST", "Cell", "Sweep", "plan"]

#: Questions of one sweep at most.
MOST = 200
COLUMNS = ("prompt", "temperature", "repeat", "text", "found", "seconds", "error")


@dataclass(frozen=True, slots=True)
class Cell:
    """One question of a sweep.

    Attributes
    ----------
    prompt, temperature
        What is asked, and how boldly; no temperature where the endpoint knows none.
    repeat
        Counts the times that the same is asked, from 1.
    result
        The answer, once it is there.
    error
        What went wrong instead.
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
        What is asked about.
    prompts, temperatures, repeats
        What the grid spans.
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
    route: str = "auto"

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
            pandas is not installed; the message has the line that installs it.
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
        spans = f"{_many(len(self.prompts), 'prompt')} × {_many(len(self.temperatures), 'temperature')}"
        failed = sum(cell.error is not None for cell in self.cells)
        return (
            f"<Sweep: {spans} × {_many(self.repeats, 'repeat')}, {self.done} of {len(self)} done"
            f"{f', {failed} failed' if failed else ''}>"
        )


def _many(count: int, name: str) -> str:
    return _count(count, name)


def _row(cell: Cell) -> tuple[Any, ...]:
    result = cell.result
    told = (None, None, None) if result is None else (
        result.text, len(result.detections), result.timing.total_s
    )  # fmt: skip
    return cell.prompt, cell.temperature, cell.repeat, *told, None if cell.error is None else str(cell.error)


def plan(
    picture: Picture,
    prompts: Iterable[str] | str,
    temperatures: Iterable[float] | float | None,
    repeats: int,
    *,
    endpoint: Endpoint,
    parameters: Mapping[str, Any],
    route: str = "auto",
) -> Sweep:
    """Lay out a sweep, none of its cells done.

    Parameters
    ----------
    picture
        What is asked about.
    prompts
        One or more; empty and repeated ones are left out.
    temperatures
        One or more within the endpoint's range; None takes that of `parameters`.
    repeats
        How often the same is asked, 1 or more.
    endpoint
        What it accepts.
    parameters
        The other parameters, by the names that the client knows.
    route
        How the picture travels.

    Raises
    ------
    PromptError
        There is no prompt.
    ParameterError
        A temperature is out of range, or there are too many cells.
    """
    given = _prompts([prompts] if isinstance(prompts, str) else prompts)
    heats = _temperatures(temperatures, endpoint, parameters)
    if isinstance(repeats, bool) or not isinstance(repeats, int) or repeats < 1:
        raise ParameterError(f"repeats is {repeats!r}.", hint="Give a whole number, 1 or more.")
    count = len(given) * len(heats) * repeats
    if count > MOST:
        raise ParameterError(
            f"This sweep has {count} questions; {MOST} is the most.", hint="Take fewer prompts or repeats."
        )
    others = {name: value for name, value in parameters.items() if name != "temperature"}
    cells = tuple(Cell(*place) for place in product(given, heats, range(1, repeats + 1)))
    return Sweep(picture, given, heats, repeats, others, cells, route)


def _prompts(prompts: Iterable[str]) -> tuple[str, ...]:
    given = tuple(dict.fromkeys(filter(None, (prompt.strip() for prompt in prompts))))
    if not given:
        raise PromptError("The sweep has no prompt.", hint='Write one a line, such as "caption en".')
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
