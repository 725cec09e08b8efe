"""Waiting: polls, limits, tries, redirects."""

from __future__ import annotations

import gzip
import io
import socket
import time
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from support.loopback import Loopback, Reply, answer, delta, problem, stream
from support.sides import LARGE, SCENE

import nbvlm
from nbvlm.client import Retry, Timeouts
from nbvlm.client.flow import inference

if TYPE_CHECKING:
    from collections.abc import Callable

    Open = Callable[..., Any]

POLL = "GET /v1/status/11111111-2222-3333-4444-555555555555"


def accepted() -> Reply:
    return Reply(202, {"nvcf-reqid": "11111111-2222-3333-4444-555555555555", "nvcf-status": "in-progress"})


@pytest.fixture(autouse=True)
def _quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "POLL_GAP", 0.05)


def test_202_is_polled_until_the_answer_comes(side: Any, server: Loopback) -> None:
    server.replies.append(accepted())
    server.poll_replies.extend([accepted(), accepted(), answer("a red car")])
    statuses: list[Any] = []
    assert side.ask(SCENE, "caption en", progress=statuses.append).text == "a red car"
    assert server.paths()[1:] == [POLL] * 3
    poll = server.seen[-1].headers
    assert (poll["accept"], poll["nvcf-poll-seconds"]) == ("application/json", "60")
    assert "authorization" in poll
    assert "nvcf-input-asset-references" not in poll
    assert [status.kind for status in statuses] == ["waiting", "queued", "queued", "queued"]


def test_202_in_a_stream(side: Any, server: Loopback) -> None:
    server.replies.append(accepted())
    server.poll_replies.extend([accepted(), stream("a red", " car", delta("", "stop"))])
    assert side.stream(LARGE, "caption en").result.text == "a red car"
    assert [seen.headers["accept"] for seen in server.seen if seen.path.startswith("/v1/status")] == (
        ["text/event-stream"] * 2
    )
    assert server.stored == {}


def test_polls_keep_their_distance(side: Any, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "POLL_GAP", 0.2)
    server.replies.append(accepted())
    server.poll_replies.extend([accepted(), answer("a red car")])
    began = time.monotonic()
    side.ask(SCENE, "caption en")
    assert time.monotonic() - began >= 0.2


def test_a_poll_for_a_request_that_is_over_says_so(side: Any, server: Loopback) -> None:
    server.replies.append(accepted())
    with pytest.raises(nbvlm.NotFoundError, match="no such request") as caught:
        side.ask(SCENE, "caption en")
    assert "over" in str(caught.value)


def test_polls_end_with_the_total(open_side: Open, server: Loopback) -> None:
    server.replies.append(accepted())
    server.poll_replies.extend([accepted()] * 100)
    side = open_side(timeout=Timeouts(total=0.3))
    with pytest.raises(nbvlm.TimeoutError, match=r"exchange did not end within 0\.3 s"):
        side.ask(SCENE, "caption en")


def test_202_without_an_id_is_an_error(side: Any, server: Loopback) -> None:
    server.replies.append(Reply(202))
    with pytest.raises(nbvlm.ServerError, match="no id"):
        side.ask(SCENE, "caption en")


def test_an_id_that_would_change_the_path_is_refused(side: Any, server: Loopback) -> None:
    server.replies.append(Reply(202, {"nvcf-reqid": "../../v2/nvcf/assets"}))
    with pytest.raises(nbvlm.ServerError, match="no id"):
        side.ask(SCENE, "caption en")


def test_a_result_elsewhere_is_fetched_without_the_key(side: Any, server: Loopback) -> None:
    server.replies.append(Reply(302, {"location": f"{server.url}/storage/account/result?X-Amz-Signature=s"}))
    assert side.ask(SCENE, "caption en").text == "a red car"
    assert "authorization" not in server.seen[-1].headers
    assert side.client.requests[-1].path == "(signed)"


