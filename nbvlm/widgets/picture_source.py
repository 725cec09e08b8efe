"""The source of the picture: samples, files, addresses and paths; and the facts about the chosen one."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from nbvlm._background import Task, in_thread
from nbvlm.errors import ImageError, ParameterError
from nbvlm.images import Picture, path_completions, resolved_path, shown_path
from nbvlm.widgets.messages import Ignored
from nbvlm.widgets.offers import is_address
from nbvlm.widgets.picker import PickerPage
from nbvlm.widgets.status_text import is_route_known, picture_text, route_text, routes_of
from nbvlm.widgets.thumbnails import sample_picture, sample_thumbnails, scenes, small_picture

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbvlm.endpoints import Endpoint
    from nbvlm.widgets.offers import Offer
    from nbvlm.widgets.picker import Upload

    Actions = Mapping[str, Callable[[Mapping[str, Any]], Any]]

__all__ = ["PictureSource"]

_SIDE = 96  # pixels of the chosen picture's thumbnail: twice the size at which it is drawn


class PictureSource:
    """The chosen picture, its route, and the picker that chooses it; methods may be called from any thread.

    `on_picture` takes a picture that is chosen here and its number in the gallery or None; `on_fields` the
    values of a page's fields, before the choice that came with them. `handler` makes of actions, by the type
    of their messages, the function that takes a message of the page. `on_route` is called when the route has
    changed.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        handler: Callable[[Actions], Callable[[Mapping[str, Any]], Any]],
        on_picture: Callable[[Picture | None, int | None], None],
        on_fields: Callable[[Mapping[str, Any]], None],
        on_route: Callable[[], None],
        on_error: Callable[[Exception], None],
        offer: Offer,
        page: type[PickerPage] = PickerPage,
    ) -> None:
        self._endpoint, self._on_route = endpoint, on_route
        self._on_picture, self._on_fields, self._on_error = on_picture, on_fields, on_error
        self._lock = threading.RLock()
        self._task: Task[None] | None = None
        self._turn = 0
        self._picture: Picture | None = None
        self._index: int | None = None
        self._thumbnail: list[bytes] = []
        self.route = "auto"
        actions: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "hello": lambda _message: Task(self._send_gallery()),
            "choose": self._choose,
            "open": lambda message: self.open(message["place"]),
            "complete": lambda message: Task(self._complete(message["text"])),
            "cancel-open": lambda _message: self.cancel(),
            "route": self._take_route,
            "reset": lambda _message: self.reset(),
        }
        self.picker = page(
            on_message=handler(actions), on_upload=self.receive, on_error=on_error, offer=offer
        )

    # The choice

    def _choose(self, message: Mapping[str, Any]) -> None:
        if message["index"] >= len(scenes()):
            raise Ignored("there is no such sample")
        self._on_fields(message.get("fields") or {})
        self.choose(message["index"])

    def choose(self, index: int) -> None:
        """Choose a sample."""
        self.cancel()
        self._on_picture(sample_picture(scenes()[index]), index)

    def receive(self, upload: Upload) -> None:
        """Read an uploaded file, and choose it if it is a picture."""
        self._read(upload.data, upload.name, upload.name)

    def open(self, place: str) -> None:
        """Fetch an address, or read a path on this machine, and choose the picture."""
        folder = None if is_address(place) else self.picker.allowed.folder
        self._read(resolved_path(place, folder), None, shown_path(place))

    def _read(self, source: Any, name: str | None, shown: str) -> None:
        with self._lock:
            self.cancel()
            self.picker.opening(shown)
            self._task = Task(self._load(source, name, self._turn))

    async def _load(self, source: Any, name: str | None, turn: int) -> None:
        try:
            picture = await in_thread(Picture.load, source, name=name)
            if turn == self._turn:
                await asyncio.to_thread(self._on_picture, picture, None)
        except Exception as error:  # noqa: BLE001 - shown on the error card
            self._on_error(error)
        finally:
            if turn == self._turn:
                self.picker.opening("")

    def cancel(self) -> None:
        """Stop reading or fetching; the chosen picture stays."""
        with self._lock:
            self._turn += 1
            task, self._task = self._task, None
        if task is not None and not task.done:
            task.cancel()
            self.picker.opening("")

    def reset(self) -> None:
        """Choose no picture, and the automatic route."""
        self.cancel()
        self.route = "auto"
        self._on_picture(None, None)

    async def _complete(self, text: str) -> None:
        found = await asyncio.to_thread(path_completions, text, self.picker.allowed.folder)
        self.picker.completions(text, found)

    # The chosen picture

    def chosen(self, picture: Picture | None, index: int | None, preview: bytes | None) -> None:
        """Show on the page which picture is chosen; `preview` is a file of it that is quickly read."""
        with self._lock:
            self._picture, self._index = picture, index
            self._thumbnail = [] if preview is None else [small_picture(preview, _SIDE)]
        self.send()

    def serve(self, endpoint: Endpoint) -> None:
        """Fit the route to another endpoint, with other limits."""
        self._endpoint = endpoint
        if self.route not in routes_of(endpoint):
            self.route = "auto"
        self.send()

    def _take_route(self, message: Mapping[str, Any]) -> None:
        if message["route"] not in routes_of(self._endpoint):
            raise Ignored("this model has no such route")
        self.take_route(message["route"])

    def take_route(self, route: str) -> None:
        """Choose the route of the picture."""
        offered = routes_of(self._endpoint)
        if route not in offered:
            names = ", ".join(map(repr, offered))
            raise ParameterError(f"route must be one of {names} for this model, got {route!r}.")
        self.route = route
        self._on_route()
        self.send()

    def send(self) -> None:
        """Send the page the facts about the chosen picture; the slow ones follow a little later."""
        picture = self._picture
        if picture is None or is_route_known(picture, self._endpoint, self.route):
            self._send("" if picture is None else route_text(picture, self._endpoint, self.route))
            return
        self._send("…")
        Task(self._send_route(picture))

    async def _send_route(self, picture: Picture) -> None:
        endpoint, route = self._endpoint, self.route
        try:
            text = await asyncio.to_thread(route_text, picture, endpoint, route)
        except ImageError as error:
            text = error.message
        if (self._picture, self._endpoint, self.route) == (picture, endpoint, route):
            self._send(text)

    def _send(self, way: str) -> None:
        with self._lock:
            picture = self._picture
            self.picker.chosen(
                "No picture chosen" if picture is None else picture.name or "picture",
                "" if picture is None else picture_text(picture),
                self._index,
                way=way,
                route=self.route,
                routes=routes_of(self._endpoint),
                thumbnail=self._thumbnail,
            )

    async def _send_gallery(self) -> None:
        try:
            thumbnails = await asyncio.to_thread(sample_thumbnails)
            self.picker.gallery([scene.title for scene in scenes()], thumbnails)
            self.send()
        except Exception as error:  # noqa: BLE001 - shown on the error card
            self._on_error(error)
