"""Each way to fail is a card: what happened, what to do, details without secrets, and buttons that help."""

from __future__ import annotations

import dataclasses
import json
import socket
from typing import TYPE_CHECKING, Any

import pytest
from support.loopback import Loopback, Reply, problem, stream
from support.panel_page import Page, Screen

import nbvlm
from nbvlm import endpoints, errors
from nbvlm.client import Retry
from nbvlm.widgets import error_card

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "nvapi-not-a-real-key-but-just-as-secret"
NVIDIA = endpoints.get("nvidia")


@pytest.fixture
def panel(page: Page, server: Loopback) -> Iterator[nbvlm.Panel]:
    client = nbvlm.Client("nvidia", api_key=KEY, base_url=server.url, retry=Retry.never())
    panel = nbvlm.Panel(client=client)
    yield panel
    panel.close()


@pytest.fixture
def screen(page: Page, panel: nbvlm.Panel) -> Screen:
    return Screen(page, panel)


def actions(card: dict[str, Any]) -> list[str]:
    return [action["id"] for action in card["actions"]]


def body(status: int, value: Any) -> Reply:
    return Reply(status, {"content-type": "application/json"}, json.dumps(value).encode())


FAILURES: dict[str, tuple[Reply, str, str]] = {
    "400": (problem(400, "Function id 'f': DEGRADED function cannot be invoked"), "every time", "model:demo"),
    "401": (problem(401, "Authentication failed"), "key", "key"),
    "401 plain": (Reply(401, {"content-type": "text/plain"}, b"Header missing"), "key", "key"),
    "402": (problem(402, "Account 'a': Cloud credits expired"), "credits", "key"),
    "403": (problem(403, "Authorization failed"), "key", "key"),
    "404 model": (problem(404, "Function 'f': Not found for account 'acme77'"), "not open", "model:demo"),
    "404 asset": (problem(404, "NotFound error: failed to find asset 0"), "picture was not found", "shrink"),
    "404 path": (
        Reply(404, {"content-type": "text/plain"}, b"404 page not found"),
        "not found",
        "model:demo",
    ),
    "410": (problem(410, "This endpoint has reached its end of life"), "retired", "model:demo"),
    "413": (problem(413), "refused", "shrink"),
    "422": (body(422, {"detail": [{"loc": ["body", "top_p"], "msg": "too big"}]}), "refused", "reset"),
    "429": (problem(429), "Too many", "again"),
    "500": (body(500, {"message": "Internal server error", "code": 500}), "failed", "again"),
    "502": (problem(502, "Upstream request failed."), "failed", "again"),
    "503": (problem(503, "offline", retry_after="10800"), "offline", "model:demo"),
    "504": (Reply(504), "failed", "again"),
    "inside": (stream({"error": {"object": "error", "message": "out of memory"}}), "failed", "again"),
    "cut": (stream("a red ", cut=True, done=False), "incomplete", "again"),
    "silent": (Reply(refuse=True), "connection failed", "model:demo"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_each_failure_is_a_card_that_helps_and_the_panel_goes_on(
    panel: nbvlm.Panel, screen: Screen, server: Loopback, name: str
) -> None:
    reply, title, action = FAILURES[name]
    server.replies.append(reply)
    with pytest.raises(nbvlm.Error) as caught:
        panel.run()
    card = screen.error
    assert title in card["title"]
    assert card["message"].startswith(caught.value.message[:40])
    assert card["hint"]
    assert action in actions(card)
    assert screen.state == "failed"
    assert ["Error", type(caught.value).__name__] in card["details"]
    assert "acme77" not in json.dumps(card)
    assert panel.run().text == "a red car"
    assert screen.error is None


def test_a_key_is_in_no_card(panel: nbvlm.Panel, screen: Screen, server: Loopback) -> None:
    server.replies.append(body(401, {"detail": {"key": KEY, "said": f"Bearer {KEY}"}}))
    with pytest.raises(errors.AuthenticationError):
        panel.run()
    assert "The service said" in dict(screen.error["details"])
    assert KEY not in json.dumps(screen.error)


def test_a_429_counts_down_as_long_as_the_service_says(
    panel: nbvlm.Panel, screen: Screen, server: Loopback
) -> None:
    server.replies += [problem(429), problem(429, retry_after="7")]
    for seconds in (60, 7):
        with pytest.raises(errors.RateLimitError):
            panel.run()
        assert screen.error["seconds"] == seconds


def test_no_network_offers_the_demo_model_and_recordings(page: Page) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    panel = nbvlm.Panel(client=nbvlm.Client("nvidia", api_key=KEY, base_url=url, retry=Retry.never()))
    with pytest.raises(errors.TransportError):
        panel.run()
    assert {"model:demo", "recording"} <= set(actions(Screen(page, panel).error))
    panel.close()


def test_what_went_wrong_before_any_question_offers_nothing_to_ask_again() -> None:
    card = error_card.describe(errors.ImageError("No.", hint="Yes."), NVIDIA)
    assert (actions(card), card["seconds"]) == (["upload"], None)
    assert actions(error_card.describe(ZeroDivisionError("secret"), NVIDIA)) == []


def test_an_unknown_error_is_named_by_its_type_alone() -> None:
    card = error_card.describe(ValueError("s3cret words"), NVIDIA, asking=True)
    assert card["message"] == "nbvlm failed with an unexpected ValueError."
    assert "s3cret" not in json.dumps(card)


def test_the_demo_is_not_offered_in_its_own_place() -> None:
    card = error_card.describe(errors.ServerError("No.", status=500), endpoints.get("demo"), asking=True)
    assert actions(card) == ["again"]


@pytest.mark.parametrize(
    ("gone", "kind", "title"),
    [
        ("retired", errors.NotFoundError, "This model has been retired"),
        ("withdrawn", errors.NotFoundError, "This model is not open to this account"),
        ("unknown", errors.NotFoundError, "This model was not found"),
        ("offline", errors.ServerError, "This model is offline"),
        ("failing", errors.ServerError, "This model fails every time"),
        ("blind", errors.RequestRejected, "This model cannot see"),
    ],
)
def test_a_model_that_is_gone_offers_each_alternative(gone: str, kind: type, title: str) -> None:
    error = kind("Gone.", status=410)
    error.gone, error.alternatives = gone, ("google/gemma-4-31b-it", "moonshotai/kimi-k3", "demo")
    card = error_card.describe(error, NVIDIA, asking=True)
    assert card["title"] == title
    assert card["actions"] == [
        {"id": "model:google/gemma-4-31b-it", "label": "Ask google/gemma-4-31b-it"},
        {"id": "model:moonshotai/kimi-k3", "label": "Ask moonshotai/kimi-k3"},
        {"id": "model:demo", "label": "Ask the demo model"},
    ]


def test_a_model_that_is_gone_without_alternatives_leads_to_the_list() -> None:
    card = error_card.describe(errors.NotFoundError("Gone.", status=410), NVIDIA, asking=True)
    assert actions(card) == ["model:demo", "models"]


def test_the_card_stays_for_a_page_that_opens_later_until_it_is_closed(
    page: Page, panel: nbvlm.Panel, screen: Screen
) -> None:
    alert = panel._controller.error_card
    panel.image = None
    page.click(panel._controller.buttons.run)
    page.send(alert, {"type": "hello"})
    assert page.custom(alert)[-1][0]["card"]["message"] == "No picture is chosen."
    page.send(alert, {"type": "close"})
    page.send(alert, {"type": "hello"})
    assert page.custom(alert)[-1][0]["card"] is None


@pytest.mark.parametrize("name", ["demo", "local"])
def test_the_card_of_a_model_in_this_process_speaks_of_the_model(name: str) -> None:
    here = dataclasses.replace(endpoints.openai("http://local.nbvlm.localhost/v1", "tiny"), name=name)
    refused = errors.RequestRejected("tiny failed: the ratio is 500.", status=400)
    card = error_card.describe(refused, here, asking=True)
    assert card["title"] == "The model refused the question"
    assert ["Model", "tiny in this process"] in card["details"]
    assert error_card.describe(errors.ServerError("No."), here, asking=True)["title"] == "The model failed"
    elsewhere = error_card.describe(refused, here, asking=True, origin="http://127.0.0.1:8000")
    assert elsewhere["title"] == "The service refused the request"
    assert ["Model", "tiny at http://127.0.0.1:8000"] in elsewhere["details"]


@pytest.mark.parametrize(
    ("error", "title", "first"),
    [
        (errors.ParameterError("It needs about 13.4 GB."), "This model cannot be loaded", "again"),
        (errors.Error("The disk is full."), "This model cannot be loaded", "again"),
        (errors.AuthenticationError("Licence."), "This model needs a licence or a token", "key"),
        (errors.NotFoundError("No such model."), "This model was not found", "again"),
        (errors.TransportError("No network."), "The connection failed", "again"),
    ],
)
def test_a_model_that_cannot_be_loaded_is_not_a_value_that_cannot_be_sent(
    error: errors.Error, title: str, first: str
) -> None:
    error.gone = "unloadable"
    here = dataclasses.replace(endpoints.openai("http://local.nbvlm.localhost/v1", "tiny"), name="local")
    card = error_card.describe(error, here, asking=True)
    assert (card["title"], actions(card)) == (title, [first, "model:demo"])
