"""`nbvlm serve`: serves an embedded or a local model by the hosted service's protocol and by OpenAI's."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from nbvlm.cli.allocator import give_memory_back
from nbvlm.cli.options import add_local_arguments, local_keywords
from nbvlm.cli.terminal import print_error, print_line
from nbvlm.errors import Error, ParameterError

if TYPE_CHECKING:
    import argparse
    import socket

    from nbvlm.local import LocalModel

__all__ = ["KEY_VARIABLE", "arguments", "run"]

KEY_VARIABLE = "NBVLM_SERVE_KEY"
AT_ONCE = 8  # answers of a local model, computed in one pass


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=8000, help="port; 0 chooses a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--key",
        action="append",
        help="key that clients must send; repeat it for one key a person, so that questions take turns and "
        "uploads are kept apart by person instead of by computer; "
        f"set {KEY_VARIABLE} instead, keys separated by blanks, so that other users cannot see them",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="another name of this computer that clients use; "
        "a service that listens on this computer only refuses unknown names",
    )
    parser.add_argument(
        "--speak",
        action="append",
        default=[],
        metavar="FAMILY",
        help="answer as another model family does, for example qwen3-vl or gemini+think, to test with known "
        "boxes; it is one more model, and the option may be repeated",
    )
    parser.add_argument(
        "--pace",
        type=_pace,
        metavar="N",
        help="most tokens a second of an answer, as of a busy service "
        "(default: as fast as they are computed)",
    )
    local = parser.add_argument_group("a model of Hugging Face", "It takes the place of the embedded one.")
    local.add_argument("--model", metavar="ID", help="id, such as google/paligemma2-3b-mix-448, or a folder")
    add_local_arguments(local)
    limits = parser.add_argument_group(
        "limits", "A request above a limit is refused with a sentence and status 408, 413, 429 or 503."
    )
    limits.add_argument(
        "--at-once",
        type=_count,
        metavar="N",
        help="answers computed at once for one caller (default: the cores but one, "
        "at most 8); for all: one more",
    )
    limits.add_argument(
        "--waiting",
        type=_count,
        metavar="N",
        default=64,
        help="questions of one caller that may wait (default: %(default)s); of all: four times as many",
    )
    limits.add_argument(
        "--connections",
        type=_count,
        metavar="N",
        default=512,
        help="open connections (default: %(default)s); one computer: half of them",
    )
    limits.add_argument(
        "--body-mb",
        type=_count,
        metavar="N",
        default=25,
        help="largest question with its picture, in MiB (default: %(default)s)",
    )


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def _pace(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError
    return value


_pace.__name__ = "positive number"
_count.__name__ = "positive integer"  # argparse names it in its error


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    from nbvlm.demo import SERVED, Service, hosts, listen, origin, server, speaking

    give_memory_back()
    keys = _keys(options.key)
    model = _model(options)
    speak = [speaking.model_id(name) for name in options.speak]
    limits = replace(
        SERVED,
        body=options.body_mb << 20,
        waiting=4 * options.waiting,
        waiting_of_caller=options.waiting,
        connections=options.connections,
        connections_of_peer=max(1, options.connections // 2),
    )
    limits = replace(limits, bodies_of_caller=max(limits.body, limits.bodies_of_caller))
    limits = replace(limits, bodies=max(limits.bodies_of_caller, limits.bodies))
    try:
        with listen(options.host, options.port) as listener:
            names = hosts(listener, *options.allow_host)
            service = Service(
                model,
                name=model.options.name if model is not None else None,
                key=keys,
                at_once=options.at_once or (AT_ONCE if model is not None else None),
                limits=limits,
                hosts=names,
                speak=speak,
                pace=options.pace,
            )
            running = server(service)
            _announce(origin(listener), listener, bool(keys), _names(model, speak))
            running.run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    return 0


def _keys(given: list[str] | None) -> list[str]:
    """Return the keys of the options, else those of the environment."""
    variable = os.environ.get(KEY_VARIABLE)
    keys = given if given is not None else [] if variable is None else variable.split() or [variable]
    for key in keys:
        if not (key.isascii() and key.isprintable() and key.strip() == key != ""):
            raise Error("A key must be printable ASCII without blanks around it.", hint="Choose another key.")
    return keys


def _model(options: argparse.Namespace) -> LocalModel | None:
    """Load the model that the options name, showing how far it is; None for the embedded one."""
    given = local_keywords(options)
    if options.model is None:
        if given:
            raise ParameterError(f"{', '.join(f'--{name}' for name in given)} needs --model.")
        return None
    if options.speak:
        raise ParameterError("--speak is for the embedded model.", hint="Leave out --speak, or --model.")
    from nbvlm.cli.output import TextWriter
    from nbvlm.client import Status
    from nbvlm.local import LocalModel, LocalOptions

    model = LocalModel(LocalOptions(options.model, **given))
    writer = TextWriter()
    for state in model.loading():
        writer.event(Status(state["kind"], state["seconds"], state["done"], state["total"], state["files"]))
    return model


def _names(model: LocalModel | None, speak: list[str]) -> list[str]:
    return [model.options.name] if model is not None else [*speak, "nbvlm/demo"]


def _announce(origin: str, listener: socket.socket, has_key: bool, names: list[str]) -> None:
    host = listener.getsockname()[0]
    if not has_key and not host.startswith("127.") and host != "::1":
        print_error(f"nbvlm serve: any computer that reaches {host} can use this; --key asks for a key.")
    shown = f'os.environ["{KEY_VARIABLE}"]' if has_key else '"none"'
    print_line(f'nbvlm.Client("nvidia", base_url="{origin}", assets_url="{origin}", api_key={shown})')
    again = f", api_key={shown}" if has_key else ""
    for model in names:
        print_line(f'nbvlm.Client("{origin}/v1", model="{model}"{again})  # or any OpenAI-compatible client')