def test_a_result_elsewhere_may_be_an_archive(side: Any, server: Loopback) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("11111111.response", answer("a red car").body)
        archive.writestr("mask.png", b"...")
    server.replies.append(Reply(302, {"location": f"{server.url}/storage/account/result"}))
    server.result = file.getvalue()
    assert side.ask(SCENE, "caption en").text == "a red car"


@pytest.mark.parametrize(
    ("status", "location"),
    [(301, "/elsewhere"), (307, "https://evil.example/"), (302, "http://evil.example/x"), (302, "")],
)
def test_other_redirects_are_not_followed(side: Any, server: Loopback, status: int, location: str) -> None:
    server.replies.append(Reply(status, {"location": location}))
    with pytest.raises(nbvlm.TransportError, match="redirects"):
        side.ask(SCENE, "caption en")
    assert len(server.seen) == 1


def test_connect_has_its_limit(open_side: Open) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for other in waiting:
            other.setblocking(False)
            other.connect_ex(("127.0.0.1", port))
        side = open_side(
            base_url=f"http://127.0.0.1:{port}", timeout=Timeouts(connect=0.1), retry=Retry.never()
        )
        with pytest.raises(nbvlm.TimeoutError, match=r"connect=…"):
            side.ask(SCENE, "caption en")
        for other in waiting:
            other.close()


def test_upload_has_its_limit(open_side: Open, server: Loopback) -> None:
    server.storage_replies.append(Reply(wait=60.0))
    side = open_side(timeout=Timeouts(upload=0.2))
    with pytest.raises(nbvlm.TimeoutError, match=r"The upload .* within 0\.2 s.*upload=…"):
        side.ask(LARGE, "caption en")


def test_first_token_has_its_limit_before_the_head(open_side: Open, server: Loopback) -> None:
    server.replies.append(Reply(wait=60.0))
    side = open_side(timeout=Timeouts(first_token=0.2))
    with pytest.raises(nbvlm.TimeoutError, match=r"No answer began within 0\.2 s.*first_token=…"):
        side.stream(SCENE, "caption en")
    assert len(server.seen) == 1


def test_first_token_has_its_limit_after_the_head(open_side: Open, server: Loopback) -> None:
    server.replies.append(stream(b": still thinking\n\n", 0.1, b": still thinking\n\n", 60.0))
    side = open_side(timeout=Timeouts(first_token=0.3, between_tokens=0.05))
    with pytest.raises(nbvlm.TimeoutError, match="No answer began"):
        side.stream(SCENE, "caption en")


def test_a_slow_first_token_is_no_slow_token(open_side: Open, server: Loopback) -> None:
    server.replies.append(stream(0.8, "a red", " car"))
    side = open_side(timeout=Timeouts(first_token=30, between_tokens=0.5))
    assert side.stream(SCENE, "caption en").text == "a red car"


@pytest.mark.parametrize("between", [[60.0], [b": ping\n\n", 0.1] * 20], ids=["silence", "pings"])
def test_between_tokens_has_its_limit(open_side: Open, server: Loopback, between: list[Any]) -> None:
    server.replies.append(stream("a red", *between, " car"))
    side = open_side(timeout=Timeouts(first_token=30, between_tokens=0.3))
    with pytest.raises(nbvlm.TimeoutError, match=r"No further piece.*within 0\.3 s.*between_tokens=…"):
        side.stream(SCENE, "caption en")


def test_total_has_its_limit_though_tokens_come(open_side: Open, server: Loopback) -> None:
    server.replies.append(stream(*["a", 0.1] * 50))
    side = open_side(timeout=Timeouts(total=0.4))
    with pytest.raises(nbvlm.TimeoutError, match="total=…"):
        side.stream(SCENE, "caption en")


def test_a_consumer_may_take_its_time(open_side: Open, server: Loopback) -> None:
    server.replies.append(stream("a red", 0.05, " car"))
    side = open_side(timeout=Timeouts(between_tokens=0.5))
    assert side.stream(SCENE, "caption en", each=lambda event, s: time.sleep(0.7)).text == "a red car"


