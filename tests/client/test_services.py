"""Services by name: each with its own key and address, and a model that is chosen or listed."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest
from support import model_servers
from support.loopback import Loopback, answer
from support.sides import SCENE

import nbvlm
from nbvlm import endpoints
from nbvlm.client import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Open = Callable[..., Any]

KEYS = {
    "NVIDIA_API_KEY": "nvapi-key-of-nvidia",
    "OPENAI_API_KEY": "sk-key-of-openai",
    "GEMINI_API_KEY": "key-of-google",
    "OPENROUTER_API_KEY": "sk-or-key-of-openrouter",
    "LM_API_TOKEN": "key-of-lm-studio",
    "VLLM_API_KEY": "key-of-vllm",
    "LLAMA_API_KEY": "key-of-llama",
}
OWN = {
    "openai": ("OPENAI_API_KEY", "OPENAI_BASE_URL", "/v1"),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL", "/v1beta/openai"),
    "openrouter": ("OPENROUTER_API_KEY", "OPENROUTER_BASE_URL", "/api/v1"),
    "lmstudio": ("LM_API_TOKEN", "LMSTUDIO_BASE_URL", "/v1"),
    "vllm": ("VLLM_API_KEY", "VLLM_BASE_URL", "/v1"),
    "llamacpp": ("LLAMA_API_KEY", "LLAMA_ARG_PORT", "/v1"),
    "ollama": (None, "OLLAMA_HOST", "/v1"),
}
LIVE = [name for name in endpoints.ENDPOINTS if "/" in name]
REMOTE = ("openai", "gemini", "openrouter")


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    yield
    keys.forget()


@pytest.fixture
def at(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Put the loopback server in the place of a service; the path before `/chat/completions` is returned."""

    def put(name: str) -> str:
        _, variable, path = OWN[name]
        monkeypatch.setenv(variable, str(server.port) if name == "llamacpp" else f"{server.url}{path}")
        if name == "llamacpp":
            path = "/v1"
        server.model = f"{path}/chat/completions"
        return path

    return put


