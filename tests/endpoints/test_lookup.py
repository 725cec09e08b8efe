from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys
from datetime import date
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbvlm import endpoints
from nbvlm.errors import NotFoundError, ParameterError


def test_hosted_paligemma_is_described_as_published():
    entry = endpoints.get("nvidia")
    assert entry.url == "https://ai.api.nvidia.com/v1/vlm/google/paligemma"
    assert (entry.model, entry.dialect, entry.assets_url) == (
        "google/paligemma",
        "nvidia",
        "https://api.nvcf.nvidia.com",
    )
    assert (entry.inline_limit, entry.requests_per_minute, entry.codebook, entry.bins) == (
        180_000,
        40,
        "vae-oid",
        1023,
    )
    assert entry.mime_types == ("image/png", "image/jpeg")
    temperature, top_p, max_tokens = (
        entry.parameter(name) for name in ("temperature", "top_p", "max_tokens")
    )
    assert (temperature.low, temperature.high, temperature.default, temperature.low_open) == (0, 1, 0.2, True)
    assert (top_p.low, top_p.high, top_p.default, top_p.low_open) == (0, 1, 0.7, True)
    assert (max_tokens.low, max_tokens.high, max_tokens.default, max_tokens.integer) == (1, 1024, 1024, True)


def test_the_demo_takes_the_same_way_as_the_hosted_model():
    hosted, demo = endpoints.get("nvidia"), endpoints.get("demo")
    for name in ("dialect", "path", "parameters", "inline_limit", "mime_types"):
        assert getattr(demo, name) == getattr(hosted, name)
    assert demo.assets_url == demo.base_url
    assert urlsplit(demo.base_url).hostname.endswith(".localhost")


def test_paligemma_answers_to_its_model_id_and_comes_first():
    assert endpoints.get("google/paligemma") is endpoints.get("nvidia")
    assert next(iter(endpoints.ENDPOINTS)) == "nvidia"


@pytest.mark.parametrize("name", list(endpoints.ENDPOINTS))
def test_every_entry_is_consistent(name):
    entry = endpoints.ENDPOINTS[name]
    assert entry.name == name
    assert entry.path.startswith("/v1/")
    assert urlsplit(entry.base_url).path == ""
    assert entry.service == (None if name == "demo" else "nvidia")
    for parameter in entry.parameters:
        assert parameter.low <= parameter.default <= parameter.high
        assert parameter.low_open <= (parameter.default > parameter.low)
        assert parameter.step > 0


LIVE = [name for name in endpoints.ENDPOINTS if name not in ("nvidia", "demo")]


@pytest.mark.parametrize("name", LIVE)
def test_live_models_are_asked_as_their_host_wants(name):
    entry = endpoints.get(name)
    assert entry.url == "https://integrate.api.nvidia.com/v1/chat/completions"
    assert (entry.dialect, entry.model, entry.assets_url) == ("openai", name, None)
    assert 20 * 2**20 < entry.inline_limit < 25 * 2**20
    assert not entry.keeps_tokens
    assert not entry.stream_usage
    assert entry.silence >= 120
    assert endpoints.get("nvidia", name) is entry
    assert endpoints.openai("https://integrate.api.nvidia.com/v1", name) is entry


def test_thinking_is_off_where_the_model_has_a_switch():
    for name in ("google/gemma-4-31b-it", "nvidia/nemotron-3-nano-omni-30b-a3b-reasoning"):
        assert endpoints.get(name).extra == {"chat_template_kwargs": {"enable_thinking": False}}
    assert endpoints.get("meta/llama-3.2-11b-vision-instruct").pictures == 1


def test_paligemma_says_that_it_failed():
    assert (
        endpoints.get("nvidia").note == "Listed by NVIDIA, failing when last tried publicly in October 2026."
    )


@pytest.mark.parametrize("name", list(endpoints.RETIRED))
def test_a_retired_model_is_refused_with_date_reason_and_alternatives(name):
    gone = endpoints.RETIRED[name]
    date.fromisoformat(gone.seen)
    for look in (
        lambda: endpoints.get(name),
        lambda: endpoints.get("nvidia", name),
        lambda: endpoints.openai("https://integrate.api.nvidia.com/v1", name),
    ):
        with pytest.raises(NotFoundError) as caught:
            look()
        text = str(caught.value)
        assert name in text
        assert gone.seen in text
        assert gone.reason in text
        assert all(live in text for live in LIVE)
        assert caught.value.alternatives == (*LIVE, "demo")
        assert caught.value.gone == "retired"
    assert name not in endpoints.ENDPOINTS


