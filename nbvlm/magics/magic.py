"""The magics `%vlm` and `%%vlm`, which ask about a picture from a line or a cell.

`%vlm photo.jpg detect cat ; dog` asks at once, `%%vlm photo.jpg --as answer` takes the cell as the prompt.
The answer streams below the cell, becomes the result, and is kept in a variable.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import keyword
import re
from typing import TYPE_CHECKING, Any, NoReturn

from IPython.core.magic import needs_local_scope, no_var_expand
from IPython.display import display

from nbvlm._background import iterate_in_thread
from nbvlm._text import did_you_mean, visible
from nbvlm.cli import add_arguments, client_keywords, question_keywords
from nbvlm.errors import Error, ParameterError, PromptError
from nbvlm.magics import completion, line, lookup
from nbvlm.magics.display import EVERY_S, display_for
from nbvlm.magics.ipython_hooks import QuestionLine, ShownOnce

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Mapping

    from nbvlm.client import Event, Stream
    from nbvlm.result import Result

__all__ = ["NAME", "Vlm", "load", "unload"]

NAME = "_vlm"
"""Variable that keeps the result unless `--as` names another."""

_DESCRIPTION = """\
Ask a vision-language model about a picture. The answer streams below the
cell, becomes the result, and is kept in the variable _vlm, or as --as says.
"""
_EPILOG = """\
IMAGE is a path or an address (in quotes if it has blanks), the name of a
variable with a picture, or an expression such as pictures[0] or {load(3)}.
In paths, options and prompts, {expressions} and $names are replaced by their
values; {{ and }} stand for braces. Everything after a lone -- is the prompt.
In %%vlm the cell below the line is the prompt.

  %vlm photo.jpg detect cat ; dog
  %vlm photo.jpg --temperature 0.1 answer en what color is the {thing}?
  %%vlm photo.jpg --as answer
  answer = %vlm photo.jpg caption en
  %vlm photo.jpg caption en --endpoint client

The interrupt button, or Ctrl-C, stops the answer.
"""
_ONE_LINE = {"nvidia", "demo"}  # a line break would end the prompt there
_PATIENCE_S = 10.0
"""Seconds that a stopped stream has for deleting its upload."""
_RED, _PLAIN = "\x1b[31m", "\x1b[0m"


class _Parser(argparse.ArgumentParser):
    """Raises an error where argparse would end the process."""

    def error(self, message: str) -> NoReturn:
        unknown = re.match(r"unrecognized arguments: (-[^\s=]+)", message)
        if unknown is None:
            raise ParameterError(f"{message[0].upper()}{message[1:]}.", hint=_HELP)
        guess = did_you_mean(unknown[1], self._option_string_actions, cutoff=0.6, form="{}")
        raise ParameterError(f"{visible(unknown[1])} is not an option.", hint=f"{guess}{_HELP}")


_HELP = "%vlm --help lists the options; everything after a lone -- is the prompt."


def _parser() -> _Parser:
    parser = _Parser(
        prog="%vlm",
        usage="%%vlm IMAGE [options] PROMPT, or %%%%vlm IMAGE [options] above a cell with the prompt",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        add_help=False,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-h", "--help", action="store_true", help="show this help")
    parser.add_argument("--as", dest="name", default=NAME, metavar="NAME", help="variable for the result")
    add_arguments(parser)
    return parser


class Vlm:
    """The magics of one shell."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._parser = _parser()
        actions = [action for action in self._parser._actions if action.option_strings]  # noqa: SLF001 - no other way to list them
        self.options = {action.option_strings[-1]: action.nargs is None for action in actions}
        self._valued = {name for name, valued in self.options.items() if valued}
        self._clients = lookup.Clients()

    @no_var_expand  # type: ignore[untyped-decorator] # IPython has no types here
    @needs_local_scope  # type: ignore[untyped-decorator]
    def vlm(
        self, text: str, cell: str | None = None, local_ns: Mapping[str, Any] | None = None
    ) -> Result | None:
        """Ask a vision-language model about a picture; `%vlm --help` shows how.

        The result is None where only the help was shown.
        """
        try:
            return self._ask(text, cell, {**self._shell.user_ns, **(local_ns or {})})
        except (Error, KeyboardInterrupt) as error:
            raise _as_sentence(error) from None

    def _ask(self, text: str, cell: str | None, names: Mapping[str, Any]) -> Result | None:
        taken = line.split(text, self._valued)
        options = self._parser.parse_args([line.expand(each, names) for each in taken.options])
        if options.help or (taken.image is None and not (cell or "").strip()):
            display({"text/plain": self._parser.format_help()}, raw=True)
            return None
        name = _variable(options.name)
        if taken.image is None:
            raise PromptError("The line names no picture.", hint=f"Write %vlm IMAGE PROMPT. {_HELP}")
        picture = lookup.picture(taken.image, names)
        client = self._clients.find(options.endpoint, client_keywords(options), names)
        one_line = client.endpoint.name in _ONE_LINE
        prompt = line.expand(_prompt(taken.prompt, cell, one_line=one_line), names)
        result = self._answer(client, picture, prompt, options)
        self._shell.user_ns[name] = result
        return result

    def _answer(self, client: Any, picture: Any, prompt: str, options: argparse.Namespace) -> Result:
        shown = display_for(self._shell, client.endpoint.model)
        try:
            stream = client.stream(picture, prompt, **question_keywords(options))
            with contextlib.closing(_events(stream)) as events:
                for event in events:
                    shown.show_event(event)
            result: Result = stream.result
        except KeyboardInterrupt:
            shown.show_end("stopped")
            raise
        except Error:
            shown.show_end("ended by an error")
            raise
        shown.show_result(result)
        return result

    def close(self) -> None:
        """Close the clients."""
        self._clients.close()


