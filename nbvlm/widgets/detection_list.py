"""The list of detections: place, size and area of each, to select, hide and read again."""

from __future__ import annotations

import contextlib
import hashlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import traitlets

from nbvlm.widgets._boxes import BoxPart
from nbvlm.widgets._life import weakly
from nbvlm.widgets.esm import script
from nbvlm.widgets.messages import REREAD
from nbvlm.widgets.viewer import Viewer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbvlm.grounding import Detections
    from nbvlm.grounding.dialects import Order
    from nbvlm.result import Result

__all__ = ["DetectionList", "reading_of"]


def reading_of(detections: Detections) -> dict[str, Any] | None:
    """Return how the first numbers of an answer are read: `order`, and the `scale` of both sides.

    None if the answer has no numbers that can be read again.
    """
    readings = zip(detections.raw, detections.readings, strict=True)
    found = next((reading for raw, reading in readings if raw is not None and reading is not None), None)
    return None if found is None else {"order": found.order, "scale": list(found.frame)}


class DetectionList(BoxPart):
    """List detections: label, place, size and area; arrow keys move through it.

    The page changes `selected` and `hidden`. Where the numbers of the model can be read in another order or
    on another scale, the list offers that below, and changes `detections`.

    Parameters
    ----------
    detections
        `Detections` or a `Result`; or a `Viewer`, which the list then follows, and the viewer the list: a
        click zooms the viewer to the detection, and crops can be copied.
    on_message
        Called with the message "reread" in place of reading the numbers again here: in which `order`, and on
        which `scale` of both sides (None: as now).

    Attributes
    ----------
    detections : Detections or None
        The rows. Default: None. ``rows.detections = result.detections``
    selected : list of int
        Numbers of the selected rows, from 0 on; both ways. Default: [].
        ``rows.observe(lambda change: print(change.new), "selected")``
    hidden : list of int
        Numbers of the detections that are not shown. Default: []. ``rows.hidden = [1]``
    colors, things
        As of `Viewer`.
    group : str
        Parts of one group light and select the same detections on the page. Default: that of the viewer that
        was given, else a name of its own. ``rows.group = viewer.group``

    Raises
    ------
    traitlets.TraitError
        For a value of another kind, or a number that no detection has.

    Examples
    --------
    >>> import ipywidgets, nbvlm  # doctest: +SKIP
    >>> viewer = nbvlm.widgets.Viewer(result)  # doctest: +SKIP
    >>> ipywidgets.VBox([viewer, nbvlm.widgets.DetectionList(viewer)])  # doctest: +SKIP
    """

    _esm = script("detection_list", "colors", "scheme", "theme", "place", "detections_list")
    bare_esm = script("detection_list", "detections_list")
    kind = "detection_list"
    messages = MappingProxyType({"reread": REREAD})
    #: Traits that the list shares with its viewer, both ways.
    shared: ClassVar[tuple[str, ...]] = ("detections", "selected", "hidden", "colors", "things", "group")
    _viewer: Viewer | None = None  # the one that the list follows

    def __init__(
        self,
        detections: Viewer | Detections | Result | None = None,
        *,
        on_message: Callable[[Mapping[str, Any]], Any] | None = None,
        **traits: Any,
    ) -> None:
        late = {name: traits.pop(name) for name in ("selected", "hidden") if name in traits}
        self._follow = weakly(self._take_shared)
        super().__init__(on_message, **traits)
        try:
            if isinstance(detections, Viewer):
                self._viewer = detections
                for name in self.shared:
                    setattr(self, name, getattr(detections, name))
                detections.observe(self._follow, self.shared)
            elif detections is not None:
                self.detections = detections
            for name, value in late.items():
                setattr(self, name, value)
        except BaseException:
            self.close()
            raise

    # The viewer

    def _take_shared(self, change: Any) -> None:
        if self._viewer is not None:
            setattr(self, change["name"], getattr(self._viewer, change["name"]))

    @traitlets.validate("detections")  # type: ignore[untyped-decorator]
    def _fits_viewer(self, proposal: Any) -> Any:
        if self._viewer is not None:
            self._viewer.check_size(proposal["value"])
        return proposal["value"]

    @traitlets.observe("detections")  # type: ignore[untyped-decorator]
    def _detections_changed(self, change: Any) -> None:
        self._pass_on(change)  # first, and without the lock of the list: the viewer takes its own
        super()._detections_changed(change)

    @traitlets.observe("selected", "hidden", "colors", "things", "group")  # type: ignore[untyped-decorator]
    def _pass_on(self, change: Any) -> None:
        name = change["name"]
        if self._viewer is not None and getattr(self._viewer, name) != getattr(self, name):
            setattr(self._viewer, name, getattr(self, name))

    def _fit(self, old: Any, new: Any) -> None:
        if self._viewer is None:
            super()._fit(old, new)
        else:
            self.selected, self.hidden = self._viewer.selected, self._viewer.hidden

    def take(self, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Read the numbers again, here or where `on_message` does it."""
        if self._on_message is not None:
            super().take(message, buffers)
        else:
            self.reread(message["order"], message.get("scale"))

    def reread(self, order: Order, scale: Sequence[float] | None = None) -> None:
        """Read the numbers of the model in another order, and on another scale unless it is None.

        See `Detections.reproject`.
        """
        if self.detections is not None:
            width_height = None if scale is None else (scale[0], scale[1])
            self.detections = self.detections.reproject(order=order, scale=width_height)

    def send_all(self) -> None:
        """Send all rows, to a page that opens."""
        with self._lock:
            self.send(self._put())

    def _put(self) -> dict[str, Any]:
        found = self.detections
        if found is None:
            return {**super()._put(), "picture": None, "reading": None, "answer": ""}
        width, height = found.size
        numbers = hashlib.sha256(repr(found.raw).encode()).hexdigest()[:16]  # stays when they are read again
        facts = {"picture": {"width": width, "height": height}, "reading": reading_of(found)}
        return {**super()._put(), **facts, "answer": numbers}

    def close(self) -> None:
        """Take the list off the page, and follow the viewer no more; again, nothing happens."""
        viewer, self._viewer = self._viewer, None
        if viewer is not None:
            with contextlib.suppress(ValueError):  # a closed viewer has no observers
                viewer.unobserve(self._follow, self.shared)
        super().close()