def test_the_siblings_of_paligemma_are_retired():
    assert {
        "nvidia/vila",
        "nvidia/cosmos-nemotron-34b",
        "nvidia/neva-22b",
        "microsoft/phi-3-vision-128k-instruct",
        "microsoft/kosmos-2",
        "adept/fuyu-8b",
        "google/deplot",
        "microsoft/florence-2",
    } <= set(endpoints.RETIRED)


def test_alternatives_are_those_that_are_listed_now_and_the_demo_last():
    assert endpoints.alternatives() == (*LIVE, "demo")
    assert endpoints.alternatives({LIVE[2], "a/text-model"}) == (LIVE[2], "demo")
    assert endpoints.alternatives([]) == ("demo",)


def test_the_table_has_its_date():
    assert date.fromisoformat(endpoints.CHECKED) >= date(2026, 10, 4)


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        *(("nvida", "nvidia"), ("nvidia/villa", "nvidia/vila"), ("demoo", "demo"), ("olama", "ollama")),
        *(("DEMO", "demo"), ("LMSTUDIO", "lmstudio"), ("LM Studio", "lmstudio")),
        ("localhost:11434", "http://localhost:11434"),
        ("127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(wrong, near):
    with pytest.raises(ParameterError, match=f"Did you mean '{near}'"):
        endpoints.get(wrong)


def test_a_name_near_nothing_is_answered_with_all():
    with pytest.raises(ParameterError) as caught:
        endpoints.get("zzzzz")
    assert "Did you mean" not in str(caught.value)
    assert all(name in str(caught.value) for name in (*endpoints.ENDPOINTS, *endpoints.SERVICES))


def test_an_unknown_parameter_is_answered_with_the_nearest():
    with pytest.raises(ParameterError, match="Did you mean 'max_tokens'"):
        endpoints.get("nvidia").parameter("max_token")


@pytest.mark.parametrize(
    ("given_url", "url"),
    [
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1/chat/completions"),
        ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/v1/chat/completions"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1/chat/completions"),
        ("https://host/api/v3", "https://host/api/v3/chat/completions"),
        (" https://host/v1/chat/completions ", "https://host/v1/chat/completions"),
        ("http://[::1]:9/v1", "http://[::1]:9/v1/chat/completions"),
    ],
)
def test_openai_addresses_are_completed(given_url, url):
    entry = endpoints.openai(given_url, "some/model")
    assert entry.url == url
    assert urlsplit(entry.base_url).path == ""
    assert (entry.dialect, entry.inline_limit, entry.assets_url) == ("openai", None, None)
    assert entry.parameter("temperature").high == 2


def test_paligemma_on_an_openai_server_gets_its_codebook():
    assert endpoints.openai("http://h/v1", "google/paligemma2-3b-mix-448").codebook == "vae-oid"
    assert endpoints.openai("http://h/v1", "llava").codebook is None


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h/v1",
        "127.0.0.1:8000",
        "",
        "http://",
        "http://h:port/v1",
        "http://h/v1?key=s3cret",
        "http://h#s3cret",
    ],
)
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ParameterError) as caught:
        endpoints.openai(url, "m")
    assert "s3cret" not in str(caught.value)


def test_a_password_in_an_address_is_refused_and_not_repeated():
    with pytest.raises(ParameterError) as caught:
        endpoints.openai("http://user:hunter2@h/v1", "m")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("model", ["", "  "])
def test_an_openai_server_needs_a_model(model):
    with pytest.raises(ParameterError, match="model"):
        endpoints.openai("http://h/v1", model)


def test_entries_are_immutable_and_replaceable():
    entry = endpoints.get("nvidia")
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.path = "/"
    assert dataclasses.replace(entry, inline_limit=None).inline_limit is None
    with pytest.raises(TypeError):
        endpoints.ENDPOINTS["mine"] = entry
    for entry in endpoints.ENDPOINTS.values():
        assert pickle.loads(pickle.dumps(entry)) == entry
        assert len({entry, dataclasses.replace(entry)}) == 1


@given(st.text(max_size=40))
def test_any_name_gives_an_entry_or_a_parameter_error(name):
    try:
        entry = endpoints.get(name)
    except (ParameterError, NotFoundError):
        entry = None
    assert entry is None or name in (entry.name, entry.model)


def test_importing_the_entries_imports_nothing_heavy():
    code = (
        "import sys, nbvlm.endpoints, nbvlm.prompts;"
        "print([m for m in ('httpx', 'numpy', 'PIL', 'IPython', 'ipywidgets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
