"""The picker: sample scenes with thumbnails, a file button, and the name and size of the chosen picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget

from nbvlm.panel.upload import Inbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbvlm.panel.order import Order
    from nbvlm.panel.upload import Upload

__all__ = ["Picker"]

_HERE = Path(__file__).parent


class Picker(anywidget.AnyWidget):  # type: ignore[misc] # the base class has no types
    """Chooses a picture.

    It knows no pictures: it asks its owner for thumbnails, and tells it what was chosen or has arrived.
    Nothing of that is in a synced trait.

    Parameters
    ----------
    order
        Brings what a person did into its order.
    on_hello
        Called when a page opens and knows nothing yet; answers by `gallery` and `chosen`.
    on_choose
        Called with the number of the sample that was clicked.
    on_upload
        Called with a file that has arrived whole.
    on_error
        Called with what went wrong on the way.
    """

    _esm = _HERE / "picker.js"
    _css = _HERE / "picker.css"

    def __init__(
        self,
        *,
        order: Order,
        on_hello: Callable[[], None],
        on_choose: Callable[[int], None],
        on_upload: Callable[[Upload], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        self._inbox, self._order = Inbox(), order
        self._on_hello, self._on_choose = on_hello, on_choose
        self._on_upload, self._on_error = on_upload, on_error
        super().__init__()
        self.add_class("nbvlm-picker")
        self.on_msg(Picker.take)

    def gallery(self, titles: Sequence[str], thumbnails: Sequence[bytes], mime: str = "image/png") -> None:
        """Show the samples, in order."""
        self.send({"type": "gallery", "titles": list(titles), "mime": mime}, buffers=list(thumbnails))

    def chosen(self, name: str, detail: str, index: int | None) -> None:
        """Show which picture is chosen: its name, its size, and its number if it is a sample."""
        self.send({"type": "chosen", "name": name, "detail": detail, "index": index})

    def take(self, message: Mapping[str, Any], buffers: Sequence[memoryview]) -> None:
        """Take one message of the page; whatever goes wrong is told to the owner."""
        try:
            if message["type"] == "hello":
                self._on_hello()
            elif message["type"] == "choose":
                self._order.take(message, lambda: self._choose(message))
            else:
                self._take_file(message, buffers)
        except Exception as error:  # noqa: BLE001 - ipywidgets would swallow it
            self._on_error(error)

    def _choose(self, message: Mapping[str, Any]) -> None:
        try:
            self._on_choose(int(message["index"]))
        except Exception as error:  # noqa: BLE001 - a message that waited ends in another thread
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
