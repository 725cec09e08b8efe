"""What a class may do to one service, on purpose or not: it stays small, and serves the others meanwhile."""

from __future__ import annotations

import base64
import io
import json
import socket
import struct
import sys
import threading
import time
import zlib
from dataclasses import replace
from types import SimpleNamespace

import httpx
import pytest
from PIL import Image
from support.service_loopback import running
from support.service_process import FIRST, SECOND, another, at_once, served
from support.service_standin import PATH, WORDS, StandIn, body, picture, send, tag

from nbvlm.demo import scenes
from nbvlm.demo.service import request_body
from nbvlm.demo.service.limits import SERVED
from nbvlm.demo.service.messages import Refusal
from nbvlm.demo.service.pictures import EncodedPicture, InvalidPicture
from nbvlm.demo.service.server import hosts, listen
from nbvlm.demo.service.service import Request, Service, network
from nbvlm.demo.service.turns import OneEach
from nbvlm.endpoints import EMBEDDED

SCENES, _ = EMBEDDED  # its answers are the quicker ones
CHAT = "/v1/chat/completions"
MOST_MB = 700
SOON_S = 20  # a second, on a computer that runs other tests at the same time
WISH = {"contentType": "image/png", "description": "a"}
SIGNED = {"content-type": "image/png", "x-amz-meta-nvcf-asset-description": "a"}


def scene() -> bytes:
    buffer = io.BytesIO()
    scenes.sample(3, pixels=200).picture.save(buffer, "PNG")
    return buffer.getvalue()


