"""What the tests of batches share: pictures, a client for the service on loopback, a run of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from support.loopback import MODEL

import nbvlm
from nbvlm.client.policies import Retry

if TYPE_CHECKING:
    from pathlib import Path

    from support.loopback import Loopback

KEY = "nvapi-of-a-batch-that-must-not-be-seen"
QUICK = Retry(first=0.01, longest=0.05)
RUN = """
import sys, nbvlm
folder, url, journal, concurrency = sys.argv[1:]
client = nbvlm.Client("nvidia", api_key="nvapi-of-a-process", base_url=url)
nbvlm.batch(folder, "detect {stem}", client=client, journal=journal, concurrency=int(concurrency))
"""


def pictures(folder: Path, count: int) -> Path:
    """Write pictures, no two alike."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        seed = (hash(folder.name) + number) % 2**32
        pixels = np.random.default_rng(seed).integers(0, 255, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
    return folder


def client_for(service: Loopback, **options: Any) -> nbvlm.Client:
    return nbvlm.Client("nvidia", api_key=KEY, base_url=service.url, **({"retry": QUICK} | options))


def asked(service: Loopback) -> int:
    """Questions so far."""
    return sum(seen.path == MODEL for seen in service.seen)


def started(folder: Path, service: Loopback, journal: Path, concurrency: int) -> subprocess.Popen[bytes]:
    """Start a run in another process."""
    told = [str(folder), service.url, str(journal), str(concurrency)]
    return subprocess.Popen([sys.executable, "-c", RUN, *told], stderr=subprocess.PIPE)
