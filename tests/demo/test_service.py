"""The hosted protocol, request by request, without a socket."""

from __future__ import annotations

import base64
import json
import re
import threading
import uuid

import pytest
from support.service_standin import PATH, WORDS, Got, StandIn, body, data_uri, picture, send, tag

from nbvlm import endpoints
from nbvlm.demo.service.assets import Bucket
from nbvlm.demo.service.service import Request, Service

EVENTS = {"accept": "text/event-stream"}
DESCRIPTION = "x-amz-meta-nvcf-asset-description"
WISH = {"contentType": "image/png", "description": "a"}
UNKNOWN = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def model():
    return StandIn()


@pytest.fixture
def service(model):
    return Service(model=model)


def faults(service, value, headers=EVENTS):
    got = send(service, "POST", PATH, value, headers)
    assert got.status == 422
    return got.json["detail"]


def upload(service, data=None, kind="image/png", description="a picture", headers=None) -> str:
    wish = {"contentType": kind, "description": description}
    promise = send(service, "POST", "/v2/nvcf/assets", wish, headers).json
    sent = {"content-type": kind, DESCRIPTION: description}
    put = send(service, "PUT", target(promise), data or picture(), sent)
    assert put.status == 200
    return promise["assetId"]


def target(promise) -> str:
    return promise["uploadUrl"].removeprefix("http://demo.test")


def test_a_plain_answer_has_exactly_the_published_members(service):
    got = send(service, "POST", PATH, body(), {"accept": "application/json"})
    assert got.status == 200
    assert got.headers["content-type"] == "application/json"
    value = got.json
    assert uuid.UUID(value.pop("id"))
    assert value == {
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "".join(WORDS)}, "finish_reason": "stop"}
        ],
        "usage": {"completion_tokens": 8, "prompt_tokens": 66, "total_tokens": 74},
    }


def test_every_answer_carries_request_id_and_status(service):
    good = send(service, "POST", PATH, body())
    bad = send(service, "POST", PATH, body(top_k=1))
    assert good.headers["nvcf-status"] == "fulfilled"
    assert bad.headers["nvcf-status"] == "errored"
    assert good.json["id"] == good.headers["nvcf-reqid"] != bad.headers["nvcf-reqid"]
    assert good.headers["access-control-expose-headers"] == "nvcf-reqid"


def test_a_stream_speaks_the_minimal_dialect_and_ends_with_done(service):
    got = send(service, "POST", PATH, body(stream=True), EVENTS)
    assert got.headers["content-type"] == "text/event-stream"
    *chunks, last, done = got.events
    assert done == "[DONE]"
    assert [chunk["choices"][0]["delta"]["content"] for chunk in chunks] == list(WORDS)
    assert {tuple(chunk) for chunk in (*chunks, last)} == {("id", "choices")}
    assert {chunk["choices"][0]["delta"]["role"] for chunk in (*chunks, last)} == {"assistant"}
    assert {chunk["choices"][0]["finish_reason"] for chunk in chunks} == {None}
    assert last["choices"][0]["finish_reason"] == "stop"
    assert got.body.endswith(b"\n\ndata: [DONE]\n\n")


def test_an_answer_cut_at_max_tokens_says_length(service):
    plain = send(service, "POST", PATH, body(max_tokens=3))
    assert plain.json["choices"][0]["finish_reason"] == "length"
    assert plain.json["usage"]["completion_tokens"] == 3


def test_a_cut_stream_says_length(service):
    *_, last, done = send(service, "POST", PATH, body(max_tokens=3, stream=True), EVENTS).events
    assert last["choices"][0] == {
        "index": 0,
        "delta": {"role": "assistant", "content": WORDS[2]},
        "finish_reason": "length",
    }
    assert done == "[DONE]"


@pytest.mark.parametrize(
    ("accept", "stream", "kind"),
    [
        (None, False, "application/json"),
        (None, True, "text/event-stream"),
        ("*/*", True, "text/event-stream"),
        ("application/json", True, "application/json"),
        ("application/json, text/event-stream", True, "text/event-stream"),
        ("text/event-stream; charset=utf-8", True, "text/event-stream"),
        ("text/event-stream", False, "application/json"),
    ],
)
def test_a_stream_needs_both_the_member_and_the_header(service, accept, stream, kind):
    got = send(service, "POST", PATH, body(stream=stream), {"accept": accept} if accept else None)
    assert (got.status, got.headers["content-type"]) == (200, kind)


