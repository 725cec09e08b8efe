"""Results to test with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from nbvlm.grounding.detections import Detections
from nbvlm.grounding.problems import Problem
from nbvlm.images.picture import Picture
from nbvlm.result import Result, Sent, Timing, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

GREY = (120, 124, 128)


def image(size: tuple[int, int] = (200, 120), color: tuple[int, int, int] = GREY) -> Image.Image:
    return Image.new("RGB", size, color)


def photo(size: tuple[int, int]) -> Image.Image:
    """Soft shapes under grain: as many bytes as a photograph."""
    random = np.random.default_rng(3)
    small = Image.fromarray(random.integers(0, 255, (12, 16, 3)).astype(np.uint8))
    soft = np.asarray(small.resize(size, Image.Resampling.BICUBIC), dtype=np.float32)
    grain = random.normal(0, 5, (size[1], size[0], 1)).astype(np.float32)
    return Image.fromarray((soft + grain).clip(0, 255).astype(np.uint8))


def block(size: tuple[int, int], x0: int, y0: int, x1: int, y1: int) -> npt.NDArray[np.bool_]:
    """A mask that is true in a rectangle."""
    mask = np.zeros((size[1], size[0]), dtype=bool)
    mask[y0:y1, x0:x1] = True
    return mask


def found(size: tuple[int, int] = (200, 120)) -> Detections:
    """Two cats, the first with a mask, and a dog; the second cat reaches the edge."""
    boxes = [[10.25, 40.5, 60.0, 90.0], [150.0, 20.0, 200.0, 60.0], [80.0, 70.0, 130.0, 110.0]]
    masks = [block(size, 15, 45, 50, 80), None, None]
    return Detections(boxes, ("cat", "cat", "dog"), size, masks)


def scattered(
    count: int, size: tuple[int, int], labels: Sequence[str] = ("cat", "dog", "bird")
) -> Detections:
    random = np.random.default_rng(count)
    sides = random.uniform(0.02, 0.2, (count, 2)) * min(size)
    corners = random.uniform(0, 1, (count, 2)) * (np.array(size) - sides)
    names = tuple(labels[at % len(labels)] for at in range(count))
    return Detections(np.hstack([corners, corners + sides]), names, size)


def result(
    picture: Image.Image | Picture | None = None, name: str | None = "pets.png", **changes: Any
) -> Result:
    loaded = picture if isinstance(picture, Picture) else Picture.load(picture or image(), name=name)
    size = (loaded.width, loaded.height)
    values: dict[str, Any] = {
        "text": "<loc0345><loc0051><loc0767><loc0306> cat ; … dog",
        "detections": found() if size == (200, 120) else Detections.empty(size),
        "usage": Usage(262, 31, 293),
        "finish_reason": "stop",
        "request_id": "7b2f",
        "model": "nbvlm/demo",
        "prompt": "detect cat ; dog",
        "parameters": {"temperature": 0.2, "top_p": 0.7, "max_tokens": 64},
        "picture": loaded,
        "route": "inline",
        "sent": Sent(loaded.mime, *size, 1234),
        "timing": Timing(None, 0.125, 0.8, 2048),
        "has_locations": True,
        "endpoint": "demo",
        "created": "2026-11-01T10:00:00.000+00:00",
        "problems": (Problem("swapped", 17, "<loc0345>"),),
        "notices": ("turned upright",),
    }
    return Result(**values | changes)
