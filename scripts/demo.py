"""The quick-start without a browser: run its cells, press Run on its panel, keep what came of it.

Usage: demo.py [NOTEBOOK [FOLDER]]. Writes the executed notebook and the annotated picture to FOLDER (build).
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import nbclient
import nbformat

os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # the kernel of this environment, whatever the user has installed

KEYLESS = {name: value for name, value in os.environ.items() if not name.startswith(("NVIDIA_", "NBVLM_"))}

# What the button does, then what a reader would see. The cell is not kept in the executed notebook.
PRESS_RUN = """
answer = panel.run()
answer.annotate().save({picture!r})
print("Asked:   ", answer.picture.name, "·", answer.prompt)
print("Answered:", answer.text)
print("By:      ", answer.model, f"in {{answer.timing.total_s:.2f}} s ({{answer.route}})")
"""


def execute(path: Path, picture: Path) -> tuple[Any, str]:
    """Run all cells and the button in one fresh kernel.

    Returns
    -------
    tuple
        The executed notebook, and what the panel answered, in three lines.
    """
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(PRESS_RUN.format(picture=str(picture))))
    client = nbclient.NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        store_widget_state=False,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
    )
    client.execute(env=KEYLESS)
    pressed = notebook.cells.pop()
    return notebook, "".join(output.get("text", "") for output in pressed.outputs)


def main(notebook: str = "notebooks/quickstart.ipynb", folder: str = "build") -> None:
    """Execute a notebook and write the results."""
    began = time.monotonic()
    source, target = Path(notebook).resolve(), Path(folder).resolve()
    target.mkdir(parents=True, exist_ok=True)
    picture = target / f"{source.stem}.png"
    picture.unlink(missing_ok=True)
    executed, said = execute(source, picture)
    nbformat.write(executed, target / source.name)
    print(f"{said.rstrip()}\nWritten after {time.monotonic() - began:.1f} s:")
    for path in (target / source.name, picture):
        shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        print(f"  {shown} ({path.stat().st_size / 1000:.0f} kB)")


if __name__ == "__main__":
    main(*sys.argv[1:])
