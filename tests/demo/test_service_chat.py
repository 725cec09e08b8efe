"""The OpenAI-compatible paths, request by request, without a socket."""

from __future__ import annotations

import json
import threading

import pytest
from support.service_standin import WORDS, Got, StandIn, body, data_uri, picture, send

from nbvlm.demo.service.service import Request, Service

CHAT = "/v1/chat/completions"


@pytest.fixture
def model():
    return StandIn()


@pytest.fixture
def service(model):
    return Service(model=model)


def chat(*content, **more):
    parts = content or (
        {"type": "image_url", "image_url": {"url": data_uri()}},
        {"type": "text", "text": "hi"},
    )
    return {"model": "nbvlm/demo", "messages": [{"role": "user", "content": [*parts]}]} | more


def test_a_whole_answer_is_in_the_openai_dialect(service):
    value = send(service, "POST", CHAT, chat()).json
    assert value["object"] == "chat.completion"
    assert value["model"] == "nbvlm/demo"
    assert value["id"].startswith("chatcmpl-")
    assert value["choices"][0]["message"] == {"role": "assistant", "content": "".join(WORDS)}
    assert value["choices"][0]["finish_reason"] == "stop"
    assert value["usage"] == {"completion_tokens": 8, "prompt_tokens": 65, "total_tokens": 73}


def test_a_stream_is_in_the_openai_dialect_whatever_is_accepted(service):
    got = send(service, "POST", CHAT, chat(stream=True), {"accept": "application/json"})
    assert got.headers["content-type"] == "text/event-stream"
    first, *chunks, last, done = got.events
    assert done == "[DONE]"
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [{"content": word} for word in WORDS]
    assert last["choices"][0]["finish_reason"] == "stop"
    assert {chunk["object"] for chunk in (first, *chunks, last)} == {"chat.completion.chunk"}
    assert "usage" not in last


def test_usage_ends_a_stream_when_it_is_asked_for(service):
    options = {"include_usage": True}
    *chunks, usage, done = send(service, "POST", CHAT, chat(stream=True, stream_options=options)).events
    assert done == "[DONE]"
    assert usage["choices"] == []
    assert usage["usage"]["total_tokens"] == 73
    assert {chunk["usage"] for chunk in chunks} == {None}


def test_null_stream_options_and_parameters_are_as_good_as_none(service, model):
    value = chat(
        stream_options=None, temperature=None, top_p=None, max_tokens=None, stream=None, stop=None, seed=None
    )
    assert send(service, "POST", CHAT, value).status == 200
    assert (model.asked[0]["temperature"], model.asked[0]["max_tokens"]) == (0.2, 1024)


def test_parameters_reach_the_model(service, model):
    send(service, "POST", CHAT, chat(temperature=1.5, top_p=0.3, max_completion_tokens=9, seed=7))
    asked = model.asked[0]
    assert [asked[name] for name in ("temperature", "top_p", "max_tokens", "seed")] == [1.5, 0.3, 9, 7]


def test_temperature_zero_and_too_many_tokens_are_brought_into_the_models_range(service, model):
    send(service, "POST", CHAT, chat(temperature=0, max_tokens=100_000))
    assert 0 < model.asked[0]["temperature"] < 0.001
    assert model.asked[0]["max_tokens"] == 1024


def test_members_that_other_servers_know_are_ignored(service):
    assert (
        send(service, "POST", CHAT, chat(skip_special_tokens=False, user="me", presence_penalty=0)).status
        == 200
    )


@pytest.mark.parametrize(
    "content",
    [
        body()["messages"][0]["content"],
        [{"type": "image_url", "image_url": data_uri()}, {"type": "text", "text": "detect car"}],
        [{"type": "text", "text": "detect car"}, {"type": "image_url", "image_url": {"url": data_uri()}}],
    ],
)
def test_a_picture_is_found_in_every_form_of_content(service, model, content):
    value = {"model": "nbvlm/demo", "messages": [{"role": "user", "content": content}]}
    assert send(service, "POST", CHAT, value).status == 200
    assert (model.asked[0]["prompt"], model.asked[0]["size"]) == ("detect car", (40, 30))


def test_of_a_conversation_the_last_question_and_the_last_picture_count(service, model):
    first = [{"type": "image_url", "image_url": {"url": data_uri()}}, {"type": "text", "text": "caption en"}]
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": first},
        {"role": "assistant", "content": None},
        {"role": "user", "content": "detect car"},
    ]
    assert send(service, "POST", CHAT, {"model": "nbvlm/demo", "messages": messages}).status == 200
    assert (model.asked[0]["prompt"], model.asked[0]["size"]) == ("detect car", (40, 30))


