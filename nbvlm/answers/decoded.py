"""The masks that can be had here: a codebook that is out of reach costs masks, not the result."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nbvlm.errors import Error

if TYPE_CHECKING:
    from nbvlm.answers.stencils import Patch
    from nbvlm.detections import Detections

__all__ = ["Decoded", "decoded"]


class Decoded(NamedTuple):
    """Masks of all detections, and why they are missing where they are."""

    patches: tuple[Patch | None, ...]
    reason: str | None = None


def decoded(detections: Detections) -> Decoded:
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
