"""A panel that asks the gateway of a class: what it shows, and what its buttons do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.gateway_running import running
from support.service_standin import WORDS, picture

import nbvlm
from nbvlm.client import Status, keys
from nbvlm.errors import AuthenticationError, NotFoundError, QuotaError
from nbvlm.widgets.error_card import describe
from nbvlm.widgets.status_text import progress_text

if TYPE_CHECKING:
    from support.panel_page import Page


def test_places_and_quotas_in_words() -> None:
    assert progress_text(Status("queued", 1.0, 3, 7)) == "3rd in line"
    assert progress_text(Status("quota", 1.0, 12, 40)) == "12 of 40 left"
    assert progress_text(Status("queued", 1.0)) == "Queued"


def test_a_panel_in_class(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    models = ["google/paligemma", "google/gemma-4-31b-it"]
    monkeypatch.setenv("CLASS_KEY", "nvapi-of-the-class")
    upstream = {"models": models, "key_from": "CLASS_KEY"}
    with running(upstream=upstream, quota={"per_minute": 0, "per_day": 2}) as lesson:
        monkeypatch.setenv("NBVLM_GATEWAY", lesson.origin)
        panel = nbvlm.Panel(picture(), "detect car")
        parts = panel._controller
        try:
            assert lesson.origin in parts.toolbar.gateway
            assert "Your teacher can see your questions" in parts.toolbar.gateway
            assert (parts.choice._list.key["state"], parts.toolbar.demo) == ("missing", False)
            assert parts.choice._list.choices[0]["group"] == "Your class"
            with pytest.raises(AuthenticationError):
                panel.run()
            # The key field takes a code and a name, and keeps the token.
            code = lesson.gateway.joins.class_code
            page.key(panel, f"{code}:Ada")
            assert parts.choice._list.key["state"] == "there"
            assert panel.run().text == "".join(WORDS)
            lesson.gateway.rules.change(model=models[1], models=(models[1],))
            with pytest.raises(NotFoundError):
                panel.run()
            assert [button["id"] for button in parts.error_card.card["actions"]] == ["model:gateway"]
            parts.connection.choose("gateway")
            assert parts.connection.endpoint.model == models[1]
            assert parts.connection.choice == "own"
        finally:
            panel.close()
            keys.forget()


def test_failures_in_class_have_titles_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as lesson:
        monkeypatch.setenv("NBVLM_GATEWAY", lesson.origin)
        endpoint = nbvlm.Client("gateway", api_key="nbc-x").endpoint
    card = describe(QuotaError("You have used it.", status=402), endpoint, asking=True)
    assert card["title"] == "Your quota is used up"
    card = describe(AuthenticationError("The class has closed.", status=403), endpoint, asking=True)
    assert card["title"] == "Your class does not allow this now"