SMALL = json.dumps(body(f"detect car {tag(scene())}")).encode()

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and calls from 127.0.0.2")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(side: int, channels: int = 1, extra: bytes = b"") -> bytes:
    """A square PNG in one colour."""
    packer = zlib.compressobj(9)
    rows = b"\0" * (side * channels + 1) * 100
    data = b"".join([packer.compress(rows) for _ in range(side // 100)]) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 8, {1: 0, 4: 6}[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def texts() -> bytes:
    """Sixty texts of a megabyte each, small while they are compressed."""
    return chunk(b"zTXt", b"a\0\0" + zlib.compress(b" " * 1_000_000, 9)) * 60


def question(data: bytes) -> bytes:
    url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "detect house"}]
    return json.dumps({"model": SCENES, "messages": [{"role": "user", "content": content}]}).encode()


# --- attacks on a real process


@linux
@pytest.mark.parametrize(
    "data",
    [bomb(8000), bomb(4000, channels=4), bomb(500, extra=texts())],
    ids=["64 million pixels", "four channels", "texts"],
)
def test_pictures_of_very_many_pixels_take_turns_and_little_memory(data):
    asked = question(data)
    with served() as service, another(service, PATH, SMALL) as other:
        answers = at_once(4, lambda: service.send("POST", CHAT, asked)[9:12])
        assert service.peak_mb < MOST_MB
    assert answers == [b"200"] * 4
    assert other.statuses == {b"200"}
    assert max(other.seconds) < SOON_S


@linux
def test_bodies_of_callers_without_the_key_are_not_read():
    def put() -> bytes:
        with service.connect() as plug:
            head = f"PUT /anything HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {128 << 20}\r\n\r\n"
            plug.sendall(head.encode())
            answer = plug.recv(12)
            try:
                plug.sendall(b"x" * (64 << 20))
            except OSError:
                return answer
            return b"all was taken"

    key = "Authorization: Bearer right"
    with served(key="right") as service, another(service, PATH, SMALL, key) as other:
        assert at_once(8, put) == [b"HTTP/1.1 404"] * 8
        assert service.send("POST", CHAT, b"x" * (20 << 20))[9:12] == b"401"
        assert service.peak_mb < 200
    assert other.statuses == {b"200"}


@linux
@pytest.mark.parametrize("peer", [FIRST, SECOND])
def test_heads_that_are_never_finished_keep_no_caller_out(peer):
    """Those of one's own computer may cost a connection before its head has come, and another try."""
    with served("--connections", "64") as service, another(service, PATH, SMALL) as other:
        held = []
        for _ in range(300):
            held.append(service.connect(peer))
            held[-1].sendall(b"POST / HTTP/1.1\r\nHost: x\r\nA")
        answered = len(other.seconds)
        until(lambda: len(other.seconds) >= answered + 3)
        for plug in held:
            plug.close()
    assert b"200" in other.statuses
    assert max(other.seconds) < SOON_S
    if peer == FIRST:
        assert (other.statuses, other.broken) == ({b"200"}, 0)


@linux
def test_one_callers_many_questions_do_not_delay_another_one():
    with served("--waiting", "20") as service, another(service, PATH, SMALL) as other:
        answers = at_once(100, lambda: service.send("POST", PATH, SMALL))
        assert service.peak_mb < MOST_MB
    assert other.statuses == {b"200"}
    assert max(other.seconds) < SOON_S
    statuses = [answer[9:12] for answer in answers if isinstance(answer, bytes)]
    assert set(statuses) == {b"200", b"429"}
    refused = next(answer for answer in answers if isinstance(answer, bytes) and answer[9:12] == b"429")
    assert b"retry-after: " in refused


@linux
def test_large_bodies_wait_for_room_and_their_values_are_counted():
    nested = b'{"model":"nbvlm/demo","messages":[' + b"[]," * 6_000_000 + b"1]}"
    with served() as service, another(service, PATH, SMALL) as other:
        answers = at_once(12, lambda: service.send("POST", CHAT, nested)[9:12])
        assert service.peak_mb < MOST_MB
    assert set(answers) == {b"400"}
    assert other.statuses == {b"200"}


@linux
def test_a_callers_stored_pictures_are_bounded_and_spare_those_of_others():
    def upload(peer: str, size: int) -> bytes:
        wish = service.send("POST", "/v2/nvcf/assets", json.dumps(WISH).encode(), peer)
        target = "/s3/" + json.loads(wish.partition(b"\r\n\r\n")[2])["uploadUrl"].partition("/s3/")[2]
        head = f"PUT {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\nConnection: close\r\n"
        head = head.replace("Host: x", f"Host: 127.0.0.1:{service.port}")
        head += "".join(f"{name}: {value}\r\n" for name, value in SIGNED.items())
        with service.connect(peer) as plug:
            plug.sendall(head.encode() + b"\r\n" + b"x" * size)
            return plug.recv(65536)[9:12]

    with served() as service:
        assert [upload(FIRST, 15 << 20) for _ in range(5)] == [b"200"] * 3 + [b"503"] * 2
        assert upload(SECOND, 15 << 20) == b"200"
        assert service.peak_mb < MOST_MB


def jpeg(mode: str, size: tuple[int, int], *, scan_of_one: bool = False, **options) -> bytes:
    """A JPEG whose header says that it has this size."""
    buffer = io.BytesIO()
    Image.new(mode, (64, 48)).save(buffer, "JPEG", **options)
    data = buffer.getvalue().replace(struct.pack(">HH", 48, 64), struct.pack(">HH", *size[::-1]), 1)
    return data.replace(b"\xff\xda\0\x0c\x03", b"\xff\xda\0\x08\x01") if scan_of_one else data


@pytest.mark.parametrize(
    ("data", "taken"),
    [
        (jpeg("CMYK", (8000, 8000)), True),
        (jpeg("L", (8000, 8000), progressive=True), True),
        (jpeg("RGB", (8000, 8000), progressive=True), True),
        (jpeg("RGB", (8000, 8000), progressive=True, subsampling=0), False),
        (jpeg("RGB", (6400, 6400), progressive=True, subsampling=0), True),
        (jpeg("RGB", (8000, 8000), subsampling=0, scan_of_one=True), False),
        (jpeg("CMYK", (8000, 8000), progressive=True), False),
        (jpeg("CMYK", (5600, 5600), progressive=True), True),
    ],
)
def test_a_jpeg_in_scans_may_have_fewer_pixels_since_its_decoder_holds_all_coefficients(data, taken):
    if taken:
        assert EncodedPicture.of(data).large
    else:
        with pytest.raises(InvalidPicture, match="save it as a baseline JPEG"):
            EncodedPicture.of(data)


# --- times


def raw(origin: str, data: bytes) -> bytes:
    host, port = origin.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 30) as plug:
        plug.sendall(data)
        return b"".join(iter(lambda: plug.recv(65536), b""))


