"""Results as tables and data sets, read back by the libraries they are for."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support import made_results as made

import nbvlm
from nbvlm._text import csv_value
from nbvlm.grounding.detections import Detections
from nbvlm.result.datasets import COLUMNS, to_csv

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIZE = (200, 120)


def coco_index(data):
    from pycocotools.coco import COCO

    coco = COCO()
    coco.dataset = data
    coco.createIndex()
    return coco


def test_the_table_has_one_row_a_detection() -> None:
    table = made.result().to_dataframe()
    assert list(table.columns) == list(COLUMNS)
    assert table["label"].tolist() == ["cat", "cat", "dog"]
    first = table.iloc[0]
    assert (first.x0, first.y0, first.x1, first.y1) == (10.25, 40.5, 60.0, 90.0)
    assert first.area == pytest.approx(49.75 * 49.5)
    assert (first.x0_norm, first.y1_norm) == (10.25 / 200, 90 / 120)
    assert first.mask_area == 35 * 35
    assert table["mask_area"].isna().tolist() == [False, True, True]


def test_an_empty_table_has_the_same_columns_and_types() -> None:
    full = made.result().to_dataframe()
    empty = made.result(detections=Detections.empty(SIZE)).to_dataframe()
    assert len(empty) == 0
    assert empty.dtypes.equals(full.dtypes)


def test_tables_of_several_results_can_be_stacked() -> None:
    tables = [made.result().to_dataframe(), made.result(detections=Detections.empty(SIZE)).to_dataframe()]
    assert len(pd.concat(tables)) == 3


def test_csv_is_read_back_as_the_same_table() -> None:
    awkward = Detections([[0, 0, 9, 9]] * 3, ('say "hi", twice', "猫", "="), SIZE)
    for detections in (made.found(), awkward):
        result = made.result(detections=detections)
        back = pd.read_csv(io.StringIO(to_csv(result)), dtype={"label": "str", "mask_area": "Int64"})
        back["label"] = back["label"].map(csv_value)
        pd.testing.assert_frame_equal(back, result.to_dataframe())


def test_a_label_is_never_a_formula_for_a_spreadsheet() -> None:
    labels = ('=HYPERLINK("http://127.0.0.1/")', "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "-5", "cat")
    found = Detections([[0.0, 0.0, 9.0, 9.0]] * len(labels), labels, SIZE)
    _, *rows = csv.reader(io.StringIO(to_csv(made.result(detections=found)), newline=""))
    assert [row[0] for row in rows] == [f"'{label}" for label in labels[:6]] + ["-5", "cat"]
    assert rows[0][1:5] == ["0.0", "0.0", "9.0", "9.0"]


def test_csv_has_plain_lines() -> None:
    rows = list(csv.reader(to_csv(made.result()).splitlines()))
    assert len(rows) == 4
    assert rows[2][:5] == ["cat", "150.0", "20.0", "200.0", "60.0"]


@pytest.mark.parametrize("form", ["rle", "polygon"])
def test_pycocotools_reads_the_coco_data_set(form) -> None:
    result = made.result()
    coco = coco_index(result.to_coco(segmentation=form))
    assert [item["name"] for item in coco.loadCats(coco.getCatIds())] == ["cat", "dog"]
    (image,) = coco.loadImgs(coco.getImgIds())
    assert (image["width"], image["height"], image["file_name"]) == (200, 120, "pets.png")
    first, second, third = coco.loadAnns(coco.getAnnIds())
    assert first["bbox"] == [10.25, 40.5, 49.75, 49.5]
    assert np.array_equal(coco.annToMask(first).astype(bool), result.detections.masks[0])
    assert first["area"] == 35 * 35
    assert "segmentation" not in second
    assert third["category_id"] == 2


def test_coco_scores_its_own_boxes_as_perfect() -> None:
    from pycocotools.cocoeval import COCOeval

    truth = coco_index(made.result().to_coco())
    answers = [
        {"image_id": 1, "category_id": item["category_id"], "bbox": item["bbox"], "score": 1.0}
        for item in truth.dataset["annotations"]
    ]
    score = COCOeval(truth, truth.loadRes(answers), "bbox")
    score.evaluate()
    score.accumulate()
    score.summarize()
    assert score.stats[0] == pytest.approx(1.0)


def test_coco_numbers_can_be_fixed_for_many_pictures() -> None:
    data = made.result().to_coco(image_id=7, categories=["dog", "bird", "cat"])
    assert {item["image_id"] for item in data["annotations"]} == {7}
    assert [item["category_id"] for item in data["annotations"]] == [3, 3, 1]
    with pytest.raises(ValueError, match="'cat'"):
        made.result().to_coco(categories=["dog"])


def test_coco_puts_swapped_corners_in_order_and_names_what_has_no_label() -> None:
    data = made.result(detections=Detections([[60, 90, 10, 40]], ("",), SIZE)).to_coco()
    assert data["annotations"][0]["bbox"] == [10, 40, 50, 50]
    assert data["categories"][0]["name"] == "unlabelled"


def test_yolo_lines_have_middle_and_size_as_shares() -> None:
    lines = made.result().to_yolo().splitlines()
    assert lines[1] == "0 0.875 0.333333 0.25 0.333333"
    assert [line.split()[0] for line in lines] == ["0", "0", "1"]
    assert made.result().to_yolo(categories=["dog", "cat"]).split()[0] == "1"
    assert made.result(detections=Detections.empty(SIZE)).to_yolo() == ""


def without_codebook(monkeypatch, tmp_path) -> nbvlm.Result:
    monkeypatch.setenv("NBVLM_VAE_WEIGHTS", str(tmp_path / "none.npz"))
    found = Detections([[0, 0, 100, 60]], ("cat",), (200, 120), codes=(tuple(range(16)),), codebook="vae-oid")
    return made.result(detections=found)


def test_yolo_boxes_need_no_masks(monkeypatch, tmp_path) -> None:
    assert without_codebook(monkeypatch, tmp_path).to_yolo() == "0 0.25 0.25 0.5 0.5\n"


def test_without_its_codebook_a_data_set_has_no_masks_and_a_warning_says_why(monkeypatch, tmp_path) -> None:
    result = without_codebook(monkeypatch, tmp_path)
    reason = r"The masks are left out\. .*none\.npz"
    with pytest.warns(UserWarning, match=reason):
        [annotation] = result.to_coco()["annotations"]
    assert annotation["bbox"] == [0, 0, 100, 60]
    assert "segmentation" not in annotation
    with pytest.warns(UserWarning, match=reason):
        assert len(result.to_yolo(segments=True).split()) == 9
    with pytest.warns(UserWarning, match=reason):
        assert result.to_supervision().mask is None


def test_without_its_codebook_every_view_is_there_and_says_why(monkeypatch, tmp_path) -> None:
    result = without_codebook(monkeypatch, tmp_path)
    assert result.annotate().size == (200, 120)
    assert json.loads(result.to_json())["detections"]["items"][0]["mask"] is None
    assert len(result.to_dataframe()) == 1
    for view in (result.to_html(), result.to_svg(), result._repr_mimebundle_()[0]["text/html"]):
        assert view.count("The masks are left out.") == 1


ELSEWHERE = """
import json, os, pwd, sys, tempfile
folder = tempfile.mkdtemp()
os.chdir(folder)
os.rmdir(folder)
os.environ.pop("HOME", None)
def gone(*_): raise KeyError("no entry")
pwd.getpwuid = gone
import warnings
warnings.simplefilter("ignore")
import nbvlm
from nbvlm.widgets.export_menu import FORMATS, make
result = nbvlm.Result.from_json(sys.stdin.read())
views = [make(result, form).data for form in FORMATS if form not in ("png", "jpeg", "webp")]
assert all(views) and result._repr_mimebundle_() and repr(result) and len(result.to_dataframe())
print("all there")
"""


def test_views_need_neither_home_nor_working_folder_nor_network(monkeypatch, tmp_path) -> None:
    result = without_codebook(monkeypatch, tmp_path)
    unreachable = {"HTTPS_PROXY": "http://127.0.0.1:9", "PATH": os.environ["PATH"]}
    root = str(Path(nbvlm.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE],
        input=result.to_json(),
        env=unreachable | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.stdout == "all there\n", done.stderr


def test_yolo_segments_follow_the_mask_or_the_box() -> None:
    first, second, _ = made.result().to_yolo(segments=True).splitlines()
    corners = np.array(first.split()[1:], dtype=float).reshape(-1, 2) * SIZE
    assert np.allclose(corners, [(15, 45), (50, 45), (50, 80), (15, 80)], atol=1e-3)
    assert len(second.split()) == 9


def test_supervision_draws_boxes_labels_and_masks() -> None:
    with pytest.warns() if "cv2" not in sys.modules and "supervision" not in sys.modules else no_warning():
        import supervision as sv

    result = made.result()
    detections = result.to_supervision()
    assert detections.xyxy.tolist() == result.detections.xyxy.tolist()
    assert detections.data["class_name"].tolist() == ["cat", "cat", "dog"]
    assert detections.class_id.tolist() == [0, 0, 1]
    before = np.array(result.picture.image())
    masked = sv.MaskAnnotator().annotate(before.copy(), detections)
    assert np.array_equal(np.any(masked != before, axis=2), result.detections.masks[0])
    assert (sv.BoxAnnotator().annotate(before.copy(), detections) != before).any()
    assert (sv.LabelAnnotator().annotate(before.copy(), detections) != before).any()


def no_warning():
    import contextlib

    return contextlib.nullcontext()


def test_supervision_gets_no_masks_where_there_are_none_and_nothing_for_nothing() -> None:
    boxes = Detections([[0, 0, 9, 9]], ("a",), SIZE)
    assert made.result(detections=boxes).to_supervision().mask is None
    assert len(made.result(detections=Detections.empty(SIZE)).to_supervision()) == 0


@pytest.mark.parametrize(
    ("name", "line"), [("pandas", 'pip install "nbvlm[pandas]"'), ("supervision", "pip install supervision")]
)
def test_a_missing_library_is_named_with_the_line_that_installs_it(name: str, line: str, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    convert = {"pandas": made.result().to_dataframe, "supervision": made.result().to_supervision}[name]
    with pytest.raises(nbvlm.Error) as caught:
        convert()
    assert line in str(caught.value)
