"""`nbvlm ask`: a question on the command line, answered for a person or, in a pipe, for a program."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbvlm.cli import options as shared
from nbvlm.cli.output import complain, is_watched, say
from nbvlm.errors import (
    AuthenticationError,
    Error,
    ImageError,
    ParameterError,
    PromptError,
    QuotaError,
    RateLimitError,
    ServerError,
    TimeoutError,  # noqa: A004 - the public name
    TransportError,
)

if TYPE_CHECKING:
    import argparse

    from nbvlm.cli.output import Voice
    from nbvlm.client import Client
    from nbvlm.result import Result

__all__ = ["STATUSES", "arguments", "run", "status_of"]

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
"""Exit status of each kind of error, the first that fits; any other is 1."""

_EPILOG = """\
On a terminal the answer is written for a person. In a pipe, or with --json, it
is one line of JSON; with --stream as well, one line an event:
{"event": "text" | "detection" | "status" | "result" | "error", ...}

The hosted model's key is read from NVIDIA_API_KEY or the keyring; without one
the embedded model answers. A key is never an argument: others on the machine
could read it there.

exit status:
  0    answered
  1    the service refused, or what it said cannot be used
  2    refused before anything was sent: arguments, prompt, parameters
  3    the picture cannot be read or sent
  4    the key is missing or refused, or the account has no credits
  5    worth another try: too many requests, no network, no answer in time
  130  interrupted by Ctrl-C

examples:
  nbvlm ask photo.jpg "detect cat ; dog" --out found.png
  nbvlm ask photo.jpg caption en --stream
  cat photo.jpg | nbvlm ask - ocr --json | jq -r .text
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("image", metavar="IMAGE", help="path or URL of a picture; - reads it from the input")
    parser.add_argument(
        "prompt", metavar="PROMPT", nargs="+", help="task and question; - reads it from the input"
    )
    output = parser.add_argument_group("the output")
    output.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        help="save the annotated picture (.png .jpg .webp) or the result (.json .html .csv)",
    )
    form = output.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="JSON lines, on a terminal too")
    form.add_argument("--text", action="store_true", help="words for a person, in a pipe too")
    output.add_argument("--stream", action="store_true", help="show the answer while it comes")
    shared.declare(parser)


def run(options: argparse.Namespace) -> int:
    """Ask, and write the answer."""
    from nbvlm.cli import output as answering

    as_json = options.json or not (options.text or is_watched())
    voice: Voice = answering.Json(stream=options.stream) if as_json else answering.Words(options.stream)
    try:
        image, prompt = _given(options)
        _check(options.out)
        with _client(options) as client:
            result = _answer(client, image, prompt, options, voice)
        voice.result(result)
        if options.out is not None:
            _save(result, options.out, told=not as_json)
    except Error as error:
        voice.error(error)
        complain(f"nbvlm ask: {error}")
        return status_of(error)
    return 0


def status_of(error: Error) -> int:
    """Exit status for an error.

    Examples
    --------
    >>> status_of(ImageError("It is a folder.")), status_of(Error("Something else."))
    (3, 1)
    """
    return next((status for kind, status in STATUSES if isinstance(error, kind)), FAILED)


def _given(options: argparse.Namespace) -> tuple[Any, str]:
    image, prompt = options.image, " ".join(options.prompt)
    if image == prompt == "-":
        raise ParameterError("The input cannot be both picture and prompt.", hint="Give one as an argument.")
    if image == "-":
        return _piped(), prompt
    return image, sys.stdin.read() if prompt == "-" else prompt


def _piped() -> bytes:
    from nbvlm.images import MAX_BYTES

    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    if not data:
        raise ImageError("Nothing came on the input.", hint="Pipe a picture in, or give a path instead of -.")
    return data


def _client(options: argparse.Namespace) -> Client:
    from nbvlm.client import Client

    return Client(options.endpoint, **shared.opening(options))


def _answer(client: Client, image: Any, prompt: str, options: argparse.Namespace, voice: Voice) -> Result:
    if not options.stream:
        return client.ask(image, prompt, progress=voice.event, **shared.asking(options))
    with client.stream(image, prompt, **shared.asking(options)) as stream:
        for event in stream:
            voice.event(event)
    return stream.result


def _check(out: Path | None) -> None:
    """Find out before asking whether the answer can be saved."""
    from nbvlm.result import ENDINGS

    if out is None:
        return
    if out.suffix.lower() not in ENDINGS:
        raise ParameterError(f"Nothing can be saved as {out.name!r}.", hint=f"Endings: {', '.join(ENDINGS)}.")
    if not out.parent.is_dir():
        raise ParameterError(f"There is no folder {str(out.parent)!r} to save in.", hint="Make it first.")


def _save(result: Result, out: Path, *, told: bool) -> None:
    try:
        result.save(out)
    except (OSError, ValueError) as error:
        raise Error(f"{out.name!r} could not be saved: {error}") from None
    if told:
        say(f"  Saved: {out}")
