"""Annotated pictures, judged by what they show."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from support import made_results as made

from nbvlm import prompts
from nbvlm.draw import labels as drawn_labels
from nbvlm.draw import palette, placement
from nbvlm.draw.annotation import Style, annotate, colors
from nbvlm.grounding.detections import Detections

SIZE = (400, 300)


def one(box, label="cat", size=SIZE, **more) -> Detections:
    return Detections([box], (label,), size, **more)


def differs(drawn: Image.Image, picture: Image.Image) -> np.ndarray:
    return np.any(np.asarray(drawn) != np.asarray(picture.convert("RGB")), axis=2)


def test_no_detections_leave_the_picture_as_it_is() -> None:
    picture = made.photo(SIZE)
    drawn = annotate(picture, Detections.empty(SIZE))
    assert drawn is not picture
    assert not differs(drawn, picture).any()


def test_the_given_picture_is_not_drawn_on() -> None:
    picture = made.image(SIZE)
    annotate(picture, one((50, 50, 200, 200)))
    assert set(picture.get_flattened_data()) == {made.GREY}


@pytest.mark.parametrize(
    "ground", [(0, 0, 0), (255, 255, 255), (230, 159, 0), (0, 114, 178), (128, 128, 128)]
)
def test_the_edge_of_a_box_has_its_colour_and_stands_out_from_any_ground(ground) -> None:
    drawn = annotate(made.image(SIZE, ground), one((50, 60, 200, 220)), labels=False)
    color = colors(["cat"])[0]
    for x, y in ((50, 140), (199, 140), (120, 60), (120, 219)):
        assert drawn.getpixel((x, y)) == color
        around = {drawn.getpixel((x + dx, y + dy)) for dx in range(-3, 4) for dy in range(-3, 4)} - {ground}
        assert max(palette.contrast(ground, seen) for seen in around) > 3


def test_the_inside_of_a_box_and_the_rest_stay_untouched() -> None:
    picture = made.photo(SIZE)
    touched = differs(annotate(picture, one((50, 60, 200, 220)), labels=False), picture)
    assert not touched[70:210, 60:190].any()
    assert not touched[:50].any()
    assert not touched[230:].any()


def test_a_box_over_the_whole_picture_is_seen_on_all_sides() -> None:
    drawn = annotate(made.image(SIZE), one((0, 0, *SIZE)), labels=False)
    color = colors(["cat"])[0]
    for x, y in ((0, 150), (399, 150), (200, 0), (200, 299)):
        assert color in {
            drawn.getpixel((min(399, max(0, x + d)), min(299, max(0, y + d)))) for d in range(-2, 3)
        }


@pytest.mark.parametrize(
    "box",
    [(10, 10, 10, 10), (200, 150, 100, 50), (-50, -50, 20, 20), (390, 290, 900, 900), (1e9, 1e9, 2e9, 2e9)],
)
def test_odd_boxes_are_drawn_and_raise_nothing(box) -> None:
    drawn = annotate(made.image(SIZE), one(box))
    assert drawn.size == SIZE
    assert differs(drawn, made.image(SIZE)).any()


def test_a_swapped_box_is_drawn_where_its_corners_are() -> None:
    straight = annotate(made.image(SIZE), one((100, 50, 200, 150)))
    swapped = annotate(made.image(SIZE), one((200, 150, 100, 50)))
    assert not differs(straight, swapped).any()


def test_masks_tint_their_own_pixels_alone() -> None:
    mask = made.block(SIZE, 100, 80, 160, 140)
    picture = made.photo(SIZE)
    found = one((90, 70, 170, 150), masks=[mask])
    touched = differs(annotate(picture, found, boxes=False, labels=False, opacity=0.5), picture)
    assert not touched[~mask].any()
    assert touched[mask].mean() > 0.97


def test_a_mask_lets_the_picture_shine_through() -> None:
    found = one((0, 0, 399, 299), masks=[made.block(SIZE, 0, 0, 400, 300)])
    light, dark = (annotate(made.image(SIZE, 3 * (v,)), found, boxes=False, labels=False) for v in (250, 5))
    assert np.asarray(light)[150, 200].sum() > np.asarray(dark)[150, 200].sum() + 200


def test_an_empty_mask_draws_nothing() -> None:
    found = one((90, 70, 170, 150), masks=[np.zeros((300, 400), bool)])
    assert not differs(annotate(made.image(SIZE), found, boxes=False, labels=False), made.image(SIZE)).any()


def test_a_smaller_copy_gets_masks_and_boxes_in_its_own_size() -> None:
    mask = made.block(SIZE, 100, 80, 200, 180)
    found = one((100, 80, 200, 180), masks=[mask])
    drawn = annotate(made.image((200, 150)), found, boxes=False, labels=False)
    touched = differs(drawn, made.image((200, 150)))
    assert touched[41:89, 51:99].all()
    assert touched.sum() == 50 * 50


def test_scale_enlarges_the_picture_and_its_boxes() -> None:
    drawn = annotate(made.image((80, 60)), one((20, 20, 40, 40), size=(80, 60)), scale=5, labels=False)
    assert drawn.size == (400, 300)
    assert drawn.getpixel((100, 150)) == colors(["cat"])[0]


def test_lines_and_type_grow_with_the_picture() -> None:
    def ink(size):
        width, height = size
        box = (0.2 * width, 0.3 * height, 0.8 * width, 0.9 * height)
        return differs(annotate(made.image(size), one(box, size=size)), made.image(size)).mean()

    assert ink((4000, 3000)) == pytest.approx(ink((800, 600)), rel=0.35)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK", "LA", "I;16"])
def test_any_mode_of_picture_is_drawn_on(mode: str) -> None:
    drawn = annotate(Image.new(mode, SIZE), one((50, 50, 200, 200)))
    assert (drawn.mode, drawn.size) == ("RGB", SIZE)


def placed(detections: Detections, size=SIZE, monkeypatch=None, **style):
    """The rectangles of the labels that were drawn."""
    seen: list[tuple[int, int, int, int]] = []
    place = placement.place

    def spy(boxes, labels, room):
        spots = place(boxes, labels, room)
        seen.extend((s.x, s.y, s.x + w, s.y + h) for s, (w, h) in zip(spots, labels, strict=True) if s)
        return spots

    monkeypatch.setattr(drawn_labels.placement, "place", spy)
    annotate(made.image(size), detections, **style)
    return seen


CORNERS = [
    (0, 0, 30, 20),
    (370, 0, 400, 20),
    (0, 280, 30, 300),
    (370, 280, 400, 300),
    (0, 0, 400, 300),
    (180, 0, 220, 300),
]


@pytest.mark.parametrize("box", CORNERS)
def test_a_label_is_never_cut_off_at_the_edge(box, monkeypatch) -> None:
    ((x0, y0, x1, y1),) = placed(one(box, "traffic light"), monkeypatch=monkeypatch)
    assert 0 <= x0 < x1 <= 400
    assert 0 <= y0 < y1 <= 300


def test_a_long_label_is_broken_into_lines_inside_the_picture(monkeypatch) -> None:
    text = "the left-hand side mirror of the old red car that stands before the house"
    ((x0, y0, x1, y1),) = placed(one((300, 100, 390, 200), text), monkeypatch=monkeypatch)
    assert 0 <= x0 < x1 <= 400
    assert 0 <= y0 < y1 <= 300


@pytest.mark.parametrize("count", [2, 10, 40])
def test_labels_do_not_cover_each_other_where_there_is_room(count: int, monkeypatch) -> None:
    rects = placed(made.scattered(count, (1200, 900)), (1200, 900), monkeypatch)
    assert len(rects) == count
    for a, b in itertools.combinations(rects, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_repeated_boxes_get_labels_beside_each_other(monkeypatch) -> None:
    rects = placed(Detections([(100, 100, 200, 200)] * 4, ("cat",) * 4, SIZE), monkeypatch=monkeypatch)
    assert len(set(rects)) == 4


def test_five_hundred_boxes_are_drawn_and_labels_leave_most_of_the_picture_free(monkeypatch) -> None:
    rects = placed(made.scattered(500, (1200, 900)), (1200, 900), monkeypatch)
    assert 0.1 < sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in rects) / (1200 * 900) <= 0.26


def test_every_name_is_told_once_even_in_a_crowd(monkeypatch) -> None:
    drawn: list[str] = []
    select = placement.select
    monkeypatch.setattr(
        drawn_labels.placement,
        "select",
        lambda b, names, *a: drawn.extend(names[i] for i in select(b, names, *a)) or set(),
    )
    labels = [f"thing {at}" for at in range(40)]
    annotate(made.image(SIZE), made.scattered(400, SIZE, labels))
    assert set(drawn) == set(labels)


def test_a_label_of_a_million_characters_is_drawn() -> None:
    assert differs(
        annotate(made.image(SIZE), one((50, 100, 350, 250), "cat" * 400_000)), made.image(SIZE)
    ).any()


def test_label_text_is_written_in_black_or_white_on_the_colour() -> None:
    drawn = np.asarray(annotate(made.image(SIZE), one((50, 100, 350, 250), "wwww"), font_size=24))
    color = np.array(colors(["wwww"])[0])
    rows, columns = np.nonzero((drawn[:100] == color).all(axis=2))
    sign = drawn[rows.min() : rows.max(), columns.min() : columns.max()]
    ink = (sign == palette.ink(tuple(color))).all(axis=2)
    assert 0.08 < ink.mean() < 0.5


def test_numbers_count_from_one(monkeypatch) -> None:
    texts: list[str] = []
    make = drawn_labels._label_image
    monkeypatch.setattr(
        drawn_labels, "_label_image", lambda text, *more: texts.append(text) or make(text, *more)
    )
    annotate(made.image(), made.found(), numbers=True)
    assert texts == ["1 cat", "2 cat", "3 dog"]


def test_a_detection_without_label_has_a_box_alone() -> None:
    drawn = annotate(made.image(SIZE), one((100, 100, 200, 200), ""))
    assert not differs(drawn, annotate(made.image(SIZE), one((100, 100, 200, 200), ""), labels=False)).any()


def test_a_label_has_one_colour_in_every_order_process_and_picture() -> None:
    names = ["cat", "dog", "person", "car"]
    assert palette.assign(names) == palette.assign(names[::-1] * 3)
    code = f"from nbvlm.draw import palette; print(palette.assign({names!r}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str(palette.assign(names))


def test_things_of_the_prompt_keep_their_colours_when_others_are_missing() -> None:
    things = prompts.things("detect cat ; dog ; person")
    both = dict(zip(("cat", "dog"), colors(["cat", "dog"], None, things), strict=True))
    assert colors(["dog"], None, things) == [both["dog"]]


def test_labels_have_different_colours_the_first_seven_of_okabe_and_ito() -> None:
    names = [f"label {at}" for at in range(16)]
    assert len(set(palette.assign(names).values())) == 16
    assert set(palette.assign(names[:7]).values()) == set(palette.COLORS[:7])


def test_more_labels_than_colours_share_them() -> None:
    assert len(palette.assign(map(str, range(100)))) == 100


def oklab_distances(rgb: np.ndarray) -> np.ndarray:
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    deutan = np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    )
    to_lms = np.array([[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]])
    to_lab = np.array([[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]])
    lab = np.cbrt(np.clip(linear @ deutan.T, 0, 1) @ to_lms.T) @ to_lab.T
    distances = np.linalg.norm(lab[:, None] - lab[None], axis=2)
    return distances[np.triu_indices(len(rgb), 1)]


def test_colours_are_told_apart_without_green_cones() -> None:
    assert oklab_distances(np.array(palette.COLORS[:7]) / 255).min() > 0.07
    assert oklab_distances(np.array(palette.COLORS) / 255).min() > 0.05


@pytest.mark.parametrize("color", palette.COLORS)
def test_text_on_every_colour_has_enough_contrast(color) -> None:
    assert palette.contrast(color, palette.ink(color)) >= 4.5


def test_colours_can_be_fixed() -> None:
    assert colors(["cat", "dog"], Style(colors={"cat": "teal"}))[0] == (0, 128, 128)


def test_instances_can_have_colours_of_their_own() -> None:
    assert len(set(colors(["cat"] * 5, Style(by="instance")))) == 5


def test_an_unknown_option_names_those_that_exist() -> None:
    with pytest.raises(TypeError, match=r"opacty.*opacity"):
        made.result().annotate(opacty=1)


@pytest.mark.parametrize(
    "option",
    [
        {"opacity": 1.1},
        {"scale": 0},
        {"font_size": -1},
        {"by": "class"},
        {"colors": {"a": "no colour"}},
        {"font": "no.ttf"},
    ],
)
def test_options_outside_their_range_are_refused(option) -> None:
    with pytest.raises(ValueError, match=r"opacity|scale|font_size|by|color|font file"):
        Style(**option)


def test_a_result_annotates_its_own_picture() -> None:
    result = made.result()
    assert result.annotate().size == (200, 120)
    assert result.annotate(Style(labels=False), scale=2).size == (400, 240)
