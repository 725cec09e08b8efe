"""`nbvlm serve`: the embedded model on a socket, as the hosted service and OpenAI's protocol answer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nbvlm.cli.output import complain, say
from nbvlm.errors import Error

if TYPE_CHECKING:
    import argparse
    import socket

__all__ = ["KEY_VARIABLE", "arguments", "run"]

KEY_VARIABLE = "NBVLM_SERVE_KEY"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=8000, help="port; 0 takes a free one (default: %(default)s)"
    )
    key_help = f"key that callers must show; better given in {KEY_VARIABLE}, where other users cannot see it"
    parser.add_argument("--key", default=None, help=key_help)


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    from nbvlm.demo import Service, listen, origin, server

    key = _key(options.key)
    running = server(Service(key=key))
    try:
        with listen(options.host, options.port) as listener:
            _announce(origin(listener), listener, key)
            running.run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    return 0


def _key(option: str | None) -> str | None:
    key = os.environ.get(KEY_VARIABLE) if option is None else option
    if key is not None and not (key.isascii() and key.isprintable() and key.strip() == key != ""):
        raise Error("The key must be printable ASCII, without blanks around it.")
    return key


def _announce(origin: str, listener: socket.socket, key: str | None) -> None:
    host = listener.getsockname()[0]
    if not key and not host.startswith("127.") and host != "::1":
        complain(f"nbvlm serve: everybody who reaches {host} can use this; --key asks them for a key.")
    shown = f'os.environ["{KEY_VARIABLE}"]' if key else '"none"'
    say(f'nbvlm.Client("nvidia", base_url="{origin}", assets_url="{origin}", api_key={shown})')
    again = f", api_key={shown}" if key else ""
    say(f'nbvlm.Client("{origin}/v1", model="nbvlm/demo"{again})  # or any OpenAI-compatible client')