def test_done_ends_the_answer_though_the_response_stays_open(side: Any, server: Loopback) -> None:
    server.replies.append(stream("a red", " car", hold=True))
    began = time.monotonic()
    assert side.stream(SCENE, "caption en").result.text == "a red car"
    assert time.monotonic() - began < 5


def test_offline_for_hours_fails_at_once(side: Any, server: Loopback) -> None:
    server.replies.append(problem(503, "The model is offline for maintenance.", retry_after="10800"))
    with pytest.raises(nbvlm.ServerError, match="offline for maintenance") as caught:
        side.ask(SCENE, "caption en")
    assert "3 hours" in str(caught.value)
    assert [seen.method for seen in server.seen] == ["POST", "GET"]  # the second lists other models


def test_retry_after_is_honoured(side: Any, server: Loopback) -> None:
    server.replies.append(problem(429, retry_after="1"))
    statuses: list[Any] = []
    side.ask(SCENE, "caption en", progress=statuses.append)
    assert [status.seconds for status in statuses if status.kind == "retry"] == [1.0]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 410, 422])
def test_what_will_not_change_is_not_tried_again(side: Any, server: Loopback, status: int) -> None:
    server.replies.append(problem(status))
    with pytest.raises(nbvlm.Error):
        side.ask(SCENE, "caption en")
    assert [seen.method for seen in server.seen if seen.path != "/v1/models"] == ["POST"]


def test_tries_are_counted(open_side: Open, server: Loopback) -> None:
    server.replies.extend([problem(502)] * 9)
    side = open_side(retry=Retry(attempts=3, first=0.01))
    with pytest.raises(nbvlm.ServerError):
        side.ask(SCENE, "caption en")
    assert len(server.seen) == 3


def test_no_connection_is_one_clear_sentence(open_side: Open) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        side = open_side(base_url=f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(nbvlm.TransportError, match=r"No connection to 127\S+ \(Connection refused\)\."):
            side.ask(SCENE, "caption en")


def test_an_unknown_host_is_one_clear_sentence(open_side: Open) -> None:
    side = open_side(base_url="https://nowhere.invalid")
    with pytest.raises(nbvlm.TransportError, match=r"No connection to nowhere\.invalid \("):
        side.ask(SCENE, "caption en")


def test_an_idle_connection_that_was_closed_is_not_used(side: Any, server: Loopback) -> None:
    server.replies.append(answer("a red car", cut=True))
    side.ask(SCENE, "caption en")
    assert server.wait_for(lambda: server.open == 0)
    statuses: list[Any] = []
    assert side.ask(SCENE, "caption en", progress=statuses.append).text == "a red car"
    assert [status.kind for status in statuses] == ["waiting"]


def test_an_answer_in_json_to_a_stream_request_is_an_answer(side: Any, server: Loopback) -> None:
    server.replies.append(answer("a red car"))
    assert side.stream(SCENE, "caption en").result.text == "a red car"


def test_a_stream_in_answer_to_ask_is_an_answer(side: Any, server: Loopback) -> None:
    server.replies.append(stream("a red", " car"))
    assert side.ask(SCENE, "caption en").text == "a red car"


def test_a_page_of_something_else_is_no_answer(side: Any, server: Loopback) -> None:
    page = Reply(headers={"content-type": "text/html"}, body=b"<html><title>Welcome</title></html>")
    server.replies.append(page)
    with pytest.raises(nbvlm.ServerError, match="not the answer of a model"):
        side.ask(SCENE, "caption en")


def test_a_compressed_answer_is_read(side: Any, server: Loopback) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    server.replies.append(Reply(headers=headers, body=gzip.compress(answer("a red car").body)))
    assert side.ask(SCENE, "caption en").text == "a red car"
