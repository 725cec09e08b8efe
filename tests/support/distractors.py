"""Pictures that are not picture-book scenes, of sorts that are not in the embedded model's training data."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter


def _picture(values, size):
    values = np.asarray(values, np.float64)
    values = 255 * (values - values.min()) / max(1e-9, np.ptp(values))
    return Image.fromarray(values.astype(np.uint8)).convert("RGB").resize(size, Image.Resampling.BILINEAR)


def _fractal(rng, size):
    y, x = np.mgrid[-1.3:1.3:160j, -2:1:160j]
    z, c, steps = np.zeros_like(x, complex), x + 1j * y + rng.normal(0, 0.2), np.zeros(x.shape)
    for _ in range(40):
        z = np.where(abs(z) < 4, z * z + c, z)
        steps += abs(z) < 4
    return _picture(np.stack([steps, np.sqrt(steps), steps**2 / 40], 2), size)


def _mosaic(rng, size):
    y, x = np.mgrid[0:1:160j, 0:1:160j]
    points, colors = rng.random((40, 2)), rng.random((40, 3))
    near = ((x[..., None] - points[:, 0]) ** 2 + (y[..., None] - points[:, 1]) ** 2).argmin(2)
    return _picture(colors[near], size)


def _automaton(rng, size):
    rows, rule = [rng.integers(0, 2, 200)], rng.integers(0, 2, 8)
    for _ in range(160):
        row = rows[-1]
        rows.append(rule[4 * np.roll(row, 1) + 2 * row + np.roll(row, -1)])
    return _picture(np.array(rows), size)


def _bokeh(rng, size):
    picture = Image.new("RGB", (200, 150), tuple(rng.integers(10, 60, 3).tolist()))
    draw = ImageDraw.Draw(picture)
    for x, y, r in zip(rng.uniform(0, 200, 30), rng.uniform(0, 150, 30), rng.uniform(4, 22, 30), strict=True):
        draw.ellipse((x - r, y - r, x + r, y + r), fill=tuple(rng.integers(60, 255, 3).tolist()))
    grain = rng.normal(0, 6, (150, 200, 3))
    soft = np.asarray(picture.filter(ImageFilter.GaussianBlur(6)), float) + grain
    return Image.fromarray(soft.clip(0, 255).astype(np.uint8)).resize(size)


def _scribble(rng, size):
    picture = Image.new("RGB", (220, 220), "white")
    walk = 110 + np.cumsum(rng.normal(0, 7, (300, 2)), 0)
    ImageDraw.Draw(picture).line([tuple(point) for point in walk % 220], fill=(20, 30, 90), width=2)
    return picture.resize(size)


def _waves(rng, size):
    y, x = np.mgrid[0:1:160j, 0:1:160j]
    around = sum(np.sin(60 * np.hypot(x - a, y - b)) for a, b in rng.random((3, 2)))
    return _picture(np.stack([around, around * x, around * y], 2), size)


def _spectrum(rng, size):
    tone = np.sin(np.cumsum(rng.uniform(0.05, 1.4, 64).repeat(256))) + rng.normal(0, 0.2, 64 * 256)
    lines = np.log1p(abs(np.fft.rfft(tone.reshape(-1, 256) * np.hanning(256))))
    return _picture(np.stack([lines.T, lines.T**2, 8 - lines.T], 2), size)


def _table(rng, size):
    picture = Image.new("RGB", (260, 200), "white")
    draw = ImageDraw.Draw(picture)
    for row in range(10):
        draw.line([(0, 20 * row), (260, 20 * row)], fill=(180, 180, 180))
        for column in range(5):
            draw.text((52 * column + 4, 20 * row + 4), f"{rng.uniform(0, 999):.2f}", fill="black")
    return picture.resize(size)


SORTS = (_fractal, _mosaic, _automaton, _bokeh, _scribble, _waves, _spectrum, _table)


def pictures(count):
    """So many pictures, all sorts in turn."""
    for seed in range(count):
        rng = np.random.default_rng(seed)
        size = tuple(int(side) for side in rng.integers(160, 700, 2))
        yield SORTS[seed % len(SORTS)](rng, size)
