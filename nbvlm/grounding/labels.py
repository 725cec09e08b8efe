"""The labels of a column of detections: a tuple that compares with a label as a numpy array does."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Labels"]


class Labels(tuple[str, ...]):
    """Labels, one a detection; a tuple, but a comparison with one label is made label by label.

    Examples
    --------
    >>> labels = Labels(["cat", "dog"])
    >>> labels == "cat"
    array([ True, False])
    >>> labels == ("cat", "dog")
    True
    """

    __slots__ = ()

    def __eq__(self, other: object) -> Any:
        if isinstance(other, str):
            return np.array([label == other for label in self], dtype=bool)
        # An array compares label by label too, once the tuple has left it the comparison.
        return NotImplemented if isinstance(other, np.ndarray) else tuple.__eq__(self, other)

    def __ne__(self, other: object) -> Any:
        if isinstance(other, str):
            return np.array([label != other for label in self], dtype=bool)
        return NotImplemented if isinstance(other, np.ndarray) else tuple.__ne__(self, other)

    __hash__ = tuple.__hash__

    def __getnewargs__(self) -> tuple[tuple[str, ...]]:
        return (tuple(self),)
