"""Detections: the labels, boxes and masks of an answer, as frozen values."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import numpy.typing as npt

from nbvlm.grounding import checks, tables
from nbvlm.grounding import origin as origins
from nbvlm.grounding.checks import areas, overlaps
from nbvlm.grounding.labels import Labels
from nbvlm.grounding.masks.lazy import LazyMask, MaskField, MasksField, all_masks, decode_masks
from nbvlm.grounding.masks.shapes import Outline
from nbvlm.grounding.masks.types import Codes, by, size_of
from nbvlm.grounding.readings import Order, Reading, placed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd
    from PIL import Image

    from nbvlm.grounding.masks.codebooks import Codebook
    from nbvlm.grounding.masks.types import Box, MaskCrop, Point, Size
    from nbvlm.grounding.origin import Origin
    from nbvlm.images import ImageSource

__all__ = ["Detection", "Detections"]


@dataclass(frozen=True, repr=False, eq=False)
class Detection:
    """One thing that the model found.

    Two detections are equal where label, box, size and mask are; a mask that has codes is
    compared by them, so that nothing needs decoding.

    Parameters
    ----------
    label
        The model's words for it; "" where the model gave none.
    box
        Corners x0, y0, x1, y1 in pixels of the upright picture, as floats. They may be swapped,
        as the model may swap them.
    codes
        The 16 codes of the mask, row by row, or None.
    mask
        Height×width bool. Given, it is used as it is; else it is decoded from the codes when it
        is first read, and None without codes, size or codebook.
    size
        Width and height of the picture in pixels; needed to decode a mask.
    codebook
        Decodes the codes: a `nbvlm.grounding.Codebook`, its name, or None.
    point
        (x, y) in pixels if the model gave a point; its box is the point itself. Else None.
    raw
        The numbers as the model wrote them (four of a box, two of a point, more of an outline; sizes turned
        into corners), or None.
    reading
        How `raw` was read, a `nbvlm.grounding.Reading`, or None.

    Raises
    ------
    ValueError
        For a value outside its range or of another kind.

    Examples
    --------
    >>> Detection("cat", (10, 20, 110.5, 80))
    Detection('cat', (10.0, 20.0, 110.5, 80.0))
    """

    label: str
    box: Box
    codes: Codes | None = None
    mask: MaskField = MaskField(lambda one: one.lazy_mask.mask())  # noqa: RUF009 - a descriptor without state
    size: Size | None = field(default=None, kw_only=True)
    codebook: Codebook | str | None = field(default=None, kw_only=True)
    point: Point | None = field(default=None, kw_only=True)
    raw: tuple[float, ...] | None = field(default=None, kw_only=True)
    reading: Reading | None = field(default=None, kw_only=True)
    if TYPE_CHECKING:  # not a field at run time: dataclasses.asdict would list it
        lazy_mask: LazyMask = field(init=False)
        origin: Origin | None = field(init=False)

    def __post_init__(self) -> None:
        label, box, codes = checks.label_of(self.label), checks.box_of(self.box), checks.codes_of(self.codes)
        given = self.__dict__.pop("_given", None)
        size = size_of(self.size) if self.size is not None else None
        if given is not None:
            size = size or np.shape(given)[1::-1]
            given = checks.mask_of(given, size)
        mask = LazyMask(box, size, codes, self.codebook, given)
        point, raw = checks.point_of(self.point), checks.raw_of(self.raw)
        self.__dict__.update(
            label=label, box=box, codes=codes, size=size, lazy_mask=mask, point=point, raw=raw, origin=None
        )

    @property
    def area(self) -> float:
        """Area of the box in pixels; 0 for a point, and where the corners are swapped."""
        return float(areas(np.array([self.box]))[0])

    def crop(self, picture: ImageSource | None = None, *, margin: float = 0) -> Image.Image:
        """Cut the thing out of its picture.

        Parameters
        ----------
        picture
            The picture that was asked about, in any form that `Client.ask` takes; a detection of a
            `nbvlm.Result` knows its own.
        margin
            Pixels around the box, from 0 on.

        Returns
        -------
        PIL.Image.Image
            Whole pixels within the picture, at least one each way.

        Raises
        ------
        ValueError
            The picture is not known, or has another size.
        ImageError
            The picture cannot be read, or the result holds no bytes of it.

        Examples
        --------
        >>> import PIL.Image
        >>> Detection("cat", (10, 20, 50, 40)).crop(PIL.Image.new("RGB", (100, 80)), margin=5).size
        (50, 30)
        """
        if picture is None and self.origin is not None:
            picture = self.origin.picture
        return origins.crop(picture, self.box, self.size, margin)

    @property
    def mask_crop(self) -> MaskCrop | None:
        """The part of the mask that can be true, and its place: small where the picture is large."""
        return self.lazy_mask.crop()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Detection):
            return NotImplemented
        mine = (self.label, self.box, self.point, self.size)
        same = mine == (other.label, other.box, other.point, other.size)
        return same and self.lazy_mask.same(other.lazy_mask)

    def __hash__(self) -> int:
        return hash((self.label, self.box))

    def __repr__(self) -> str:
        box = tuple(round(value, 2) for value in self.point or self.box)
        masked = ", mask" if self.lazy_mask.known else ", codes" if self.codes else ""
        return f"Detection({self.label!r}, {box}{masked})"

    def __reduce__(self) -> tuple[Any, ...]:
        column = Detections.of([self], self.size or (1, 1))
        return _unpickle_one, (column, self.size is None)


@dataclass(frozen=True, repr=False, eq=False)
class Detections:
    """Things that the model found in one picture, column by column; iterates as `Detection`.

    Parameters
    ----------
    xyxy
        n×4 corners x0, y0, x1, y1 in pixels of the upright picture; kept as float64, read only.
    labels
        n labels; "" where the model gave none. A tuple, but `labels == "cat"` is a boolean array.
    size
        Width and height of the picture in pixels.
    masks
        n masks, height×width bool or None each. Those not given are decoded from the codes when
        they are first read.
    codes
        n times 16 codes, or None.
    codebook
        Decodes the codes: a `nbvlm.grounding.Codebook`, its name, or None for no masks.
    points
        n points (x, y) in pixels, None where the model gave a box.
    raw
        n times the numbers as the model wrote them, or None.
    readings
        n times how they were read, a `nbvlm.grounding.Reading`, or None.

    Raises
    ------
    ValueError
        For columns of different lengths, or a value outside its range or of another kind.

    Examples
    --------
    >>> found = Detections([[0, 0, 9, 9], [5, 5, 8, 8]], ["cat", "dog"], (10, 10))
    >>> found["dog"]
    Detections(1 of 10×10: 'dog')
    >>> found[found.xyxy[:, 0] < 5].labels
    ('cat',)
    >>> found[(found.labels == "dog") & (found.areas < 100)].labels
    ('dog',)
    """

    xyxy: npt.NDArray[np.float64]
    labels: Labels
    size: Size
    masks: MasksField = MasksField(all_masks)  # noqa: RUF009 - as above
    codes: tuple[Codes | None, ...] = field(default=(), kw_only=True)
    codebook: Codebook | str | None = field(default=None, kw_only=True)
    points: tuple[Point | None, ...] = field(default=(), kw_only=True)
    raw: tuple[tuple[float, ...] | None, ...] = field(default=(), kw_only=True)
    readings: tuple[Reading | None, ...] = field(default=(), kw_only=True)
    if TYPE_CHECKING:
        lazy_masks: tuple[LazyMask, ...] = field(init=False)
        origin: Origin | None = field(init=False)

        # A type checker takes any labels.
        def __init__(
            self,
            xyxy: npt.ArrayLike,
            labels: Iterable[str],
            size: Size,
            masks: Any = None,
            *,
            codes: tuple[Codes | None, ...] = (),
            codebook: Codebook | str | None = None,
            points: tuple[Point | None, ...] = (),
            raw: tuple[tuple[float, ...] | None, ...] = (),
            readings: tuple[Reading | None, ...] = (),
        ) -> None: ...

    def __post_init__(self) -> None:
        labels = Labels(checks.label_of(label) for label in self.labels)
        xyxy, size = checks.xyxy_of(self.xyxy, len(labels)), size_of(self.size)
        codes = tuple(checks.codes_of(row) for row in self.codes or (None,) * len(labels))
        given = self.__dict__.pop("_given", None)
        given = given if given is not None else (None,) * len(labels)
        masks = [checks.mask_of(mask, size) for mask in given]
        if not len(labels) == len(codes) == len(masks):
            lengths = f"{len(labels)}, {len(codes)} and {len(masks)}"
            raise ValueError(f"labels, codes and masks must have the same length, got {lengths}.")
        lazy_masks = tuple(
            LazyMask(tuple(box), size, row, self.codebook, mask)
            for box, row, mask in zip(xyxy.tolist(), codes, masks, strict=True)
        )
        count = len(labels)
        self.__dict__.update(
            xyxy=xyxy,
            labels=labels,
            size=size,
            codes=codes,
            lazy_masks=lazy_masks,
            origin=None,
            points=checks.column_of(self.points, count, "points", checks.point_of),
            raw=checks.column_of(self.raw, count, "raw", checks.raw_of),
            readings=checks.column_of(self.readings, count, "readings", lambda reading: reading),
        )

    @classmethod
    def empty(cls, size: Size) -> Detections:
        """Make an empty column for a picture of this width and height."""
        return cls(np.empty((0, 4)), (), size)

    @classmethod
    def of(cls, detections: Iterable[Detection], size: Size) -> Detections:
        """Join single detections of a picture of `size`, width and height in pixels.

        Masks that are decoded already are not decoded again.
        """
        rows, size = list(detections), size_of(size)
        if not rows:
            return _none(size)  # most answers are texts
        return cls._unchecked(
            np.array([row.box for row in rows], dtype=float).reshape(-1, 4),
            Labels(row.label for row in rows),
            size,
            codes=tuple(row.codes for row in rows),
            points=tuple(row.point for row in rows),
            raw=tuple(row.raw for row in rows),
            readings=tuple(row.reading for row in rows),
            masks=tuple(_fitted(row, size) for row in rows),
            origin=origins.joined(row.origin for row in rows),
        )

    @property
    def mask_crops(self) -> tuple[MaskCrop | None, ...]:
        """The parts of the masks that can be true: all that drawing needs, without full-size arrays."""
        decode_masks(self.lazy_masks)
        return tuple(mask.crop() for mask in self.lazy_masks)

    @property
    def areas(self) -> npt.NDArray[np.float64]:
        """Areas of the boxes in pixels; 0 where the corners are swapped."""
        return areas(self.xyxy)

    def to_dataframe(self) -> pd.DataFrame:
        """Make a pandas table, one row a detection.

        Returns
        -------
        pandas.DataFrame
            `label`; `x0, y0, x1, y1, width, height, area` in pixels as floats; `mask_area` in pixels, missing
            without a mask; `x0_norm … y1_norm` as shares of the picture. Detections of a `nbvlm.Result` have
            `model, endpoint, notices` too.

        Raises
        ------
        Error
            pandas is not installed; the message has the line that installs it.
        """
        return tables.dataframe(self, self.origin)

    def bound_to(self, origin: Origin | None) -> Detections:
        """Return the same detections as those of this answer: of its picture, with its notices."""
        bound = object.__new__(Detections)
        bound.__dict__.update(self.__dict__, origin=origin)
        return bound

    def unique(self, iou: float = 0.9) -> Detections:
        """Drop repetitions: of boxes with one label that overlap by `iou` or more, the first is kept.

        Parameters
        ----------
        iou
            Intersection over union, above 0 and up to 1. Equal boxes always count as repeated.
        """
        if not 0 < iou <= 1:
            raise ValueError(f"iou must be above 0 and at most 1, got {iou}.")
        keep = np.ones(len(self), dtype=bool)
        labels = np.array(self.labels, dtype=object)
        for index in range(len(self)):
            if keep[index]:
                box, later = self.xyxy[index], self.xyxy[index + 1 :]
                same = (overlaps(box[None], later)[0] >= iou) | (later == box).all(axis=1)
                keep[index + 1 :] &= ~(same & (labels[index + 1 :] == labels[index]))
        return self[keep]

    def reproject(
        self,
        *,
        order: Order | None = None,
        scale: float | tuple[float, float] | Literal["pixels"] | None = None,
    ) -> Detections:
        """Read the numbers of the answer again, in another order or on another scale.

        Models drift between conventions, and a swapped order cannot be seen in the numbers.

        Parameters
        ----------
        order
            "xyxy" or "yxyx"; by default as it was read.
        scale
            The number at the right and bottom edge (1000, 100, 1), "pixels" of this picture, or the width and
            height of the picture that the model saw; by default as it was read.

        Returns
        -------
        Detections
            Rows without `raw` stay as they are, masks that are given or decoded from codes are decoded in the
            new boxes; corners are put in order and kept within the picture.

        Raises
        ------
        ValueError
            For an order or scale of another kind.

        Examples
        --------
        >>> found = Detections([[0, 0, 1, 1]], ["cat"], (640, 480), raw=[(100, 200, 300, 400)])
        >>> found.reproject(order="yxyx", scale=1000).xyxy
        array([[128.,  48., 256., 144.]])
        """
        if order not in ("xyxy", "yxyx", None):
            raise ValueError(f'order must be "xyxy" or "yxyx", got {order!r}.')
        return Detections.of((self._read_again(row, order, scale) for row in self), self.size)

    def _read_again(self, row: Detection, order: Order | None, scale: Any) -> Detection:
        if row.raw is None:
            return row
        reading = (row.reading or Reading()).but(order, scale, self.size)
        box, pixels, _ = placed(row.raw, reading, self.size)
        old = row.lazy_mask
        given = Outline(pixels) if len(pixels) > 4 else old.given
        if given is old.given and isinstance(given, Outline):
            given = None  # an outline beside a box was read with it
        mask = LazyMask(box, self.size, row.codes, row.codebook, given)
        point = (box[0], box[1]) if len(row.raw) == 2 else None
        return unchecked(
            row.label, box, row.codes, self.size, mask, point, row.raw, reading, origin=self.origin
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[Detection]:
        return (self[index] for index in range(len(self)))

    @overload
    def __getitem__(self, key: int) -> Detection: ...
    @overload
    def __getitem__(self, key: str | slice | npt.ArrayLike) -> Detections: ...
    def __getitem__(self, key: Any) -> Detection | Detections:
        if isinstance(key, int | np.integer) and not isinstance(key, bool | np.bool_):
            row = checks.row_of(int(key), len(self))
            x0, y0, x1, y1 = self.xyxy[row].tolist()
            return unchecked(
                self.labels[row],
                (x0, y0, x1, y1),
                self.codes[row],
                self.size,
                self.lazy_masks[row],
                self.points[row],
                self.raw[row],
                self.readings[row],
                origin=self.origin,
            )
        rows = checks.rows_of(key, self.labels)
        return self._unchecked(
            self.xyxy[rows],
            Labels(self.labels[row] for row in rows),
            self.size,
            codes=tuple(self.codes[row] for row in rows),
            points=tuple(self.points[row] for row in rows),
            raw=tuple(self.raw[row] for row in rows),
            readings=tuple(self.readings[row] for row in rows),
            masks=tuple(self.lazy_masks[row] for row in rows),
            origin=self.origin,
            codebook=self.codebook,
        )

    @staticmethod
    def _unchecked(
        xyxy: npt.NDArray[np.float64],
        labels: Labels,
        size: Size,
        *,
        masks: tuple[LazyMask, ...],
        origin: Origin | None,
        codebook: Codebook | str | None = None,
        **columns: tuple[Any, ...],
    ) -> Detections:
        """Make a column of values that are checked already; `codebook` holds where the masks have not one."""
        xyxy.flags.writeable = False
        books = {mask.codebook for mask in masks if mask.codes is not None}
        column = object.__new__(Detections)
        column.__dict__.update(
            columns,
            xyxy=xyxy,
            labels=labels,
            size=size,
            lazy_masks=masks,
            codebook=books.pop() if len(books) == 1 else codebook,
            origin=origin,
        )
        return column

    def __add__(self, other: Detections) -> Detections:
        if not isinstance(other, Detections):
            return NotImplemented
        if self.size != other.size:
            sizes = f"{by(self.size)} and {by(other.size)}"
            raise ValueError(f"Detections to be joined must refer to pictures of one size, got {sizes}.")
        return self._unchecked(
            np.concatenate([self.xyxy, other.xyxy]),
            Labels(self.labels + other.labels),
            self.size,
            codes=self.codes + other.codes,
            points=self.points + other.points,
            raw=self.raw + other.raw,
            readings=self.readings + other.readings,
            masks=self.lazy_masks + other.lazy_masks,
            origin=origins.joined([self.origin, other.origin]),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Detections):
            return NotImplemented
        mine = (self.size, self.labels, self.points)
        same = mine == (other.size, other.labels, other.points)
        pairs = zip(self.lazy_masks, other.lazy_masks, strict=False)
        return same and np.array_equal(self.xyxy, other.xyxy) and all(one.same(two) for one, two in pairs)

    def __hash__(self) -> int:
        return hash((self.size, self.labels, tuple(map(tuple, self.xyxy.tolist()))))

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self.labels[:6])) + (", …" if len(self) > 6 else "")
        return f"Detections({len(self)} of {by(self.size)}{': ' if shown else ''}{shown})"

    def __getstate__(self) -> dict[str, Any]:
        return {
            "xyxy": np.array(self.xyxy),
            "labels": self.labels,
            "size": self.size,
            "codes": self.codes,
            "given": tuple(mask.given for mask in self.lazy_masks),
            "codebooks": tuple(_portable(mask.codebook) for mask in self.lazy_masks),
            "codebook": _portable(self.codebook),
            "points": self.points,
            "raw": self.raw,
            "readings": self.readings,
            # The notices travel, the picture does not: it would be in the pickle once a detection.
            "origin": self.origin and replace(self.origin, picture=None),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        books, given, origin = state.pop("codebooks"), state.pop("given"), state.pop("origin")
        self.__init__(**state)  # type: ignore[misc]  # the state is the arguments
        for mask, book, one in zip(self.lazy_masks, books, given, strict=True):
            mask.codebook, mask.given = book, one
        self.__dict__.update(origin=origin)


def unchecked(
    label: str,
    box: Box,
    codes: Codes | None,
    size: Size | None,
    mask: LazyMask,
    point: Point | None = None,
    raw: tuple[float, ...] | None = None,
    reading: Reading | None = None,
    *,
    origin: Origin | None = None,
) -> Detection:
    """Make a detection of values that are known to be right, without checking them."""
    one = object.__new__(Detection)
    one.__dict__.update(
        label=label,
        box=box,
        codes=codes,
        size=size,
        codebook=mask.codebook,
        lazy_mask=mask,
        point=point,
        raw=raw,
        reading=reading,
        origin=origin,
    )
    return one


@functools.lru_cache(maxsize=64)
def _none(size: Size) -> Detections:
    return Detections.empty(size)


def _unpickle_one(column: Detections, sizeless: bool) -> Detection:
    one = column[0]
    if sizeless:
        one.__dict__.update(size=None)
    return one


def _fitted(row: Detection, size: Size) -> LazyMask:
    old = row.lazy_mask
    if old.size == size:
        return old
    if old.given is not None and old.size is not None:
        sizes = f"{by(size)}, got {by(old.size)}"
        raise ValueError(f"A mask must have the size of its picture, {sizes}.")
    return LazyMask(row.box, size, row.codes, row.codebook, given=old.given)


def _portable(book: Codebook | str | None) -> Codebook | str | None:
    return getattr(book, "name", None) or book
