"""The picker: samples, files, camera, addresses and paths; and the chosen picture with its route."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget

from nbvlm.panel.page import script
from nbvlm.panel.upload import Inbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbvlm.panel.upload import Upload

__all__ = ["Picker"]

_HERE = Path(__file__).parent
_FILES = frozenset({"begin", "chunk", "end", "cancel"})


class Picker(anywidget.AnyWidget):  # type: ignore[misc] # the base class has no types
    """Chooses a picture.

    It knows no pictures: it tells its owner what was chosen, typed or has arrived, and shows what it is told.
    Nothing of that is in a synced trait.

    Parameters
    ----------
    on_message
        Called with each message of the page but those of a file under way; `type` is "hello" (a page opens
        and knows nothing yet), "choose" (`index` of a sample), "open" (`place`: an address or a path),
        "complete" (`text` of a path), "cancel-open", "route" (`route`) or "reset".
    on_upload
        Called with a file that has arrived whole.
    on_error
        Called with what went wrong on the way.
    """

    _esm = script("picker")
    _css = _HERE / "picker.css"

    def __init__(
        self,
        *,
        on_message: Callable[[Mapping[str, Any]], None],
        on_upload: Callable[[Upload], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        self._inbox = Inbox()
        self._on_message, self._on_upload, self._on_error = on_message, on_upload, on_error
        super().__init__()
        self.add_class("nbvlm-picker")
        self.on_msg(Picker.take)

    def gallery(self, titles: Sequence[str], thumbnails: Sequence[bytes], mime: str = "image/png") -> None:
        """Show the samples, in order."""
        self.send({"type": "gallery", "titles": list(titles), "mime": mime}, buffers=list(thumbnails))

    def chosen(
        self,
        name: str,
        detail: str,
        index: int | None,
        *,
        way: str = "",
        route: str = "auto",
        routes: Sequence[str] = (),
        thumbnail: Sequence[bytes] = (),
    ) -> None:
        """Show which picture is chosen.

        Parameters
        ----------
        name, detail
            Its name, and its size in words.
        index
            Its number if it is a sample.
        way
            How it will travel, in words.
        route, routes
            The chosen route, and all that can be chosen.
        thumbnail
            A small PNG of it, or nothing.
        """
        facts = {"name": name, "detail": detail, "index": index, "way": way, "route": route}
        message = {"type": "chosen", **facts, "routes": list(routes), "mime": "image/png"}
        self.send(message, buffers=list(thumbnail))

    def opening(self, name: str) -> None:
        """Show what is being read or fetched; "" for nothing."""
        self.send({"type": "opening", "name": name})

    def take(self, message: Mapping[str, Any], buffers: Sequence[memoryview]) -> None:
        """Take one message of the page; whatever goes wrong is told to the owner."""
        try:
            if message["type"] in _FILES:
                self._take_file(message, buffers)
            else:
                self._on_message(message)
        except Exception as error:  # noqa: BLE001 - ipywidgets would swallow it
            self._on_error(error)

    def _take_file(self, message: Mapping[str, Any], buffers: Sequence[memoryview]) -> None:
        try:
            reply, upload = self._inbox.take(message, buffers)
        except Exception:
            self.send({"type": "refused", "id": message.get("id")})
            raise
        if reply is not None:
            self.send(reply)
        if upload is not None:
            self._on_upload(upload)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"
