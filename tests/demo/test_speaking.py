"""The embedded model in the forms of other families: what it writes is what PaliGemma's answer says."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from functools import cache

import numpy as np
import pytest
from support.service_loopback import running
from support.service_standin import data_uri, send

import nbvlm
from nbvlm import prompts
from nbvlm.demo import scenes, speaking
from nbvlm.demo.model import model
from nbvlm.demo.service.service import Service
from nbvlm.demo.speaking.questions import understand
from nbvlm.errors import ParameterError
from nbvlm.grounding import dialects

CHAT = "/v1/chat/completions"
SEEDS = (3, 7, 11, 20)
FAMILIES = (
    "qwen2.5-vl",
    "qwen3-vl",
    "gemini",
    "gemma-3",
    "internvl",
    "deepseek-vl2",
    "deepseek-ocr",
    "molmo",
    "molmo2",
    "moondream",
    "florence-2",
    "kosmos-2",
    "cogvlm",
    "glm-4.5v",
    "smolvlm",
    "llama-3.2-vision",
    "nemotron-3-nano-omni",
    "locateanything",
    "gpt-5.2",
    "claude-sonnet-4-6",
    "generic",
)


@cache
def scene(seed):
    return scenes.sample(seed)


def asked_for(seed):
    return tuple(dict.fromkeys(f"{thing.color} {thing.kind}" for thing in scene(seed).things))


@cache
def paligemma(seed, prompt):
    """PaliGemma's answer, as the embedded model gives it."""
    tokens = model.load().stream(scene(seed).picture, prompt, temperature=0.01, seed=0)
    return "".join(token.text for token in tokens)


def spoken(family, seed, text, *, keeps_tokens=True, thinks=False, most=4096):
    """A family's answer to a question in its own words; the pieces."""
    speaker = speaking.speaker(speaking.model_id(family)).asked(keeps_tokens=keeps_tokens, thinks=thinks)
    tokens = model.load().stream(scene(seed).picture, speaker.prompt(text), temperature=0.01, seed=0)
    return list(speaker.say(tokens, text, scene(seed).size, most))


def text_of(pieces):
    return "".join(piece.text for piece in pieces)


def iou(one, other):
    x0, y0 = max(one[0], other[0]), max(one[1], other[1])
    x1, y1 = min(one[2], other[2]), min(one[3], other[3])
    both = max(0.0, x1 - x0) * max(0.0, y1 - y0)
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return both / (area - both)


def step(family, size):
    """Pixels, x and y, of one step of the family's numbers."""
    if family.startswith("kosmos-2"):
        return size[0] / 32, size[1] / 32
    found = speaking.speaker(speaking.model_id(family)).dialect
    wide, high = found.reading(size).frame
    finest = {1.0: 0.001, 100.0: 0.1}.get(found.scale, 1)
    return size[0] * finest / wide, size[1] * finest / high


def question(family, things, size):
    """The family's own words for these things."""
    return speaking.speaker(speaking.model_id(family)).dialect.ask("detect", things, size=size)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_familys_answer_holds_paligemmas_boxes_within_one_step_of_its_numbers(family, seed):
    things, size = asked_for(seed), scene(seed).size
    text = "<OD>" if family == "florence-2" else question(family, things, size)
    known = nbvlm.parse(paligemma(seed, understand(text).prompt), size)
    found = nbvlm.parse(
        text_of(spoken(family, seed, text)), size, prompt=text, model=speaking.model_id(family)
    )
    assert len(found) == len(known) > 0
    wide, high = step(family, size)
    for one, other in zip(sorted(found, key=place), sorted(known, key=place), strict=True):
        x0, y0, x1, y1 = other.box
        if one.point is not None:
            assert one.point == pytest.approx(((x0 + x1) / 2, (y0 + y1) / 2), abs=max(wide, high))
            continue
        assert one.label == other.label
        assert np.all(np.abs(np.subtract(one.box, other.box)) <= [wide, high, wide, high])
        truth = max((thing.box for thing in scene(seed).things), key=lambda box: iou(box, other.box))
        # Intersection over union obeys the triangle inequality.
        assert abs(iou(one.box, truth) - iou(other.box, truth)) <= 1 - iou(one.box, other.box) + 1e-9


