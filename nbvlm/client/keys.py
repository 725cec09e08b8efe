"""Where a key for the hosted service comes from.

In this order: the argument, the environment variable `NVIDIA_API_KEY`, the system's keyring where the
package `keyring` is installed, Colab's user data, and `nbvlm.login()`, which asks without echo and keeps the
key in memory only.
"""

from __future__ import annotations

import contextlib
import getpass
import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Any

from nbvlm.client.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ENVIRONMENT", "Found", "find", "forget", "login"]

ENVIRONMENT = "NVIDIA_API_KEY"
Found = tuple[Secret, str]
_memory: dict[str, Secret] = {}


def login(key: str | None = None) -> None:
    """Keep a key for the hosted service in memory until the kernel ends.

    Parameters
    ----------
    key
        The key; asked for without echo when missing, so that it never stands in a notebook.

    Raises
    ------
    AuthenticationError
        If nothing, or nothing that can be a key, was typed.

    Examples
    --------
    >>> login()  # doctest: +SKIP
    Key for build.nvidia.com (nvapi-…):
    """
    held: dict[str, Any] = {
        "key": key if key is not None else getpass.getpass("Key for build.nvidia.com (nvapi-…): ")
    }
    key = None
    Secret.hide(held, "key")
    _memory["key"] = held["key"]


def forget() -> None:
    """Forget the key that `login` took."""
    _memory.clear()


def find() -> Found | None:
    """Return the first key found and where it was, or None.

    A source that fails (a locked keyring, a notebook without access to the user data) counts as empty.

    Raises
    ------
    AuthenticationError
        If a source holds what cannot be a key.
    """
    for source, look in _SOURCES.items():
        held: dict[str, Any] = {}
        with contextlib.suppress(Exception):
            held["key"] = look()
        if held.get("key"):
            Secret.hide(held, "key", f"The key from {source}")
            return held["key"], source
    return None


def _from_keyring() -> str | None:
    if importlib.util.find_spec("keyring") is None:
        return None
    text: str | None = importlib.import_module("keyring").get_password("nbvlm", ENVIRONMENT)
    return text


def _from_colab() -> str | None:
    if "google.colab" not in sys.modules:
        return None
    text: str | None = importlib.import_module("google.colab.userdata").get(ENVIRONMENT)
    return text


_SOURCES: dict[str, Callable[[], str | Secret | None]] = {
    ENVIRONMENT: lambda: os.environ.get(ENVIRONMENT),
    "keyring": _from_keyring,
    "Colab's user data": _from_colab,
    "login()": lambda: _memory.get("key"),
}
