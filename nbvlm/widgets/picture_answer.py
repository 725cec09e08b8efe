"""An answer below its picture: boxes and masks are drawn while it streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from nbvlm.widgets._life import weakly
from nbvlm.widgets.answer import Answer
from nbvlm.widgets.mask_outliner import MaskOutliner
from nbvlm.widgets.picture_viewer import PictureTrait
from nbvlm.widgets.thumbnails import preview
from nbvlm.widgets.viewer import Viewer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbvlm.images import Picture
    from nbvlm.result import Result
    from nbvlm.widgets._boxes import Region

__all__ = ["PictureAnswer"]


class PictureAnswer(Answer):
    """Show a picture, and below it the answer, the list of detections and the status line.

    An error is shown by another part: `fail` says only that there is no answer.

    Parameters
    ----------
    on_region
        Called with a region that was drawn on the picture, or None.
    on_message
        Called with the message "reread": how the numbers of the answer are to be read.
    about
        Returns, for an answer, the `step` and the `reading` that `Viewer.finish` takes.

    Attributes
    ----------
    image : Picture or None
        The picture; another one clears the answer. Default: None.
    drawing : bool
        Whether a region is to be drawn on the picture. Default: False.
    """

    image = PictureTrait(default_value=None, allow_none=True)
    drawing = traitlets.Bool(False)

    def __init__(
        self,
        on_region: Callable[[Region | None], Any],
        *,
        on_message: Callable[[Mapping[str, Any]], Any] | None = None,
        about: Callable[[Result], Mapping[str, Any]] | None = None,
        **traits: Any,
    ) -> None:
        self._on_region, self._on_message, self._about_result = on_region, on_message, about
        self._preview: tuple[Mapping[str, Any] | None, bytes | None] = (None, None)
        self._is_shown = False
        super().__init__(**traits)

    def show(
        self, picture: Picture | None, small: tuple[Mapping[str, Any] | None, bytes | None] | None = None
    ) -> None:
        """Show another picture, or none, without an answer; `small` is its `preview`, if that is at hand."""
        if small is None:
            small = (None, None) if picture is None else preview(picture)
        with self._lock:
            self._preview, self._is_shown = small, True
            try:
                self.image = picture
            finally:
                self._is_shown = False
            self.drawing = False
            self.clear()

    def _new_page(self) -> Viewer:
        return Viewer(weakly(self._drawn), self._on_message)

    def _about(self, result: Result) -> Mapping[str, Any]:
        return {} if self._about_result is None else self._about_result(result)

    def _new_outliner(self) -> MaskOutliner:
        return MaskOutliner(self._page)

    def _blank(self) -> None:
        self._page.picture(*self._preview)

    def _explain(self, error: BaseException) -> None:
        pass

    def _drawn(self, box: Region | None) -> None:
        self.drawing = False
        self._on_region(box)

    @traitlets.observe("image")  # type: ignore[untyped-decorator]
    def _image_changed(self, change: Any) -> None:
        if not self._is_shown:
            self.show(change["new"])

    @traitlets.observe("drawing")  # type: ignore[untyped-decorator]
    def _drawing_changed(self, change: Any) -> None:
        self._page.pick_region(change["new"])
