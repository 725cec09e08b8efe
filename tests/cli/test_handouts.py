"""`nbvlm handouts`: worksheet and teacher's copy from one source."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from nbvlm.cli import handouts, main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder: Path = tmp_path_factory.mktemp("class") / "handouts"
    assert main.main(["handouts", "--out", str(folder)]) == 0
    return {path.name: path.read_text("utf-8") for path in folder.iterdir()}


def sections(page: str) -> list[tuple[str, int]]:
    found = re.findall(r"<h2>(.+?) <small>(\d+) minutes</small></h2>", page)
    return [(title, int(minutes)) for title, minutes in found]


def test_both_pages_have_the_same_parts_of_ninety_minutes(pages):
    assert sorted(pages) == ["teacher.html", "worksheet.html"]
    student, teacher = sections(pages["worksheet.html"]), sections(pages["teacher.html"])
    assert student == teacher
    assert len(student) == 6
    assert sum(minutes for _, minutes in student) == 90


def test_only_the_teacher_has_the_answers(pages):
    assert 'class="note"' in pages["teacher.html"]
    assert 'class="note"' not in pages["worksheet.html"]
    assert "from left to right" not in pages["worksheet.html"]
    assert 'class="line"' in pages["worksheet.html"]
    assert 'class="line"' not in pages["teacher.html"]


def test_the_expected_results_are_computed(pages):
    teacher = pages["teacher.html"]
    shares = [int(share) for share in re.findall(r"<td>(\d+)%</td>", teacher)]
    assert len(shares) >= 8
    assert max(shares) - min(shares) >= 50
    recalls = [float(recall) for recall in re.findall(r"recall (\d\.\d+) at", teacher)]
    assert recalls == sorted(recalls, reverse=True)
    assert recalls[0] - recalls[-1] > 0.2


class Balance(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []

    def handle_starttag(self, tag: str, _attributes: object) -> None:
        if tag not in ("img", "meta"):
            self.opened.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag


def test_the_pages_are_whole_and_need_no_other_file(pages):
    for page in pages.values():
        assert "{{" not in page
        assert "<!--" not in page
        assert not re.search(r'(?:src|href)="(?!data:)', page)
        balance = Balance()
        balance.feed(page)
        assert balance.opened == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(handouts, "pages", lambda: {"worksheet.html": ""})
    (tmp_path / "file").write_text("")
    assert main.main(["handouts", "--out", str(tmp_path / "file" / "x")]) == 1
    assert "The handouts cannot be written" in capsys.readouterr().err
