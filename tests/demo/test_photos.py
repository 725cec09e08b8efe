from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.service_loopback import running

import nbvlm
from nbvlm.demo import Service, evaluate, photos
from nbvlm.demo.gallery import PHOTOS, SCENES
from nbvlm.demo.photos import detector, evaluation, network
from nbvlm.demo.photos.answers import answer
from nbvlm.demo.photos.detector import Found
from nbvlm.demo.photos.kinds import GROUPS, KINDS, meaning

FLOAT = json.loads((Path(__file__).parents[1] / "data" / "photos.json").read_text("utf-8"))["found"]
NUMBERS = {kind.name: n for n, kind in enumerate(KINDS)}


def thing(
    kind: str, box: tuple[float, float, float, float] = (0.1, 0.2, 0.5, 0.8), score: float = 0.9
) -> Found:
    return Found(NUMBERS[kind], score, box)


def say(image: Image.Image, prompt: str, **options: object) -> str:
    return "".join(token.text for token in photos.load().stream(image, prompt, **options))


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    both = np.prod((high - low).clip(0))
    return float(both / (np.prod(np.subtract(a[2:], a[:2])) + np.prod(np.subtract(b[2:], b[:2])) - both))


# The network


@pytest.mark.parametrize("photo", PHOTOS, ids=lambda photo: photo.name)
def test_the_int8_weights_find_what_the_float_weights_find(photo) -> None:
    found = detector.detect(photo.picture())
    assert [thing.name for thing in found] == [expected["kind"] for expected in FLOAT[photo.name]]
    for thing_, expected in zip(found, FLOAT[photo.name], strict=True):
        assert overlap(thing_.box, expected["box"]) > 0.95
        assert thing_.score == pytest.approx(expected["score"], abs=0.03)