def place(detection):
    x0, y0, x1, y1 = detection.box
    return round((x0 + x1) / 40), y0 + y1


@pytest.mark.parametrize("name", dialects.names())
def test_every_dialect_can_be_spoken_and_is_read_again(name):
    size = scene(3).size
    text = "Detect the car and the umbrella, with boxes."
    found = nbvlm.parse(
        text_of(spoken(name, 3, text)), size, prompt="detect car ; umbrella", model=speaking.model_id(name)
    )
    boxes = {thing.kind: thing.box for thing in scene(3).things}
    assert len(found) == 2
    for detection, box in zip(found, (boxes["car"], boxes["umbrella"]), strict=True):
        if detection.point is None:
            assert iou(detection.box, box) > 0.8
        else:
            assert box[0] < detection.point[0] < box[2]
            assert box[1] < detection.point[1] < box[3]


@pytest.mark.parametrize("name", [*dialects.names(), "llama"])
def test_the_id_of_a_speaking_model_is_recognised(name):
    found = dialects.of(speaking.model_id(name))
    assert found.name == ("generic" if name in ("llama", "generic") else name)
    assert speaking.speaker(speaking.model_id(name)) is not None


@pytest.mark.parametrize("name", [*dialects.names(), "llama"])
def test_what_is_not_there_has_no_place(name):
    text = "Locate the zebra, with boxes."
    found = nbvlm.parse(text_of(spoken(name, 3, text)), scene(3).size, model=speaking.model_id(name))
    assert len(found) == 0


def test_an_unknown_family_or_habit_is_refused_with_what_there_is():
    with pytest.raises(ParameterError, match="'telepathy'") as error:
        speaking.model_id("telepathy")
    assert "qwen3-vl" in error.value.hint
    with pytest.raises(ParameterError, match="'shouts'") as error:
        speaking.model_id("qwen3-vl+shouts")
    assert "drift" in error.value.hint
    ids = ("nbvlm/demo-telepathy", "nbvlm/demo", "qwen3-vl", "nbvlm/demo-qwen3-vl+shouts")
    for id_ in (*ids, "nbvlm/demo-qwen3-vl" + "x" * 200, "nbvlm/demo-qwen3-vl\n", "nbvlm/demo-"):
        assert speaking.speaker(id_) is None


# --- questions


@pytest.mark.parametrize("family", [*dialects.FAMILIES, dialects.GENERIC], ids=lambda family: family.name)
@pytest.mark.parametrize("known", [True, False])
def test_the_words_of_every_family_are_understood(family, known):
    """Read backwards with the family at hand, and without."""
    for task in ("detect", "segment", "count", "point"):
        words = family.ask(task, ["cat", "red car"], size=(640, 480))
        asked = understand(words, family if known else None)
        whole = words in ("<OD>", "<grounding>")
        task = "segment" if asked.task == "segment" else "detect"
        assert asked.prompt == f"{task} {'thing' if whole else 'cat ; red car'}"


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ('Where are the cars? Give each one as {"bbox_2d": …} in JSON.', "detect car"),
        ("Detect all objects in the image and return their bounding boxes as JSON.", "detect thing"),
        ('Output all boxes like {"bbox_2d": [x1, y1, x2, y2], "label": "the label"}', "detect thing"),
        ("Locate the zebra in the picture, JSON bbox_2d", "detect zebra"),
        ("Help me to locate two blue boats in the image and give me their boxes.", "detect blue boat"),
        ('Locate the region described as: "little girl".\nReply with "bbox_2d".', "detect little girl"),
        ("Give the segmentation masks for the red house and the tree.", "segment red house ; tree"),
        ("Point to the dogs", "detect dog"),
        ("<ref>apple</ref> coordinates please", "detect apple"),
        ("detect cat ; dog", "detect cat ; dog"),
        ("How many cats are there?", "How many cats are there?"),
        ("What color is the car?", "What color is the car?"),
        ("caption en", "caption en"),
    ],
)
def test_free_words_are_understood(text, prompt):
    assert understand(text).prompt.replace("the dogs", "dog") == prompt


