"""Answers recorded from a real server, and played again without one."""

from __future__ import annotations

import io
import json
import math
import os
import time
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from support.loopback import Loopback, Reply, answer, delta, problem, stream
from support.sides import KEY, LARGE, SCENE, SIDES

import nbvlm
from nbvlm.client.flow.events import DetectionFound, TextDelta
from nbvlm.demo.gallery import PHOTOS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BOXES = "<loc0100><loc0200><loc0300><loc0400> cat ; <loc0100><loc0200><loc0300><loc0400> dog"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "class.json"


class Opener:
    """Opens recording and replaying clients of one kind."""

    def __init__(self, kind: str, server: Loopback, path: Path) -> None:
        self.kind, self.server, self.path = kind, server, path
        self.opened: list[Any] = []

    def recording(self, **options: Any) -> Any:
        given = {"base_url": self.server.url, "api_key": KEY, "transport": nbvlm.record(self.path)} | options
        self.opened.append(SIDES[self.kind]("nvidia", **given))
        return self.opened[-1]

    def replaying(self, speed: float = math.inf, **options: Any) -> Any:
        self.opened.append(SIDES[self.kind](None, transport=nbvlm.replay(self.path, speed), **options))
        return self.opened[-1]


@pytest.fixture(params=SIDES)
def opener(request: pytest.FixtureRequest, server: Loopback, path: Path) -> Iterator[Opener]:
    opener = Opener(request.param, server, path)
    yield opener
    for side in opener.opened:
        side.close()


def kept(path: Path) -> Any:
    return json.loads(path.read_text())["exchanges"]


def test_a_stream_is_played_as_it_came(opener: Opener, server: Loopback) -> None:
    server.text = BOXES
    first = opener.recording().stream(SCENE, "detect cat ; dog")
    again = opener.replaying().stream(SCENE, "detect cat ; dog")
    assert [e for e in again.events if isinstance(e, (TextDelta, DetectionFound))] == [
        e for e in first.events if isinstance(e, (TextDelta, DetectionFound))
    ]
    assert again.result.detections == first.result.detections
    assert again.result.finish_reason == "stop"
    assert len(server.seen) == 1


def test_a_replaying_client_is_that_of_the_recorded_endpoint(opener: Opener) -> None:
    opener.recording().ask(SCENE, "caption en")
    side = opener.replaying()
    assert side.client.endpoint.name == "nvidia"
    assert side.ask(SCENE, "caption en").model == "google/paligemma"


def test_ask_and_stream_play_each_others_recordings(opener: Opener, path: Path) -> None:
    recording = opener.recording()
    recording.ask(SCENE, "caption en")
    recording.stream(SCENE, "describe en")
    side = opener.replaying()
    assert side.stream(SCENE, "caption en").result.text == "a red car"
    result = side.ask(SCENE, "describe en")
    assert (result.text, result.finish_reason) == ("a red car", "stop")
    assert side.ask(SCENE, "caption en").usage.prompt_tokens == 265


def test_the_file_is_readable_and_holds_no_header_and_no_key(opener: Opener, path: Path) -> None:
    opener.recording().stream(LARGE, "caption en")
    text = path.read_text()
    (exchange,) = kept(path)
    assert exchange["prompt"] == "caption en"
    assert exchange["parameters"] == {"temperature": 0.2, "top_p": 0.7, "max_tokens": 1024}
    assert exchange["picture"]["sha256"] == nbvlm.Picture.load(LARGE).sha256
    assert "".join(piece for _, piece in exchange["events"]) == "a red car"
    assert all(seconds >= 0 for seconds, _ in exchange["events"])
    assert not any(word in text for word in (KEY, "nvapi", "uthorization", "Amz", "topsecret", "base64"))
    assert len(text) < 1500


