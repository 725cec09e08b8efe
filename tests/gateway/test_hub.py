"""Tokens of a JupyterHub: users are let in whatever others invent."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from nbvlm.gateway import hub as hubs
from nbvlm.gateway.config import parsed


class Auth:
    """Stands for the hub's client; an answer about an unknown token waits for the gate."""

    access_scopes = frozenset({"access:services"})

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gate = threading.Event()
        self.full = threading.Event()  # the hub has as many invented tokens as it is asked about at once

    def user_for_token(self, token: str, *, use_cache: bool) -> dict[str, Any] | None:
        assert not use_cache
        self.asked.append(token)
        if token.startswith("user-"):
            return {"name": token.removeprefix("user-")}
        if len(self.asked) > hubs._AT_ONCE:
            self.full.set()
        assert self.gate.wait(20)
        return None

    def check_scopes(self, _wanted: Any, _model: Any) -> bool:
        return True

    def get_next_url(self, state: str) -> str:
        raise KeyError(state)


@pytest.fixture
def auth(monkeypatch: pytest.MonkeyPatch) -> Auth:
    made = Auth()

    class Module:
        class HubOAuth:
            @staticmethod
            def instance() -> Auth:
                return made

    monkeypatch.setattr(hubs, "require", lambda *_, **__: Module)
    return made


def test_invented_tokens_keep_no_known_user_out(auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "_MOST", 3)

    async def lesson() -> None:
        hub = hubs.Hub(parsed({"upstream": {"endpoint": "demo"}}).people)
        assert (await hub.of_token("user-ada")).name == "ada"
        crowd = [asyncio.create_task(hub.of_token(f"invented-{number}")) for number in range(104)]
        assert await asyncio.to_thread(auth.full.wait, 20)
        monkeypatch.setattr(hubs, "_KEPT_S", -1.0)  # her token is to be asked about again
        hub._known = {key: (0.0, user) for key, (_, user) in hub._known.items()}
        assert (await hub.of_token("user-ada")).name == "ada"
        assert not any(task.done() and task.exception() is None for task in crowd)
        with pytest.raises(ConnectionError, match="too many"):
            await hub.of_token("invented-more")
        auth.gate.set()
        answers = await asyncio.gather(*crowd, return_exceptions=True)
        assert all(answer is None or isinstance(answer, ConnectionError) for answer in answers)
        assert len(hub._refused) <= 3
        assert len(hub._known) == 1

    asyncio.run(lesson())


def test_a_long_token_is_not_sent_to_the_hub(auth: Auth) -> None:
    hub = hubs.Hub(parsed({"upstream": {"endpoint": "demo"}}).people)
    assert asyncio.run(hub.of_token("x" * 600)) is None
    assert auth.asked == []


def test_a_state_that_the_hub_did_not_make_is_a_refusal(auth: Auth) -> None:
    hub = hubs.Hub(parsed({"upstream": {"endpoint": "demo"}}).people)
    with pytest.raises(ConnectionError):
        asyncio.run(hub.finish("code", "invented"))