@pytest.mark.parametrize(("taps", "step"), [(1, 1), (3, 1), (3, 2)])
@pytest.mark.parametrize("size", [(8, 12), (40, 96), (2, 2)])
def test_a_convolution_is_the_sum_that_defines_it(taps: int, step: int, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(*size, 5)).astype(np.float32)
    weight = rng.normal(size=(taps, taps, 5, 4)).astype(np.float32)
    bias = rng.normal(size=4).astype(np.float32)
    made = network.Convolution(weight.reshape(-1, 4), bias, taps, step, 0.1)(x)
    padded = np.pad(x, ((taps // 2, taps // 2), (taps // 2, taps // 2), (0, 0)))
    for row, column in np.ndindex(made.shape[:2]):
        window = padded[row * step : row * step + taps, column * step : column * step + taps]
        plain = np.tensordot(window, weight, 3) + bias
        assert made[row, column] == pytest.approx(np.maximum(plain, 0.1 * plain), abs=1e-4)


@pytest.mark.parametrize(
    "size", [(512, 384), (384, 512), (1, 1), (3000, 20), (20, 3000), (511, 130), (64, 64)]
)
def test_a_picture_of_any_shape_is_prepared_to_multiples_of_32(size: tuple[int, int]) -> None:
    pixels, scale = network.prepared(Image.new("RGB", size, (123, 116, 103)))
    assert all(side % 32 == 0 for side in pixels.shape[:2])
    assert max(pixels.shape[:2]) == 512
    assert scale == 512 / max(size)
    assert abs(pixels[0, 0]).max() < 0.02


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK"])
def test_pictures_of_other_modes_are_read(mode: str) -> None:
    assert [thing.name for thing in detector.detect(PHOTOS[1].picture().convert(mode))][:1] in (["cup"], [])


def test_boxes_lie_inside_the_picture_in_shares_of_its_sides() -> None:
    wide = PHOTOS[2].picture()
    small = wide.resize((200, 200))
    for image in (wide, small, wide.crop((0, 0, 512, 300))):
        for found in detector.detect(image):
            x0, y0, x1, y1 = found.box
            assert 0 <= x0 < x1 <= 1
            assert 0 <= y0 < y1 <= 1
            assert detector.FLOOR <= found.score <= 1


def test_of_boxes_that_overlap_one_is_left() -> None:
    found = detector.detect(PHOTOS[1].picture())
    for n, one in enumerate(found):
        assert all(overlap(one.box, other.box) <= 0.5 for other in found[:n])
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


# The words


def test_there_are_the_80_kinds_of_coco_in_four_languages() -> None:
    assert len(KINDS) == 80
    assert (KINDS[0].name, KINDS[15].name, KINDS[79].name) == ("person", "cat", "toothbrush")
    assert all(len(kind.words) == 4 and all(map(all, kind.words.values())) for kind in KINDS)
    assert {name for members in GROUPS.values() for name in members} <= {kind.name for kind in KINDS}


@pytest.mark.parametrize(
    ("word", "kinds"),
    [
        ("cat", ["cat"]),
        ("sofa", ["couch"]),
        ("planes", ["airplane"]),
        ("mobile phone", ["cell phone"]),
        ("fruit", ["banana", "apple", "orange"]),
        ("people", ["person"]),
        ("women", ["person"]),
    ],
)
def test_synonyms_and_groups_name_kinds(word: str, kinds: list[str]) -> None:
    found = meaning(word)
    assert found is not None
    assert sorted(KINDS[n].name for n in found.kinds) == sorted(kinds)


@pytest.mark.parametrize(
    ("phrase", "known"),
    [
        *(("Tasse", "“cup”"), ("gato", "“cat”"), ("feux de signalisation", "“traffic light”")),
        *(("coffee cup", "“cup”"), ("cup and table", "“cup” and “table”"), ("persn", "“person”")),
    ],
)
def test_an_unknown_word_is_answered_with_those_that_are_known(phrase: str, known: str) -> None:
    made = answer(f"detect {phrase}", [thing("cup"), thing("cat")])
    assert "".join(made.pieces) == "nothing found"
    assert made.notes == [f"The detector does not know the word “{phrase.lower()}”; it knows {known}."]


def test_a_thing_comes_once_under_a_name() -> None:
    for prompt in ("detect cat ; animal", "detect animal ; thing ; cat", "detect cat ; cat"):
        assert "".join(answer(prompt, [thing("cat")]).pieces) == "<loc0205><loc0102><loc0818><loc0512> cat"
    twins = [thing("cat"), thing("cat", (0.6, 0.2, 0.9, 0.8))]
    assert "".join(answer("detect animal ; cat", twins).pieces).count("cat") == 2
    assert "".join(answer("detect cat ; cats", [thing("cat")]).pieces).count("<loc") == 8


def test_an_unknown_word_is_named_and_has_no_box() -> None:
    made = answer("detect lion ; cat", [thing("cat")])
    assert "".join(made.pieces) == "<loc0205><loc0102><loc0818><loc0512> cat"
    assert made.notes == ["The detector does not know the word “lion”."]
    assert "".join(answer("detect lion", [thing("cat")]).pieces) == "nothing found"


@pytest.mark.parametrize(
    "question",
    ["how many lions are there?", "is there a lion?", "where is the lion?", "which is larger, lion or cat?"],
)
def test_a_question_about_an_unknown_word_is_not_answered_with_no(question: str) -> None:
    made = answer(f"answer en {question}", [thing("cat")])
    assert "".join(made.pieces) in ("unknown: lion", "unknown: lions")
    assert made.notes


def test_a_word_for_some_people_is_answered_with_people_and_a_note() -> None:
    made = answer("detect woman", [thing("person")])
    assert "".join(made.pieces).endswith("> person")
    assert made.notes == ["It finds people, and cannot tell whether “woman” is right."]


def test_the_asked_word_is_the_label_but_a_group_is_answered_by_kinds() -> None:
    assert "".join(answer("detect sofa", [thing("couch")]).pieces).endswith("> sofa")
    assert "".join(answer("detect vehicle", [thing("bus")]).pieces).endswith("> bus")


THREE = [
    thing("dog", (0, 0, 0.2, 0.2)),
    thing("person", (0.7, 0.7, 1, 1)),
    thing("person", (0.7, 0, 0.9, 0.3)),
]


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("caption en", "2 people, 1 dog"),
        ("caption de", "2 Personen, 1 Hund"),
        ("caption es", "2 personas, 1 perro"),
        ("caption fr", "2 personnes, 1 chien"),
        ("caption", "2 people, 1 dog"),
        (
            "describe en",
            (
                "The picture shows a dog at the top left, a person at the bottom right "
                "and a person at the top right."
            ),
        ),
        ("answer en how many people are there?", "2"),
        ("how many animals?", "1"),
        ("how many cats are there?", "0"),
        ("answer en is there a dog?", "yes"),
        ("is there a cat?", "no"),
        ("answer en where is the dog?", "at the top left"),
        ("where are the people?", "at the bottom right and at the top right"),
        ("where is the cat?", "nothing found"),
        ("which is larger, the dog or the person?", "person"),
        ("which is larger, the dog or the cat?", "no cat found"),
        ("caption <loc0000><loc0000><loc0204><loc0204>", "dog"),
        ("caption <loc0400><loc0400><loc0500><loc0500>", "nothing found"),
        ("detect dog", "<loc0000><loc0000><loc0205><loc0205> dog"),
    ],
)
def test_questions_are_answered_from_what_was_found(prompt: str, text: str) -> None:
    assert "".join(answer(prompt, THREE).pieces) == text


@pytest.mark.parametrize("code", ["en", "de", "es", "fr"])
def test_a_picture_without_things_has_a_caption(code: str) -> None:
    assert "".join(answer(f"caption {code}", []).pieces)


@pytest.mark.parametrize(
    "prompt", ["segment dog", "ocr", "what color is the dog?", "write a poem", "question en red"]
)
def test_what_it_cannot_do_is_said_with_who_can(prompt: str) -> None:
    text = "".join(answer(prompt, THREE).pieces)
    assert text.startswith("A small detector of 80 everyday kinds answers here.")
    assert "PaliGemma can" in text


def test_any_number_of_words_is_looked_for() -> None:
    words = [f"word {n}" for n in range(40)]
    made = answer(f"detect {' ; '.join([*words, 'dog', 'x' * 5000])}", THREE)
    assert "".join(made.pieces).endswith(" dog")
    assert made.notes == ["The detector does not know the words “word 0”, “word 1”, “word 2” and 38 more."]


# The model


def test_every_answer_says_who_answered_and_how_good_it_is() -> None:
    for prompt in ("detect cup", "caption en", "write a poem", "segment cup"):
        first, *others = photos.load().stream(PHOTOS[1].picture(), prompt)
        assert "80 everyday kinds" in first.notice
        assert "one in six" in first.notice
        assert all(token.notice is None for token in others)


@pytest.mark.parametrize(
    ("prompt", "text", "known"),
    [
        ("caption it", "1 cat", "English, Spanish, French and German, not in Italian"),
        ("describe fr", "The picture shows a cat in the middle.", "English only, not in French"),
        ("answer de is there a cat?", "yes", "English only, not in German"),
    ],
)
def test_a_language_that_it_does_not_have_is_named(prompt: str, text: str, known: str) -> None:
    tokens = list(photos.load().stream(PHOTOS[0].picture(), prompt, temperature=0.01))
    assert "".join(token.text for token in tokens) == text
    assert known in (tokens[0].notice or "")


def test_an_answer_streams_as_tokens_and_ends_at_the_limit() -> None:
    tokens = list(photos.load().stream(PHOTOS[1].picture(), "detect cup", seed=1))
    assert [token.text[:4] for token in tokens] == ["<loc"] * 4 + [" cup"]
    assert [token.finish_reason for token in tokens] == [None] * 4 + ["stop"]
    cut = list(photos.load().stream(PHOTOS[1].picture(), "detect cup", max_tokens=2, seed=1))
    assert [token.text for token in cut] == [token.text for token in tokens[:2]]
    assert [token.finish_reason for token in cut] == [None, "length"]


def test_temperature_acts_on_borderline_boxes_only() -> None:
    picture = PHOTOS[3].picture()  # a person at 0.81, a false cell phone little above the floor
    greedy = {say(picture, "caption en", temperature=1e-4, top_p=1.0, seed=seed) for seed in range(8)}
    assert greedy == {"1 person, 1 cell phone"}
    varied = [say(picture, "caption en", temperature=0.3, top_p=1.0, seed=seed) for seed in range(12)]
    assert set(varied) == {"1 person, 1 cell phone", "1 person"}
    assert varied == [say(picture, "caption en", temperature=0.3, top_p=1.0, seed=seed) for seed in range(12)]


def test_a_picture_of_a_single_colour_has_nothing() -> None:
    assert say(Image.new("RGB", (600, 20), "white"), "caption en") == "nothing found"
    assert say(Image.new("RGB", (1, 1)), "detect cat") == "nothing found"


# The evaluation


def coco(tmp_path: Path, boxes: dict[str, list[tuple[str, list[float]]]]) -> Path:
    """Write a COCO file about photographs of the gallery; boxes are in shares of the sides."""
    images, annotations = [], []
    for number, photo in enumerate((photo for photo in PHOTOS if photo.name in boxes), 1):
        picture = photo.picture()
        picture.save(tmp_path / f"{photo.name}.png")
        width, height = picture.size
        images.append({"id": number, "file_name": f"{photo.name}.png", "width": width, "height": height})
        for kind, (x0, y0, x1, y1) in boxes[photo.name]:
            box = [x0 * width, y0 * height, (x1 - x0) * width, (y1 - y0) * height]
            annotations.append({"image_id": number, "category_id": NUMBERS[kind] + 1, "bbox": box})
    categories = [{"id": n + 1, "name": kind.name} for n, kind in enumerate(KINDS)]
    path = tmp_path / "truth.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def test_the_evaluation_gives_cocos_measures(tmp_path: Path) -> None:
    found = {name: [(entry["kind"], entry["box"]) for entry in entries] for name, entries in FLOAT.items()}
    measures = evaluation.evaluate(tmp_path, coco(tmp_path, found))
    assert all(value > 0.9 or value == -1 for value in measures.values())
    found["camera"] = [("person", [0, 0, 0.1, 0.1]), *found["camera"][1:]]
    measures = evaluation.evaluate(tmp_path, coco(tmp_path, found))
    assert measures["precision of the boxes"] == pytest.approx(5 / 6)
    assert measures["recall of the things"] == pytest.approx(5 / 6)


def test_the_evaluation_is_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = coco(tmp_path, {"cat": [("cat", [0, 0, 0.83, 1])]})
    assert evaluate.main(["--photos", str(tmp_path), "--truth", str(truth)]) == 0
    assert "average precision, IoU 0.50            " in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "[]", "{}", "{" * 100_000, '{"images": 3}'])