def test_an_uploaded_picture_is_known_by_its_hash(opener: Opener, server: Loopback) -> None:
    opener.recording().ask(LARGE, "caption en", route="asset")
    side = opener.replaying()
    for route in ("asset", "inline", "auto"):
        assert side.ask(LARGE, "caption en", route=route).text == "a red car"
    assert [exchange.method for exchange in side.client.requests][:4] == ["POST", "PUT", "POST", "DELETE"]


def test_the_same_pixels_in_another_file_are_the_same_picture(opener: Opener) -> None:
    opener.recording().ask(SCENE, "caption en")
    file = io.BytesIO()
    SCENE.image().save(file, "PNG", compress_level=0)
    other = nbvlm.Picture.load(file.getvalue())
    assert other.sha256 != SCENE.sha256
    assert opener.replaying().ask(other, "caption en").text == "a red car"


def test_a_miss_names_the_nearest_prompt(opener: Opener, server: Loopback) -> None:
    recording = opener.recording()
    recording.ask(SCENE, "caption en")
    recording.ask(SCENE, "detect cat")
    side = opener.replaying()
    with pytest.raises(nbvlm.ReplayMiss, match=r"'detect cats'.*nearest recorded prompt is 'detect cat'"):
        side.ask(SCENE, "detect cats")


@pytest.mark.parametrize(
    ("image", "options", "words"),
    [
        (SCENE, {"max_tokens": 7}, "with max_tokens=1024"),
        (Image.new("RGB", (8, 8)), {}, "with picture 'scene.png'"),
    ],
)
def test_a_miss_says_what_is_different(opener: Opener, image: Any, options: Any, words: str) -> None:
    opener.recording().ask(SCENE, "caption en")
    with pytest.raises(nbvlm.ReplayMiss, match=words):
        opener.replaying().stream(image, "caption en", **options)


def test_repeated_questions_get_their_answers_in_turn(opener: Opener, server: Loopback) -> None:
    server.replies.extend([answer("one"), answer("two")])
    recording = opener.recording()
    for _ in range(2):
        recording.ask(SCENE, "caption en")
    side = opener.replaying()
    assert [side.ask(SCENE, "caption en").text for _ in range(3)] == ["one", "two", "one"]


def test_refusals_and_breaks_are_played_too(opener: Opener, server: Loopback) -> None:
    server.replies.extend(
        [
            problem(422, "no such thing"),
            stream("a red", done=False, cut=True),
            stream("a red", {"error": {"message": "out of memory", "code": 500}}),
        ]
    )
    recording = opener.recording()
    prompts = ("caption en", "describe en", "ocr")
    errors = (nbvlm.RequestRejected, nbvlm.TruncatedStream, nbvlm.ServerError)
    for prompt, kind in zip(prompts, errors, strict=True):
        with pytest.raises(kind) as first:
            recording.stream(SCENE, prompt)
        with pytest.raises(kind) as again:
            opener.replaying().stream(SCENE, prompt)
        assert again.value.message == first.value.message
    assert kept(opener.path)[1]["ended"] is False


def test_a_polled_answer_is_recorded_with_its_question(opener: Opener, server: Loopback) -> None:
    server.replies.append(Reply(202, {"nvcf-reqid": "r-1"}))
    server.poll_replies.append(stream("a red", " car", delta("", "stop")))
    opener.recording().stream(SCENE, "caption en")
    assert opener.replaying().stream(SCENE, "caption en").text == "a red car"


def test_what_was_left_early_is_not_recorded(opener: Opener, server: Loopback, path: Path) -> None:
    server.replies.append(stream("a red", done=False, hold=True))
    recording = opener.recording()
    recording.stream(SCENE, "caption en", each=lambda event, s: isinstance(event, TextDelta))
    recording.ask(SCENE, "describe en")
    assert [exchange["prompt"] for exchange in kept(path)] == ["describe en"]


def test_speed_divides_the_time(opener: Opener, server: Loopback) -> None:
    server.replies.append(stream("a red", 0.4, " car"))
    opener.recording().stream(SCENE, "caption en")

    def seconds(speed: float) -> float:
        side = opener.replaying(speed)
        began = time.monotonic()
        side.stream(SCENE, "caption en")
        return time.monotonic() - began

    assert seconds(1) >= 0.4
    assert seconds(2) >= 0.2
    assert seconds(math.inf) < 0.4


