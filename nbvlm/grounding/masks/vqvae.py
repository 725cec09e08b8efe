"""Decode masks in NumPy: the convolutions of a VQ-VAE as small matrix products.

A linear algebra library splits a product among threads above a certain size, and where the cores are busy
its threads wait for each other many times longer than the product takes. Every product here stays below
that size, which costs nothing: stacked by `numpy.matmul` they run as fast as large ones, on one thread.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Decoder"]

Array = npt.NDArray[np.float32]

_ALONE = 64 * 64 * 64  # multiply-adds up to which OpenBLAS keeps a product on one thread
_PIXELS = 64
_KEY = re.compile(r"decoder\.(\d+)\.(?:net\.\d+\.)?weight")


@dataclass(frozen=True, slots=True, eq=False)
class _Pointwise:
    """A convolution with a 1×1 kernel: `weight` is in × out."""

    weight: Array
    bias: Array

    def __call__(self, rows: Array) -> Array:
        product: Array = np.matmul(rows, self.weight)
        product += self.bias
        return product


@dataclass(frozen=True, slots=True, eq=False)
class _Convolution:
    """A convolution with a 3×3 kernel that keeps the size: `taps` are 9 × in × out."""

    taps: Array
    bias: Array

    def __call__(self, grid: Array) -> Array:
        """Batch × rows × columns × channels."""
        count, height, width, channels = grid.shape
        padded = np.zeros((count, height + 2, width + 2, channels), np.float32)
        padded[:, 1:-1, 1:-1] = grid
        down, right = padded.strides[1:3]
        shape, strides = (3, 3, *grid.shape), (down, right, *padded.strides)
        windows = np.lib.stride_tricks.as_strided(padded, shape, strides, writeable=False)
        products = np.matmul(windows.reshape(9, count, height * width, channels), self.taps[:, None])
        total: Array = products.sum(axis=0)
        total += self.bias
        return total.reshape(count, height, width, -1)


@dataclass(frozen=True, slots=True, eq=False)
class _ResidualBlock:
    """Two 3×3 convolutions and one 1×1, added to their input; the sum has no ReLU."""

    first: _Convolution
    second: _Convolution
    third: _Pointwise

    def __call__(self, grid: Array) -> Array:
        """Batch × rows × columns × channels."""
        inner = _relu(self.second(_relu(self.first(grid))))
        sum_: Array = self.third(inner.reshape(len(grid), -1, inner.shape[-1])).reshape(grid.shape)
        sum_ += grid
        return sum_


@dataclass(frozen=True, slots=True, eq=False)
class _Upsampling:
    """A transposed convolution, kernel 4×4, stride 2, padding 1, and ReLU: `weight` is (4 · 4 · out) × in."""

    weight: Array
    bias: Array

    def __call__(self, grid: Array) -> Array:
        """Batch × channels × rows × columns to batch × 2 × 2 × channels × rows × columns.

        The second and third axes separate even from odd rows and columns of the larger grid, which
        `_interleave` makes of them. Tap k of input i belongs to output 2i − 1 + k: even outputs get tap 1 of
        the input below them and tap 3 of the one before, odd outputs get tap 2 and tap 0 of the one after.
        """
        count, _, height, width = grid.shape
        taps = self._products(grid).reshape(count, 4, 4, -1, height, width)
        taps[:, 1, :, :, 1:] += taps[:, 3, :, :, :-1]
        taps[:, 2, :, :, :-1] += taps[:, 0, :, :, 1:]
        rows = taps[:, 1:3]
        # One long line shifts faster than many short ones; values that would cross an end are zeroed before.
        rows[:, :, 3, ..., -1] = 0
        rows[:, :, 0, ..., 0] = 0
        line = rows.reshape(count, 2, 4, -1)
        line[:, :, 1, 1:] += line[:, :, 3, :-1]
        line[:, :, 2, :-1] += line[:, :, 0, 1:]
        phases = rows[:, :, 1:3]
        phases += self.bias[:, None, None]
        return _relu(phases)

    def _products(self, grid: Array) -> Array:
        count, channels, height, width = grid.shape
        pixels, outputs = height * width, len(self.weight)
        some = _divisor(pixels, _PIXELS)
        block = _divisor(outputs, _ALONE // (channels * some))
        columns = grid.reshape(count, channels, -1, some).transpose(0, 2, 1, 3)[:, :, None]
        taps = np.empty((count, outputs, pixels), np.float32)
        into = taps.reshape(count, -1, block, pixels // some, some).transpose(0, 3, 1, 2, 4)
        np.matmul(self.weight.reshape(-1, block, channels), columns, out=into)
        return taps


class Decoder:
    """A decoder whose sizes are those of its weights: `values` codes, rasters of `side` rows and columns.

    Parameters
    ----------
    weights
        Arrays by their PyTorch names: ``_vq_vae._embedding`` (codes × channels), ``decoder.N.weight`` and
        ``.bias`` for convolutions (4×4 kernels are transposed convolutions), ``decoder.N.net.{0,2,4}``
        for residual blocks. Others raise `ValueError`.
    """

    def __init__(self, weights: Mapping[str, npt.NDArray[np.floating]]) -> None:
        try:
            self._build(weights)
            trial = self(np.zeros((1, 16), np.intp))
        except KeyError as error:
            raise ValueError(f"a mask decoder needs {error.args[0]}, which is missing") from error
        except ValueError as error:
            raise ValueError(f"these are not the weights of a mask decoder: {error}") from error
        if trial.shape != (1, self.side, self.side):
            raise ValueError(f"a mask decoder must return rasters, got arrays of shape {trial.shape}")

    def _build(self, weights: Mapping[str, npt.NDArray[np.floating]]) -> None:
        numbers = sorted({int(match[1]) for match in map(_KEY.fullmatch, weights) if match})
        first, *middle, last = (_layer(weights, f"decoder.{number}") for number in numbers)
        self._blocks = [layer for layer in middle if isinstance(layer, _ResidualBlock)]
        self._upsamplings = [layer for layer in middle if isinstance(layer, _Upsampling)]
        if not isinstance(first, _Pointwise) or not isinstance(last, _Pointwise) or not self._upsamplings:
            raise ValueError("the layers are of other kinds")
        if middle != [*self._blocks, *self._upsamplings]:
            raise ValueError("the layers stand in another order")
        self._last = last
        # The first convolution sees one code at a time: it is done once for each code.
        self._table = _relu(first(np.asarray(weights["_vq_vae._embedding"], np.float32)))
        self.values = len(self._table)
        self.side = 4 << len(self._upsamplings)

    def __call__(self, codes: npt.NDArray[np.intp]) -> Array:
        """Rasters, n×side×side, of n×16 codes that are below `values`."""
        grid = self._table[codes].reshape(len(codes), 4, 4, -1)
        for block in self._blocks:
            grid = block(grid)
        grid = grid.transpose(0, 3, 1, 2)
        for grow in self._upsamplings[:-1]:
            grid = _interleave(grow(grid))
        phases = self._upsamplings[-1](grid)
        # The last convolution has one output: interleaving after it moves a fraction of the data.
        flat = np.matmul(self._last.weight.T, phases.reshape(*phases.shape[:4], -1)) + self._last.bias
        return _interleave(flat.reshape(*phases.shape[:3], 1, *phases.shape[4:]))[:, 0]


def _relu(array: Array) -> Array:
    """Apply ReLU in place."""
    result: Array = np.maximum(array, 0.0, out=array)
    return result


def _interleave(phases: Array) -> Array:
    count, _, _, channels, height, width = phases.shape
    return phases.transpose(0, 3, 4, 1, 5, 2).reshape(count, channels, 2 * height, 2 * width)


def _divisor(number: int, most: int) -> int:
    """Return the largest divisor of a number that is not above `most`, or 1."""
    return next((part for part in range(min(number, most), 1, -1) if number % part == 0), 1)


def _layer(
    weights: Mapping[str, npt.NDArray[np.floating]], name: str
) -> _Pointwise | _Upsampling | _ResidualBlock:
    if f"{name}.net.0.weight" in weights:
        match tuple(_single(weights, f"{name}.net.{part}") for part in (0, 2, 4)):
            case (_Convolution() as first, _Convolution() as second, _Pointwise() as third):
                return _ResidualBlock(first, second, third)
    else:
        layer = _single(weights, name)
        if not isinstance(layer, _Convolution):
            return layer
    raise ValueError(f"{name} has kernels of another size")


def _single(
    weights: Mapping[str, npt.NDArray[np.floating]], name: str
) -> _Pointwise | _Convolution | _Upsampling:
    weight = np.asarray(weights[f"{name}.weight"], np.float32)
    bias = np.array(weights[f"{name}.bias"], np.float32)
    match weight.shape[2:]:
        case (1, 1):
            return _Pointwise(np.ascontiguousarray(weight[:, :, 0, 0].T), bias)
        case (3, 3):
            taps = weight.transpose(2, 3, 1, 0)
            return _Convolution(np.ascontiguousarray(taps).reshape(9, *taps.shape[2:]), bias)
        case (4, 4):
            # PyTorch keeps the inputs of a transposed convolution first.
            taps = weight.transpose(2, 3, 1, 0)
            return _Upsampling(np.ascontiguousarray(taps).reshape(-1, taps.shape[3]), bias)
    raise ValueError(f"{name}.weight has the shape {weight.shape}")
