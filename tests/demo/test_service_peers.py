"""Other people's clients against the service on a real socket."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from support.service_loopback import running
from support.service_standin import WORDS, StandIn, data_uri

from nbvlm.demo.service.service import Service

KEY = "nvapi-right"
TEXT = "".join(WORDS)


@pytest.fixture(scope="module")
def origin():
    with running(Service(model=StandIn(), key=KEY)) as url:
        yield url


def messages():
    picture = {"type": "image_url", "image_url": {"url": data_uri()}}
    return [{"role": "user", "content": [picture, {"type": "text", "text": "detect car"}]}]


@pytest.fixture(scope="module")
def openai(origin):
    module = pytest.importorskip("openai", reason="the openai package is not installed")
    with module.OpenAI(base_url=f"{origin}/v1", api_key=KEY, max_retries=0) as client:
        yield client


def test_openai_gets_a_whole_answer(openai):
    answer = openai.chat.completions.create(model="nbvlm/demo", messages=messages())
    assert answer.choices[0].message.content == TEXT
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == 74


def test_openai_gets_a_stream_with_usage(openai):
    options = {"include_usage": True}
    stream = openai.chat.completions.create(
        model="nbvlm/demo", messages=messages(), stream=True, stream_options=options
    )
    chunks = list(stream)
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == TEXT
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == "stop"
    assert chunks[-1].usage.completion_tokens == 8


def test_openai_lists_and_looks_up_the_models(openai):
    assert [model.id for model in openai.models.list()] == ["nbvlm/demo"]
    assert openai.models.retrieve("nbvlm/demo").owned_by == "nbvlm"


def test_openai_reads_the_errors(openai, origin):
    from openai import AuthenticationError, BadRequestError, NotFoundError, OpenAI

    with pytest.raises(BadRequestError, match="temperature"):
        openai.chat.completions.create(model="nbvlm/demo", messages=messages(), temperature=3)
    with pytest.raises(NotFoundError, match="does not exist"):
        openai.chat.completions.create(model="gpt-5", messages=messages())
    stranger = OpenAI(base_url=f"{origin}/v1", api_key="wrong", max_retries=0)
    with stranger, pytest.raises(AuthenticationError):
        stranger.models.list()


def test_openai_streams_in_an_event_loop(openai, origin):
    from openai import AsyncOpenAI

    async def run() -> str:
        async with AsyncOpenAI(base_url=f"{origin}/v1", api_key=KEY, max_retries=0) as client:
            ask = client.chat.completions.create
            stream = await ask(model="nbvlm/demo", messages=messages(), stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert asyncio.run(run()) == TEXT


@pytest.fixture(scope="module")
def langchain(origin):
    module = pytest.importorskip("langchain_nvidia_ai_endpoints", reason="langchain is not installed")
    return lambda **more: module.ChatNVIDIA(base_url=f"{origin}/v1", api_key=KEY, temperature=0.2, **more)


@pytest.fixture(scope="module")
def human(langchain):
    from langchain_core.messages import HumanMessage

    return [HumanMessage(content=messages()[0]["content"])]


@pytest.mark.parametrize("model", ["nbvlm/demo", "google/paligemma"])
def test_langchain_gets_a_whole_answer(langchain, human, model):
    answer = langchain(model=model).invoke(human)
    assert answer.content == TEXT
    assert answer.usage_metadata["total_tokens"] == 74


@pytest.mark.parametrize("model", ["nbvlm/demo", "google/paligemma"])
def test_langchain_gets_a_stream(langchain, human, model):
    chunks = list(langchain(model=model).stream(human))
    assert len(chunks) > len(WORDS)
    assert "".join(chunk.content for chunk in chunks) == TEXT


def test_langchain_streams_in_an_event_loop(langchain, human):
    async def run() -> str:
        return "".join([chunk.content async for chunk in langchain(model="nbvlm/demo").astream(human)])

    assert asyncio.run(run()) == TEXT


def test_langchain_finds_the_models(langchain):
    assert [model.id for model in langchain(model="nbvlm/demo").available_models] == ["nbvlm/demo"]


def test_langchain_reads_the_errors(langchain, human):
    with pytest.raises(Exception, match="does not exist"):
        langchain(model="other/model").invoke(human)


def test_the_published_sample_of_the_hosted_endpoint_runs_unchanged(origin):
    """The request that the model's own page shows, sent with plain HTTP."""
    headers = {"Authorization": f"Bearer {KEY}", "Accept": "text/event-stream"}
    content = f'Describe the image. <img src="{data_uri()}" />'
    payload = {
        "messages": [{"role": "user", "content": content}],
        "max_tokens": 512,
        "temperature": 1.00,
        "top_p": 0.70,
        "stream": True,
    }
    url = f"{origin}/v1/vlm/google/paligemma"
    with httpx.stream("POST", url, headers=headers, json=payload) as answer:
        lines = [line for line in answer.iter_lines() if line]
    assert len(lines) == len(WORDS) + 2
    assert all(line.startswith("data: ") for line in lines)
