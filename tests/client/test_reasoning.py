"""Thinking is kept apart from the answer: as events, in the result, never read for boxes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.loopback import Loopback, Reply, sse
from support.sides import SCENE

import nbvlm

if TYPE_CHECKING:
    from collections.abc import Callable

    Open = Callable[..., Any]

BOX = "<loc0100><loc0200><loc0300><loc0400> car"
OTHER = "<loc0500><loc0600><loc0700><loc0800> cat"


def chunk(**delta: Any) -> dict[str, Any]:
    return {"id": "c1", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def ended(reason: str = "stop") -> dict[str, Any]:
    return {"id": "c1", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


def streamed(*chunks: dict[str, Any]) -> Reply:
    return Reply(headers={"content-type": "text/event-stream"}, pieces=sse(*chunks))


def whole(reason: str = "stop", **message: Any) -> Reply:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
    body = json.dumps({"id": "c1", "choices": [choice]}).encode()
    return Reply(headers={"content-type": "application/json"}, body=body)


@pytest.fixture
def ask(server: Loopback, open_side: Open) -> Callable[..., Any]:
    """Ask a server whose answer is given, streamed or whole; return the result and the events."""

    def asked(reply: Reply, *, stream: bool) -> tuple[Any, list[Any]]:
        server.replies.append(reply)
        side = open_side(f"{server.url}/v1", model="google/paligemma2", base_url=None)
        if not stream:
            return side.ask(SCENE, "detect car"), []
        events: list[Any] = []
        running = side.stream(SCENE, "detect car", each=lambda event, _: events.append(event))
        return running.result, events

    return asked


def of_kind(events: list[Any], kind: type) -> str:
    return "".join(event.text for event in events if type(event) is kind)


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
def test_a_field_beside_the_answer(key: str, ask: Any) -> None:
    chunks = [chunk(**{key: "Hm, "}), chunk(**{key: OTHER}, content=None), chunk(content=BOX), ended()]
    result, events = ask(streamed(*chunks), stream=True)
    assert (result.text, result.reasoning) == (BOX, f"Hm, {OTHER}")
    assert [found.label for found in result.detections] == ["car"]
    assert of_kind(events, nbvlm.ReasoningDelta) == result.reasoning
    assert of_kind(events, nbvlm.TextDelta) == result.text
    result, _ = ask(whole(content=BOX, **{key: OTHER}), stream=False)
    assert (result.text, result.reasoning) == (BOX, OTHER)
    assert [found.label for found in result.detections] == ["car"]


def test_both_in_one_chunk(ask: Any) -> None:
    result, _ = ask(streamed(chunk(reasoning="a", content="b"), chunk(content="c"), ended()), stream=True)
    assert (result.text, result.reasoning) == ("bc", "a")


def test_both_names_of_the_same_thought_count_once(ask: Any) -> None:
    result, _ = ask(whole(content="b", reasoning="a", reasoning_content="a"), stream=False)
    assert result.reasoning == "a"


TAGGED = f"<think>I see {OTHER}.</think>\n{BOX}"


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_tags_in_the_text_however_it_is_cut(size: int, ask: Any) -> None:
    pieces = [chunk(content=TAGGED[at : at + size]) for at in range(0, len(TAGGED), size)]
    result, events = ask(streamed(*pieces, ended()), stream=True)
    assert (result.text, result.reasoning) == (f"\n{BOX}", f"I see {OTHER}.")
    assert [found.label for found in result.detections] == ["car"]
    assert of_kind(events, nbvlm.TextDelta) == result.text
    assert of_kind(events, nbvlm.ReasoningDelta) == result.reasoning
    assert [event.detection.label for event in events if isinstance(event, nbvlm.DetectionFound)] == ["car"]
    result, _ = ask(whole(content=TAGGED), stream=False)
    assert (result.text, result.reasoning) == (f"\n{BOX}", f"I see {OTHER}.")


@pytest.mark.parametrize("stream", [True, False])
def test_an_end_without_a_beginning(stream: bool, ask: Any) -> None:
    text = f"I see {OTHER}.</think>{BOX}"
    reply = streamed(chunk(content=text), ended()) if stream else whole(content=text)
    result, _ = ask(reply, stream=stream)
    assert (result.text, result.reasoning) == (BOX, f"I see {OTHER}.")
    assert [found.label for found in result.detections] == ["car"]


@pytest.mark.parametrize("text", ["a < b and c > d", "<loc", "1 <", "<thi", "[T] and t"])
def test_text_that_only_looks_like_a_mark_is_text(text: str, ask: Any) -> None:
    result, _ = ask(streamed(*[chunk(content=letter) for letter in text], ended()), stream=True)
    assert (result.text, result.reasoning) == (text, "")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("content", [None, "", "  \n"])
@pytest.mark.parametrize("reason", ["stop", "length"])
def test_thinking_without_an_answer_is_an_error(
    stream: bool, content: str | None, reason: str, ask: Any
) -> None:
    thought = "Let me think about it"
    if stream:
        reply = streamed(chunk(reasoning_content=thought), chunk(content=content), ended(reason))
    else:
        reply = whole(reason, content=content, reasoning_content=thought)
    with pytest.raises(nbvlm.ServerError, match="only its reasoning") as caught:
        ask(reply, stream=stream)
    assert "max_tokens" in caught.value.hint
    assert "thinking off" in caught.value.hint


def test_thinking_in_tags_that_never_ends_is_one_too(ask: Any) -> None:
    with pytest.raises(nbvlm.ServerError, match="only its reasoning"):
        ask(whole("length", content="<think>and so on"), stream=False)


def test_a_refusal_after_thinking_is_an_answer(ask: Any) -> None:
    result, _ = ask(whole(content=None, reasoning="hm", refusal="I may not."), stream=False)
    assert any("refused" in notice for notice in result.notices)


def test_it_travels_and_is_folded(ask: Any, tmp_path: Any) -> None:
    result, _ = ask(whole(content=BOX, reasoning="<script>alert(1)</script> it is a car"), stream=False)
    again = nbvlm.Result.from_json(result.to_json())
    assert again.reasoning == result.reasoning
    assert result.to_dict()["reasoning"] == result.reasoning
    for page in (result.to_html(), result._repr_mimebundle_()[0]["text/html"]):
        assert "<details><summary>Reasoning" in page
        assert "<script>" not in page
        assert "&lt;script&gt;" in page
    older = result.to_dict()
    del older["reasoning"]
    assert nbvlm.Result.from_json(json.dumps(older)).reasoning == ""


def test_an_answer_without_thinking_shows_nothing_of_it(ask: Any) -> None:
    result, _ = ask(whole(content="a car"), stream=False)
    assert result.reasoning == ""
    assert "Reasoning" not in result.to_html()


def test_it_is_in_the_journal(server: Loopback, tmp_path: Any) -> None:
    server.replies.append(whole(content="a car", reasoning="hm"))
    SCENE.image().save(tmp_path / "a.png")
    with nbvlm.Client(f"{server.url}/v1", model="m") as client:
        nbvlm.batch([tmp_path / "a.png"], "caption en", client=client, journal=tmp_path / "j.jsonl")
    line = (tmp_path / "j.jsonl").read_text().splitlines()[-1]
    assert nbvlm.Result.from_json(line).reasoning == "hm"
