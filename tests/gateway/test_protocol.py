"""The gateway speaks as the hosted service and as an OpenAI-compatible server do, and asks one service."""

from __future__ import annotations

import json
import socket
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.gateway_running import Class, running
from support.service_standin import PATH, WORDS, StandIn, Word, body, data_uri, picture, tag

import nbvlm
from nbvlm import endpoints
from nbvlm.cli import endpoint_checks
from nbvlm.errors import (
    AuthenticationError,
    NotFoundError,
    ParameterError,
    QuotaError,
    RateLimitError,
    RequestRejected,
    ServerError,
    TransportError,
)
from nbvlm.gateway import upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENTS = {"Accept": "text/event-stream"}


@pytest.fixture(scope="module")
def lesson():
    with running() as started:
        yield started


@pytest.fixture(scope="module")
def token(lesson: Class) -> str:
    return lesson.join("Ada")


@pytest.fixture
def raw(lesson: Class, token: str):
    with httpx.Client(base_url=lesson.origin, headers={"Authorization": f"Bearer {token}"}) as client:
        yield client


@pytest.fixture
def student(lesson: Class, token: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NBVLM_GATEWAY", lesson.origin)
    with nbvlm.Client("gateway", api_key=token) as client:
        yield client


def test_a_student_asks_streams_and_uploads(student: nbvlm.Client, lesson: Class) -> None:
    result = student.ask(picture(), "detect car")
    assert (result.text, result.detections.labels) == ("".join(WORDS), ("car",))
    assert result.endpoint == "gateway"
    with student.stream(picture(), "detect car", max_tokens=3) as stream:
        pieces = [event.text for event in stream if isinstance(event, nbvlm.TextDelta)]
    assert pieces == list(WORDS[:3])
    assert stream.result.text == "".join(WORDS[:3])
    uploaded = student.ask(picture((50, 20)), "detect car", route="asset")
    assert (uploaded.route, lesson.model.asked[-1]["size"]) == ("asset", (50, 20))
    assert student.assets.list() == ()
    assert student.models() == ("google/paligemma",)


def test_the_parameters_and_the_words_arrive_as_they_were_sent(student: nbvlm.Client, lesson: Class) -> None:
    student.ask(picture(), "What <b>is</b> it?", temperature=0.5, max_tokens=7)
    asked = lesson.model.asked[-1]
    assert (asked["prompt"], asked["temperature"], asked["max_tokens"]) == ("What <b>is</b> it?", 0.5, 7)


def test_the_hosted_form_without_this_client(raw: httpx.Client) -> None:
    whole = raw.post(PATH, json=body())
    assert whole.json()["choices"][0]["message"]["content"] == "".join(WORDS)
    assert whole.headers["nvcf-status"] == "fulfilled"
    streamed = raw.post(PATH, json=body(stream=True), headers=EVENTS)
    assert streamed.content.endswith(b"data: [DONE]\n\n")
    assert b"event:" not in streamed.content
    refused = raw.post(PATH, json=body(temperature=7), headers=EVENTS)
    assert (refused.status_code, refused.json()["detail"][0]["loc"]) == (422, ["body", "temperature"])


def chat(prompt: str = "detect car", **more: Any) -> dict[str, Any]:
    content = [{"type": "image_url", "image_url": {"url": data_uri()}}, {"type": "text", "text": prompt}]
    return {"model": "google/paligemma", "messages": [{"role": "user", "content": content}]} | more


def test_openais_form(raw: httpx.Client) -> None:
    whole = raw.post("/v1/chat/completions", json=chat()).json()
    assert whole["choices"][0]["message"]["content"] == "".join(WORDS)
    streamed = raw.post("/v1/chat/completions", json=chat(stream=True))
    events = [json.loads(line[6:]) for line in streamed.text.split("\n\n") if line.startswith("data: {")]
    assert "".join(event["choices"][0]["delta"].get("content", "") for event in events) == "".join(WORDS)
    assert raw.get("/v1/models").json()["data"][0]["id"] == "google/paligemma"
    unknown = raw.post("/v1/chat/completions", json=chat(model="gpt"))
    assert (unknown.status_code, "google/paligemma" in unknown.json()["error"]["message"]) == (404, True)
    turns = chat()
    turns["messages"] *= 2
    assert "keeps no conversations" in raw.post("/v1/chat/completions", json=turns).json()["error"]["message"]


def test_a_long_answer_is_polled_by_its_student_only(monkeypatch: pytest.MonkeyPatch) -> None:
    model = StandIn(gate=threading.Semaphore(0))
    with running(model) as lesson:
        own, other = ({"Authorization": f"Bearer {lesson.join(name)}"} for name in ("Ada", "Emil"))
        with httpx.Client(base_url=lesson.origin) as client:
            first = client.post(PATH, json=body(), headers=own | {"NVCF-POLL-SECONDS": "1"})
            assert (first.status_code, first.content) == (202, b"")
            number = first.headers["nvcf-reqid"]
            assert client.get(f"/v1/status/{number}", headers=other).status_code == 404
            model.gate.release(len(WORDS))
            done = client.get(f"/v1/status/{number}", headers=own)
            assert done.json()["choices"][0]["message"]["content"] == "".join(WORDS)
            assert client.get(f"/v1/status/{number}", headers=own).status_code == 404


def test_each_piece_goes_on_when_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    model = StandIn(gate=threading.Semaphore(1))
    with running(model) as lesson, lesson.client("Ada", monkeypatch) as client:
        seen = []
        with client.stream(picture(), "detect car") as stream:
            for event in stream:
                if isinstance(event, nbvlm.TextDelta):
                    seen.append(event.text)
                    assert model.computed <= len(seen) + (len(seen) == len(WORDS))
                    model.gate.release()
        assert seen == list(WORDS)


def test_the_head_of_an_answer_comes_with_its_first_piece() -> None:
    model = StandIn(gate=threading.Semaphore(1))
    with running(model) as lesson:
        port = int(lesson.origin.rpartition(":")[2])
        asked = json.dumps(chat(stream=True)).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(asked)}\r\n"
            f"Authorization: Bearer {lesson.join('Ada')}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", port), 20) as plug:
            plug.sendall(head.encode() + asked)
            first = plug.recv(65536)
            model.gate.release(len(WORDS))
    assert first.startswith(b"HTTP/1.1 200 ")
    assert b'"role":"assistant"' in first
    assert json.dumps(WORDS[0]).encode() in first


