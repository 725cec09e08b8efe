"""`nbvlm ask`: asks about a picture, and answers a person on a terminal or a program in a pipe."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbvlm.cli.hints import as_options
from nbvlm.cli.options import add_arguments, client_keywords, question_keywords
from nbvlm.cli.terminal import is_terminal, print_error
from nbvlm.errors import (
    AuthenticationError,
    Error,
    ImageError,
    ParameterError,
    PromptError,
    QuotaError,
    RateLimitError,
    RequestRejected,
    ServerError,
    TimeoutError,  # noqa: A004 - the public name
    TransportError,
    TruncatedStream,
)

if TYPE_CHECKING:
    import argparse

    from nbvlm.cli.output import AnswerWriter
    from nbvlm.client import Client
    from nbvlm.result import Result

__all__ = ["STATUSES", "arguments", "run", "status_of"]

_LONGEST_PROMPT = 1_000_000
FAILED, REFUSED, PICTURE, KEY, LATER = 1, 2, 3, 4, 5
STATUSES: tuple[tuple[type[Error], int], ...] = (
    (ImageError, PICTURE),
    (PromptError, REFUSED),
    (ParameterError, REFUSED),
    (AuthenticationError, KEY),
    (QuotaError, KEY),
    (RateLimitError, LATER),
    (ServerError, LATER),
    (TransportError, LATER),
    (TimeoutError, LATER),
)
"""Exit status of each kind of error; the first kind that fits counts, any other error has 1."""

_OF_ONE = (ImageError, RequestRejected, TruncatedStream)
"""Failures of one picture, which do not keep the others from being asked about."""

_EPILOG = """\
On a terminal the answer is text for a person. In a pipe, or with --json, it is
one line of JSON; with --stream as well, one line for each event:
{"event": "text" | "reasoning" | "detection" | "status" | "result" |
          "error", ...}

The key of the hosted model comes from NVIDIA_API_KEY or the keyring; without a
key the embedded model answers. A key is never an argument, where other users
of the computer could read it.

exit status:
  0    answered
  1    the service refused, or its answer cannot be used or written
  2    refused before anything was sent: arguments, prompt, parameters
  3    the picture cannot be read or sent
  4    the key is missing or refused, or the account has no credits
  5    try again: too many requests, no network, no answer in time
  130  interrupted by Ctrl-C

Several pictures (nbvlm ask *.jpg "caption en") are asked about one after the
other; a picture that fails does not end the rest. For many pictures, with a
table and a journal, Python has nbvlm.batch.

