"""Answers as columns of a Dask DataFrame: computed where its partitions are, when they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nbvlm._background import Task
from nbvlm.batches import rows as tables
from nbvlm.batches import sources
from nbvlm.batches.cluster import WorkerPlan, cluster_worker, remember
from nbvlm.batches.journal import NullJournal
from nbvlm.batches.plan import plan
from nbvlm.errors import Error, ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from nbvlm.batches.rows import Row
    from nbvlm.client import AsyncClient, Client

__all__ = ["KINDS", "map_partitions"]

_TEXT = "string[pyarrow]"
KINDS = {
    "prompt": _TEXT,
    "text": _TEXT,
    "detections": _TEXT,
    "error": _TEXT,
    "seconds": "float64",
    "tokens": "Int64",
    "request_id": _TEXT,
    "model": _TEXT,
    "endpoint": _TEXT,
    "notices": _TEXT,
}
"""Columns that are added, and their types."""


def map_partitions(
    ddf: Any,
    column: str,
    prompt: str | Callable[[Mapping[str, Any]], str],
    *,
    client: Client | AsyncClient | None = None,
    concurrency: int = 8,
    rate: float | None = None,
    on_error: str = "record",
    **options: Any,
) -> Any:
    """Add the answers about the pictures of a column to a Dask DataFrame; asked when it is computed.

    This keeps no journal: write the result (`to_parquet`), and read that. Each worker has one client with its
    own connections; the rate is shared by all through the scheduler. Keys: see `batch` with `engine`.

    Parameters
    ----------
    ddf
        A `dask.dataframe.DataFrame`.
    column
        Column with paths, addresses or bytes of pictures.
    prompt, client, concurrency, rate, on_error
        As for `batch`; `concurrency` is for each worker process.
    **options
        `temperature`, `top_p`, `max_tokens`, `route`, `content`.

    Returns
    -------
    dask.dataframe.DataFrame
        `ddf` with `prompt, text, detections, error, seconds, tokens, request_id, model, endpoint, notices`.
        `detections` is JSON, a list of objects with `label`, `box` (x0, y0, x1, y1 in pixels) and `codes`.

    Raises
    ------
    ParameterError
        If the column is missing, or one that would be added is there already.
    PromptError, AuthenticationError
        Before anything is asked.

    Examples
    --------
    >>> answers = nbvlm.map_partitions(ddf, "path", "detect {thing}")  # doctest: +SKIP
    >>> answers.to_parquet("answers/")  # doctest: +SKIP
    """
    names = [str(name) for name in getattr(ddf, "columns", ())]
    if not hasattr(ddf, "map_partitions"):
        raise ParameterError(
            f"ddf must be a Dask DataFrame, got {type(ddf).__name__}.",
            hint="nbvlm.batch(…) takes everything else.",
        )
    if str(column) not in names:
        raise ParameterError(f"The column {column!r} does not exist.", hint=f"Columns: {', '.join(names)}.")
    if taken := [name for name in KINDS if name in names]:
        raise ParameterError(
            f"There is a column {taken[0]!r} already.", hint="Rename it: the answers need this name."
        )
    checked = plan(prompt, client, concurrency=concurrency, rate=rate, on_error=on_error, options=options)
    checked.prompt.check(names)
    worker_plan = WorkerPlan.of(checked)
    remember(checked.settings)
    meta = ddf._meta.assign(**_columns([], ddf._meta.index))  # noqa: SLF001 - what Dask calls it
    return ddf.map_partitions(_answered, column, worker_plan, meta=meta, enforce_metadata=False)


def _answered(part: pd.DataFrame, column: str, worker_plan: WorkerPlan) -> pd.DataFrame:
    """Answer one partition: the task that a worker runs."""
    if not len(part):
        return part.assign(**_columns([], part.index))
    with cluster_worker(worker_plan) as here:
        rows = Task(here.rows(sources.items(sources.listing(part, column)), NullJournal())).wait()
    rows.sort(key=lambda row: row.index)
    if len(rows) != len(part):
        raise Error("A partition has rows without an answer.")
    return part.assign(**_columns(rows, part.index))


def _columns(rows: list[Row], index: Any) -> dict[str, Any]:
    pd = tables.pandas()
    values = {name: [getattr(row, name) for row in rows] for name in KINDS}
    values["detections"] = [_written(found) for found in values["detections"]]
    return {name: pd.Series(values[name], index=index, dtype=kind) for name, kind in KINDS.items()}


def _written(found: Any) -> str | None:
    if found is None:
        return None
    boxes = zip(found.labels, found.xyxy.tolist(), found.codes, strict=True)
    return json.dumps([{"label": label, "box": box, "codes": codes} for label, box, codes in boxes])
