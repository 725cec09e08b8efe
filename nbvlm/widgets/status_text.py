"""Short texts of the panel: sizes, the status line, and one clear sentence for each failure."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from nbvlm.errors import Error
from nbvlm.images import fit

if TYPE_CHECKING:
    from nbvlm.client import Status
    from nbvlm.endpoints import Endpoint
    from nbvlm.images import Picture
    from nbvlm.result import Result, Timing

__all__ = [
    "ROUTES",
    "failure",
    "finished",
    "line",
    "offered",
    "pause",
    "progress",
    "quick",
    "seconds",
    "size",
    "stopped",
    "tokens",
    "way",
]


def size(count: int) -> str:
    """Write a number of bytes for people.

    >>> size(900), size(12_345), size(3_800_000)
    ('900 B', '12 kB', '3.8 MB')
    """
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e3:.0f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"


def seconds(value: float) -> str:
    """Write a duration for people.

    >>> seconds(0.0381), seconds(1.234), seconds(72)
    ('38 ms', '1.23 s', '72 s')
    """
    if value < 1:
        return f"{value * 1000:.0f} ms"
    return f"{value:.2f} s" if value < 10 else f"{value:.0f} s"


def progress(event: Status) -> str:
    """Say what the client is doing, while no text comes.

    Kinds that are not known here are shown as they are, so a new one is seen rather than lost.
    """
    if event.kind == "upload" and event.total:
        return f"Uploading {100 * (event.done or 0) // event.total} %"
    if event.kind == "retry":
        tries = f": try {event.done + 1} of {event.total}" if event.done and event.total else ""
        return f"Waiting {seconds(event.seconds or 0)} to ask again{tries}"
    known = {"upload": "Uploading", "queued": "Queued", "waiting": "Waiting for the model"}
    return known.get(event.kind, event.kind.capitalize())


def pause(event: Status) -> float:
    """Seconds that what the client is doing will take, as far as that is known: 0 if not."""
    return event.seconds if event.kind == "retry" else 0.0


def tokens(count: int, *, counted: bool) -> str:
    """Write a number of tokens; `counted` if it is that of the stream's pieces, and not the service's word.

    >>> tokens(12, counted=True), tokens(1, counted=False)
    ('≈ 12 tokens', '1 token')
    """
    return f"{'≈ ' if counted else ''}{count} token{'' if count == 1 else 's'}"


def finished(result: Result, pieces: int | None) -> list[str | dict[str, str]]:
    """Write the parts of the status line after an answer: what travelled, how long it took, its request.

    Parameters
    ----------
    result
        The answer.
    pieces
        Pieces that it came in: about one a token. Streams of hosted PaliGemma do not tell their usage. None
        where nobody counted.

    Returns
    -------
    list
        Texts; the request's id as its beginning (`text`) and all of it, to `copy`.
    """
    timing = result.timing
    parts: list[str | dict[str, str]] = ["Inline" if result.route == "inline" else "Asset"]
    if timing.bytes_sent:
        parts.append(f"{size(timing.bytes_sent)} sent")
    said = result.usage.completion_tokens if result.usage else None
    count = pieces if said is None else said
    if count is not None:
        parts.append(tokens(count, counted=said is None))
    if timing.first_token_s is not None:
        parts.append(f"first token {seconds(timing.first_token_s)}")
    parts.append(f"total {seconds(timing.total_s)}")
    if count is not None and (rate := _rate(count, timing)):
        parts.append(rate)
    if result.finish_reason == "length":
        parts.append("cut off at max tokens")
    if result.request_id:
        parts.append(_request(result.request_id))
    return parts


def _rate(count: int, timing: Timing) -> str:
    """Write tokens a second, of those after the first: nothing where there are too few to say."""
    span = timing.total_s - (timing.first_token_s or 0.0)
    return f"{(count - 1) / span:.0f} tokens/s" if count > 2 and span > 0 else ""


def _request(number: str) -> dict[str, str]:
    shown = f"{number[:8]}…" if len(number) > 12 else number
    return {"text": f"request {shown}", "title": f"Copy the request id {number}", "copy": number}


def stopped(after: float, pieces: int) -> list[str]:
    """Write the parts of the status line after Stop.

    >>> stopped(1.204, 40)
    ['Stopped after 1.20 s', '≈ 40 tokens']
    """
    return [f"Stopped after {seconds(after)}", tokens(pieces, counted=True)]


def _sentence(text: str) -> str:
    return text if not text or text.endswith((".", "!", "?", "…")) else f"{text}."


def failure(error: BaseException) -> dict[str, Any]:
    """One sentence for what happened and one for what to do next.

    Only nbvlm's own errors are quoted: their texts are free of keys by construction. Of any other error the
    type alone is told.
    """
    if isinstance(error, Error):
        return {"message": _sentence(error.message), "hint": _sentence(error.hint or "")}
    return {
        "message": f"Something unexpected happened in nbvlm ({type(error).__name__}).",
        "hint": "Run the same in Python with client.ask(...) to see the whole report.",
    }


ROUTES = ("auto", "inline", "asset")


def offered(endpoint: Endpoint) -> tuple[str, ...]:
    """Return the routes that an endpoint knows, "auto" first."""
    if endpoint.assets_url is None:
        return ("auto", "inline")
    return ("auto", "asset") if endpoint.inline_limit == 0 else ROUTES


def line(picture: Picture) -> str:
    """Size of a picture in pixels and bytes."""
    weight = size(picture.nbytes) if picture.nbytes is not None else "by its hash"
    return f"{picture.width} × {picture.height} px · {weight}"


def quick(picture: Picture, endpoint: Endpoint, route: str) -> bool:
    """Whether `way` takes no time: nothing is to be turned, read or shrunk."""
    if picture.data is None:
        return True
    return not picture.pending and _taken(picture, endpoint, route) != "shrunk"


def way(picture: Picture, endpoint: Endpoint, route: str) -> str:
    """Say how a picture will travel.

    Parameters
    ----------
    picture
        The chosen one.
    endpoint
        What will be asked.
    route
        "auto", "inline" or "asset".

    Raises
    ------
    ImageError
        If it cannot be shrunk enough.
    """
    if picture.data is None:
        return "cannot travel: its bytes are elsewhere"
    taken = _taken(picture, endpoint, route)
    if taken == "asset":
        return "uploaded as an asset, then deleted"
    if taken == "inline":
        return "travels inline, as it is"
    before, after = _shrunk(picture, endpoint.inline_limit or 0)
    return f"shrunk from {before} to {after}, travels inline"


def _taken(picture: Picture, endpoint: Endpoint, route: str) -> str:
    if route == "asset":
        return "asset"
    if endpoint.inline_limit == 0:
        return "asset"
    if picture.fits(endpoint.inline_limit):
        return "inline"
    return "asset" if route == "auto" and endpoint.assets_url is not None else "shrunk"


@functools.lru_cache(maxsize=8)
def _shrunk(picture: Picture, limit: int) -> tuple[str, str]:
    fitted = fit(picture, limit)
    return _measure(fitted.before), _measure(fitted.after)


def _measure(measured: tuple[int, int, int]) -> str:
    width, height, count = measured
    return f"{width} × {height} ({size(count)})"
