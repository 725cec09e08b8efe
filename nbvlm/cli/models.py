"""`nbvlm models`: lists the models that can be asked, here and at a service."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from nbvlm import endpoints
from nbvlm._background import run_in_thread
from nbvlm._text import visible
from nbvlm.cli.options import add_server_arguments, client_keywords
from nbvlm.cli.terminal import print_line

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

__all__ = ["arguments", "run"]

_EPILOG = """\
Without ENDPOINT the models of nbvlm's table and those of the servers on this
computer are listed; no key is sent. With ENDPOINT its own list is asked for.

examples:
  nbvlm models
  nbvlm models ollama --vision
  nbvlm models openrouter --vision --json
"""


class _Row(NamedTuple):
    endpoint: str
    model: str
    vision: bool | None
    note: str = ""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "endpoint", metavar="ENDPOINT", nargs="?", help="a service's name, or the URL of a server"
    )
    parser.add_argument("--vision", action="store_true", help="list only models that see")
    parser.add_argument("--json", action="store_true", help="write a list of objects, for a program")
    add_server_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """List the models, and return the exit status."""
    rows = list(_served(options) if options.endpoint else _known())
    if options.vision:
        rows = [row for row in rows if row.vision]
    if options.json:
        print_line(json.dumps([row._asdict() for row in rows], indent=2, ensure_ascii=False))
        return 0
    wide = max((len(row.model) for row in rows), default=0)
    for row in rows:
        text = row.note or ("sees" if row.vision else "reads text only" if row.vision is False else "")
        where = "" if options.endpoint or row.endpoint == row.model else f"  {row.endpoint}"
        print_line(visible(f"{row.model:<{wide}}{where}  {text}").rstrip())
    if not options.endpoint:
        print_line(f"NVIDIA's models as of {endpoints.CHECKED}; nbvlm models nvidia asks for those of today.")
    return 0


def _known() -> Iterator[_Row]:
    for name, entry in endpoints.ENDPOINTS.items():
        yield _Row(name, entry.model, True, entry.note)
    for server in run_in_thread(endpoints.find_local()):
        yield from (_Row(server.service, model.id, model.vision) for model in server.models)


def _served(options: argparse.Namespace) -> Iterator[_Row]:
    from nbvlm.client import Client

    name = options.endpoint
    known = name in endpoints.ENDPOINTS
    with Client(name, model=None if known else "?", **client_keywords(options)) as client:
        seeing = set(client.models(vision=True))
        for model in client.models():
            yield _Row(name, model, True if model in seeing else endpoints.sees(model))