def test_pictures_are_decoded_one_at_a_time_while_others_are_answered(
    raw: httpx.Client, lesson: Class, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared, inside, go = upstream._prepared, [], threading.Semaphore(0)

    def slow(*given: Any) -> Any:
        inside.append(threading.current_thread().name)
        assert go.acquire(timeout=20)
        return prepared(*given)

    monkeypatch.setattr(upstream, "_prepared", slow)
    statuses: list[int] = []
    other = {"Authorization": f"Bearer {lesson.join('Emil')}"}

    def ask(mode: str, headers: dict[str, str]) -> None:
        content = f"detect car {tag(picture((60, 40), mode=mode))}"
        statuses.append(raw.post(PATH, json=body(content), headers=headers).status_code)

    threads = [threading.Thread(target=ask, args=("P", {})) for _ in range(2)]
    for thread in threads:
        thread.start()
    while not inside or lesson.gateway.dispatcher.queue.under_way < 2:
        time.sleep(0.005)
    ask("RGB", other)
    assert (len(inside), statuses) == (1, [200])
    go.release(2)
    for thread in threads:
        thread.join(20)
    assert statuses == [200] * 3
    assert all(name.startswith("nbvlm-pool") for name in inside)


def test_a_student_who_leaves_stops_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    model = StandIn(words=("word ",) * 1000, gate=threading.Semaphore(2))
    with running(model) as lesson, lesson.client("Ada", monkeypatch) as client:
        with client.stream(picture(), "detect car") as stream:
            next(event for event in stream if isinstance(event, nbvlm.TextDelta))
        while not model.closed.wait(0.02):
            model.gate.release()
        assert model.computed < 1000
        rows = lesson.gateway.store.read("SELECT status FROM usage")
        assert rows == [("left",)]


def test_a_stream_under_way_is_finished_when_the_gateway_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    model = StandIn(gate=threading.Semaphore(1))
    with running(model) as lesson:
        monkeypatch.setenv("NBVLM_GATEWAY", lesson.origin)
        client = nbvlm.Client("gateway", api_key=lesson.join("Ada"))
        stream = client.stream(picture(), "detect car")
        events = iter(stream)
        next(event for event in events if isinstance(event, nbvlm.TextDelta))
        collected: list[Any] = []
        reader = threading.Thread(target=lambda: collected.extend(events))
        reader.start()
        release = threading.Timer(
            0.3, model.gate.release, (len(WORDS),)
        )  # when the gateway is ending already
        release.start()
    reader.join(20)
    assert stream.result.text == "".join(WORDS)
    client.close()


def test_a_failure_of_the_service_is_a_sentence_without_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLASS_KEY", "nvapi-the-key-of-the-class")
    model = StandIn(error=RuntimeError("out of memory"))
    with (
        running(model, upstream={"key_from": "CLASS_KEY"}) as lesson,
        lesson.client("Ada", monkeypatch) as client,
    ):
        with pytest.raises(ServerError) as caught:
            client.ask(picture(), "detect car")
        assert "CLASS" not in str(caught.value)
        assert "nvapi" not in repr(lesson.gateway.upstream.describe())
        assert next(iter(lesson.gateway.dispatcher.errors))[1].startswith("502 ")


@dataclass(frozen=True)
class Caveat(Word):
    notice: str = "This picture is unlike the model's world; its answer may be wrong."
    model: str = "nbvlm/demo-photos"


class Doubtful(StandIn):
    """Says with the first word how far to trust the answer."""

    def stream(self, image: Any, prompt: str, **parameters: Any) -> Iterator[Word]:
        words = super().stream(image, prompt, **parameters)
        yield Caveat(next(words).text)
        yield from words


def test_a_caveat_reaches_everybody_who_gets_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(Doubtful(gate=threading.Semaphore(0)), upstream={"at_once": 1}) as lesson:
        first, second = lesson.client("Ada", monkeypatch), lesson.client("Emil", monkeypatch)
        results: list[nbvlm.Result] = []

        def ask(client: nbvlm.Client, prompt: str) -> None:
            with client.stream(picture(), prompt, temperature=0.01) as stream:
                for _ in stream:
                    pass
            results.append(stream.result)

        # The third waits in line, so that the head of its answer goes before the caveat is known.
        asks = [(first, "detect car"), (second, "detect car"), (second, "detect tree")]
        threads = [threading.Thread(target=ask, args=one) for one in asks]
        for number, thread in enumerate(threads, 1):
            thread.start()
            while len(lesson.gateway.dispatcher.recent) < number:
                time.sleep(0.005)
        time.sleep(1.2)
        lesson.model.gate.release(1000)
        for thread in threads:
            thread.join(20)
        results.append(second.ask(picture(), "detect car", temperature=0.01))
        for result in results:
            assert any("unlike the model's world" in notice for notice in result.notices)
        assert {result.model for result in results} == {"nbvlm/demo-photos"}


# The client finds it


def test_one_variable_names_the_gateway_and_the_client_says_so(
    lesson: Class, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBVLM_GATEWAY", lesson.origin + "/")
    monkeypatch.setenv("NBVLM_GATEWAY_TOKEN", token)
    with nbvlm.Client() as client:
        assert (client.endpoint.name, client.endpoint.model) == ("gateway", "google/paligemma")
        assert client.endpoint.base_url == lesson.origin
        assert lesson.origin in repr(client)
        assert "NBVLM_GATEWAY" in repr(client)
        assert token not in repr(client)
        assert client.ask(picture(), "detect car").text == "".join(WORDS)
    assert nbvlm.Client("demo").endpoint.name == "demo"
    assert nbvlm.Client("nvidia").endpoint.name == "nvidia"
    assert nbvlm.Client(api_key="nvapi-an-own-one").endpoint.name == "nvidia"
    with pytest.raises(ParameterError, match="takes no model"):
        nbvlm.Client("gateway", model="x")


def test_without_a_gateway_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ParameterError, match="NBVLM_GATEWAY is empty"):
        nbvlm.Client("gateway")
    for given in ("ftp://x", "http://", "http://u:p@127.0.0.1:1", "http://127.0.0.1:x"):
        monkeypatch.setenv("NBVLM_GATEWAY", given)
        with pytest.raises(ParameterError, match="is not an address"):
            nbvlm.Client()
    monkeypatch.setenv("NBVLM_GATEWAY", "http://192.0.2.7:8000")
    with pytest.raises(ParameterError, match="Plain http"):
        nbvlm.Client()
    monkeypatch.setenv("NBVLM_GATEWAY", "http://127.0.0.1:1")
    with pytest.raises(TransportError, match="does not respond"):
        nbvlm.Client()


def test_another_service_is_not_taken_for_a_gateway(lesson: Class, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBVLM_GATEWAY", f"{lesson.origin}/somewhere")
    with pytest.raises(NotFoundError, match="not an nbvlm gateway"):
        nbvlm.Client()
    for facts in ({}, [], None, {"model": "x", "dialect": "z"}, {"model": "x", "dialect": "openai"}):
        with pytest.raises(NotFoundError):
            endpoints.described("http://127.0.0.1:1", facts)


def test_the_token_of_a_hub_goes_to_its_own_hub_only(lesson: Class, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "the-token-of-the-server")
    monkeypatch.setenv("NBVLM_GATEWAY", lesson.origin)
    assert nbvlm.Client().settings.api_key is None
    monkeypatch.setenv("NBVLM_GATEWAY", f"jupyterhub+{lesson.origin}")
    assert nbvlm.Client().settings.key_source == "JUPYTERHUB_API_TOKEN"


def test_the_doctor_says_who_you_are_and_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(endpoint_checks.gateway(5)) == []
    with running(quota={"per_minute": 0, "per_day": 1}) as lesson:
        monkeypatch.setenv("NBVLM_GATEWAY", lesson.origin)
        reached, missing = endpoint_checks.gateway(5)
        assert (reached.state, missing.state) == ("ok", "problem")
        assert reached.found == f"{lesson.origin} responds and asks google/paligemma"
        assert "nbvlm.login(" in missing.advice
        monkeypatch.setenv("NBVLM_GATEWAY_TOKEN", "a-wrong-one")
        assert [finding.state for finding in endpoint_checks.gateway(5)] == ["ok", "problem"]
        token = lesson.join("Ada")
        monkeypatch.setenv("NBVLM_GATEWAY_TOKEN", token)
        _, standing = endpoint_checks.gateway(5)
        assert (standing.state, standing.found) == ("ok", "Ada, student; 1 of 1 questions of today left")
        with nbvlm.Client() as client:
            client.ask(picture(), "detect car")
        _, standing = endpoint_checks.named("gateway", 5)
        assert (standing.state, standing.found) == ("note", "Ada, student; 0 of 1 questions of today left")
        lesson.gateway.register.change(lesson.gateway.register.named("Ada"), blocked=True)
        _, standing = endpoint_checks.gateway(5)
        assert "Your teacher has blocked your questions" in standing.found
        assert token not in repr(list(endpoint_checks.gateway(5)))
        address = lesson.origin
    [gone] = endpoint_checks.gateway(5)
    assert (gone.state, address in gone.found) == ("problem", True)


def test_code_and_name_become_a_token(lesson: Class, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBVLM_GATEWAY", lesson.origin)
    joins = lesson.gateway.joins
    nbvlm.login(f"{joins.class_code.lower()}: Noor B ", "gateway")
    try:
        with nbvlm.Client() as client:
            assert client.ask(picture(), "detect car").text == "".join(WORDS)
            assert client.settings.key_source == "login()"
        assert lesson.gateway.register.named("noor b").name == "Noor B"
        with pytest.raises(AuthenticationError, match="taken"):
            nbvlm.login(f"{joins.class_code}:NOOR B", "gateway")
        with pytest.raises(AuthenticationError, match="not the code"):
            nbvlm.login("wrong:Emil", "gateway")
    finally:
        from nbvlm.client import keys

        keys.forget()


def test_code_of_an_answer_opens_the_gateway_again(student: nbvlm.Client) -> None:
    result = student.ask(picture(), "detect car")
    assert 'nbvlm.Client("gateway")' in result.to_python()
    curl = result.to_curl()
    assert "${NBVLM_GATEWAY#jupyterhub+}/v1/chat/completions" in curl
    assert "nbc-" not in curl + result.to_python()


# What is refused


def test_wrong_tokens_and_pages_of_other_sites(lesson: Class, raw: httpx.Client) -> None:
    with httpx.Client(base_url=lesson.origin) as anyone:
        assert anyone.get("/v1/gateway").json()["model"] == "google/paligemma"
        assert anyone.post(PATH, json=body()).status_code == 401
        for scheme in ("Bearer nbc-wrong", "Basic x", "Bearer " + "x" * 5000):
            assert anyone.post(PATH, json=body(), headers={"Authorization": scheme}).status_code == 401
    for page in (
        {"Origin": "https://elsewhere.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
    ):
        assert raw.post(PATH, json=body(), headers=page).status_code == 403
    assert raw.post(PATH, json=body(), headers={"Host": "evil.example"}).status_code == 403
    assert raw.post(PATH, content=b"{}", headers={"Content-Type": "text/plain"}).status_code == 415


def test_many_wrong_tokens_close_the_door_of_one_computer(monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as lesson, httpx.Client(base_url=lesson.origin) as anyone:
        statuses = [
            anyone.get("/v1/models", headers={"Authorization": f"Bearer nbc-{number}"}).status_code
            for number in range(62)
        ]
        right = {"Authorization": f"Bearer {lesson.join('Ada')}"}
        assert anyone.get("/v1/models", headers=right).status_code == 200
    assert statuses == [401] * 60 + [429] * 2


@pytest.mark.parametrize(
    "path",
    [
        "/v1/../teacher/usage.csv",
        "/v1/models/..%2f..%2fetc",
        "/v1/vlm/../../x",
        "/s3/assets/%2e%2e",
        "/v2/nvcf/assets/%00",
    ],
)
def test_tricks_with_paths_find_nothing(raw: httpx.Client, path: str, lesson: Class) -> None:
    request = raw.build_request("GET", "/")
    request.url = httpx.URL(lesson.origin + path)
    assert raw.send(request).status_code in (400, 403, 404, 405)


def test_questions_that_end_before_they_begin_free_their_place(raw: httpx.Client) -> None:
    for _ in range(10):
        assert raw.post(PATH, json=body(), headers={"NVCF-POLL-SECONDS": "0"}).status_code == 400
    assert raw.post(PATH, json=body()).status_code == 200


def test_texts_that_utf_8_cannot_hold_and_forms_without_end_are_no_failures(raw: httpx.Client) -> None:
    wish = b'{"contentType": "image/png", "description": "\\ud800"}'
    made = raw.post("/v2/nvcf/assets", content=wish, headers={"Content-Type": "application/json"})
    assert made.json()["description"] == "?"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert raw.post("/join", content=b"&a=" * 1000, headers=kind).status_code == 400


def test_large_bodies_and_damaged_pictures(raw: httpx.Client) -> None:
    huge = raw.post(PATH, content=b" " * (26 << 20), headers={"Content-Type": "application/json"})
    assert huge.status_code == 413
    for content in (f"detect car {tag(b'GIF89a')}", "detect car", f"x {tag()} {tag()}"):
        answer = raw.post(PATH, json=body(content), headers=EVENTS)
        assert answer.status_code == 422
    assert raw.post(PATH, content=b"[" * 99, headers={"Content-Type": "application/json"}).status_code == 422
    assert raw.post(PATH, json=body()).status_code == 200


def test_assets_belong_to_their_student(lesson: Class, raw: httpx.Client, student: nbvlm.Client) -> None:
    asset = student.assets.upload(picture())
    stranger = {"Authorization": f"Bearer {lesson.join('Stranger')}"}
    assert httpx.get(f"{lesson.origin}/v2/nvcf/assets/{asset.id}", headers=stranger).status_code == 404
    content = f'detect car <img src="data:image/png;asset_id,{asset.id}" />'
    used = {"NVCF-INPUT-ASSET-REFERENCES": asset.id}
    assert httpx.post(lesson.origin + PATH, json=body(content), headers=stranger | used).status_code == 404
    assert raw.post(PATH, json=body(content), headers=used).status_code == 200
    student.assets.delete(asset)


# Quotas


def test_quotas_are_sentences_and_the_rest_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        running(quota={"per_minute": 0, "per_day": 2}) as lesson,
        lesson.client("Ada", monkeypatch) as client,
    ):
        left = []
        for _ in range(2):
            with client.stream(picture(), "detect car") as stream:
                left += [
                    (event.done, event.total) for event in stream if getattr(event, "kind", "") == "quota"
                ]
        assert left == [(1, 2), (0, 2)]
        with pytest.raises(QuotaError, match="You have used your 2 questions of today") as caught:
            client.ask(picture(), "detect car")
        assert caught.value.hint == "Ask your teacher for more."
        assert lesson.client("Emil", monkeypatch).ask(picture(), "detect car").text


def test_too_many_in_a_minute_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        running(quota={"per_minute": 1, "per_day": 0}) as lesson,
        lesson.client("Ada", monkeypatch) as client,
    ):
        client.ask(picture(), "detect car")
        with pytest.raises(RateLimitError, match="within a minute") as caught:
            client.ask(picture(), "detect car")
        assert 50 < caught.value.retry_after <= 62


# One asking for the same


def together(lesson: Class, monkeypatch: pytest.MonkeyPatch, names: str, **options: Any) -> list[str]:
    """Let several students ask the same while the model waits; return their answers."""
    answers: list[str] = []
    clients = [lesson.client(name, monkeypatch) for name in names]
    threads = [
        threading.Thread(
            target=lambda one=one: answers.append(one.ask(picture(), "detect car", **options).text)
        )
        for one in clients
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 20
    while len(lesson.gateway.dispatcher.recent) < len(names) and time.monotonic() < deadline:
        time.sleep(0.01)
    lesson.model.gate.release(1000)
    for thread in threads:
        thread.join(20)
    return answers


def test_the_same_greedy_question_is_asked_once_and_then_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(StandIn(gate=threading.Semaphore(0))) as lesson:
        answers = together(lesson, monkeypatch, "abcde", temperature=0.01)
        assert answers == ["".join(WORDS)] * 5
        assert len(lesson.model.asked) == 1
        again = lesson.client("f", monkeypatch).ask(picture(), "detect car", temperature=0.01)
        assert (again.text, len(lesson.model.asked)) == ("".join(WORDS), 1)
        tokens = [
            lesson.gateway.dispatcher.quotas.used(person)[1] for person in lesson.gateway.register.all()
        ]
        assert sorted(map(bool, tokens)) == [False] * 5 + [True]
        other = lesson.client("g", monkeypatch).ask(picture((41, 30)), "detect car", temperature=0.01)
        assert (other.text, len(lesson.model.asked)) == ("".join(WORDS), 2)


def test_chance_stays_with_each_student(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(StandIn(gate=threading.Semaphore(0))) as lesson:
        assert len(together(lesson, monkeypatch, "abc")) == 3
        assert len(lesson.model.asked) == 3


def test_within_a_chosen_time_chance_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(StandIn(gate=threading.Semaphore(0)), sharing={"within_s": 30}) as lesson:
        assert len(together(lesson, monkeypatch, "abc")) == 3
        assert len(lesson.model.asked) == 1


# The line


def test_a_student_in_line_sees_the_place_and_turns_are_fair(monkeypatch: pytest.MonkeyPatch) -> None:
    model = StandIn(gate=threading.Semaphore(0))
    with running(model, upstream={"at_once": 1}) as lesson:
        greedy, modest = lesson.client("Greedy", monkeypatch), lesson.client("Modest", monkeypatch)
        order: list[str] = []
        statuses: list[nbvlm.Status] = []

        def note(event: Any, client: nbvlm.Client) -> None:
            if isinstance(event, nbvlm.Status) and client is modest:
                statuses.append(event)

        def ask(client: nbvlm.Client, prompt: str) -> None:
            with client.stream(picture(), prompt) as stream:
                for event in stream:
                    note(event, client)
            order.append(prompt)

        threads = []
        for client, prompt in [
            *((greedy, f"detect {number}") for number in range(4)),
            (modest, "detect mine"),
        ]:
            threads.append(threading.Thread(target=ask, args=(client, prompt)))
            threads[-1].start()
            wanted = len(threads)
            while len(lesson.gateway.dispatcher.recent) < wanted:
                time.sleep(0.005)
        while not any(status.kind == "queued" for status in statuses):
            time.sleep(0.01)
        model.gate.release(1000)
        for thread in threads:
            thread.join(20)
        queued = [status for status in statuses if status.kind == "queued"]
        assert (queued[0].done, queued[0].total) == (1, 4)  # the greedy one had a turn already
        assert order.index("detect mine") <= 1


def test_too_many_waiting_questions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = StandIn(gate=threading.Semaphore(0))
    with running(model, upstream={"at_once": 1}, limits={"waiting_of_student": 1}) as lesson:
        client = lesson.client("Ada", monkeypatch)
        threads = []
        for number in range(2):
            threads.append(threading.Thread(target=client.ask, args=(picture(), f"detect {number}")))
            threads[-1].start()
            while len(lesson.gateway.dispatcher.recent) <= number:
                time.sleep(0.005)
        with pytest.raises(RateLimitError, match="1 questions waiting"):
            client.ask(picture(), "detect 9")
        model.gate.release(1000)
        for thread in threads:
            thread.join(20)


def test_the_books_survive_a_restart(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store = {"file": str(tmp_path / "class.sqlite")}
    quota = {"per_minute": 0, "per_day": 3}
    with running(store=store, quota=quota) as lesson:
        token = lesson.join("Ada")
        monkeypatch.setenv("NBVLM_GATEWAY", lesson.origin)
        nbvlm.Client("gateway", api_key=token).ask(picture(), "detect car")
        with pytest.raises(nbvlm.Error, match="Another gateway uses"), running(store=store):
            pass
    assert (tmp_path / "class.sqlite").stat().st_mode & 0o077 == 0
    assert token.encode() not in (tmp_path / "class.sqlite").read_bytes()
    with running(store=store, quota=quota) as lesson:
        monkeypatch.setenv("NBVLM_GATEWAY", lesson.origin)
        client = nbvlm.Client("gateway", api_key=token)
        client.ask(picture(), "detect car")
        assert lesson.gateway.dispatcher.quotas.left(lesson.gateway.register.named("Ada")) == (1, 3)


def test_a_refused_request_of_the_student_is_said_in_full(student: nbvlm.Client, raw: httpx.Client) -> None:
    answer = raw.post(PATH, json=body(f"{'x' * 7000} {tag()}"), headers=EVENTS)
    assert answer.status_code == 422
    with pytest.raises(RequestRejected):
        student.ask(picture(), "x" * 7000)


def test_heads_and_bodies_that_do_not_come_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    from nbvlm.gateway import running as module

    monkeypatch.setattr(module, "SERVED", replace(module.SERVED, head_s=0.2, pause_s=0.2, body_s=0.4))
    with running() as lesson:
        head = f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {lesson.join('Ada')}\r\n"
        slow = (
            "GET /v1/models HTTP/1.1\r\nX-Slow",
            f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{",
        )
        for sent in slow:
            address = httpx.URL(lesson.origin)
            with socket.create_connection((address.host, address.port), timeout=10) as plug:
                plug.sendall(sent.encode())
                assert plug.recv(100).startswith(b"HTTP/1.1 408")
        assert lesson.client("Emil", monkeypatch).ask(picture(), "detect car").text == "".join(WORDS)
