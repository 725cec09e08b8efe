"""A model that is gone is named as such, is not asked again, and others are offered, never taken."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support import model_servers
from support.loopback import Loopback, Reply, answer, problem
from support.sides import KEY, SCENE

import nbvlm
from nbvlm import endpoints
from nbvlm.client.flow import inference

if TYPE_CHECKING:
    from collections.abc import Callable

    Open = Callable[..., Any]

LIVE = [name for name in endpoints.ENDPOINTS if "/" in name]
BROKEN = Reply(500, {"content-type": "application/json"}, b'{"message":"Internal server error","code":500}')


@pytest.fixture(autouse=True)
def fresh() -> None:
    inference._LISTED.clear()


def ask(server: Loopback, open_side: Open, *replies: Reply, name: str = "nvidia") -> tuple[Any, list[str]]:
    """The error of a question, and the requests that it took."""
    server.replies.extend(replies)
    with pytest.raises(nbvlm.Error) as caught:
        open_side(name).ask(SCENE, "caption en")
    assert KEY not in str(caught.value)
    return caught.value, server.paths()


@pytest.mark.parametrize(
    ("replies", "gone", "kind", "words"),
    [
        ([model_servers.end_of_life("google/paligemma")], "retired", nbvlm.NotFoundError, "2026-09-09"),
        ([model_servers.withdrawn()], "withdrawn", nbvlm.NotFoundError, "not open to this account"),
        ([model_servers.NOT_FOUND], "unknown", nbvlm.NotFoundError, "does not know"),
        ([model_servers.offline()], "offline", nbvlm.ServerError, "offline"),
        ([BROKEN, BROKEN], "failing", nbvlm.ServerError, "twice"),
        ([model_servers.blind()], "blind", nbvlm.RequestRejected, "cannot see"),
    ],
    ids=["retired", "withdrawn", "unknown", "offline", "failing", "blind"],
)
def test_which_of_them_it_is_and_what_to_ask_instead(
    replies: list[Reply], gone: str, kind: type[Exception], words: str, server: Loopback, open_side: Open
) -> None:
    server.pages = model_servers.nvidia_pages("a/text-model", LIVE[1], LIVE[0])
    error, paths = ask(server, open_side, *replies)
    assert isinstance(error, kind)
    assert error.gone == gone
    assert words in str(error)
    assert error.alternatives == (LIVE[0], LIVE[1], "demo")
    assert all(name in error.hint for name in error.alternatives)
    posts = [path for path in paths if path.startswith("POST")]
    assert len(posts) == len(replies)
    listing = server.seen[-1]
    assert (listing.method, listing.path) == ("GET", "/v1/models")
    assert "authorization" not in listing.headers


def test_the_ids_of_function_and_account_stay_out(server: Loopback, open_side: Open) -> None:
    error, _ = ask(server, open_side, model_servers.withdrawn())
    text = f"{error} {error.detail!r}"
    assert "0d1ef1e5" not in text
    assert "kq3vN1yC8m" not in text


def test_without_the_list_the_table_is_offered_with_its_date(server: Loopback, open_side: Open) -> None:
    server.pages = {"/v1/models": Reply(500)}
    error, _ = ask(server, open_side, model_servers.end_of_life("google/paligemma"))
    assert error.alternatives == (*LIVE, "demo")
    assert endpoints.CHECKED in error.hint


def test_the_list_is_asked_for_once(server: Loopback, open_side: Open) -> None:
    server.pages = model_servers.nvidia_pages(*LIVE)
    side = open_side("nvidia")
    for _ in range(3):
        server.replies.append(model_servers.withdrawn())
        with pytest.raises(nbvlm.NotFoundError):
            side.ask(SCENE, "caption en")
    assert server.paths().count("GET /v1/models") == 1


def test_the_model_itself_is_not_among_the_alternatives(server: Loopback, open_side: Open) -> None:
    server.pages = model_servers.nvidia_pages(*LIVE)
    error, _ = ask(server, open_side, model_servers.end_of_life(LIVE[0]), name=LIVE[0])
    assert error.alternatives == (*LIVE[1:], "demo")


def test_one_failure_is_tried_again_and_said(server: Loopback, open_side: Open) -> None:
    server.replies.extend([BROKEN, answer("a red car")])
    result = open_side("nvidia").ask(SCENE, "caption en")
    assert result.text == "a red car"
    assert any("Tried again" in notice for notice in result.notices)


def test_a_server_of_ones_own_is_asked_once(server: Loopback, open_side: Open) -> None:
    server.replies.append(BROKEN)
    side = open_side(f"{server.url}/v1", model="m", base_url=None)
    with pytest.raises(nbvlm.ServerError) as caught:
        side.ask(SCENE, "caption en")
    assert caught.value.gone is None
    assert caught.value.alternatives == ()
    assert server.paths() == ["POST /v1/chat/completions"]


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "model 'x' not found, try pulling it first", "type": "api_error"}},
        {"error": {"message": "The model `x` does not exist", "code": "model_not_found"}},
        {"object": "error", "message": "The model `x` does not exist.", "type": "NotFoundError", "code": 404},
    ],
)
def test_another_server_without_the_model_says_how_to_list_them(
    body: Any, server: Loopback, open_side: Open
) -> None:
    server.replies.append(model_servers.page(body, 404))
    with pytest.raises(nbvlm.NotFoundError) as caught:
        open_side(f"{server.url}/v1", model="x", base_url=None).ask(SCENE, "caption en")
    assert caught.value.gone == "unknown"
    assert "models(vision=True)" in caught.value.hint
    assert "NVIDIA" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "This model does not support image input"),
        (400, "Invalid content type. image_url is only supported by certain models."),
        (404, "No endpoints found that support image input"),
        (
            500,
            "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj",
        ),
    ],
)
def test_a_model_that_reads_text_only_is_said_to_be_blind(
    status: int, message: str, server: Loopback, open_side: Open
) -> None:
    server.replies.append(model_servers.page({"error": {"message": message}}, status))
    with pytest.raises(nbvlm.Error) as caught:
        open_side(f"{server.url}/v1", model="x", base_url=None).ask(SCENE, "caption en")
    assert caught.value.gone == "blind"
    assert "models(vision=True)" in caught.value.hint


@pytest.mark.parametrize("status", [429, 502, 504])
def test_other_failures_offer_nothing(status: int, server: Loopback, open_side: Open) -> None:
    error, paths = ask(server, open_side, *[problem(status)] * 5)
    assert (error.gone, error.alternatives) == (None, ())
    assert "GET /v1/models" not in paths


def test_a_question_that_is_too_large_is_not_a_lost_model(server: Loopback, open_side: Open) -> None:
    message = "Please make sure your payload is below 26214400 bytes in size."
    body = {"error": {"message": message, "type": "invalid_request_error", "code": "invalid_image_format"}}
    error, paths = ask(server, open_side, model_servers.page(body, 400))
    assert (error.gone, error.alternatives) == (None, ())
    assert error.hint == "The request is too large for the service: send a smaller picture."
    assert "GET /v1/models" not in paths


def test_a_lost_asset_is_not_a_lost_model(server: Loopback, open_side: Open) -> None:
    error, paths = ask(server, open_side, problem(404, "NotFound error: failed to find asset 1234"))
    assert (error.gone, error.alternatives) == (None, ())
    assert "GET /v1/models" not in paths


def test_the_error_can_be_pickled(server: Loopback, open_side: Open) -> None:
    import pickle

    error, _ = ask(server, open_side, model_servers.end_of_life("google/paligemma"))
    again = pickle.loads(pickle.dumps(error))
    assert (again.gone, again.alternatives) == (error.gone, error.alternatives)


def test_in_a_stream_it_is_the_same(server: Loopback, open_side: Open) -> None:
    server.pages = model_servers.nvidia_pages(LIVE[0])
    server.replies.append(model_servers.end_of_life("google/paligemma"))
    with pytest.raises(nbvlm.NotFoundError) as caught:
        open_side("nvidia").stream(SCENE, "caption en")
    assert caught.value.alternatives == (LIVE[0], "demo")


def test_the_body_of_the_question_is_not_changed_by_the_offer(server: Loopback, open_side: Open) -> None:
    side = open_side("nvidia")
    server.replies.append(model_servers.end_of_life("google/paligemma"))
    with pytest.raises(nbvlm.NotFoundError):
        side.ask(SCENE, "caption en")
    assert side.ask(SCENE, "caption en").model == "google/paligemma"
    bodies = [json.loads(seen.body) for seen in server.seen if seen.method == "POST"]
    assert bodies[0] == bodies[1]
