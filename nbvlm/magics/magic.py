"""The magics `%vlm` and `%%vlm`: ask about a picture from a line or a cell; `%load_ext nbvlm` brings them.

`%vlm photo.jpg detect cat ; dog` asks at once, `%%vlm photo.jpg --as answer` takes the cell as the prompt.
The answer streams below the cell, becomes the result, and is kept in a variable.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import functools
import keyword
import re
from typing import TYPE_CHECKING, Any, NoReturn

from IPython.core.magic import no_var_expand

from nbvlm._background import iterate_in_thread
from nbvlm._text import visible
from nbvlm.cli import asking, declare, opening
from nbvlm.errors import Error, ParameterError, PromptError
from nbvlm.magics import completion, ipython_hooks, line, lookup
from nbvlm.magics import display as live
from nbvlm.magics import line as expansion

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Mapping

    from nbvlm.client import Event, Stream
    from nbvlm.result import Result

__all__ = ["NAME", "Vlm", "load", "unload"]

NAME = "_vlm"
"""Variable that keeps the result where no other is named."""

_DESCRIPTION = """\
Ask a vision-language model about a picture. The answer streams below the
cell, becomes the result, and is kept in the variable _vlm, or as --as says.
"""
_EPILOG = """\
IMAGE is a path or an address (in quotes if it has blanks), the name of a
variable with a picture, or an expression such as pictures[0] or {load(3)}.
In paths, options and prompts, {expressions} and $names are replaced by their
values; {{ and }} stand for braces. What follows a lone -- is all prompt.
In %%vlm the cell below the line is the prompt.

  %vlm photo.jpg detect cat ; dog
  %vlm photo.jpg --temperature 0.1 answer en what color is the {thing}?
  %%vlm photo.jpg --as answer
  answer = %vlm photo.jpg caption en
  %vlm photo.jpg caption en --endpoint client

The interrupt button, or Ctrl-C, stops the answer.
"""
_ONE_LINE = {"nvidia", "demo"}
_PATIENCE_S = 10.0
"""Seconds that a stopped stream has for deleting its upload."""
_RED, _PLAIN = "\x1b[31m", "\x1b[0m"


class _Parser(argparse.ArgumentParser):
    """Raises where argparse would end the process."""

    def error(self, message: str) -> NoReturn:
        unknown = re.match(r"unrecognized arguments: (-[^\s=]+)", message)
        if unknown is None:
            raise ParameterError(f"{message[0].upper()}{message[1:]}.", hint=_HELP)
        near = difflib.get_close_matches(unknown[1], self._option_string_actions, n=1)
        guess = f"Did you mean {near[0]}? " if near else ""
        raise ParameterError(f"There is no option {visible(unknown[1])}.", hint=f"{guess}{_HELP}")


_HELP = "%vlm --help lists the options; after a lone -- all is prompt."


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
    declare(parser)
    return parser


class Vlm:
    """The magics, for one shell.

    Parameters
    ----------
    shell
        IPython's shell.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._parser = _parser()
        actions = [action for action in self._parser._actions if action.option_strings]  # noqa: SLF001 - no other way to list them
        self.options = {action.option_strings[-1]: action.nargs is None for action in actions}
        self._valued = {name for name, valued in self.options.items() if valued}
        self._clients = lookup.Clients()

    def vlm(self, text: str, cell: str | None = None, local_ns: Mapping[str, Any] | None = None) -> Any:
        """Ask a vision-language model about a picture; `%vlm --help` tells how.

        Parameters
        ----------
        text
            The line.
        cell
            What stands below it, the prompt, in a cell magic.
        local_ns
            Variables of the function that the line stands in.
        """
        try:
            result = self._ask(text, cell, {**self._shell.user_ns, **(local_ns or {})})
        except (Error, KeyboardInterrupt) as error:
            raise _told(error) from None
        return result if ipython_hooks.wants_value() else None

    def _ask(self, text: str, cell: str | None, names: Mapping[str, Any]) -> Result | None:
        taken = line.split(text, self._valued)
        options = self._parser.parse_args([expansion.expand(each, names) for each in taken.options])
        if options.help or (taken.image is None and not (cell or "").strip()):
            self._help()
            return None
        name = _variable(options.name)
        if taken.image is None:
            raise PromptError("There is no picture in the line.", hint=f"Write %vlm IMAGE PROMPT. {_HELP}")
        picture = lookup.picture(taken.image, names)
        client = self._clients.find(options.endpoint, opening(options), names)
        folded = client.endpoint.name in _ONE_LINE
        prompt = expansion.expand(_prompt(taken.prompt, cell, folded=folded), names)
        result = self._answer(client, picture, prompt, options)
        self._shell.user_ns[name] = result
        return result

    def _answer(self, client: Any, picture: Any, prompt: str, options: argparse.Namespace) -> Result:
        show = live.for_shell(self._shell, client.endpoint.model)
        try:
            stream = client.stream(picture, prompt, **asking(options))
            with contextlib.closing(_events(stream)) as events:
                for event in events:
                    show.take(event)
            result: Result = stream.result
        except KeyboardInterrupt:
            show.leave("stopped")
            raise
        except Error:
            show.leave("ended by an error")
            raise
        show.finish(result)
        return result

    def _help(self) -> None:
        from IPython.display import display

        display({"text/plain": self._parser.format_help()}, raw=True)

    def close(self) -> None:
        """Close the connections."""
        self._clients.close()


