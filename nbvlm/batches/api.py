"""Many pictures: one call, one table; nothing lost, no limit broken, on one machine or on a cluster.

>>> nbvlm.batch("pictures/", "detect cat", journal="run.jsonl")  # doctest: +SKIP
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Unpack

from nbvlm._background import run_in_thread
from nbvlm.batches import journal as journals
from nbvlm.batches import rows
from nbvlm.batches.dask_columns import map_partitions
from nbvlm.batches.progress import Progress
from nbvlm.batches.rows import Row
from nbvlm.batches.run import SHOWN, BatchOptions, Run
from nbvlm.client import with_keywords
from nbvlm.errors import Error

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping

    import pandas as pd

__all__ = ["Progress", "Row", "abatch", "batch", "ibatch", "map_partitions", "results"]


@with_keywords(BatchOptions, **SHOWN)
def batch(
    images: Any,
    prompt: str | Callable[[Mapping[str, Any]], str],
    *,
    explode: bool = False,
    **options: Unpack[BatchOptions],
) -> pd.DataFrame:
    """Ask about many pictures and return a table, one row a picture, in the order of the pictures.

    Every finished picture is a line of the journal at once. Running the same again skips what stands there:
    nothing is lost by Stop, Ctrl-C, a dead kernel or `kill -9`.

    Parameters
    ----------
    images
        A folder (with all below it), a glob, a list of what `Client.ask` takes, a pandas Series or DataFrame,
        an iterator (never held in memory; mappings are rows), or an address that fsspec reads (`s3://…`).
    prompt
        A text; a text with `{column}` in it; or a function that takes the row as a mapping and returns the
        prompt. Pictures without a table have `source, name, stem, folder, index`.
    client
        Whose settings are used; by default those of `Client()`.
    concurrency
        Questions under way at once; on a cluster, for each worker. The batch lowers it while the service says
        that it is busy (503), and raises it again.
    journal
        The file; one run at a time can write it. None keeps nothing.
    rate
        Requests a minute, for all workers together. By default the published limit of the hosted service
        (40), and none elsewhere; `float("inf")` removes it. A refusal (429) slows all down.
    on_error
        "record" makes a row of each error; "raise" ends the run with the first. A refused key, spent credits
        and a model that is gone always end it.
    engine
        A `distributed.Client`: pictures are asked about by the cluster's workers.
    column
        Column of a table, or key of mappings, that holds the pictures.
    explode
        Whether to return one row a detection; a picture without any keeps one row.
    progress
        In a notebook a bar with a Stop button is shown; False shows none, a function is called with each
        `Progress`.
    temperature, top_p, max_tokens, seed, route, content, allow_private
        As `Client.ask` takes them.

    Returns
    -------
    pandas.DataFrame
        `source, prompt, text, detections` (a `Detections` each), `error` (kind and sentence), `seconds`,
        `tokens` (in all), `request_id`, `model`, `endpoint`, `notices`; a value that a row does not have is
        missing. After Stop, the rows until then. Rows of a Series or DataFrame keep its index.

    Raises
    ------
    ImageError
        The source holds no pictures.
    PromptError, ParameterError, AuthenticationError
        Before anything is asked.
    Error
        pandas is missing, the journal is in use or cannot be written, or the run was ended, see `on_error`.
        `error.table` has the rows until then.

    Examples
    --------
    >>> table = nbvlm.batch("pictures/", "detect cat ; dog")  # doctest: +SKIP
    >>> table[table.error.isna()].detections.map(len).sum()  # doctest: +SKIP
    """
    rows.pandas()
    return run_in_thread(Run(images, prompt, **options).table(explode=explode))  # type: ignore[no-any-return]


@with_keywords(BatchOptions, **SHOWN)
async def abatch(
    images: Any,
    prompt: str | Callable[[Mapping[str, Any]], str],
    *,
    explode: bool = False,
    **options: Unpack[BatchOptions],
) -> pd.DataFrame:
    """Ask about many pictures, awaited; see `batch`. Cancelling the task stops the run.

    Examples
    --------
    >>> table = await nbvlm.abatch("pictures/", "caption en")  # doctest: +SKIP
    """
    rows.pandas()
    return await Run(images, prompt, **options).table(explode=explode)  # type: ignore[no-any-return]


@with_keywords(BatchOptions, **SHOWN)
def ibatch(
    images: Any,
    prompt: str | Callable[[Mapping[str, Any]], str],
    **options: Unpack[BatchOptions],
) -> Iterator[Row]:
    """Ask about many pictures and yield each `Row` as it is finished; see `batch`.

    Rows come in the order of the work: `row.index` is the picture's number. They need not fit into memory,
    and the run waits for the loop that takes them. Leaving the loop early stops it.

    Examples
    --------
    >>> for row in nbvlm.ibatch("pictures/", "caption en"):  # doctest: +SKIP
    ...     row.source, row.text, row.result
    """
    return Run(images, prompt, **options).each()


def results(journal: str | os.PathLike[str] = "run.jsonl", *, explode: bool = False) -> pd.DataFrame:
    """Read a journal back as a table, also while a run writes it.

    Parameters
    ----------
    journal
        The file.
    explode
        Whether to return one row a detection.

    Returns
    -------
    pandas.DataFrame
        As `batch` returns it: one row a picture and prompt, the last that was written, in the order of the
        pictures.

    Raises
    ------
    Error
        The file does not exist, or pandas is missing.

    Examples
    --------
    >>> nbvlm.results("run.jsonl").error.notna().sum()  # doctest: +SKIP
    """
    rows.pandas()
    found: dict[tuple[str, int, str | None], Row] = {}
    unwritten: dict[tuple[str, int], str | None] = {}  # prompts that could not be made
    for line in journals.lines(journal):
        with contextlib.suppress(Error):  # of a line that cannot be an answer after all
            row = rows.row_of(line)
            place = (row.source, row.copy)
            if place in unwritten:
                found.pop((*place, unwritten.pop(place)), None)
            if row.kind == "PromptError":
                unwritten[place] = row.prompt
            found[*place, row.prompt] = row
    return rows.frame(found.values(), explode=explode)
