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
    from collections.abc import Callable

    from nbvlm.widgets.viewer import Region

__all__ = ["PictureAnswer"]


class PictureAnswer(Answer):
    """Show a picture, and below it the answer, the list of detections and the status line.

    An error is shown by another part: `fail` says only that there is no answer.

    Attributes
    ----------
    image : Picture or None
        The picture; another one clears the answer. Default: None.
    drawing : bool
        Whether a region is to be drawn on the picture. Default: False.
    """

    image = PictureTrait(default_value=None, allow_none=True)
    drawing = traitlets.Bool(False)

    def __init__(self, on_region: Callable[[Region | None], Any], **traits: Any) -> None:
        self._on_region = on_region
        super().__init__(**traits)

    def _new_page(self) -> Viewer:
        return Viewer(on_region=weakly(self._drawn))

    def _new_outliner(self) -> MaskOutliner:
        return MaskOutliner(self._page)

    def _blank(self) -> None:
        facts, data = (None, None) if self.image is None else preview(self.image)
        self._page.picture(facts, data)

    def _explain(self, error: BaseException) -> None:
        pass

    def _drawn(self, box: Region | None) -> None:
        self.drawing = False
        self._on_region(box)

    @traitlets.observe("image")  # type: ignore[untyped-decorator]
    def _image_changed(self, _change: Any) -> None:
        self.drawing = False
        self.clear()

    @traitlets.observe("drawing")  # type: ignore[untyped-decorator]
    def _drawing_changed(self, change: Any) -> None:
        self._page.pick_region(change["new"])
