"""`nbvlm handouts`: writes the worksheet of a lesson and the teacher's copy, both from `lesson.html`.

The expected results in the teacher's copy are computed by the embedded model while the page is written.
"""

from __future__ import annotations

import base64
import html
import re
from pathlib import Path
from typing import TYPE_CHECKING

from nbvlm._files import expanded, write_atomic
from nbvlm._text import count, visible
from nbvlm.cli.terminal import print_line
from nbvlm.errors import ParameterError

if TYPE_CHECKING:
    import argparse

    from nbvlm.client import Client
    from nbvlm.demo.scenes import Scene
    from nbvlm.grounding import Detections
    from nbvlm.result import Result

__all__ = ["FILES", "arguments", "filled", "pages", "run"]

_SOURCE = Path(__file__).parent / "lesson.html"
FILES = {"student": "worksheet.html", "teacher": "teacher.html"}
"""The file of each reader."""
_SEED, _HARD = 124, 0.6
_LEVELS = (0.0, 0.5, 1.0)
_SAMPLES = 12

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>
body {{ max-width: 44rem; margin: 2rem auto; padding: 0 1rem; font: 11pt/1.5 system-ui, sans-serif;
  color: #111; background: #fff; }}
h1 {{ font-size: 20pt; margin: 0 0 .5rem; }}
h2 {{ font-size: 13pt; margin: 1.4rem 0 .3rem; break-after: avoid; }}
h2 small {{ float: right; font-weight: normal; font-size: 10pt; }}
p {{ margin: .4rem 0; }} img {{ display: block; max-width: 100%; height: auto; margin: .5rem 0; }}
pre, code {{ font: 10pt/1.4 ui-monospace, monospace; background: #f2f2f2; }} pre {{ padding: .4rem .6rem; }}
table {{ border-collapse: collapse; width: 100%; }} th, td {{ border: 1px solid #777; padding: .2rem .5rem;
  text-align: left; }}
.line {{ display: block; border-bottom: 1px solid #555; height: 1.9rem; }}
.short, .name span {{ display: inline-block; border-bottom: 1px solid #555; width: 4rem; height: 1.2rem; }}
.name span {{ width: 12rem; margin-right: 2rem; }}
.note {{ border: 1px solid #777; border-left: .4rem solid #777; padding: .3rem .6rem; background: #f6f6f6; }}
pre, table, img, .note, tr {{ break-inside: avoid; }}
@media print {{ body {{ margin: 0; max-width: none; }} @page {{ margin: 18mm; }} }}
</style></head><body>
{body}
</body></html>
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        "Both pages come from one source and need no other file; print them with a browser, on paper or as\n"
        "PDF. docs/how-to/classes.md has the plan of the lesson."
    )
    parser.add_argument("--out", metavar="FOLDER", default="handouts", help="default: %(default)s")


def run(options: argparse.Namespace) -> int:
    """Write both pages."""
    folder = expanded(options.out)
    made = pages()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, page in made.items():
            write_atomic(folder / name, page.encode())
            print_line(visible(str(folder / name)))
    except OSError as error:
        raise ParameterError(
            f"The handouts cannot be written to {visible(options.out)}: {error.strerror or error}.",
            hint="Choose another folder with --out.",
        ) from None
    return 0


def pages() -> dict[str, str]:
    """Return the two pages by their file names."""
    source, values = _SOURCE.read_text("utf-8"), _values()
    return {
        file: _PAGE.format(
            title="Worksheet" if reader == "student" else "Teacher's copy",
            body=filled(source, reader, values),
        )
        for reader, file in FILES.items()
    }


def filled(source: str, reader: str, values: dict[str, dict[str, str]]) -> str:
    """Return the source for one reader ("student" or "teacher"), with the values of that reader.

    Parts between ``<!-- student -->`` and ``<!-- /student -->`` are left out for a teacher, and vice versa.
    """
    for other in FILES.keys() - {reader}:
        source = re.sub(rf"<!-- {other} -->.*?<!-- /{other} -->\n?", "", source, flags=re.DOTALL)
    source = re.sub(rf"<!-- /?{reader} -->\n?", "", source)
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]][reader], source)


def _values() -> dict[str, dict[str, str]]:
    """Compute the values of ``{{name}}`` in the source, for each reader."""
    from nbvlm import prompts
    from nbvlm.client import Client
    from nbvlm.demo import scenes

    scene = scenes.sample(_SEED, pixels=640, hard=_HARD)
    prompt = prompts.detect(*sorted({thing.kind for thing in scene.things}))
    with Client("demo") as client:
        answer = client.ask(scene.picture, prompt, temperature=0.01)
        tries = [
            len(
                {
                    client.ask(scene.picture, prompts.describe(), temperature=heat, top_p=top_p).text
                    for _ in range(5)
                }
            )
            for heat, top_p in ((0.01, 1.0), (1.0, 1.0))
        ]
        truth = _marked(scene, answer)
        recalls = [f"recall {_recall(client, level):.2f} at {level:g}" for level in _LEVELS]
    both = {
        "model": answer.model,
        "samples": str(_SAMPLES),
        "seed": str(_SEED),
        "hard": str(_HARD),
        "prompt": prompt,
        "truth": truth,
        "levels": f"about eight scenes, the model has {', '.join(recalls)}.",
        "cold": str(tries[0]),
        "warm": str(tries[1]),
    }
    values = {name: dict.fromkeys(FILES, html.escape(value)) for name, value in both.items()}
    return values | {"picture": dict.fromkeys(FILES, _image(scene)), "wordings": _wordings()}


def _marked(scene: Scene, answer: Result) -> str:
    from nbvlm.grounding import evaluate

    truth = _truth(scene)
    found = evaluate(answer, truth)
    named = ", ".join(f"{thing.color} {thing.kind}" for thing in scene.things)
    return (
        f"The picture has {count(found.truth, 'thing')}, from left to right: {named}. The model writes "
        f"{found.found} boxes, of which {found.matched} are true: recall {found.recall:.2f}, precision "
        f"{found.precision:.2f}."
    )


def _truth(scene: Scene) -> Detections:
    import numpy as np

    from nbvlm.grounding import Detections

    boxes = np.array([thing.box for thing in scene.things])
    return Detections(boxes, tuple(thing.kind for thing in scene.things), scene.size)


def _recall(client: Client, level: float) -> float:
    from nbvlm import prompts
    from nbvlm.demo import scenes
    from nbvlm.grounding import evaluate

    drawn = [scenes.sample(seed, pixels=320, hard=level) for seed in range(8)]
    answers = [
        client.ask(
            one.picture, prompts.detect(*sorted({thing.kind for thing in one.things})), temperature=0.01
        )
        for one in drawn
    ]
    return evaluate(answers, [_truth(one) for one in drawn]).recall


def _wordings() -> dict[str, str]:
    """Return the table of wordings: empty columns for the class, measured shares for the teacher."""
    from nbvlm.demo import wordings

    measured = wordings.measured("count", _SAMPLES, pixels=320)
    tables = {}
    for reader in FILES:
        head = ("answer", "right?") if reader == "student" else ("right",)
        rows = [f"<tr><th>question</th>{''.join(f'<th>{name}</th>' for name in head)}</tr>"]
        for asked in measured:
            shown = html.escape(asked.wording.format(color="[colour]", kind="[thing]", plural="[thing]s"))
            cells = "<td></td><td></td>" if reader == "student" else f"<td>{asked.right:.0%}</td>"
            rows.append(f"<tr><td>{shown}</td>{cells}</tr>")
        tables[reader] = f"<table>{''.join(rows)}</table>"
    return tables


def _image(scene: Scene) -> str:
    from nbvlm.images import encoded

    data = base64.b64encode(encoded(scene.picture, "JPEG", quality=88)).decode()
    alt = "A picture-book scene, pale and grainy, with small things that overlap"
    return f'<img src="data:image/jpeg;base64,{data}" alt="{alt}" width="{min(scene.size[0], 420)}">'
