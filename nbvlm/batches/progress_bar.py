"""How far a batch is, in a notebook: a bar, a line of figures, the last answers, Stop.

The run reports as often as it likes, from its own thread; a task on the package's loop draws the newest.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections import Counter
from html import escape
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from nbvlm import prompts
from nbvlm._background import Task
from nbvlm._text import shorten
from nbvlm.draw import annotate
from nbvlm.errors import Error
from nbvlm.images import Picture, encoded
from nbvlm.result import html_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbvlm.batches.progress import Progress
    from nbvlm.batches.rows import Row

__all__ = ["ProgressBar", "figures", "show", "strip"]

SIDE = 108
"""Pixels of a small picture's longer side."""
ENDS = ("finished", "stopped")
STEP = 0.05
"""Seconds between two looks at the newest report."""
GAP = 1.0
"""Least seconds between two drawings of the last answers."""
_TALL = 240
_CARD = (
    "flex:0 1 124px;min-width:124px;box-sizing:border-box;border-radius:4px;"
    "border:1px solid var(--jp-border-color2,#bdbdbd);"
    "padding:6px;font-size:12px;line-height:1.35;overflow-wrap:anywhere;"
    "color:var(--jp-ui-font-color1,inherit)"
)
_NAME = "color:var(--jp-ui-font-color2,#616161);display:block"
_WRONG = "color:var(--jp-error-color1,#c62828)"


def show(stop: Callable[[], None]) -> Callable[[Progress], None]:
    """Show a progress bar below the cell and return the function that takes the reports."""
    from IPython.display import display

    gauge = ProgressBar(stop)
    display(gauge.box)
    gauge.hear()
    return gauge.take


class ProgressBar:
    """The widgets; `take` may be called from any thread, as often as one likes."""

    def __init__(self, stop: Callable[[], None]) -> None:
        import ipywidgets

        self._stop = stop
        wide = ipywidgets.Layout(width="auto", flex="1 1 auto")
        self.bar = ipywidgets.FloatProgress(value=0, min=0, max=1, layout=wide)
        self.button = ipywidgets.Button(
            description="Stop",
            icon="stop",
            tooltip="Stop here; running the same again goes on. Interrupting the kernel does the same.",
            layout=ipywidgets.Layout(width="88px"),
        )
        self.button.on_click(lambda _button: self.press())
        self.line = ipywidgets.HTML()
        self.strip = ipywidgets.HTML()
        row = ipywidgets.HBox([self.bar, self.button], layout=ipywidgets.Layout(align_items="center"))
        self.box = ipywidgets.VBox([row, self.line, self.strip])
        self._thumbnails: dict[str, str] = {}
        self._newest: Progress
        self._drawing: Task[None] | None = None

    def take(self, progress: Progress) -> None:
        """Take a report; that of the end is drawn before this returns."""
        self._newest = progress
        if self._drawing is None:
            self._drawing = Task(self._draw_all())
        if progress.state in ENDS:
            with contextlib.suppress(TimeoutError):
                self._drawing.wait(5.0)

    def hear(self) -> None:
        """Receive Stop while the cell is busy, if the kernel has subshells."""
        try:
            kernel = tuple(map(int, version("ipykernel").split(".")[:2]))
        except PackageNotFoundError:
            return
        # From 7.4 on, a message goes to the shell that used the widget last, and that is the busy one.
        if kernel >= (7, 4) and hasattr(self.button.comm, "_reply_subshell_id"):
            del self.button.comm._reply_subshell_id  # noqa: SLF001 - the only way to receive it

    def press(self) -> None:
        """Stop the run."""
        self.button.disabled = True
        self._stop()

    async def _draw_all(self) -> None:
        drawn: Progress | None = None
        due = 0.0
        while drawn is None or drawn.state not in ENDS:
            newest = self._newest
            if newest is drawn or (newest.state not in ENDS and time.monotonic() < due):
                await asyncio.sleep(STEP)
                continue
            drawn = newest
            await asyncio.to_thread(self.draw, drawn)
            due = time.monotonic() + (GAP if drawn.last else 0)

    def draw(self, progress: Progress) -> None:
        """Show a report."""
        if progress.total:
            self.bar.max = progress.total
            self.bar.value = progress.done
        self.bar.bar_style = {"finished": "success", "stopped": "warning"}.get(progress.state, "")
        self.line.value = f'<span role="status">{html_text(figures(progress))}</span>'
        self.strip.value = strip(progress.last, self._thumbnails)
        self.button.disabled = progress.state in ENDS


