from __future__ import annotations

import asyncio
import base64
import gzip
import logging
import socket
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support.picture_files import corners, encoded

import nbvlm
from nbvlm._background import Interruption
from nbvlm._environment import tls
from nbvlm.errors import ImageError
from nbvlm.images import remote
from nbvlm.images.picture import Picture

PNG = encoded(corners(), "PNG")
SECRET = "s3cr3t-signature"


class Site(ThreadingHTTPServer):
    """A real web site on loopback; `pages` maps a path to (status, headers, body or pieces)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.pages = {"/cat.png": (200, {"Content-Type": "image/png"}, PNG)}
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.released = threading.Event()
        self.port = self.server_address[1]

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients that leave early are what some tests are about."""

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        site = self.server
        site.seen.append((self.path, {key.lower(): value for key, value in self.headers.items()}))
        status, headers, body = site.pages.get(self.path.partition("?")[0], (404, {}, b"no"))
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if isinstance(body, bytes) and "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            for piece in [body] if isinstance(body, bytes) else body:
                self.wfile.write(piece)
                self.wfile.flush()
        except OSError:  # the client had enough
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site():
    with Site() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def names(monkeypatch):
    """Names with addresses of our choosing: what a resolver outside would say."""
    table: dict[str, list[str]] = {}

    def lookup(host, port, *_, **__):
        if host not in table and host != "127.0.0.1":
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port),
            )
            for address in table.get(host, [host])
        ]

    monkeypatch.setattr(remote.socket, "getaddrinfo", lookup)
    return table


