"""The service on a real socket."""

from __future__ import annotations

import json
import socket
import threading
from urllib.parse import urlsplit

import httpx
import pytest
from support.service_loopback import running
from support.service_standin import PATH, WORDS, StandIn, body, picture

from nbvlm.demo.service import server
from nbvlm.demo.service.service import Service
from nbvlm.errors import Error

EVENTS = {"Accept": "text/event-stream"}
WISH = {"contentType": "image/png", "description": "a"}
SIGNED = {"Content-Type": "image/png", "x-amz-meta-nvcf-asset-description": "a"}


@pytest.fixture(scope="module")
def model():
    return StandIn()


@pytest.fixture(scope="module")
def origin(model):
    with running(Service(model=model)) as url:
        yield url


@pytest.fixture(scope="module")
def client(origin):
    with httpx.Client(base_url=origin) as client:
        yield client


def test_a_plain_answer(client):
    answer = client.post(PATH, json=body())
    assert answer.json()["choices"][0]["message"]["content"] == "".join(WORDS)
    assert answer.headers["nvcf-status"] == "fulfilled"
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_a_streamed_answer_has_no_length_and_ends_with_done(client):
    answer = client.post(PATH, json=body(stream=True), headers=EVENTS)
    assert "content-length" not in answer.headers
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.content.endswith(b"data: [DONE]\n\n")


def test_a_refusal(client):
    answer = client.post(PATH, json=body(top_k=1), headers=EVENTS)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "top_k"]


def test_every_method_and_path_is_the_services_to_judge(client):
    assert client.get("/nowhere").text == "404 page not found"
    assert client.request("TRACE", PATH).status_code == 405
    assert client.head(PATH).status_code == 405
    assert client.options("/").status_code == 404


def test_an_asset_is_uploaded_used_and_deleted(client, model):
    asset = client.post("/v2/nvcf/assets", json=WISH).json()
    with httpx.Client() as anyone:
        assert anyone.put(asset["uploadUrl"], content=picture((321, 123)), headers=SIGNED).status_code == 200
    content = f'caption en <img src="data:image/png;asset_id,{asset["assetId"]}" />'
    headers = {"NVCF-INPUT-ASSET-REFERENCES": asset["assetId"]}
    assert client.post(PATH, json=body(content), headers=headers).status_code == 200
    assert model.asked[-1]["size"] == (321, 123)
    assert client.delete(f"/v2/nvcf/assets/{asset['assetId']}").status_code == 204
    assert client.delete(f"/v2/nvcf/assets/{asset['assetId']}").status_code == 404


def test_a_chunked_upload_is_refused(client):
    asset = client.post("/v2/nvcf/assets", json=WISH).json()
    answer = client.put(asset["uploadUrl"], content=iter([picture()]), headers=SIGNED)
    assert (answer.status_code, "<Code>NotImplemented</Code>" in answer.text) == (501, True)


def test_repeated_reference_headers_are_joined(client):
    ids = []
    for _ in range(2):
        asset = client.post("/v2/nvcf/assets", json=WISH).json()
        client.put(asset["uploadUrl"], content=picture(), headers=SIGNED)
        ids.append(asset["assetId"])
    content = f'caption en <img src="data:image/png;asset_id,{ids[1]}" />'
    headers = [("NVCF-INPUT-ASSET-REFERENCES", id_) for id_ in ids]
    assert client.post(PATH, json=body(content), headers=headers).status_code == 200


def test_a_huge_body_is_refused_and_the_service_lives(client):
    answer = client.post(PATH, content=b" " * (30 << 20), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["title"]) == (413, "Request Entity Too Large")
    assert client.post(PATH, json=body()).status_code == 200


def exchange(origin: str, data: bytes, *, hang_up: bool) -> bytes:
    """Whatever comes back for bytes that no HTTP library would send."""
    address = urlsplit(origin)
    with socket.create_connection((address.hostname, address.port), timeout=20) as plug:
        plug.sendall(data)
        if hang_up:
            plug.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: plug.recv(65536), b""))


