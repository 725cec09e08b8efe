"""The viewer: a picture with its boxes and masks, which people look through, select and correct."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import ipywidgets
import traitlets

from nbvlm import prompts
from nbvlm.errors import ImageError
from nbvlm.grounding import Detection, Detections, with_box, with_label
from nbvlm.images import Picture
from nbvlm.result import Result, alt_text
from nbvlm.widgets._boxes import BoxPart, Region, clipped, is_grown
from nbvlm.widgets._values import Typed
from nbvlm.widgets.esm import script
from nbvlm.widgets.mask_outliner import MaskOutliner
from nbvlm.widgets.messages import Ignored, Message, flag, items, number, optional, text, whole
from nbvlm.widgets.thumbnails import preview

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from nbvlm.images import ImageSource
    from nbvlm.widgets.messages import Check

    Small = tuple[Mapping[str, Any], bytes] | None  # the `preview` of a picture, where it is at hand

__all__ = ["MODES", "Viewer"]

#: What a press on the picture does.
MODES = ("select", "edit", "region")
_STEPS = 200  # that can be undone


def _is_share(value: Any) -> bool:
    return number(value) and 0 <= value <= 1


def _is_mode(value: Any) -> bool:
    return isinstance(value, str) and value in MODES


def _is_moved(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and whole(value[0]) and items(number, 4)(value[1])


_EDIT: Mapping[str, Check] = MappingProxyType({"page": optional(text), "edit": optional(whole)})


@dataclass(frozen=True, slots=True)
class _Boxes:
    """The boxes at one step of the corrections; each has a key that is the same in all steps."""

    found: Detections
    keys: tuple[object, ...]


class PictureTrait(Typed["Picture | None", "ImageSource | None"]):
    """A picture, or None; takes anything that `Picture.load` takes."""

    info_text = "a picture or None"

    def validate(self, _obj: Any, value: Any) -> Picture | None:
        """Load the picture."""
        return None if value is None else Picture.load(value)


class ResultTrait(Typed["Result | None", "Result | None"]):
    """A result, or None."""

    info_text = "a Result or None"

    def validate(self, _obj: Any, value: Any) -> Result | None:
        """Take results only."""
        if value is None or isinstance(value, Result):
            return value
        raise traitlets.TraitError(f"result must be a Result or None, got {type(value).__name__}.")


class Viewer(BoxPart):
    """Show a picture with its boxes and masks; select, hide and correct them.

    Each trait below can be given by name, observed and linked. The page changes `selected`, `hidden`,
    `opacity`, `show_masks`, `show_labels`, `region` and `mode`, and its corrections change `detections`.

    In the mode "edit" a drag moves a box, a handle resizes it, and a drag beside all boxes adds one. By
    keyboard, with the picture in focus: N and P select the next and the previous box, arrows move it, with
    Shift they resize it, A adds one, Enter goes to its label, Delete removes it, Ctrl+Z and Ctrl+Y undo and
    redo. What Python can do likewise are the methods `add_box`, `move_boxes`, `relabel`, `delete`, `undo` and
    `redo`.

    A box that is moved takes its mask with it; one that is resized keeps the pixels of its mask that lie
    inside, at their place. The numbers as the model wrote them (`raw`) and, of a resized box, the codes of
    its mask do not describe a corrected box and are dropped.
    `nbvlm.evaluate(viewer.result, viewer.detections)` compares the model's answer with the corrected one.

    Parameters
    ----------
    image
        Anything that `Picture.load` takes; or a `Result`, or `Detections`, shown on an empty ground.
    detections
        `Detections`, or a `Result`.
    on_region
        A first callback of the method `on_region`.
    on_message
        Called with each message of the page that the viewer does not handle itself.

    Attributes
    ----------
    image : Picture or None
        The picture; takes anything that `Picture.load` takes. Another picture has no detections yet.
        Default: None. ``viewer.image = "cat.jpg"``
    detections : Detections or None
        The boxes and masks on the screen, as corrected so far; takes a `Result` as well. They must refer to a
        picture of the same size. Setting it starts a new history of steps to undo. Default: None.
        ``viewer.observe(lambda change: print(change.new), "detections")``
    result : Result or None
        The answer that is shown; setting it sets `image` and `detections`. It stays the model's answer when
        boxes are corrected; its notices stand below the picture. Default: None. ``viewer.result = result``
    selected : list of int
        Numbers of the selected detections, from 0 on; both ways. Default: []. ``viewer.selected = [0, 2]``
    hidden : list of int
        Numbers of the detections that are not shown. Default: []. ``viewer.hidden = [1]``
    opacity : float
        Strength of masks and fillings, from 0 to 1. Default: 0.3. ``viewer.opacity = 0.6``
    show_masks, show_labels : bool
        Whether masks and labels are drawn. Default: True. ``viewer.show_labels = False``
    colors : dict
        Colours of labels, as `nbvlm.draw.Style` takes them; the others have colours of their own. Default:
        {}. ``viewer.colors = {"cat": "teal"}``
    things : list of str
        Labels that were asked for: they have colours, and are offered when a box is named. Default: those of
        the result's prompt. ``viewer.things = ["cat", "dog"]``
    mode : str
        What a press on the picture does: "select" (the default) selects boxes and moves a zoomed picture,
        "edit" corrects boxes, "region" draws a region once. ``viewer.mode = "edit"``
    editable : bool
        Whether boxes can be corrected on the page. Default: True. ``viewer.editable = False``
    region : tuple or None
        The region that was drawn last, x0, y0, x1, y1 in pixels of the upright picture. Default: None.
        ``viewer.observe(lambda change: print(change.new), "region")``
    can_undo, can_redo : bool
        Whether there is a step to undo or redo. Read-only.
    group : str
        Parts of one group light and select the same detections on the page. Default: a name of its own.
        ``nbvlm.widgets.DetectionList(viewer)`` joins the group of the viewer.

    Raises
    ------
    ImageError
        If the picture cannot be read.
    traitlets.TraitError
        For a value of another kind or out of range, and for detections of a picture of another size.

    Examples
    --------
    >>> import nbvlm  # doctest: +SKIP
    >>> viewer = nbvlm.widgets.Viewer("cat.jpg", result.detections)  # doctest: +SKIP
    >>> viewer.selected = [0]  # doctest: +SKIP
    """

    _esm = script(
        "viewer", "colors", "scheme", "theme", "place", "picture_view", "detections_list", "box_editor"
    )
    bare_esm = script("viewer", "picture_view", "detections_list", "box_editor")
    kind = "viewer"

    image = PictureTrait(default_value=None, allow_none=True)
    result = ResultTrait(default_value=None, allow_none=True)
    opacity = traitlets.Float(0.3, min=0.0, max=1.0).tag(sync=True)
    show_masks = traitlets.Bool(True).tag(sync=True)
    show_labels = traitlets.Bool(True).tag(sync=True)
    mode = traitlets.Enum(MODES, "select").tag(sync=True)
    editable = traitlets.Bool(True).tag(sync=True)
    region = traitlets.Tuple(*[traitlets.Float()] * 4, default_value=None, allow_none=True).tag(sync=True)
    can_undo = traitlets.Bool(False, read_only=True).tag(sync=True)
    can_redo = traitlets.Bool(False, read_only=True).tag(sync=True)

    page_traits: ClassVar[Mapping[str, Check]] = MappingProxyType(
        {
            **BoxPart.page_traits,
            "opacity": _is_share,
            "show_masks": flag,
            "show_labels": flag,
            "mode": _is_mode,
            "region": optional(items(number, 4)),
        }
    )
    messages = MappingProxyType(
        {
            "region": Message(box=optional(items(number, 4))),
            "move": Message(boxes=items(_is_moved), **_EDIT),
            "add": Message(box=items(number, 4), label=text, **_EDIT),
            "relabel": Message(indices=items(whole), label=text, **_EDIT),
            "delete": Message(indices=items(whole), **_EDIT),
            "undo": Message(**_EDIT),
            "redo": Message(**_EDIT),
        }
    )

    def __init__(
        self,
        image: ImageSource | Result | Detections | None = None,
        detections: Detections | Result | None = None,
        *,
        result: Result | None = None,
        on_region: Callable[[Region | None], Any] | None = None,
        on_message: Callable[[Mapping[str, Any]], Any] | None = None,
        **traits: Any,
    ) -> None:
        self.turn = 0  # counts answers, so that late masks of an earlier one are recognised
        self.feed: Any = None  # what shows an answer here, while it streams
        self._facts: Mapping[str, Any] | None = None
        self._preview: list[bytes] = []
        self._sent: Picture | None = None  # the picture of the preview
        self._shapes: dict[str, str] = {}
        self._no_picture = self._no_masks = ""  # notes: why the picture, or the masks, are not drawn
        self._past: list[_Boxes] = []
        self._future: list[_Boxes] = []
        self._keys: tuple[object, ...] = ()  # of the boxes that are shown
        self._out_of_sight: set[object] = set()  # keys of hidden boxes; a deleted one may come back
        self._corrected: Detections | None = None  # what the last correction set
        self._edit: dict[str, Any] = {}
        self._setting = False  # image, detections and result change together
        self._on_region = ipywidgets.CallbackDispatcher()
        if on_region is not None:
            self.on_region(on_region)
        self._outliner = MaskOutliner(self)
        late = {name: traits.pop(name) for name in ("selected", "hidden", "region") if name in traits}
        super().__init__(on_message, **traits)
        if isinstance(image, Detections):
            image, detections = None, image
        if isinstance(image, Result):
            image, result = None, image
        if isinstance(detections, Result):
            result = result or detections
        try:
            if image is not None:
                self._show(Picture.load(image), result)
            elif result is not None:
                self.result = result
            if detections is not None and detections is not result:
                self.detections = detections
            for name, value in late.items():
                setattr(self, name, value)
        except BaseException:
            self.close()
            raise

    # Picture, detections and result

    def show(self, picture: Picture | None, small: Small = None) -> None:
        """Show another picture, or none, without detections; `small` is its `preview`, if that is at hand."""
        self._show(picture, None, small)

    def _show(self, picture: Picture | None, result: Result | None, small: Small = None) -> None:
        """Show a picture, and the answer about it."""
        found = result.detections if result is not None else None
        if found is not None and picture is not None:
            _check_size(found, picture)
        with self._lock:
            same, before = picture is not None and picture is self._sent, self.detections
            self._setting = True
            try:
                with self.hold_trait_notifications():
                    self.image, self.result, self.detections = picture, result, found
                    if same:
                        self._fit(before, found)
                    else:
                        self.selected, self.hidden, self.region = [], [], None
                    if result is not None:
                        self.things = list(prompts.things(result.prompt))
            finally:
                self._setting = False
            if same:
                self._answer_changed(before)
            else:
                self._picture_changed(small)

    def _answer_changed(self, before: Detections | None) -> None:
        """Show another answer about the same picture, which is not sent again."""
        self._start_history()
        self._keep_shapes(before)
        self._boxes = self._describe()
        self.send(self._put())
        self._tell_steps()
        self._outline()

    @traitlets.validate("detections")  # type: ignore[untyped-decorator]
    def _fits_picture(self, proposal: Any) -> Any:
        if not self._setting:
            self.check_size(proposal["value"])
        return proposal["value"]

    def check_size(self, found: Detections | None) -> None:
        """Refuse detections that refer to a picture of another size than the one that is shown."""
        if found is not None and self.image is not None:
            _check_size(found, self.image)

    @traitlets.validate("region")  # type: ignore[untyped-decorator]
    def _within_picture(self, proposal: Any) -> Region | None:
        if proposal["value"] is None:
            return None
        size = self.size
        box = self._clipped(proposal["value"])
        if box is None:
            where = "there is no picture" if size is None else f"the picture has {size[0]}×{size[1]} pixels"
            raise traitlets.TraitError(
                f"region must be a box (x0, y0, x1, y1) within the picture, got {proposal['value']}; {where}."
            )
        return box

    @traitlets.observe("image")  # type: ignore[untyped-decorator]
    def _image_changed(self, change: Any) -> None:
        if not self._setting and change["old"] is not change["new"]:
            self._show(change["new"], None)

    @traitlets.observe("result")  # type: ignore[untyped-decorator]
    def _result_changed(self, change: Any) -> None:
        if not self._setting:
            result = change["new"]
            self._show(self.image if result is None else result.picture, result)

    @traitlets.observe("detections")  # type: ignore[untyped-decorator]
    def _detections_changed(self, change: Any) -> None:
        if self._setting:
            return
        with self._lock:
            if self.image is None and self._facts_of() != self._facts:
                self._picture_changed()
                return
            # What is selected and hidden follows a correction; see `_put_corrected`.
            if self._corrected is None or change["new"] is not self._corrected:
                self._start_history()
                self._fit(change["old"], change["new"])
            self._keep_shapes(change["old"])
            self._show_boxes()
            self._tell_steps()
            self._outline()

    def _picture_changed(self, small: Small = None) -> None:
        """Show another picture, with its detections."""
        facts: Mapping[str, Any] | None = self._facts_of()
        data = None
        self._no_picture = self._no_masks = ""
        if self.image is not None and facts is not None:
            try:
                facts, data = small or preview(self.image)
            except ImageError as error:  # a reference, in a result that was read from JSON
                self._no_picture = f"The picture is not shown. {error}"
        with self._lock:
            self._facts, self._preview = facts, [] if data is None else [data]
            self._sent = self.image
            self._start_history()
            self.selected, self.hidden, self.region = [], [], None
            self._shapes, self.turn = {}, self.turn + 1
            self._boxes = self._describe()
            self.send_all()
            self._tell_steps()
            self._outline()

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height in pixels of the picture, or of that of the detections; None without either."""
        if self.image is not None:
            return self.image.width, self.image.height
        return self.detections.size if self.detections is not None else None

    def _facts_of(self) -> dict[str, Any] | None:
        size = self.size
        if size is None:
            return None
        name = (self.image.name if self.image is not None else None) or "picture"
        return {"name": name, "width": size[0], "height": size[1], "mime": "image/png"}

    # What the page shows

    def send_all(self) -> None:
        """Send everything that a page shows, to a page that opens."""
        with self._lock:
            shown = {"type": "all", "picture": self._facts, "boxes": self._boxes, "shapes": self._shapes}
            self.send({**shown, **self._words()}, buffers=self._preview)

    def _words(self) -> dict[str, Any]:
        """Return what stands around the boxes: the picture in words, notices, labels to choose from."""
        result, found = self.result, self.detections
        labels = dict.fromkeys([*self.things, *(found.labels if found is not None else ())])
        notices = result.notices if result is not None and not self.bare else ()
        return {
            "alt": alt_text(result) if result is not None and found is result.detections else "",
            "notes": list(filter(None, [*notices, self._no_picture, self._no_masks])),
            "labels": [label for label in labels if label],
        }

    def _put(self) -> dict[str, Any]:
        return {**super()._put(), "shapes": self._shapes, **self._words(), **self._edit}

    def _show_boxes(self) -> None:
        if self._edit:  # the page waits for exactly this
            self._boxes = self._describe()
            self.send(self._put())
        else:
            super()._show_boxes()

    def _keep_shapes(self, old: Any) -> None:
        """Keep the shapes of the masks that are still there."""
        known = {}
        if isinstance(old, Detections):
            known = {id(mask): self._shapes.get(str(at)) for at, mask in enumerate(old.lazy_masks)}
        new = self.detections.lazy_masks if self.detections is not None else ()
        kept = {str(at): shape for at, mask in enumerate(new) if (shape := known.get(id(mask))) is not None}
        if not is_grown(old, self.detections):
            self.turn, self._no_masks = self.turn + 1, ""
        self._shapes = kept

    def _outline(self) -> None:
        masks = self.detections.lazy_masks if self.detections is not None else ()
        self._outliner.want((at, mask) for at, mask in enumerate(masks) if str(at) not in self._shapes)

    def outline(self, turn: int, shapes: Mapping[str, str]) -> None:
        """Draw masks, as data of SVG paths in pixels of the picture, by the numbers of their boxes as text.

        Masks of boxes that were shown in an earlier `turn` are not drawn.
        """
        with self._lock:
            if turn == self.turn and shapes:
                self._shapes = {**self._shapes, **shapes}
                self.send({"type": "shapes", "shapes": dict(shapes)})

    def remark(self, turn: int, text: str) -> None:
        """Show a note below the picture."""
        with self._lock:
            if turn == self.turn and text != self._no_masks:
                self._no_masks = text
                self.send({"type": "put", **self._words()})

    # Regions

    def on_region(self, callback: Callable[[Region | None], Any], remove: bool = False) -> None:
        """Call a function with each region that a person draws; with None where the drawing was given up.

        Parameters
        ----------
        callback
            Called with x0, y0, x1, y1 in pixels of the upright picture, or None.
        remove
            True forgets the function.

        Examples
        --------
        >>> viewer.on_region(print)  # doctest: +SKIP
        """
        self._on_region.register_callback(callback, remove=remove)

    def take_region(self, box: Sequence[Any] | None) -> None:
        """Take a region that was drawn on a page, cut to the picture; None where the drawing was given up."""
        region = None if box is None else self._clipped([float(value) for value in box])
        self.mode = "select"
        if region is not None:
            self.region = region
        for callback in self._on_region.callbacks:
            callback(region)

    def _clipped(self, box: Sequence[float]) -> Region | None:
        return clipped(box, self.size)

    # Corrections

    def take(self, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Take a region or a correction of a page."""
        kind = message["type"]
        if kind == "region":
            self.take_region(message.get("box"))
        elif kind in self.messages:
            self._correct(kind, message)
        else:
            super().take(message, buffers)

    def _correct(self, kind: str, message: Mapping[str, Any]) -> None:
        if not self.editable:
            raise Ignored("the boxes of this viewer are not editable")
        actions: dict[str, Callable[[], Any]] = {
            "move": lambda: self.move_boxes(dict(message["boxes"])),
            "add": lambda: self.add_box(message["box"], message["label"]),
            "relabel": lambda: self.relabel(message["indices"], message["label"]),
            "delete": lambda: self.delete(message["indices"]),
            "undo": self.undo,
            "redo": self.redo,
        }
        with self._lock:
            self._edit = {"page": message.get("page"), "edit": message.get("edit")}
            before = self.detections
            try:
                actions[kind]()
            except (ValueError, IndexError) as error:
                raise Ignored(str(error)) from None
            finally:
                if self.detections is before:  # the page has shown something else meanwhile
                    self.send(self._put())
                self._edit = {}

    def add_box(self, box: Sequence[float], label: str = "") -> None:
        """Add a box as the last detection, and select it.

        Parameters
        ----------
        box
            Corners x0, y0, x1, y1 in pixels; what lies outside of the picture is cut off.
        label
            Its label.

        Raises
        ------
        ValueError
            If no part of the box lies in the picture, or there is none.

        Examples
        --------
        >>> viewer.add_box((10, 20, 110, 80), "cat")  # doctest: +SKIP
        """
        size, inside = self.size, self._clipped([float(value) for value in box])
        if size is None or inside is None:
            raise ValueError(f"The box must have an area within the picture, got {tuple(box)}.")
        with self._lock:
            rows = list(self.detections) if self.detections is not None else []
            keys = (*self._keys, object())
            self._step([*rows, Detection(label, inside, size=size)], keys, select=[len(rows)])

    def move_boxes(self, boxes: Mapping[int, Sequence[float]]) -> None:
        """Move or resize boxes, by their numbers; all in one step.

        Parameters
        ----------
        boxes
            Corners x0, y0, x1, y1 in pixels by number. A moved mask goes with its box; of a resized box it
            keeps the part inside.

        Raises
        ------
        IndexError
            For a number that no detection has.
        TypeError
            For what is not a whole number.
        ValueError
            If no part of a box lies in the picture.

        Examples
        --------
        >>> viewer.move_boxes({0: (12, 20, 112, 80)})  # doctest: +SKIP
        """
        with self._lock:
            rows = self._rows(boxes)
            for index, box in boxes.items():
                corners = tuple(float(value) for value in box)
                point = rows[index].point is not None and corners[:2] == corners[2:]
                inside = corners if point else self._clipped(corners)
                if inside is None:
                    raise ValueError(f"The box must have an area within the picture, got {tuple(box)}.")
                rows[index] = with_box(rows[index], inside)  # type: ignore[arg-type] # four numbers
            self._step(rows, self._keys, select=self.selected)

    def relabel(self, indices: Iterable[int], label: str) -> None:
        """Give detections another label.

        Raises
        ------
        IndexError
            For a number that no detection has.
        TypeError
            For what is not a whole number.

        Examples
        --------
        >>> viewer.relabel([0, 2], "dog")  # doctest: +SKIP
        """
        with self._lock:
            chosen = list(indices)
            rows = self._rows(chosen)
            for index in chosen:
                rows[index] = with_label(rows[index], label)
            self._step(rows, self._keys, select=self.selected)

    def delete(self, indices: Iterable[int]) -> None:
        """Remove detections, by their numbers.

        Raises
        ------
        IndexError
            For a number that no detection has.
        TypeError
            For what is not a whole number.

        Examples
        --------
        >>> viewer.delete([1])  # doctest: +SKIP
        """
        with self._lock:
            gone = set(indices)
            rows = self._rows(gone)
            left = [at for at in range(len(rows)) if at not in gone]
            self._step([rows[at] for at in left], tuple(self._keys[at] for at in left))

    def undo(self) -> None:
        """Take the last correction back; without one nothing happens."""
        self._go(self._past, self._future)

    def redo(self) -> None:
        """Do again what was undone; without such a step nothing happens."""
        self._go(self._future, self._past)

    def _start_history(self) -> None:
        self._past, self._future, self._out_of_sight = [], [], set()
        self._keys = tuple(object() for _ in self.detections or ())

    def _go(self, back: list[_Boxes], ahead: list[_Boxes]) -> None:
        with self._lock:
            if back and self.detections is not None:
                self._refuse_stream()
                ahead.append(_Boxes(self.detections, self._keys))
                self._put_corrected(back.pop())

    def _rows(self, indices: Iterable[int]) -> list[Detection]:
        rows = list(self.detections) if self.detections is not None else []
        for index in indices:
            if not 0 <= _whole(index) < len(rows):
                raise IndexError(f"There is no detection {index}: there are {len(rows)}, numbered from 0.")
        return rows

    def _step(self, rows: Sequence[Detection], keys: tuple[object, ...], select: Sequence[int] = ()) -> None:
        size = self.size
        if size is None:
            raise ValueError("There is no picture; set viewer.image first.")
        before = self.detections if self.detections is not None else Detections.empty(size)
        after = Detections.of(rows, size)
        if after.labels == before.labels and after.xyxy.tolist() == before.xyxy.tolist():
            return
        self._refuse_stream()
        self._past = [*self._past[1 - _STEPS :], _Boxes(before, self._keys)]
        self._future = []
        self._put_corrected(_Boxes(after, keys), select)

    def _refuse_stream(self) -> None:
        if self.feed is not None:
            raise ValueError("Boxes cannot be corrected while an answer streams into the viewer.")

    def _put_corrected(self, boxes: _Boxes, select: Sequence[int] = ()) -> None:
        """Show corrected boxes; each stays hidden or not. Observers find all of it changed together."""
        self._out_of_sight -= set(self._keys)
        self._out_of_sight |= {self._keys[at] for at in self.hidden}
        edit, self._edit = self._edit, self._edit or {"edit": None}
        self._keys, self._corrected = boxes.keys, boxes.found
        try:
            with self.hold_trait_notifications():
                self.detections, self.selected = boxes.found, list(select)
                self.hidden = [at for at, key in enumerate(boxes.keys) if key in self._out_of_sight]
        finally:
            self._edit, self._corrected = edit, None

    def _tell_steps(self) -> None:
        self.set_trait("can_undo", bool(self._past))
        self.set_trait("can_redo", bool(self._future))

    def close(self) -> None:
        """Take the viewer off the page, and end it; again, nothing happens."""
        self._on_region = ipywidgets.CallbackDispatcher()
        super().close()

    def _summary(self) -> str:
        size = self.size
        shown = "no picture" if size is None else f"{size[0]}×{size[1]}"
        name = f"{self.image.name!r}, " if self.image is not None and self.image.name else ""
        return f"{name}{shown}, {super()._summary()}"


def _whole(index: Any) -> int:
    try:
        return operator.index(index)
    except TypeError:
        raise TypeError(f"The number of a detection must be a whole number, got {index!r}.") from None


def _check_size(found: Detections, picture: Picture) -> None:
    if found.size != (picture.width, picture.height):
        sizes = f"{found.size[0]}×{found.size[1]} pixels, this one has {picture.width}×{picture.height}"
        raise traitlets.TraitError(f"The detections refer to a picture of {sizes}.")
