"""The command `nbvlm`.

Each sub-command is one entry of `COMMANDS`: its name, its arguments, and the function that does it;
whatever is heavy is imported by that function.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import nbvlm
from nbvlm.errors import Error

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

__all__ = ["COMMANDS", "Command", "main"]

KEY_VARIABLE = "NBVLM_SERVE_KEY"


@dataclass(frozen=True, slots=True)
class Command:
    """One sub-command.

    Parameters
    ----------
    name
        As typed.
    help
        One line.
    arguments
        Declares its arguments on a parser.
    run
        Does it; returns the exit status.
    """

    name: str
    help: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv
        Arguments without the program's name; by default those of the process.

    Returns
    -------
    int
        Exit status: 0 done, 1 failed with a sentence on the error output.
    """
    options = _parser().parse_args(argv)
    command: Command = options.command
    try:
        return command.run(options)
    except Error as error:
        _complain(f"nbvlm {command.name}: {error}")
        return 1
    except KeyboardInterrupt:
        return 0 if command.name == "serve" else 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nbvlm", description="Ask vision-language models about pictures.")
    parser.add_argument("--version", action="version", version=f"nbvlm {nbvlm.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="command")
    for command in COMMANDS:
        sub = commands.add_parser(
            command.name, help=command.help, description=command.help, allow_abbrev=False
        )
        command.arguments(sub)
        sub.set_defaults(command=command)
    return parser


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _complain(line: str) -> None:
    sys.stderr.write(line + "\n")


def _serve_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=8000, help="port; 0 takes a free one (default: %(default)s)"
    )
    key_help = f"key that callers must show; better given in {KEY_VARIABLE}, where other users cannot see it"
    parser.add_argument("--key", default=None, help=key_help)


def _serve(options: argparse.Namespace) -> int:
    from nbvlm.demo.service import Service
    from nbvlm.demo.serving import server

    key = _key(options.key)
    running = server.server(Service(key=key))
    with server.listen(options.host, options.port) as listener:
        _announce(server.origin(listener), listener, key)
        running.run(sockets=[listener])
    return 0


def _key(option: str | None) -> str | None:
    key = os.environ.get(KEY_VARIABLE) if option is None else option
    if key is not None and not (key.isascii() and key.isprintable() and key.strip() == key != ""):
        raise Error("The key must be printable ASCII, without blanks around it.")
    return key


def _announce(origin: str, listener: socket.socket, key: str | None) -> None:
    host = listener.getsockname()[0]
    if not key and not host.startswith("127.") and host != "::1":
        _complain(f"nbvlm serve: everybody who reaches {host} can use this; --key asks them for a key.")
    shown = f'os.environ["{KEY_VARIABLE}"]' if key else '"none"'
    _say(f'nbvlm.Client("nvidia", base_url="{origin}", assets_url="{origin}", api_key={shown})')
    again = f", api_key={shown}" if key else ""
    _say(f'nbvlm.Client("{origin}/v1", model="nbvlm/demo"{again})  # or any OpenAI-compatible client')


COMMANDS: tuple[Command, ...] = (
    Command("serve", "serve the embedded model as the hosted service does", _serve_arguments, _serve),
)

if __name__ == "__main__":
    sys.exit(main())
