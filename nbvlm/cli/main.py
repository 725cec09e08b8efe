"""The command `nbvlm`.

A sub-command is an entry of `COMMANDS` and a module of `nbvlm.cli`, imported when the command is used: its
`arguments` adds its arguments, its `run` carries it out.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import TYPE_CHECKING, NamedTuple, NoReturn, Protocol

from nbvlm._version import __version__
from nbvlm.cli.terminal import finish_output, prepare_streams, print_error, print_line
from nbvlm.errors import Error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _typeshed import SupportsWrite

__all__ = ["COMMANDS", "Command", "main"]

FAILED, INTERRUPTED = 1, 130


class _Module(Protocol):
    def arguments(self, parser: argparse.ArgumentParser) -> None: ...
    def run(self, options: argparse.Namespace) -> int: ...


class Command(NamedTuple):
    """A sub-command; its name is also the name of its module in `nbvlm.cli`."""

    # A dataclass would take as long to import as all the rest.
    name: str
    help: str

    def module(self) -> _Module:
        """Import the module."""
        module: _Module = importlib.import_module(f"nbvlm.cli.{self.name}")
        return module


COMMANDS: tuple[Command, ...] = (
    Command("lab", "open JupyterLab on a copy of the tutorials"),
    Command("ask", "ask a model about a picture"),
    Command("serve", "serve the embedded model as the hosted service does"),
    Command("collect", "gather the exported results of a class into one table"),
    Command("handouts", "write a lesson as worksheet and teacher's copy, to be printed"),
    Command("gateway", "share one key, or one model, with a class"),
    Command("models", "list the models that can be asked"),
    Command("doctor", "check the installation, and say what to do about each problem"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line: `argv`, by default the arguments of the process, without the program's name.

    The exit status is 0 done, 1 failed with a sentence on the error stream, 2 wrong arguments, 130
    interrupted; `nbvlm ask --help` lists more.
    """
    prepare_streams()
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _run(given)
    except SystemExit as ended:  # argparse: help, or wrong arguments
        if finish_output():
            raise SystemExit(FAILED) from None
        raise ended from None
    except BrokenPipeError:
        status = FAILED
    except KeyboardInterrupt:
        status = INTERRUPTED
    reason = finish_output()
    if reason and status == 0:
        print_error(f"nbvlm: The output cannot be written: {reason}.")
        status = FAILED
    return status


def _run(given: list[str]) -> int:
    options = _parser(given).parse_args(given)
    command: Command = options.command
    try:
        return command.module().run(options)
    except Error as error:
        from nbvlm.cli.hints import as_options

        print_error(f"nbvlm {command.name}: {as_options(error)}")
        return FAILED


class _Parser(argparse.ArgumentParser):
    """Names wrong arguments without control characters: they may be names of files."""

    def error(self, message: str) -> NoReturn:
        from nbvlm._text import visible

        super().error(visible(message))

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        if file is sys.stdout:  # argparse ignores an output that cannot be written
            try:
                print_line(message, end="")
            except Error as error:
                print_error(f"nbvlm: {error}")
                raise SystemExit(FAILED) from None
            except BrokenPipeError:
                raise SystemExit(FAILED) from None
        else:
            super()._print_message(message, file)


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="nbvlm",
        description="Ask vision-language models about pictures.",
        epilog="exit status: 0 done, 1 failed, 2 wrong arguments, 130 interrupted by Ctrl-C; ask has more",
    )
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