def test_who_accepts_neither_is_refused(service):
    got = send(service, "POST", PATH, body(), {"accept": "image/png"})
    assert (got.status, got.json["title"]) == (406, "Not Acceptable")


def test_defaults_and_given_parameters_reach_the_model(service, model):
    send(service, "POST", PATH, body())
    send(service, "POST", PATH, body(temperature=1, top_p=0.5, max_tokens=7))
    keys = ("temperature", "top_p", "max_tokens")
    assert [model.asked[0][key] for key in keys] == [0.2, 0.7, 1024]
    assert [model.asked[1][key] for key in keys] == [1.0, 0.5, 7]


def test_the_ranges_are_those_of_the_endpoints_entry(service):
    for spec in endpoints.get("nvidia").parameters:
        assert send(service, "POST", PATH, body(**{spec.name: spec.high})).status == 200
        assert send(service, "POST", PATH, body(**{spec.name: spec.high + 1})).status == 422
        assert send(service, "POST", PATH, body(**{spec.name: spec.low - spec.low_open})).status in (200, 422)
        assert send(service, "POST", PATH, body(**{spec.name: spec.low - 1})).status == 422


@pytest.mark.parametrize(
    ("content", "prompt"),
    [
        (f"detect car {tag()}", "detect car"),
        (f"  {tag()}\n caption en\n", "caption en"),
        (f"answer en how {tag()} many?", "answer en how many?"),
        (tag(), ""),
        (f"a {tag(picture(kind='JPEG'), 'image/jpeg')}", "a"),
        (f"a {tag(picture(kind='JPEG'), 'image/jpg')}", "a"),
        (f"a {tag()}".replace('"', "'"), "a"),
        (f"a {tag()}".replace(" />", "/>"), "a"),
        ("α ☃ 猫 " + tag(), "α ☃ 猫"),
        ("<loc0001> <b>bold</b> " + tag(), "<loc0001> <b>bold</b>"),
    ],
)
def test_the_text_outside_the_tag_is_the_prompt(service, model, content, prompt):
    assert send(service, "POST", PATH, body(content)).status == 200
    assert model.asked[-1]["prompt"] == prompt
    assert model.asked[-1]["size"] == (40, 30)


@pytest.mark.parametrize(
    "url",
    [
        data_uri(),
        base64.b64encode(picture()).decode(),
    ],
)
def test_list_content_takes_plain_strings(service, model, url):
    content = [{"type": "text", "text": " detect car "}, {"type": "image_url", "image_url": url}]
    assert send(service, "POST", PATH, body(content)).status == 200
    assert (model.asked[-1]["prompt"], model.asked[-1]["size"]) == ("detect car", (40, 30))


def test_tags_in_a_text_part_are_text(service, model):
    content = [{"type": "image_url", "image_url": data_uri()}, {"type": "text", "text": '<img src="x" /> a'}]
    assert send(service, "POST", PATH, body(content)).status == 200
    assert model.asked[-1]["prompt"] == '<img src="x" /> a'


def test_the_assistant_may_speak_and_may_have_nothing_to_say(service, model):
    speaks = {"messages": [{"role": "assistant", "content": f"caption en {tag()}"}]}
    silent = {"messages": [{"role": "assistant", "content": None}]}
    assert send(service, "POST", PATH, speaks).json["choices"][0]["message"]["content"] == "".join(WORDS)
    answer = send(service, "POST", PATH, silent)
    assert (answer.status, answer.json["choices"][0]["message"]["content"]) == (200, "")
    assert answer.json["choices"][0]["finish_reason"] == "stop"
    assert len(model.asked) == 1


def message(content, role="user", **more):
    return {"messages": [{"role": role, "content": content, **more}]}


