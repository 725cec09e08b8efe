"""The body of a request holds exactly the keys that a service takes."""

from __future__ import annotations

import json

import pytest

from nbvlm import endpoints, request_body
from nbvlm.request_body import Source

PICTURE = Source("image/png", b"\x89PNG")
URI = "data:image/png;base64,iVBORw=="


def body(endpoint, *, given=None, **options):
    parameters = {parameter.name: parameter.default for parameter in endpoint.parameters} | (given or {})
    return json.loads(request_body.body(endpoint, 'say "hi"', PICTURE, parameters, **options))


def test_paligemma_gets_a_tag_or_a_list_with_a_plain_string():
    entry = endpoints.get("nvidia")
    sampling = {"temperature": 0.2, "top_p": 0.7, "max_tokens": 1024, "stream": False}
    tagged = {"role": "user", "content": f'say "hi" <img src="{URI}" />'}
    assert body(entry) == {"messages": [tagged], **sampling}
    parts = [{"type": "text", "text": 'say "hi"'}, {"type": "image_url", "image_url": URI}]
    assert body(entry, content="parts") == {"messages": [{"role": "user", "content": parts}], **sampling}


LISTED = [
    {
        "role": "user",
        "content": [
            {"type": "image_url", "image_url": {"url": URI}},
            {"type": "text", "text": 'say "hi"'},
        ],
    }
]


@pytest.mark.parametrize("name", [name for name in endpoints.ENDPOINTS if "/" in name])
def test_nvidias_chat_completions_get_no_key_that_they_refuse(name):
    entry = endpoints.get(name)
    allowed = {"messages", "model", "temperature", "top_p", "max_tokens", "stream", "chat_template_kwargs"}
    sent = body(entry, stream=True)
    assert set(sent) <= allowed
    assert (sent["messages"], sent["model"], sent["stream"]) == (LISTED, name, True)
    assert sent.get("chat_template_kwargs", {"enable_thinking": False}) == {"enable_thinking": False}


@pytest.mark.parametrize("name", ["ollama", "lmstudio", "vllm", "llamacpp", "gemini", "openrouter"])
def test_other_services_count_tokens_in_a_stream(name):
    sent = body(endpoints.get(name, "qwen3-vl"), stream=True)
    assert sent["stream_options"] == {"include_usage": True}
    assert "skip_special_tokens" not in sent
    assert "stream_options" not in body(endpoints.get(name, "qwen3-vl"))


def test_tokens_are_kept_where_locations_are_tokens():
    for model in ("google/paligemma2-3b-mix-448", "deepseek-ai/deepseek-vl2"):
        assert body(endpoints.get("vllm", model))["skip_special_tokens"] is False
    assert "skip_special_tokens" not in body(endpoints.openai("http://127.0.0.1:1/v1", "qwen3-vl"))


def test_openai_gets_a_temperature_only_where_it_was_changed():
    entry = endpoints.get("openai", "gpt-6.1")
    assert body(entry) == {
        "model": "gpt-6.1",
        "messages": LISTED,
        "max_completion_tokens": 4096,
        "stream": False,
    }
    assert body(entry, given={"temperature": 0.5})["temperature"] == 0.5