def test_bytes_that_are_no_http_do_not_kill_it(origin, client):
    for junk in (
        b"\0\xff" * 500,
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/9\r\n\r\n",
        b"\r\n",
    ):
        exchange(origin, junk, hang_up=True)
    broken_off = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc".encode()
    assert b"200 OK" not in exchange(origin, broken_off, hang_up=True)
    assert client.post(PATH, json=body()).status_code == 200


def test_an_upload_without_a_length_is_refused(origin, client):
    asset = client.post("/v2/nvcf/assets", json=WISH).json()
    path = asset["uploadUrl"].removeprefix(origin)
    head = "".join(f"{name}: {value}\r\n" for name, value in SIGNED.items())
    data = f"PUT {path} HTTP/1.1\r\nHost: x\r\n{head}Connection: close\r\n\r\n".encode()
    answer = exchange(origin, data, hang_up=False)
    assert answer.startswith(b"HTTP/1.1 411")


def test_each_token_crosses_the_socket_when_it_is_computed():
    model = StandIn(gate=threading.Semaphore(1))
    seen = []
    with (
        running(Service(model=model)) as origin,
        httpx.stream("POST", origin + PATH, json=body(stream=True), headers=EVENTS) as answer,
    ):
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                seen.append(json.loads(line[6:])["choices"][0]["delta"]["content"])
                assert model.computed <= len(seen) + (len(seen) == len(WORDS))
                model.gate.release()
    assert seen == [*WORDS, ""]


def test_a_closed_connection_stops_the_computation():
    model = StandIn(words=("a",) * 1000, gate=threading.Semaphore(1))
    with running(Service(model=model)) as origin, httpx.Client() as client:
        with client.stream("POST", origin + PATH, json=body(stream=True), headers=EVENTS) as answer:
            next(answer.iter_raw())
        model.gate.release(1)
        while not model.closed.wait(0.01) and model.computed < 100:
            model.gate.release()
    assert model.computed < 100


def test_a_caller_that_goes_before_the_answer_stops_the_computation():
    model = StandIn(words=("a",) * 1000, gate=threading.Semaphore(1))
    with running(Service(model=model)) as origin, httpx.Client(timeout=0.2) as client:
        with pytest.raises(httpx.ReadTimeout):
            client.post(origin + PATH, json=body())
        while not model.closed.wait(0.01) and model.computed < 100:
            model.gate.release()
    assert model.computed < 100


def test_polls_over_the_socket():
    model = StandIn(gate=threading.Semaphore(0))
    with running(Service(model=model)) as origin, httpx.Client(base_url=origin) as client:
        first = client.post(PATH, json=body(), headers={"NVCF-POLL-SECONDS": "1"})
        assert (first.status_code, first.headers["content-length"]) == (202, "0")
        model.gate.release(len(WORDS))
        status = f"/v1/status/{first.headers['nvcf-reqid']}"
        assert client.get(status).json()["choices"][0]["message"]["content"] == "".join(WORDS)
        assert client.get(status).status_code == 404


def test_many_at_once_are_all_answered(origin):
    answers = []

    def ask() -> None:
        answers.append(httpx.post(origin + PATH, json=body(), timeout=60).status_code)

    threads = [threading.Thread(target=ask) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 32


def test_small_parts_are_sent_without_delay():
    with server.listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_the_system_looks_after_callers_that_were_switched_off():
    with server.listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()[:2]):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_a_taken_port_is_told_in_one_sentence():
    with server.listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(Error, match=f"Cannot listen on 127.0.0.1 port {port}: .*Choose another --port"):
            server.listen("127.0.0.1", port)


def test_an_impossible_address_is_told_in_one_sentence():
    for host, port in (("no.such.host.invalid", 0), ("127.0.0.1", 99_999), ("127.0.0.1", -1)):
        with pytest.raises(Error, match="Cannot listen on"):
            server.listen(host, port)


@pytest.mark.parametrize(
    ("bound", "shown"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("::1", "http://[::1]:8000"),
    ],
)
def test_the_origin_is_one_that_this_machine_can_reach(bound, shown):
    class Listener:
        def getsockname(self):
            return (bound, 8000)

    assert server.origin(Listener()) == shown
