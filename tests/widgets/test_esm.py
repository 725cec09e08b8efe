"""How scripts and style sheets of the widgets are packed."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from nbvlm.widgets import esm
from nbvlm.widgets._base import PageWidget

STATIC = Path(esm.__file__).with_name("static")


def widgets(base: type[PageWidget]) -> list[type[PageWidget]]:
    return [one for kind in base.__subclasses__() for one in [*widgets(kind), kind] if "_esm" in vars(one)]


WIDGETS = widgets(PageWidget)
SCRIPTS = sorted(path.stem for path in STATIC.glob("*.js") if path.stem != "loader")


def unpacked(widget: type[PageWidget]) -> dict[str, Any]:
    (packed,) = re.findall(r'atob\("([^"]+)"\)', str(widget._esm))
    return dict(json.loads(gzip.decompress(base64.b64decode(packed))))


def test_every_script_and_style_sheet_is_part_of_a_widget() -> None:
    used = {file for widget in WIDGETS for file, _ in unpacked(widget)["modules"]}
    assert used == {f"{name}.js" for name in SCRIPTS}
    styles = "".join(unpacked(widget)["css"] for widget in WIDGETS)

    def is_in(name: str, texts: str) -> bool:
        alone = esm.style("theme", name).removeprefix(esm.style("theme"))
        return esm.style(name) in texts or alone in texts

    assert [path.name for path in STATIC.glob("*.css") if not is_in(path.stem, styles)] == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_module_stands_after_its_imports_and_keeps_its_line_numbers(name: str) -> None:
    modules = esm.modules(name)
    assert list(modules)[-1] == f"{name}.js"
    before: set[str] = set()
    for file, text in modules.items():
        assert before.issuperset(re.findall(r"\./(\w+\.js)", text))
        before.add(file)
    source = (STATIC / f"{name}.js").read_text("utf-8").splitlines()
    *lines, address = modules[f"{name}.js"].splitlines()
    assert address == f"//# sourceURL=nbvlm/{name}.js"
    assert len(lines) == len(source)
    for line, original in zip(lines, source, strict=True):
        assert line == original.strip() or (not line and re.match(r" *(//|/\*\*.*\*/$)", original))


def test_style_sheets_lose_what_browsers_do_not_need(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(esm, "_STATIC", tmp_path)
    one = '/* One */\n\n.a,\n.b {\n  content: "/* x";\n\n  /* two\n lines */\n  top: 0;\n}\n'
    (tmp_path / "one.css").write_text(one)
    (tmp_path / "two.css").write_text("/* Two */\n.c {\n  left: 0;\n}\n")
    assert esm.style("one", "two") == '.a,.b{content:"/* x";top:0}.c{left:0}'
