"""Drawing and showing results, beside supervision's annotators.

    python bench/answers_pictures.py [--rounds 9]

Both sides get decoded pixels and full-size masks and draw 50 labelled boxes and 20 translucent masks;
supervision draws faster where OpenCV is installed, and the heading says whether it is. Rounds are
interleaved; the table has medians of wall and of CPU time, the ratio is the median of the wall ratios within
a round. The last rows show what a notebook waits for: the MIME bundle of a 12-megapixel result, from the
bytes of its JPEG and from pixels. Gates: four times as fast as supervision at 12 MP, and 60 ms of CPU time
for the bundle.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import statistics
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from nbvlm.draw import annotation
from nbvlm.grounding.detections import Detections
from nbvlm.images.picture import Picture
from nbvlm.result import Result, Sent, Timing, notebook

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns where OpenCV is missing; the heading says so
    import supervision as sv

if TYPE_CHECKING:
    from collections.abc import Callable

LABELS = ("cat", "dog", "person", "traffic light", "car", "potted plant", "driver's seat", "bicycle")
SIZES = {"1 MP": (1152, 864), "12 MP": (4000, 3000)}


def photo(size: tuple[int, int]) -> Image.Image:
    """Something as hard to encode as a photograph: soft shapes under grain."""
    random = np.random.default_rng(3)
    soft = Image.fromarray(random.integers(0, 255, (12, 16, 3)).astype(np.uint8)).resize(
        size, Image.Resampling.BICUBIC
    )
    grain = random.normal(0, 5, (size[1], size[0], 1)).astype(np.float32)
    return Image.fromarray((np.asarray(soft, dtype=np.float32) + grain).clip(0, 255).astype(np.uint8))


def detections(size: tuple[int, int], boxes: int = 50, masks: int = 20) -> Detections:
    """Boxes of 5 to 30 % of the picture's height, the first of them with elliptic masks."""
    random = np.random.default_rng(1)
    sides = random.uniform(0.05, 0.3, (boxes, 2)) * min(size)
    corners = random.uniform(0, 1, (boxes, 2)) * (np.array(size) - sides)
    xyxy = np.hstack([corners, corners + sides])
    found: list[np.ndarray | None] = [_ellipse(box, size) for box in xyxy[:masks]]
    return Detections(
        xyxy, [LABELS[at % len(LABELS)] for at in range(boxes)], size, found + [None] * (boxes - masks)
    )


def _ellipse(box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    x0, y0, x1, y1 = (int(value) for value in box)
    y, x = np.ogrid[y0:y1, x0:x1]
    inside = ((x - (x0 + x1) / 2) / (x1 - x0)) ** 2 + ((y - (y0 + y1) / 2) / (y1 - y0)) ** 2 < 0.25
    mask = np.zeros((size[1], size[0]), dtype=bool)
    mask[y0:y1, x0:x1] = inside
    return mask


def result(image: Image.Image, found: Detections) -> Result:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    picture = Picture.load(buffer.getvalue(), name="photo.jpg")
    return Result(
        text="", detections=found, usage=None, finish_reason="stop", request_id=None, model="bench",
        prompt="detect " + " ; ".join(LABELS), parameters={}, picture=picture, route="inline",
        sent=Sent(picture.mime, *image.size, len(buffer.getvalue())), timing=Timing(None, None, 0.0, 0),
        has_locations=True, endpoint="demo", created="",
    )  # fmt: skip


def theirs(image: Image.Image, found: Detections) -> Callable[[], Any]:
    """The same picture by supervision: its masks, boxes and labels, on pixels that are ready for it."""
    pixels = np.ascontiguousarray(np.asarray(image)[..., ::-1])
    masked = sv.Detections(
        xyxy=found.xyxy[:20], mask=np.stack(list(found.masks[:20])), class_id=np.arange(20) % len(LABELS)
    )
    boxed = sv.Detections(xyxy=found.xyxy, class_id=np.arange(len(found)) % len(LABELS))
    mask, box, label = sv.MaskAnnotator(), sv.BoxAnnotator(), sv.LabelAnnotator()

    def run() -> Any:
        scene = mask.annotate(pixels.copy(), masked)
        return label.annotate(box.annotate(scene, boxed), boxed, labels=list(found.labels))

    return run


class Times(NamedTuple):
    """Milliseconds of each round."""

    wall: list[float]
    cpu: list[float]

    def __str__(self) -> str:
        return f"{statistics.median(self.wall):.0f} ms ({statistics.median(self.cpu):.0f})"


def rounds(count: int, *work: Callable[[], Any]) -> list[Times]:
    """Time each piece of work in each round, one after the other within a round."""
    for piece in work:
        piece()
    times = [Times([], []) for _ in work]
    for _ in range(count):
        for piece, row in zip(work, times, strict=True):
            wall, cpu = time.perf_counter(), time.process_time()
            piece()
            row.wall.append((time.perf_counter() - wall) * 1000)
            row.cpu.append((time.process_time() - cpu) * 1000)
    return times


def drawing(name: str, image: Image.Image, found: Detections, count: int) -> float:
    """Draw on both sides; print the row and return the ratio."""
    ours, other = rounds(count, lambda: annotation.annotate(image, found), theirs(image, found))
    ratio = statistics.median(b / a for a, b in zip(ours.wall, other.wall, strict=True))
    print(f"| draw, {name} | {ours} | {other} | {ratio:.1f} |")
    return ratio


def showing(name: str, image: Image.Image, found: Detections, count: int) -> float:
    """Build the bundle, and its part without decoding; return the CPU milliseconds of the whole."""
    whole = result(image, found)
    bundle, scaled = rounds(
        count,
        whole._repr_mimebundle_,
        lambda: notebook.encode(annotation.annotate(image.reduce(4), found), notebook.BUDGET),
    )
    size = sum(len(part) for part in whole._repr_mimebundle_()[0].values())
    print(
        f"| show, {name}, from {whole.sent.bytes / 1e6:.1f} MB of JPEG; {size / 1000:.0f} kB | {bundle} | | |"
    )
    print(f"| show, {name}, from pixels | {scaled} | | |")
    return statistics.median(bundle.cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description="Drawing and showing results.")
    parser.add_argument("--rounds", type=int, default=9)
    count = parser.parse_args().rounds
    opencv = "with" if importlib.util.find_spec("cv2") else "without"
    print(
        f"50 boxes, 20 masks; medians of {count} rounds, wall (CPU); "
        f"supervision {sv.__version__} {opencv} OpenCV\n"
    )
    print("| work | nbvlm | supervision | ratio |\n|---|---|---|---|")
    images = {name: photo(size) for name, size in SIZES.items()}
    ratios = {name: drawing(name, image, detections(image.size), count) for name, image in images.items()}
    shown = showing("12 MP", images["12 MP"], detections(SIZES["12 MP"]), count)
    failed = [text for text, missed in (
        (f"drawing at 12 MP is {ratios['12 MP']:.1f} times as fast, not 4", ratios["12 MP"] < 4),
        (f"showing takes {shown:.0f} ms, not 60", shown > 60),
    ) if missed]  # fmt: skip
    print("\nGates: " + ("; ".join(failed) or "passed"))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
