"""The mask of one detection: where it comes from, and what it is once somebody asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, overload

import numpy as np

from nbvlm.errors import Error
from nbvlm.grounding.masks.codebooks import codebook, patch
from nbvlm.grounding.masks.types import Box, Mask, Patch, Size

if TYPE_CHECKING:
    import numpy.typing as npt

    from nbvlm.grounding.masks.codebooks import Codebook

__all__ = ["Decoded", "MaskField", "Masks", "MasksField", "Stencil", "decoded", "resolve"]


class Stencil:
    """A mask that is given, or that is decoded from 16 codes when it is first wanted.

    Parameters
    ----------
    box
        Corners x0, y0, x1, y1 in pixels.
    size
        Width and height of the picture in pixels.
    codes
        The 16 codes, or None.
    codebook
        What decodes them: a `Codebook`, its name, or None for no mask.
    given
        A mask that is known already, height×width bool.
    """

    __slots__ = ("_patch", "box", "codebook", "codes", "given", "size")

    def __init__(
        self,
        box: Box,
        size: Size | None,
        codes: tuple[int, ...] | None = None,
        codebook: Codebook | str | None = None,
        given: Mask | None = None,
    ) -> None:
        self.box, self.size, self.codes, self.codebook, self.given = box, size, codes, codebook, given
        self._patch: Patch | None = None

    @property
    def known(self) -> bool:
        """Whether there is a mask at all, decoded or not."""
        return self.given is not None or self.lazy

    @property
    def lazy(self) -> bool:
        """Whether the mask comes from codes."""
        return self.given is None and None not in (self.codes, self.codebook, self.size)

    @property
    def waiting(self) -> bool:
        """Whether the mask has still to be decoded."""
        return self.lazy and self._patch is None

    def same(self, other: Stencil) -> bool:
        """Whether both are one mask: by their codes where there are any, else by their pixels."""
        if self.codes is not None or other.codes is not None:
            return self.codes == other.codes
        if self.given is None or other.given is None:
            return self.given is other.given
        return np.array_equal(self.given, other.given)

    def within(self, values: int) -> bool:
        """Whether all codes are among so many; else there is no mask, now or later."""
        fits = max(self.codes or (0,)) < values
        if not fits:
            self.codebook = None
        return fits

    def fill(self, raster: npt.NDArray[np.float32]) -> None:
        """Place a decoded 64×64 raster in the box."""
        if self.size is not None:
            self._patch = patch(raster, self.box, self.size)

    def patch(self) -> Patch | None:
        """Give the part that can be true; decodes on first use."""
        if self._patch is None and self.given is not None:
            self._patch = _crop(self.given)
        if self.waiting:
            resolve([self])
        return self._patch

    def mask(self) -> Mask | None:
        """Give the mask of the whole picture, height×width; decodes on first use."""
        if self.given is not None:
            return self.given
        patch = self.patch()
        return patch.spread(self.size) if patch is not None and self.size is not None else None


def _crop(mask: Mask) -> Patch:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return Patch(0, 0, mask[:0, :0])
    (top, bottom), (left, right) = rows[[0, -1]], columns[[0, -1]]
    return Patch(int(left), int(top), mask[top : bottom + 1, left : right + 1])


def resolve(stencils: Iterable[Stencil]) -> None:
    """Decode all masks that wait, those of one codebook together."""
    groups: dict[Codebook | str, list[Stencil]] = {}
    for stencil in stencils:
        if stencil.waiting and stencil.codebook is not None:
            groups.setdefault(stencil.codebook, []).append(stencil)
    for key, group in groups.items():
        book = codebook(key) if isinstance(key, str) else key
        within = [stencil for stencil in group if stencil.within(book.values)]
        rasters = book.decode([stencil.codes or () for stencil in within])
        for stencil, raster in zip(within, rasters, strict=True):
            stencil.fill(raster)


class Masks(Sequence[Mask | None]):
    """The masks of many detections: each is spread over the picture when it is looked at.

    A mask is as large as its picture, so only the part inside the box is kept.
    """

    __slots__ = ("_stencils",)

    def __init__(self, stencils: Sequence[Stencil]) -> None:
        self._stencils = tuple(stencils)

    def __len__(self) -> int:
        return len(self._stencils)

    @overload
    def __getitem__(self, index: int) -> Mask | None: ...
    @overload
    def __getitem__(self, index: slice) -> Masks: ...
    def __getitem__(self, index: int | slice) -> Mask | Masks | None:
        resolve(self._stencils)
        if isinstance(index, slice):
            return Masks(self._stencils[index])
        return self._stencils[index].mask()

    def __repr__(self) -> str:
        known = sum(stencil.known for stencil in self._stencils)
        return f"<{known} masks of {len(self)} detections>"


class MaskField:
    """The field of a frozen value that holds its mask: given once, decoded when it is read."""

    @overload
    def __get__(self, value: None, owner: Any) -> None: ...
    @overload
    def __get__(self, value: object, owner: Any) -> Mask | None: ...
    def __get__(self, value: object | None, owner: Any) -> Mask | None:
        stencil: Stencil | None = None if value is None else value.__dict__["stencil"]
        return stencil.mask() if stencil is not None else None

    def __set__(self, value: object, given: npt.ArrayLike | None) -> None:
        value.__dict__["_given"] = given


class MasksField:
    """The field of a frozen value that holds the masks of a column, likewise."""

    @overload
    def __get__(self, value: None, owner: Any) -> None: ...
    @overload
    def __get__(self, value: object, owner: Any) -> Sequence[Mask | None]: ...
    def __get__(self, value: object | None, owner: Any) -> Sequence[Mask | None] | None:
        if value is None:
            return None
        stencils: tuple[Stencil, ...] = value.__dict__["stencils"]
        return Masks(stencils) if any(stencil.known for stencil in stencils) else (None,) * len(stencils)

    def __set__(self, value: object, given: Sequence[npt.ArrayLike | None] | None) -> None:
        value.__dict__["_given"] = given


class HasMasks(Protocol):
    """Detections, as far as their masks go."""

    @property
    def patches(self) -> tuple[Patch | None, ...]:
        """The parts of the masks that can be true; reading them decodes."""

    def __len__(self) -> int: ...


class Decoded(NamedTuple):
    """Masks of all detections, and why they are missing where they are."""

    patches: tuple[Patch | None, ...]
    reason: str | None = None


def decoded(detections: HasMasks) -> Decoded:
    """Decode the masks, or say why that is not possible.

    Parameters
    ----------
    detections
        Whose masks; they are decoded once, when first asked for.

    Returns
    -------
    Decoded
        None for every mask, and the reason, where the codebook cannot be had.
    """
    try:
        return Decoded(detections.patches)
    except Error as error:
        return Decoded((None,) * len(detections), str(error))
