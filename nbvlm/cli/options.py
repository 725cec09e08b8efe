"""Arguments of a question, the same for `nbvlm ask` and the magic `%vlm`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from nbvlm.client import Secret
from nbvlm.errors import AuthenticationError

if TYPE_CHECKING:
    import argparse

__all__ = ["asking", "declare", "opening"]

_OPENING = ("model", "base_url", "timeout")
_ASKING = ("temperature", "top_p", "max_tokens")


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare which model is asked, and how, on a parser."""
    model = parser.add_argument_group("the model")
    model.add_argument(
        "--endpoint",
        metavar="NAME",
        help="nvidia, demo, another hosted model's id, or the URL of an OpenAI-compatible server "
        "(default: nvidia if there is a key, else demo)",
    )
    model.add_argument("--model", metavar="ID", help="which model of an OpenAI-compatible server")
    model.add_argument("--base-url", metavar="ORIGIN", help="another origin for a hosted model")
    model.add_argument(
        "--key-from", metavar="VARIABLE", help="environment variable that holds the server's key"
    )
    model.add_argument("--timeout", type=float, metavar="S", help="seconds to wait at most for each step")
    model.add_argument("--allow-http", action="store_true", help="insist on plain http to another machine")
    answer = parser.add_argument_group("the answer")
    answer.add_argument("--temperature", type=float, metavar="T", help="randomness, above 0")
    answer.add_argument("--top-p", type=float, metavar="P", help="share of the likeliest words, up to 1")
    answer.add_argument("--max-tokens", type=int, metavar="N", help="length at most")
    answer.add_argument(
        "--route", choices=("auto", "inline", "asset"), default="auto", help="how the picture travels"
    )


def opening(options: argparse.Namespace) -> dict[str, Any]:
    """Keywords that open a client.

    Raises
    ------
    AuthenticationError
        If the variable that should hold the key is not set.
    """
    given = {name: getattr(options, name) for name in _OPENING if getattr(options, name) is not None}
    if options.allow_http:
        given["allow_http"] = True
    if options.key_from is not None:
        given["api_key"] = _key(options.key_from)
    return given


def asking(options: argparse.Namespace) -> dict[str, Any]:
    """Keywords of a question."""
    given = {name: getattr(options, name) for name in _ASKING if getattr(options, name) is not None}
    return given | {"route": options.route}


def _key(variable: str) -> Secret:
    if key := os.environ.get(variable):
        return Secret(key)
    # What was typed may be the key itself: it is not repeated.
    raise AuthenticationError(
        "The environment variable that --key-from names is not set.",
        hint="Give the variable's name, not the key, and set it first.",
    )
