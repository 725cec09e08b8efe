"""The detector for photographs: a picture, loading and memory, on one core, beside ONNX Runtime.

    python bench/photos.py [--rounds 9]

The same weights run in ONNX Runtime on one thread, where `onnx` and `onnxruntime` are installed, in turns;
ratios are of medians over rounds. Gates: a picture of 512 × 512 within 200 ms and 2.2 × ONNX Runtime, loaded
within 100 ms, with at most 130 MB more at the highest point of a first answer (as Linux counts it).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

if TYPE_CHECKING:
    from collections.abc import Callable

PICTURE_MS, BESIDE, LOAD_MS, MEMORY_MB = 200, 2.2, 100, 130

COSTS = """
import time
import numpy, PIL.Image, nbvlm.demo.photos as photos
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
before = peak()
start = time.perf_counter()
model = photos.load()
seconds = time.perf_counter() - start
list(model.stream(PIL.Image.new("RGB", (512, 512)), "caption en"))
print(1000 * seconds, peak() - before)
"""


def clock(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def costs(rounds: int) -> tuple[float, float]:
    """Milliseconds to load, and megabytes at the highest point of a first answer."""
    command = [sys.executable, "-c", COSTS]
    runs = [
        subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
        for _ in range(rounds)
    ]
    return tuple(statistics.median(float(run[n]) for run in runs) for n in (0, 1))


class Graph:
    """The network as an ONNX graph, built by sending a name through it in place of an array."""

    def __init__(self, height: int, width: int) -> None:
        import onnx
        from onnx import helper, numpy_helper

        self.onnx, self.helper, self.numpy_helper = onnx, helper, numpy_helper
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.size = (height, width)

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind}{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, values: Any) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(self.numpy_helper.from_array(values, name))
        return name

    def convolution(self, layer: Any, x: str) -> str:
        import numpy as np

        taps = layer.taps
        weight = layer.matrix.reshape(taps, taps, -1, layer.matrix.shape[1]).transpose(3, 2, 0, 1)
        pad, step = taps // 2, layer.step
        y = self.node(
            "Conv",
            x,
            self.constant(np.ascontiguousarray(weight)),
            self.constant(layer.bias),
            pads=[pad] * 4,
            strides=[step, step],
        )
        return self.node("LeakyRelu", y, alpha=layer.slope) if layer.slope < 1 else y

    def scaled(self, x: str, factor: float) -> str:
        import numpy as np

        scales = self.constant(np.array([1, 1, factor, factor], np.float32))
        return self.node("Resize", x, "", scales, mode="linear")

    def model(self, layers: list[Any]) -> bytes:
        run = [lambda x, layer=layer: self.convolution(layer, x) for layer in layers]
        pair = lambda x, at: self.joined(run[at + 1](y := run[at](x)), y)  # noqa: E731
        stem = self.node("MaxPool", run[0]("x"), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
        stem = run[1](stem)
        x = self.joined(run[4](pair(stem, 2)), stem)
        levels = []
        for start, end, lateral in ((5, 10, 25), (11, 16, 26), (17, 24, 27)):
            inner = down = run[start](x)
            for at in range(start + 1, end, 2):
                inner = pair(inner, at)
            x = self.joined(run[end](inner), down)
            levels.append(run[lateral](x))
        c3, c4, c5 = levels
        c4 = self.node("Add", c4, self.scaled(c5, 2))
        c3 = self.node("Add", c3, self.scaled(c4, 2))
        c4 = self.node("Add", c4, self.scaled(c3, 0.5))
        c5 = self.node("Add", c5, self.scaled(c4, 0.5))
        ends = [run[at + 1](run[at](level)) for at, level in ((28, c3), (30, c4), (32, c5))]
        value = self.helper.make_tensor_value_info
        kind = self.onnx.TensorProto.FLOAT
        graph = self.helper.make_graph(
            self.nodes,
            "nanodet",
            [value("x", kind, [1, 3, *self.size])],
            [value(end, kind, None) for end in ends],
            self.constants,
        )
        sets = [self.helper.make_opsetid("", 13)]
        return self.helper.make_model(graph, opset_imports=sets, ir_version=8).SerializeToString()

    def joined(self, *parts: str) -> str:
        return self.node("Concat", *parts, axis=1)


def peer(net: Any, pixels: Any) -> Callable[[], Any] | None:
    """The same network in ONNX Runtime; None where it is not installed."""
    import numpy as np

    try:
        import onnx  # noqa: F401 - Graph needs it
        import onnxruntime
    except ImportError:
        print("onnx and onnxruntime are not installed: no peer")
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    graph = Graph(*pixels.shape[:2]).model(net._convolutions)
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    x = np.ascontiguousarray(pixels.transpose(2, 0, 1))[None]
    for level, theirs in zip(net._run(pixels), session.run(None, {"x": x}), strict=True):
        assert np.allclose(level, theirs[0].transpose(1, 2, 0), atol=2e-2), "the graphs differ"
    return lambda: session.run(None, {"x": x})


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    from nbvlm.demo.gallery import PHOTOS
    from nbvlm.demo.photos import detector, network

    image, net = PHOTOS[2].picture().resize((512, 512)), network.load()
    pixels, _ = network.prepared(image)
    theirs = peer(net, pixels)
    times = [
        (clock(lambda: net(pixels)), clock(theirs) if theirs else 0.0, clock(lambda: detector.detect(image)))
        for _ in range(rounds + 2)
    ][2:]
    ours, other, whole = (statistics.median(side) for side in zip(*times, strict=True))
    load, memory = costs(3)
    beside = f", ONNX Runtime {other:.0f} ms, ratio {ours / other:.2f} (at most {BESIDE})" if theirs else ""
    print(f"network, 512 × 512     {ours:6.0f} ms{beside}")
    print(f"picture to boxes       {whole:6.0f} ms (at most {PICTURE_MS})")
    print(f"load                   {load:6.0f} ms (at most {LOAD_MS})")
    print(f"peak of a first answer {memory:6.0f} MB (at most {MEMORY_MB})")
    kept = whole <= PICTURE_MS and load <= LOAD_MS and memory <= MEMORY_MB
    return int(not kept or (theirs is not None and ours > BESIDE * other))


if __name__ == "__main__":
    sys.exit(main())