def figures(progress: Progress) -> str:
    """Say in one line how far a run is."""
    of = f" of {progress.total:,}" if progress.total is not None else ""
    errors = f"{progress.errors:,} {'error' if progress.errors == 1 else 'errors'}"
    before = f" · {progress.resumed:,} from before" if progress.resumed else ""
    if progress.state == "finished":
        pictures = "picture" if progress.done == 1 else "pictures"
        return f"Finished: {progress.done:,} {pictures} in {spell(progress.seconds)} · {errors}{before}"
    if progress.state == "stopped":
        pictures = "picture" if (progress.total or progress.done) == 1 else "pictures"
        return (
            f"Stopped after {progress.done:,}{of} {pictures} · {errors}{before}. "
            "Running the same again goes on from here."
        )
    parts = [f"{progress.done:,}{of}", f"{progress.per_minute:,.0f} a minute", errors]
    parts.append(f"{progress.asking} asked, {progress.waiting} waiting")
    if progress.left_s is not None and progress.done < (progress.total or 0):
        parts.append(f"{spell(progress.left_s)} left")
    return " · ".join(parts) + before


def spell(seconds: float) -> str:
    """Write a duration for people.

    Examples
    --------
    >>> spell(5), spell(130), spell(7300)
    ('5 s', '2 min 10 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def strip(last: tuple[Row, ...], thumbnails: dict[str, str]) -> str:
    """Return the last answers, newest first, as HTML; `thumbnails` keeps small pictures by source."""
    for gone in thumbnails.keys() - {row.source for row in last}:
        del thumbnails[gone]
    cards = "".join(_card(row, thumbnails) for row in reversed(last))
    return f'<div style="display:flex;flex-wrap:wrap;gap:8px;margin-top:4px">{cards}</div>'


def _card(row: Row, thumbnails: dict[str, str]) -> str:
    if row.source not in thumbnails:
        thumbnails[row.source] = _thumbnail(row)
    name = html_text(row.source.rpartition("/")[2] or row.source)
    said = row.error if row.error is not None else _said(row)
    short = said if len(said) <= _TALL else f"{said[:_TALL]}…"
    style = f' style="{_WRONG}"' if row.error is not None else ""
    return (
        f'<div style="{_CARD}">{thumbnails[row.source]}<span style="{_NAME}">{name}</span>'
        f"<span{style}>{html_text(short)}</span>{_caveat(row)}</div>"
    )


def _caveat(row: Row) -> str:
    """Return the beginning of the notices; the tooltip shows all of them."""
    if not row.notices:
        return ""
    begun = html_text(shorten(row.notices, 60))
    return f'<span style="{_NAME}" title="{escape(row.notices)}">⚠ {begun}</span>'


def _said(row: Row) -> str:
    """Return the labels of the boxes, or the text without boxes."""
    labels = list(row.detections.labels) if row.detections is not None else []
    if not labels:
        return row.text or "(an empty answer)"
    named = ((label or "something", count) for label, count in Counter(labels).items())
    return ", ".join(f"{label} × {count}" if count > 1 else label for label, count in named)


def _thumbnail(row: Row) -> str:
    """Return a small picture of a local file with its boxes, or nothing."""
    try:
        if not row.path.is_file():
            return ""
        small = Picture.load(row.path).thumbnail(SIDE)
    except (Error, OSError, ValueError):
        return ""
    if row.detections is not None and len(row.detections):
        things = prompts.things(row.prompt or "")
        small = annotate(small, row.detections, things=things, keep=False, labels=False, line_width=2)
    packed = base64.b64encode(encoded(small, "JPEG", quality=70)).decode("ascii")
    return (
        f'<img alt="" width="{small.width}" height="{small.height}" style="display:block;margin-bottom:4px" '
        f'src="data:image/jpeg;base64,{packed}">'
    )
