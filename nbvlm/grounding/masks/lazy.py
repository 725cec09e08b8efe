"""Masks that are decoded when they are first read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar, overload

import numpy as np

from nbvlm.errors import Error
from nbvlm.grounding.masks.codebooks import found, paste_crop
from nbvlm.grounding.masks.rle import RunLengths
from nbvlm.grounding.masks.types import Box, Codes, Mask, MaskCrop, Size

if TYPE_CHECKING:
    import numpy.typing as npt

    from nbvlm.grounding.detections import Detections
    from nbvlm.grounding.masks.codebooks import Codebook

__all__ = ["Decoded", "LazyMask", "MaskField", "Masks", "MasksField", "all_masks", "decode_masks", "decoded"]


MOST_PIXELS = 1 << 29
"""Pixels, a byte each, that the masks of one answer may have in all; each counts where it can be true."""


class Shape(Protocol):
    """A mask in a form that takes little room: run lengths, an outline, a small picture."""

    def crop(self, box: Box, size: Size | None) -> MaskCrop | None:
        """Return the part of the mask in a box that can be true; None where the form cannot be read."""


class LazyMask:
    """A mask that is given, or that is decoded from a shape or 16 codes when it is first read.

    The box is in pixels of the picture, whose `size` is width and height; a codebook of None means no mask.
    """

    __slots__ = ("_crop", "box", "codebook", "codes", "given", "size")

    def __init__(
        self,
        box: Box,
        size: Size | None,
        codes: Codes | None = None,
        codebook: Codebook | str | None = None,
        given: Mask | Shape | None = None,
    ) -> None:
        self.box, self.size, self.codes, self.codebook, self.given = box, size, codes, codebook, given
        self._crop: MaskCrop | None = None

    @property
    def known(self) -> bool:
        """Whether there is a mask at all, decoded or not."""
        if isinstance(self.given, np.ndarray | RunLengths):
            return True
        return self.size is not None and (self.given is not None or None not in (self.codes, self.codebook))

    @property
    def pending(self) -> bool:
        """Whether the mask is still to be decoded."""
        return self.known and self._crop is None and not isinstance(self.given, np.ndarray)

    @property
    def area(self) -> int:
        """Count the pixels of the part that can be true."""
        if isinstance(self.given, RunLengths):
            x0, y0, x1, y1 = self.given.window
        elif self.size is not None:
            (x0, x1), (y0, y1) = (
                (min(max(int(corner), 0), side) for corner in self.box[axis::2])
                for axis, side in enumerate(self.size)
            )
        else:
            return 0
        return max(0, x1 - x0) * max(0, y1 - y0)

    def same(self, other: LazyMask) -> bool:
        """Compare two masks: by their codes if either has them, else by their pixels."""
        if self.codes is not None or other.codes is not None:
            return self.codes == other.codes
        if self.given is other.given:
            return True
        one, two = self.crop(), other.crop()
        if one is None or two is None:
            return one is two
        one, two = _trimmed(one), _trimmed(two)
        return (one.x, one.y) == (two.x, two.y) and np.array_equal(one.pixels, two.pixels)

    def within(self, values: int) -> bool:
        """Check that all codes are below `values`; if not, the mask stays None."""
        fits = max(self.codes or (0,)) < values
        if not fits:
            self.codebook = None
        return fits

    def fill(self, raster: npt.NDArray[np.float32]) -> None:
        """Place a decoded 64×64 raster in the box."""
        if self.size is not None:
            self._crop = paste_crop(raster, self.box, self.size)

    def crop_shape(self) -> None:
        """Decode the shape; if it cannot be read, the mask stays None."""
        if self.given is not None and not isinstance(self.given, np.ndarray):
            self._crop = self.given.crop(self.box, self.size)
            if self._crop is None:
                self.given = None

    def crop(self) -> MaskCrop | None:
        """Return the part that can be true; decodes on first use."""
        if self._crop is None and isinstance(self.given, np.ndarray):
            self._crop = _cropped(self.given)
        if self.pending:
            decode_masks([self])
        return self._crop

    def mask(self) -> Mask | None:
        """Return the mask of the whole picture, height×width, read only; decodes on first use."""
        if isinstance(self.given, np.ndarray):
            return self.given
        crop = self.crop()
        if crop is None or self.size is None:
            return None
        mask = crop.spread(self.size)
        mask.flags.writeable = False
        return mask


def _trimmed(crop: MaskCrop) -> MaskCrop:
    """Take rows and columns off that hold no mask, so that crops of one mask are equal."""
    inner = _cropped(crop.pixels)
    return MaskCrop(inner.x + crop.x, inner.y + crop.y, inner.pixels) if inner.pixels.size else inner


def _cropped(mask: Mask) -> MaskCrop:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return MaskCrop(0, 0, mask[:0, :0])
    (top, bottom), (left, right) = rows[[0, -1]], columns[[0, -1]]
    return MaskCrop(int(left), int(top), mask[top : bottom + 1, left : right + 1])


def decode_masks(masks: Iterable[LazyMask]) -> None:
    """Decode all pending masks, those of one codebook together.

    Raises
    ------
    Error
        A codebook cannot be had, or the masks have more than `MOST_PIXELS`.
    """
    pending = [mask for mask in masks if mask.pending]
    area = sum(mask.area for mask in pending)
    if area > MOST_PIXELS:
        message = f"The {len(pending)} masks of the answer have {area:,} pixels, more than {MOST_PIXELS:,}."
        raise Error(message, hint="Read them one by one: detections[0].mask.")
    groups: dict[Codebook | str, list[LazyMask]] = {}
    for mask in pending:
        if mask.given is not None:
            mask.crop_shape()
        elif mask.codebook is not None:
            groups.setdefault(mask.codebook, []).append(mask)
    for key, group in groups.items():
        book = found(key) if isinstance(key, str) else key
        valid = [mask for mask in group if mask.within(book.values)]
        for mask, raster in zip(valid, book.decode([mask.codes or () for mask in valid]), strict=True):
            mask.fill(raster)


Given = TypeVar("Given")
Read = TypeVar("Read")


class Masks(Sequence[Mask | None]):
    """The masks of many detections: each is spread over the picture when it is read.

    A mask is as large as its picture, so only the part inside the box is kept.
    """

    __slots__ = ("_masks",)

    def __init__(self, masks: Sequence[LazyMask]) -> None:
        self._masks = tuple(masks)

    def __len__(self) -> int:
        return len(self._masks)

    @overload
    def __getitem__(self, index: int) -> Mask | None: ...
    @overload
    def __getitem__(self, index: slice) -> Masks: ...
    def __getitem__(self, index: int | slice) -> Mask | Masks | None:
        decode_masks(self._masks)
        return Masks(self._masks[index]) if isinstance(index, slice) else self._masks[index].mask()

    def __repr__(self) -> str:
        return f"<{sum(mask.known for mask in self._masks)} masks of {len(self)} detections>"


class LazyField(Generic[Given, Read]):
    """A field of a frozen value: keeps the mask or masks given, and reads them from the value's lazy ones."""

    def __init__(self, read: Callable[[Any], Read]) -> None:
        self._read = read

    @overload
    def __get__(self, value: None, owner: Any) -> None: ...
    @overload
    def __get__(self, value: object, owner: Any) -> Read: ...
    def __get__(self, value: object | None, owner: Any) -> Read | None:
        return None if value is None else self._read(value)

    def __set__(self, value: object, given: Given) -> None:
        value.__dict__["_given"] = given


def all_masks(column: Any) -> Sequence[Mask | None]:
    """Return the masks of detections, without decoding them; all None if none has a mask."""
    lazy: tuple[LazyMask, ...] = column.lazy_masks
    return Masks(lazy) if any(mask.known for mask in lazy) else (None,) * len(lazy)


MaskField = LazyField["npt.ArrayLike | None", Mask | None]
MasksField = LazyField["Sequence[npt.ArrayLike | None] | None", Sequence[Mask | None]]


class Decoded(NamedTuple):
    """The masks of all detections, and the reason where they are missing."""

    mask_crops: tuple[MaskCrop | None, ...]
    reason: str | None = None


def decoded(detections: Detections) -> Decoded:
    """Decode the masks; where the codebook cannot be had, return None for each, and the reason."""
    try:
        return Decoded(detections.mask_crops)
    except Error as error:
        return Decoded((None,) * len(detections), str(error))
