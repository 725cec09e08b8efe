"""A review without a page: which rows it takes, and what is refused."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import ipywidgets
import pandas as pd
import pytest
from PIL import Image

import nbvlm
from nbvlm.widgets import Review

if TYPE_CHECKING:
    from pathlib import Path

FOUND = nbvlm.Detections([[1, 2, 30, 20]], ["cat"], (60, 40))


def test_pictures_that_were_not_files_are_given(tmp_path: Path) -> None:
    table = pd.DataFrame({"source": ["#0", "#1"], "detections": [FOUND, FOUND]})
    assert Review(table).states == ("error", "error")
    pictures = [Image.new("RGB", (60, 40)), Image.new("RGB", (50, 40))]
    review = Review(table, pictures=pictures)
    review.keep()
    assert review.states == ("kept", "error")  # the second has another size
    with pytest.raises(ValueError, match="one for each of the 2 rows"):
        Review(table, pictures=pictures[:1])
    assert review.save(tmp_path / "out.zip").stat().st_size > 100


def test_results_can_be_reviewed() -> None:
    result = nbvlm.Client("demo").ask(Image.new("RGB", (60, 40), "teal"), "detect cat")
    review = Review([result])
    assert review.viewer.image is not None
    assert list(review.to_dataframe().review) == ["open"]


def test_an_observer_that_fails_ends_no_review(caplog: pytest.LogCaptureFixture) -> None:
    table = pd.DataFrame({"source": ["#0", "#1"], "detections": [FOUND, FOUND]})
    review = Review(table, pictures=[Image.new("RGB", (60, 40))] * 2)
    review.observe(lambda change: 1 / 0)
    review.keep()
    assert (review.index, review.states) == (1, ("kept", "open"))
    assert "An observer of a Review failed." in caplog.text


def test_other_tables_are_refused() -> None:
    with pytest.raises(ValueError, match="explode=True"):
        Review(pd.DataFrame({"source": ["a.png"], "label": ["cat"]}))
    for other in (["a.png"], 5, None, "a.png"):
        with pytest.raises(ValueError, match="takes the table"):
            Review(other)


def two_rows(**options: object) -> Review:
    table = pd.DataFrame({"source": ["#0", "#1"], "detections": [FOUND, FOUND]})
    return Review(table, pictures=[Image.new("RGB", (60, 40))] * 2, **options)


def test_its_keywords_are_checked_and_used() -> None:
    before = set(ipywidgets.widgets.widget._instances)
    with pytest.raises(TypeError, match="There is no keyword 'foo'"):
        two_rows(foo=1)
    with pytest.raises(IndexError, match="There is no row 2"):
        two_rows(index=2)
    gc.collect()
    assert set(ipywidgets.widgets.widget._instances) == before
    review = two_rows(index=1, layout=ipywidgets.Layout(width="50%"))
    assert (review.index, review.layout.width) == (1, "50%")


@pytest.mark.parametrize("name", [".", "..", "folder", "a\0b"])
def test_a_folder_is_neither_a_journal_nor_a_zip(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(nbvlm.Error, match="cannot be read") as refused:
        two_rows(journal=name)
    assert "Name a file" in str(refused.value.hint)
    review = two_rows(output=name)
    review.keep()
    for path in (name, None):
        with pytest.raises(nbvlm.Error) as refused:
            review.save(path)
        assert not isinstance(refused.value, ValueError)
        assert "Name a file" in str(refused.value.hint)
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]


def test_a_message_goes_with_what_it_said() -> None:
    review = two_rows()
    review.keep()
    review.next()
    assert review._bar._shown["message"] == "This is the last row."
    review.reset()
    assert review._bar._shown["message"] == ""
    review.keep()
    assert review._bar._shown["message"] == "All rows are reviewed."
    review.reset()
    shown = review._bar._shown
    assert (shown["message"], shown["counts"]["open"]) == ("", 1)


def test_a_damaged_journal_line_leaves_its_row_open(tmp_path: Path) -> None:
    table = pd.DataFrame({"source": ["#0"], "detections": [FOUND]})
    journal = tmp_path / "review.jsonl"
    options = {"pictures": [Image.new("RGB", (60, 40))], "journal": journal}
    Review(table, **options).keep()
    assert Review(table, **options).states == ("kept",)
    whole = journal.read_text()
    journal.write_text(whole[: len(whole) // 2])
    assert Review(table, **options).states == ("open",)
    journal.write_text(whole.replace('"label": "cat"', '"label": 3'))
    assert Review(table, **options).states == ("open",)


def test_a_review_leaves_nothing_behind() -> None:
    table = pd.DataFrame({"source": ["#0"], "detections": [FOUND]})
    before = set(ipywidgets.widgets.widget._instances)
    review = Review(table, pictures=[Image.new("RGB", (60, 40))])
    gone = weakref.ref(review)
    review.close()
    del review
    gc.collect()
    assert gone() is None
    assert set(ipywidgets.widgets.widget._instances) == before
