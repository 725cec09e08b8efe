"""`nbvlm serve`: serves the embedded model by the hosted service's protocol and by OpenAI's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nbvlm.cli.terminal import print_error, print_line
from nbvlm.errors import Error

if TYPE_CHECKING:
    import argparse
    import socket

__all__ = ["KEY_VARIABLE", "arguments", "run"]

KEY_VARIABLE = "NBVLM_SERVE_KEY"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=8000, help="port; 0 chooses a free one (default: %(default)s)"
    )
    key_help = f"key that clients must send; set {KEY_VARIABLE} instead, so that other users cannot see it"
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
        raise Error("The key must be printable ASCII without blanks around it.", hint="Choose another key.")
    return key


def _announce(origin: str, listener: socket.socket, key: str | None) -> None:
    host = listener.getsockname()[0]
    if not key and not host.startswith("127.") and host != "::1":
        print_error(f"nbvlm serve: any computer that reaches {host} can use this; --key asks for a key.")
    shown = f'os.environ["{KEY_VARIABLE}"]' if key else '"none"'
    print_line(f'nbvlm.Client("nvidia", base_url="{origin}", assets_url="{origin}", api_key={shown})')
    again = f", api_key={shown}" if key else ""
    print_line(f'nbvlm.Client("{origin}/v1", model="nbvlm/demo"{again})  # or any OpenAI-compatible client')
