"""The choice of a picture as a part of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from nbvlm import endpoints
from nbvlm.widgets._base import guarded
from nbvlm.widgets._life import weakly
from nbvlm.widgets._part import PartBox
from nbvlm.widgets._values import EndpointTrait
from nbvlm.widgets.esm import script
from nbvlm.widgets.failure import ErrorCard
from nbvlm.widgets.offers import Offer
from nbvlm.widgets.picker import PickerPage
from nbvlm.widgets.picture_source import PictureSource, Series
from nbvlm.widgets.series_bar import SeriesBar
from nbvlm.widgets.thumbnails import preview, sample_number, scenes
from nbvlm.widgets.viewer import PictureTrait

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from nbvlm.images import ImageSource, Picture
    from nbvlm.widgets.messages import Action, Handler
    from nbvlm.widgets.offers import Allow

__all__ = ["Picker"]


class _OwnPage(PickerPage):
    _esm = script("picker", "colors", "scheme", "theme", "place", "form", "picker", "own")


class _OwnBar(SeriesBar):
    _esm = script("series_bar", "colors", "scheme", "theme", "place", "form", "series_bar", "own")


class Picker(PartBox):
    """Choose a picture: a sample, an upload, the camera, an address or a path.

    Of a folder, or of several files that were dropped, the first is chosen, and buttons choose the next ones.

    Each trait below can be given by name, observed and linked. A picture that cannot be read leaves the
    chosen one as it is; the error is shown below the ways to a picture, and is in `error`.

    Parameters
    ----------
    image
        Anything that `Picture.load` takes; None chooses nothing yet.
    allow
        What is offered: names among "samples", "upload", "camera", "link" and "path"; None takes the default
        of the host, as `Panel` does.
    paths
        A folder that paths cannot leave; None offers the whole disk where paths are offered.
    on_picture
        Called with each picture that a person chooses, or None, and the number of the sample or None; in
        place of choosing it here. `put` then shows it as the chosen one.
    on_error
        Called with the error of a choice, in place of showing it here.
    **options
        `offer` in place of `allow` and `paths`; `handler` makes of actions, by the types of messages, the
        function that takes a message of the page; `on_fields` takes the values of fields that come with it;
        `all_actions` take the messages "ask-all", "stop-all" and "cell" about all pictures of a folder.

    Attributes
    ----------
    image : Picture or None
        The chosen picture; takes anything that `Picture.load` takes. Default: None.
        ``picker.image = "photo.jpg"``
    value : Picture or None
        The same, under the name that widgets of ipywidgets have for it.
        ``picker.observe(lambda change: print(change.new), "value")``
    sample : str
        The prompt of the chosen sample; "" where the picture is not a sample. Default: "". Read-only.
        ``picker.sample``
    route : str
        How the picture will travel: "auto", "inline" or "asset", as far as the model offers it. Default:
        "auto". ``picker.route = "inline"``
    endpoint : Endpoint
        The model, which decides the routes; takes its name. Default: the embedded model.
        ``picker.endpoint = "nvidia"``
    error : Exception or None
        Why the last choice failed; None once another one is made. Default: None. Read-only. ``picker.error``

    Raises
    ------
    ImageError
        For a picture that cannot be read.
    ParameterError
        For a route that the model does not offer.

    Examples
    --------
    >>> import nbvlm  # doctest: +SKIP
    >>> picker = nbvlm.widgets.Picker("photo.jpg")  # doctest: +SKIP
    >>> picker.image.size  # doctest: +SKIP
    (640, 480)
    """

    image = PictureTrait(default_value=None, allow_none=True)
    value = PictureTrait(default_value=None, allow_none=True)
    sample = traitlets.Unicode("", read_only=True)
    route = traitlets.Unicode("auto")
    endpoint = EndpointTrait()
    error = traitlets.Instance(BaseException, allow_none=True, read_only=True)

    def __init__(
        self,
        image: ImageSource | None = None,
        *,
        allow: Allow = None,
        paths: str | os.PathLike[str] | None = None,
        on_picture: Callable[[Picture | None, int | None], Any] | None = None,
        on_error: Callable[[Exception], Any] | None = None,
        offer: Offer | None = None,
        handler: Handler | None = None,
        on_fields: Callable[[Mapping[str, Any]], Any] | None = None,
        all_actions: Mapping[str, Action] | None = None,
        bare: bool = False,
        **traits: Any,
    ) -> None:
        given = Offer.of(allow, paths) if offer is None else offer
        self._card = ErrorCard() if on_error is None else None
        self._on_picture, self._on_error = on_picture, on_error
        self._source = PictureSource(
            endpoints.get("demo"),
            handler=guarded("Picker", weakly(self._fail)) if handler is None else handler,
            on_picture=weakly(self._chosen),
            on_fields=_nothing if on_fields is None else on_fields,
            on_route=weakly(self._routed),
            on_error=weakly(self._fail),
            offer=given,
            page=PickerPage if bare else _OwnPage,
            bar=SeriesBar if bare else _OwnBar,
            all_actions=all_actions,
        )
        if self._card is not None and given.private:
            self._card.actions = {"private": weakly(self.open_private)}
        self._page, self.bar = self._source.picker, self._source.bar
        self._inside = False
        super().__init__([self._page, self.bar, *filter(None, [self._card])], bare=bare, **traits)
        try:
            if image is not None:
                self.image = image
        except BaseException:
            self.close()
            raise

    def choose(self, index: int) -> None:
        """Choose a sample by its number in `nbvlm.demo.gallery.GALLERY`, from 0 on.

        Raises
        ------
        IndexError
            If there is no such sample.
        """
        self._source.choose(index)

    def open_private(self) -> None:
        """Fetch the address that was refused because it leads to a private network."""
        self._source.open_private()

    @property
    def series(self) -> Series | None:
        """The pictures of a folder, or those that were dropped together, to choose from; None for none."""
        return self._source.series

    def number_of(self, picture: Picture) -> int | None:
        """Return the number in the series of the picture that was chosen from it; None for any other."""
        return self._source.number_of(picture)

    def _chosen(self, picture: Picture | None, index: int | None) -> None:
        if self._on_picture is None:
            self.put(picture, index)
        else:
            self._on_picture(picture, index)

    def put(self, picture: Picture | None, index: int | None = None, small: bytes | None = None) -> None:
        """Show which picture is chosen.

        Parameters
        ----------
        picture
            The picture, or None.
        index
            Its number in the gallery; None looks whether it is from there.
        small
            A file of it that is quickly read; None makes one.
        """
        index = sample_number(picture) if index is None else index
        data = small if picture is None or small is not None else preview(picture)[1]
        self._inside = True
        try:
            self.image = picture
        finally:
            self._inside = False
        self._source.chosen(picture, index, data)
        self.set_trait("error", None)
        if self._card is not None:
            self._card.clear()
        self.set_trait("sample", "" if index is None else scenes()[index].prompt)
        self.route = self._source.route
        self.value = picture

    def cancel(self) -> None:
        """Stop reading or fetching a picture; the chosen one stays."""
        self._source.cancel()

    @property
    def allowed(self) -> Offer:
        """What is offered."""
        return self._page.allowed

    @allowed.setter
    def allowed(self, offer: Offer) -> None:
        self._page.allowed = self.bar.allowed = offer

    def take_route(self, route: str) -> None:
        """Choose the route; a `ParameterError` for one that the model does not offer."""
        self._source.take_route(route)

    def _routed(self) -> None:
        self.route = self._source.route

    def _fail(self, error: Exception) -> None:
        self.set_trait("error", error)
        if self._on_error is not None:
            self._on_error(error)
        elif self._card is not None:
            self._card.error = error

    @traitlets.validate("route")  # type: ignore[untyped-decorator]
    def _check_route(self, proposal: Any) -> str:
        if proposal["value"] != self._source.route:
            self._source.take_route(proposal["value"])
        return str(proposal["value"])

    @traitlets.observe("endpoint")  # type: ignore[untyped-decorator]
    def _endpoint_changed(self, change: Any) -> None:
        self._source.serve(change["new"])
        self.route = self._source.route

    @traitlets.observe("image")  # type: ignore[untyped-decorator]
    def _image_changed(self, change: Any) -> None:
        if not self._inside:  # another one is given: what is being read is not wanted any more
            self._source.cancel()
            self.put(change["new"])

    @traitlets.observe("value")  # type: ignore[untyped-decorator]
    def _value_changed(self, change: Any) -> None:
        self.image = change["new"]

    def close(self) -> None:
        """Stop reading, take the part off the page, and end it; again, nothing happens."""
        if "_source" in self.__dict__:
            self._source.cancel()
        self._on_picture = self._on_error = None
        super().close()


def _nothing(_fields: Any) -> None:
    """Take no fields: a picker alone has none."""
