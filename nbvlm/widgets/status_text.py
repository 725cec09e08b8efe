"""Short texts of the panel: the status line, the picture and its route, and one sentence for a failure."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from nbvlm._text import count, duration, ordinal, size
from nbvlm.errors import Error
from nbvlm.images import fit

if TYPE_CHECKING:
    from nbvlm.client import Status
    from nbvlm.endpoints import Endpoint
    from nbvlm.images import Picture
    from nbvlm.result import Result, Timing

__all__ = [
    "failure_sentences",
    "failure_text",
    "finished_text",
    "is_route_known",
    "picture_text",
    "progress_text",
    "route_text",
    "routes_of",
    "stopped_text",
]


def progress_text(event: Status) -> str:
    """Write the activity of the client before the first text; unknown kinds are shown by name."""
    if event.kind == "upload" and event.total:
        return f"Uploading {100 * (event.done or 0) // event.total} %"
    if event.kind == "retry":
        tries = f": try {event.done + 1} of {event.total}" if event.done and event.total else ""
        return f"Waiting {duration(event.seconds or 0)} to ask again{tries}"
    if event.kind in ("download", "loading"):
        return _loading_text(event)
    if event.kind == "queued" and event.done:
        return f"{ordinal(event.done)} in line"
    if event.kind == "quota" and event.total:
        return f"{event.done or 0} of {event.total} left"
    known = {"upload": "Uploading", "queued": "Queued", "waiting": "Waiting for the model"}
    return known.get(event.kind, event.kind.capitalize())


def _loading_text(event: Status) -> str:
    """Write how far a model is: bytes, files, and the time that is left at the pace so far."""
    what = "Downloading the model" if event.kind == "download" else "Loading the model"
    if not event.total:
        return what
    done = min(event.done or 0, event.total)
    files = f" in {count(event.files, 'file')}" if event.files else ""
    # The first bytes come slowly: what they promise is too much.
    left = event.seconds * (event.total - done) / done if done >= event.total / 50 else 0.0
    minutes = f"{left / 60:.0f} min" if left >= 100 else f"{left:.0f} s"
    rest = f", about {minutes} left" if left >= 1 else ""
    return f"{what}: {size(done)} of {size(event.total)}{files}{rest}"


def finished_text(result: Result, pieces: int | None) -> list[str | dict[str, str]]:
    """Write the parts of the status line after an answer: its route, size, tokens, times and request.

    The request is its id's beginning (`text`), and all of it to `copy`.
    """
    timing = result.timing
    parts: list[str | dict[str, str]] = ["Inline" if result.route == "inline" else "Asset"]
    if timing.bytes_sent:
        parts.append(f"{size(timing.bytes_sent)} sent")
    reported = result.usage.completion_tokens if result.usage else None
    tokens = pieces if reported is None else reported  # streams of hosted PaliGemma carry no usage
    if tokens is not None:
        parts.append(f"{'≈ ' if reported is None else ''}{count(tokens, 'token')}")
    if timing.first_token_s is not None:
        parts.append(f"first token {duration(timing.first_token_s)}")
    parts.append(f"total {duration(timing.total_s)}")
    if tokens is not None and (rate := _rate(tokens, timing)):
        parts.append(rate)
    if result.finish_reason == "length":
        parts.append("cut off at max tokens")
    if result.request_id:
        parts.append(_request(result.request_id))
    return parts


def _rate(tokens: int, timing: Timing) -> str:
    """Write tokens a second, of those after the first; "" if there are too few to measure."""
    span = timing.total_s - (timing.first_token_s or 0.0)
    if tokens <= 2 or span <= 0:
        return ""
    rate = f"{(tokens - 1) / span:.0f}"
    return f"{rate} token{'' if rate == '1' else 's'}/s"


def _request(number: str) -> dict[str, str]:
    short = number.removeprefix("chatcmpl-")  # as OpenAI's form begins all of them
    shown = f"{short[:8]}…" if len(short) > 12 else short
    return {"text": f"request {shown}", "title": f"Copy the request id {number}", "copy": number}


def stopped_text(after: float, pieces: int) -> list[str]:
    """Write the parts of the status line after Stop.

    >>> stopped_text(1.204, 40)
    ['Stopped after 1.20 s', '≈ 40 tokens']
    """
    return [f"Stopped after {duration(after)}", f"≈ {count(pieces, 'token')}"]


def _sentence(text: str) -> str:
    return text if not text or text.endswith((".", "!", "?", "…")) else f"{text}."


def failure_text(error: BaseException) -> dict[str, str]:
    """Write a `message` for the failure, and a `hint` at the next step.

    Only nbvlm's own errors are quoted: their texts are free of keys by construction. Any other error is named
    by its type alone.
    """
    if isinstance(error, Error):
        return {"message": _sentence(error.message), "hint": _sentence(error.hint or "")}
    return {
        "message": f"nbvlm failed with an unexpected {type(error).__name__}.",
        "hint": "Ask the same in Python with client.ask(...) to see the whole traceback.",
    }


def failure_sentences(error: BaseException) -> str:
    """Write message and hint of a failure in one text, as `failure_text` does."""
    return " ".join(filter(None, failure_text(error).values()))


def routes_of(endpoint: Endpoint) -> tuple[str, ...]:
    """Return the routes that an endpoint offers, "auto" first."""
    if endpoint.assets_url is None:
        return ("auto", "inline")
    return ("auto", "asset") if endpoint.inline_limit == 0 else ("auto", "inline", "asset")


def picture_text(picture: Picture) -> str:
    """Write the size of a picture in pixels and bytes."""
    weight = size(picture.nbytes) if picture.nbytes is not None else "known by its hash"
    return f"{picture.width} × {picture.height} px · {weight}"


def is_route_known(picture: Picture, endpoint: Endpoint, route: str) -> bool:
    """Check that `route_text` takes no time: the picture need not be read, turned or shrunk first."""
    if picture.data is None:
        return True
    return not picture.pending and _taken(picture, endpoint, route) != "shrunk"


def route_text(picture: Picture, endpoint: Endpoint, route: str) -> str:
    """Write how a picture will travel by a route: "auto", "inline" or "asset"."""
    if picture.data is None:
        return "cannot be sent: only its hash is known"
    taken = _taken(picture, endpoint, route)
    if taken == "asset":
        return "uploaded as an asset, then deleted"
    if taken == "inline":
        return "travels inline, as it is"
    before, after = _shrunk(picture, endpoint.inline_limit or 0)
    return f"shrunk from {before} to {after}, travels inline"


def _taken(picture: Picture, endpoint: Endpoint, route: str) -> str:
    if route == "asset" or endpoint.inline_limit == 0:
        return "asset"
    if picture.fits(endpoint.inline_limit):
        return "inline"
    return "asset" if route == "auto" and endpoint.assets_url is not None else "shrunk"


@functools.lru_cache(maxsize=8)
def _shrunk(picture: Picture, limit: int) -> tuple[str, str]:
    fitted = fit(picture, limit)
    return _measure(fitted.before), _measure(fitted.after)


def _measure(measured: tuple[int, int, int]) -> str:
    width, height, weight = measured
    return f"{width} × {height} ({size(weight)})"