@pytest.mark.parametrize("name", OWN)
def test_a_service_gets_its_own_key_and_no_other(
    name: str, at: Any, server: Loopback, open_side: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, key in KEYS.items():
        monkeypatch.setenv(variable, key)
    at(name)
    side = open_side(name, model="qwen3-vl", base_url=None, api_key=None)
    result = side.ask(SCENE, "What is it?")
    assert (result.text, result.model, result.endpoint) == ("a red car", "qwen3-vl", name)
    [seen] = server.seen
    assert seen.path == server.model
    variable = OWN[name][0]
    if variable is None:
        assert "authorization" not in seen.headers
        assert "no key" in repr(side.client)
    else:
        assert seen.headers["authorization"] == f"Bearer {KEYS[variable]}"
        assert f"key from {variable}" in repr(side.client)
    assert not any(key in repr(side.client) for key in KEYS.values())


@pytest.mark.parametrize("name", REMOTE)
def test_without_its_key_the_service_is_not_asked(
    name: str, server: Loopback, at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = OWN[name][0]
    for other, key in KEYS.items():
        if other != variable:
            monkeypatch.setenv(other, key)
    at(name)
    client = nbvlm.Client(name, model="m")
    with pytest.raises(nbvlm.AuthenticationError) as caught:
        client.ask(SCENE, "What is it?")
    text = str(caught.value)
    service = endpoints.SERVICES[name]
    assert service.title in text
    assert variable in text
    assert service.page in text
    assert not any(other in text for other in KEYS if other != variable)
    assert server.seen == []


@pytest.mark.parametrize("name", REMOTE)
def test_a_refused_key_is_named_with_its_page(name: str, at: Any, server: Loopback, open_side: Open) -> None:
    at(name)
    server.replies.append(model_servers.page({"error": {"message": "Incorrect API key provided."}}, 401))
    with pytest.raises(nbvlm.AuthenticationError) as caught:
        open_side(name, model="m", base_url=None).ask(SCENE, "What is it?")
    assert OWN[name][0] in caught.value.hint
    assert endpoints.SERVICES[name].page in caught.value.hint
    assert "NVIDIA" not in str(caught.value)


def test_the_key_of_a_server_without_a_name_is_the_callers(server: Loopback, open_side: Open) -> None:
    server.replies.append(model_servers.page({"error": {"message": "Unauthorized"}}, 401))
    with pytest.raises(nbvlm.AuthenticationError) as caught:
        open_side(f"{server.url}/v1", model="m", base_url=None, api_key=None).ask(SCENE, "What is it?")
    assert "api_key" in caught.value.hint
    assert "NVIDIA" not in str(caught.value)


def test_an_address_that_is_known_finds_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, key in KEYS.items():
        monkeypatch.setenv(variable, key)
    for url, variable in (
        ("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
        ("https://api.openai.com/v1", "OPENAI_API_KEY"),
        ("https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY"),
    ):
        assert nbvlm.Client(url, model="some/vision-model").settings.key().reveal() == KEYS[variable]
    assert nbvlm.Client("https://example.org/v1", model="m").settings.key() is None


def test_a_changed_entry_does_not_take_the_key_along(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    for variable, key in KEYS.items():
        monkeypatch.setenv(variable, key)
    for entry in (
        endpoints.get("nvidia"),
        endpoints.get("google/gemma-4-31b-it"),
        endpoints.get("openai", "m"),
    ):
        assert nbvlm.Client(entry).settings.key() is not None
        elsewhere = replace(entry, base_url="https://example.org", assets_url=None)
        assert nbvlm.Client(elsewhere).settings.key() is None


def test_one_service_is_not_reached_under_the_name_of_another() -> None:
    for name, url in (
        ("openai", "https://openrouter.ai"),
        ("nvidia", "https://api.openai.com"),
        ("gemini", "https://integrate.api.nvidia.com"),
    ):
        with pytest.raises(nbvlm.ParameterError, match="belongs to"):
            nbvlm.Client(name, model=None if name == "nvidia" else "m", base_url=url, api_key="k")


def test_login_keeps_a_key_for_each_service() -> None:
    nbvlm.login("nvapi-typed")
    nbvlm.login("sk-typed", service="openai")
    assert nbvlm.Client("openai", model="m").settings.key().reveal() == "sk-typed"
    assert nbvlm.Client("nvidia").settings.key().reveal() == "nvapi-typed"
    with pytest.raises(nbvlm.AuthenticationError):
        nbvlm.Client("openrouter", model="m").settings.key()
    with pytest.raises(nbvlm.ParameterError, match="Did you mean 'openai'"):
        nbvlm.login("k", service="opnai")


def test_ollama_alone_takes_the_only_model_that_sees(at: Any, server: Loopback, open_side: Open) -> None:
    server.pages = model_servers.ollama_pages(qwen3__8b=["completion"], qwen3_vl__8b=["completion", "vision"])
    at("ollama")
    side = open_side("ollama", base_url=None, api_key=None)
    assert side.client.endpoint.model == "qwen3-vl:8b"
    assert "qwen3-vl:8b" in repr(side.client)
    assert side.ask(SCENE, "What is it?").model == "qwen3-vl:8b"
    assert server.seen[-1].json["model"] == "qwen3-vl:8b"


def test_base_url_says_where_the_models_are(server: Loopback, open_side: Open) -> None:
    server.pages = model_servers.llamacpp_pages("model.gguf", vision=True)
    side = open_side("llamacpp", api_key=None)
    assert side.client.endpoint.model == "model.gguf"
    assert side.ask(SCENE, "What is it?").text == "a red car"


def test_several_models_are_listed_in_the_error(at: Any, server: Loopback) -> None:
    server.pages = model_servers.ollama_pages(a=["vision"], b=["vision"])
    at("ollama")
    with pytest.raises(nbvlm.ParameterError, match="'a', 'b'"):
        nbvlm.Client("ollama")
    with pytest.raises(nbvlm.ParameterError, match="'a', 'b'"):
        nbvlm.AsyncClient("ollama")


def test_a_service_that_does_not_respond_says_what_to_do() -> None:
    with pytest.raises(nbvlm.TransportError, match="ollama serve"):
        nbvlm.Client("ollama")
    assert nbvlm.Client("ollama", model="m").endpoint.model == "m"


@pytest.mark.parametrize("name", REMOTE)
def test_a_remote_service_is_not_asked_before_the_first_question(
    name: str, at: Any, server: Loopback
) -> None:
    at(name)
    with pytest.raises(nbvlm.ParameterError, match="model"):
        nbvlm.Client(name)
    assert server.seen == []


def test_models_that_see(at: Any, server: Loopback, open_side: Open) -> None:
    server.pages = model_servers.ollama_pages(b=["completion"], a=["vision"], gemma3__4b=["vision"])
    at("ollama")
    side = open_side("ollama", model="?", base_url=None, api_key=None)
    assert side.call("models", vision=True) == ("a", "gemma3:4b")
    assert side.call("models") == ("a", "gemma3:4b", "b")
    server.pages = {"/v1/models": model_servers.openai_list("gpt-6.1", "text-embedding-3-small", "other")}
    at("openai")
    side = open_side("openai", model="?", base_url=None)
    assert side.call("models", vision=True) == ("gpt-6.1",)
    assert side.call("models") == ("gpt-6.1", "other", "text-embedding-3-small")
    side = open_side("demo", base_url=None, api_key=None)
    assert side.call("models", vision=True) == side.call("models")


def test_nvidias_models_are_those_of_the_table_that_are_listed_now(server: Loopback, open_side: Open) -> None:
    server.pages = model_servers.nvidia_pages("a/text-model", LIVE[2], LIVE[0])
    side = open_side("nvidia")
    assert side.call("models", vision=True) == ("google/paligemma", LIVE[0], LIVE[2])
    assert set(side.call("models")) >= {"google/paligemma", LIVE[0], LIVE[2]}


@pytest.mark.parametrize("name", LIVE)
def test_a_live_model_is_asked_by_its_id(name: str, server: Loopback, open_side: Open) -> None:
    side = open_side(name)
    result = side.ask(SCENE, "What is it?", route="auto")
    assert (result.model, result.endpoint, result.text) == (name, name, "a red car")
    [seen] = server.seen
    assert (seen.path, seen.json["model"]) == ("/v1/chat/completions", name)
    assert "skip_special_tokens" not in seen.json
    assert side.client.settings.timeouts.between_tokens >= 180
    assert side.client.settings.timeouts.first_token >= 120


def test_with_a_key_paligemma_stays_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NVIDIA_API_KEY", KEYS["NVIDIA_API_KEY"])
    assert nbvlm.Client().endpoint.model == "google/paligemma"
    monkeypatch.delenv("NVIDIA_API_KEY")
    monkeypatch.setenv("OPENAI_API_KEY", KEYS["OPENAI_API_KEY"])
    assert nbvlm.Client().endpoint.name == "demo"


def test_a_retired_model_is_refused_before_the_network(server: Loopback) -> None:
    with pytest.raises(nbvlm.NotFoundError, match="no longer served") as caught:
        nbvlm.Client("nvidia/vila", base_url=server.url, api_key="k")
    assert caught.value.alternatives[-1] == "demo"
    assert server.seen == []


def test_the_key_stays_out_of_a_pickle_and_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    monkeypatch.setenv("OPENAI_API_KEY", KEYS["OPENAI_API_KEY"])
    settings = nbvlm.Client("openai", model="m").settings
    data = pickle.dumps(settings)
    assert KEYS["OPENAI_API_KEY"].encode() not in data
    assert pickle.loads(data).key().reveal() == KEYS["OPENAI_API_KEY"]


def test_a_question_for_a_small_picture_goes_in_pixels_that_the_service_keeps(
    at: Any, server: Loopback, open_side: Open
) -> None:
    from PIL import Image

    at("openai")
    server.replies.append(answer("x"))
    wide = nbvlm.Picture.load(Image.new("RGB", (3000, 1500), "blue"))
    result = open_side("openai", model="gpt-6.1", base_url=None).ask(wide, "What is it?")
    assert (result.sent.width, result.sent.height) == (2048, 1024)
    assert any("2048" in notice for notice in result.notices)


def test_png_on_request(server: Loopback, open_side: Open, tmp_path: Any) -> None:
    from PIL import Image

    Image.new("RGB", (64, 48), "red").save(tmp_path / "a.jpg")
    side = open_side(f"{server.url}/v1", model="m", base_url=None)
    assert side.ask(tmp_path / "a.jpg", "Read.").sent.mime == "image/jpeg"
    result = side.ask(tmp_path / "a.jpg", "Read.", format="png")
    assert (result.sent.mime, result.sent.width) == ("image/png", 64)
    url = server.seen[-1].json["messages"][0]["content"][0]["image_url"]["url"]
    assert url.startswith("data:image/png;base64,iVBOR")
    with pytest.raises(nbvlm.ParameterError, match="'png'"):
        side.ask(SCENE, "Read.", format="gif")


@pytest.mark.parametrize("name", [name for name in OWN if name not in REMOTE])
def test_a_server_of_this_computer_that_does_not_run_says_how_to_start_it(
    name: str, open_side: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as bound:  # a port on which nothing listens
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        monkeypatch.setenv(OWN[name][1], str(port) if name == "llamacpp" else f"http://127.0.0.1:{port}")
        service = endpoints.SERVICES[name]
        never = nbvlm.client.Retry.never()
        side = open_side(name, model="a", base_url=None, api_key=None, retry=never)
        listing = nbvlm.Client(name, model="?", retry=never)
        for call in (lambda: side.ask(SCENE, "What is it?"), listing.models):
            with pytest.raises(nbvlm.TransportError) as caught:
                call()
            assert f"{service.title} does not respond at http://127.0.0.1:{port}" in str(caught.value)
            assert caught.value.hint == service.advice


@pytest.mark.parametrize("kind", [nbvlm.Client, nbvlm.AsyncClient])
def test_an_empty_name_chooses_no_endpoint(kind: type[Any]) -> None:
    with pytest.raises(nbvlm.ParameterError, match="Unknown endpoint ''"):
        kind("")
    with pytest.raises(TypeError, match="endpoint must be a name, a server's URL or an Endpoint, got int"):
        kind(3)
    with pytest.raises(nbvlm.ParameterError, match="speak must be a family"):
        kind("demo", speak=3)


@pytest.mark.parametrize("kind", [nbvlm.Client, nbvlm.AsyncClient])
@pytest.mark.parametrize("pace", [0, -2, True, "fast", float("nan"), float("inf")])
def test_a_pace_is_a_positive_number(kind: Any, pace: Any) -> None:
    with pytest.raises(nbvlm.ParameterError, match="pace must be a positive number"):
        kind("demo", pace=pace)


def test_a_pace_is_of_the_embedded_model_alone() -> None:
    assert "pace=20" in repr(nbvlm.Client("demo", pace=20))
    with pytest.raises(nbvlm.ParameterError, match="pace is for the embedded model"):
        nbvlm.Client("nvidia", api_key="k", pace=20)