@pytest.mark.parametrize(
    "text",
    [
        "detect" + " " * 5990,
        "detect " + "all " * 1400,
        "detect box " * 540,
        "detect\n" * 850,
        '"' * 6000,
        "<ref>" * 1200,
        " Answer briefly, in" * 300,
        "Point to " + "cat or " * 850,
        "The labels are: " * 370,
        "\0\ud800" * 100,
    ],
)
def test_long_and_strange_questions_are_understood_at_once(text):
    """The time limit of a test is what such a text would pass with a careless expression."""
    for dialect in (None, dialects.of("qwen3-vl"), dialects.GENERIC):
        assert isinstance(understand(text, dialect).prompt, str)


# --- habits


def test_thoughts_in_the_answer_hold_a_place_that_is_no_result():
    text = text_of(spoken("glm-4.5v+think", 3, "detect car ; umbrella"))
    assert text.startswith("<think>")
    assert "[110, 147, 193, 823]" in text.partition("</think>")[0]
    assert len(nbvlm.parse(text, scene(3).size, model="glm-4.5v")) == 2


def test_thoughts_beside_the_answer_are_in_no_text():
    pieces = spoken("qwen3-vl+reason", 3, "detect car")
    assert "".join(piece.reasoning for piece in pieces).startswith("The question is about car.")
    assert text_of(pieces).startswith("```json")
    assert text_of(spoken("qwen3-vl", 3, "detect car", thinks=True)).startswith("```json")


def test_a_drifting_answer_is_on_another_scale_and_read_all_the_same():
    text = text_of(spoken("qwen3-vl+drift", 3, "detect car"))
    (usual,) = nbvlm.parse(text_of(spoken("qwen3-vl", 3, "detect car")), scene(3).size, model="qwen3-vl")
    (found,) = nbvlm.parse(text, scene(3).size, model="qwen3-vl")
    assert max(json.loads(text.strip("`json\n"))[0]["bbox_2d"]) <= 1
    assert iou(found.box, usual.box) > 0.95


def test_sentences_around_an_answer_change_nothing():
    text = text_of(spoken("gemini+prose", 3, "detect car"))
    assert text.startswith("Here is what I found")
    assert len(nbvlm.parse(text, scene(3).size, model="gemini")) == 1


@pytest.mark.parametrize(
    ("family", "left"),
    [
        ("deepseek-ocr", "car[["),
        ("internvl", "car[["),
        ("qwen2-vl", "car("),
        ("locateanything", "car"),
    ],
)
def test_dropped_tokens_leave_what_is_no_token(family, left):
    kept = text_of(spoken(family, 3, "detect car"))
    assert kept.startswith("<")
    for text in (
        spoken(family, 3, "detect car", keeps_tokens=False),
        spoken(f"{family}+dropped", 3, "detect car"),
    ):
        assert text_of(text).startswith(left)
        assert "<" not in text_of(text)


def test_an_obedient_family_writes_in_the_space_that_is_asked_for():
    words = dialects.GENERIC.ask("detect", ["car"])
    entries = json.loads(text_of(spoken("gpt-5.2", 3, words)))
    assert entries[0] == {"label": "__IMAGE__", "x1": 0, "y1": 0, "x2": 1000, "y2": 1000}
    assert set(entries[1]) == {"label", "x1", "y1", "x2", "y2"}
    (found,) = nbvlm.parse(json.dumps(entries), scene(3).size, prompt=words, model="gpt-5.2")
    assert iou(found.box, scene(3).things[0].box) > 0.8


