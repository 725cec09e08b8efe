"""The documentation as a site: README, docs, reference and all tutorials with their outputs.

Usage: make_site.py [FOLDER]. Runs the notebooks and writes HTML to FOLDER (build/site), which needs no server
and no network: open index.html. A warning of Sphinx, such as a link that leads nowhere, is an error.
"""

from __future__ import annotations

import asyncio
import fnmatch
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nbclient
import nbformat

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "build" / "site-source"
KEYLESS = {name: value for name, value in os.environ.items() if not name.startswith(("NVIDIA_", "NBVLM_"))}
WIDGET = "application/vnd.jupyter.widget-view+json"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"

# In this order; a page of one of these folders that is not named comes after those that are.
SECTIONS: dict[str, tuple[str, ...]] = {
    "Tutorials": ("notebooks/quickstart", "notebooks/*"),
    "How to": (
        "docs/how-to/panel",
        "docs/how-to/hosts",
        "docs/how-to/keys",
        "docs/how-to/large-pictures",
        "docs/how-to/own-models",
        "docs/how-to/other-models",
        "docs/how-to/local-models",
        "docs/how-to/many-pictures",
        "docs/how-to/classes",
        "docs/how-to/binder",
        "docs/how-to/troubleshooting",
        "docs/how-to/*",
    ),
    "Explanation": (
        "docs/explanation/the-way-of-a-picture",
        "docs/explanation/wire-protocol",
        "docs/explanation/boxes",
        "docs/explanation/dialects",
        "docs/embedded-model",
        "docs/explanation/*",
    ),
    "Reference": (
        "docs/reference/index",
        "docs/reference/asking",
        "docs/reference/answers",
        "docs/reference/prompts-and-pictures",
        "docs/reference/panel",
        "docs/reference/widgets",
        "docs/reference/magics",
        "docs/reference/command-line",
        "docs/reference/*",
    ),
    "Project": ("docs/contributing", "CHANGELOG", "docs/*"),
}
PANEL = """<p><img src="../_images/panel.png" width="640" style="max-width:100%;height:auto"
alt="The panel in JupyterLab: a picture-book scene with boxes around its things, prompt and sliders beside it,
and the answer below."></p>
<p><em>This page is a picture of the notebook; in JupyterLab the panel is alive.</em></p>"""


def navigation(pages: set[str]) -> dict[str, list[str]]:
    """Sort pages, named by their paths without ending, into the sections of the site.

    Returns
    -------
    dict
        Pages of each section in their order; each page once.
    """
    left = set(pages)
    sections: dict[str, list[str]] = {}
    for title, patterns in SECTIONS.items():
        sections[title] = []
        for pattern in patterns:
            found = sorted(fnmatch.filter(left, pattern))
            sections[title] += found
            left.difference_update(found)
    return sections


def contents(sections: dict[str, list[str]]) -> str:
    """Write the navigation as Sphinx reads it; numbered tutorials keep their numbers."""
    blocks = (
        "\n".join(["```{toctree}", ":hidden:", f":caption: {title}", "", *map(entry, pages), "```", ""])
        for title, pages in sections.items()
        if pages
    )
    return "\n\n" + "\n".join(blocks)


def entry(page: str) -> str:
    """Write one line of the navigation: a numbered notebook with its number before its heading."""
    number = re.match(r"notebooks/0*(\d+)-", page)
    if number is None:
        return page
    notebook = nbformat.read(ROOT / f"{page}.ipynb", as_version=4)
    heading = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
    return f"{number[1]}. {heading} <{page}>"


async def executed(path: Path) -> tuple[Any, dict[str, Any]]:
    """Run a notebook in a fresh kernel without keys.

    Returns
    -------
    notebook
        The notebook with its outputs.
    widgets : dict
        The last state of each widget, by its model id.
    """
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        store_widget_state=True,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
    )
    await client.async_execute(env=KEYLESS)
    states = notebook.metadata.pop("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    return notebook, {
        model: {**kept["state"], "_model_name": kept["model_name"]} for model, kept in states.items()
    }


