"""Masks: what decoding costs, beside the matrix products that it cannot do without.

    python bench/answers_masks.py [--rounds 20]

The floor is the decoder's 40.4 million multiply-adds at the speed of large square products (the fastest of
three sizes) in the same process; ratios are medians over rounds in which floor and decoder take turns. Beside
it stand PyTorch and onnxruntime, where they are installed. Every library runs in processes of its own, with
one thread and with two in turns, since the idle threads of one disturb the other. The weights are random, in
the shapes of the published file. Gates: at most three times the floor on one thread, alone and in a batch of
16, and with two threads at most 1.15 times the time of one, which leaves room for the noise of the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

MULTIPLY_ADDS = 40_435_712
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
GATE, SPREAD, TURNS = 3.0, 1.15, 3


def clock(work: Callable[[], Any], repeat: int) -> float:
    """Seconds for one call, over `repeat` calls."""
    start = time.perf_counter()
    for _ in range(repeat):
        work()
    return (time.perf_counter() - start) / repeat


def products() -> Callable[[], float]:
    """Measure the floor: seconds that all multiply-adds of one mask take in large products."""
    import numpy as np

    sides = (256, 384, 512)
    pairs = [(np.random.default_rng(side).random((side, side), np.float32), side) for side in sides]
    return lambda: min(clock(lambda a=a: a @ a, 2) * MULTIPLY_ADDS / side**3 for a, side in pairs)


def our_decoder(weights: Any, threads: int) -> Callable[[Any], Any]:  # noqa: ARG001 - the environment says it
    from nbvlm.grounding.masks.codebooks import Codebook

    return Codebook(weights).decode


def torch_decoder(weights: Any, threads: int) -> Callable[[Any], Any]:
    import torch

    torch.set_num_threads(threads)
    tensors = {name: torch.from_numpy(array) for name, array in weights.items()}
    functional = torch.nn.functional

    def convolve(grid: Any, name: str, padding: int = 0) -> Any:
        return functional.conv2d(grid, tensors[f"{name}.weight"], tensors[f"{name}.bias"], padding=padding)

    @torch.inference_mode()
    def decode(codes: Any) -> Any:
        grid = (
            tensors["_vq_vae._embedding"][torch.from_numpy(codes)].reshape(-1, 4, 4, 512).permute(0, 3, 1, 2)
        )
        grid = convolve(grid, "decoder.0").relu()
        for block in (2, 3):
            inner = convolve(grid, f"decoder.{block}.net.0", 1).relu()
            inner = convolve(inner, f"decoder.{block}.net.2", 1).relu()
            grid = grid + convolve(inner, f"decoder.{block}.net.4")
        for layer in (4, 6, 8, 10):
            arrays = tensors[f"decoder.{layer}.weight"], tensors[f"decoder.{layer}.bias"]
            grid = functional.conv_transpose2d(grid, *arrays, stride=2, padding=1).relu()
        return convolve(grid, "decoder.12")[:, 0].numpy()

    return decode


def onnx_decoder(weights: Any, threads: int) -> Callable[[Any], Any]:
    import onnx
    import onnxruntime

    helper, nodes, last = onnx.helper, [], "grid"

    def add(kind: str, inputs: list[str], **options: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [f"t{len(nodes)}"], **options))
        return f"t{len(nodes) - 1}"

    def convolve(grid: str, name: str, padding: int = 0) -> str:
        return add("Conv", [grid, f"{name}.weight", f"{name}.bias"], pads=[padding] * 4)

    last = add("Relu", [convolve(last, "decoder.0")])
    for block in (2, 3):
        inner = add("Relu", [convolve(last, f"decoder.{block}.net.0", 1)])
        inner = add("Relu", [convolve(inner, f"decoder.{block}.net.2", 1)])
        last = add("Add", [last, convolve(inner, f"decoder.{block}.net.4")])
    for layer in (4, 6, 8, 10):
        inputs = [last, f"decoder.{layer}.weight", f"decoder.{layer}.bias"]
        last = add("Relu", [add("ConvTranspose", inputs, strides=[2, 2], pads=[1] * 4)])
    last = convolve(last, "decoder.12")
    arrays = [onnx.numpy_helper.from_array(array, name) for name, array in weights.items() if name[0] == "d"]
    ports = [
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", *shape])]
        for name, shape in (("grid", [512, 4, 4]), (last, [1, 64, 64]))
    ]
    graph = helper.make_graph(nodes, "decoder", *ports, arrays)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    vectors = weights["_vq_vae._embedding"]
    return lambda codes: session.run(
        None, {"grid": vectors[codes].reshape(-1, 4, 4, 512).transpose(0, 3, 1, 2).copy()}
    )[0][:, 0]


MAKERS = {"nbvlm": our_decoder, "PyTorch": torch_decoder, "onnxruntime": onnx_decoder}
Table = dict[tuple[str, int, int], list[list[float]]]  # library, threads, batch: pairs of decoder and floor


def child(name: str, threads: int, rounds: int) -> None:
    """Measure one library and print the pairs as JSON, or nothing where it is not installed."""
    import numpy as np
    from support.mask_weights import REAL, random_weights

    weights = random_weights(0, **REAL)
    try:
        decode = MAKERS[name](weights, threads)
    except ImportError:
        return
    # With two threads the large products would leave a thread spinning beside what is measured.
    floor = products() if threads == 1 else float
    pairs: dict[int, list[list[float]]] = {}
    for count in (1, 16):
        codes = np.random.default_rng(count).integers(0, 128, (count, 16))
        expected = our_decoder(weights, threads)(codes)
        error = np.abs(decode(codes) - expected).max()
        assert error < 1e-4 * np.abs(expected).max(), f"{name} decodes something else: {error}"
        work = partial(decode, codes)
        pairs[count] = [[clock(work, 16 // count) / count, floor()] for _ in range(rounds)]
    print(json.dumps(pairs))


def measure(rounds: int) -> Table:
    table: Table = {}
    for _, threads, name in product(range(TURNS), (1, 2), MAKERS):
        command = [sys.executable, __file__, "--child", name, str(threads), "--rounds", str(rounds)]
        environment = os.environ | dict.fromkeys(THREADS, str(threads))
        answer = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout
        for count, pairs in json.loads(answer or "{}").items():
            table.setdefault((name, threads, int(count)), []).extend(pairs)
    return table


def report(table: Table) -> bool:
    """Print the table; return whether the gates hold."""
    times = {key: statistics.median(took for took, _ in pairs) * 1e3 for key, pairs in table.items()}
    floors = [floor * 1e3 for key, pairs in table.items() if key[1] == 1 for _, floor in pairs]
    ratios = {
        key: statistics.median(took / floor for took, floor in pairs)
        for key, pairs in table.items()
        if key[1] == 1
    }
    print(f"One mask of 64×64 in ms; the floor on one thread is {statistics.median(floors):.2f} ms.\n")
    print(f"{'':14}{'alone':>8}{'× floor':>9}{'of 16':>8}{'× floor':>9}{'alone, two':>13}{'of 16, two':>13}")
    for name in dict.fromkeys(name for name, _, _ in table):
        one = [f"{times[name, 1, count]:8.2f}{ratios[name, 1, count]:9.2f}" for count in (1, 16)]
        two = [f"{times[name, 2, count]:13.2f}" for count in (1, 16)]
        print(f"{name:14}{''.join(one + two)}")
    held = all(ratios["nbvlm", 1, count] <= GATE for count in (1, 16))
    level = all(times["nbvlm", 2, count] <= SPREAD * times["nbvlm", 1, count] for count in (1, 16))
    print(f"\nAt most {GATE:g} × the floor: {'yes' if held else 'NO'}.")
    print(f"Not slower with two threads: {'yes' if level else 'NO'}.")
    return held and level


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child[0], int(given.child[1]), given.rounds)
    else:
        sys.exit(0 if report(measure(given.rounds)) else 1)
