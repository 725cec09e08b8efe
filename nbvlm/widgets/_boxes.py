"""Detections on a page: the part that the viewer and the list of detections share."""

from __future__ import annotations

import secrets
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import traitlets

from nbvlm.draw import assign_colors
from nbvlm.grounding import Detections
from nbvlm.widgets._part import Part
from nbvlm.widgets._values import Typed
from nbvlm.widgets.messages import items, whole
from nbvlm.widgets.thumbnails import described_boxes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbvlm.result import Result  # noqa: F401 - the type checker reads it in a string
    from nbvlm.widgets.messages import Check

__all__ = ["BoxPart", "DetectionsTrait", "Indices", "Region", "clipped", "is_grown"]

#: Corners x0, y0, x1, y1 in pixels of the upright picture.
Region = tuple[float, float, float, float]


class DetectionsTrait(Typed["Detections | None", Any]):
    """Detections, or None; takes a result in their place."""

    info_text = "a Detections, a Result, or None"

    def validate(self, _obj: Any, value: Any) -> Detections | None:
        """Take the detections of a result, or detections."""
        found = getattr(value, "detections", value)
        if found is None or isinstance(found, Detections):
            return found
        raise traitlets.TraitError(
            f"detections must be a Detections, a Result or None, got {type(value).__name__}."
        )


class Indices(traitlets.List):  # type: ignore[misc] # as above
    """Numbers of detections, from 0 on; each once, in order."""

    info_text = "a list of numbers of detections"

    def validate(self, obj: Any, value: Any) -> list[int]:
        """Refuse numbers that no detection has."""
        if isinstance(value, str) or not hasattr(value, "__iter__"):
            raise traitlets.TraitError(f"{self.name} must be a list of numbers, got {value!r}.")
        found = list(value)
        if not all(isinstance(one, int) or hasattr(one, "__index__") for one in found):
            raise traitlets.TraitError(f"{self.name} must be a list of whole numbers, got {value!r}.")
        most = len(obj.detections) if obj.detections is not None else 0
        wrong = [one for one in found if not 0 <= int(one) < most]
        if wrong:
            there = f"There are {most} detections, numbered from 0." if most else "There are no detections."
            raise traitlets.TraitError(f"{self.name} names the detection {wrong[0]}. {there}")
        return sorted({int(one) for one in found})


def clipped(box: Sequence[float], size: tuple[int, int] | None) -> Region | None:
    """Cut a box to a picture; None where nothing of it is left, or there is no picture."""
    if size is None or len(box) != 4:
        return None
    x0, x1 = sorted(min(max(value, 0.0), float(size[0])) for value in box[::2])
    y0, y1 = sorted(min(max(value, 0.0), float(size[1])) for value in box[1::2])
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


class BoxPart(Part):
    """A part that shows detections."""

    detections = DetectionsTrait(default_value=None, allow_none=True)
    selected = Indices(default_value=[]).tag(sync=True)
    hidden = Indices(default_value=[]).tag(sync=True)
    colors = traitlets.Dict(default_value={}, key_trait=traitlets.Unicode())
    things = traitlets.List(traitlets.Unicode(), default_value=[])
    group = traitlets.Unicode().tag(sync=True)

    page_traits: ClassVar[Mapping[str, Check]] = MappingProxyType(
        {"selected": items(whole), "hidden": items(whole)}
    )

    @traitlets.default("group")  # type: ignore[untyped-decorator]
    def _new_group(self) -> str:
        return secrets.token_hex(8)

    @traitlets.validate("colors")  # type: ignore[untyped-decorator]
    def _check_colors(self, proposal: Any) -> dict[str, Any]:
        try:
            assign_colors((), proposal["value"])
        except (ValueError, TypeError) as error:
            raise traitlets.TraitError(str(error)) from None
        return dict(proposal["value"])

    def __init__(self, *args: Any, **traits: Any) -> None:
        self._boxes: list[dict[str, Any]] = []
        super().__init__(*args, **traits)

    def _describe(self) -> list[dict[str, Any]]:
        found = self.detections
        if found is None:
            return []
        return described_boxes(found.labels, found.xyxy.tolist(), self.things, self.colors)

    @traitlets.observe("detections")  # type: ignore[untyped-decorator]
    def _detections_changed(self, change: Any) -> None:
        with self._lock:
            self._fit(change["old"], change["new"])
            self._show_boxes()

    @traitlets.observe("colors", "things")  # type: ignore[untyped-decorator]
    def _colors_changed(self, _change: Any) -> None:
        with self._lock:
            if self._describe() != self._boxes:
                self._show_boxes()

    def _fit(self, old: Any, new: Any) -> None:
        """Let nothing be selected or hidden that is another detection now."""
        if not is_grown(old, new):
            self.selected, self.hidden = [], []

    def _show_boxes(self) -> None:
        before, self._boxes = self._boxes, self._describe()
        if before and self._boxes[: len(before)] == before:
            self.send({"type": "more", "boxes": self._boxes[len(before) :]})
        else:
            self.send(self._put())

    def _put(self) -> dict[str, Any]:
        return {"type": "put", "boxes": self._boxes}

    def _summary(self) -> str:
        count = len(self.detections) if self.detections is not None else 0
        return f"{count} detection{'' if count == 1 else 's'}"


def is_grown(old: Detections | None, new: Detections | None) -> bool:
    """Check whether detections were added to others, and nothing else."""
    if old is None or new is None or not isinstance(old, Detections):
        return False
    shared = new.lazy_masks[: len(old)]
    return len(new) >= len(old) and all(one is two for one, two in zip(old.lazy_masks, shared, strict=False))