examples:
  nbvlm ask photo.jpg "detect cat ; dog" --out found.png
  nbvlm ask *.jpg "caption en"
  nbvlm ask photo.jpg caption en --stream
  cat photo.jpg | nbvlm ask - ocr --json | jq -r .text
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "image", metavar="IMAGE", help="path or URL of a picture, or several; - reads standard input"
    )
    parser.add_argument(
        "prompt", metavar="PROMPT", nargs="+", help="task and question; - reads standard input"
    )
    output = parser.add_argument_group("the output")
    output.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        help="save the annotated picture (.png .jpg .jpeg .webp .svg) or the result (.json .html .csv)",
    )
    form = output.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="write JSON lines, on a terminal too")
    form.add_argument("--text", action="store_true", help="write text for a person, in a pipe too")
    output.add_argument("--stream", action="store_true", help="write the answer while it arrives")
    add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Ask, write the answer, and return the exit status."""
    from nbvlm.cli.output import JsonWriter, TextWriter
    from nbvlm.client import Client

    as_json = options.json or not (options.text or is_terminal())
    text = TextWriter(raw=not is_terminal())
    writer: AnswerWriter = JsonWriter(stream=options.stream) if as_json else text
    status = 0
    try:
        images, prompt = _question(options)
        _check(options.out, len(images))
        with Client(options.endpoint, **client_keywords(options)) as client:
            for image in images:
                if len(images) > 1 and not as_json:
                    text.heading(image)
                try:
                    result = _answer(client, image, prompt, options, writer)
                except _OF_ONE as error:
                    if len(images) == 1:
                        raise
                    status = status or _failed(error, writer, image)
                    continue
                writer.result(result)
                if options.out is not None:
                    _save(result, options.out)
                    if not as_json:
                        text.text(f"  Saved: {options.out}")
    except Error as error:
        return _failed(error, writer)
    return status


def _failed(error: Error, writer: AnswerWriter, image: str = "") -> int:
    """Write an error in the words of the command line, and return its exit status."""
    writer.error(as_options(error))
    print_error(f"nbvlm ask: {f'{image}: ' if image else ''}{error}")
    return status_of(error)


def status_of(error: Error) -> int:
    """Return the exit status for an error.

    >>> status_of(ImageError("It is a folder.")), status_of(Error("Something else."))
    (3, 1)
    """
    return next((status for kind, status in STATUSES if isinstance(error, kind)), FAILED)


def _pictures(words: list[str]) -> int:
    """Count the pictures at the beginning of the words after the first picture."""
    from nbvlm.images import SUFFIXES

    for count, word in enumerate(words):
        address = word.startswith(("http://", "https://"))
        if not (address or (Path(word).suffix.lower() in SUFFIXES and Path(word).is_file())):
            return count
    return len(words)


def _question(options: argparse.Namespace) -> tuple[list[Any], str]:
    """Return the pictures and the prompt."""
    more = _pictures(options.prompt) if options.image != "-" else 0
    images, words = [options.image, *options.prompt[:more]], options.prompt[more:]
    if not words:
        message = f"There are {len(images)} pictures and no prompt."
        raise PromptError(message, hint='Write the question last: nbvlm ask *.jpg "caption en".')
    if len(images) > 1 and words == ["-"]:
        return images, _prompt()
    if len(images) > 1:
        return images, " ".join(words)
    image, prompt = _one_question(options)
    return [image], prompt


def _one_question(options: argparse.Namespace) -> tuple[Any, str]:
    image, prompt = options.image, " ".join(options.prompt)
    if image == prompt == "-":
        message = "Picture and prompt cannot both be read from standard input."
        raise ParameterError(message, hint="Give one as an argument.")
    if image != "-":
        return image, _prompt() if prompt == "-" else prompt
    from nbvlm.images import MAX_BYTES

    try:
        data = getattr(sys.stdin, "buffer", sys.stdin).read(MAX_BYTES + 1)
    except OSError as error:
        raise ImageError(f"Standard input cannot be read: {error.strerror or error}.") from None
    if not data:
        raise ImageError("Standard input is empty.", hint="Pipe a picture in, or give a path instead of -.")
    return data, prompt


def _prompt() -> str:
    """Read the prompt from standard input."""
    try:
        text = sys.stdin.read(_LONGEST_PROMPT + 1)
    except UnicodeDecodeError:
        raise PromptError("The prompt on standard input is not UTF-8.", hint="Convert it first.") from None
    except OSError as error:
        raise PromptError(f"Standard input cannot be read: {error.strerror or error}.") from None
    if len(text) > _LONGEST_PROMPT:
        message = f"The prompt on standard input is longer than {_LONGEST_PROMPT:,} characters."
        raise PromptError(message, hint="Shorten it.")
    return text


def _answer(
    client: Client, image: Any, prompt: str, options: argparse.Namespace, writer: AnswerWriter
) -> Result:
    keywords = question_keywords(options)
    if not options.stream:
        return client.ask(image, prompt, progress=writer.event, **keywords)
    with client.stream(image, prompt, **keywords) as stream:
        for event in stream:
            writer.event(event)
    return stream.result


def _check(out: Path | None, count: int) -> None:
    """Check before asking that the answer can be saved."""
    from nbvlm.result import ENDINGS

    if out is None:
        return
    if count > 1:
        message = f"--out saves one answer, and there are {count} pictures."
        raise ParameterError(message, hint="Leave out --out and use --json, or ask about one picture.")
    if out.suffix.lower() not in ENDINGS:
        message = f"{out.name!r} has an ending that cannot be saved."
        raise ParameterError(message, hint=f"Use one of {', '.join(ENDINGS)}.")
    if not out.parent.is_dir():
        raise ParameterError(f"The folder {str(out.parent)!r} does not exist.", hint="Make it first.")


def _save(result: Result, out: Path) -> None:
    try:
        result.save(out)
    except Error:
        raise
    except (OSError, ValueError) as error:
        raise Error(f"{out.name!r} could not be saved: {error}") from None
