"""The command `nbvlm`.

Each sub-command is one entry of `COMMANDS` and one module in `nbvlm.commands`, imported when it is asked for:
its `arguments` declares what it takes, its `run` does it.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import TYPE_CHECKING, NamedTuple, Protocol

from nbvlm._version import __version__
from nbvlm.cli.output import complain, prepare, silence
from nbvlm.errors import Error

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["COMMANDS", "Command", "main"]

INTERRUPTED = 130


class _Module(Protocol):
    def arguments(self, parser: argparse.ArgumentParser) -> None: ...
    def run(self, options: argparse.Namespace) -> int: ...


class Command(NamedTuple):
    """One sub-command; its module in `nbvlm.commands` declares its arguments and does it.

    A dataclass would take as long to import as all the rest.

    Attributes
    ----------
    name
        As typed.
    help
        One line.
    home
        Name of the module.
    """

    name: str
    help: str
    home: str

    def module(self) -> _Module:
        """Import the module."""
        module: _Module = importlib.import_module(f"nbvlm.cli.{self.home}")
        return module


COMMANDS: tuple[Command, ...] = (
    Command("lab", "open JupyterLab on a copy of the tutorials", "lab"),
    Command("ask", "ask a model about a picture", "ask"),
    Command("serve", "serve the embedded model as the hosted service does", "serve"),
    Command("doctor", "check what is installed, found and reachable, and say what to do", "doctor"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv
        Arguments without the program's name; by default those of the process.

    Returns
    -------
    int
        Exit status: 0 done, 1 failed with a sentence on the error output, 2 not understood, 130 interrupted;
        `nbvlm ask --help` lists more.
    """
    prepare()
    given = list(sys.argv[1:] if argv is None else argv)
    options = _parser(given).parse_args(given)
    command: Command = options.command
    try:
        return command.module().run(options)
    except Error as error:
        complain(f"nbvlm {command.name}: {error}")
        return 1
    except BrokenPipeError:
        silence()
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nbvlm", description="Ask vision-language models about pictures.")
    parser.add_argument("--version", action="version", version=f"nbvlm {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="command")
    for command in COMMANDS:
        sub = commands.add_parser(
            command.name,
            help=command.help,
            description=command.help[0].upper() + command.help[1:] + ".",
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if command.name in given:
            command.module().arguments(sub)
        sub.set_defaults(command=command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
