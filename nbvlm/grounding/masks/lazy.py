"""Masks that are decoded when they are first read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, overload

import numpy as np

from nbvlm.errors import Error
from nbvlm.grounding.masks.codebooks import codebook, paste_crop
from nbvlm.grounding.masks.types import Box, Codes, Mask, MaskCrop, Size

if TYPE_CHECKING:
    import numpy.typing as npt

    from nbvlm.grounding.masks.codebooks import Codebook

__all__ = ["Decoded", "LazyMask", "MaskField", "Masks", "MasksField", "decode_masks", "decoded"]


class LazyMask:
    """A mask that is given, or that is decoded from 16 codes when it is first read.

    Parameters
    ----------
    box
        Corners x0, y0, x1, y1 in pixels.
    size
        Width and height of the picture in pixels.
    codes
        The 16 codes, or None.
    codebook
        Decodes the codes: a `Codebook`, its name, or None for no mask.
    given
        A mask that is known already, height×width bool.
    """

    __slots__ = ("_crop", "box", "codebook", "codes", "given", "size")

    def __init__(
        self,
        box: Box,
        size: Size | None,
        codes: Codes | None = None,
        codebook: Codebook | str | None = None,
        given: Mask | None = None,
    ) -> None:
        self.box, self.size, self.codes, self.codebook, self.given = box, size, codes, codebook, given
        self._crop: MaskCrop | None = None

    @property
    def known(self) -> bool:
        """Whether there is a mask at all, decoded or not."""
        return self.given is not None or self._decodable

    @property
    def _decodable(self) -> bool:
        return self.given is None and None not in (self.codes, self.codebook, self.size)

    @property
    def pending(self) -> bool:
        """Whether the mask is still to be decoded."""
        return self._decodable and self._crop is None

    def same(self, other: LazyMask) -> bool:
        """Compare two masks: by their codes where there are any, else by their pixels."""
        if self.codes is not None or other.codes is not None:
            return self.codes == other.codes
        if self.given is None or other.given is None:
            return self.given is other.given
        return np.array_equal(self.given, other.given)

    def within(self, values: int) -> bool:
        """Check that all codes are below `values`; if not, there is no mask, now or later."""
        fits = max(self.codes or (0,)) < values
        if not fits:
            self.codebook = None
        return fits

    def fill(self, raster: npt.NDArray[np.float32]) -> None:
        """Place a decoded 64×64 raster in the box."""
        if self.size is not None:
            self._crop = paste_crop(raster, self.box, self.size)

    def crop(self) -> MaskCrop | None:
        """Return the part that can be true; decodes on first use."""
        if self._crop is None and self.given is not None:
            self._crop = _cropped(self.given)
        if self.pending:
            decode_masks([self])
        return self._crop

    def mask(self) -> Mask | None:
        """Return the mask of the whole picture, height×width, read only; decodes on first use."""
        if self.given is not None:
            return self.given
        crop = self.crop()
        if crop is None or self.size is None:
            return None
        mask = crop.spread(self.size)
        mask.flags.writeable = False
        return mask


def _cropped(mask: Mask) -> MaskCrop:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return MaskCrop(0, 0, mask[:0, :0])
    (top, bottom), (left, right) = rows[[0, -1]], columns[[0, -1]]
    return MaskCrop(int(left), int(top), mask[top : bottom + 1, left : right + 1])


def decode_masks(masks: Iterable[LazyMask]) -> None:
    """Decode all pending masks, those of one codebook together."""
    groups: dict[Codebook | str, list[LazyMask]] = {}
    for mask in masks:
        if mask.pending and mask.codebook is not None:
            groups.setdefault(mask.codebook, []).append(mask)
    for key, group in groups.items():
        book = codebook(key) if isinstance(key, str) else key
        valid = [mask for mask in group if mask.within(book.values)]
        for mask, raster in zip(valid, book.decode([mask.codes or () for mask in valid]), strict=True):
            mask.fill(raster)


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


class MaskField:
    """The mask of a frozen value, as its field: given once, decoded when it is read."""

    @overload
    def __get__(self, value: None, owner: Any) -> None: ...
    @overload
    def __get__(self, value: object, owner: Any) -> Mask | None: ...
    def __get__(self, value: object | None, owner: Any) -> Mask | None:
        lazy: LazyMask | None = None if value is None else value.__dict__["lazy_mask"]
        return lazy.mask() if lazy is not None else None

    def __set__(self, value: object, given: npt.ArrayLike | None) -> None:
        value.__dict__["_given"] = given


class MasksField:
    """The masks of a column, as its field: given once, decoded when they are read."""

    @overload
    def __get__(self, value: None, owner: Any) -> None: ...
    @overload
    def __get__(self, value: object, owner: Any) -> Sequence[Mask | None]: ...
    def __get__(self, value: object | None, owner: Any) -> Sequence[Mask | None] | None:
        if value is None:
            return None
        lazy: tuple[LazyMask, ...] = value.__dict__["lazy_masks"]
        return Masks(lazy) if any(mask.known for mask in lazy) else (None,) * len(lazy)

    def __set__(self, value: object, given: Sequence[npt.ArrayLike | None] | None) -> None:
        value.__dict__["_given"] = given


class HasMasks(Protocol):
    """Detections, as far as their masks go."""

    @property
    def mask_crops(self) -> tuple[MaskCrop | None, ...]:
        """The parts of the masks that can be true; reading them decodes."""

    def __len__(self) -> int: ...


class Decoded(NamedTuple):
    """The masks of all detections, and the reason where they are missing."""

    mask_crops: tuple[MaskCrop | None, ...]
    reason: str | None = None


def decoded(detections: HasMasks) -> Decoded:
    """Decode the masks; where the codebook cannot be had, return None for each, and the reason."""
    try:
        return Decoded(detections.mask_crops)
    except Error as error:
        return Decoded((None,) * len(detections), str(error))