def test_the_demo_model_is_recorded_in_process(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx

    from nbvlm.recording import transports

    played = httpx.MockTransport(lambda request: httpx.Response(200, content=answer("a red house").body))
    monkeypatch.setitem(transports._CARRIERS, "demo", lambda: played)
    with nbvlm.Client("demo", transport=nbvlm.record(path)) as client:
        client.ask(SCENE, "caption en")
    with nbvlm.Client(transport=nbvlm.replay(path)) as client:
        assert repr(client).startswith("Client('demo'")
        assert client.ask(SCENE, "caption en").text == "a red house"


def test_the_embedded_model_that_answered_and_its_caveat_are_replayed(path: Path) -> None:
    picture = PHOTOS[1].picture()
    with nbvlm.Client("demo", transport=nbvlm.record(path)) as client:
        recorded = client.ask(picture, PHOTOS[1].prompt)
    assert recorded.notices
    with nbvlm.Client("demo", transport=nbvlm.replay(path)) as client:
        played = client.ask(picture, PHOTOS[1].prompt)
    assert (played.model, played.notices) == (recorded.model, recorded.notices)
    assert played.model == "nbvlm/demo-photos"


@pytest.mark.parametrize("first", ["ask", "stream"])
def test_thinking_beside_the_text_is_replayed(path: Path, first: str) -> None:
    picture, found = PHOTOS[0].picture(), {}
    for opened in (nbvlm.record, nbvlm.replay, nbvlm.replay):
        with nbvlm.Client("demo", speak="qwen3-vl+reason", transport=opened(path)) as client:
            if (len(found) == 0) == (first == "ask"):
                result = client.ask(picture, "detect cat")
            else:
                with client.stream(picture, "detect cat") as stream:
                    list(stream)
                result = stream.result
            found[len(found)] = (result.reasoning, result.text)
    assert len(set(found.values())) == 1
    assert found[0][0].startswith("The question is about cat.")


@pytest.fixture(scope="module")
def photographed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A recording of two questions about a photograph."""
    path = tmp_path_factory.mktemp("photographed") / "class.json"
    with nbvlm.Client("demo", transport=nbvlm.record(path)) as client:
        client.ask(PHOTOS[0].picture(), "detect cat")
        client.ask(PHOTOS[0].picture(), "caption en")
    return path.read_text()


@pytest.mark.parametrize("value", ["two\nlines", "naïve", 7])
def test_a_header_that_no_response_can_have_makes_an_exchange_damaged(
    path: Path, photographed: str, value: Any
) -> None:
    saved = json.loads(photographed)
    saved["exchanges"][0]["about"]["nbvlm-notice"] = value
    path.write_text(json.dumps(saved))
    with pytest.warns(UserWarning, match="damaged"):
        nbvlm.replay(path)


def test_recording_the_hosted_service_needs_a_key(path: Path) -> None:
    refused = pytest.raises(nbvlm.AuthenticationError, match="no key")
    with nbvlm.Client("nvidia", transport=nbvlm.record(path)) as client, refused:
        client.ask(SCENE, "caption en")


def test_a_recording_begins_anew(server: Loopback, path: Path) -> None:
    for prompt in ("caption en", "describe en"):
        with nbvlm.Client("nvidia", base_url=server.url, transport=nbvlm.record(path)) as client:
            client.ask(SCENE, prompt)
    assert [exchange["prompt"] for exchange in kept(path)] == ["describe en"]


def test_other_files_are_not_overwritten(path: Path) -> None:
    path.write_text('{"cells": []}')
    with pytest.raises(nbvlm.ParameterError, match="not a recording"):
        nbvlm.record(path)
    with pytest.raises(nbvlm.ParameterError, match="not a recording"):
        nbvlm.replay(path)


def test_a_missing_recording_says_how_to_make_one(path: Path) -> None:
    with pytest.raises(nbvlm.ParameterError, match=r"nbvlm\.record"):
        nbvlm.replay(path)


@pytest.mark.parametrize("speed", [0, -1, math.nan, True, "fast"])
def test_a_speed_is_above_zero(server: Loopback, path: Path, speed: Any) -> None:
    with pytest.raises(nbvlm.ParameterError, match="must be a positive number"):
        nbvlm.replay(path, speed)


def test_requests_of_other_clients_are_recorded_from_their_body(server: Loopback, path: Path) -> None:
    import httpx

    body = {"messages": [{"role": "user", "content": f'caption en <img src="{SCENE.data_uri()}" />'}]}
    parts = [
        {"type": "image_url", "image_url": {"url": SCENE.data_uri()}},
        {"type": "text", "text": "caption en"},
    ]
    listed = {"model": "m", "messages": [{"role": "user", "content": parts}]}
    with httpx.Client(transport=nbvlm.record(path), headers={"accept": "application/json"}) as client:
        client.post(f"{server.url}/v1/vlm/google/paligemma", json=body)
        client.post(f"{server.url}/v1/chat/completions", json=listed)
        with pytest.raises(nbvlm.ParameterError, match="one picture"):
            client.post(f"{server.url}/v1/chat/completions", json={"messages": [{"content": "hello"}]})
    recorded = [(item["model"], item["prompt"], item["picture"]["sha256"]) for item in kept(path)]
    assert recorded == [("google/paligemma", "caption en", SCENE.sha256), ("m", "caption en", SCENE.sha256)]
    with httpx.Client(transport=nbvlm.replay(path)) as client:
        timed_pieces = client.post("http://anywhere.localhost/v1/chat/completions", json=listed).json()
        assert timed_pieces["choices"][0]["message"]["content"] == "a red car"


def recorded(server: Loopback, path: Path) -> list[bytes]:
    """Record three questions; return the lines of the file."""
    with nbvlm.Client("nvidia", base_url=server.url, transport=nbvlm.record(path)) as client:
        for number in range(3):
            server.replies.append(answer(f"answer {number}"))
            client.ask(SCENE, f"detect {number}")
    return path.read_bytes().splitlines(keepends=True)


def changed(lines: list[bytes], begins: int, **changes: Any) -> list[bytes]:
    """Change members of the exchange that begins there; its layout stays."""
    end = lines.index(b"},\n", begins)
    item = json.loads(b"".join([*lines[begins:end], b"}"])) | changes
    text = "{\n" + ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in item.items())
    return [*lines[:begins], text.encode() + b"\n", *lines[end:]]


def swapped(lines: list[bytes], at: int, line: bytes) -> list[bytes]:
    return [*lines[:at], line, *lines[at + 1 :]]


WRONG: dict[str, Any] = {
    "garbage": lambda lines, at: swapped(lines, at + 3, b"\xff\xfe\x00 garbage\n"),
    "a flipped byte": lambda lines, at: swapped(
        lines, at + 2, lines[at + 2].replace(b"google", b"goo\xffle")
    ),
    "a missing line": lambda lines, at: swapped(lines, at + 3, b""),
    "wrong types": lambda lines, at: changed(lines, at, events={"a": 1}),
    "a wrong prompt": lambda lines, at: changed(lines, at, prompt=None),
    "a wrong status": lambda lines, at: changed(lines, at, status=10**9),
    "a time beyond reason": lambda lines, at: changed(lines, at, events=[[1e300, "a"]]),
    "a time before": lambda lines, at: changed(lines, at, events=[[-5, "a"]]),
    "no number": lambda lines, at: changed(lines, at, events=[[math.nan, "a"]]),
    "no picture": lambda lines, at: changed(lines, at, picture="x"),
    "a number without end": lambda lines, at: swapped(lines, at + 6, b'  "status": ' + b"9" * 5000 + b",\n"),
    "deep nesting": lambda lines, at: swapped(lines, at + 6, b'  "status": ' + b"[" * 100_000 + b",\n"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_damaged_exchange_is_left_out_and_named(server: Loopback, path: Path, kind: str) -> None:
    lines = recorded(server, path)
    second = [at for at, line in enumerate(lines) if line == b"{\n"][2]
    path.write_bytes(b"".join(WRONG[kind](lines, second)))
    with pytest.warns(UserWarning, match=rf"class\.json' is damaged at line {second + 1}: that is left out"):
        replayed = nbvlm.replay(path, math.inf)
    with nbvlm.Client(transport=replayed) as client:
        assert [client.ask(SCENE, f"detect {number}").text for number in (0, 2)] == ["answer 0", "answer 2"]
        with pytest.raises(nbvlm.ReplayMiss):
            client.ask(SCENE, "detect 1")


def test_a_recording_that_was_cut_off_has_what_is_whole(server: Loopback, path: Path) -> None:
    text = b"".join(recorded(server, path))
    for cut in range(len(text) - 4, 0, -97):
        path.write_bytes(text[:cut])
        if whole := text[:cut].count(b"\n}"):
            with pytest.warns(UserWarning, match="is damaged at line"):
                assert repr(nbvlm.replay(path)) == f"replay({whole} answers)"
        else:
            with pytest.raises(nbvlm.ParameterError, match=r"not a recording .* see line \d+"):
                nbvlm.replay(path)


@pytest.mark.parametrize(
    "text",
    [b"", b"\0" * 99, b"null", b"[1]", b'{"format": "nbvlm recording 1"}', b'{"format": 1, "exchanges": []}',
     b'{"format": "nbvlm recording 1", "exchanges": 5}', b'{"format": "nbvlm recording 1", "exchanges": [7]}',
     b"[" * 200_000, b"9" * 5000, b"\xff\xfe", b'{"format": "nbvlm recording 2", "exchanges": []}'],
)  # fmt: skip
def test_other_json_is_not_a_recording(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    for opened in (nbvlm.replay, nbvlm.record):
        with pytest.raises(nbvlm.ParameterError, match=r"class\.json' is not a recording .* line 1\."):
            opened(path)
    assert path.read_bytes() == text


def test_a_recording_is_an_ordinary_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path, tmp_path / "pipe", "/dev/null", "/dev/zero"):
        for opened in (nbvlm.replay, nbvlm.record):
            with pytest.raises(nbvlm.ParameterError, match="is not a file"):
                opened(place)
    with pytest.raises(nbvlm.ParameterError, match=r"The folder .* does not exist"):
        nbvlm.record(tmp_path / "none" / "class.json")


def test_an_answer_is_there_even_if_it_cannot_be_recorded(server: Loopback, tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    with nbvlm.Client("nvidia", base_url=server.url, transport=nbvlm.record(folder / "a.json")) as client:
        folder.rmdir()
        with pytest.warns(UserWarning, match="cannot be written: No such file"):
            assert client.ask(SCENE, "caption en").text
        folder.mkdir()
        assert client.ask(SCENE, "describe en").text
    assert [exchange["prompt"] for exchange in kept(folder / "a.json")] == ["caption en", "describe en"]


def test_a_change_of_the_folder_does_not_move_a_recording(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with nbvlm.Client("nvidia", base_url=server.url, transport=nbvlm.record("a.json")) as client:
        monkeypatch.chdir("/")
        client.ask(SCENE, "caption en")
    assert len(kept(tmp_path / "a.json")) == 1


def test_half_a_character_is_recorded_and_played(opener: Opener, server: Loopback) -> None:
    server.replies.append(answer("a \ud83d cat"))
    assert opener.recording().ask(SCENE, "caption en").text == r"a \ud83d cat"
    assert opener.replaying().ask(SCENE, "caption en").text == r"a \ud83d cat"