def widget_html(model: str, widgets: dict[str, Any]) -> str | None:
    """Write a widget of plain parts, such as a batch's progress, as it stood at the end.

    Returns
    -------
    str or None
        HTML; None where a part needs JavaScript.
    """
    state = widgets.get(model, {})
    match state.get("_model_name"):
        case "VBoxModel" | "HBoxModel":
            names = [child.removeprefix("IPY_MODEL_") for child in state["children"]]
            parts = [widget_html(name, widgets) for name in names]
            return None if None in parts else f"<div>{''.join(filter(None, parts))}</div>"
        case "HTMLModel":
            return str(state["value"])
        case "FloatProgressModel":
            return f'<progress value="{state["value"]}" max="{state["max"]}" style="width:100%"></progress>'
        case "ButtonModel":
            return ""
        case _:
            return None


def still(notebook: Any, widgets: dict[str, Any]) -> Any:
    """Make an executed notebook a page: widgets become pictures, links to headings the page's own."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"\]\(#([^)]+)\)", lambda found: f"](#{slug(found[1])})", cell.source)
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if WIDGET in data:
                shown = widget_html(data[WIDGET]["model_id"], widgets)
                output["data"] = {"text/html": PANEL if shown is None else shown}
            elif "text/html" in data:
                output["data"] = {"text/html": data["text/html"]}
    return notebook


def slug(anchor: str) -> str:
    """Turn a heading's anchor in Jupyter into the one that the page has.

    >>> slug("Columns,-rows,-filters")
    'columns-rows-filters'
    """
    return re.sub(r"[^\w-]", "", anchor.lower())


async def run_notebooks(paths: list[Path], target: Path) -> None:
    """Run notebooks, two at a time, and store them as pages."""
    room = asyncio.Semaphore(2)

    async def one(path: Path) -> None:
        async with room:
            nbformat.write(still(*await executed(path)), target / path.name)

    async with asyncio.TaskGroup() as group:
        for path in paths:
            group.create_task(one(path))


def stage() -> None:
    """Lay out all pages as they lie in the repository, the README as the first."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(ROOT / "docs", SOURCE / "docs", ignore=shutil.ignore_patterns("site"))
    for name in ("CHANGELOG.md", "CITATION.cff", "LICENSE"):
        shutil.copy(ROOT / name, SOURCE)
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    (SOURCE / "notebooks").mkdir()
    asyncio.run(run_notebooks(notebooks, SOURCE / "notebooks"))
    pages = {
        str(path.relative_to(SOURCE).with_suffix(""))
        for kind in ("md", "ipynb")
        for path in SOURCE.rglob(f"*.{kind}")
    }
    front = (ROOT / "README.md").read_text(encoding="utf-8")
    (SOURCE / "index.md").write_text(front + contents(navigation(pages)), encoding="utf-8")


def build(target: Path) -> None:
    """Let Sphinx write the pages; its warnings are errors."""
    shutil.rmtree(target, ignore_errors=True)
    command = [
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-j",
        "2",
        "-c",
        ROOT / "docs" / "site",
        SOURCE,
        target,
    ]
    result = subprocess.run([sys.executable, *map(str, command)], env=KEYLESS, check=False)
    if result.returncode:
        sys.exit(result.returncode)


def main(folder: str = str(ROOT / "build" / "site")) -> None:
    """Build the site."""
    began = time.monotonic()
    target = Path(folder).resolve()
    stage()
    build(target)
    shutil.copy(ROOT / "docs" / "images" / "panel.png", target / "_images")
    pages = sum(1 for _ in target.rglob("*.html"))
    print(f"{target / 'index.html'}: {pages} pages after {time.monotonic() - began:.0f} s.")


if __name__ == "__main__":
    main(*sys.argv[1:])
