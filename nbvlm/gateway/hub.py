"""Who is who behind a JupyterHub: its own client checks tokens and signs browsers in."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from nbvlm._background import thread_pool
from nbvlm._optional import require

if TYPE_CHECKING:
    from nbvlm.gateway.config import People

__all__ = ["Hub", "HubUser"]

_KEPT_S = 60.0
_MOST = 4096
_LONGEST = 512  # letters of a token
_AT_ONCE, _WAITING = 4, 100  # unknown tokens that the hub is asked about, and that wait for it


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
        self._known: dict[bytes, tuple[float, HubUser]] = {}
        self._refused: dict[bytes, float] = {}  # apart, so that invented tokens push no user out
        # Users that were here wait in a line of their own, not behind a crowd of invented tokens.
        self._again, self._first = asyncio.Semaphore(_AT_ONCE), asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0
        self._threads = thread_pool(2 * _AT_ONCE)

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
        key = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        kept = self._known.get(key)
        if kept is not None and kept[0] > time.monotonic():
            return kept[1]
        if len(token) > _LONGEST or self._refused.get(key, 0.0) > time.monotonic():
            return None
        if kept is None and self._waiting >= _WAITING:
            raise ConnectionError("too many unknown tokens come")
        self._waiting += kept is None
        try:
            async with self._first if kept is None else self._again:
                user = self._user(await self._ask(token))
        finally:
            self._waiting -= kept is None
        until = time.monotonic() + _KEPT_S
        if user is None:
            self._known.pop(key, None)
            _keep(self._refused, key, until)
        else:
            _keep(self._known, key, (until, user))
        return user

    async def _ask(self, token: str) -> Any:
        """Ask the hub whose token this is; None where the hub does not know it."""
        # Its cache is not used: a revoked token is refused within a minute.
        call = functools.partial(self._auth.user_for_token, token, use_cache=False)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except Exception as error:  # noqa: BLE001 - whatever its client raises
            if getattr(error, "status_code", 500) in (401, 403):
                return None
            raise ConnectionError("the hub does not answer") from None

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
        more = {}
        try:
            next_path = str(self._auth.get_next_url(state))
            if hasattr(self._auth, "get_code_verifier"):
                more["code_verifier"] = self._auth.get_code_verifier(state)
            self._auth.clear_oauth_state(state)
            call = functools.partial(self._auth.token_for_code, code, **more)
            async with self._first:
                token = await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except Exception:  # noqa: BLE001 - whatever its client raises, also for a state that it did not make
            raise ConnectionError("the hub did not accept the sign-in") from None
        return await self.of_token(token), next_path


def _keep(kept: dict[bytes, Any], key: bytes, value: Any) -> None:
    """Keep a value as the newest one; drop the oldest beyond the limit."""
    kept.pop(key, None)
    kept[key] = value
    if len(kept) > _MOST:
        del kept[next(iter(kept))]