@pytest.mark.parametrize(
    ("value", "loc", "kind"),
    [
        ({}, ["messages"], "missing"),
        ({"messages": None}, ["messages"], "list_type"),
        ({"messages": []}, ["messages"], "too_short"),
        ({"messages": [*message(tag())["messages"]] * 2}, ["messages"], "too_long"),
        ({"messages": ["a"]}, ["messages", 0], "model_attributes_type"),
        (message(tag(), role="system"), ["messages", 0, "role"], "literal_error"),
        (message(tag(), role=["user"]), ["messages", 0, "role"], "literal_error"),
        ({"messages": [{"role": "user"}]}, ["messages", 0, "content"], "missing"),
        (message(tag(), name="x"), ["messages", 0, "name"], "extra_forbidden"),
        (message(5), ["messages", 0, "content"], "string_type"),
        (message(None), ["messages", 0, "content"], "string_type"),
        (message([], role="assistant"), ["messages", 0, "content"], "string_type"),
        (message("no picture"), ["messages", 0, "content"], "value_error"),
        (message(tag() + tag()), ["messages", 0, "content"], "value_error"),
        (message(tag(mime="image/gif")), ["messages", 0, "content"], "value_error"),
        (message('a <img src="http://x/y.png" />'), ["messages", 0, "content"], "value_error"),
        (message('<img src="data:image/png;base64,AAA%A" />'), ["messages", 0, "content"], "value_error"),
        (message('<img src="data:image/png;base64,AAAA" />'), ["messages", 0, "content"], "value_error"),
        (message('<img src="data:image/png;base64,é" />'), ["messages", 0, "content"], "value_error"),
        (message('<img src="" />'), ["messages", 0, "content"], "value_error"),
        (message(tag(picture()[:60])), ["messages", 0, "content"], "value_error"),
        (message(f"{'a' * 9000} {tag()}"), ["messages", 0, "content"], "string_too_long"),
        (message([{"type": "video"}]), ["messages", 0, "content", 0, "type"], "literal_error"),
        (message(["text"]), ["messages", 0, "content", 0, "type"], "literal_error"),
        (message([{"type": "text", "text": 1}]), ["messages", 0, "content", 0, "text"], "string_type"),
        (
            message([{"type": "image_url", "image_url": 1}]),
            ["messages", 0, "content", 0, "image_url"],
            "string_type",
        ),
        (
            message([{"type": "image_url", "image_url": {"url": data_uri()}}]),
            ["messages", 0, "content", 0, "image_url"],
            "string_type",
        ),
        (body(temperature=0), ["temperature"], "greater_than"),
        (body(temperature=1.01), ["temperature"], "less_than_equal"),
        (body(temperature="0.5"), ["temperature"], "float_type"),
        (body(temperature=None), ["temperature"], "float_type"),
        (body(top_p=0.0), ["top_p"], "greater_than"),
        (body(top_p=True), ["top_p"], "float_type"),
        (body(max_tokens=0), ["max_tokens"], "greater_than_equal"),
        (body(max_tokens=1025), ["max_tokens"], "less_than_equal"),
        (body(max_tokens=1.5), ["max_tokens"], "int_from_float"),
        (body(max_tokens=True), ["max_tokens"], "int_type"),
        (body(max_tokens=10**400), ["max_tokens"], "less_than_equal"),
        (body(stream="yes"), ["stream"], "bool_type"),
        (body(stream=1), ["stream"], "bool_type"),
        (body(seed=1), ["seed"], "extra_forbidden"),
        (body(do_sample=True), ["do_sample"], "extra_forbidden"),
    ],
)
def test_a_fault_is_listed_with_its_place_and_kind(service, model, value, loc, kind):
    found = faults(service, value)
    assert {"loc": ["body", *loc], "type": kind} in [{"loc": f["loc"], "type": f["type"]} for f in found]
    assert all(set(fault) == {"loc", "msg", "type"} for fault in found)
    assert model.asked == []


def test_all_faults_are_listed_at_once(service):
    found = faults(service, {"messages": [{"role": "x", "content": "a"}], "top_p": 2, "top_k": 1})
    assert [fault["loc"][1] for fault in found] == ["top_k", "top_p", "messages", "messages"]


def test_model_is_tolerated(service):
    assert send(service, "POST", PATH, body(model="google/paligemma")).status == 200


