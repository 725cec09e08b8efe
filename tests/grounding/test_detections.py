"""Detections as values: columns that fit, filters, sums, equality, pickles, masks that wait."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nbvlm import Detection, Detections, ImageError, Picture, Problem
from nbvlm.grounding import Origin
from nbvlm.grounding.masks.codebooks import Codebook

SIZE = (40, 30)
CODES = tuple(range(16))


class CountingBook(Codebook):
    """A codebook whose rasters are all inside, and that counts how it is used."""

    values = 128
    side = 64

    def __init__(self, name: str | None = None) -> None:
        self.name = name
        self.calls: list[int] = []

    def decode(self, codes: Any) -> Any:
        self.calls.append(len(codes))
        return np.ones((len(codes), 64, 64), np.float32)


def found(**options: Any) -> Detections:
    boxes = [[0, 0, 10, 10], [5, 5, 20, 15], [1, 1, 9, 9]]
    return Detections(boxes, ["cat", "dog", "cat"], SIZE, **options)


def masked(book: Any = None) -> Detections:
    return found(codes=[CODES, None, CODES], codebook=book or CountingBook())


def test_places_that_are_not_there_are_told() -> None:
    found = Detections([[0, 0, 9, 9], [5, 5, 8, 8]], ["cat", "dog"], (10, 10))
    with pytest.raises(IndexError, match=r"Detection 2 does not exist: there are 2, counted from 0"):
        _ = found[2]
    with pytest.raises(IndexError, match=r"one bool per detection: 2, got 3"):
        _ = found[[True, False, True]]
    with pytest.raises(IndexError):
        _ = found[[0, 7]]
    assert found[-2].label == "cat"


def test_columns_are_kept_in_one_form() -> None:
    made = found()
    assert made.xyxy.dtype == np.float64
    assert made.xyxy.shape == (3, 4)
    assert made.labels == ("cat", "dog", "cat")
    assert made.size == SIZE
    assert made.codes == (None, None, None)
    assert list(made.masks) == [None, None, None]
    assert made.areas.tolist() == [100, 150, 64]


def test_iteration_gives_single_detections() -> None:
    rows = list(found())
    assert [row.label for row in rows] == ["cat", "dog", "cat"]
    assert rows[1].box == (5.0, 5.0, 20.0, 15.0)
    assert all(isinstance(value, float) for value in rows[1].box)
    assert rows[1] == Detection("dog", (5, 5, 20, 15), size=SIZE)
    assert found()[-1] == rows[2]
    assert Detections.of(rows, SIZE) == found()


@pytest.mark.parametrize(
    ("key", "rows"),
    [
        (np.array([True, False, True]), [0, 2]),
        ([False, True, False], [1]),
        ([False, False, False], []),
        ("cat", [0, 2]),
        ("bird", []),
        (slice(1, None), [1, 2]),
        (slice(None, None, -1), [2, 1, 0]),
        (np.array([2, 0]), [2, 0]),
        ([0, 0, -1], [0, 0, 2]),
        ([], []),
        (np.array([], int), []),
    ],
    ids=str,
)
def test_filters(key: Any, rows: list[int]) -> None:
    part = masked()[key]
    assert part == Detections.of([masked()[row] for row in rows], SIZE)
    assert len(part) == len(rows)
    assert part.codes == tuple(masked().codes[row] for row in rows)
    assert [mask is not None for mask in part.masks] == [row != 1 for row in rows]


@pytest.mark.parametrize("key", [3, -4, [True, False], [5]])
def test_filters_that_reach_outside(key: Any) -> None:
    with pytest.raises(IndexError):
        found()[key]


@pytest.mark.parametrize("key", [1.5, [0.5], [["a"]], None, {"cat"}])
def test_filters_that_are_none(key: Any) -> None:
    with pytest.raises(TypeError, match="Index detections with"):
        found()[key]


def test_sums_keep_order_and_masks() -> None:
    pixels = np.zeros(SIZE[::-1], bool)
    pixels[3:5, 2:8] = True
    given = Detections([[2, 3, 8, 5]], ["bar"], SIZE, masks=[pixels])
    joined = given + masked() + found()
    assert joined.labels == ("bar", "cat", "dog", "cat", "cat", "dog", "cat")
    assert [mask is not None for mask in joined.masks] == [True, True, False, True, False, False, False]
    assert np.array_equal(joined.masks[0], pixels)
    assert Detections.empty(SIZE) + given == given


def test_sums_of_different_codebooks_decode_with_their_own() -> None:
    one, two = CountingBook(), CountingBook()
    joined = masked(one) + masked(two)
    assert joined.codebook is None
    assert [mask is not None for mask in joined.masks] == [True, False, True, True, False, True]
    assert (one.calls, two.calls) == ([2], [2])


def test_sums_of_pictures_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="40×30 and 10×10"):
        found() + Detections.empty((10, 10))
    with pytest.raises(TypeError):
        found() + 1


def test_repetitions_are_left_out_on_request() -> None:
    boxes = [[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 9.5], [0, 0, 10, 10], [9, 9, 1, 1], [9, 9, 1, 1]]
    many = Detections(boxes, ["cat", "cat", "cat", "dog", "cat", "cat"], SIZE)
    assert many.unique() == many[[0, 3, 4]]
    assert many.unique(iou=0.96) == many[[0, 2, 3, 4]]
    assert len(Detections.empty(SIZE).unique()) == 0
    for iou in (0, -1, 1.1):
        with pytest.raises(ValueError, match="iou"):
            many.unique(iou=iou)


def test_values_are_frozen() -> None:
    made, one = masked(), masked()[0]
    for value, name in [(made, "labels"), (made, "masks"), (one, "box"), (one, "mask"), (one, "new")]:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, None)
    for array in (made.xyxy, made.masks[0], one.mask, made.mask_crops[0].pixels):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        Problem("cut", 0, "<").kind = "text"  # type: ignore[misc]


def test_what_was_given_can_change_without_changing_the_value() -> None:
    boxes, labels = np.array([[0.0, 0, 1, 1]]), ["a"]
    made = Detections(boxes, labels, SIZE)
    boxes[:] = 7
    labels[0] = "b"
    assert made == Detections([[0, 0, 1, 1]], ["a"], SIZE)


def test_equality_needs_no_decoding() -> None:
    one, two = masked(), masked()
    assert one == two
    assert hash(one) == hash(two)
    assert one[0] == two[0]
    assert hash(one[0]) == hash(two[0])
    assert one.codebook.calls == two.codebook.calls == []
    assert one != found()
    assert one != Detections(one.xyxy, one.labels, (40, 31), codes=one.codes)
    assert one != one[:2]
    assert one != "cat"
    assert one[0] != found()[0]
    assert one[0] != "cat"


def test_equality_looks_at_masks_that_were_given() -> None:
    pixels = np.zeros(SIZE[::-1], bool)
    other = pixels.copy()
    other[0, 0] = True
    one = Detection("a", (0, 0, 1, 1), mask=pixels)
    assert one == Detection("a", (0, 0, 1, 1), mask=pixels.astype(np.uint8))
    assert one != Detection("a", (0, 0, 1, 1), mask=other)
    assert one != Detection("a", (0, 0, 1, 1), size=SIZE)


def test_masks_wait_until_they_are_wanted_and_decode_together_once() -> None:
    book = CountingBook()
    made = masked(book)
    rows = list(made)
    assert book.calls == []
    assert made.masks[0].shape == (30, 40)
    assert made.masks[0].sum() == 100
    assert book.calls == [2]
    assert rows[2].mask.sum() == 64
    assert made["cat"].masks[1].sum() == 64
    assert [crop and (crop.x, crop.y, crop.pixels.shape) for crop in made.mask_crops] == [
        (0, 0, (10, 10)),
        None,
        (1, 1, (8, 8)),
    ]
    assert book.calls == [2]


def test_a_filter_before_decoding_decodes_less() -> None:
    book = CountingBook()
    assert masked(book)[:1].masks[0] is not None
    assert book.calls == [1]


def test_a_single_detection_decodes_its_own_mask() -> None:
    book = CountingBook()
    one = Detection("cat", (1, 2, 4, 4), CODES, size=SIZE, codebook=book)
    assert one.mask.sum() == 6
    assert one.mask[2:4, 1:4].all()
    assert one.mask_crop.pixels.shape == (2, 3)
    assert book.calls == [1]
    assert Detection("cat", (1, 2, 4, 4), CODES, codebook=book).mask is None
    assert Detection("cat", (1, 2, 4, 4), CODES, size=SIZE).mask is None


def test_masks_are_looked_at_like_a_list() -> None:
    masks = masked().masks
    assert len(masks) == 3
    assert len(masks[:2]) == 2
    assert np.array_equal(masks[-1], list(masks)[2])
    assert repr(masks) == "<2 masks of 3 detections>"


def test_a_given_mask_is_cropped_for_drawing() -> None:
    pixels = np.zeros((30, 40), bool)
    pixels[4:7, 30:35] = True
    one = Detection("a", (0, 0, 40, 30), mask=pixels)
    assert one.size == SIZE
    assert (one.mask_crop.x, one.mask_crop.y, one.mask_crop.pixels.shape) == (30, 4, (3, 5))
    assert one.mask_crop.pixels.all()
    assert np.array_equal(one.mask_crop.spread(SIZE), pixels)
    assert Detection("a", (0, 0, 40, 30), mask=np.zeros((30, 40))).mask_crop.pixels.size == 0


@pytest.mark.parametrize("name", [None, "a-name"])
def test_pickles_come_back_equal_and_carry_no_decoded_masks(name: str | None) -> None:
    made = masked(CountingBook(name))
    before = len(pickle.dumps(made))
    assert made.masks[0] is not None
    assert len(pickle.dumps(made)) <= before + 100
    copy = pickle.loads(pickle.dumps(made))
    assert copy == made
    assert copy.codes == made.codes
    assert copy.codebook == name or (name is None and isinstance(copy.codebook, CountingBook))
    assert not copy.xyxy.flags.writeable
    one = pickle.loads(pickle.dumps(made[0]))
    assert one == made[0]
    assert pickle.loads(pickle.dumps(Detection("a", (0, 0, 1, 1)))) == Detection("a", (0, 0, 1, 1))


def test_pickles_keep_masks_that_were_given() -> None:
    pixels = np.eye(30, 40, dtype=bool)
    made = Detections([[0, 0, 30, 30]], ["a"], SIZE, masks=[pixels])
    assert np.array_equal(pickle.loads(pickle.dumps(made)).masks[0], pixels)
    assert np.array_equal(pickle.loads(pickle.dumps(made[0])).mask, pixels)


def test_representations_are_short() -> None:
    many = Detections(np.zeros((500, 4)), ["a long label"] * 500, SIZE)
    assert len(repr(many)) < 150
    assert repr(found()) == "Detections(3 of 40×30: 'cat', 'dog', 'cat')"
    assert repr(Detections.empty(SIZE)) == "Detections(0 of 40×30)"
    assert repr(masked()[0]) == "Detection('cat', (0.0, 0.0, 10.0, 10.0), mask)"
    assert repr(found()[1]) == "Detection('dog', (5.0, 5.0, 20.0, 15.0))"


BAD_COLUMNS = {
    "too few boxes": {"xyxy": [[0, 0, 1, 1]]},
    "three corners": {"xyxy": [[0, 0, 1]] * 2},
    "not a number": {"xyxy": [[0, 0, 1, float("nan")]] * 2},
    "labels that are not strings": {"labels": ["a", 1]},
    "too few codes": {"codes": [CODES]},
    "fifteen codes": {"codes": [CODES, CODES[:15]]},
    "negative codes": {"codes": [CODES, (-1, *CODES[1:])]},
    "too few masks": {"masks": [None]},
    "a mask of another size": {"masks": [None, np.zeros((40, 30), bool)]},
    "no area": {"size": (0, 30)},
    "fractions of a pixel": {"size": (40.5, 30)},
}


@pytest.mark.parametrize("bad", BAD_COLUMNS.values(), ids=BAD_COLUMNS)
def test_columns_that_do_not_fit_are_refused(bad: dict[str, Any]) -> None:
    good = {"xyxy": [[0, 0, 1, 1]] * 2, "labels": ["a", "b"], "size": SIZE}
    assert len(Detections(**good)) == 2
    with pytest.raises(ValueError, match=r"\w+"):
        Detections(**good | bad)


@pytest.mark.parametrize(
    ("label", "box", "more"),
    [
        (3, (0, 0, 1, 1), {}),
        ("a", (0, 0, 1), {}),
        ("a", (0, 0, 1, float("inf")), {}),
        ("a", (0, 0, 1, 1), {"codes": range(15)}),
        ("a", (0, 0, 1, 1), {"size": (1, 0)}),
        ("a", (0, 0, 1, 1), {"size": (2, 2), "mask": np.zeros((3, 3))}),
    ],
)
def test_a_detection_that_cannot_be_is_refused(label: Any, box: Any, more: Any) -> None:
    with pytest.raises(ValueError, match=r"\w+"):
        Detection(label, box, **more)


def test_detections_of_one_picture_do_not_take_masks_of_another() -> None:
    with pytest.raises(ValueError, match="size of its picture"):
        Detections.of([Detection("a", (0, 0, 1, 1), mask=np.zeros((3, 3)))], SIZE)


# Labels, areas, crops and tables


def test_labels_compare_label_by_label() -> None:
    labels = found().labels
    assert (labels == "cat").tolist() == [True, False, True]
    assert (labels != "cat").tolist() == [False, True, False]
    assert ("cat" == labels).tolist() == [True, False, True]  # noqa: SIM300 - the other order
    assert (labels == np.array(["cat", "cat", "cat"])).tolist() == [True, False, True]
    assert np.isin(labels, ["dog"]).tolist() == [False, True, False]
    assert (found()[:0].labels == "cat").tolist() == []


def test_labels_are_a_tuple_besides() -> None:
    labels = found().labels
    assert labels == ("cat", "dog", "cat")
    assert labels != ("cat",)
    assert hash(labels) == hash(("cat", "dog", "cat"))
    assert repr(labels) == "('cat', 'dog', 'cat')"
    assert pickle.loads(pickle.dumps(labels)) == labels
    assert "dog" in labels


def test_rows_are_chosen_by_a_comparison_of_labels() -> None:
    chosen = found()[(found().labels == "cat") & (found().areas > 80)]
    assert chosen.xyxy.tolist() == [[0, 0, 10, 10]]


def test_a_single_detection_has_the_area_of_its_row() -> None:
    assert [one.area for one in found()] == found().areas.tolist() == [100, 150, 64]
    assert Detection("x", (9, 9, 1, 1)).area == 0
    assert Detection("x", (3, 4, 3, 4), point=(3, 4)).area == 0


@pytest.mark.parametrize(
    ("box", "margin", "size"),
    [
        ((5, 5, 20, 15), 0, (15, 10)),
        ((5.2, 5.8, 19.1, 14.1), 0, (15, 10)),  # whole pixels around
        ((20, 15, 5, 5), 0, (15, 10)),  # corners swapped
        ((5, 5, 20, 15), 100, SIZE),
        ((7, 8, 7, 8), 0, (1, 1)),  # a point
        ((90, 90, 95, 95), 0, (1, 1)),  # outside
        ((-5, -5, 3, 3), 0, (3, 3)),
    ],
)
def test_a_crop_is_within_the_picture_and_never_empty(box: Any, margin: float, size: Any) -> None:
    picture = Image.new("RGB", SIZE)
    assert Detection("x", box).crop(picture, margin=margin).size == size
    assert Detection("x", box).crop(Picture.load(picture), margin=margin).size == size


def test_a_crop_needs_the_picture_of_its_boxes() -> None:
    with pytest.raises(ValueError, match="pass it"):
        found()[0].crop()
    with pytest.raises(ValueError, match="belongs to a picture of 40 × 30 pixels"):
        found()[0].crop(Image.new("RGB", (41, 30)))
    with pytest.raises(ValueError, match="margin must be"):
        found()[0].crop(Image.new("RGB", SIZE), margin=-1)
    with pytest.raises(ImageError, match=r"The file 'cat\.jpg' does not exist"):
        found()[0].crop("cat.jpg")


def test_a_table_of_detections_has_a_row_each() -> None:
    table = found().to_dataframe()
    assert table["label"].tolist() == ["cat", "dog", "cat"]
    assert table["area"].tolist() == [100, 150, 64]
    assert "notices" not in table
    assert list(found()[:0].to_dataframe().columns) == list(table.columns)


def test_the_notices_of_an_answer_follow_its_detections() -> None:
    first = Origin("a picture", "one/model", "demo", ("A guess.",))
    other = Origin("another", "two/model", "demo", ("Cut.", "A guess."))
    bound = found().bound_to(first)
    for one in (
        bound,
        bound[:1],
        bound["cat"],
        bound.unique(),
        bound.reproject(order="xyxy"),
        Detections.of(bound, SIZE),
        pickle.loads(pickle.dumps(bound)),
    ):
        assert set(one.to_dataframe()["notices"]) == {"A guess."}
    both = bound + found().bound_to(other)
    assert set(both.to_dataframe()["notices"]) == {"A guess. Cut."}
    assert set(both.to_dataframe()["model"]) == {"one/model, two/model"}
    assert both.origin is not None
    assert both.origin.picture is None


def test_a_detection_has_an_area_and_can_be_cut_out_of_its_picture() -> None:
    picture = Image.fromarray(np.arange(40 * 60, dtype=np.uint16).reshape(40, 60).astype(np.uint8))
    thing = Detection("cat", (10.2, 5.0, 20.5, 15.0), size=(60, 40))
    assert thing.area == pytest.approx(103)
    assert thing.crop(picture).size == (11, 10)
    assert np.asarray(thing.crop(picture).convert("L")).tolist() == np.asarray(picture)[5:15, 10:21].tolist()
    point = Detection("dot", (60.0, 40.0, 60.0, 40.0), size=(60, 40))
    assert (point.area, point.crop(picture).size) == (0, (1, 1))
    assert Detection("swapped", (20, 15, 10, 5), size=(60, 40)).crop(picture).size == (10, 10)
    with pytest.raises(ValueError, match="belongs to a picture of 60 × 40 pixels"):
        thing.crop(picture.resize((30, 20)))