def test_pixels_are_those_of_the_picture_as_the_processor_resized_it():
    size = scene(3).size
    (entry,) = json.loads(text_of(spoken("qwen2.5-vl", 3, "detect car")).strip("`json\n"))
    seen = dialects.of("qwen2.5-vl").space.seen(size)[0]
    assert seen != size
    box = scene(3).things[0].box
    expected = [value * seen[n % 2] / size[n % 2] for n, value in enumerate(box)]
    assert entry["bbox_2d"] == pytest.approx(expected, abs=3)


def test_gemini_writes_masks_that_cover_the_thing():
    pieces = spoken("gemini", 3, "Give the segmentation masks for the car.")
    (entry,) = json.loads(text_of(pieces).strip("`json\n"))
    from PIL import Image

    mask = Image.open(io.BytesIO(base64.b64decode(entry["mask"].partition(",")[2])))
    assert (mask.size, mask.mode, list(entry)) == ((256, 256), "L", ["box_2d", "mask", "label"])
    thing = scene(3).things[0]
    share = thing.mask.sum() / np.prod(np.subtract(thing.box[2:], thing.box[:2]))
    assert (np.asarray(mask) > 127).mean() == pytest.approx(share, abs=0.15)


@pytest.mark.parametrize(("family", "order"), [("qwen3-vl", (0, 1)), ("gemini", (1, 0))])
def test_points_are_in_the_familys_order(family, order):
    words = dialects.of(family).ask("point", ["car"])
    (entry,) = json.loads(text_of(spoken(family, 3, words)).strip("`json\n"))
    point = entry[dialects.of(family).keys[1]]
    x0, y0, x1, y1 = scene(3).things[0].box
    middle = ((x0 + x1) / 2 / scene(3).size[0] * 1000, (y0 + y1) / 2 / scene(3).size[1] * 1000)
    assert point == pytest.approx([middle[axis] for axis in order], abs=10)


def test_an_answer_is_cut_at_the_most_tokens():
    *pieces, last = spoken("qwen3-vl", 3, "detect car", most=9)
    assert len(pieces) == 8
    assert last.finish_reason == "length"
    assert {piece.finish_reason for piece in pieces} == {None}
    assert spoken("qwen3-vl", 3, "detect car")[-1].finish_reason == "stop"


def test_what_is_not_about_places_is_answered_as_ever():
    text = text_of(spoken("qwen3-vl", 3, dialects.of("qwen3-vl").ask("caption", language="English")))
    assert text == paligemma(3, "caption en")
    assert text_of(spoken("gemini", 3, "How many cars are there?")) == "1"
    french = dialects.of("gemini").ask("caption", language="French", code="fr")
    assert text_of(spoken("gemini", 3, french)) == paligemma(3, "caption fr")


# --- over the service


def picture_of(seed) -> str:
    buffer = io.BytesIO()
    scene(seed).picture.save(buffer, "PNG")
    return data_uri(buffer.getvalue())


def body(name, text="detect car", **more):
    content = [
        {"type": "image_url", "image_url": {"url": picture_of(3)}},
        {"type": "text", "text": text},
    ]
    return {"model": name, "messages": [{"role": "user", "content": content}], "temperature": 0} | more


def test_a_service_lists_who_speaks_and_answers_all():
    service = Service(speak=["nbvlm/demo-qwen3-vl"])
    listed = send(service, "GET", "/v1/models").json["data"]
    assert [entry["id"] for entry in listed] == ["nbvlm/demo-qwen3-vl", "nbvlm/demo"]
    assert send(service, "GET", "/v1/models/nbvlm/demo-gemini").json["id"] == "nbvlm/demo-gemini"
    assert send(service, "GET", "/v1/models/nbvlm/demo-telepathy").status == 404
    assert send(service, "POST", CHAT, body("nbvlm/demo-telepathy")).status == 404
    for name, sign in (("nbvlm/demo-qwen3-vl", "bbox_2d"), ("nbvlm/demo-gemini", "box_2d")):
        answer = send(service, "POST", CHAT, body(name)).json
        assert answer["model"] == name
        assert sign in answer["choices"][0]["message"]["content"]


