"""The export of an answer: files to download, code to copy, a new cell; each is made when it is asked for."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nbvlm._background import Task
from nbvlm.errors import Error
from nbvlm.result import export_file
from nbvlm.widgets._base import OfferingWidget
from nbvlm.widgets.esm import script
from nbvlm.widgets.messages import Ignored, Message, either, text, whole
from nbvlm.widgets.thumbnails import sample_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from nbvlm.result import Result
    from nbvlm.widgets.offers import Offer

__all__ = ["CHUNK", "FORMATS", "ExportFile", "ExportMenu", "make", "python_code"]

#: Bytes of one message: hosts lose messages of 10 MiB and more without a word.
CHUNK = 4 * 2**20


@dataclass(frozen=True, slots=True)
class ExportFile:
    """A file, as it travels to the browser."""

    name: str
    mime: str
    data: bytes


#: Endings and types of the files, by the names that the page knows.
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


def make(result: Result, form: str) -> ExportFile:
    """Make a file of a result, in one of `FORMATS`."""
    if form not in FORMATS:
        raise Error(f"Unknown format {form[:40]!r}.", hint=f"Choose one of {', '.join(FORMATS)}.")
    ending, mime = FORMATS[form]
    stem = re.sub(r"[^\w-]+", "-", Path(result.picture.name or "picture").stem).strip("-") or "picture"
    return ExportFile(f"{stem}-answer{ending}", mime, _data(result, form))


def _data(result: Result, form: str) -> bytes:
    if form == "coco":
        return json.dumps(result.to_coco(), ensure_ascii=False, indent=1).encode("utf-8", "backslashreplace")
    if form == "python":
        return python_code(result).encode("utf-8", "backslashreplace")
    if form == "curl":
        return result.to_curl().encode("utf-8", "backslashreplace")
    return export_file(result, FORMATS[form][0])


def python_code(result: Result) -> str:
    """Write Python that asks the same again; the picture is named rather than brought along.

    A sample is named by its number; a file of the working directory by its name; any other picture is the
    panel's.
    """
    index = sample_number(result.picture)
    marker = "the sample"
    if index is None:
        written = result.to_python()
        if "nbvlm.Picture.load(" not in written:
            return written
        own = "picture = panel.image  # of panel = nbvlm.Panel(); or write the path of the picture"
        return result.to_python(image=marker).replace(f'picture = "{marker}"', own, 1)
    written = result.to_python(image=marker)
    written = written.replace("import nbvlm\n", "import nbvlm\nfrom nbvlm.demo.gallery import GALLERY\n", 1)
    return written.replace(f'picture = "{marker}"', f"picture = GALLERY[{index}]", 1)


class ExportMenu(OfferingWidget):
    """Offers an answer as files and as code.

    No file is made before it is asked for, and none is in a synced trait: a file travels in pieces to the
    page that asked.

    Parameters
    ----------
    on_error
        Called with an error that prevented a file.
    offer
        Whether exports are offered; None takes the host's default.
    """

    _esm = script("export_menu", "export_menu")

    messages = MappingProxyType({"make": Message(format=text, id=either(text, whole))})
    needs = MappingProxyType({"make": "exports"})

    def __init__(self, on_error: Callable[[Exception], None], offer: Offer | None = None) -> None:
        self._result: Result | None = None
        self._on_error = on_error
        super().__init__(offer=offer, on_refused=on_error)

    def offer(self, result: Result | None) -> None:
        """Offer an answer, or none."""
        with self._lock:
            if result is not self._result:
                self._result = result
                self.send_all()

    def take(self, message: Mapping[str, Any], _buffers: Sequence[Any]) -> None:
        """Take the wish for a file."""
        if message["format"] not in FORMATS:
            raise Ignored("its format is not known")
        Task(self._deliver(message["format"], message["id"]))

    def send_all(self) -> None:
        """Send whether there is an answer to export, to a page that opens."""
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
            raise Error("There is no answer to export.", hint="Press Run first.")
        return self._result


def pieces(made: ExportFile, key: Any) -> Iterator[tuple[dict[str, Any], list[bytes]]]:
    """Cut a file into messages."""
    starts = range(0, max(1, len(made.data)), CHUNK)
    head = {"type": "file", "id": key, "name": made.name, "mime": made.mime, "pieces": len(starts)}
    yield head, []
    for at in starts:
        yield {"type": "piece", "id": key}, [made.data[at : at + CHUNK]]
