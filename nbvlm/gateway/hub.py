"""Who is who behind a JupyterHub: its own client checks tokens and signs browsers in."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from nbvlm._optional import require

if TYPE_CHECKING:
    from nbvlm.gateway.config import People

__all__ = ["Hub", "HubUser"]

_KEPT_S = 60.0
_MOST = 4096


@dataclass(frozen=True, slots=True)
class HubUser:
    """A user as the hub knows it."""

    name: str
    is_teacher: bool


class Hub:
    """The JupyterHub that started this process as a managed service.

    Raises
    ------
    Error
        If its client is not installed.
    """

    def __init__(self, people: People) -> None:
        module = require("jupyterhub.services.auth", extra="gateway", purpose="A gateway behind JupyterHub")
        self._auth = module.HubOAuth.instance()
        self._people = people
        self._known: dict[bytes, tuple[float, HubUser | None]] = {}

    @staticmethod
    def is_there() -> bool:
        """Return whether a hub has started this process."""
        return bool(os.environ.get("JUPYTERHUB_SERVICE_PREFIX") and os.environ.get("JUPYTERHUB_API_URL"))

    @property
    def prefix(self) -> str:
        """Path before all paths of the gateway, without a slash at its end."""
        return os.environ["JUPYTERHUB_SERVICE_PREFIX"].rstrip("/")

    @property
    def listen(self) -> tuple[str, int]:
        """Host and port that the hub's proxy sends requests to."""
        parts = urlsplit(os.environ.get("JUPYTERHUB_SERVICE_URL", ""))
        return parts.hostname or "127.0.0.1", parts.port or 0

    async def of_token(self, token: str) -> HubUser | None:
        """Return the user whose token this is, if the token may be used for this service.

        Raises
        ------
        ConnectionError
            If the hub cannot be asked.
        """
        key, now = hashlib.sha256(token.encode("utf-8", "replace")).digest(), time.monotonic()
        kept = self._known.get(key)
        if kept is not None and kept[0] > now:
            return kept[1]
        try:
            # Its cache is not used: a token that was revoked shall be refused within a minute.
            model = await asyncio.to_thread(self._auth.user_for_token, token, use_cache=False)
        except Exception as error:  # noqa: BLE001 - whatever its client raises
            if getattr(error, "status_code", 500) in (401, 403):
                model = None
            else:
                raise ConnectionError("the hub does not answer") from None
        user = self._user(model)
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[key] = now + _KEPT_S, user
        return user

    def _user(self, model: Any) -> HubUser | None:
        if not isinstance(model, dict) or not isinstance(model.get("name"), str):
            return None
        if not self._auth.check_scopes(self._auth.access_scopes, model):
            return None
        groups = set(model.get("groups") or ())
        is_teacher = (
            model["name"] in self._people.teachers
            or bool(groups & set(self._people.teacher_groups))
            or bool(model.get("admin"))
        )
        return HubUser(model["name"], is_teacher)

    # Sign-in of browsers

    def begin(self, next_path: str) -> tuple[str, str]:
        """Return the hub's address for signing in, and the state to keep in a cookie meanwhile."""
        more: dict[str, str] = {}
        challenge: dict[str, str] = {}
        if hasattr(self._auth, "generate_pkce_code_challenge"):  # from JupyterHub 6 on
            verifier, text, method = self._auth.generate_pkce_code_challenge()
            more["code_verifier"] = verifier
            challenge = {"code_challenge": text, "code_challenge_method": method}
        state = self._auth.generate_state(next_url=next_path, **more)
        mark = "&" if "?" in self._auth.login_url else "?"
        return f"{self._auth.login_url}{mark}{urlencode({'state': state} | challenge)}", state

    async def finish(self, code: str, state: str) -> tuple[HubUser | None, str]:
        """Exchange the code that the hub gave; return the user, and where the browser wanted to go.

        Raises
        ------
        ConnectionError
            If the hub refuses the code, or cannot be asked.
        """
        next_path = str(self._auth.get_next_url(state))
        more = {}
        if hasattr(self._auth, "get_code_verifier"):
            more["code_verifier"] = self._auth.get_code_verifier(state)
        self._auth.clear_oauth_state(state)
        try:
            token = await asyncio.to_thread(self._auth.token_for_code, code, **more)
        except Exception:  # noqa: BLE001 - whatever its client raises
            raise ConnectionError("the hub did not accept the sign-in") from None
        return await self.of_token(token), next_path