def test_a_head_has_a_time_limit():
    limits = replace(SERVED, head_s=0.3)
    with running(Service(model=StandIn(), limits=limits)) as origin:
        answer = raw(origin, b"GET / HTTP/1.1\r\nHost: x\r\nA")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"the request was not complete" in answer


def test_a_head_has_a_size_limit():
    with running(Service(model=StandIn())) as origin:
        assert raw(origin, b"GET / HTTP/1.1\r\n" + b"a: " + b"x" * 70_000).startswith(b"HTTP/1.1 400 ")


def test_a_body_that_does_not_come_has_a_time_limit():
    limits = replace(SERVED, pause_s=0.3, head_s=0.5)
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"
    with running(Service(model=StandIn(), limits=limits)) as origin:
        answer = raw(origin, head.encode() + b"{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"pauses" in answer


def test_a_reader_that_does_not_read_is_given_up():
    model = StandIn(words=("a" * 100_000,) * 1000)
    limits = replace(SERVED, write_s=0.3)
    with running(Service(model=model, limits=limits)) as origin:
        host, port = origin.removeprefix("http://").split(":")
        asked = json.dumps(body(stream=True, max_tokens=1000)).encode()
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        with socket.create_connection((host, int(port)), 30) as plug:
            plug.sendall(f"{head}Content-Length: {len(asked)}\r\n\r\n".encode() + asked)
            while not model.closed.wait(0.05):
                pass
            time.sleep(1)  # longer than the service waits for a reader
            received = b"".join(iter(lambda: plug.recv(1 << 20), b""))
    assert b"[DONE]" not in received


def test_a_body_for_which_there_is_no_room_is_refused_for_now():
    limits = replace(SERVED, bodies=1000, bodies_of_caller=1000, pause_s=0.3)
    with running(Service(model=StandIn(), limits=limits)) as origin:
        answer = httpx.post(origin + PATH, json={"a": "x" * 2000})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert httpx.get(origin + "/v1/models").status_code == 200


def test_a_refused_body_leaves_the_connection_usable():
    with running(Service(model=StandIn(), key="right")) as origin, httpx.Client(base_url=origin) as client:
        for _ in range(3):
            assert client.post(PATH, json={"a": "x" * 2_000_000}).status_code == 401
        right = {"Authorization": "Bearer right"}
        assert client.post(PATH, json=body(), headers=right).status_code == 200


# --- turns


def asking(service: Service, name: str, peer: str) -> threading.Thread:
    data = json.dumps(body(f"{name} {tag()}")).encode()
    request = Request("POST", PATH, {"content-type": "application/json"}, data, peer=peer)
    thread = threading.Thread(target=service.handle, args=(request,), daemon=True)
    thread.start()
    return thread


def until(condition) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def waiting(service: Service) -> int:
    return service._engine._turns.waiting()


def test_callers_take_turns_whatever_they_have_waiting():
    model = StandIn(words=("a",), gate=threading.Semaphore(0))
    service = Service(model=model, at_once=1)
    threads = [asking(service, "first", FIRST)]
    until(lambda: len(model.asked) == 1)
    for n in range(6):
        threads.append(asking(service, "first", FIRST))
        until(lambda n=n: waiting(service) == n + 1)
    for n in range(2):
        threads.append(asking(service, "second", SECOND))
        until(lambda n=n: waiting(service) == n + 7)
    model.gate.release(20)
    for thread in threads:
        thread.join(20)
    order = [asked["prompt"] for asked in model.asked]
    assert order == ["first", "first", "second", "first", "second", "first", "first", "first", "first"]


def test_of_one_callers_bodies_one_is_read_at_a_time(monkeypatch):
    read, reading, go = request_body.read, [], threading.Semaphore(0)

    def slow(request: Request, *, seeded: bool):
        reading.append(request.peer)
        assert go.acquire(timeout=20)
        return read(request, seeded=seeded)

    monkeypatch.setattr(request_body, "read", slow)
    service = Service(model=StandIn())
    threads = [asking(service, "first", FIRST) for _ in range(5)]
    until(lambda: len(service._engine.reading) == 5)
    threads.append(asking(service, "second", SECOND))
    until(lambda: len(reading) == 2)
    assert reading == [FIRST, SECOND]
    go.release(6)
    for thread in threads:
        thread.join(20)
    assert len(reading) == 6
    assert len(service._engine.reading) == 0


def test_a_caller_with_none_running_does_not_wait_for_long_answers_of_another():
    model = StandIn(words=("a",), gate=threading.Semaphore(0))
    service = Service(model=model, at_once=2, limits=SERVED)
    threads = [asking(service, "first", FIRST) for _ in range(4)]
    until(lambda: len(model.asked) == 2 and waiting(service) == 2)
    threads.append(asking(service, "second", SECOND))
    until(lambda: len(model.asked) == 3)
    assert [asked["prompt"] for asked in model.asked] == ["first", "first", "second"]
    model.gate.release(10)
    for thread in threads:
        thread.join(20)
    assert len(model.asked) == 5


def test_more_waiting_questions_than_allowed_are_refused_and_cancelled_ones_do_not_count():
    model = StandIn(words=("a",), gate=threading.Semaphore(0))
    limits = replace(SERVED, waiting_of_caller=2, waiting=3, spare=0)
    service = Service(model=model, at_once=1, limits=limits)
    asking(service, "a", FIRST)
    until(lambda: len(model.asked) == 1)
    for n, peer in enumerate([FIRST, FIRST, SECOND]):
        asking(service, "a", peer)
        until(lambda n=n: waiting(service) == n + 1)
    kind, data = {"content-type": "application/json"}, json.dumps(body()).encode()
    own = service.handle(Request("POST", PATH, kind, data, peer=FIRST))
    all_ = service.handle(Request("POST", PATH, kind, data, peer=SECOND))
    assert (own.status, own.header("retry-after")) == (429, "2")
    assert (all_.status, all_.header("retry-after")) == (503, "2")
    assert b"2 questions waiting" in own.body
    model.gate.release(10)


@pytest.mark.parametrize(("path", "word"), [(PATH, b"Too Many Requests"), (CHAT, b"rate_limit_exceeded")])
def test_a_question_too_many_is_refused_by_its_head_alone(path: str, word: bytes):
    model = StandIn(words=("a",), gate=threading.Semaphore(0))
    service = Service(model=model, at_once=1, limits=replace(SERVED, waiting_of_caller=1, spare=0))
    head = Request("POST", path, {"content-type": "application/json", "content-length": "9999"}, peer=FIRST)
    asking(service, "a", FIRST)
    until(lambda: len(model.asked) == 1)
    assert service.admit(head).caller
    asking(service, "a", FIRST)
    until(lambda: waiting(service) == 1)
    with pytest.raises(Refusal) as refused:
        service.admit(head)
    reply = refused.value.reply
    assert (reply.status, reply.header("retry-after")) == (429, "2")
    assert b"1 questions waiting" in reply.body
    assert word in reply.body
    assert service.admit(replace(head, method="GET", target="/v1/models")).caller
    model.gate.release(10)


def test_reading_rests_between_two_bodies_of_one_caller(monkeypatch):
    turns, rests, inside, go = OneEach(rest=1e9), [], threading.Event(), threading.Event()
    clock = SimpleNamespace(
        sleep=rests.append,
        monotonic=time.monotonic,
        thread_time=iter([1.0, 1.1, 2.0, 2.1, 3.0, 3.1]).__next__,
    )
    monkeypatch.setattr("nbvlm.demo.service.turns.time", clock)

    def read(name: str) -> None:
        with turns.of(name):
            inside.set()
            assert go.wait(20)

    threads = [threading.Thread(target=read, args=("first",)) for _ in range(2)]
    threads[0].start()
    assert inside.wait(20)
    threads[1].start()
    until(lambda: len(turns) == 2)
    go.set()
    for thread in threads:
        thread.join(20)
    read("second")
    assert rests[0] == 0
    assert 0.4 < rests[1] <= 0.5
    assert rests[2] == 0


def test_a_question_whose_caller_left_frees_its_place():
    model = StandIn(words=("a",), gate=threading.Semaphore(0))
    service = Service(model=model, at_once=1, limits=replace(SERVED, waiting_of_caller=1))
    asking(service, "a", FIRST)
    until(lambda: len(model.asked) == 1)
    kind, data = {"content-type": "application/json"}, json.dumps(body()).encode()
    gone = Request("POST", PATH, kind, data, peer=FIRST)
    threading.Timer(0.1, gone.connection.close).start()
    assert service.handle(gone).status == 499
    assert waiting(service) == 0
    model.gate.release(10)


def test_of_large_pictures_one_is_worked_on_while_small_ones_go_on():
    model = StandIn(words=("a",), gate=threading.Semaphore(0))
    service = Service(model=model, at_once=2)
    large = f"large {tag(picture((2500, 2000), mode='1'))}"
    kind = {"content-type": "application/json"}
    for content in (large, large):
        request = Request("POST", PATH, kind, json.dumps(body(content)).encode(), peer=FIRST)
        threading.Thread(target=service.handle, args=(request,), daemon=True).start()
    until(lambda: len(model.asked) == 1 and waiting(service) == 1)
    small = asking(service, "small", SECOND)
    until(lambda: len(model.asked) == 2)
    assert [asked["prompt"] for asked in model.asked] == ["large", "small"]
    model.gate.release(10)
    small.join(20)
    until(lambda: len(model.asked) == 3)


# --- whose it is


def request(service, method, path, value=None, headers=None, *, peer="", data=b""):
    data = data or (b"" if value is None else json.dumps(value).encode())
    head = {"host": "demo.test", "content-type": "application/json", "content-length": str(len(data))}
    return service.handle(Request(method, path, head | dict(headers or {}), data, peer=peer))


def upload(service, headers=None, *, peer="") -> str:
    promise = json.loads(request(service, "POST", "/v2/nvcf/assets", WISH, headers, peer=peer).body)
    target = promise["uploadUrl"].removeprefix("http://demo.test")
    assert request(service, "PUT", target, headers=SIGNED, data=picture()).status == 200
    return promise["assetId"]


def key(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {name}"}


@pytest.mark.parametrize(
    ("keys", "mine", "other"),
    [
        (None, (None, FIRST), (None, SECOND)),
        ("one", (key("one"), FIRST), (key("one"), SECOND)),
        (["one", "two"], (key("one"), FIRST), (key("two"), FIRST)),
        (None, (None, "2001:db8::1"), (None, "2001:db8:1::1")),
    ],
)
def test_an_asset_belongs_to_who_made_it(keys, mine, other):
    service = Service(model=StandIn(), key=keys)
    id_ = upload(service, mine[0], peer=mine[1])
    path, content = f"/v2/nvcf/assets/{id_}", f'a <img src="data:image/png;asset_id,{id_}" />'
    used = {"nvcf-input-asset-references": id_}

    def statuses(caller):
        headers, peer = caller
        listed = json.loads(request(service, "GET", "/v2/nvcf/assets", None, headers, peer=peer).body)
        asked = request(service, "POST", PATH, body(content), {**(headers or {}), **used}, peer=peer)
        shown = request(service, "GET", path, None, headers, peer=peer)
        deleted = request(service, "DELETE", path, None, headers, peer=peer)
        return len(listed["assets"]), asked.status, shown.status, deleted.status

    assert statuses(other) == (0, 404, 404, 404)
    assert statuses(mine) == (1, 200, 200, 204)


def test_an_upload_url_is_signed_for_its_owner():
    service = Service(model=StandIn())
    promise = json.loads(request(service, "POST", "/v2/nvcf/assets", WISH, peer=FIRST).body)
    target = promise["uploadUrl"].removeprefix("http://demo.test")
    forged = target.replace("X-Amz-Credential=", "X-Amz-Credential=0")
    assert request(service, "PUT", forged, headers=SIGNED, data=b"a").status == 403


def test_a_key_follows_its_person_to_another_computer():
    service = Service(model=StandIn(), key=["one", "two"])
    id_ = upload(service, key("one"), peer=FIRST)
    listed = request(service, "GET", "/v2/nvcf/assets", None, key("one"), peer=SECOND).body
    assert id_ in listed.decode()


def test_an_answer_is_handed_to_who_asked():
    model = StandIn(gate=threading.Semaphore(0))
    service = Service(model=model)
    soon = {"nvcf-poll-seconds": "1"}
    id_ = request(service, "POST", PATH, body(), soon, peer=FIRST).header("nvcf-reqid")
    model.gate.release(len(WORDS))
    assert request(service, "GET", f"/v1/status/{id_}", peer=SECOND).status == 404
    assert request(service, "GET", f"/v1/status/{id_}", peer=FIRST).status == 200


def test_a_full_store_makes_room_at_the_cost_of_who_has_most():
    from nbvlm.demo.service.assets import Bucket

    service = Service(model=StandIn(), bucket=Bucket(capacity=2500, capacity_of_owner=2000))

    def put(size: int, peer: str) -> str:
        promise = json.loads(request(service, "POST", "/v2/nvcf/assets", WISH, peer=peer).body)
        target = promise["uploadUrl"].removeprefix("http://demo.test")
        assert request(service, "PUT", target, headers=SIGNED, data=b"a" * size).status == 200
        return promise["assetId"]

    first, second, other = put(900, FIRST), put(900, FIRST), put(1000, SECOND)
    assert request(service, "GET", f"/v2/nvcf/assets/{first}", peer=FIRST).status == 404
    assert request(service, "GET", f"/v2/nvcf/assets/{second}", peer=FIRST).status == 200
    assert request(service, "GET", f"/v2/nvcf/assets/{other}", peer=SECOND).status == 200


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("", "", True),
    ],
)
def test_a_computer_is_an_address_or_a_network_of_ipv6(one, two, same):
    assert (network(one) == network(two)) is same


