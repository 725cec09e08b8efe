"""Random weights in the shape of the published decoder, and the decoder once more, as plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np

REAL = {"codes": 128, "vector": 512, "hidden": 128, "grown": (128, 64, 32, 16)}
SMALL = {"codes": 11, "vector": 6, "hidden": 8, "grown": (12, 5)}


def random_weights(
    seed: int, codes: int, vector: int, hidden: int, grown: tuple[int, ...], blocks: int = 2
) -> Any:
    """All arrays by their PyTorch names; scaled so that values keep their size from layer to layer."""
    draw = np.random.default_rng(seed)

    def normal(*shape: int, inputs: int) -> Any:
        return (draw.standard_normal(shape) * np.sqrt(2 / inputs)).astype(np.float32)

    weights = {"_vq_vae._embedding": normal(codes, vector, inputs=2)}

    def layer(name: str, *shape: int, inputs: int) -> None:
        weights[f"decoder.{name}.weight"] = normal(*shape, inputs=inputs)
        weights[f"decoder.{name}.bias"] = normal(shape[0] if shape[2] < 4 else shape[1], inputs=8)

    layer("0", hidden, vector, 1, 1, inputs=vector)
    for block in range(2, 2 + blocks):
        for part, side in ((0, 3), (2, 3), (4, 1)):
            layer(f"{block}.net.{part}", hidden, hidden, side, side, inputs=hidden * side**2)
    number, last = 2 + blocks, hidden
    for size in grown:
        layer(str(number), last, size, 4, 4, inputs=last * 4)
        number, last = number + 2, size
    layer(str(number), 1, last, 1, 1, inputs=last)
    return weights


def naive_decode(weights: Any, codes: Any) -> Any:
    """Decode one row of codes by the definition: channels × rows × columns, double precision."""
    numbers = sorted({int(name.split(".")[1]) for name in weights if name.startswith("decoder.")})
    grid = weights["_vq_vae._embedding"].astype(float)[list(codes)].T.reshape(-1, 4, 4)
    for number in numbers:
        name = f"decoder.{number}"
        if f"{name}.net.0.weight" in weights:
            inner = relu(convolve(grid, weights, f"{name}.net.0"))
            inner = relu(convolve(inner, weights, f"{name}.net.2"))
            grid = grid + convolve(inner, weights, f"{name}.net.4")
        elif weights[f"{name}.weight"].shape[2] == 4:
            grid = relu(convolve_transposed(grid, weights, name))
        else:
            grid = convolve(grid, weights, name)
            grid = relu(grid) if number == numbers[0] else grid
    return grid[0]


def relu(grid: Any) -> Any:
    return np.where(grid > 0, grid, 0.0)


def convolve(grid: Any, weights: Any, name: str) -> Any:
    """Each output pixel is a sum, over the kernel, of the input around it; outside there is nothing."""
    kernel, bias = weights[f"{name}.weight"].astype(float), weights[f"{name}.bias"].astype(float)
    _, height, width = grid.shape
    reach = kernel.shape[2] // 2
    out = np.zeros((len(kernel), height, width))
    for row in range(height):
        for column in range(width):
            total = bias.copy()
            for down in range(kernel.shape[2]):
                for right in range(kernel.shape[3]):
                    y, x = row + down - reach, column + right - reach
                    if 0 <= y < height and 0 <= x < width:
                        total += kernel[:, :, down, right] @ grid[:, y, x]
            out[:, row, column] = total
    return out


def convolve_transposed(grid: Any, weights: Any, name: str) -> Any:
    """Every input pixel adds its kernel to the output, two pixels apart; one pixel is cut off all around."""
    kernel, bias = weights[f"{name}.weight"].astype(float), weights[f"{name}.bias"].astype(float)
    _, height, width = grid.shape
    out = np.zeros((kernel.shape[1], 2 * height + 2, 2 * width + 2))
    for row in range(height):
        for column in range(width):
            for down in range(4):
                for right in range(4):
                    out[:, 2 * row + down, 2 * column + right] += (
                        grid[:, row, column] @ kernel[:, :, down, right]
                    )
    return out[:, 1:-1, 1:-1] + bias[:, None, None]
