"""Answers of other model families and about photographs, in the panel of a real JupyterLab."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from browser.conftest import Opened, opened_notebook
from browser.parts import violations
from nbvlm import prompts
from nbvlm.demo.gallery import GALLERY, PHOTOS, SCENES
from nbvlm.grounding import dialects

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext

    from browser.hosts import Jupyter, Sheet

PETS = SCENES[0]
KNOWN = [thing for thing in PETS.scene().things if thing.kind in ("cat", "dog")]
TASK = "detect cat ; dog"
THOUGHT = "The question is about cat, dog."


# The options of the client stand in a file, so that one page and one kernel serve all tests.
CELL = """
import json, pathlib, nbvlm
panel = nbvlm.Panel(client=nbvlm.Client("demo", **json.loads(pathlib.Path("options.json").read_text())))
panel
"""


@pytest.fixture(scope="module")
def families(context: BrowserContext, jupyter: Jupyter) -> Iterator[Opened]:
    (jupyter.notebooks / "options.json").write_text("{}")
    with opened_notebook(context, jupyter, jupyter.notebook("families.ipynb", CELL)) as sheet:
        yield Opened(sheet)


def panel(families: Opened, jupyter: Jupyter, **options: str) -> Sheet:
    """Open a panel whose client has these options."""
    (jupyter.notebooks / "options.json").write_text(json.dumps(options))
    return families.again()


def drawn(sheet: Sheet) -> list[tuple[str, tuple[float, ...]]]:
    """Labels and boxes on the picture, in its pixels."""
    found: list[Any] = sheet.page.evaluate(
        """() => [...document.querySelectorAll(".nbvlm-marks rect")].map((rect, at) => [
          document.querySelectorAll(".nbvlm-labels .nbvlm-label")[at].textContent,
          ["x", "y", "width", "height"].map((name) => Number(rect.getAttribute(name))),
        ])"""
    )
    return [(label, (x, y, x + width, y + height)) for label, (x, y, width, height) in found]


def iou(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    wide = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    high = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return wide * high / (sum(areas) - wide * high)


def is_on(box: tuple[float, ...], truth: tuple[float, ...]) -> bool:
    """Whether a box is a known one, or a point lies within it."""
    x0, y0, x1, y1 = box
    if x1 - x0 < 20 and y1 - y0 < 20:
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        return truth[0] <= x <= truth[2] and truth[1] <= y <= truth[3]
    return iou(box, truth) >= 0.9


def are_known(boxes: list[tuple[str, tuple[float, ...]]]) -> bool:
    """Whether each known thing has its box, and there are no others."""
    pairs = [[label == thing.kind and is_on(box, thing.box) for label, box in boxes] for thing in KNOWN]
    return len(boxes) == len(KNOWN) and all(row.count(True) == 1 for row in pairs)


@pytest.mark.parametrize(
    ("family", "habit"),
    [
        ("qwen3-vl", "+reason"),
        pytest.param("qwen2.5-vl", "", marks=pytest.mark.heavy),
        ("gemini", "+think"),
        pytest.param("molmo", "", marks=pytest.mark.heavy),
        pytest.param("internvl", "", marks=pytest.mark.heavy),
    ],
)
def test_boxes_of_another_family_are_where_the_things_are(
    families: Opened, jupyter: Jupyter, family: str, habit: str
) -> None:
    lab = panel(families, jupyter, speak=family + habit)
    answer = lab.ask(TASK)
    assert "<loc" not in answer
    boxes = drawn(lab)
    assert are_known(boxes), boxes
    rows = lab.find(".nbvlm-found-row[data-index]")
    assert rows.locator(".nbvlm-found-label").all_text_contents() == [label for label, _ in boxes]
    sizes = [f"{round(x1 - x0)} × {round(y1 - y0)}" for _, (x0, y0, x1, y1) in boxes]
    if family != "molmo":  # a point has no size
        assert rows.locator(".nbvlm-found-size").all_text_contents() == sizes
    sent = prompts.translate(TASK, dialects.of(family))
    assert sent != TASK
    expect(lab.find(".nbvlm-asked")).to_be_visible()
    expect(lab.find(".nbvlm-asked")).to_have_text(f"asked as {sent}")
    expect(lab.find(".nbvlm-by")).to_have_text(f"nbvlm/demo-{family}{habit}")
    thoughts = lab.find(".nbvlm-reasoning-text")
    expect(thoughts).to_be_hidden()
    if habit:
        assert THOUGHT not in answer
        lab.find(".nbvlm-reasoning summary").click()
        expect(thoughts).to_contain_text(THOUGHT)
    else:
        expect(lab.find(".nbvlm-reasoning")).to_be_hidden()
    assert violations(lab.page) == []
    assert lab.errors == []


def test_boxes_that_look_wrong_are_read_again_by_keyboard(families: Opened, jupyter: Jupyter) -> None:
    lab = panel(families, jupyter, speak="gemini")
    keyboard = lab.page.keyboard
    lab.ask(TASK)
    before = drawn(lab)
    lab.find(".nbvlm-reread summary").focus()
    keyboard.press("Enter")
    expect(lab.find(".nbvlm-reread-order")).to_be_visible()
    expect(lab.find(".nbvlm-reread-order")).to_have_value("yxyx")
    expect(lab.find(".nbvlm-reread-scale")).to_have_value("1000,1000")
    keyboard.press("Tab")
    expect(lab.find(".nbvlm-reread-order")).to_be_focused()
    keyboard.press("ArrowUp")
    note = lab.find(".nbvlm-notes li")
    expect(note).to_have_text(
        "The numbers of the boxes were read again: x before y on a scale of 1000 × 1000."
    )
    (width, height), (_, (x0, y0, x1, y1)) = PETS.picture().size, before[0]
    swapped = (y0 / height * width, x0 / width * height, y1 / height * width, x1 / width * height)
    assert drawn(lab)[0][1] == pytest.approx(swapped, abs=0.1)
    lab.find(".nbvlm-reread-scale").select_option(label="pixels of the picture")
    expect(note).to_contain_text(f"x before y on a scale of {width} × {height}")
    expect(lab.find(".nbvlm-reread-order")).to_be_visible()
    lab.find(".nbvlm-reread-scale").select_option(label="0 to 1000")
    expect(note).to_contain_text("x before y on a scale of 1000 × 1000")
    lab.find(".nbvlm-reread-order").select_option("yxyx")
    expect(note).to_contain_text("y before x")
    assert drawn(lab) == before
    expect(lab.find(".nbvlm-card")).to_have_count(1)
    assert violations(lab.page) == []
    assert lab.errors == []


def test_a_photograph_is_answered_by_the_detector_which_says_so_before_its_answer(
    families: Opened, jupyter: Jupyter
) -> None:
    lab = panel(families, jupyter)
    badge, notes = lab.find(".nbvlm-badge"), lab.find(".nbvlm-answer-part .nbvlm-notes")
    expect(badge).to_have_text("Demo model")
    lab.ask("detect cat ; dog")
    expect(badge).to_have_text("Demo model: scenes")
    expect(notes).to_be_hidden()
    number = GALLERY.index(PHOTOS[0])
    lab.find(".nbvlm-thumb").nth(number).click()
    expect(lab.find(".nbvlm-chosen-name")).to_contain_text(PHOTOS[0].name)
    expect(badge).to_have_text("Demo model")
    assert lab.ask(PHOTOS[0].prompt).endswith("cat")
    expect(badge).to_have_text("Demo model: photographs")
    expect(lab.find(".nbvlm-by")).to_have_text("nbvlm/demo-photos")
    expect(notes).to_contain_text("A small detector of 80 everyday kinds answers")
    assert notes.bounding_box()["y"] < lab.find(".nbvlm-answer").bounding_box()["y"]
    colors = lab.page.evaluate(
        """() => [".nbvlm-answer-part .nbvlm-notes", ".nbvlm-answer"].map(
          (name) => getComputedStyle(document.querySelector(".nbvlm-panel " + name)).backgroundColor)"""
    )
    assert colors[0] != colors[1]
    expect(lab.find(".nbvlm-answer-part .nbvlm-voice")).to_contain_text(
        "A small detector of 80 everyday kinds answers"
    )
    lab.find(".nbvlm-notes-step").press("Enter")
    expect(lab.find(".nbvlm-model")).to_be_focused()
    lab.page.keyboard.press("Escape")
    assert violations(lab.page) == []
    assert lab.errors == []
