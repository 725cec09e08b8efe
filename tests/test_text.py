"""Texts that are safe to write: into a CSV for a spreadsheet, and as UTF-8."""

from __future__ import annotations

import csv
import io

import pytest

from nbvlm._text import csv_cell, csv_value, encodable

FORMULAS = [
    "=1+1",
    "+1+1",
    "-1+cmd|' /C calc'!A0",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    " =1",
    "\n=1",
    "＝1+1",
    "－2+3",
]
PLAIN = ["", "a cat", "'", "''", "it's", "'tis", "-5", "+3.25", "-1e-7", "a=b", "caf\u00e9", "1-2"]


@pytest.mark.parametrize("text", [*FORMULAS, "'=1", "''=1", "'-5", "-", "=", "-5 cats", "- a list"])
def test_what_a_spreadsheet_takes_for_a_formula_begins_with_a_quote(text: str) -> None:
    cell = csv_cell(text)
    assert cell == f"'{text}"
    assert csv_value(str(cell)) == text


@pytest.mark.parametrize("text", PLAIN)
def test_other_texts_and_numbers_stay_as_they_are(text: str) -> None:
    assert csv_cell(text) == text
    assert csv_value(text) == text
    assert csv_cell(-5) == -5
    assert csv_cell(None) is None


def test_a_row_comes_back_through_the_csv_module() -> None:
    file = io.StringIO()
    csv.writer(file).writerow(map(csv_cell, [*FORMULAS, *PLAIN]))
    row = next(csv.reader(io.StringIO(file.getvalue(), newline="")))
    assert list(map(csv_value, row)) == [*FORMULAS, *PLAIN]


def test_lone_surrogates_are_written_as_their_escapes() -> None:
    assert encodable("caf\udce9") == r"caf\udce9"
    assert encodable("🐈 é") == "🐈 é"
    assert csv_cell("=\ud83d") == r"'=\ud83d"