def _events(stream: Stream) -> Generator[Event | None]:
    """Yield the events of a stream, and None whenever none came for a while."""

    # A thread only reads: what it displays, a notebook may put below another cell.
    async def read() -> AsyncGenerator[Event]:
        for event in stream:
            yield event

    return iterate_in_thread(read, idle_s=live.EVERY_S, stop=stream.close, patience_s=_PATIENCE_S)


def _prompt(words_of_line: str, cell: str | None, *, folded: bool) -> str:
    """Join line and cell; where a line break would end the prompt, lines become one."""
    whole = "\n".join(part for part in (words_of_line, (cell or "").strip()) if part)
    return re.sub(r"\s*\n\s*", " ", whole) if folded else whole


def _variable(name: str) -> str:
    if name.isidentifier() and not keyword.iskeyword(name):
        return name
    raise ParameterError(f"{visible(name)!r} cannot be the name of a variable.", hint="Try --as answer.")


def _told(error: Error | KeyboardInterrupt) -> BaseException:
    """Make IPython show an error as a sentence: what is inside the package helps nobody who asks a model."""
    if isinstance(error, KeyboardInterrupt):
        error = KeyboardInterrupt("Stopped.")
    render = functools.partial(_sentence, type(error).__name__, str(error))
    setattr(error, "_render_traceback_", render)  # noqa: B010 - IPython's name, on an error of ours
    return error


def _sentence(kind: str, text: str) -> list[str]:
    """Red where that can be read on any background; front ends put the whole on a red one."""
    return [f"{_RED}{kind}{_PLAIN}: {visible(text)}"]


_loaded: dict[int, Callable[[], None]] = {}


def load(shell: Any) -> None:
    """Bring the magics into a shell; again, to renew them."""
    unload(shell)
    vlm = Vlm(shell)
    magic = functools.partial(vlm.vlm)
    functools.update_wrapper(magic, vlm.vlm)
    magic.needs_local_scope = True  # type: ignore[attr-defined]
    shell.register_magic_function(no_var_expand(magic), "line_cell", "vlm")
    matcher = completion.matcher(vlm.options, shell.user_ns)
    shell.Completer.custom_matchers.append(matcher)
    shell.input_transformer_manager.token_transformers.append(ipython_hooks.Asks)

    def undo() -> None:
        shell.Completer.custom_matchers.remove(matcher)
        shell.input_transformer_manager.token_transformers.remove(ipython_hooks.Asks)
        for kind in ("line", "cell"):
            shell.magics_manager.magics[kind].pop("vlm", None)
        vlm.close()

    _loaded[id(shell)] = undo


def unload(shell: Any) -> None:
    """Take the magics out of a shell."""
    undo = _loaded.pop(id(shell), None)
    if undo is not None:
        undo()
