"""A review: the rows of a batch's table one after the other, kept or corrected, and written as a data set."""

from __future__ import annotations

import threading
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import ipywidgets
import traitlets

from nbvlm._files import expanded
from nbvlm._optional import require
from nbvlm.errors import Error, ImageError
from nbvlm.widgets._base import PageState, refuse_keywords
from nbvlm.widgets._life import LocalLife, weakly
from nbvlm.widgets._observers import Observed
from nbvlm.widgets._part import Part
from nbvlm.widgets.detection_list import DetectionList
from nbvlm.widgets.esm import script
from nbvlm.widgets.messages import Ignored, Message, whole
from nbvlm.widgets.review_rows import DONE, ReviewJournal, rows_of, write_zip
from nbvlm.widgets.viewer import Viewer

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from nbvlm.grounding import Detections
    from nbvlm.widgets.review_rows import ReviewRow

__all__ = ["Review", "ReviewBar"]


class ReviewBar(Part):
    """Shows how far a review is, and its buttons; a part of `Review`."""

    _esm = script("review", "colors", "scheme", "theme", "place", "review")
    messages = MappingProxyType(
        {name: Message() for name in ("keep", "next", "previous", "reset", "save")}
        | {"go": Message(row=whole)}
    )

    def __init__(self, on_message: Callable[[Mapping[str, Any]], Any]) -> None:
        self._shown: dict[str, Any] = {}
        super().__init__(on_message)

    def show(self, shown: Mapping[str, Any]) -> None:
        """Show these facts."""
        with self._lock:
            self._shown = dict(shown)
            self.send_all()

    def send_all(self) -> None:
        """Send all facts, to a page that opens."""
        with self._lock:
            self.send({"type": "put", **self._shown})