def test_a_file_that_is_not_coco_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "truth.json"
    path.write_text(text)
    with pytest.raises(nbvlm.Error, match=r"truth\.json"):
        evaluation.evaluate(tmp_path, path)


def test_photos_and_truth_belong_together(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        evaluate.main(["--photos", "."])
    assert "belong together" in capsys.readouterr().err


# Who answers


def test_the_picture_decides_who_answers_and_the_result_names_it() -> None:
    with nbvlm.Client("demo") as client:
        photo = client.ask(PHOTOS[1].picture(), "detect cup", temperature=0.01)
        scene = client.ask(SCENES[0].picture(), "detect cat", temperature=0.01)
    assert photo.model == "nbvlm/demo-photos"
    assert photo.detections.labels == ("cup",)
    assert any("80 everyday kinds" in notice for notice in photo.notices)
    assert scene.model == "nbvlm/demo-scenes"
    assert scene.notices == ()


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("photos", "nbvlm/demo-photos"),
        ("nbvlm/demo-photos", "nbvlm/demo-photos"),
        ("scenes", "nbvlm/demo-scenes"),
    ],
)
def test_a_client_can_insist_on_one_model(name: str, model: str) -> None:
    with nbvlm.Client("demo", model=name) as client:
        assert model in repr(client)
        for picture in (PHOTOS[1].picture(), SCENES[0].picture()):
            result = client.ask(picture, "caption en")
            assert result.model == model
            assert result.notices or model.endswith("scenes")


