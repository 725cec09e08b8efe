"""The choice of a picture as a part of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from nbvlm import endpoints
from nbvlm.widgets._base import ignored
from nbvlm.widgets._part import PartBox, weakly
from nbvlm.widgets._values import EndpointTrait
from nbvlm.widgets.esm import style
from nbvlm.widgets.failure import ErrorCard
from nbvlm.widgets.messages import Ignored
from nbvlm.widgets.offers import Offer
from nbvlm.widgets.picker import PickerPage
from nbvlm.widgets.picture_source import PictureSource
from nbvlm.widgets.picture_viewer import PictureTrait
from nbvlm.widgets.series_bar import SeriesBar
from nbvlm.widgets.thumbnails import preview, scenes

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from nbvlm.endpoints import Endpoint
    from nbvlm.images import ImageSource, Picture
    from nbvlm.widgets.offers import Allow

__all__ = ["Picker"]


class _Page(PickerPage):
    _css = style("colors", "theme", "form", "picker", "own")


class _Bar(SeriesBar):
    _css = style("colors", "theme", "form", "series_bar", "own")


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

    @traitlets.default("endpoint")  # type: ignore[untyped-decorator]
    def _default_endpoint(self) -> Endpoint:
        return endpoints.get("demo")

    def __init__(
        self,
        image: ImageSource | None = None,
        *,
        allow: Allow = None,
        paths: str | os.PathLike[str] | None = None,
        **traits: Any,
    ) -> None:
        offer = Offer.of(allow, paths)
        self._card = ErrorCard()
        self._source = PictureSource(
            endpoints.get("demo"),
            handler=_guarded(weakly(self._fail)),
            on_picture=weakly(self._chosen),
            on_fields=_nothing,
            on_route=weakly(self._routed),
            on_error=weakly(self._fail),
            offer=offer,
            page=_Page,
            bar=_Bar,
        )
        if offer.private:
            self._card.actions = {"private": weakly(self._open_private)}
        self._index: int | None = None
        self._inside = False
        super().__init__([self._source.picker, self._source.bar, self._card], **traits)
        try:
            if image is not None:
                self.image = image
        except BaseException:
            self.close()
            raise

    def choose(self, index: int) -> None:
        """Choose a sample by its number in `nbvlm.demo.gallery.GALLERY`, from 0 on."""
        self._source.choose(index)

    def _open_private(self) -> None:
        self._source.open_private()

    def _chosen(self, picture: Picture | None, index: int | None) -> None:
        self._index, self._inside = index, True
        try:
            self.image = picture
        finally:
            self._inside = False

    def _routed(self) -> None:
        self.route = self._source.route

    def _fail(self, error: BaseException) -> None:
        self.set_trait("error", error)
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
        picture, index = change["new"], self._index
        self._index = None
        if not self._inside:  # another one is given: what is being read is not wanted any more
            self._source.cancel()
        data = None if picture is None else preview(picture)[1]
        self._source.chosen(picture, index, data)
        self.set_trait("error", None)
        self._card.clear()
        self.set_trait("sample", "" if index is None else scenes()[index].prompt)
        self.route = self._source.route
        self.value = picture

    @traitlets.observe("value")  # type: ignore[untyped-decorator]
    def _value_changed(self, change: Any) -> None:
        self.image = change["new"]

    def close(self) -> None:
        """Stop reading, take the part off the page, and end it; again, nothing happens."""
        if "_source" in self.__dict__:
            self._source.cancel()
        super().close()


def _nothing(_fields: Any) -> None:
    """Take no fields: a picker alone has none."""


def _guarded(
    fail: Callable[[BaseException], Any],
) -> Callable[[Mapping[str, Callable[[Mapping[str, Any]], Any]]], Callable[[Mapping[str, Any]], Any]]:
    """Return what makes of actions a function that takes a message, and shows its error."""

    def handler(
        actions: Mapping[str, Callable[[Mapping[str, Any]], Any]],
    ) -> Callable[[Mapping[str, Any]], Any]:
        def take(message: Mapping[str, Any]) -> None:
            try:
                actions[message["type"]](message)
            except Ignored as reason:
                ignored("Picker", str(reason))
            except Exception as error:  # noqa: BLE001 - shown on the card, for ipywidgets would swallow it
                fail(error)

        return take

    return handler