def test_without_event_stream_the_faults_are_replaced(service):
    for accept in ("application/json", "*/*"):
        got = send(service, "POST", PATH, body(top_k=1), {"accept": accept})
        assert got.status == 422
        assert got.headers["content-type"] == "application/problem+json"
        assert got.json == {
            "type": "urn:inference-service:problem-details:unprocessable-entity",
            "title": "Unprocessable Entity",
            "status": 422,
            "detail": "Inference error",
        }


def padded(length: int) -> str:
    """Base64 text of exactly this many characters that is a picture: a PNG with a tail."""
    data = picture()
    return base64.b64encode(data + b"\0" * (length // 4 * 3 - len(data))).decode()


def test_the_inline_limit_is_exact(service):
    limit = endpoints.get("demo").inline_limit
    fits, too_long = (f'<img src="data:image/png;base64,{padded(n)}" />' for n in (limit - 4, limit))
    assert send(service, "POST", PATH, body(fits)).status == 200
    assert faults(service, body(too_long))[0]["type"] == "string_too_long"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "json_invalid"),
        (b"{", "json_invalid"),
        (b"\xff\xfe", "json_invalid"),
        (b'{"messages": NaN}', "json_invalid"),
        (b"[" * 40_000, "json_invalid"),
        (b'{"max_tokens": ' + b"9" * 10_000 + b"}", "json_invalid"),
        (b"[]", "model_attributes_type"),
        (b'"text"', "model_attributes_type"),
        (b"null", "model_attributes_type"),
        (b'{"max_tokens": 1e999}', "less_than_equal"),
        (b'{"max_tokens": -1e999}', "greater_than_equal"),
        (b'{"top_p": 1e-999}', "greater_than"),
    ],
)
def test_a_body_that_is_no_json_object_is_a_fault(service, data, kind):
    assert faults(service, data)[0]["type"] == kind


@pytest.mark.parametrize("path", [PATH, "/v1/chat/completions", "/v2/nvcf/assets"])
def test_a_body_that_is_not_declared_as_json_is_refused(service, model, path):
    """These kinds, and none, a web page may send to any server without asking first."""
    data = json.dumps(body()).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        got = send(service, "POST", path, data, EVENTS | {"content-type": kind})
        assert got.status == 415
        assert "Content-Type: application/json" in got.text
    assert model.asked == []


def test_json_may_be_declared_with_parameters(service):
    got = send(service, "POST", PATH, body(), {"content-type": "application/json; charset=utf-8"})
    assert got.status == 200


def test_a_body_of_very_many_values_is_refused_before_it_is_decoded(service):
    assert faults(service, b'{"messages": [' + b"[]," * 100_000 + b"1]}")[0]["type"] == "too_long"


def test_pictures_of_every_mode_reach_the_model_as_rgb(service, model):
    for mode in ("1", "L", "LA", "P", "RGBA", "I;16"):
        assert send(service, "POST", PATH, body(tag(picture(mode=mode)))).status == 200
    assert {asked["mode"] for asked in model.asked} == {"RGB"}


def test_a_picture_of_another_format_is_refused_whatever_it_is_called(service):
    found = faults(service, body(tag(picture(kind="GIF"))))
    assert "neither PNG nor JPEG" in found[0]["msg"]


def test_a_picture_with_too_many_pixels_is_refused_before_it_is_decoded(service):
    for side in (11_000, 20_000):
        found = faults(service, body(tag(picture((side, side), mode="1"))))
        assert "pixels" in found[0]["msg"]


def test_unknown_paths_are_answered_as_go_does(service):
    for method, path in (
        ("GET", "/"),
        ("POST", "/v1/vlm/google/other"),
        ("GET", "/v1/status/"),
        ("GET", "/v3"),
    ):
        got = send(service, method, path)
        assert (got.status, got.text) == (404, "404 page not found")
        assert got.headers["content-type"].startswith("text/plain")


def test_the_wrong_method_is_answered_with_the_right_ones(service):
    got = send(service, "GET", PATH)
    assert (got.status, got.headers["allow"]) == (405, "POST")
    assert send(service, "PUT", "/v2/nvcf/assets").headers["allow"] == "POST, GET"


