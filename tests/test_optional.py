"""Optional packages: missing, installed and broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nbvlm._optional import require
from nbvlm.errors import Error

if TYPE_CHECKING:
    from pathlib import Path


def test_a_missing_package_is_named_with_the_line_to_run() -> None:
    with pytest.raises(
        Error, match=r"A table needs nbvlm_missing, which is not installed\. Run: pip install"
    ) as caught:
        require("nbvlm_missing", purpose="A table")
    assert caught.value.hint == "Run: pip install nbvlm_missing"
    with pytest.raises(Error, match=r"not installed\. Run: pip install \"nbvlm\[pandas\]\"\. Or not"):
        require("nbvlm_missing.part", purpose="A table", extra="pandas", note="Or not.")


BROKEN = {
    "a name that is gone": ("from json import nothing", "cannot import name 'nothing'"),
    "a library that is missing": ("raise ImportError('libGL.so.1: cannot open')", r"libGL\.so\.1"),
    "two versions that do not fit": ("raise ValueError('numpy.dtype size changed')", "size changed"),
    "a package that it needs": ("import nbvlm_missing", "No module named 'nbvlm_missing'"),
}


@pytest.mark.parametrize(("code", "words"), BROKEN.values(), ids=BROKEN)
def test_an_installed_package_that_cannot_be_imported_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    tmp_path.joinpath("nbvlm_broken.py").write_text(code)
    with pytest.raises(
        Error, match=f"nbvlm_broken, which is installed but cannot be imported: .*{words}"
    ) as caught:
        require("nbvlm_broken", purpose="A table", extra="pandas")
    assert "not installed" not in str(caught.value)
    assert "pip install" in str(caught.value.hint)


def test_a_part_that_an_old_version_lacks_is_not_called_missing() -> None:
    with pytest.raises(Error, match=r"json, which is installed but cannot be imported: .*json\.nothing"):
        require("json.nothing", purpose="A table")