@contextmanager
def patched_private():
    """Let addresses of this machine count as public ones: a question cannot allow private ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remote, "_is_private", lambda _: False)
        yield


def load(url: str) -> Picture:
    return Picture.load(url, allow_private=True)


def refused(url: str, *, allow_private: bool = True) -> str:
    with pytest.raises(ImageError) as caught:
        Picture.load(url, allow_private=allow_private)
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_a_url_gives_bytes_and_name(site):
    picture = load(site.url("/cat.png"))
    assert (picture.data, picture.name) == (PNG, "cat.png")


def test_the_request_says_who_asks_and_wants_no_compression(site):
    load(f"  {site.url('/cat.png')}\n")
    (_, headers) = site.seen[0]
    assert headers["user-agent"].startswith("nbvlm/")
    assert headers["accept-encoding"] == "identity"
    assert "authorization" not in headers


def test_names_in_addresses_are_decoded_and_without_folders(site):
    site.pages["/a/b/%E7%8A%AC%20dog.png"] = site.pages["/cat.png"]
    assert load(site.url("/a/b/%E7%8A%AC%20dog.png")).name == "犬 dog.png"
    site.pages["/"] = site.pages["/cat.png"]
    assert load(site.url("/")).name is None


@pytest.mark.parametrize(
    "kind", ["image/png", "image/jpeg", "IMAGE/PNG; q=1", "application/octet-stream", None]
)
def test_pictures_are_sniffed_whatever_image_type_is_claimed(site, kind):
    site.pages["/x"] = (200, {"Content-Type": kind} if kind else {}, PNG)
    assert load(site.url("/x")).mime == "image/png"


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/json", "video/mp4", "text/plain"])
def test_other_content_types_are_refused(site, kind):
    site.pages["/page"] = (200, {"Content-Type": kind}, PNG)
    message = refused(site.url("/page"))
    assert f"is {kind.partition(';')[0]}, not a picture" in message
    assert "the picture itself" in message


def test_a_page_that_claims_to_be_a_picture_is_named(site):
    site.pages["/page.png"] = (200, {"Content-Type": "image/png"}, b"<!doctype html><html>")
    assert "'page.png' is an HTML page" in refused(site.url("/page.png"))


def test_a_compressed_answer_is_unpacked_even_if_not_asked_for(site):
    headers = {"Content-Type": "image/png", "Content-Encoding": "gzip"}
    site.pages["/z"] = (200, headers, gzip.compress(PNG))
    assert load(site.url("/z")).data == PNG


@pytest.mark.parametrize("status", [401, 403, 404, 410, 500, 503, 206, 204])
def test_other_statuses_are_named(site, status):
    site.pages["/x.png"] = (status, {"Content-Type": "image/png"}, b"" if status == 204 else PNG)
    with pytest.raises(ImageError, match=f"answered {status}") as caught:
        load(site.url("/x.png"))
    assert caught.value.status == status


def test_redirects_are_followed(site):
    site.pages["/a"] = (302, {"Location": "/b"}, b"")
    site.pages["/b"] = (301, {"Location": site.url("/cat.png")}, b"")
    assert load(site.url("/a")).name == "cat.png"


def test_redirects_end_somewhere(site):
    site.pages["/round"] = (307, {"Location": "/round"}, b"")
    assert "redirects more than 5 times" in refused(site.url("/round"))
    assert len(site.seen) == 6


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://h/x", "data:image/png,x", "javascript:x"])
def test_redirects_to_no_web_address_are_refused(site, target):
    site.pages["/a"] = (302, {"Location": target}, b"")
    assert "URL" in refused(site.url("/a"))


PRIVATE = {
    "loopback": ("127.0.0.1", "127.9.9.9", "0.0.0.0", "::1", "::"),
    "private": ("10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fc00::1", "fd12::1"),
    "link-local": ("169.254.169.254", "fe80::1", "fe80::1%eth0"),
    "nobody's": ("192.0.2.1", "198.18.0.1", "240.0.0.1", "255.255.255.255", "2001:db8::1"),
    "many": ("224.0.0.1", "ff02::1"),
    "disguised": (
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "2002:a00:1::1",
        "::10.0.0.1",
        "::ffff:0:10.0.0.1",
        "::ffff:0:8.8.8.8",
        "64:ff9b:1::808:808",
        "2001:0:808:808::1",
        "::ffff:100.64.0.1",
        "::ffff:0.1.2.3",
        "0.1.2.3",
        "fec0::1",
        "feff::1",
    ),
}


@pytest.mark.parametrize("address", [address for kind in PRIVATE.values() for address in kind])
def test_private_addresses_are_refused_unless_allowed(names, address):
    names["pictures.example"] = [address]
    message = refused("https://pictures.example/cat.png", allow_private=False)
    assert "leads to a private network" in message
    assert "allow_private=True" in message


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "8.8.8.8", "2606:2800:21f::1", "64:ff9b::808:808", "::ffff:8.8.8.8"]
)
def test_public_addresses_are_tried(names, address):
    names["pictures.example"] = [address]
    assert "cannot be reached" in refused("http://pictures.example/cat.png", allow_private=False)


def test_one_private_address_among_public_ones_is_enough(names):
    names["pictures.example"] = ["8.8.8.8", "127.0.0.1"]
    assert "private network" in refused("http://pictures.example/", allow_private=False)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "2130706433", "0x7f.1", "127.1", "0"])
def test_this_machine_is_refused_however_it_is_written(monkeypatch, host):
    numbers = {"2130706433": "127.0.0.1", "0x7f.1": "127.0.0.1", "127.1": "127.0.0.1", "0": "0.0.0.0"}
    real = remote.socket.getaddrinfo  # the system's resolver reads these forms as well
    monkeypatch.setattr(remote.socket, "getaddrinfo", lambda h, *a, **k: real(numbers.get(h, h), *a, **k))
    assert "private network" in refused(f"http://{host}:9/x.png", allow_private=False)


def test_every_redirect_is_checked_anew(site, names, monkeypatch):
    # The first host counts as public here; what it redirects to is private.
    names["public.example"] = ["127.0.0.1"]
    real, calls = remote._is_private, []
    monkeypatch.setattr(
        remote, "_is_private", lambda address: calls.append(address) or (len(calls) > 1 and real(address))
    )
    site.pages["/a"] = (302, {"Location": site.url("/cat.png")}, b"")
    assert "private network" in refused(site.url("/a", "public.example"), allow_private=False)
    assert [path for path, _ in site.seen] == ["/a"]


def test_the_connection_goes_to_the_checked_address_under_the_hosts_name(site, names):
    names["pictures.example"] = ["127.0.0.1"]
    assert load(site.url("/cat.png", "pictures.example")).data == PNG
    assert site.seen[0][1]["host"] == f"pictures.example:{site.port}"


def test_a_name_is_resolved_once_for_a_request(site, names, monkeypatch):
    names["rebinding.example"] = ["127.0.0.1"]
    lookups = []
    known = remote.socket.getaddrinfo
    monkeypatch.setattr(
        remote.socket, "getaddrinfo", lambda host, *a, **k: lookups.append(host) or known(host, *a, **k)
    )
    load(site.url("/cat.png", "rebinding.example"))
    assert lookups.count("rebinding.example") == 1


def test_the_next_address_is_tried_when_one_takes_no_connection(site, names):
    names["two.example"] = ["127.0.0.2", "127.0.0.1"]  # nothing listens on the first
    assert load(site.url("/cat.png", "two.example")).data == PNG


def test_an_unknown_host_is_named(names):
    assert "The host 'nowhere.example' is not known" in refused("http://nowhere.example/x.png")


def test_nobody_at_home_is_named(site):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert "cannot be reached" in refused(f"http://127.0.0.1:{port}/x.png")


@pytest.mark.parametrize(
    "url", ["http://", "http://[::1", "https://a:b:c/", "http://h:99999999/x", "http://\ud800/"]
)
def test_broken_addresses_are_named(url):
    assert refused(url)


def test_a_server_that_speaks_no_http_is_named():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def chatter() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")

        thread = threading.Thread(target=chatter)
        thread.start()
        message = refused(f"http://127.0.0.1:{listener.getsockname()[1]}/x.png")
        thread.join()
    assert "cannot be reached" in message


def test_https_to_a_server_without_tls_is_named(site):
    assert "cannot be reached" in refused(f"https://127.0.0.1:{site.port}/x.png")


def test_a_body_that_stops_early_is_named(site):
    site.pages["/cut.png"] = (
        200,
        {"Content-Type": "image/png", "Content-Length": "9999", "Connection": "close"},
        PNG,
    )
    assert "cannot be reached" in refused(site.url("/cut.png"))


def test_a_body_announced_too_large_is_not_read(site):
    huge = {"Content-Type": "image/png", "Content-Length": str(remote.MAX_BYTES + 1)}
    site.pages["/huge.png"] = (200, huge, b"")
    assert "larger than 64 MiB" in refused(site.url("/huge.png"))


def test_a_body_that_never_ends_is_cut_at_the_cap(site):
    def endless():
        while not site.released.is_set():
            yield bytes(65_536)

    site.pages["/flood"] = (200, {"Content-Type": "image/png", "Connection": "close"}, endless())
    with pytest.raises(ImageError, match="larger than 1 MiB"):
        remote.fetch(site.url("/flood"), allow_private=True, max_bytes=2**20)


def test_a_small_body_that_unpacks_too_large_is_cut_at_the_cap(site):
    headers = {"Content-Type": "image/png", "Content-Encoding": "gzip"}
    site.pages["/bomb"] = (200, headers, gzip.compress(bytes(2**24)))
    with pytest.raises(ImageError, match="larger than 1 MiB"):
        remote.fetch(site.url("/bomb"), allow_private=True, max_bytes=2**20)


@pytest.mark.parametrize("drip", [False, True])
def test_a_slow_server_is_left_when_the_time_is_up(site, drip):
    def slow():
        yield PNG[:10]
        while not site.released.wait(0.05):
            yield b"\0" if drip else b""

    site.pages["/slow.png"] = (200, {"Content-Type": "image/png", "Connection": "close"}, slow())
    began = time.monotonic()
    with pytest.raises(ImageError, match=r"slow\.png did not arrive within 0\.3 s"):
        remote.fetch(site.url("/slow.png"), allow_private=True, max_seconds=0.3)
    assert time.monotonic() - began < 30


def test_a_password_goes_to_its_host_alone(site, names):
    names["other.example"] = ["127.0.0.1"]
    site.pages["/here"] = (302, {"Location": "/still"}, b"")
    site.pages["/still"] = (302, {"Location": site.url("/cat.png", "other.example")}, b"")
    load(f"http://user:{SECRET}@127.0.0.1:{site.port}/here")
    basic = "Basic " + base64.b64encode(f"user:{SECRET}".encode()).decode()
    assert [headers.get("authorization") for _, headers in site.seen] == [basic, basic, None]


def test_cookies_are_not_carried_along(site):
    site.pages["/a"] = (302, {"Location": "/cat.png", "Set-Cookie": "id=1"}, b"")
    load(site.url("/a"))
    assert "cookie" not in site.seen[1][1]


FAULTS = {
    "/missing.png": (404, {}, b""),
    "/page": (200, {"Content-Type": "text/html"}, b""),
    "/loop": (302, {"Location": f"/loop?sig={SECRET}"}, b""),
    "/away": (302, {"Location": f"ftp://user:{SECRET}@h/"}, b""),
    "/broken.png": (200, {"Content-Type": "image/png"}, PNG[:100]),
    "/cut.png": (200, {"Content-Type": "image/png", "Content-Length": "9999", "Connection": "close"}, PNG),
}


@pytest.mark.parametrize("path", FAULTS)
def test_neither_errors_nor_logs_hold_credentials(site, path, caplog):
    caplog.set_level(logging.DEBUG)
    site.pages |= FAULTS
    url = f"http://{SECRET}-user:{SECRET}@127.0.0.1:{site.port}{path}?X-Amz-Signature={SECRET}#{SECRET}"
    with pytest.raises(ImageError) as caught:
        load(url)
    error = caught.value
    seen = [str(error), repr(error), repr(error.__dict__), caplog.text]
    assert error.__cause__ is None
    assert SECRET not in " ".join(seen)


def test_secret_folders_are_not_shown(site):
    message = refused(site.url(f"/bot{SECRET}/x.png"))
    assert SECRET not in message
    assert f"http://127.0.0.1:{site.port}/…/x.png" in message


def test_other_peoples_requests_are_still_logged(site, caplog):
    import httpx

    caplog.set_level(logging.INFO)
    load(site.url("/cat.png"))
    assert caplog.text == ""
    httpx.get(site.url("/cat.png"))
    assert "cat.png" in caplog.text


def test_behind_a_proxy_the_proxy_resolves_and_fetches(site, names, monkeypatch):
    site.pages["http://outside.example/cat.png"] = site.pages["/cat.png"]
    monkeypatch.setenv("http_proxy", site.url(""))
    assert Picture.load("http://outside.example/cat.png").data == PNG
    assert site.seen[0][0] == "http://outside.example/cat.png"


def test_a_private_address_is_refused_behind_a_proxy_too(site, names, monkeypatch):
    monkeypatch.setenv("http_proxy", site.url(""))
    names["inside.example"] = ["10.0.0.1"]
    assert "private network" in refused("http://inside.example/x.png", allow_private=False)
    assert site.seen == []


def dripping(head: bytes, drip: bytes, port: list[int], ended: threading.Event) -> threading.Thread:
    """A server that sends a beginning, then a byte at a time, until the client has left."""
    listener = socket.create_server(("127.0.0.1", 0))
    port.append(listener.getsockname()[1])

    def serve() -> None:
        with listener:
            listener.settimeout(30)
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.settimeout(0.02)
                try:
                    connection.sendall(head)
                    while not ended.is_set():
                        with suppress(TimeoutError):
                            if connection.recv(1) == b"":
                                break
                        connection.sendall(drip)
                except OSError:
                    pass
        ended.set()

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


DRIPS = {
    "the status": (b"HTTP/1.1 ", b"2"),
    "the head": (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
    "interim responses": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "the body": (b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n", b"\0"),
    "the sizes of chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1", b";"),
    "packed bytes": (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\0\0\0\0\0\0\3", b"\0"),
    "nothing": (b"", b""),
}


@pytest.mark.parametrize(("head", "drip"), DRIPS.values(), ids=DRIPS)
def test_the_time_is_limited_whatever_arrives_byte_by_byte(head, drip):
    ended, port = threading.Event(), []
    thread = dripping(head, drip, port, ended)
    with pytest.raises(ImageError, match=r"x\.png (did not arrive within 0\.4 s|cannot be)"):
        remote.fetch(f"http://127.0.0.1:{port[0]}/x.png", allow_private=True, max_seconds=0.4)
    ended.set()
    thread.join()


def test_a_name_that_is_looked_up_for_ever_is_left(monkeypatch):
    going = threading.Event()
    monkeypatch.setattr(remote.socket, "getaddrinfo", lambda *_, **__: going.wait(30) and [])
    with pytest.raises(ImageError, match="did not arrive"):
        remote.fetch("http://slow.example/x.png", max_seconds=0.2)
    going.set()


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip, gzip", "deflate, br", "x" * 500])
def test_codings_that_grow_without_a_limit_are_refused(site, coding):
    site.pages["/z"] = (200, {"Content-Type": "image/png", "Content-Encoding": coding}, gzip.compress(PNG))
    message = refused(site.url("/z"))
    assert "is packed as" in message
    assert len(message) < 300


def test_a_packed_body_that_stops_early_is_named(site):
    headers = {"Content-Type": "image/png", "Content-Encoding": "gzip"}
    site.pages["/z"] = (200, headers, gzip.compress(PNG)[:-20])
    assert "ended before it was complete" in refused(site.url("/z"))


def test_the_words_of_a_server_are_cut_and_shown_without_control_characters(site):
    site.pages["/page"] = (200, {"Content-Type": "text/" + "x" * 500}, PNG)
    assert len(refused(site.url("/page"))) < 400


def test_an_interruption_ends_a_fetch_at_once():
    ended, port = threading.Event(), []
    thread = dripping(b"", b"", port, ended)
    interruption = Interruption()
    timer = threading.Timer(0.2, interruption.begin)
    timer.start()
    began = time.monotonic()
    with pytest.raises(ImageError, match="was stopped"):
        interruption.run(load, f"http://127.0.0.1:{port[0]}/x.png")
    assert time.monotonic() - began < 10
    with pytest.raises(ImageError, match="was stopped"):  # what begins after it does not start at all
        interruption.run(load, f"http://127.0.0.1:{port[0]}/x.png")
    ended.set()
    thread.join()


def test_stop_ends_an_answer_that_waits_for_its_picture():
    ended, port = threading.Event(), []
    thread = dripping(b"", b"", port, ended)
    client = nbvlm.Client("demo")
    picture = f"http://127.0.0.1:{port[0]}/x.png"
    with patched_private(), client.stream(picture, "caption en") as answer:
        timer = threading.Timer(0.2, answer.close)
        timer.start()
        assert list(answer) == []
    ended.set()
    thread.join()


def test_a_cancelled_question_leaves_no_fetch_behind():
    ended, port = threading.Event(), []
    thread = dripping(b"", b"", port, ended)

    async def cancelled() -> None:
        async with nbvlm.AsyncClient("demo") as client:
            question = asyncio.ensure_future(client.ask(f"http://127.0.0.1:{port[0]}/x.png", "caption en"))
            await asyncio.sleep(0.2)
            question.cancel()
            with pytest.raises(asyncio.CancelledError):
                await question

    began = time.monotonic()
    with patched_private():
        asyncio.run(cancelled())  # at its end it waits for its threads
    assert time.monotonic() - began < remote.MAX_SECONDS / 2
    ended.set()
    thread.join()


def test_leaving_a_batch_ends_its_fetches():
    ended, port = threading.Event(), []
    thread = dripping(b"", b"", port, ended)
    pictures = [PNG, f"http://127.0.0.1:{port[0]}/x.png"]
    with patched_private():
        rows = nbvlm.ibatch(pictures, "caption en", client=nbvlm.Client("demo"), journal=None)
        assert next(iter(rows)) is not None
        rows.close()
        assert ended.wait(remote.MAX_SECONDS / 2) or not thread.is_alive()
    thread.join()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize("value", ["http://:::", "socks://h:1", "http://[::1"])
def test_a_proxy_that_cannot_be_used_is_named(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    message = refused("http://pictures.example/x.png")
    assert f"The proxy in {variable} is not an address" in message
    assert "unset it" in message


def test_exceptions_from_a_proxy_in_any_writing_are_no_failure(site, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "[::1],10.0.0.0/8,fe80::/10")
    assert load(site.url("/cat.png")).data == PNG


def test_certificates_that_cannot_be_read_are_named(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/certificates.pem")
    tls.cache_clear()
    assert "SSL_CERT_FILE" in refused("https://127.0.0.1:9/x.png")
    tls.cache_clear()
