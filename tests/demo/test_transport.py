from __future__ import annotations

import asyncio
import json
import threading
import time

import httpx
import pytest
from support.service_standin import PATH, WORDS, StandIn, body, picture

from nbvlm.demo.service.service import Service
from nbvlm.demo.transport import DemoTransport

URL = f"http://demo.nbvlm.localhost{PATH}"
WISH = {"contentType": "image/png", "description": "a"}
EVENTS = {"Accept": "text/event-stream"}


def transport(model: StandIn) -> DemoTransport:
    return DemoTransport(Service(model=model))


def text_of(payload: bytes) -> str:
    datas = [line[6:] for line in payload.decode().split("\n") if line.startswith("data: {")]
    return "".join(json.loads(data)["choices"][0]["delta"]["content"] for data in datas)


def test_a_plain_answer_has_text_and_true_token_counts():
    with httpx.Client(transport=transport(StandIn())) as client:
        answer = client.post(URL, json=body(), headers={"Accept": "application/json"})
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"] == {"role": "assistant", "content": "".join(WORDS)}
    assert answer.json()["usage"] == {"completion_tokens": 8, "prompt_tokens": 66, "total_tokens": 74}


def test_each_token_is_sent_when_it_is_computed():
    model = StandIn(gate=threading.Semaphore(1))
    seen = []
    with (
        httpx.Client(transport=transport(model)) as client,
        client.stream("POST", URL, json=body(stream=True), headers=EVENTS) as answer,
    ):
        for part in answer.iter_raw():
            seen.append(part)
            assert model.computed <= len(seen) + (len(seen) == len(WORDS))
            model.gate.release()
    assert text_of(b"".join(seen)) == "".join(WORDS)
    assert seen[-1] == b"data: [DONE]\n\n"


def test_closing_early_stops_the_computation_at_the_next_token():
    model = StandIn(words=("a",) * 1000, gate=threading.Semaphore(1))
    with (
        httpx.Client(transport=transport(model)) as client,
        client.stream("POST", URL, json=body(stream=True), headers=EVENTS) as answer,
    ):
        next(answer.iter_raw())
    model.gate.release()
    assert model.closed.wait(10)
    assert model.computed == 2


def test_another_thread_may_close_a_stream_that_waits_for_its_next_token():
    model = StandIn(gate=threading.Semaphore(1))
    with (
        httpx.Client(transport=transport(model)) as client,
        client.stream("POST", URL, json=body(stream=True), headers=EVENTS) as answer,
    ):
        parts = answer.iter_raw()
        next(parts)
        threading.Timer(0.05, answer.close).start()
        assert list(parts) == []
    model.gate.release()
    assert model.closed.wait(10)


def test_the_event_loop_runs_on_while_the_model_computes():
    model = StandIn(gate=threading.Semaphore(0))

    async def run() -> str:
        async with httpx.AsyncClient(transport=transport(model)) as client:
            asking = asyncio.create_task(client.post(URL, json=body(stream=True), headers=EVENTS))
            for _ in range(8):
                await asyncio.sleep(0)
                model.gate.release()
            return text_of((await asking).content)

    assert asyncio.run(run()) == "".join(WORDS)


def test_a_cancelled_task_stops_the_computation():
    model = StandIn(words=("a",) * 1000, gate=threading.Semaphore(3))

    async def run() -> None:
        async with httpx.AsyncClient(transport=transport(model)) as client:
            asking = asyncio.create_task(client.post(URL, json=body(), headers=EVENTS))
            while model.computed < 3:  # noqa: ASYNC110 - another thread counts
                await asyncio.sleep(0.001)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking

    asyncio.run(run())
    model.gate.release(2)
    assert model.closed.wait(10)
    assert model.computed <= 5


def test_an_early_exit_from_an_async_stream_stops_the_computation():
    model = StandIn(words=("a",) * 1000, gate=threading.Semaphore(1))

    async def run() -> None:
        async with (
            httpx.AsyncClient(transport=transport(model)) as client,
            client.stream("POST", URL, json=body(stream=True), headers=EVENTS) as answer,
        ):
            async for _ in answer.aiter_raw():
                break

    asyncio.run(run())
    model.gate.release()
    assert model.closed.wait(10)
    assert model.computed == 2


