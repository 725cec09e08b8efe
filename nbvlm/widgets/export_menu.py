"""Taking an answer away: files to download, code to copy, a new cell; all made when asked for."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget

from nbvlm._background import Task
from nbvlm.errors import Error
from nbvlm.result import export_file
from nbvlm.widgets import thumbnails
from nbvlm.widgets.esm import script, style

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from nbvlm.images import Picture
    from nbvlm.result import Result

__all__ = ["CHUNK", "FORMATS", "Exports", "Made", "code", "make"]

#: Bytes of one message: hosts lose messages of 10 MiB and more without a word.
CHUNK = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Made:
    """A file, as it travels to the browser."""

    name: str
    mime: str
    data: bytes


#: Endings and types of what can be downloaded, by the names that the page knows.
FORMATS = {
    "png": (".png", "image/png"),
    "svg": (".svg", "image/svg+xml"),
    "json": (".json", "application/json"),
    "csv": (".csv", "text/csv"),
    "coco": (".coco.json", "application/json"),
    "html": (".html", "text/html"),
    "python": (".py", "text/x-python"),
    "curl": (".sh", "text/x-shellscript"),
}


def make(result: Result, form: str) -> Made:
    """Make a file of a result.

    Parameters
    ----------
    result
        The answer.
    form
        A key of `FORMATS`.

    Raises
    ------
    Error
        There is no such format, or the picture's bytes are not here.
    """
    if form not in FORMATS:
        raise Error(f"There is no format {form[:40]!r}.", hint=f"Formats: {', '.join(FORMATS)}.")
    ending, mime = FORMATS[form]
    stem = re.sub(r"[^\w-]+", "-", Path(result.picture.name or "picture").stem).strip("-") or "picture"
    return Made(f"{stem}-answer{ending}", mime, _data(result, form))


def _data(result: Result, form: str) -> bytes:
    if form == "coco":
        return json.dumps(result.to_coco(), ensure_ascii=False, indent=1).encode("utf-8", "backslashreplace")
    if form == "python":
        return code(result).encode("utf-8", "backslashreplace")
    if form == "curl":
        return result.to_curl().encode("utf-8", "backslashreplace")
    return export_file(result, FORMATS[form][0])


def code(result: Result) -> str:
    """Write Python that asks the same again; a sample picture is named rather than brought along."""
    index = _sample(result.picture)
    if index is None:
        return result.to_python()
    marker = "the sample"
    written = result.to_python(image=marker)
    written = written.replace("import nbvlm\n", "import nbvlm\nfrom nbvlm.demo.gallery import GALLERY\n", 1)
    return written.replace(f'picture = "{marker}"', f"picture = GALLERY[{index}].picture()", 1)


def _sample(picture: Picture) -> int | None:
    """Find the number of a sample by its name, then by its bytes."""
    for index, scene in enumerate(thumbnails.scenes()):
        if picture.name == f"{scene.name}.png":
            return index if thumbnails.picture_of(scene) == picture else None
    return None


class Exports(anywidget.AnyWidget):  # type: ignore[misc] # the base class has no types
    """Offers an answer as files and as code.

    Nothing is made before it is asked for, and nothing of it is in a synced trait: a file travels in pieces
    to the page that asked.

    Parameters
    ----------
    on_error
        Called with what went wrong.
    """

    _esm = script("export_menu")
    _css = style("export_menu")

    def __init__(self, on_error: Callable[[Exception], None]) -> None:
        self._lock = threading.RLock()
        self._result: Result | None = None
        self._on_error = on_error
        super().__init__()
        self.on_msg(Exports.receive)

    def offer(self, result: Result | None) -> None:
        """Offer an answer, or none."""
        with self._lock:
            if result is not self._result:
                self._result = result
                self._tell()

    def receive(self, message: Mapping[str, Any], _buffers: Sequence[Any]) -> None:
        """Take one message of a page."""
        if message.get("type") == "hello":
            self._tell()
        elif message.get("type") == "make":
            Task(self._deliver(str(message.get("format")), message.get("id")))

    def _tell(self) -> None:
        self.send({"type": "offer", "offered": self._result is not None})

    async def _deliver(self, form: str, key: Any) -> None:
        """Make a file and send it; a page knows its own requests by their keys."""
        try:
            made = await asyncio.to_thread(make, self._needed(), form)
        except Exception as error:  # noqa: BLE001 - shown where the user looks
            self.send({"type": "failed", "id": key})
            self._on_error(error)
            return
        with self._lock:
            for message, buffers in pieces(made, key):
                self.send(message, buffers=buffers)

    def _needed(self) -> Result:
        if self._result is None:
            raise Error("There is no answer to take away.", hint="Run first.")
        return self._result

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def pieces(made: Made, key: Any) -> Iterator[tuple[dict[str, Any], list[bytes]]]:
    """Cut a file into messages."""
    starts = range(0, max(1, len(made.data)), CHUNK)
    head = {"type": "file", "id": key, "name": made.name, "mime": made.mime, "pieces": len(starts)}
    yield head, []
    for at in starts:
        yield {"type": "piece", "id": key}, [made.data[at : at + CHUNK]]