def test_a_picture_above_the_hosted_inline_limit_is_welcome_here(service):
    data = picture() + b"\0" * 400_000
    content = [{"type": "image_url", "image_url": {"url": data_uri(data)}}]
    value = {"model": "nbvlm/demo", "messages": [{"role": "user", "content": content}]}
    assert send(service, "POST", CHAT, value).status == 200


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ({"messages": []}, "model"),
        ({"model": "nbvlm/demo"}, "messages"),
        ({"model": "nbvlm/demo", "messages": []}, "messages"),
        ({"model": "nbvlm/demo", "messages": ["a"]}, "messages"),
        ({"model": "nbvlm/demo", "messages": [{"role": "user", "content": "no picture"}]}, "messages"),
        ({"model": "nbvlm/demo", "messages": [{"role": "user", "content": None}]}, "messages"),
        ({"model": "nbvlm/demo", "messages": [{"role": "tool", "content": "a"}]}, "messages"),
        (chat({"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}), "messages"),
        (chat({"type": "image_url", "image_url": {"url": "data:image/png;asset_id,abc"}}), "messages"),
        (chat({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}), "messages"),
        (chat({"type": "image_url", "image_url": {"url": "data:image/png;base64,A"}}), "messages"),
        (chat({"type": "input_audio"}), "messages"),
        (chat(temperature=2.1), "temperature"),
        (chat(top_p=0), "top_p"),
        (chat(max_tokens=0), "max_tokens"),
        (chat(seed="x"), "seed"),
        (chat(n=2), "n"),
        (chat(stop=["a"]), "stop"),
        (chat(tools=[{"type": "function"}]), "tools"),
        (chat(stream="yes"), "stream"),
        (b"{", None),
        (b"[]", None),
    ],
)
def test_faults_have_the_shape_that_openai_clients_read(service, model, value, param):
    got = send(service, "POST", CHAT, value)
    assert got.status == 400
    assert got.json["error"]["type"] == "invalid_request_error"
    assert got.json["error"]["message"]
    assert got.json["error"]["param"] == param
    assert model.asked == []


def test_an_unknown_model_is_not_found(service):
    got = send(service, "POST", CHAT, chat(model="gpt-5"))
    assert (got.status, got.json["error"]["code"]) == (404, "model_not_found")


def test_the_hosted_models_name_is_understood(service):
    assert send(service, "POST", CHAT, chat(model="google/paligemma")).json["model"] == "nbvlm/demo"


def test_the_models_are_listed(service):
    listing = send(service, "GET", "/v1/models").json
    assert (listing["object"], [model["id"] for model in listing["data"]]) == ("list", ["nbvlm/demo"])
    for path in ("nbvlm/demo", "nbvlm%2Fdemo"):
        assert send(service, "GET", f"/v1/models/{path}").json == listing["data"][0]
    assert send(service, "GET", "/v1/models/other").status == 404


def test_a_wrong_key_has_the_shape_that_openai_clients_read():
    service = Service(model=StandIn(), key="nvapi-right")
    for headers in ({}, {"authorization": "Bearer wrong"}):
        got = send(service, "POST", CHAT, chat(), headers)
        assert (got.status, got.json["error"]["code"]) == (401, "invalid_api_key")
    assert send(service, "POST", CHAT, chat(), {"authorization": "Bearer nvapi-right"}).status == 200


def test_a_model_that_fails_is_an_internal_error():
    got = send(Service(model=StandIn(words=(), error=RuntimeError("a"))), "POST", CHAT, chat())
    assert (got.status, got.json["type"]) == (500, "internal_server_error")


def test_a_stream_that_is_given_up_ends_without_done():
    model = StandIn(gate=threading.Semaphore(1))
    kind = {"content-type": "application/json"}
    request = Request("POST", CHAT, kind, json.dumps(chat(stream=True)).encode())
    reply = Service(model=model).handle(request)
    parts = iter(reply.body)
    seen = [next(parts), next(parts)]
    request.connection.close()
    assert list(parts) == []
    assert Got(200, {}, b"".join(seen)).events[1]["choices"][0]["delta"] == {"content": WORDS[0]}
    model.gate.release()
    assert model.closed.wait(10)
