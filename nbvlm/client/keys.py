"""Where the key of a service comes from.

In this order: the argument, the service's environment variable such as `NVIDIA_API_KEY`, the system's keyring
where the package `keyring` is installed, Colab's user data, and `nbvlm.login()`, which asks without echo and
keeps the key in memory only. A key of one service is never taken for another.
"""

from __future__ import annotations

import contextlib
import getpass
import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Any

from nbvlm import endpoints
from nbvlm._text import did_you_mean
from nbvlm.client.secrets import Secret
from nbvlm.endpoints import SERVICES
from nbvlm.errors import AuthenticationError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbvlm.endpoints import Service

__all__ = ["ENVIRONMENT", "Found", "advice", "find", "forget", "login", "remembered"]

ENVIRONMENT = "NVIDIA_API_KEY"
Found = tuple[Secret, str]
_memory: dict[str, Secret] = {}


def login(key: str | None = None, service: str = "nvidia") -> None:
    """Keep a key in memory until the kernel ends.

    Parameters
    ----------
    key
        The key; asked for without echo when missing, so that it never stands in a notebook.
    service
        Name in `nbvlm.endpoints.SERVICES` of the service that the key is for; `"gateway"` for the gateway of
        a class, where the key is the token from its page, or code and name of a student: `"code:name"`.

    Raises
    ------
    AuthenticationError
        If nothing, or nothing that can be a key, was typed.

    Examples
    --------
    >>> login()  # doctest: +SKIP
    Key for build.nvidia.com (nvapi-…):
    """
    facts = endpoints.named(service)
    if facts is None:
        raise ParameterError(f"Unknown service {service!r}.", hint=did_you_mean(service, SERVICES).strip())
    place = facts.page or facts.title
    ask = f"Key for {place}{' (nvapi-…)' if service == 'nvidia' else ''}: "
    if facts is endpoints.GATEWAY:
        ask = "Token of the class gateway, or code:name: "
    try:
        held: dict[str, Any] = {"key": key if key is not None else getpass.getpass(ask)}
    except EOFError:
        variables = facts.variables
        raise AuthenticationError(
            "There is no terminal to type the key into.", hint=f"Set {variables[0]}." if variables else None
        ) from None
    key = None
    if facts is endpoints.GATEWAY:
        _join(held)
    Secret.hide(held, "key")
    _memory[service] = held["key"]


def _join(held: dict[str, Any]) -> None:
    """Put the token of the gateway in the place of a code and a name."""
    code, colon, name = str(held["key"]).partition(":")
    if colon:
        held["key"] = endpoints.join_gateway(code.strip(), name.strip())


def advice(service: Service) -> str:
    """Say how the key of a service is set, and where it comes from."""
    name = "" if service.name == "nvidia" else f'service="{service.name}"'
    keys = "keys are free at" if service.name == "nvidia" else "keys come from"
    return f"Set {service.variables[0]}, or call nbvlm.login({name}); {keys} {service.page}."


def remembered(service: str) -> Secret | None:
    """Return the key that `login` took for a service, or None."""
    return _memory.get(service)


def forget() -> None:
    """Forget the keys that `login` took."""
    _memory.clear()


def find(service: str = "nvidia") -> Found | None:
    """Return the first key found for a service and where it was, or None.

    A source that fails (a locked keyring, a notebook without access to the user data) counts as empty.

    Raises
    ------
    AuthenticationError
        If a source holds what cannot be a key.
    """
    facts = endpoints.named(service)
    # The token of a student's own server goes to its own JupyterHub only.
    hidden = None if endpoints.through_hub() else "JUPYTERHUB_API_TOKEN"
    variables = [name for name in (facts.variables if facts else ()) if name != hidden]
    for source, look in _SOURCES.items():
        for variable in variables:
            held: dict[str, Any] = {}
            with contextlib.suppress(Exception):
                held["key"] = look(variable)
            if held.get("key"):
                Secret.hide(held, "key", f"The key from {source or variable}")
                return held["key"], source or variable
    return (_memory[service], "login()") if service in _memory else None


def _from_environment(variable: str) -> str | None:
    return os.environ.get(variable)  # The method itself shows all variables in its repr.


def _from_keyring(variable: str) -> str | None:
    if importlib.util.find_spec("keyring") is None:
        return None
    text: str | None = importlib.import_module("keyring").get_password("nbvlm", variable)
    return text


def _from_colab(variable: str) -> str | None:
    if "google.colab" not in sys.modules:
        return None
    text: str | None = importlib.import_module("google.colab.userdata").get(variable)
    return text


_SOURCES: dict[str, Callable[[str], str | None]] = {
    "": _from_environment,  # named by the variable
    "keyring": _from_keyring,
    "Colab's user data": _from_colab,
}