def test_oversize_bodies_are_refused(service):
    kind = {"content-type": "application/json"}
    assert service.handle(Request("POST", PATH, kind, oversize=True)).status == 413
    refused = service.handle(Request("POST", "/v1/chat/completions", kind, oversize=True))
    assert (refused.status, json.loads(refused.body)["error"]["type"]) == (413, "invalid_request_error")


def test_a_model_that_fails_is_an_internal_error():
    for error in (RuntimeError("a"), MemoryError()):
        got = send(Service(model=StandIn(words=(), error=error)), "POST", PATH, body())
        assert (got.status, got.headers["nvcf-status"]) == (500, "errored")
        assert got.json == {"message": "Internal server error", "type": "internal_server_error", "code": 500}


def test_a_model_that_fails_in_a_stream_breaks_it_with_an_error_object():
    gate = threading.Semaphore(1)
    service = Service(model=StandIn(words=("a", "b"), gate=gate, error=RuntimeError("a")))
    head = {"content-type": "application/json", **EVENTS}
    reply = service.handle(Request("POST", PATH, head, json.dumps(body(stream=True)).encode()))
    gate.release()
    *parts, last = Got(reply.status, {}, b"".join(reply.body)).events
    assert [part["choices"][0]["delta"]["content"] for part in parts] == ["a", "b"]
    assert last == {
        "error": {"object": "error", "message": "Internal server error", "type": "internal_server_error"}
    }


# --- keys


def test_a_missing_key_and_a_wrong_one_have_their_own_shapes(model):
    service = Service(model=model, key="nvapi-right")
    missing = send(service, "POST", PATH, body())
    assert (missing.status, missing.text) == (401, "Header of type `authorization` was missing")
    for wrong in ("Bearer nvapi-wrong", "Bearer ", "nvapi-right", "Basic nvapi-right", "Bearer é"):
        got = send(service, "POST", PATH, body(), {"authorization": wrong})
        assert got.json == {"title": "Unauthorized", "status": 401, "detail": "Authentication failed"}
    assert model.asked == []


def test_the_right_key_opens_every_path(model):
    service = Service(model=model, key="nvapi-right")
    right = {"authorization": "Bearer nvapi-right"}
    assert send(service, "POST", PATH, body(), right).status == 200
    assert send(service, "GET", "/v1/models", None, right).status == 200
    assert send(service, "GET", "/v2/nvcf/assets").status == 401
    assert send(service, "GET", f"/v1/status/{UNKNOWN}").status == 401
    assert upload(service, headers=right) in send(service, "GET", "/v2/nvcf/assets", None, right).text


def test_an_unknown_path_tells_nothing_about_keys():
    assert send(Service(key="nvapi-right"), "GET", "/nowhere").status == 404


def test_the_key_is_in_no_repr():
    assert "nvapi-right" not in repr(Service(key="nvapi-right"))
    assert "nvapi-right" not in repr(Request("GET", "/", {"authorization": "Bearer nvapi-right"}))


# --- assets


def test_an_asset_lives_from_put_to_delete(service, model):
    id_ = upload(service, picture((300, 200)))
    assert send(service, "GET", "/v2/nvcf/assets").json == {"assets": [{"assetId": id_}]}
    shown = send(service, "GET", f"/v2/nvcf/assets/{id_}").json["asset"]
    assert (shown["contentType"], shown["description"]) == ("image/png", "a picture")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", shown["createdAt"])
    content = f'caption en <img src="data:image/png;asset_id,{id_}" />'
    assert send(service, "POST", PATH, body(content), {"nvcf-input-asset-references": id_}).status == 200
    assert (model.asked[-1]["size"], model.asked[-1]["prompt"]) == ((300, 200), "caption en")
    deleted = send(service, "DELETE", f"/v2/nvcf/assets/{id_}")
    assert (deleted.status, deleted.body) == (204, b"")
    assert send(service, "DELETE", f"/v2/nvcf/assets/{id_}").status == 404


