"""Options of a question, shared by `nbvlm ask` and the magic `%vlm`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from nbvlm.errors import AuthenticationError

if TYPE_CHECKING:
    import argparse

    from nbvlm.client import Secret

__all__ = [
    "add_arguments",
    "add_local_arguments",
    "add_server_arguments",
    "client_keywords",
    "local_keywords",
    "question_keywords",
]

_LOCAL = ("device", "dtype", "quantize")
_CLIENT = ("model", "base_url", "timeout", *_LOCAL)
_QUESTION = ("temperature", "top_p", "max_tokens", "seed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose the model and how it answers."""
    model = parser.add_argument_group("the model")
    model.add_argument(
        "--endpoint",
        metavar="NAME",
        help="nvidia, demo, gateway (of a class), ollama, lmstudio, vllm, llamacpp, openai, gemini, "
        "openrouter, the id of one of NVIDIA's models, local (a model of Hugging Face in this process), or a "
        "URL of an OpenAI-compatible server (default: the gateway that NBVLM_GATEWAY names, else nvidia with "
        "a key, else demo)",
    )
    model.add_argument("--model", metavar="ID", help="model of a service or server; for local also a folder")
    add_local_arguments(model)
    add_server_arguments(model)
    answer = parser.add_argument_group("the answer")
    answer.add_argument("--temperature", type=float, metavar="T", help="randomness, above 0")
    answer.add_argument("--top-p", type=float, metavar="P", help="share of the likeliest tokens, up to 1")
    answer.add_argument("--max-tokens", type=int, metavar="N", help="longest answer, in tokens")
    answer.add_argument("--seed", type=int, metavar="N", help="makes the choice of words repeatable")
    answer.add_argument(
        "--no-translate", action="store_true", help="send a task in PaliGemma's words to any model"
    )
    answer.add_argument(
        "--allow-private", action="store_true", help="allow a picture's address in a private network"
    )
    answer.add_argument(
        "--route", choices=("auto", "inline", "asset"), default="auto", help="how the picture travels"
    )


def add_local_arguments(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add the options of a model in this process."""
    parser.add_argument("--device", metavar="NAME", help="of a local model: auto, cuda, cuda:1, mps or cpu")
    parser.add_argument(
        "--dtype", metavar="NAME", help="of a local model: auto, bfloat16, float16 or float32"
    )
    parser.add_argument("--quantize", metavar="BITS", help="of a local model on an NVIDIA GPU: 4bit or 8bit")


def local_keywords(options: argparse.Namespace) -> dict[str, Any]:
    """Return the keywords of a model in this process."""
    return {name: value for name in _LOCAL if (value := getattr(options, name)) is not None}


def add_server_arguments(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add the options that say how a server is reached."""
    parser.add_argument("--base-url", metavar="URL", help="another origin for a service")
    parser.add_argument(
        "--key-from", metavar="VARIABLE", help="environment variable that holds the server's key"
    )
    parser.add_argument("--timeout", type=float, metavar="S", help="longest wait for each step, in seconds")
    parser.add_argument("--allow-http", action="store_true", help="allow plain http to another computer")


def client_keywords(options: argparse.Namespace) -> dict[str, Any]:
    """Return the keywords that open a client; the variable that `--key-from` names must be set."""
    given = {name: value for name in _CLIENT if (value := getattr(options, name, None)) is not None}
    if options.allow_http:
        given["allow_http"] = True
    if options.key_from is not None:
        given["api_key"] = _key(options.key_from)
    return given


def question_keywords(options: argparse.Namespace) -> dict[str, Any]:
    """Return the keywords of a question."""
    given = {name: getattr(options, name) for name in _QUESTION if getattr(options, name) is not None}
    private = {"allow_private": True} if options.allow_private else {}
    return given | private | {"route": options.route, "translate": not options.no_translate}


def _key(variable: str) -> Secret:
    from nbvlm.client import Secret

    if key := os.environ.get(variable):
        return Secret(key)
    # The message does not repeat the value: it may be the key itself, typed by mistake.
    raise AuthenticationError(
        "The environment variable that --key-from names is not set.",
        hint="Set the variable first, and give its name, not the key.",
    )