def _events(stream: Stream) -> Generator[Event | None]:
    """Yield the events of a stream, and None where none came for a while."""

    # A thread only reads: what it displays, a notebook may put below another cell.
    async def read() -> AsyncGenerator[Event]:
        for event in stream:
            yield event

    return iterate_in_thread(read, idle_s=EVERY_S, stop=stream.close, patience_s=_PATIENCE_S)


def _prompt(words_of_line: str, cell: str | None, *, one_line: bool) -> str:
    """Join line and cell, in one line for endpoints that need it."""
    whole = "\n".join(part for part in (words_of_line, (cell or "").strip()) if part)
    return re.sub(r"\s*\n\s*", " ", whole) if one_line else whole


def _variable(name: str) -> str:
    if name.isidentifier() and not keyword.iskeyword(name):
        return name
    raise ParameterError(f"{visible(name)!r} cannot be the name of a variable.", hint="Try --as answer.")


def _as_sentence(error: Error | KeyboardInterrupt) -> BaseException:
    """Make IPython show an error as its sentence alone, without the package's frames."""
    if isinstance(error, KeyboardInterrupt):
        error = KeyboardInterrupt("Stopped.")
    # Only the kind is red: front ends put the whole on a red background, where red text cannot be read.
    sentence = [f"{_RED}{type(error).__name__}{_PLAIN}: {visible(str(error))}"]
    render: functools.partial[list[str]] = functools.partial(list, sentence)  # a lambda could not be pickled
    setattr(error, "_render_traceback_", render)  # noqa: B010 - IPython's name, on an error of ours
    return error


_loaded: dict[int, Callable[[], None]] = {}


def load(shell: Any) -> None:
    """Register the magics in a shell, or renew them there."""
    unload(shell)
    vlm = Vlm(shell)
    shell.register_magic_function(vlm.vlm, "line_cell", "vlm")
    hooks: list[tuple[list[Any], Any]] = [
        (shell.Completer.custom_matchers, completion.matcher(vlm.options, shell.user_ns)),
        (shell.input_transformer_manager.token_transformers, QuestionLine),
        (shell.ast_transformers, ShownOnce()),
    ]
    for installed, hook in hooks:
        installed.append(hook)

    def undo() -> None:
        for installed, hook in hooks:
            installed.remove(hook)
        for kind in ("line", "cell"):
            shell.magics_manager.magics[kind].pop("vlm", None)
        vlm.close()

    _loaded[id(shell)] = undo


def unload(shell: Any) -> None:
    """Remove the magics from a shell."""
    if undo := _loaded.pop(id(shell), None):
        undo()
