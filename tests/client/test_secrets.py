"""The key is seen nowhere: not in messages, reprs, logs, tracebacks, pickles or addresses."""

from __future__ import annotations

import asyncio
import copy
import gc
import logging
import pickle
import subprocess
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.loopback import Loopback, Reply, problem, stream
from support.sides import KEY, LARGE, SCENE

import nbvlm
from nbvlm.client import Settings, keys
from nbvlm.client.secrets import Secret, guard_logs, redact

if TYPE_CHECKING:
    from collections.abc import Callable

    Open = Callable[..., Any]

SECRETS = (KEY, "topsecret", "account-77")


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NVIDIA_API_KEY", raising=False)
    keys.forget()


def clean(text: Any) -> bool:
    return not any(secret in str(text) for secret in SECRETS)


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret(f"  {KEY}\n")
    assert secret.reveal() == KEY
    assert {repr(secret), str(secret), f"{secret}", f"{[secret]}"} == {"***", "[***]"}
    assert not hasattr(secret, "__dict__")
    assert copy.deepcopy([secret])[0] is copy.copy(secret) is secret
    assert secret == Secret(KEY)
    assert secret != KEY
    assert len({secret, Secret(KEY)}) == 1
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="never pickled"):
            pickle.dumps(secret, protocol)