def test_many_at_once_all_get_their_answer():
    async def run() -> list[int]:
        async with httpx.AsyncClient(transport=DemoTransport(Service(model=PromptEcho()))) as client:
            answers = await asyncio.gather(*(client.post(URL, json=body()) for _ in range(64)))
            return [answer.status_code for answer in answers]

    assert asyncio.run(run()) == [200] * 64


class PromptEcho(StandIn):
    def stream(self, image, prompt, **parameters):
        return StandIn().stream(image, prompt, **parameters)


def test_the_read_timeout_of_the_client_holds():
    model = StandIn(gate=threading.Semaphore(0))
    client = httpx.Client(transport=transport(model), timeout=0.05)
    with client, pytest.raises(httpx.ReadTimeout):
        client.post(URL, json=body())
    model.gate.release(2)
    assert model.closed.wait(10)


def test_the_read_timeout_holds_in_an_event_loop():
    model = StandIn(gate=threading.Semaphore(1))

    async def run() -> None:
        client = httpx.AsyncClient(transport=transport(model), timeout=0.05)
        async with client:
            with pytest.raises(httpx.ReadTimeout):
                await client.post(URL, json=body(stream=True), headers=EVENTS)

    asyncio.run(run())
    model.gate.release(2)
    assert model.closed.wait(10)


def test_an_upload_is_taken_and_used():
    model = StandIn()
    origin = "http://demo.nbvlm.localhost"
    with httpx.Client(transport=transport(model)) as client:
        promised = client.post(f"{origin}/v2/nvcf/assets", json=WISH)
        asset = promised.json()
        headers = {"Content-Type": "image/png", "x-amz-meta-nvcf-asset-description": "a"}
        assert client.put(asset["uploadUrl"], content=picture((600, 400)), headers=headers).status_code == 200
        content = f'detect car <img src="data:image/png;asset_id,{asset["assetId"]}" />'
        references = {"NVCF-INPUT-ASSET-REFERENCES": asset["assetId"]}
        assert client.post(URL, json=body(content), headers=references).status_code == 200
        assert client.delete(f"{origin}/v2/nvcf/assets/{asset['assetId']}").status_code == 204
    assert model.asked[0]["size"] == (600, 400)


def test_a_body_above_the_limit_is_refused_without_being_kept():
    with httpx.Client(transport=transport(StandIn())) as client:
        head = {"Content-Type": "application/json"}
        answer = client.post(URL, content=(b" " * (1 << 20) for _ in range(26)), headers=head)
    assert answer.status_code == 413


def test_all_transports_share_one_service():
    assert DemoTransport().service is DemoTransport().service


def test_a_pace_holds_tokens_back_and_a_stop_does_not_wait_for_them():
    model = StandIn(words=("a",) * 5)
    service = Service(model=model)
    began = time.monotonic()
    with (
        httpx.Client(transport=DemoTransport(service, pace=50)) as client,
        client.stream("POST", URL, json=body(stream=True), headers=EVENTS) as answer,
    ):
        assert text_of(b"".join(answer.iter_raw())) == "aaaaa"
    assert time.monotonic() - began >= 5 / 50  # the first of six tokens is not held back
    with (
        httpx.Client(transport=DemoTransport(service, pace=0.001)) as client,
        client.stream("POST", URL, json=body(stream=True), headers=EVENTS) as answer,
    ):
        assert text_of(next(answer.iter_raw())) == "a"  # the next one would come after a quarter of an hour


def test_a_whole_answer_at_a_pace_is_asked_for_later():
    with httpx.Client(transport=DemoTransport(Service(model=StandIn(), pace=6))) as client:
        begun = client.post(URL, json=body(), headers={"NVCF-POLL-SECONDS": "1"})
        assert begun.status_code == 202
        ended = client.get(f"http://demo.nbvlm.localhost/v1/status/{begun.headers['nvcf-reqid']}")
    assert ended.json()["choices"][0]["message"]["content"] == "".join(WORDS)
