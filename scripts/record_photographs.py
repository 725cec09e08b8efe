"""Record the lesson about the gallery's photographs: nbvlm/recording/data/photographs.json.

The embedded detector answers, at the pace of a service; model and notice of each answer are in the file.
"""

from __future__ import annotations

from pathlib import Path

import nbvlm
from nbvlm import prompts
from nbvlm.demo import DemoTransport
from nbvlm.demo.gallery import PHOTOS
from nbvlm.widgets import sample_picture

FILE = Path(__file__).parents[1] / "nbvlm" / "recording" / "data" / "photographs.json"
GENERAL = (prompts.caption(), prompts.caption("de"), prompts.describe())
LESSON = {
    "cat": (
        "detect cat",
        "detect cat ; dog",
        "answer en how many cats are there?",
        "answer en is there a dog?",
        "answer en where is the cat?",
    ),
    "coffee": (
        "detect cup ; table",
        "detect coffee ; spoon",
        "answer en how many cups are there?",
        "answer en which is larger, the cup or the table?",
        "answer en is there a spoon?",
    ),
    "astronaut": (
        "detect person",
        "detect woman ; flag ; rocket",
        "answer en how many people are there?",
        "answer en where is the person?",
        "answer en is there an airplane?",
    ),
    "camera": (
        "detect person ; phone ; camera",
        "detect camera",
        "answer en how many people are there?",
        "answer en is there a phone?",
        "answer en where is the phone?",
    ),
}


def main() -> None:
    """Ask every question, and write the recording."""
    FILE.parent.mkdir(exist_ok=True)
    FILE.unlink(missing_ok=True)
    transport = nbvlm.record(FILE, DemoTransport(pace=30))
    with nbvlm.Client("demo", transport=transport) as client:
        for photograph in PHOTOS:
            picture = sample_picture(photograph)
            for prompt in (*LESSON[photograph.name], *GENERAL):
                with client.stream(picture, prompt) as stream:
                    for _ in stream:
                        pass
                print(f"{photograph.name}: {prompt}\n    {stream.text[:90]}")


if __name__ == "__main__":
    main()