def test_a_forwarded_address_is_not_believed():
    with running(Service(model=StandIn())) as origin:
        for address in ("192.0.2.1", "192.0.2.2"):
            headers = {"X-Forwarded-For": address}
            assert httpx.post(f"{origin}/v2/nvcf/assets", json=WISH, headers=headers).status_code == 200
            made = httpx.post(f"{origin}/v2/nvcf/assets", json=WISH, headers=headers).json()
            httpx.put(made["uploadUrl"], content=picture(), headers=SIGNED)
        assert len(httpx.get(f"{origin}/v2/nvcf/assets").json()["assets"]) == 2


# --- web pages


NAMES = {"localhost", "127.0.0.1", "::1"}


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000", "[::1]"])
def test_a_service_of_this_computer_answers_to_its_names(host):
    service = Service(model=StandIn(), hosts=NAMES)
    assert send(service, "GET", "/v1/models", None, {"host": host}).status == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "localhost.evil.example:80"])
def test_a_web_page_whose_name_points_here_is_refused(host):
    service = Service(model=StandIn(), hosts=NAMES)
    for method, path in (("GET", "/v1/models"), ("POST", PATH), ("DELETE", "/v2/nvcf/assets/a")):
        got = send(service, method, path, body(), {"host": host})
        assert (got.status, "--allow-host" in got.json["detail"]) == (403, True)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://demo.test:81"},
        {"origin": "http://["},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_page_of_another_site_is_refused(headers):
    model = StandIn()
    got = send(Service(model=model), "POST", PATH, body(), headers)
    assert (got.status, model.asked) == (403, [])


def test_requests_of_the_same_origin_and_of_no_page_are_answered():
    service = Service(model=StandIn())
    for headers in ({"origin": "http://demo.test"}, {"sec-fetch-site": "none"}, {}):
        assert send(service, "POST", PATH, body(), headers).status == 200


def test_only_a_service_of_this_computer_has_names_unless_they_are_given():
    with listen("127.0.0.1", 0) as own, listen("0.0.0.0", 0) as public:
        assert hosts(own) == NAMES
        assert hosts(own, "Lab") == NAMES | {"lab"}
        assert hosts(public) is None
        assert hosts(public, "lab.example") == NAMES | {"0.0.0.0", "lab.example"}
