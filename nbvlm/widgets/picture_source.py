"""The source of the picture: samples, files, addresses and paths; and the facts about the chosen one."""

from __future__ import annotations

import asyncio
import functools
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbvlm._background import Task, in_thread
from nbvlm.errors import ImageError, ParameterError
from nbvlm.images import Picture, folder_at, path_completions, pictures_in, resolved_path, shown_path
from nbvlm.widgets.messages import Ignored
from nbvlm.widgets.offers import NotOffered, is_address
from nbvlm.widgets.picker import LIMIT, PickerPage
from nbvlm.widgets.series_bar import SeriesBar
from nbvlm.widgets.status_text import is_route_known, picture_text, route_text, routes_of
from nbvlm.widgets.thumbnails import sample_picture, sample_thumbnails, scenes, small_picture

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbvlm.endpoints import Endpoint
    from nbvlm.widgets.messages import Action, Handler
    from nbvlm.widgets.offers import Offer
    from nbvlm.widgets.picker import Upload

__all__ = ["PictureSource", "Series"]

MOST = 1000  # pictures of a folder that are shown
_SIDE = 96  # pixels of the chosen picture's thumbnail: twice the size at which it is drawn


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Several pictures: the files of a folder, or those that were dropped or uploaded together."""

    title: str
    sources: tuple[Path | Upload, ...]
    group: str = ""  # by which the page names files that it sends together

    @property
    def names(self) -> list[str]:
        """The names of the files, without folders."""
        return [source.name for source in self.sources]

    @property
    def nbytes(self) -> int:
        """Bytes that are held in memory."""
        return sum(len(source.data) for source in self.sources if not isinstance(source, Path))


class PictureSource:
    """The chosen picture, its route, and the picker that chooses it; methods may be called from any thread.

    `on_picture` takes a picture that is chosen here and its number in the gallery or None; `on_fields` the
    values of a page's fields, before the choice that came with them. `handler` makes of actions, by the type
    of their messages, the function that takes a message of the page. `on_route` is called when the route has
    changed. `series` holds several pictures to choose from, None for none; where `all_actions` are given, the
    bar that shows them offers questions about all: they take its messages "ask-all", "stop-all" and "cell".
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        handler: Handler,
        on_picture: Callable[[Picture | None, int | None], None],
        on_fields: Callable[[Mapping[str, Any]], None],
        on_route: Callable[[], None],
        on_error: Callable[[Exception], None],
        offer: Offer,
        page: type[PickerPage] = PickerPage,
        bar: type[SeriesBar] = SeriesBar,
        all_actions: Mapping[str, Action] | None = None,
    ) -> None:
        self._endpoint, self._on_route = endpoint, on_route
        self._on_picture, self._on_fields, self._on_error = on_picture, on_fields, on_error
        self._lock = threading.RLock()
        self._task: Task[None] | None = None
        self._turn = 0
        self._picture: Picture | None = None
        self._index: int | None = None
        self._thumbnail: list[bytes] = []
        self._place: tuple[Any, str] | None = None  # an address that was refused as a private one
        self.series: Series | None = None
        # The number of the picture of the series that was chosen last, and the picture once it is read.
        self._member: tuple[int, Picture | None] | None = None
        self.route = "auto"
        actions: dict[str, Action] = {
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
        self.bar = bar(
            handler(
                {
                    "pick": lambda message: self.pick(message["index"]),
                    "leave": lambda _message: self.leave_series(),
                    **(all_actions or {}),
                }
            ),
            has_all=all_actions is not None,
            offer=offer,
            on_refused=on_error,
        )

    # The choice

    def _choose(self, message: Mapping[str, Any]) -> None:
        if message["index"] >= len(scenes()):
            raise Ignored("there is no such sample")
        self._on_fields(message.get("fields") or {})
        self.choose(message["index"])

    def choose(self, index: int) -> None:
        """Choose a sample; an `IndexError` if there is no such one."""
        if not 0 <= index < len(scenes()):
            raise IndexError(f"There is no sample {index}: there are {len(scenes())}, numbered from 0.")
        self.cancel()
        self.leave_series()
        self._on_picture(sample_picture(scenes()[index]), index)

    def receive(self, upload: Upload) -> None:
        """Read an uploaded file, and choose it if it is a picture; of several, the first is chosen."""
        if not upload.group:
            self.leave_series()
            self._read(upload.data, upload.name, upload.name)
            return
        with self._lock:
            before = self.series
            goes_on = before is not None and before.group == upload.group
            held = before if goes_on and before is not None else Series("", (), upload.group)
            if held.nbytes + len(upload.data) > LIMIT:
                raise ImageError(
                    f"The files have more than {LIMIT // 2**20} MiB together; "
                    f"the first {len(held.sources)} were taken.",
                    hint="Put them into a folder where the kernel runs, and open its path.",
                )
            sources = (*held.sources, upload)
            self.series = Series(f"{len(sources)} files", sources, upload.group)
            if not goes_on:
                self._member = None
        self._send_series()
        if not goes_on:
            self.pick(0)

    def open(self, place: str) -> None:
        """Fetch an address, or read a path on this machine, and choose it; of a folder, the first picture."""
        within = None if is_address(place) else self.picker.allowed.folder
        if (folder := None if is_address(place) else folder_at(place, within)) is not None:
            self._begin(folder.name or str(folder), functools.partial(self._load_folder, folder, within))
            return
        source = resolved_path(place, within)
        self.leave_series()
        self._read(source, None, shown_path(place))

    def open_private(self) -> None:
        """Fetch the address that was refused because it leads to a private network."""
        if not self.picker.allowed.private:
            raise NotOffered("link")
        if self._place is not None:
            source, shown = self._place
            self._read(source, None, shown, allow_private=True)

    def pick(self, index: int) -> None:
        """Choose a picture of the series by its number, from 0."""
        with self._lock:
            series = self.series
            if series is None or index >= len(series.sources):
                raise Ignored("there is no such picture")
            source = series.sources[index]
            self._member = index, None
        self._send_series()
        data, name = (source, None) if isinstance(source, Path) else (source.data, source.name)
        self._read(data, name, source.name, member=index)

    def leave_series(self) -> None:
        """Show the pictures of a folder no longer; the chosen one stays."""
        with self._lock:
            had, self.series, self._member = self.series is not None, None, None
        if had:
            self._send_series()

    def _read(
        self,
        source: Any,
        name: str | None,
        shown: str,
        *,
        member: int | None = None,
        allow_private: bool = False,
    ) -> None:
        self._place = (source, shown) if isinstance(source, str) else None
        load = functools.partial(Picture.load, source, name=name, allow_private=allow_private)
        self._begin(shown, functools.partial(self._load, load, member))

    def _begin(self, shown: str, load: Callable[[int], Any]) -> None:
        with self._lock:
            self.cancel()
            self.picker.opening(shown)
            self._task = Task(self._guarded(load, self._turn))

    async def _guarded(self, load: Callable[[int], Any], turn: int) -> None:
        try:
            await load(turn)
        except Exception as error:  # noqa: BLE001 - shown on the error card
            self._on_error(error)
        finally:
            if turn == self._turn:
                self.picker.opening("")

    async def _load(self, load: Callable[[], Picture], member: int | None, turn: int) -> None:
        picture = await in_thread(load)
        if turn == self._turn:
            if member is not None:
                self._member = member, picture
            await asyncio.to_thread(self._on_picture, picture, None)

    async def _load_folder(self, folder: Path, within: Path | None, turn: int) -> None:
        found = await in_thread(pictures_in, folder, within)
        if turn != self._turn:
            return
        more = f" (the first {MOST:,} of {len(found):,})" if len(found) > MOST else ""
        with self._lock:
            self.series = Series(f"{folder.name or folder}{more}", tuple(found[:MOST]))
            self._member = 0, None
        self._send_series()
        await self._load(functools.partial(Picture.load, found[0]), 0, turn)

    def number_of(self, picture: Picture) -> int | None:
        """Return the number in the series of the picture that was chosen from it last; None for any other."""
        member = self._member
        return member[0] if member is not None and member[1] is picture else None

    def _send_series(self) -> None:
        with self._lock:
            series = self.series
            if series is None:
                self.bar.put("", [], None)
            else:
                number, picture = self._member or (None, None)
                is_other = picture is not None and picture is not self._picture
                self.bar.put(series.title, series.names, None if is_other else number)

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
        self.leave_series()
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
        if self.series is not None:
            self._send_series()

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