def test_special_tokens_are_kept_where_the_request_says_so():
    service, name = Service(), "nbvlm/demo-internvl"
    texts = [
        send(service, "POST", CHAT, body(name, **more)).json["choices"][0]["message"]["content"]
        for more in ({}, {"skip_special_tokens": True}, {"skip_special_tokens": False})
    ]
    assert [text[:5] for text in texts] == ["car[[", "car[[", "<ref>"]


def test_thoughts_travel_beside_the_answer_when_they_are_asked_for():
    service, name = Service(), "nbvlm/demo-qwen3-vl"
    more = {"chat_template_kwargs": {"enable_thinking": True}}
    message = send(service, "POST", CHAT, body(name, **more)).json["choices"][0]["message"]
    assert message["reasoning_content"].startswith("The question is about car.")
    assert message["content"].startswith("```json")
    events = send(service, "POST", CHAT, body(name, stream=True, **more)).events
    deltas = [event["choices"][0]["delta"] for event in events[1:-1]]
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == message["reasoning_content"]
    assert "".join(delta.get("content", "") for delta in deltas) == message["content"]
    plain = send(service, "POST", CHAT, body(name)).json["choices"][0]["message"]
    assert "reasoning_content" not in plain


# --- through the package's own client


@pytest.mark.parametrize("family", ["qwen3-vl", "qwen2.5-vl", "gemini", "internvl", "florence-2", "llama"])
def test_a_client_of_the_embedded_model_speaks(family):
    truth = scene(3).things[0].box
    with nbvlm.Client("demo", speak=family) as client:
        assert client.models() == (speaking.model_id(family),)
        result = client.ask(scene(3).picture, prompts.detect("car"), temperature=0)
        assert result.model == speaking.model_id(family)
        assert "<loc0" not in result.text
        assert iou(result.detections[0].box, truth) > 0.8
        with client.stream(scene(3).picture, prompts.detect("car"), temperature=0) as stream:
            found = [event.detection for event in stream if isinstance(event, nbvlm.DetectionFound)]
        assert len(found) == 1
        assert stream.result.text == result.text


def test_the_thoughts_of_a_family_reach_the_result():
    with nbvlm.Client("demo", speak="qwen3-vl+reason") as client:
        with client.stream(scene(3).picture, "detect car") as stream:
            thoughts = [event.text for event in stream if isinstance(event, nbvlm.ReasoningDelta)]
        assert stream.result.reasoning == "".join(thoughts) != ""
        assert "question is about" not in stream.result.text
        assert len(stream.result.detections) == 1


def test_an_async_client_speaks_too():
    async def run():
        async with nbvlm.AsyncClient("demo", speak="gemini") as client:
            return await client.ask(scene(3).picture, "detect car")

    result = asyncio.run(run())
    assert "box_2d" in result.text
    assert len(result.detections) == 1


def test_only_the_embedded_model_speaks():
    with pytest.raises(ParameterError, match="embedded model"):
        nbvlm.Client("nvidia", api_key="nvapi-x", speak="gemini")
    with pytest.raises(ParameterError, match="'telepathy'"):
        nbvlm.Client("demo", speak="telepathy")


def test_a_client_of_a_server_names_the_model():
    service = Service(speak=[speaking.model_id("gemini")])
    with running(service) as origin, nbvlm.Client(f"{origin}/v1", model="nbvlm/demo-gemini") as client:
        assert "nbvlm/demo-gemini" in client.models()
        assert len(client.ask(scene(3).picture, "detect car").detections) == 1
