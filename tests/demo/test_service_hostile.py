"""Whatever is sent, the service answers with a status of its own and lives on."""

from __future__ import annotations

import base64
import json
import random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.service_standin import PATH, StandIn, body, data_uri, picture, send, tag

from nbvlm.demo.service.service import Service

MODEL = StandIn(words=("a",))
SERVICE = Service(model=MODEL)
PATHS = (PATH, "/v1/chat/completions", "/v2/nvcf/assets")
ROOMY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
known = st.sampled_from(
    [
        "messages",
        "role",
        "content",
        "model",
        "stream",
        "max_tokens",
        "type",
        "text",
        "image_url",
        "url",
        "seed",
    ]
)
shaped = st.dictionaries(known, json_values | st.just(data_uri()) | st.just(tag()), max_size=6)
contents = json_values | st.lists(shaped, max_size=3) | st.text() | st.just(tag())
bodies = st.builds(
    lambda messages, more: {"messages": messages} | more,
    st.lists(
        st.fixed_dictionaries({"role": st.just("user") | st.text(max_size=3), "content": contents}),
        max_size=2,
    ),
    shaped,
)


def judged(method, target, value, headers=None) -> int:
    """Status of the answer, which must be one that the protocol knows, with a body that can be read."""
    got = send(SERVICE, method, target, value, headers)
    assert got.status in {200, 204, 400, 403, 404, 405, 406, 413, 415, 422} or (
        got.status == 500 and "Invalid contentType" in got.text
    )
    assert all(value.isascii() and value.isprintable() for value in got.headers.values())
    if "json" in got.headers.get("content-type", ""):
        json.loads(got.body)
    return got.status


@ROOMY
@given(st.sampled_from(PATHS), st.binary(max_size=200))
@example(PATH, b'{"messages": ' + b"[" * 5000)
@example(PATH, b'\xef\xbb\xbf{"messages": []}')
@example(PATH, '{"messages": []}'.encode("utf-16"))
@example(PATH, b'{"\\ud800": 1}')
def test_any_bytes_are_answered(path, data):
    assert judged("POST", path, data) != 200


@ROOMY
@given(st.sampled_from(PATHS), json_values | bodies | shaped, st.sampled_from(["*/*", "text/event-stream"]))
def test_any_json_is_answered(path, value, accept):
    judged("POST", path, value, {"accept": accept})


@ROOMY
@given(st.text())
@example("\ud800")
@example("\0" * 100)
@example('<img src="' * 500)
@example("<img " + " " * 50_000)
def test_any_text_beside_a_picture_is_a_prompt_that_can_be_encoded(text):
    if judged("POST", PATH, body(f"{text} {tag()}")) == 200:
        MODEL.asked[-1]["prompt"].encode()


@ROOMY
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "accept",
                "content-type",
                "authorization",
                "nvcf-poll-seconds",
                "nvcf-input-asset-references",
                "host",
            ]
        ),
        st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40),
    )
)
def test_any_headers_are_answered(headers):
    for path in PATHS:
        judged("POST", path, body(), headers)


@ROOMY
@given(st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "FOO"]), st.text(max_size=30))
@example("PUT", "/s3/assets/x?X-Amz-Date=²&X-Amz-Signature=é")
@example("PUT", "/s3/assets/x?" + "&" * 2000)
@example("GET", "%ff%00")
@example("GET", "%0d%0aX-Injected:%20yes")
@example("DELETE", "/v2/nvcf/assets/%2e%2e%2f")
def test_any_target_is_answered(method, target):
    for prefix in ("", "/v1/", "/v1/status/", "/v1/models/", "/v2/nvcf/assets/", "/s3/assets/"):
        judged(method, prefix + target, b"{}")


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_any_damage_to_a_picture_is_answered(kind):
    rng = random.Random(7)
    whole = picture((64, 48), kind)
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        del data[rng.randint(len(data) // 2, len(data)) :]
        assert judged("POST", PATH, body(tag(bytes(data)))) in (200, 422)


def test_base64_that_is_cut_or_padded_wrongly_is_answered():
    text = base64.b64encode(picture()).decode()
    for broken in (
        text[:-1],
        text[:-3],
        text + "=",
        "=" + text,
        text + "\n",
        " " + text,
        text[:9] + "=" + text[9:],
    ):
        content = f'a <img src="data:image/png;base64,{broken}" />'
        assert judged("POST", PATH, body(content)) == 422