def test_what_was_created_but_not_uploaded_does_not_exist(service):
    created = send(service, "POST", "/v2/nvcf/assets", WISH)
    assert created.status == 200
    assert set(created.json) == {"assetId", "uploadUrl", "contentType", "description"}
    id_ = created.json["assetId"]
    assert send(service, "GET", "/v2/nvcf/assets").json == {"assets": []}
    assert send(service, "GET", f"/v2/nvcf/assets/{id_}").status == 404
    assert send(service, "DELETE", f"/v2/nvcf/assets/{id_}").status == 404
    content = f'<img src="data:image/png;asset_id,{id_}" />'
    assert send(service, "POST", PATH, body(content), {"nvcf-input-asset-references": id_}).status == 404


def test_a_missing_asset_has_the_exact_problem_body(service):
    content = f'<img src="data:image/png;asset_id,{UNKNOWN}" />'
    got = send(service, "POST", PATH, body(content), EVENTS | {"nvcf-input-asset-references": UNKNOWN})
    assert (got.status, got.headers["content-type"]) == (404, "application/problem+json")
    assert got.json == {
        "status": 404,
        "title": "Not Found",
        "detail": f"NotFound error: failed to find asset {UNKNOWN}",
    }


def test_a_missing_asset_is_seen_before_the_body_is(service):
    assert send(service, "POST", PATH, b"{", {"nvcf-input-asset-references": UNKNOWN}).status == 404


def test_an_asset_that_the_header_does_not_name_is_not_read(service):
    id_ = upload(service)
    content = f'<img src="data:image/png;asset_id,{id_}" />'
    assert "NVCF-INPUT-ASSET-REFERENCES" in faults(service, body(content))[0]["msg"]


def test_the_reference_header_takes_blanks_repeats_and_emptiness(service):
    first, second = upload(service), upload(service)
    content = f'<img src="data:image/png;asset_id,{second}" />'
    for header in (f"{first}, {second}", f" {second} ,", second.upper(), f"{first},,{second}"):
        got = send(service, "POST", PATH, body(content), {"nvcf-input-asset-references": header})
        assert got.status == 200
    assert send(service, "POST", PATH, body(), {"nvcf-input-asset-references": ""}).status == 200


def test_a_bad_or_overlong_reference_header_is_refused(service):
    for header in ("not-a-uuid", ",".join([UNKNOWN] * 11)):
        got = send(service, "POST", PATH, body(), {"nvcf-input-asset-references": header})
        assert (got.status, got.json["title"]) == (400, "Bad Request")


def test_an_asset_that_is_no_picture_is_a_fault_of_the_body(service):
    id_ = upload(service, b"text", "text/plain")
    content = f'<img src="data:image/png;asset_id,{id_}" />'
    got = send(service, "POST", PATH, body(content), EVENTS | {"nvcf-input-asset-references": id_})
    assert (got.status, got.json["detail"][0]["loc"]) == (422, ["body", "messages", 0, "content"])


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({"contentType": "image/png"}, 400),
        ({"description": "a"}, 400),
        ({"contentType": None, "description": "a"}, 400),
        ({"contentType": 1, "description": "a"}, 400),
        ([], 400),
        (b"{", 400),
        ({"contentType": "image/png; charset=utf-8", "description": "a"}, 500),
        ({"contentType": "png", "description": "a"}, 500),
    ],
)
def test_a_bad_wish_for_an_asset_is_refused(service, wish, status):
    got = send(service, "POST", "/v2/nvcf/assets", wish)
    assert (got.status, got.json["instance"]) == (status, "/v2/nvcf/assets")
    assert got.json["type"].startswith("urn:nv-boot:problem-details:")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"content-type": "image/jpeg"}, 403, "SignatureDoesNotMatch"),
        ({DESCRIPTION: "other"}, 403, "SignatureDoesNotMatch"),
        ({DESCRIPTION: None}, 403, "SignatureDoesNotMatch"),
        ({"content-type": None}, 403, "SignatureDoesNotMatch"),
        ({"content-length": None}, 411, "MissingContentLength"),
        ({"content-length": None, "transfer-encoding": "chunked"}, 501, "NotImplemented"),
        ({"authorization": "Bearer nvapi-x"}, 400, "InvalidArgument"),
    ],
)
def test_an_upload_that_is_not_as_signed_is_refused_in_xml(service, change, status, code):
    promise = send(service, "POST", "/v2/nvcf/assets", WISH).json
    headers = {"content-type": "image/png", DESCRIPTION: "a", "content-length": "4"} | change
    kept = {name: value for name, value in headers.items() if value is not None}
    reply = service.handle(Request("PUT", target(promise), kept, b"data"))
    assert (reply.status, reply.header("content-type")) == (status, "application/xml")
    assert f"<Code>{code}</Code>" in reply.body.decode()
    assert send(service, "GET", "/v2/nvcf/assets").json == {"assets": []}


