"""NanoDet-g, a detector of 80 everyday kinds, run by NumPy alone.

The network is that of RangiLyu's NanoDet (github.com/RangiLyu/nanodet, Apache-2.0, configuration nanodet-g):
a backbone of cross-stage blocks, a path aggregation network without convolutions, and a head of two
convolutions for each of three strides. Arrays are height × width × channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from nbvlm.demo.model import one_thread, sigmoid, softmax

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL import Image

__all__ = ["BINS", "KIND_COUNT", "SIDE", "STRIDES", "WEIGHTS", "Network", "load", "prepared"]

Array = np.ndarray[Any, np.dtype[np.float32]]
Level = tuple[Array, Array]

WEIGHTS = Path(__file__).with_name("weights.npz")
"""Where the package keeps the weights: int8 with a scale for each output channel."""
SIDE = 512
"""Pixels of the longer side that the network sees."""
STRIDES = (8, 16, 32)
"""Pixels between the cells of the three levels."""
KIND_COUNT, BINS = 80, 11
# Mean and deviation of blue, green and red, from NanoDet's configuration.
_MEAN = np.array([103.53, 116.28, 123.675], np.float32)
_DEVIATION = np.array([57.375, 57.12, 58.395], np.float32)
_BAND = 16384  # numbers of a band's windows that stay in a processor's cache: rows × 9 × channels


def prepared(image: Image.Image) -> tuple[Array, float]:
    """Make a picture the network's input.

    Parameters
    ----------
    image
        Any picture in mode RGB.

    Returns
    -------
    pixels : array of float32, height × width × 3
        Blue, green, red, normalised; the longer side has 512 pixels, or as many as the picture where it is
        smaller; both sides are filled to multiples of 32 at the right and below.
    scale
        Pixels of the input for one pixel of the picture.
    """
    from PIL import Image as Images

    scale = SIDE / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    small = image.resize((width, height), Images.Resampling.BILINEAR)
    pixels = (np.asarray(small, np.float32)[:, :, ::-1] - _MEAN) / _DEVIATION
    below, beside = -height % 32, -width % 32
    return np.pad(pixels, ((0, below), (0, beside), (0, 0))), scale


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution of 1 × 1 or 3 × 3 taps, and a leaky rectifier where `slope` is below 1."""

    matrix: Array  # (taps · inputs) × outputs
    bias: Array
    taps: int
    step: int = 1
    slope: float = 0.1

    def __call__(self, x: Array) -> Array:
        y = self._windows(x) if self.taps == 3 else x.reshape(-1, x.shape[2]) @ self.matrix
        y += self.bias
        if self.slope < 1:
            np.maximum(y, y * np.float32(self.slope), out=y)
        rows, columns = -(-x.shape[0] // self.step), -(-x.shape[1] // self.step)
        return y.reshape(rows, columns, -1)

    def _windows(self, x: Array) -> Array:
        """Multiply bands of rows, so that the copied windows stay in the processor's cache."""
        height, width, channels = x.shape
        padded = np.zeros((height + 2, width + 2, channels), np.float32)
        padded[1:-1, 1:-1] = x
        rows, columns = -(-height // self.step), -(-width // self.step)
        down, across, single = padded.strides
        # Three pixels of a row lie side by side: a window is three runs of 3 · channels numbers.
        windows = as_strided(
            padded,
            (rows, columns, 3, 3 * channels),
            (down * self.step, across * self.step, down, single),
            writeable=False,
        )
        y = np.empty((rows * columns, self.matrix.shape[1]), np.float32)
        band = max(1, 16 * _BAND // (columns * 9 * channels))
        copied = np.empty((band, columns, 3, 3 * channels), np.float32)
        for row in range(0, rows, band):
            count = min(band, rows - row)
            copied[:count] = windows[row : row + count]
            flat = copied[:count].reshape(count * columns, -1)
            np.matmul(flat, self.matrix, out=y[row * columns : (row + count) * columns])
        return y


def _largest_of_nine(x: Array) -> Array:
    """Take the largest of each 3 × 3 window, at every second place."""
    height, width, channels = x.shape
    padded = np.full((height + 2, width + 2, channels), -np.inf, np.float32)
    padded[1:-1, 1:-1] = x
    rows = padded[:, 0:-2:2]
    rows = np.maximum(np.maximum(rows, padded[:, 1:-1:2]), padded[:, 2::2][:, : rows.shape[1]])
    y: Array = np.maximum(np.maximum(rows[0:-2:2], rows[1:-1:2]), rows[2::2][: len(rows[0:-2:2])])
    return y


def _doubled(x: Array) -> Array:
    """Enlarge to twice the size, linearly between the centres of the pixels."""
    for axis in (0, 1):
        last = x.shape[axis] - 1
        before = np.take(x, np.maximum(np.arange(last + 1) - 1, 0), axis)
        after = np.take(x, np.minimum(np.arange(last + 1) + 1, last), axis)
        pair = np.stack([x * 0.75 + before * 0.25, x * 0.75 + after * 0.25], axis + 1)
        x = pair.reshape(*x.shape[:axis], -1, *x.shape[axis + 1 :]).astype(np.float32, copy=False)
    return x


def _halved(x: Array) -> Array:
    """Shrink to half the size: the mean of each 2 × 2 block."""
    y: Array = (x[0::2, 0::2] + x[1::2, 0::2] + x[0::2, 1::2] + x[1::2, 1::2]) * np.float32(0.25)
    return y


class Network:
    """The trained network; immutable, for any number of threads.

    Parameters
    ----------
    arrays
        For each of the 34 convolutions, numbered in the order of the network: ``"N.weight"`` (rows ×
        columns × inputs × outputs), of int8 with a float ``"N.scale"`` for each output, or of float; and
        ``"N.bias"``.
    """

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        self._convolutions = [_convolution(arrays, n) for n in range(34)]

    def __call__(self, pixels: Array) -> list[Level]:
        """Run the network.

        Parameters
        ----------
        pixels
            From `prepared`.

        Returns
        -------
        list of (scores, distances)
            For each stride, one row a cell, from the top left: probabilities of the kinds, in 0–1, and the
            distances from the cell's centre to the left, upper, right and lower edge, in pixels.
        """
        with one_thread():
            return [
                self._read(level, stride) for level, stride in zip(self._run(pixels), STRIDES, strict=True)
            ]

    def _run(self, x: Array) -> list[Array]:
        layer = self._convolutions
        stem = layer[1](_largest_of_nine(layer[0](x)))
        first = self._pair(stem, 2)
        fine = np.concatenate([layer[4](first), stem], 2)
        levels = []
        x = fine
        for start, end, lateral in ((5, 10, 25), (11, 16, 26), (17, 24, 27)):
            inner = down = layer[start](x)
            for at in range(start + 1, end, 2):
                inner = self._pair(inner, at)
            x = np.concatenate([layer[end](inner), down], 2)
            levels.append(layer[lateral](x))
        c3, c4, c5 = levels
        c4 = c4 + _doubled(c5)
        c3 = c3 + _doubled(c4)
        c4 = c4 + _halved(c3)
        c5 = c5 + _halved(c4)
        return [layer[at + 1](layer[at](level)) for at, level in ((28, c3), (30, c4), (32, c5))]

    def _pair(self, x: Array, at: int) -> Array:
        """Two convolutions after each other, both results side by side."""
        outer = self._convolutions[at](x)
        return np.concatenate([self._convolutions[at + 1](outer), outer], 2)

    @staticmethod
    def _read(level: Array, stride: int) -> Level:
        flat = level.reshape(-1, level.shape[2])
        likely = softmax(flat[:, KIND_COUNT:].reshape(-1, 4, BINS))
        # "Generalized Focal Loss", Li et al. 2020: a distance is the mean of its distribution.
        distances = np.asarray(likely @ np.arange(BINS) * stride, np.float32)
        return sigmoid(flat[:, :KIND_COUNT]), distances


def _convolution(arrays: Mapping[str, Any], n: int) -> Convolution:
    weight = arrays[f"{n}.weight"]
    if weight.dtype == np.int8:
        weight = weight.astype(np.float32) * arrays[f"{n}.scale"]
    taps = weight.shape[0]
    return Convolution(
        np.ascontiguousarray(weight.reshape(-1, weight.shape[3]), np.float32),
        np.asarray(arrays[f"{n}.bias"], np.float32),
        taps,
        step=2 if n in (0, 5, 11, 17) else 1,
        slope=1.0 if n in (25, 26, 27, 29, 31, 33) else 0.1,
    )


@cache
def load(path: Path = WEIGHTS) -> Network:
    """Load the network; later calls return the same one."""
    with np.load(path) as file:
        return Network({name: file[name] for name in file.files})
