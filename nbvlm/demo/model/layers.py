"""The layers of the embedded model in NumPy: immutable, callable values."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from threadpoolctl import ThreadpoolController

__all__ = [
    "Array",
    "Attention",
    "Block",
    "Convolution",
    "Linear",
    "Norm",
    "Pair",
    "convolutions",
    "fourier",
    "one_thread",
    "sigmoid",
    "softmax",
    "through",
]

_lock = threading.Lock()
_inside = 0
_limit: Any = None


@cache
def _controller() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController  # it finds the libraries that are loaded by now

    return ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit BLAS to one thread, in the whole process, while any thread is inside."""
    global _inside, _limit
    with _lock:
        if _inside == 0:
            _limit = _controller().limit(limits=1, user_api="blas")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _limit.restore_original_limits()
                _limit = None


Array = np.ndarray[Any, np.dtype[np.float32]]
Arrays = Mapping[str, Any]
Pair = tuple[Array, Array]


def fourier(values: NDArray[np.floating[Any]]) -> Array:
    """Fourier features of numbers from 0 to 1: a constant, sines and cosines, 41 on a new last axis."""
    # half-octave steps up to 128 periods
    periods = (2.0 ** (np.arange(20) / 2 - 2.5)).astype(np.float32)
    angle = values.astype(np.float32)[..., None] * periods * np.float32(math.tau)
    return np.concatenate([np.ones_like(angle[..., :1]), np.sin(angle), np.cos(angle)], -1)


def sigmoid(x: Array) -> Array:
    """Logistic function of each number."""
    return np.asarray(1 / (1 + np.exp(-x)), np.float32)


def softmax(x: Array) -> Array:
    """Probabilities along the last axis."""
    likely = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(likely / likely.sum(-1, keepdims=True), np.float32)


@dataclass(frozen=True, slots=True)
class Linear:
    """Rows times a matrix (inputs × outputs), plus a bias."""

    matrix: Array
    bias: Array

    @classmethod
    def of(cls, arrays: Arrays, name: str) -> Linear:
        """Take `name.weight` (outputs × inputs) and `name.bias` from the weights."""
        return cls(np.ascontiguousarray(arrays[f"{name}.weight"].T), arrays[f"{name}.bias"])

    def __call__(self, x: Array) -> Array:
        """Map rows (… × inputs) to (… × outputs)."""
        y: Array = x @ self.matrix + self.bias
        return y


@dataclass(frozen=True, slots=True)
class Norm:
    """Layer normalisation."""

    scale: Array
    bias: Array

    @classmethod
    def of(cls, arrays: Arrays, name: str) -> Norm:
        """Take `name.weight` and `name.bias` from the weights."""
        return cls(arrays[f"{name}.weight"], arrays[f"{name}.bias"])

    def __call__(self, x: Array) -> Array:
        """Give each row mean 0 and variance 1, then scale and shift it."""
        share = np.float32(1 / x.shape[-1])
        centered = x - x.sum(-1, keepdims=True) * share
        variance = (centered * centered).sum(-1, keepdims=True) * share
        y: Array = centered * (self.scale / np.sqrt(variance + np.float32(1e-5))) + self.bias
        return y


@dataclass(frozen=True, slots=True)
class Convolution:
    """A strided convolution, then a rectifier, then the input added back where the shapes agree.

    `taps` are (k · k) × inputs × outputs: one matrix for each place of the kernel.
    """

    taps: Array
    bias: Array
    step: tuple[int, int]
    pad: int

    @classmethod
    def of(cls, arrays: Arrays, name: str) -> Convolution:
        """Take `name.weight` (outputs × inputs × k × k), `name.bias` and `name.step` from the weights."""
        down, across, pad = (int(k) for k in arrays[f"{name}.step"])
        weight = arrays[f"{name}.weight"]
        taps = np.ascontiguousarray(weight.transpose(2, 3, 1, 0)).reshape(-1, *weight.shape[1::-1])
        return cls(taps, arrays[f"{name}.bias"], (down, across), pad)

    def __call__(self, x: Array) -> Array:
        """Map N × height × width × inputs to N × height' × width' × outputs."""
        side, p = math.isqrt(len(self.taps)), self.pad
        padded = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0))) if p else x
        windows = sliding_window_view(padded, (side, side), axis=(1, 2))[:, :: self.step[0], :: self.step[1]]
        shape = windows.shape[:3]
        columns = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, len(self.taps) * x.shape[-1])
        y: Array = columns @ self.taps.reshape(-1, self.taps.shape[-1])
        y += self.bias
        np.maximum(y, 0, out=y)
        y = y.reshape(*shape, -1)
        return x + y if y.shape == x.shape else y


def convolutions(arrays: Arrays, name: str) -> list[Convolution]:
    """All convolutions `name.0`, `name.1`, … of the weights, in order."""
    count = sum(key.startswith(f"{name}.") and key.endswith(".step") for key in arrays)
    return [Convolution.of(arrays, f"{name}.{n}") for n in range(count)]


def through(layers: list[Convolution], x: Array) -> Array:
    """Send N × height × width × channels through convolutions."""
    for layer in layers:
        x = layer(x)
    return x


@dataclass(frozen=True, slots=True)
class Attention:
    """Multi-head attention."""

    query: Linear
    pair: Linear
    out: Linear
    heads: int

    @classmethod
    def of(cls, arrays: Arrays, name: str, heads: int) -> Attention:
        """Take the linear maps `name.query`, `name.pair` and `name.out` from the weights."""
        query, pair, out = (Linear.of(arrays, f"{name}.{part}") for part in ("query", "pair", "out"))
        return cls(query, pair, out, heads)

    def _split(self, x: Array) -> Array:
        return x.reshape(len(x), self.heads, -1).swapaxes(0, 1)

    def keys_values(self, x: Array) -> Pair:
        """Keys and values (heads × T × depth each) of T tokens."""
        keys, values = np.split(self.pair(x), 2, -1)
        return self._split(keys), self._split(values)

    def __call__(self, x: Array, seen: Pair) -> Array:
        """Let the tokens x (T × width) attend to keys and values."""
        keys, values = seen
        scores = self._split(self.query(x)) @ keys.swapaxes(1, 2) * np.float32(1 / math.sqrt(keys.shape[-1]))
        mixed = softmax(scores) @ values
        return self.out(mixed.swapaxes(0, 1).reshape(x.shape))


@dataclass(frozen=True, slots=True)
class Block:
    """A pre-norm transformer layer."""

    norm1: Norm
    attention: Attention
    norm2: Norm
    up: Linear
    down: Linear

    @classmethod
    def of(cls, arrays: Arrays, name: str, heads: int) -> Block:
        """Take the layer `name` from the weights."""
        return cls(
            Norm.of(arrays, f"{name}.norm1"),
            Attention.of(arrays, f"{name}.attention", heads),
            Norm.of(arrays, f"{name}.norm2"),
            Linear.of(arrays, f"{name}.up"),
            Linear.of(arrays, f"{name}.down"),
        )

    def __call__(self, x: Array, kept: Pair | None = None) -> tuple[Array, Pair]:
        """Run T tokens, which attend to each other and to `kept`; returns them and all keys and values."""
        y = self.norm1(x)
        pair = self.attention.keys_values(y)
        if kept is not None:
            pair = (np.concatenate([kept[0], pair[0]], 1), np.concatenate([kept[1], pair[1]], 1))
        x = x + self.attention(y, pair)
        inner = np.maximum(self.up(self.norm2(x)), 0)
        return x + self.down(inner * inner), pair