def test_another_embedded_model_is_refused_with_the_names() -> None:
    with pytest.raises(nbvlm.ParameterError, match="'scenes' and 'photos'"):
        nbvlm.Client("demo", model="photographs")


async def _streamed(model: str | None) -> nbvlm.Result:
    async with nbvlm.AsyncClient("demo", model=model) as client:
        async with client.stream(PHOTOS[1].picture(), "detect cup") as stream:
            async for _ in stream:
                pass
        return stream.result


@pytest.mark.parametrize("model", [None, "photos"])
def test_a_stream_says_so_too(model: str | None) -> None:
    result = asyncio.run(_streamed(model))
    assert result.model == "nbvlm/demo-photos"
    assert len(result.notices) == 1


def test_the_service_of_a_class_says_so_on_both_its_routes() -> None:
    with nbvlm.Client("demo") as inside:
        from_inside = inside.ask(PHOTOS[1].picture(), "detect cup", temperature=0.01)
    with running(Service()) as origin:
        for client in (
            nbvlm.Client("nvidia", base_url=origin, assets_url=origin, api_key="nvapi-class"),
            nbvlm.Client(f"{origin}/v1", model="nbvlm/demo"),
        ):
            with client:
                result = client.ask(PHOTOS[1].picture(), "detect cup", temperature=0.01)
            assert result.notices == from_inside.notices
            assert result.model == "nbvlm/demo-photos"
            assert result.text == from_inside.text


@pytest.mark.parametrize("word", ["猫", "Löwe", "100%", "a\nb", "x" * 300])
def test_a_notice_names_a_word_of_any_language(word: str) -> None:
    with nbvlm.Client("demo", model="photos") as client:
        (notice,) = client.ask(PHOTOS[1].picture(), f"detect {word}").notices
    assert word.lower().split()[0][:30] in notice


def test_the_detector_is_not_loaded_before_a_photograph_is_asked_about() -> None:
    code = """
import sys
import nbvlm
from nbvlm.demo.gallery import SCENES
nbvlm.Client("demo").ask(SCENES[0].picture(), "caption en")
print(any(name.startswith("nbvlm.demo.photos") for name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