class Review(Observed, LocalLife, PageState, ipywidgets.VBox):  # type: ignore[misc] # the base class has no types
    """Look through the answers of a batch row by row: keep or correct each, then write them as a data set.

    Rows with an error, and rows whose picture cannot be read, are skipped; the bar lists them with the
    reason. A row that is left with other boxes than it had counts as corrected. Keys, with the review in
    focus: K keeps the row as it is on the screen and goes on, Page Down and Page Up go to the next and the
    previous row, R takes the corrections of the row back. Boxes are corrected as in `Viewer`.

    Parameters
    ----------
    table
        The table of `nbvlm.batch`, rows of `nbvlm.ibatch`, or results.
    journal
        A file that keeps each decision at once; another review of the same rows goes on there. None keeps
        nothing.
    output
        The zip that the button writes.
    pictures
        One for each row, as `Picture.load` takes it; by default the `source` of the row.
    folder
        Where relative paths begin; by default the working folder.
    index
        The first row on the screen; by default the first open one.

    Attributes
    ----------
    index : int
        Number of the row on the screen, from 0; −1 where there is none. ``review.index = 3``
    states : tuple of str
        What was decided about each row: "open", "kept", "corrected" or "error". Read-only.
        ``review.observe(lambda change: print(change.new.count("open")), "states")``
    viewer : Viewer
        The viewer, whose `detections` are those on the screen.
    rows : DetectionList
        The list below it.

    Raises
    ------
    ValueError
        For something else than a table, rows or results, and pictures of another number.
    TypeError
        If there is no keyword of a name.
    IndexError, ImageError
        For an `index` that `go` refuses.
    Error
        If the journal cannot be read or written.

    Examples
    --------
    >>> table = nbvlm.batch("pictures/", "detect cat ; dog")  # doctest: +SKIP
    >>> review = nbvlm.widgets.Review(table, journal="review.jsonl")  # doctest: +SKIP
    >>> review.save("reviewed.zip")  # doctest: +SKIP
    """

    index = traitlets.Int(-1)
    states: Any = traitlets.Tuple(read_only=True)
    page_traits: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    def __init__(
        self,
        table: Any,
        *,
        journal: str | os.PathLike[str] | None = None,
        output: str | os.PathLike[str] = "reviewed.zip",
        pictures: Sequence[Any] | None = None,
        folder: str | os.PathLike[str] = ".",
        index: int | None = None,
        **traits: Any,
    ) -> None:
        offered = ("journal", "output", "pictures", "folder", "index", "layout")
        refuse_keywords(ipywidgets.VBox, traits, offered)
        self._lock = threading.RLock()
        self._rows = rows_of(table, pictures, expanded(folder).absolute())
        self._table = table
        self._output = expanded(output)
        self._journal = ReviewJournal(None if journal is None else expanded(journal))
        self._journal.restore(self._rows)
        self._message = ""
        self._bar = ReviewBar(weakly(self.take))
        self.viewer = Viewer(mode="edit")
        self.rows = DetectionList(self.viewer)
        super().__init__((self._bar, self.viewer, self.rows), **traits)
        self.add_class("nbvlm-review")
        self._leave_to_python()
        self.viewer.observe(weakly(self._corrected), "detections")
        try:
            if index is not None:
                self.index = index
            else:
                self._go(1, start=-1, states=("open",)) or self._go(1, start=-1)
            self._tell()
        except BaseException:
            self.close()
            raise

    def take(self, message: Mapping[str, Any]) -> None:
        """Take a message of the page; an error is shown there."""
        actions: dict[str, Callable[[], Any]] = {
            "keep": self.keep,
            "next": self.next,
            "previous": self.previous,
            "reset": self.reset,
            "save": self.save,
            "go": lambda: self.go(message["row"]),
        }
        try:
            actions[message["type"]]()
        except IndexError as error:
            raise Ignored(str(error)) from None
        except (Error, ValueError) as error:
            self._message = str(error)
            self._tell()

    # Rows

    @property
    def row(self) -> ReviewRow | None:
        """The row on the screen."""
        return self._rows[self.index] if 0 <= self.index < len(self._rows) else None

    def go(self, index: int) -> None:
        """Show a row, by its number from 0.

        Raises
        ------
        IndexError
            If there is no such row.
        ImageError
            If the row cannot be reviewed: it has an error, or its picture cannot be read.
        """
        self.index = index

    @traitlets.validate("index")  # type: ignore[untyped-decorator]
    def _check_index(self, proposal: Any) -> int:
        index = int(proposal["value"])
        if index == -1 and self.row is None:
            return index
        if not 0 <= index < len(self._rows):
            raise IndexError(f"There is no row {index}: there are {len(self._rows)}, numbered from 0.")
        row = self._rows[index]
        if row.state == "error":
            raise ImageError(f"The row {index} is skipped. {row.error}")
        with self._lock:
            self._leave()
            try:
                picture = row.picture()
            except Error as error:
                row.fail(str(error))
                self._tell()
                raise
            self._show(row, picture)
        return index

    @traitlets.observe("index")  # type: ignore[untyped-decorator]
    def _index_changed(self, _change: Any) -> None:
        self._message = ""
        self._tell()

    def _show(self, row: ReviewRow, picture: Any) -> None:
        self.viewer.image = picture
        self.viewer.detections = row.decided if row.decided is not None else row.found

    def _leave(self) -> None:
        """Keep corrections of the row that is left."""
        row, found = self.row, self.viewer.detections
        if row is not None and found is not None:
            before = row.decided if row.decided is not None else row.found
            if found is not before and found != before:
                self._decide(row, found)

    def _decide(self, row: ReviewRow, found: Detections) -> None:
        row.decided = found
        row.state = "kept" if found == row.found else "corrected"
        self._journal.add(row)

    def _go(self, step: int, start: int | None = None, states: Sequence[str] = ("open", *DONE)) -> bool:
        """Show the next row in one of these states; return whether there is one."""
        at = (self.index if start is None else start) + step
        while 0 <= at < len(self._rows):
            if self._rows[at].state in states:
                try:
                    self.index = at
                except Error:  # its picture cannot be read: it is skipped, too
                    pass
                else:
                    return True
            at += step
        return False

    def next(self) -> None:
        """Go to the next row that is not skipped; corrections of this one are kept."""
        self._walk(1, "This is the last row.")

    def previous(self) -> None:
        """Go to the row before that is not skipped; corrections of this one are kept."""
        self._walk(-1, "This is the first row.")

    def _walk(self, step: int, end: str) -> None:
        with self._lock:
            self._leave()
            if not self._go(step):
                self._message = end
            self._tell()

    def keep(self) -> None:
        """Keep the row with the boxes on the screen, and go to the next open one."""
        with self._lock:
            row, found = self.row, self.viewer.detections
            if row is None or found is None:
                raise Error("There is no row to keep.")
            self._decide(row, found)
            if not self._go(1, states=("open",)) and not self._go(1, start=-1, states=("open",)):
                self._message = "All rows are reviewed."
            self._tell()

    def reset(self) -> None:
        """Show the boxes of the model again; the row is open again."""
        with self._lock:
            row, self._message = self.row, ""
            if row is not None:
                self.viewer.detections = row.found
                if row.state in DONE:
                    row.state, row.decided = "open", None
                    self._journal.add(row)
            self._tell()

    def save(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the reviewed rows as COCO annotations with their pictures, as one zip.

        The zip holds `annotations.json` and the folder `images`. Notices of a row are in its image and its
        annotations. The file is whole or absent.

        Parameters
        ----------
        path
            The file; by default `output`.

        Returns
        -------
        pathlib.Path
            Where it was written.

        Raises
        ------
        Error
            If nothing is reviewed yet, a picture is gone, or the file cannot be written.
        """
        target = self._output if path is None else expanded(path)
        with self._lock:
            self._leave()
            if not any(row.state in DONE for row in self._rows):
                raise Error("No row is reviewed yet.", hint="Keep or correct a row first.")
            count = write_zip(self._rows, target)
            self._message = f"{count} of {len(self._rows)} pictures written to {target}."
            self._tell()
        return target

    def to_dataframe(self) -> pd.DataFrame:
        """Return the rows as a table: those of the table given, with `review` and `corrected`.

        `review` is the state, `corrected` the `Detections` that were decided, missing where there are none.
        `nbvlm.evaluate(done.detections, done.corrected)` compares the model's boxes with them, where `done`
        are the rows that were reviewed.

        Raises
        ------
        Error
            pandas is not installed; the message has the line that installs it.
        """
        pandas = require("pandas", extra="pandas", purpose="A table")
        self._leave()
        if hasattr(self._table, "columns"):
            frame = self._table.copy()
        else:
            names = ("source", "prompt", "model")
            frame = pandas.DataFrame({name: [getattr(row, name) for row in self._rows] for name in names})
            frame["detections"] = pandas.Series([row.found for row in self._rows], dtype="object")
        frame["review"] = pandas.Series([row.state for row in self._rows], index=frame.index, dtype="object")
        decided = [row.decided for row in self._rows]
        frame["corrected"] = pandas.Series(decided, index=frame.index, dtype="object")
        return frame  # type: ignore[no-any-return]

    # The page

    def _corrected(self, _change: Any) -> None:
        self._tell()

    def _tell(self) -> None:
        """Show how far the review is."""
        states = tuple(row.state for row in self._rows)
        self.set_trait("states", states)
        row = self.row
        changed = False
        if row is not None:
            found = self.viewer.detections
            changed = found is not None and found is not row.found and found != row.found
        self._bar.show(
            {
                "index": self.index,
                "counts": {state: states.count(state) for state in ("open", *DONE, "error")},
                "row": None if row is None else _facts(row),
                "changed": changed,
                "skipped": [
                    {"row": at, "source": one.source, "error": one.error}
                    for at, one in enumerate(self._rows)
                    if one.state == "error"
                ][:200],
                "message": self._message,
                "output": str(self._output),
            }
        )

    def close(self) -> None:
        """Take the review off the page, and end it; its decisions stay. Again, nothing happens."""
        if "rows" in self.__dict__:
            for one in (self.rows, self.viewer, self._bar):
                one.close()
        super().close()

    def __repr__(self) -> str:
        done = sum(row.state in DONE for row in self._rows)
        return f"<Review: {done} of {len(self._rows)} rows reviewed>"


def _facts(row: ReviewRow) -> dict[str, Any]:
    return {
        "source": row.source,
        "prompt": row.prompt,
        "model": row.model,
        "notices": list(row.notices),
        "state": row.state,
    }
