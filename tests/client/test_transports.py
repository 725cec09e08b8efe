"""Connections: threads, tasks, event loops, TLS, proxies, and servers that misbehave."""

from __future__ import annotations

import asyncio
import gc
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
from support import proxies
from support.loopback import Loopback, Reply, answer, stream
from support.sides import KEY, LARGE, QUICK, SCENE, SIDES

import nbvlm
from nbvlm.client import Retry, Timeouts, aiohttp_transport, transports
from nbvlm.client.transports import AsyncTransport, Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Open = Callable[..., Any]


def test_many_threads_share_a_client(server: Loopback) -> None:
    with nbvlm.Client("nvidia", base_url=server.url, api_key=KEY) as client, ThreadPoolExecutor(8) as threads:
        texts = list(threads.map(lambda _: client.ask(SCENE, "caption en").text, range(64)))
    assert texts == ["a red car"] * 64
    assert server.connections <= 8


def test_many_tasks_share_a_client_and_use_connections_again(server: Loopback) -> None:
    async def run() -> None:
        async with nbvlm.AsyncClient("nvidia", base_url=server.url, api_key=KEY) as client:
            for _ in range(3):
                results = await asyncio.gather(*(client.ask(SCENE, "caption en") for _ in range(64)))
                assert {result.text for result in results} == {"a red car"}

    asyncio.run(run())
    assert server.connections <= 64


def test_idle_connections_beyond_what_is_kept_are_closed(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transports, "LIMITS", httpx.Limits(max_keepalive_connections=2))
    server.replies.extend([answer("a red car", wait=0.2)] * 8)
    with nbvlm.Client("nvidia", base_url=server.url, api_key=KEY) as client, ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: client.ask(SCENE, "caption en"), range(8)))
        assert server.connections == 8
        assert server.wait_for(lambda: server.open == 2)


def test_old_idle_connections_are_not_used(
    side: Any, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transports, "LIMITS", httpx.Limits(keepalive_expiry=0.0))
    monkeypatch.setattr(aiohttp_transport, "KEPT_ALIVE", 0.0)
    side.ask(SCENE, "caption en")
    side.ask(SCENE, "caption en")
    assert server.connections == 2


def test_a_client_serves_one_event_loop_after_another(server: Loopback) -> None:
    client = nbvlm.AsyncClient("nvidia", base_url=server.url, api_key=KEY)

    async def ask(client: nbvlm.AsyncClient) -> str:
        return (await client.ask(SCENE, "caption en")).text

    assert [asyncio.run(ask(client)) for _ in range(3)] == ["a red car"] * 3
    del client
    gc.collect()
    assert server.wait_for(lambda: server.open == 0)


def test_a_client_serves_several_event_loops_at_once(server: Loopback) -> None:
    client = nbvlm.AsyncClient("nvidia", base_url=server.url, api_key=KEY)
    server.replies.extend([stream("a red", 0.05, " car")] * 24)

    async def many() -> list[str]:
        async def one() -> str:
            async with client.stream(SCENE, "caption en") as stream:
                return "".join([getattr(event, "text", "") async for event in stream])

        return await asyncio.gather(*(one() for _ in range(4)))

    def run() -> list[str]:
        return [text for _ in range(2) for text in asyncio.run(many())]

    with ThreadPoolExecutor(3) as threads:
        texts = [text for future in [threads.submit(run) for _ in range(3)] for text in future.result()]
    assert texts == ["a red car"] * 24
    asyncio.run(client.aclose())
    assert server.wait_for(lambda: server.open == 0)


def test_a_transport_of_ones_own_is_closed_with_either_client(server: Loopback) -> None:
    closed: list[str] = []

    class Own(httpx.HTTPTransport):
        def close(self) -> None:
            closed.append("closed")
            super().close()

    for kind in SIDES.values():
        side = kind(base_url=server.url, api_key=KEY, transport=Own())
        side.ask(SCENE, "caption en")
        side.close()
    assert closed == ["closed"] * 2


def test_closing_twice_is_closing_once(server: Loopback) -> None:
    client = nbvlm.Client("nvidia", base_url=server.url, api_key=KEY)
    client.ask(SCENE, "caption en")
    client.close()
    client.close()
    assert server.wait_for(lambda: server.open == 0)


