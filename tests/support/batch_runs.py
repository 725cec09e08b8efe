"""What the tests of batches share: pictures, a client for the service on loopback, a run of its own."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from support.loopback import MODEL, Loopback, answer

import nbvlm
from nbvlm.batches import journal as journals
from nbvlm.batches import rows
from nbvlm.client.policies import Retry

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from support.loopback import Reply, Seen

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
    options = [str(folder), service.url, str(journal), str(concurrency)]
    return subprocess.Popen([sys.executable, "-c", RUN, *options], stderr=subprocess.PIPE)


@dataclass(frozen=True)
class Killed:
    """What a batch did that was killed again and again, and then ran to its end."""

    table: pd.DataFrame  # of the last run
    lines: list[str]  # sources in the journal, one a line that can be read
    kills: int
    again: int  # questions that were asked although they were under way before, or had their answer
    answered_again: list[str]  # prompts that were asked although the journal had their answer


def batch_killed(folder: Path, times: int = 50, *, concurrency: int = 4, seed: int = 0) -> Killed:
    """Run a batch in a process of its own, kill it at any moment, as often as asked, and then let it end."""
    chance, journal = random.Random(seed), folder / "run.jsonl"
    images = pictures(folder / "pictures", 4 * times + 8)
    answered_again: list[str] = []
    kills = 0
    with PromptEcho() as service:
        for _ in range(times):
            before, known = len(service.seen), answered(journal)
            process = started(images, service, journal, concurrency)
            wanted = asked(service) + chance.randrange(1, 7)
            service.wait_for(lambda: asked(service) >= wanted or process.poll() is not None, 60)  # noqa: B023
            process.send_signal(signal.SIGKILL)
            _, said = process.communicate()
            if process.returncode == -signal.SIGKILL:
                kills += 1
            elif process.returncode:
                raise AssertionError(said.decode())
            answered_again += [prompt for prompt in map(prompt_of, service.seen[before:]) if prompt in known]
        before, known = len(service.seen), answered(journal)
        table = nbvlm.batch(
            images, "detect {stem}", client=client_for(service), journal=journal, progress=False
        )
        answered_again += [prompt for prompt in map(prompt_of, service.seen[before:]) if prompt in known]
        again = asked(service) - len(set(map(prompt_of, service.seen)))
    lines = [rows.row_of(line).source for line in journals.lines(journal)]
    return Killed(table, lines, kills, again, answered_again)


class PromptEcho(Loopback):
    """Answers with the prompt, so that each picture has an answer of its own."""

    def _model(self, seen: Seen) -> Reply:
        return answer(f"the answer to {prompt_of(seen)}", wait=0.02)


def prompt_of(seen: Seen) -> str:
    text: str = seen.json["messages"][0]["content"]
    return text.partition(" <img")[0]


def answered(journal: Path) -> set[str]:
    """Prompts that have an answer in a journal."""
    if not journal.exists():
        return set()
    table = nbvlm.results(journal)
    return set(table.prompt[table.text.notna()])