def test_a_forged_signature_is_refused(service):
    promise = send(service, "POST", "/v2/nvcf/assets", WISH).json
    headers = {"content-type": "image/png", DESCRIPTION: "a"}
    for forged in (
        target(promise)[:-1],
        target(promise)
        .replace("X-Amz-Expires=2100", "X-Amz-Expires=999999")
        .replace("Signature=", "Signature=0"),
        target(promise).partition("?")[0],
        target(promise).replace(promise["assetId"], UNKNOWN),
        target(promise) + "é",
    ):
        assert send(service, "PUT", forged, b"data", headers).status == 403


class Clock:
    now = 1_000_000_000.0

    def __call__(self) -> float:
        return self.now


def test_assets_live_a_day_and_upload_urls_35_minutes(model):
    clock = Clock()
    service = Service(model=model, bucket=Bucket(clock=clock))
    promise = send(service, "POST", "/v2/nvcf/assets", WISH).json
    headers = {"content-type": "image/png", DESCRIPTION: "a"}
    clock.now += 35 * 60
    assert send(service, "PUT", target(promise), picture(), headers).status == 200
    clock.now += 1
    late = send(service, "PUT", target(promise), picture(), headers)
    assert (late.status, "Request has expired" in late.text) == (403, True)
    clock.now += 24 * 3600 - 2
    assert send(service, "GET", f"/v2/nvcf/assets/{promise['assetId']}").status == 200
    clock.now += 1
    assert send(service, "GET", f"/v2/nvcf/assets/{promise['assetId']}").status == 404
    assert send(service, "DELETE", f"/v2/nvcf/assets/{promise['assetId']}").status == 404


def test_a_full_store_says_so_and_keeps_what_it_has(model):
    service = Service(model=model, bucket=Bucket(capacity=1000))
    kept = upload(service, b"a" * 900)
    promise = send(service, "POST", "/v2/nvcf/assets", WISH).json
    got = send(service, "PUT", target(promise), b"a" * 101, {"content-type": "image/png", DESCRIPTION: "a"})
    assert (got.status, "SlowDown" in got.text) == (503, True)
    assert send(service, "GET", "/v2/nvcf/assets").json == {"assets": [{"assetId": kept}]}


def test_an_oversize_upload_is_refused_in_xml(service):
    promise = send(service, "POST", "/v2/nvcf/assets", WISH).json
    head = {"content-type": "image/png", DESCRIPTION: "a", "content-length": "9"}
    reply = service.handle(Request("PUT", target(promise), head, oversize=True))
    assert (reply.status, b"EntityTooLarge" in reply.body) == (400, True)


def test_a_given_origin_begins_the_upload_url(model):
    service = Service(model=model, origin="http://demo.nbvlm.localhost")
    promise = send(service, "POST", "/v2/nvcf/assets", WISH).json
    assert promise["uploadUrl"].startswith("http://demo.nbvlm.localhost/s3/assets/")


# --- polls


def test_an_answer_that_takes_longer_is_polled_for():
    model = StandIn(gate=threading.Semaphore(0))
    service = Service(model=model)
    got = send(service, "POST", PATH, body(), {"nvcf-poll-seconds": "1"})
    assert (got.status, got.body, got.headers["content-length"]) == (202, b"", "0")
    assert got.headers["nvcf-status"] == "in-progress"
    id_ = got.headers["nvcf-reqid"]
    model.gate.release(len(WORDS))
    done = send(service, "GET", f"/v1/status/{id_}", None, {"nvcf-poll-seconds": "20"})
    assert (done.status, done.headers["nvcf-status"], done.json["id"]) == (200, "fulfilled", id_)
    assert send(service, "GET", f"/v1/status/{id_}").status == 404


