"""What imports what: nothing upwards, no circle, nothing heavy for `import nbvlm`."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PACKAGE = Path(__file__).parents[1] / "nbvlm"

# A module may import from its own floor and from those below it (here: above). The folders `demo` and `panel`
# stand for all in them; those of SHELVES only keep modules together.
SHELVES = ("answers", "batches", "commands", "drawing", "exchange", "magic", "pictures", "views")
FLOORS = """
errors endpoints prompts sse retry
secret keys redact settings timeouts validation wire http1 network recent statuses
blas cache fontfile palette words

images infile containers convert decoded decoding fetch loading shrink sniff sources
parser boxes columns detections entities evaluation grammar problems
masks decoder download patches polygons rle stencils

result measured events

flow assets calls drive gather route steps

client base streams rooms pools apools threaded knock

replay pace recording demo compare
batch bridge crew journal listing plan reading remote rows runs tables tally templates throttle
cluster engines halves office partitions station wires

draw clusters lettering placement style tags
export files gauge serial shell snippets display markup page figures svg

panel magics cli
arguments answering asking doctor findings health installed lab reach serve terminal tutorials
asks caller completion expansion inputs live line pump
"""
FLOOR_OF = {name: floor for floor, names in enumerate(FLOORS.split("\n\n")) for name in names.split()}

# Inside functions only: a result draws, exports and shows itself; a client opens the model or a recording.
VIEWS = ("display", "draw", "export", "files", "page", "serial", "shell", "snippets", "svg")
# A batch shows how far it is.
UPWARDS = {("result", view) for view in VIEWS} | {("base", "demo"), ("runs", "gauge")}

HEAVY = ("IPython", "PIL", "anywidget", "httpx", "ipywidgets", "msgspec", "numpy", "pandas", "torch")
HTTPX_SITES = {
    *("flow", "calls", "route", "steps"),
    *("client", "base", "threaded"),
    *("network", "pools", "apools", "replay", "pace", "demo"),
    *("fetch", "download"),  # a picture by its address, a published codebook
}
WIDGET_SITES = {"gauge", "panel", "magics", "display", "asks", "completion", "expansion", "live"}


def room(path: Path) -> str:
    """Name of the module, or of the folder that it is in, directly under the package or on a shelf."""
    return _unshelved(path.relative_to(PACKAGE).with_suffix("").parts)


def _unshelved(parts: Sequence[str]) -> str:
    first, second, *_ = [*parts, "__init__"]
    return second if first in SHELVES else first


def is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def walk(node: ast.AST, inside: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """All nodes that run, with whether a function holds them."""
    yield node, inside
    inside = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        if is_for_type_checkers(child):
            continue
        yield from walk(child, inside)


def imported(path: Path) -> Iterator[tuple[str, bool]]:
    """Dotted names that a module imports, with whether a function does."""
    for node, inside in walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            yield from ((f"{node.module}.{alias.name}", inside) for alias in node.names)


def own_imports() -> Iterator[tuple[str, str, bool]]:
    """(room, imported room, whether inside a function) over the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for name, inside in imported(path):
            package, *parts = name.split(".")
            target = _unshelved(parts or ["__version__"])
            if package == "nbvlm" and target not in (room(path), "__version__") and room(path) != "__init__":
                yield room(path), target, inside


def test_every_module_has_a_floor() -> None:
    rooms = {room(path) for path in PACKAGE.rglob("*.py")} - {"__init__", "__main__"}
    assert rooms - FLOOR_OF.keys() == set()


def test_no_import_runs_upwards() -> None:
    upwards = {(a, b, inside) for a, b, inside in own_imports() if FLOOR_OF.get(b, 99) > FLOOR_OF.get(a, 99)}
    assert {(a, b) for a, b, inside in upwards if (a, b) not in UPWARDS or not inside} == set()


def test_no_circle_of_imports() -> None:
    below: dict[str, set[str]] = {}
    for a, b, _ in own_imports():
        if (a, b) not in UPWARDS:
            below.setdefault(a, set()).add(b)
    while ends := {name for name, others in below.items() if not others & below.keys()}:
        below = {name: others for name, others in below.items() if name not in ends}
    assert below == {}


@pytest.mark.parametrize(
    ("library", "sites"), [("httpx", HTTPX_SITES), ("ipywidgets", WIDGET_SITES), ("IPython", WIDGET_SITES)]
)
def test_a_library_is_imported_only_where_it_belongs(library: str, sites: set[str]) -> None:
    found = {
        room(path)
        for path in PACKAGE.rglob("*.py")
        for name, _ in imported(path)
        if name.split(".")[0] == library
    }
    assert found <= sites


def run(code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    return result.stdout.strip()


def test_import_nbvlm_loads_nothing_heavy() -> None:
    assert run(f"import sys, nbvlm; print([name for name in {HEAVY} if name in sys.modules])") == "[]"


def test_import_nbvlm_starts_no_thread_and_opens_no_connection() -> None:
    code = """
    import sys, threading
    sys.addaudithook(lambda event, args: event.startswith("socket.") and sys.exit(event))
    import nbvlm
    print(threading.active_count())
    """
    assert run("\n".join(line.strip() for line in code.splitlines())) == "1"


def test_the_client_needs_no_widgets_and_no_torch() -> None:
    code = "import sys, nbvlm; nbvlm.Client('demo').close(); print([n for n in {} if n in sys.modules])"
    assert run(code.format(("IPython", "ipywidgets", "pandas", "torch"))) == "[]"


def test_training_without_its_library_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError")
    training = [sys.executable, "-m", "training.train"]
    told = subprocess.run(
        [*training, "--folder", str(tmp_path / "states")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert told.returncode == 1
    assert 'pip install "nbvlm[train]"' in told.stderr
    assert not (tmp_path / "states").exists()