def test_a_server_that_hangs_up_in_the_middle_of_a_body_is_an_error_at_once(open_side: Open) -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    with talking(refusal) as port:
        side = open_side(f"http://127.0.0.1:{port}/v1", model="m", base_url=None, retry=Retry.never())
        with pytest.raises((nbvlm.RequestRejected, nbvlm.TransportError)):
            side.ask(nbvlm.Picture.load(LARGE + b"\0" * 30_000_000), "caption en")


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
    ],
    ids=["nothing", "ssh", "length", "tls"],
)
def test_what_is_no_http_is_one_clear_sentence(open_side: Open, wire: bytes) -> None:
    with talking(wire) as port:
        side = open_side(base_url=f"http://127.0.0.1:{port}", retry=Retry.never())
        sentence = (
            r"No connection to 127\.0\.0\.1:\d+ \(|127\.0\.0\.1:\d+ sent an answer that is not HTTP/1\.1\."
        )
        with pytest.raises(nbvlm.TransportError, match=sentence):
            side.ask(SCENE, "caption en")


class talking:  # noqa: N801 - reads as a function
    """A server that says one thing, whatever it is asked."""

    def __init__(self, wire: bytes) -> None:
        self.wire = wire

    def __enter__(self) -> int:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self.talk, daemon=True)
        self.thread.start()
        return self.listener.getsockname()[1]

    def __exit__(self, *exc: object) -> None:
        self.listener.close()

    def talk(self) -> None:
        try:
            while True:
                connection, _ = self.listener.accept()
                with connection:
                    connection.recv(65_536)
                    connection.sendall(self.wire)
        except OSError:
            return


# Proxies.


