"""Rows as pandas tables, one row a picture or one row a detection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbvlm.errors import Error

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from nbvlm.batches.rows import Row

__all__ = ["COLUMNS", "Table", "pandas"]

COLUMNS = ("source", "prompt", "text", "detections", "error", "seconds", "tokens", "request_id")
BOX = ("label", "x0", "y0", "x1", "y1")
_KINDS = {"seconds": "float64", "tokens": "Int64"}
_PLAIN = ("source", "prompt", "text", "error", "request_id")


def pandas() -> Any:
    """Return the module.

    Raises
    ------
    Error
        If it is not installed; the message has the line that installs it.
    """
    try:
        import pandas as pd
    except ImportError:
        raise Error(
            "A table of answers needs pandas, which is not installed.",
            hint='Run: pip install "nbvlm[batch]". nbvlm.ibatch(…) works without it.',
        ) from None
    return pd


class Table:
    """Gathers rows as they come, and puts them in the order of the pictures.

    Parameters
    ----------
    explode
        Whether there is to be one row a detection.
    """

    def __init__(self, *, explode: bool = False) -> None:
        self._explode = explode
        self._rows: list[tuple[int, Any, tuple[Any, ...]]] = []

    def add(self, row: Row) -> None:
        """Take a row; its picture is not kept."""
        values = tuple(getattr(row, name) for name in COLUMNS)
        self._rows.append((row.index, row.label, values))

    def frame(self, *, labels: bool = False) -> pd.DataFrame:
        """Make the table.

        Parameters
        ----------
        labels
            Whether the rows keep the labels that they had in a pandas object; else they are numbered.
        """
        module = pandas()
        self._rows.sort(key=lambda row: row[0])
        index = [label if labels else number for number, (_, label, _) in enumerate(self._rows)]
        values = {name: [row[2][at] for row in self._rows] for at, name in enumerate(COLUMNS)}
        made: pd.DataFrame = (
            _exploded(module, values, index) if self._explode else _made(module, values, COLUMNS, index)
        )
        return made


def frame(found: Iterable[Row], *, explode: bool = False) -> pd.DataFrame:
    """Make a table of rows, in their order."""
    table = Table(explode=explode)
    for row in found:
        table.add(row)
    return table.frame()


def _exploded(pd: Any, values: dict[str, list[Any]], index: list[Any]) -> Any:
    """One row a detection; a picture without any has one row, so that none is missing."""
    others = [name for name in COLUMNS if name != "detections"]
    columns = ("source", "prompt", "text", *BOX, "error", "seconds", "tokens", "request_id")
    made: dict[str, list[Any]] = {name: [] for name in columns}
    labels = []
    for at, found in enumerate(values["detections"]):
        boxes = list(zip(found.labels, found.xyxy.tolist(), strict=True)) if found is not None else []
        for label, box in boxes or [(None, (None,) * 4)]:
            labels.append(index[at])
            for name in others:
                made[name].append(values[name][at])
            for name, value in zip(BOX, (label, *box), strict=True):
                made[name].append(value)
    return _made(pd, made, columns, labels)


def _made(pd: Any, values: dict[str, list[Any]], columns: tuple[str, ...], index: list[Any]) -> Any:
    kinds = dict.fromkeys((*_PLAIN, "label"), "string") | dict.fromkeys(BOX[1:], "float64") | _KINDS
    series = {name: pd.Series(values[name], index=index, dtype=kinds.get(name, "object")) for name in columns}
    return pd.DataFrame(series, index=index, columns=list(columns))