def test_a_poll_may_meet_an_unfinished_answer_again():
    model = StandIn(gate=threading.Semaphore(0))
    service = Service(model=model)
    soon = {"nvcf-poll-seconds": "1"}
    id_ = send(service, "POST", PATH, body(), soon).headers["nvcf-reqid"]
    again = send(service, "GET", f"/v1/status/{id_}", None, soon)
    assert (again.status, again.headers["nvcf-reqid"]) == (202, id_)
    model.gate.release(len(WORDS))
    assert send(service, "GET", f"/v1/status/{id_}").status == 200


def test_a_stream_is_polled_for_until_its_first_token():
    model = StandIn(gate=threading.Semaphore(0))
    service = Service(model=model)
    got = send(service, "POST", PATH, body(stream=True), EVENTS | {"nvcf-poll-seconds": "1"})
    assert got.status == 202
    model.gate.release(len(WORDS))
    stream = send(service, "GET", f"/v1/status/{got.headers['nvcf-reqid']}", None, EVENTS)
    assert stream.headers["content-type"] == "text/event-stream"
    assert stream.events[-1] == "[DONE]"
    assert "".join(e["choices"][0]["delta"]["content"] for e in stream.events[:-1]) == "".join(WORDS)


def test_an_answer_that_nobody_polls_for_is_given_up(monkeypatch):
    model = StandIn(gate=threading.Semaphore(0))
    service = Service(model=model)
    id_ = send(service, "POST", PATH, body(), {"nvcf-poll-seconds": "1"}).headers["nvcf-reqid"]
    monkeypatch.setattr("nbvlm.demo.service.jobs.time.monotonic", lambda: float("1e12"))
    assert send(service, "GET", f"/v1/status/{id_}").status == 404
    model.gate.release()
    assert model.closed.wait(10)
    assert model.computed == 1


def test_an_unknown_request_is_not_found(service):
    for path in ("/v1/status/", "/v2/nvcf/pexec/status/"):
        got = send(service, "GET", path + UNKNOWN)
        assert (got.status, got.headers["content-type"]) == (404, "application/problem+json")


def test_a_model_that_fails_while_it_is_polled_for_is_an_internal_error():
    model = StandIn(words=("a",), gate=threading.Semaphore(0), error=RuntimeError("a"))
    service = Service(model=model)
    id_ = send(service, "POST", PATH, body(), {"nvcf-poll-seconds": "1"}).headers["nvcf-reqid"]
    model.gate.release()
    got = send(service, "GET", f"/v1/status/{id_}")
    assert (got.status, got.headers["nvcf-status"], got.headers["nvcf-reqid"]) == (500, "errored", id_)


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "soon", "3601", "9" * 50])
def test_poll_seconds_out_of_range_are_refused(service, model, value):
    got = send(service, "POST", PATH, body(), {"nvcf-poll-seconds": value})
    assert (got.status, got.json["title"]) == (400, "Bad Request")
    assert model.asked == []


def test_a_caller_that_hangs_up_while_it_waits_stops_the_work():
    model = StandIn(gate=threading.Semaphore(0))
    service = Service(model=model)
    request = Request("POST", PATH, {"content-type": "application/json"}, json.dumps(body()).encode())
    threading.Timer(0.05, request.connection.close).start()
    assert service.handle(request).status == 499
    model.gate.release()
    assert model.closed.wait(10)
    assert model.computed == 1


def test_jobs_beyond_the_gate_wait_their_turn():
    model = StandIn(words=("a",), gate=threading.Semaphore(0))
    service = Service(model=model, at_once=1)
    soon = {"nvcf-poll-seconds": "1"}
    first = send(service, "POST", PATH, body(), soon).headers["nvcf-reqid"]
    second = send(service, "POST", PATH, body(), soon).headers["nvcf-reqid"]
    assert len(model.asked) == 1
    model.gate.release(2)
    assert send(service, "GET", f"/v1/status/{first}").status == 200
    assert send(service, "GET", f"/v1/status/{second}").status == 200