@pytest.fixture
def proxied(open_side: Open, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("http_proxy", server.url)
    return open_side(base_url="http://model.invalid", allow_http=True)


def test_the_proxy_of_the_environment_is_used(proxied: Any, server: Loopback) -> None:
    server.replies.append(stream("a red", " car"))
    assert proxied.stream(SCENE, "caption en").text == "a red car"
    assert proxied.ask(SCENE, "caption en").text == "a red car"
    assert {seen.headers["host"] for seen in server.seen} == {"model.invalid"}
    assert server.connections == 1


def test_no_proxy_is_honoured(proxied: Any, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "model.invalid")
    with pytest.raises(nbvlm.TransportError, match=r"No connection to model\.invalid"):
        proxied.ask(SCENE, "caption en")
    assert server.seen == []


def test_this_machine_is_never_asked_through_a_proxy(
    side: Any, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert side.ask(SCENE, "caption en").text == "a red car"


@pytest.mark.parametrize("name", ["ALL_PROXY", "all_proxy", "HTTP_PROXY"])
def test_every_proxy_variable_is_read(
    open_side: Open, server: Loopback, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, f" {server.url.removeprefix('http://')} ")
    assert open_side(base_url="http://model.invalid", allow_http=True).ask(SCENE, "caption en").text
    assert [seen.headers["host"] for seen in server.seen] == ["model.invalid"]


def test_a_proxy_gets_its_password(
    open_side: Open, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url.replace("//", "//user:secret-word@"))
    assert open_side(base_url="http://model.invalid", allow_http=True).ask(SCENE, "caption en").text
    expected = httpx.BasicAuth("user", "secret-word")._auth_header
    assert [seen.headers["proxy-authorization"] for seen in server.seen] == [expected]
    assert [seen.headers["authorization"] for seen in server.seen] == [f"Bearer {KEY}"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_does_not_answer_is_blamed_and_not_the_host(
    open_side: Open, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv(f"{scheme}_proxy", "http://user:secret-word@127.0.0.1:9")
    side = open_side(base_url=f"{scheme}://model.invalid", allow_http=True, retry=Retry.never())
    with pytest.raises(nbvlm.TransportError, match=r"through the proxy 127\.0\.0\.1:9") as caught:
        side.ask(SCENE, "caption en")
    assert "HTTPS_PROXY" in caught.value.hint
    assert "secret-word" not in str(caught.value)


def test_a_proxy_that_wants_a_password_is_not_the_service(proxied: Any, server: Loopback) -> None:
    server.replies.append(Reply(407))
    with pytest.raises(nbvlm.TransportError, match="proxy requires a name and a password") as caught:
        proxied.ask(SCENE, "caption en")
    assert caught.value.status == 407
    assert not caught.value.final


def test_an_async_client_works_where_aiohttp_is_broken(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nbvlm.client.aiohttp_transport", None)

    async def run() -> str:
        async with nbvlm.AsyncClient("nvidia", base_url=server.url, api_key=KEY) as client:
            return (await client.ask(SCENE, "caption en")).text

    assert asyncio.run(run()) == "a red car"


def test_https_goes_through_a_tunnel(open_side: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    with talking(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n") as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:secret-word@127.0.0.1:{port}")
        side = open_side(base_url="https://model.invalid", retry=Retry.never())
        with pytest.raises(nbvlm.TransportError, match=r"proxy requires a name.*407.*HTTPS_PROXY") as caught:
            side.ask(SCENE, "caption en")
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("ALL_PROXY", "socks://proxy:1080", "ALL_PROXY is not an address"),
        ("HTTPS_PROXY", "http://:::", "HTTPS_PROXY is not an address"),
        ("HTTPS_PROXY", "http://user:secret-word@", "HTTPS_PROXY is not an address"),
        ("ALL_PROXY", "socks5://user:secret-word@proxy:1080", r"SOCKS proxy.*pip install \"nbvlm\[socks\]\""),
        ("SSL_CERT_FILE", "/nowhere/certificates.pem", "SSL_CERT_FILE is not a readable file"),
        ("SSL_CERT_FILE", __file__, "SSL_CERT_FILE is not a readable file"),
        ("SSL_CERT_DIR", "/nowhere", "SSL_CERT_DIR is not a readable folder"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(
    open_side: Open, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv(variable, value)
    transports.tls.cache_clear()
    side = open_side(base_url="https://model.invalid")
    with pytest.raises(nbvlm.TransportError, match=words) as caught:
        side.ask(SCENE, "caption en")
    assert "secret-word" not in str(caught.value)
    transports.tls.cache_clear()


# TLS.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 with its key, in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test"
    )
    options = [
        "-addext",
        "subjectAltName=IP:127.0.0.1,DNS:model.invalid",
        "-keyout",
        "key.pem",
        "-out",
        "certificate.pem",
    ]
    subprocess.run([*command.split(), *options], cwd=folder, check=True, capture_output=True)
    whole = folder / "both.pem"
    whole.write_text((folder / "certificate.pem").read_text() + (folder / "key.pem").read_text())
    return whole


@pytest.fixture
def secure(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """A server over TLS that the client trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    transports.tls.cache_clear()
    with Loopback(context) as server:
        yield server
    transports.tls.cache_clear()


@pytest.mark.parametrize("kind", SIDES)
def test_everything_works_over_tls(kind: str, secure: Loopback) -> None:
    side = SIDES[kind](base_url=secure.url, api_key=KEY)
    assert side.ask(SCENE, "caption en").text == "a red car"
    assert side.stream(LARGE, "caption en").text == "a red car"
    assert len(secure.deleted) == 1
    assert secure.connections == 1
    side.close()


# Proxies in front of TLS, and SOCKS.

WAYS: dict[str, dict[str, Any]] = {
    "sync": {},
    "aiohttp": {},
    "httpx": {"nbvlm.client.aiohttp_transport": None},
}
"""Transports, and the modules that are missing for them."""


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[Any]:
    """A client of either kind; the awaited one with aiohttp, and without."""
    for name, module in WAYS[request.param].items():
        monkeypatch.setitem(sys.modules, name, module)
    return SIDES["sync" if request.param == "sync" else "async"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_tunnel_leads_to_tls_also_where_the_proxy_itself_speaks_tls(
    way: type[Any], secure: Loopback, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = secure.tls if scheme == "https" else None
    with proxies.proxy(urlsplit(secure.url), proxies.tunnel, tls) as running:
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://127.0.0.1:{running.port}")
        side = way(base_url="https://model.invalid", api_key=KEY, retry=Retry.never())
        assert [side.ask(SCENE, "caption en").text for _ in range(2)] == ["a red car"] * 2
        assert side.stream(SCENE, "caption en").text == "a red car"
        assert running.asked == ["model.invalid:443"]
        side.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_stop_ends_a_read_through_a_tunnel(
    secure: Loopback, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = secure.tls if scheme == "https" else None
    secure.replies += [answer("a red car"), Reply(wait=60.0)]
    with proxies.proxy(urlsplit(secure.url), proxies.tunnel, tls) as running:
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://127.0.0.1:{running.port}")
        with nbvlm.Client("nvidia", base_url="https://model.invalid", api_key=KEY) as client:
            client.ask(SCENE, "caption en")
            with client.stream(SCENE, "caption en") as stream:
                stopped = [0.0]

                def stop() -> None:
                    secure.wait_for(lambda: len(secure.seen) == 2)
                    stopped[0] = time.monotonic()
                    stream.cancel()

                waiter = threading.Thread(target=stop)
                waiter.start()
                assert len(list(stream)) == 1
                waiter.join()
                assert time.monotonic() - stopped[0] < 0.5


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_socks_looks_up_the_host_and_its_password_is_in_no_log(
    way: type[Any],
    server: Loopback,
    scheme: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    with proxies.proxy(urlsplit(server.url), proxies.socks) as running:
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://user:secret-word@127.0.0.1:{running.port}")
        side = way(base_url="http://model.invalid", allow_http=True, api_key=KEY, retry=Retry.never())
        assert [side.ask(SCENE, "caption en").text for _ in range(2)] == ["a red car"] * 2
        side.close()
    assert running.asked == ["user:secret-word@model.invalid:80"]
    assert "socks5" in caplog.text
    assert "secret-word" not in caplog.text


def test_a_connection_that_takes_longer_than_the_whole_question_may_names_that_limit(way: type[Any]) -> None:
    limits = Timeouts(connect=5, total=0.3)
    with socket.create_server(("127.0.0.1", 0), backlog=1) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        side = way(base_url=url, api_key=KEY, retry=Retry.never(), timeout=limits)
        with pytest.raises(nbvlm.TimeoutError, match=r"The exchange did not end within 0\.3 s.*total="):
            side.ask(SCENE, "caption en")
        side.close()


@pytest.mark.parametrize("kind", SIDES)
def test_a_certificate_that_is_not_trusted_is_refused_at_once(
    kind: str, secure: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    transports.tls.cache_clear()
    side = SIDES[kind](base_url=secure.url, api_key=KEY)
    with pytest.raises(nbvlm.TransportError, match="could not prove its identity") as caught:
        side.ask(SCENE, "caption en")
    assert "SSL_CERT_FILE" in str(caught.value)
    assert secure.seen == []
    assert len(side.client.requests) == 1
    side.close()


@pytest.mark.parametrize("kind", SIDES)
def test_a_certificate_for_another_name_is_refused(kind: str, secure: Loopback) -> None:
    side = SIDES[kind](base_url=f"https://localhost:{secure.port}", api_key=KEY)
    with pytest.raises(nbvlm.TransportError, match="could not prove its identity"):
        side.ask(SCENE, "caption en")
    side.close()


@pytest.mark.parametrize("kind", SIDES)
def test_a_server_without_tls_is_one_clear_sentence(kind: str) -> None:
    with talking(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        side = SIDES[kind](base_url=f"https://127.0.0.1:{port}", api_key=KEY, retry=QUICK)
        with pytest.raises(nbvlm.TransportError, match=r"No connection to 127\.0\.0\.1:\d+ \(TLS: "):
            side.ask(SCENE, "caption en")
        side.close()


def test_there_is_one_tls_context_and_none_before_it_is_needed(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    transports.tls.cache_clear()
    with nbvlm.Client("nvidia", base_url=server.url, api_key=KEY) as client:
        client.ask(SCENE, "caption en")
    assert transports.tls.cache_info().currsize == 0
    assert transports.tls() is transports.tls()


# The transports serve httpx's own clients too.


def test_httpx_clients_may_use_the_transports(server: Loopback) -> None:
    with httpx.Client(transport=Transport()) as client:
        assert client.get(f"{server.url}/v1/models").json()["data"][0] == {"id": "m1"}
        assert client.head(f"{server.url}/nowhere").status_code == 404
        sent = client.post(
            f"{server.url}/v1/vlm/google/paligemma",
            content=iter([b"{", b"}"]),
            headers={"content-length": "2", "accept": "x"},
        )
        assert sent.json()["id"] == "c0ffee"

    async def run() -> None:
        async with httpx.AsyncClient(transport=AsyncTransport()) as client:
            assert (await client.get(f"{server.url}/v1/models")).status_code == 200

    asyncio.run(run())


def test_httpx_timeouts_hold_where_there_is_no_patience(server: Loopback) -> None:
    server.replies.extend([Reply(wait=60.0)] * 2)
    url = f"{server.url}/v1/vlm/google/paligemma"
    headers = {"accept": "application/json"}
    with httpx.Client(transport=Transport(), timeout=0.1) as client, pytest.raises(httpx.ReadTimeout):
        client.post(url, headers=headers)

    async def run() -> None:
        async with httpx.AsyncClient(transport=AsyncTransport(), timeout=0.1) as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.post(url, headers=headers)

    asyncio.run(run())


@pytest.mark.parametrize("kind", SIDES)
def test_a_request_that_cannot_be_written_is_refused_without_its_values(kind: str) -> None:
    class Refusing(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            raise httpx.LocalProtocolError(f"Illegal header value {request.headers.raw!r}")

    side = SIDES[kind](transport=Refusing(), api_key=KEY, retry=Retry.never())
    with pytest.raises(nbvlm.TransportError, match="characters that cannot be sent") as caught:
        side.ask(SCENE, "caption en")
    assert "Illegal" not in str(caught.value)
    side.close()


def test_answers_come_whole_whatever_their_size(side: Any, server: Loopback) -> None:
    text = "word " * 400_000
    server.replies.extend([answer(text), stream(*[text[:100_000]] * 20)])
    assert side.ask(SCENE, "caption en").text == text
    assert len(side.stream(SCENE, "caption en").text) == 2_000_000


def test_an_answer_without_end_is_cut_off(
    side: Any, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nbvlm.client.flow import calls

    monkeypatch.setattr(calls, "LARGEST_BODY", 1_000_000)
    server.replies.append(Reply(pieces=[b"x" * 100_000] * 20))
    with pytest.raises(nbvlm.TransportError, match="larger than"):
        side.ask(SCENE, "caption en")


def test_a_reader_that_lags_makes_the_server_wait(server: Loopback) -> None:
    server.replies.append(stream(*["x" * 50_000] * 200))

    async def run() -> int:
        async with nbvlm.AsyncClient("nvidia", base_url=server.url, api_key=KEY) as client:
            async with client.stream(SCENE, "caption en") as stream:
                length = 0
                async for event in stream:
                    await asyncio.sleep(0.0005)
                    length += len(getattr(event, "text", ""))
            return length

    assert asyncio.run(run()) == 10_000_000


# Transports and clients of the caller's own.


@pytest.fixture
def guarded(certificate: Path) -> Iterator[Loopback]:
    """A server over TLS that lets only clients with a certificate in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    with Loopback(context) as server:
        yield server


@pytest.mark.parametrize("wrap", [httpx.HTTPTransport, httpx.Client])
@pytest.mark.parametrize("kind", SIDES)
def test_a_client_certificate_comes_with_a_transport_or_client_of_ones_own(
    kind: str, wrap: Any, guarded: Loopback, certificate: Path
) -> None:
    context = ssl.create_default_context(cafile=str(certificate))
    context.load_cert_chain(certificate)
    own = wrap(verify=context)
    side = SIDES[kind](base_url=guarded.url, api_key=KEY, transport=own)
    assert side.ask(SCENE, "caption en").text == "a red car"
    assert side.stream(LARGE, "caption en").text == "a red car"
    side.close()
    own.close()


def test_an_httpx_client_stays_the_callers(server: Loopback) -> None:
    with httpx.Client(headers={"x": "y"}, auth=("user", "word")) as own:
        with nbvlm.Client("nvidia", base_url=server.url, transport=own) as client:
            assert client.ask(LARGE, "caption en", route="asset").text == "a red car"
        assert own.get(f"{server.url}/v1/models").status_code == 200
    stored = [seen for seen in server.seen if seen.path.startswith("/storage/")]
    assert [seen.headers["authorization"][:5] for seen in server.seen if seen not in stored] == ["Basic"] * 4
    assert ["authorization" in seen.headers for seen in stored] == [False]

    async def run() -> None:
        async with httpx.AsyncClient() as own:
            async with nbvlm.AsyncClient("nvidia", base_url=server.url, api_key=KEY, transport=own) as client:
                assert (await client.ask(SCENE, "caption en")).text == "a red car"
            assert (await own.get(f"{server.url}/v1/models")).status_code == 200

    asyncio.run(run())


def test_a_transport_of_the_other_kind_is_refused() -> None:
    for other in (httpx.AsyncHTTPTransport(), httpx.AsyncClient()):
        with pytest.raises(TypeError, match="only serves an AsyncClient"):
            nbvlm.Client("nvidia", api_key=KEY, transport=other)
