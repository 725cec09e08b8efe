"""What is refused before the network, where clients lead, and that both clients have the same names."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import math
import pickle
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from PIL import Image
from support.loopback import MODEL, Loopback, Reply, answer, delta, stream
from support.sides import KEY, LARGE, SCENE

import nbvlm
from nbvlm import endpoints
from nbvlm.client import Retry, Timeouts
from nbvlm.client.flow.assets import AsyncKeptAssets, KeptAssets
from nbvlm.client.flow.validation import check_parameters, check_question
from nbvlm.client.secrets import Secret
from nbvlm.client.streams import AsyncStream, Stream
from nbvlm.demo.gallery import PHOTOS, SCENES
from nbvlm.result import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    Open = Callable[..., Any]

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"temperature": 0}, r"temperature=0 is outside"),
    ({"temperature": 1.01}, r"above 0 and at most 1; the default is 0\.2"),
    ({"temperature": math.nan}, "outside"),
    ({"temperature": math.inf}, "outside"),
    ({"temperature": "0.5"}, "must be a number"),
    ({"temperature": True}, "must be a number"),
    ({"top_p": 0.0}, "outside"),
    ({"top_p": 2}, "outside"),
    ({"max_tokens": 0}, "from 1 to 1024"),
    ({"max_tokens": 1025}, "outside"),
    ({"max_tokens": 7.0}, "whole number"),
    ({"max_tokens": True}, "whole number"),
    ({"route": "asse"}, "Did you mean 'asset'"),
    ({"content": "list"}, "'tag', 'parts'"),
    ({"translate": "x"}, "translate must be True or False"),
    ({"translate": 1}, "translate must be True or False"),
    ({"progress": "x"}, "progress must be a function"),
]


@pytest.mark.parametrize(("options", "words"), WRONG, ids=[str(options) for options, _ in WRONG])
def test_parameters_outside_the_published_ranges_are_refused(
    side: Any, server: Loopback, options: dict[str, Any], words: str
) -> None:
    for method in (side.ask, side.stream):
        with pytest.raises(nbvlm.ParameterError, match=words):
            method(SCENE, "caption en", **options)
    assert server.seen == []


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"temperature": 1, "top_p": None}, {"temperature": 1.0}),
        ({"temperature": np.float32(0.5)}, {"temperature": 0.5}),
        ({"max_tokens": np.int64(7)}, {"max_tokens": 7}),
        ({"top_p": 1e-9}, {"top_p": 1e-9}),
    ],
)
def test_parameters_within_are_sent(side: Any, server: Loopback, options: Any, sent: Any) -> None:
    result = side.ask(SCENE, "caption en", **options)
    assert sent.items() <= server.seen[0].json.items()
    assert sent.items() <= result.parameters.items()


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("", "empty"),
        (" \n", "empty"),
        (None, "must be text, got NoneType"),
        ('what is this? <img src="data:image/png;asset_id,x" />', "<img> tag"),
        ("< IMG\nsrc=x>", "<img> tag"),
        ("half \ud83d of it", "an incomplete character"),
    ],
)
def test_prompts_that_cannot_be_sent_are_refused(
    side: Any, server: Loopback, prompt: Any, words: str
) -> None:
    for method in (side.ask, side.stream):
        with pytest.raises(nbvlm.PromptError, match=words):
            method(SCENE, prompt)
    assert server.seen == []


def test_quotes_and_line_breaks_of_a_prompt_stay_inside(side: Any, server: Loopback) -> None:
    prompt = 'say "a\\b"\u2028\n\t<loc0000> größe 😀 }],"temperature":9'
    side.ask(SCENE, prompt)
    sent = server.seen[0].json
    assert sent["messages"][0]["content"] == f'{prompt} <img src="{SCENE.data_uri()}" />'
    assert sent["temperature"] == 0.2


@pytest.mark.parametrize("image", ["no-such-file.png", b"no picture", b"", 7, None])
def test_pictures_that_cannot_be_read_are_refused(side: Any, server: Loopback, image: Any) -> None:
    for method in (side.ask, side.stream):
        with pytest.raises(nbvlm.ImageError):
            method(image, "caption en")
    assert server.seen == []


def test_a_picture_that_is_only_known_by_its_hash_is_refused(side: Any, server: Loopback) -> None:
    with pytest.raises(nbvlm.ImageError, match="not here"):
        side.ask(nbvlm.Picture.reference("0" * 64, "image/png", 8, 8), "caption en")
    assert server.seen == []


def test_pictures_of_every_kind_are_taken(side: Any, server: Loopback, tmp_path: Any) -> None:
    path = tmp_path / "scene.webp"
    SCENE.image().save(path)
    array = np.zeros((8, 8, 3), dtype=np.uint8)
    for image in (
        path,
        str(path),
        path.open("rb"),
        Image.new("L", (8, 8)),
        array,
        SCENE.data_uri(),
        SCENE.data,
    ):
        assert side.ask(image, "caption en").text == "a red car"
        if hasattr(image, "close") and not isinstance(image, Image.Image):
            image.close()
    assert "WebP" in side.ask(path, "caption en").notices[0]


def test_changing_both_temperature_and_top_p_is_noticed(
    side: Any, server: Loopback, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "nbvlm")
    with pytest.warns(UserWarning, match="Both temperature and top_p were changed"):
        result = side.ask(SCENE, "caption en", temperature=0.5, top_p=0.5)
    assert any("temperature and top_p" in notice for notice in result.notices)
    assert "temperature and top_p" in caplog.text
    for options in ({"temperature": 0.5}, {"top_p": 0.5}, {"temperature": 0.5, "top_p": 0.7}):
        assert "top_p" not in "".join(side.ask(SCENE, "caption en", **options).notices)


BOTH: dict[str, Any] = {"temperature": 0.5, "top_p": 0.5}


def test_the_warning_points_at_the_call(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    client = nbvlm.Client("nvidia", base_url=server.url, api_key=KEY)

    async def awaited() -> None:
        async with nbvlm.AsyncClient.from_settings(client.settings) as twin:
            await twin.ask(SCENE, "caption en", **BOTH)
            async with twin.stream(SCENE, "caption en", **BOTH):
                pass

    def everywhere() -> None:
        client.ask(SCENE, "caption en", **BOTH)
        client.stream(SCENE, "caption en", **BOTH).close()
        nbvlm.ask(SCENE, "caption en", **BOTH)
        asyncio.run(awaited())

    monkeypatch.setenv("NBVLM_BASE_URL", server.url)
    monkeypatch.setattr("nbvlm.client.client._default", {"client": client, "key": Secret(KEY)})
    monkeypatch.setenv("NVIDIA_API_KEY", KEY)
    with client, pytest.warns(UserWarning, match="top_p") as caught:
        everywhere()
    assert [warning.filename for warning in caught] == [__file__] * 5


def test_what_the_package_asks_for_itself_is_noticed_without_a_warning(server: Loopback) -> None:
    caller = {"__name__": "nbvlm.panel.controller"}
    exec("def ask(client, *args, **options): return client.ask(*args, **options)", caller)
    with nbvlm.Client("nvidia", base_url=server.url, api_key=KEY) as client:
        assert caller["ask"](client, SCENE, "caption en", **BOTH).notices


def test_what_happened_on_the_way_is_noticed(side: Any, server: Loopback) -> None:
    ending = answer("a red car")
    ending.headers["deprecation"] = "2026-12-31T00:00:00Z"
    server.replies.extend([Reply(503), ending])
    notices = side.ask(SCENE, "caption en").notices
    assert notices[0].startswith("Tried again: The service is busy")
    assert notices[1] == "The service announces the end of this model: 2026-12-31T00:00:00Z."


@pytest.mark.parametrize("name", ["temprature", "max_token", "seeds", "stream"])
def test_unknown_keywords_of_a_question(side: Any, server: Loopback, name: str) -> None:
    with pytest.raises(TypeError, match=f"no keyword '{name}'"):
        side.ask(SCENE, "caption en", **{name: 1})
    assert server.seen == []


def test_unknown_keywords_of_a_client() -> None:
    for kind in (nbvlm.Client, nbvlm.AsyncClient):
        with pytest.raises(TypeError, match="Did you mean 'timeout'"):
            kind("demo", timeouts=3)


def test_the_list_form_of_content(side: Any, server: Loopback) -> None:
    side.ask(SCENE, "caption en", content="parts")
    assert server.seen[0].json["messages"][0]["content"] == [
        {"type": "text", "text": "caption en"},
        {"type": "image_url", "image_url": SCENE.data_uri()},
    ]


def test_an_expired_or_unknown_asset_is_not_asked_about(side: Any, server: Loopback) -> None:
    from datetime import UTC, datetime, timedelta

    old = nbvlm.Asset("a-1", "image/png", SCENE, datetime.now(UTC) - timedelta(hours=24, seconds=1))
    with pytest.raises(nbvlm.AssetError, match="24 hours"):
        side.ask(old, "caption en")
    with pytest.raises(nbvlm.ImageError, match="id only"):
        side.ask(nbvlm.Asset("a-1"), "caption en")
    assert server.seen == []


def test_an_asset_that_is_gone_says_so(side: Any, server: Loopback) -> None:
    asset = side.call("assets.upload", SCENE)
    side.call("assets.delete", asset)
    with pytest.raises(nbvlm.NotFoundError, match="upload the picture again"):
        side.ask(asset, "caption en")


def test_recent_requests_are_kept_without_secrets(side: Any, server: Loopback) -> None:
    for _ in range(101):
        side.ask(SCENE, "caption en")
    assert len(side.client.requests) == 100
    last = side.client.requests[-1]
    assert (last.method, last.path, last.status) == ("POST", MODEL, 200)
    assert last.request_id == "11111111-2222-3333-4444-555555555555"
    assert 0 < last.milliseconds < 10_000
    assert last.time.utcoffset().total_seconds() == 0


def test_a_request_that_got_no_answer_is_kept_too(open_side: Open, server: Loopback) -> None:
    server.replies.append(Reply(refuse=True))
    side = open_side(retry=Retry.never())
    with pytest.raises(nbvlm.TransportError):
        side.ask(SCENE, "caption en")
    assert side.client.requests[-1].status is None


# Where clients lead.


@pytest.mark.parametrize(
    "url",
    [
        "https://ai.api.nvidia.com/v1",
        "ftp://x",
        "x",
        "https://user:pass@x",
        "https://x?y",
        "https://x:port",
        "http://[::1",
    ],
)
def test_an_origin_has_no_path(url: str) -> None:
    for name in ("base_url", "assets_url"):
        with pytest.raises(nbvlm.ParameterError, match=name) as caught:
            nbvlm.Client("nvidia", api_key=KEY, **{name: url})
        assert "pass@" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://example.org", "http://10.0.0.1:8000", "http://localhost.example.org"]
)
def test_plain_http_goes_to_this_machine_only(url: str) -> None:
    with pytest.raises(nbvlm.ParameterError, match="allow_http=True"):
        nbvlm.Client("nvidia", api_key=KEY, base_url=url)
    with pytest.raises(nbvlm.ParameterError, match="allow_http=True"):
        nbvlm.AsyncClient(f"{url}/v1", model="m")
    with nbvlm.Client("nvidia", api_key=KEY, base_url=url, allow_http=True) as client:
        assert client.settings.base_url == url


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1", "http://a.localhost"]
)
def test_this_machine_has_many_names(url: str) -> None:
    with nbvlm.Client("nvidia", api_key=KEY, base_url=f"{url}/") as client:
        assert client.settings.base_url == url
        assert client.settings.assets_url == url


def test_the_environment_moves_the_hosted_endpoint_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBVLM_BASE_URL", "http://127.0.0.1:1")
    assert nbvlm.Client("nvidia").settings.assets_url == "http://127.0.0.1:1"
    monkeypatch.setenv("NBVLM_ASSETS_URL", "http://127.0.0.1:2")
    settings = nbvlm.Client("nvidia").settings
    assert (settings.base_url, settings.assets_url) == ("http://127.0.0.1:1", "http://127.0.0.1:2")
    assert nbvlm.Client("demo").settings.base_url == "http://demo.nbvlm.localhost"
    assert nbvlm.Client("nvidia", base_url="http://127.0.0.1:3").settings.base_url == "http://127.0.0.1:3"


def test_an_unknown_endpoint_names_the_nearest() -> None:
    with pytest.raises(nbvlm.ParameterError, match="Did you mean 'nvidia'"):
        nbvlm.Client("nvidea")
    with pytest.raises(nbvlm.ParameterError, match="name of a model"):
        nbvlm.Client("http://127.0.0.1:8000/v1")


def test_siblings_by_name_and_by_model() -> None:
    name = "google/gemma-4-31b-it"
    for client in (nbvlm.Client(name), nbvlm.Client("nvidia", model=name), nbvlm.Client(model=name)):
        assert client.settings.url == "https://integrate.api.nvidia.com/v1/chat/completions"
    assert "google/paligemma" in nbvlm.Client("nvidia", api_key=KEY).models()
    assert nbvlm.Client("demo").models() == ("nbvlm/demo",)


def test_an_endpoint_that_never_streams_is_asked_plainly(open_side: Open, server: Loopback) -> None:
    entry = replace(endpoints.get("nvidia"), streams=False)
    stream = open_side(entry).stream(SCENE, "caption en")
    assert stream.result.text == "a red car"
    assert server.seen[0].headers["accept"] == "application/json"
    assert server.seen[0].json["stream"] is False


def test_an_endpoint_without_inline_pictures_gets_uploads_only(open_side: Open, server: Loopback) -> None:
    side = open_side(replace(endpoints.get("nvidia"), inline_limit=0))
    server.replies.append(answer("a red car"))
    with pytest.raises(nbvlm.ParameterError, match="no pictures inside"):
        side.ask(SCENE, "caption en", route="inline")
    assert server.seen == []
    result = side.ask(SCENE, "caption en")
    assert (result.route, len(server.deleted)) == ("asset", 1)
    server.asset_replies.append(Reply(410))
    with pytest.raises(nbvlm.AssetError):
        side.ask(SCENE, "caption en")


def test_a_twin_has_the_same_settings(side: Any, server: Loopback) -> None:
    for kind in (nbvlm.Client, nbvlm.AsyncClient):
        twin = kind.from_settings(side.client.settings)
        assert twin.settings is side.client.settings
        assert repr(twin).partition("(")[2] == repr(side.client).partition("(")[2]


def test_a_blocking_transport_serves_a_twin_that_awaits(server: Loopback) -> None:
    import asyncio

    class Blocking(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            headers = {"content-type": "text/event-stream"}
            pieces = [piece for piece in stream("a red", " car").pieces or () if isinstance(piece, bytes)]
            return httpx.Response(200, headers=headers, content=iter(pieces))

    async def run() -> str:
        async with (
            nbvlm.AsyncClient("nvidia", transport=Blocking()) as client,
            client.stream(SCENE, "caption en") as s,
        ):
            return "".join([event.text async for event in s if hasattr(event, "text")])

    assert asyncio.run(run()) == "a red car"


def test_an_awaiting_transport_does_not_serve_a_blocking_client() -> None:
    class Awaiting(httpx.AsyncBaseTransport):
        pass

    with pytest.raises(TypeError, match="AsyncClient"):
        nbvlm.Client("nvidia", transport=Awaiting())


def test_a_transport_that_is_given_is_closed_by_its_owner_only() -> None:
    closed = []

    class Counted(httpx.MockTransport):
        def close(self) -> None:
            closed.append(1)

    transport = Counted(lambda request: httpx.Response(200))
    with nbvlm.Client("nvidia", transport=transport) as client, nbvlm.Client.from_settings(client.settings):
        pass
    assert closed == [1]


def test_settings_travel_without_key_and_transport() -> None:
    client = nbvlm.Client("nvidia", api_key=KEY, transport=httpx.MockTransport(lambda r: httpx.Response(200)))
    settings = pickle.loads(pickle.dumps(client)).settings
    assert (settings.api_key, settings.transport) == (None, None)
    assert settings.timeouts == Timeouts()


@pytest.mark.parametrize("wrong", [0, -1, True, math.nan, "1"])
def test_limits_are_above_zero(wrong: Any) -> None:
    with pytest.raises(nbvlm.ParameterError, match="first_token"):
        Timeouts(first_token=wrong)
    with pytest.raises(nbvlm.ParameterError, match="poll"):
        Timeouts(poll=301)


def test_one_number_bounds_all_limits() -> None:
    limits = nbvlm.Client("demo", timeout=20).settings.timeouts
    assert (limits.total, limits.first_token, limits.connect) == (20, 20, 10)


def test_ask_on_a_default_client(monkeypatch: pytest.MonkeyPatch, server: Loopback) -> None:
    monkeypatch.setenv("NVIDIA_API_KEY", KEY)
    monkeypatch.setenv("NBVLM_BASE_URL", server.url)
    assert [nbvlm.ask(SCENE, "caption en").text for _ in range(2)] == ["a red car"] * 2
    assert server.connections == 1
    from nbvlm.client import client

    client._default.pop("client").close()


# OpenAI-compatible servers.


@pytest.fixture
def compatible(open_side: Open, server: Loopback) -> Any:
    return open_side(f"{server.url}/v1", model="google/paligemma2-3b-mix-448", base_url=None, api_key=None)


def test_a_compatible_server_gets_a_list_with_the_picture_first(compatible: Any, server: Loopback) -> None:
    result = compatible.ask(SCENE, "detect cat", temperature=0)
    seen = server.seen[0]
    assert seen.path == "/v1/chat/completions"
    assert seen.json == {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": SCENE.data_uri()}},
                    {"type": "text", "text": "detect cat"},
                ],
            }
        ],
        "model": "google/paligemma2-3b-mix-448",
        "temperature": 0.0,
        "top_p": 1,
        "max_tokens": 1024,
        "stream": False,
        "skip_special_tokens": False,
    }
    assert not any(name.startswith("nvcf") for name in seen.headers)
    assert (result.model, result.endpoint) == ("google/paligemma2-3b-mix-448", f"{server.url}/v1")


def test_a_compatible_server_streams(compatible: Any, server: Loopback) -> None:
    server.replies.append(stream("<loc0000><loc0000><loc1023><loc1023>", " cat", delta("", "stop")))
    stream_ = compatible.stream(SCENE, "detect cat")
    assert stream_.result.detections.labels == ("cat",)
    assert server.seen[0].json["stream_options"] == {"include_usage": True}


def test_a_compatible_server_counts_the_tokens_of_a_stream(compatible: Any, server: Loopback) -> None:
    counted = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}}
    server.replies.append(stream("a", delta("", "stop"), counted))
    assert compatible.stream(SCENE, "caption en").result.usage == Usage(5, 2, 7)


def test_the_hosted_service_is_sent_published_members_only(side: Any, server: Loopback) -> None:
    side.stream(SCENE, "caption en")
    assert set(server.seen[0].json) == {"messages", "temperature", "top_p", "max_tokens", "stream"}


def test_a_compatible_server_takes_large_pictures_inline(compatible: Any, server: Loopback) -> None:
    assert compatible.ask(LARGE, "caption en").route == "inline"
    assert len(server.seen[0].body) > len(LARGE) * 4 / 3
    with pytest.raises(nbvlm.ParameterError, match="no asset service"):
        compatible.ask(SCENE, "caption en", route="asset")


def test_a_compatible_server_gets_its_own_key(open_side: Open, server: Loopback) -> None:
    side = open_side(f"{server.url}/v1", model="m", base_url=None, api_key="sk-own")
    side.ask(SCENE, "caption en")
    assert server.seen[0].headers["authorization"] == "Bearer sk-own"


def test_a_compatible_server_lists_its_models(compatible: Any, server: Loopback) -> None:
    assert compatible.call("models") == ("m1", "m2")


def test_a_compatible_server_without_the_model(compatible: Any, server: Loopback) -> None:
    server.replies.append(answer("x"))
    server.replies[0].status = 404
    server.replies[0].body = b'{"object":"error","message":"The model `x` does not exist.","code":404}'
    with pytest.raises(nbvlm.NotFoundError, match="does not exist"):
        compatible.ask(SCENE, "caption en")


# Both kinds have the same names.


def public(kind: type) -> dict[str, Any]:
    return {name: getattr(kind, name) for name in dir(kind) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("blocking", "awaiting"),
    [(nbvlm.Client, nbvlm.AsyncClient), (Stream, AsyncStream), (KeptAssets, AsyncKeptAssets)],
    ids=["client", "stream", "assets"],
)
def test_both_kinds_have_the_same_names_and_parameters(blocking: type, awaiting: type) -> None:
    mine = {"close": "aclose"} if blocking is nbvlm.Client else {}
    assert {mine.get(name, name) for name in public(blocking)} == set(public(awaiting))
    for name, member in public(blocking).items():
        other = getattr(awaiting, mine.get(name, name))
        assert inspect.getdoc(other), name
        if inspect.isfunction(member):
            assert list(inspect.signature(member).parameters) == list(inspect.signature(other).parameters), (
                name
            )


def test_a_question_is_checked_without_any_network() -> None:
    made = check_question(endpoints.get("demo"), SCENE, " caption en ", temperature=None, stream=True)
    assert (made.prompt, made.stream) == ("caption en", True)
    with pytest.raises(nbvlm.ParameterError, match="no parameter 'seed'"):
        check_parameters(endpoints.get("demo"), {"seed": 3})


@pytest.mark.parametrize(
    "host",
    [
        "a" * 64 + ".example.org",
        "a..b",
        ".example.org",
        "\u2603" * 64 + ".org",
        "a" * 300 + ".org",
    ],
)
@pytest.mark.parametrize("kind", [nbvlm.Client, nbvlm.AsyncClient])
def test_a_host_name_that_cannot_be_one_is_refused(kind: Any, host: str) -> None:
    for arguments, options in (
        ((f"https://{host}/v1",), {"model": "m"}),
        (("nvidia",), {"base_url": f"https://{host}", "api_key": KEY}),
        (("nvidia",), {"assets_url": f"https://{host}", "api_key": KEY}),
    ):
        with pytest.raises(nbvlm.ParameterError):
            kind(*arguments, **options)


def test_an_upload_address_whose_host_cannot_be_one_is_refused(side: Any, server: Loopback) -> None:
    made = {"assetId": "a-1", "uploadUrl": f"https://{'a' * 64}.org/x?X-Amz-Signature=s"}
    server.asset_replies.append(Reply(body=json.dumps(made).encode()))
    with pytest.raises(nbvlm.AssetError) as caught:
        side.ask(LARGE, "caption en", route="asset")
    assert "X-Amz" not in str(caught.value)


@pytest.mark.parametrize("model", ["scenes", "photos"])
def test_a_seed_makes_an_answer_repeatable(model: str) -> None:
    picture = SCENES[0] if model == "scenes" else PHOTOS[0]
    with nbvlm.Client("demo", model=model) as client:
        answers = [client.ask(picture, picture.prompt, seed=seed, temperature=1) for seed in (7, 7, 8, 9, 10)]
    assert answers[0].text == answers[1].text
    assert len({answer.text for answer in answers}) > 1
    assert answers[0].parameters["seed"] == 7
    assert "seed=7" in answers[0].to_python()
    assert '"seed":7' in answers[0].to_curl()


def test_a_seed_travels_only_where_it_was_given(side: Any, server: Loopback) -> None:
    checked = replace(endpoints.get("nvidia"), seed=True)
    assert "seed" not in check_question(checked, SCENE, "x").parameters
    assert check_question(checked, SCENE, "x", seed=0).parameters["seed"] == 0
    with pytest.raises(nbvlm.ParameterError, match="takes no seed"):
        side.ask(SCENE, "caption en", seed=3)
    for wrong in (-1, 2**31, 1.5, True):
        with pytest.raises(nbvlm.ParameterError, match="seed"):
            check_question(checked, SCENE, "x", seed=wrong)
    assert server.seen == []


def test_a_temperature_of_zero_names_the_value_to_use() -> None:
    with pytest.raises(nbvlm.ParameterError, match=r"use temperature=0\.01") as refused:
        check_question(endpoints.get("nvidia"), SCENE, "x", temperature=0)
    assert "top_p" not in str(refused.value)
    assert check_question(endpoints.get("nvidia"), SCENE, "x", temperature=0.01)


@pytest.mark.parametrize(
    ("several", "message"),
    [
        (["a.jpg", "b.jpg"], "type list is not a picture"),
        (("a.jpg",), "type tuple is not a picture"),
        ((name for name in "ab"), "type generator is not a picture"),
        ({"a.jpg", "b.jpg"}, "type set is not a picture"),
        (".", "is a folder, not a picture"),
        ("pictures/*.jpg", "is a pattern for several files"),
    ],
)
def test_several_pictures_lead_to_batch(several: Any, message: str) -> None:
    with (
        nbvlm.Client("demo") as client,
        pytest.raises(nbvlm.ImageError, match=rf"{message}.*nbvlm\.batch\(images, prompt\)"),
    ):
        client.ask(several, "caption en")


OPENINGS: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    (("demo",), {}),
    (("nvidia",), {"api_key": KEY, "base_url": "http://127.0.0.1:9", "assets_url": "http://127.0.0.1:9"}),
    (("http://127.0.0.1:9/v1",), {"model": "x"}),
]


@pytest.mark.parametrize(("endpoint", "options"), OPENINGS, ids=["demo", "hosted", "server"])
def test_a_closed_client_says_so(endpoint: tuple[str, ...], options: dict[str, Any]) -> None:
    client = nbvlm.Client(*endpoint, **options)
    client.close()
    client.close()
    for use in (
        lambda: client.ask(SCENE, "caption en"),
        lambda: client.stream(SCENE, "caption en"),
        client.models,
        client.assets.list,
    ):
        with pytest.raises(nbvlm.Error, match=r"The client is closed\. Open another one: nbvlm\.Client"):
            use()
    assert pickle.loads(pickle.dumps(client)).endpoint == client.endpoint

    async def awaited() -> None:
        async with nbvlm.AsyncClient(*endpoint, **options) as closed:
            pass
        await closed.aclose()
        for use in (lambda: closed.ask(SCENE, "caption en"), closed.models, closed.assets.list):
            with pytest.raises(nbvlm.Error, match=r"nbvlm\.AsyncClient"):
                await use()

    asyncio.run(awaited())