@pytest.mark.parametrize("text", ["", "  ", "nvapi-a b", "nvapi-a\nb", "nvapi-ä", "nvapi-\x00"])
def test_what_can_be_no_key_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(nbvlm.AuthenticationError) as caught:
        Secret(text)
    assert "nvapi" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Bearer abc.def", "Bearer ***"),
        ("key nvapi-abcdefgh1234 here", "key nvapi-*** here"),
        ("Not found for account 'a-1'", "Not found for account '***'"),
        ('{"ncaId": "a-1"}', '{"ncaId": "***"}'),
        ("Account 'a-1': no credits", "Account '***': no credits"),
        ("for account a1b2c3d4 here", "for account *** here"),
        ("account_id=a-1, accountId: a-1", "account_id=***, accountId: ***"),
        ('"accountId": "a-1"', '"accountId": "***"'),
        ("ncaId abc-123 is unknown", "ncaId *** is unknown"),
        ("with key 'a-1/0f0e'", "with key '***/0f0e'"),
        ("https://h.org/a/b?x=1&y=2", "https://h.org/a/b?***"),
        ("https://b.s3.amazonaws.com/a/b?x=2&X-Amz-Signature=1&z=1", "https://b.s3.amazonaws.com/***"),
        ("<E><AWSAccessKeyId>AK</AWSAccessKeyId>.</E>", "<E><AWSAccessKeyId>***</AWSAccessKeyId>.</E>"),
        ("your account is open to everybody", "your account is open to everybody"),
        ("b'/put?X-Amz-Signature=1'", "b'/put?X-Amz-Signature=***'"),
        ("http://user:word@proxy:3128/", "http://***@proxy:3128/"),
        ("a red car at 3 o'clock", "a red car at 3 o'clock"),
    ],
)
def test_texts_are_redacted(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert redact({"a": [text, (text,)], text: 1}) == {"a": [shown, (shown,)], shown: 1}


def test_a_long_hostile_text_ends() -> None:
    pieces = ["https://", "http://a/?Signature", "account ", "<Key>", "key '", "nca_id "]
    code = f"from nbvlm.client.secrets import redact; [redact(p * 20_000) for p in {pieces}]"
    assert subprocess.run([sys.executable, "-c", code], timeout=30, check=True).returncode == 0


@pytest.mark.parametrize(
    "piece",
    [
        "x", " ", "account ", "account" + " " * 50, "nca id", "nca id ", "X-Amz-", "Signature", "bearer ",
        "key '", "authorization ", "https://", "http://a@", "<Key>", "'", "account '", "nvapi-", "sk-hf-",
    ],
)  # fmt: skip
@pytest.mark.parametrize("begin", ["", "account", "nca id", "authorization", "key '", "X-Amz-"])
def test_the_work_of_redaction_grows_with_the_length_only(begin: str, piece: str) -> None:
    def work(size: int) -> float:
        text = begin + piece * (size // len(piece)) + "x"
        times = []
        for _ in range(3):
            started = time.process_time()
            redact(text)
            times.append(time.process_time() - started)
        return min(times)

    # Linear: 16 times the work for 16 times the length; quadratic: 256 times.
    assert work(64_000) < 80 * max(work(4_000), 0.0002)


def test_members_that_name_an_account_are_redacted() -> None:
    named = {"accountId": "a-1", "account_id": 7, "account": "a", "nca_id": "a", "accounts": ["b"], "x": "a"}
    shown = dict.fromkeys(("accountId", "account_id", "account", "nca_id"), "***")
    assert redact(named) == shown | {"accounts": ["b"], "x": "a"}


def test_a_key_of_any_form_is_redacted_while_it_is_in_use() -> None:
    secret = Secret("plain-words-as-key")
    assert redact("the key plain-words-as-key was refused") == "the key *** was refused"
    assert secret


def test_nothing_of_a_client_shows_the_key(open_side: Open, server: Loopback) -> None:
    side = open_side()
    client = side.client
    result = side.ask(LARGE, "caption en")
    seen = [repr(client), repr(client.settings), repr(client.requests), repr(vars(client)), repr(result)]
    seen += [str(exchange) for exchange in client.requests]
    assert clean("".join(seen))
    assert "key from the argument" in seen[0]


def test_a_pickled_client_finds_its_key_where_it_arrives(
    open_side: Open, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in (open_side().client, open_side().client.settings):
        data = pickle.dumps(value)
        assert KEY.encode() not in data
        assert getattr(pickle.loads(data), "settings", pickle.loads(data)).api_key is None
        monkeypatch.setenv("NVIDIA_API_KEY", "nvapi-of-the-worker")
        settings = getattr(pickle.loads(data), "settings", pickle.loads(data))
        assert settings.api_key == Secret("nvapi-of-the-worker")
        assert settings.base_url == server.url
        monkeypatch.delenv("NVIDIA_API_KEY")


FAILURES = [
    problem(401, f"The key {KEY} is unknown"),
    problem(404, "Function 'f': Not found for account 'account-77'"),
    Reply(body=b"{}"),
    stream("a", done=False, cut=True),
    Reply(302, {"location": "https://elsewhere.invalid/x?X-Amz-Signature=topsecret"}),
    Reply(refuse=True),
]


@pytest.mark.parametrize("reply", FAILURES, ids=range(len(FAILURES)))
def test_no_error_shows_a_secret(side: Any, server: Loopback, reply: Reply) -> None:
    server.replies.extend([reply] * 5)
    with pytest.raises(nbvlm.Error) as caught:
        side.stream(LARGE, "caption en")
    everything(caught.value)


def everything(error: BaseException) -> None:
    """Assert that an error is clean: texts, pickle, and the variables of all frames it leads to."""
    assert clean(error)
    assert clean(repr(error))
    assert clean(vars(error))
    assert clean("".join(traceback.format_exception(error)))
    assert not any(secret.encode() in pickle.dumps(error) for secret in SECRETS)
    seen: BaseException | None = error
    while seen is not None:
        assert getattr(seen, "_request", None) is None  # as errors of httpx hold it, with the key
        for frame, _ in traceback.walk_tb(seen.__traceback__):
            where = frame.f_code.co_filename
            if where.startswith(*nbvlm.__path__) or "site-packages/h" in where:
                shown = {name: repr(value) for name, value in frame.f_locals.items()}
                assert clean(shown), frame.f_code.co_qualname
        seen = seen.__cause__ or seen.__context__


def test_no_interruption_shows_a_secret(server: Loopback) -> None:
    server.replies.append(Reply(wait=60.0))

    async def run() -> None:
        async with nbvlm.AsyncClient("nvidia", base_url=server.url, api_key=KEY) as client:
            task = asyncio.create_task(client.ask(SCENE, "caption en"))
            await asyncio.to_thread(server.wait_for, lambda: bool(server.seen))
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            everything(caught.value)

    asyncio.run(run())


def test_an_upload_that_fails_shows_no_signature(side: Any, server: Loopback) -> None:
    signed = b"PUT /account-77/0f0e X-Amz-Credential=account-77 topsecret"
    told = b"<Message>No match</Message><StringToSign>%s</StringToSign><CanonicalRequest>%s"
    body = b"<Error><Code>SignatureDoesNotMatch</Code>" + told % (signed, signed)
    server.storage_replies.append(Reply(403, body=body))
    with pytest.raises(nbvlm.AssetError, match=r"storage refused.*SignatureDoesNotMatch: No match") as caught:
        side.ask(LARGE, "caption en", route="asset")
    assert caught.value.status == 403
    assert "No match" in caught.value.detail
    everything(caught.value)


def test_a_signed_upload_that_breaks_off_shows_no_address(side: Any, server: Loopback) -> None:
    server.storage_replies.extend([Reply(refuse=True)] * 9)
    with pytest.raises(nbvlm.Error) as caught:
        side.ask(LARGE, "caption en", route="asset")
    everything(caught.value)


def test_a_timeout_of_an_upload_shows_no_address(open_side: Open, server: Loopback) -> None:
    server.storage_replies.extend([Reply(wait=60.0)] * 9)
    side = open_side(timeout=nbvlm.client.Timeouts(upload=0.3))
    with pytest.raises(nbvlm.TimeoutError) as caught:
        side.ask(LARGE, "caption en", route="asset")
    everything(caught.value)


def test_an_interrupted_upload_shows_no_address(open_side: Open, server: Loopback) -> None:
    def stop(status: Any) -> None:
        if status.kind == "upload" and status.done:
            raise RuntimeError("mine")

    side = open_side()
    with pytest.raises(RuntimeError, match="mine") as caught:
        side.ask(LARGE, "caption en", route="asset", progress=stop)
    everything(caught.value)


def test_our_log_shows_no_secret(side: Any, server: Loopback, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server.delete_replies.extend([problem(500, f"account 'account-77' with {KEY}")] * 9)
    side.ask(LARGE, "caption en")
    assert "POST /v1/vlm/google/paligemma 200" in caplog.text
    assert "could not be deleted" in caplog.text
    assert clean(caplog.text)


def test_logs_of_other_libraries_are_redacted_at_their_source(
    server: Loopback, caplog: pytest.LogCaptureFixture
) -> None:
    guard_logs()
    guard_logs()
    caplog.set_level(logging.DEBUG)
    secret = Secret(KEY)
    headers = {"authorization": f"Bearer {secret.reveal()}", "accept": "application/json"}
    elsewhere = f"{server.url}/storage/account-77/x?X-Amz-Signature=topsecret"
    server.replies.append(Reply(302, {"location": elsewhere}))
    with httpx.Client() as client:
        client.get(f"{server.url}/storage/x?X-Amz-Signature=topsecret", headers=headers)
        client.post(f"{server.url}/v1/vlm/google/paligemma", headers=headers, json={"messages": []})
    assert "HTTP Request: GET" in caplog.text
    assert "receive_response_headers" in caplog.text
    assert not any(word in caplog.text for word in (KEY, "topsecret"))
    assert len(logging.getLogger("httpx").filters) == len(set(logging.getLogger("httpx").filters))


def test_a_bad_log_call_of_another_library_passes() -> None:
    guard_logs()
    record = logging.LogRecord("httpx", logging.INFO, __file__, 1, "%d", ("no number",), None)
    assert logging.getLogger("httpx").filter(record)


def test_the_key_goes_to_the_service_and_nowhere_else(side: Any, server: Loopback) -> None:
    side.ask(LARGE, "caption en")
    with_key = {seen.path.split("/")[1] for seen in server.seen if "authorization" in seen.headers}
    assert with_key == {"v1", "v2"}
    assert all(KEY not in f"{seen.path}?{seen.query}{seen.body[:2000]!r}" for seen in server.seen)


def test_an_upload_address_without_https_is_refused(side: Any, server: Loopback) -> None:
    created = {"assetId": "a-1", "uploadUrl": "http://storage.example/put?X-Amz-Signature=topsecret"}
    import json

    server.asset_replies.append(Reply(body=json.dumps(created).encode()))
    with pytest.raises(nbvlm.AssetError, match="without https") as caught:
        side.ask(LARGE, "caption en", route="asset")
    everything(caught.value)


@pytest.mark.parametrize("name", ["../../x", "a/b", "", "a?b=c", "x" * 99, 7])
def test_an_asset_id_that_would_change_an_address_is_refused(side: Any, server: Loopback, name: Any) -> None:
    import json

    created = {"assetId": name, "uploadUrl": f"{server.url}/storage/x"}
    server.asset_replies.append(Reply(body=json.dumps(created).encode()))
    with pytest.raises(nbvlm.AssetError, match="asset id"):
        side.ask(LARGE, "caption en", route="asset")
    if isinstance(name, str):
        with pytest.raises(nbvlm.ParameterError, match="not an asset id"):
            side.call("assets.delete", name)
    assert len(server.seen) == 1


# Where keys come from.


def test_the_sources_of_a_key_have_an_order(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    ring = types.ModuleType("keyring")
    ring.__spec__ = __import__("importlib.machinery", fromlist=["x"]).ModuleSpec("keyring", None)
    ring.get_password = lambda service, name: "nvapi-ring" if service == "nbvlm" else None  # type: ignore[attr-defined]
    colab = types.ModuleType("google.colab.userdata")
    colab.get = lambda name: "nvapi-colab"  # type: ignore[attr-defined]
    assert nbvlm.Client().endpoint.name == "demo"
    nbvlm.login("nvapi-typed")
    assert repr(nbvlm.Client()).endswith("key from login())")
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    monkeypatch.setitem(sys.modules, "google.colab.userdata", colab)
    assert repr(nbvlm.Client()).endswith("key from Colab's user data)")
    monkeypatch.setitem(sys.modules, "keyring", ring)
    assert repr(nbvlm.Client()).endswith("key from keyring)")
    monkeypatch.setenv("NVIDIA_API_KEY", "nvapi-environment")
    assert repr(nbvlm.Client()).endswith("key from NVIDIA_API_KEY)")
    client = nbvlm.Client(api_key="nvapi-argument")
    assert repr(client) == "Client('nvidia', model='google/paligemma', key from the argument)"
    assert client.settings.api_key == Secret("nvapi-argument")


def test_a_source_that_fails_counts_as_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    def locked(name: str) -> str:
        raise PermissionError("no access")

    colab = types.ModuleType("google.colab.userdata")
    colab.get = locked  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    monkeypatch.setitem(sys.modules, "google.colab.userdata", colab)
    assert keys.find() is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nvapi-abc def", "holds a blank"),
        ("nvapi-abc\nnvapi-def", "holds a blank or a line break"),
        ("Bearer nvapi-abc", 'begins with "Bearer"'),
        ("'nvapi-abc'", "stands in quotes"),
        ("\u201cnvapi-abc\u201d", "stands in quotes"),
        ("\ufeffnvapi-abc", "invisible"),
        ("nvapi-abc\u200b", "invisible"),
        ("nvapi\u2013abc", "a character that keys never have"),
        ("   ", "is empty"),
    ],
)
def test_a_key_that_cannot_be_one_is_named_and_not_passed_over(
    monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    def refused(act: Any) -> None:
        with pytest.raises(nbvlm.AuthenticationError, match=words) as caught:
            act()
        for frame, _ in traceback.walk_tb(caught.value.__traceback__):
            if frame.f_code.co_filename.startswith(*nbvlm.__path__):
                assert not any(text in repr(value) for value in frame.f_locals.values())

    refused(lambda: nbvlm.Client(api_key=text))
    refused(lambda: nbvlm.AsyncClient("nvidia", api_key=text))
    refused(lambda: nbvlm.login(text))
    monkeypatch.setenv("NVIDIA_API_KEY", text)
    for act in (nbvlm.Client, nbvlm.AsyncClient, lambda: nbvlm.ask(SCENE, "caption en")):
        refused(act)
        with pytest.raises(nbvlm.AuthenticationError, match="NVIDIA_API_KEY"):
            act()


def test_a_wrong_argument_beside_a_key_shows_no_key() -> None:
    for options in ({"base_url": "ftp://x"}, {"timeout": -1}, {"base_url": "http://example.org"}):
        with pytest.raises(nbvlm.ParameterError) as caught:
            nbvlm.Client("nvidia", api_key=KEY, **options)
        for frame, _ in traceback.walk_tb(caught.value.__traceback__):
            if frame.f_code.co_filename.startswith(*nbvlm.__path__):
                assert clean({name: repr(value) for name, value in frame.f_locals.items()})


def test_login_without_a_terminal_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    def at_the_end(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", at_the_end)
    with pytest.raises(nbvlm.AuthenticationError, match=r"no terminal .* Set OPENAI_API_KEY\."):
        nbvlm.login(service="openai")
    with pytest.raises(nbvlm.AuthenticationError, match="no terminal"):
        nbvlm.login(service="ollama")


def test_login_asks_without_echo_and_keeps_the_key_in_memory_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("getpass.getpass", lambda prompt: asked.append(prompt) or "nvapi-typed\n")
    assert nbvlm.login() is None
    assert "nvapi-…" in asked[0]
    assert nbvlm.Client("nvidia").settings.api_key == Secret("nvapi-typed")
    assert "nvapi-typed" not in str(__import__("os").environ)


def test_without_a_key_the_hosted_service_is_not_asked() -> None:
    with (
        nbvlm.Client("nvidia") as client,
        pytest.raises(nbvlm.AuthenticationError, match=r"nbvlm\.login\(\)"),
    ):
        client.ask(SCENE, "caption en")
    assert client.requests == ()


def test_a_key_that_comes_later_is_used(server: Loopback) -> None:
    settings = nbvlm.Client("nvidia").settings
    nbvlm.login("nvapi-later")
    assert isinstance(settings, Settings)
    assert settings.key() == Secret("nvapi-later")


def test_the_hosted_key_is_not_sent_elsewhere(monkeypatch: pytest.MonkeyPatch, server: Loopback) -> None:
    monkeypatch.setenv("NVIDIA_API_KEY", KEY)
    with nbvlm.Client(f"{server.url}/v1", model="m") as client:
        client.ask(SCENE, "caption en")
    assert "authorization" not in server.seen[0].headers


def test_texts_are_redacted_while_other_threads_make_secrets() -> None:
    going, before = True, sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def make() -> None:
        while going:
            _ = [Secret(f"a-key-of-a-thread-{number}") for number in range(50)]

    threads = [threading.Thread(target=make) for _ in range(4)]
    kept = Secret("a-key-that-is-kept")
    for thread in threads:
        thread.start()
    try:
        for _ in range(400):
            assert redact(f"It was {kept.reveal()}.") == "It was ***."
    finally:
        going = False
        sys.setswitchinterval(before)
        for thread in threads:
            thread.join()


def test_of_two_equal_secrets_the_second_counts_when_the_first_is_gone() -> None:
    first, second = (Secret("an-own-key-twice") for _ in range(2))
    del first
    gc.collect()
    assert redact(f"It is {second.reveal()}.") == "It is ***."
