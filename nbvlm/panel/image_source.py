"""Where the picture comes from: samples, files, addresses and paths, and what is told of the chosen one."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from nbvlm._background import Task
from nbvlm.errors import ImageError
from nbvlm.images import Picture, path_completions, resolved_path, shown_path
from nbvlm.widgets import (
    Picker,
    offered_text,
    picture_of,
    quick_text,
    route_text,
    sample_thumbnails,
    scenes,
    small_picture,
    status_line,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbvlm.endpoints import Endpoint
    from nbvlm.panel.messages import Order
    from nbvlm.widgets import Upload

__all__ = ["Source"]

_SHEET = 96  # pixels of the chosen picture's thumbnail: twice the size at which it is drawn


class Source:
    """The chosen picture, its route, and the picker that chooses it.

    Methods may be called from any thread.

    Parameters
    ----------
    endpoint
        What will be asked.
    order
        In which the messages of a page are taken.
    show
        Called with each picture that was chosen here, and its number in the gallery or None.
    fields
        Called with what a page says its fields hold, before the choice that came with it.
    complain
        Called with what went wrong.

    Attributes
    ----------
    picker
        The widget.
    route
        "auto", "inline" or "asset".
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        order: Order,
        show: Callable[[Picture | None, int | None], None],
        fields: Callable[[Mapping[str, Any]], None],
        complain: Callable[[Exception], None],
    ) -> None:
        self._endpoint, self._order = endpoint, order
        self._show, self._fields, self._complain = show, fields, complain
        self._lock = threading.RLock()
        self._job: Task[None] | None = None
        self._turn = 0
        self._picture: Picture | None = None
        self._index: int | None = None
        self._thumbnail: list[bytes] = []
        self.route = "auto"
        self._actions: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "hello": lambda _message: Task(self._greet()),
            "choose": self._choose,
            "open": lambda message: self.open(str(message["place"])),
            "complete": lambda message: Task(self._complete(str(message["text"]))),
            "cancel-open": lambda _message: self.cancel(),
            "route": lambda message: self.take_route(str(message["route"])),
            "reset": lambda _message: self.reset(),
        }
        self.picker = Picker(on_message=self.take, on_upload=self.receive, on_error=complain)

    def take(self, message: Mapping[str, Any]) -> None:
        """Take a message of the picker, in the order in which the page sent it."""
        self._order.take(message, lambda: self._do(message))

    def _do(self, message: Mapping[str, Any]) -> None:
        try:
            self._actions[message["type"]](message)
        except Exception as error:  # noqa: BLE001 - shown where the user looks
            self._complain(error)

    # Where pictures come from

    def _choose(self, message: Mapping[str, Any]) -> None:
        self._fields(message.get("fields") or {})
        self.choose(int(message["index"]))

    def choose(self, index: int) -> None:
        """Choose a sample."""
        self.cancel()
        self._show(picture_of(scenes()[index]), index)

    def receive(self, upload: Upload) -> None:
        """Read a file that has arrived, and choose it if it is a picture."""
        self._read(upload.data, upload.name, upload.name)

    def open(self, place: str) -> None:
        """Fetch an address, or read a path on this machine, and choose the picture."""
        self._read(resolved_path(place), None, shown_path(place))

    def _read(self, source: Any, name: str | None, shown: str) -> None:
        with self._lock:
            self.cancel()
            self.picker.opening(shown)
            self._job = Task(self._load(source, name, self._turn))

    async def _load(self, source: Any, name: str | None, turn: int) -> None:
        try:
            picture = await asyncio.to_thread(Picture.load, source, name=name)
            if turn == self._turn:
                await asyncio.to_thread(self._show, picture, None)
        except Exception as error:  # noqa: BLE001 - shown where the user looks
            self._complain(error)
        finally:
            if turn == self._turn:
                self.picker.opening("")

    def cancel(self) -> None:
        """Give up what is being read or fetched; the chosen picture stays."""
        with self._lock:
            self._turn += 1
            job, self._job = self._job, None
        if job is not None and not job.done:
            job.cancel()
            self.picker.opening("")

    def reset(self) -> None:
        """Choose no picture, and the automatic route."""
        self.cancel()
        self.route = "auto"
        self._show(None, None)

    async def _complete(self, text: str) -> None:
        found = await asyncio.to_thread(path_completions, text)
        self.picker.send({"type": "completions", "text": text, "places": found})

    # What is told of the chosen one

    def chosen(self, picture: Picture | None, index: int | None, preview: bytes | None) -> None:
        """Tell the page which picture is chosen.

        Parameters
        ----------
        picture
            The picture, or None.
        index
            Its number in the gallery, if it is from there.
        preview
            A file of it that is quickly read.
        """
        with self._lock:
            self._picture, self._index = picture, index
            self._thumbnail = [] if preview is None else [small_picture(preview, _SHEET)]
        self.tell()

    def serve(self, endpoint: Endpoint) -> None:
        """Tell of another endpoint, with other limits."""
        self._endpoint = endpoint
        if self.route not in offered_text(endpoint):
            self.route = "auto"
        self.tell()

    def take_route(self, route: str) -> None:
        """Choose the way of the picture."""
        if route not in offered_text(self._endpoint):
            raise ImageError(f"This model knows no route {route!r}.", hint="Leave it to auto.")
        self.route = route
        self.tell()

    def tell(self) -> None:
        """Send the page all about the chosen picture; what takes time to know comes a little later."""
        picture = self._picture
        if picture is None or quick_text(picture, self._endpoint, self.route):
            self._send(picture, "" if picture is None else route_text(picture, self._endpoint, self.route))
            return
        self._send(picture, "…")
        Task(self._tell_way(picture))

    async def _tell_way(self, picture: Picture) -> None:
        endpoint, route = self._endpoint, self.route
        try:
            words = await asyncio.to_thread(route_text, picture, endpoint, route)
        except ImageError as error:
            words = error.message
        if (self._picture, self._endpoint, self.route) == (picture, endpoint, route):
            self._send(picture, words)

    def _send(self, picture: Picture | None, way: str) -> None:
        with self._lock:
            self.picker.chosen(
                "No picture chosen" if picture is None else picture.name or "picture",
                "" if picture is None else status_line(picture),
                self._index,
                way=way,
                route=self.route,
                routes=offered_text(self._endpoint),
                thumbnail=self._thumbnail,
            )

    async def _greet(self) -> None:
        try:
            thumbnails: Sequence[bytes] = await asyncio.to_thread(sample_thumbnails)
            self.picker.gallery([scene.title for scene in scenes()], thumbnails)
            self.tell()
        except Exception as error:  # noqa: BLE001 - shown where the user looks
            self._complain(error)
