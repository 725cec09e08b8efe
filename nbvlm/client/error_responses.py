"""Make a typed error of status and body: it says what happened and what to do.

The service and its gateways know many forms of error body (problem details, validation lists, the repr of a
Python list inside a string, OpenAI's `error` object, plain text, a `data:` in front, nothing at all). The
rule: take `data:` off, try JSON, read the message from `detail`, `error.message`, `message`, `title`, else
take the text.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from nbvlm._text import shorten, visible
from nbvlm.client import keys, payloads
from nbvlm.client.policies import retry_after
from nbvlm.client.secrets import redact
from nbvlm.endpoints import GATEWAY, SERVICES, Service
from nbvlm.errors import (
    AssetError,
    AuthenticationError,
    Error,
    NotFoundError,
    QuotaError,
    RateLimitError,
    RequestRejected,
    ServerError,
    TransportError,
)

__all__ = [
    "clean",
    "clean_id",
    "error_in_stream",
    "error_of",
    "failing",
    "is_error",
    "parse_body",
    "request_id",
    "with_message",
]

_NVIDIA = SERVICES["nvidia"]
_LONG = 600  # seconds: a service that asks to wait longer is not merely busy
_BLIND = re.compile(
    r"(?i)multimodal (?:processing|data|model)|image.{0,20}not supported|support.{0,9}(?:image|vision)"
    r"|image_url is only supported|(?:image|vision) input"
)
_UNKNOWN = re.compile(
    r"(?i)\bmodel\b.{0,200}(?:not found|not exist|not available)|not a valid model|model_not_found"
)
_LIST = "client.models(vision=True) lists the models that see."
_GONE = {
    "retired": "The model has been retired",
    "withdrawn": "The model has been withdrawn, or is not open to this account",
    "unknown": "The {who} does not know the model",
    "offline": "The model has been taken offline",
    "failing": "The model is out of order",
    "blind": "The model cannot see, it reads text only",
}
MODEL_FAILED = "model_failed"
"""Code of an error that nbvlm's own service takes over from its model, with a sentence for people."""
_LONGEST = 600  # characters of the service's message
_DEEPEST_REPR = 20_000
_STATUS = re.compile("[45][0-9]{2}")


def request_id(headers: Mapping[str, str]) -> str | None:
    """Return the service's id of a request from its response headers."""
    return clean_id(headers.get("nvcf-reqid") or headers.get("x-request-id"))


def clean_id(value: Any) -> str | None:
    """Return an id that a service sent: bounded, printable and redacted; None without one."""
    return clean(value, 128) if isinstance(value, str) and value else None


def clean(text: str, most: int) -> str:
    """Return a text of the service, safe to show: redacted, on one line, shortened, without control codes."""
    # A key is taken out before the text is cut, since half a key is not recognised.
    return visible(shorten(" ".join(redact(text).split()), most))


def error_of(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    asset: bool = False,
    what: str = "request",
    service: Service | None = _NVIDIA,
    who: str = "service",
    keyed: bool = True,
) -> Error:
    """Return the error for a response; of the asset service, unless it concerns key, credit or rate.

    `service` is the one that answered, None for a server of one's own; `who`: as in `Settings.who`; `keyed`:
    whether a key was sent.
    """
    message, detail = parse_body(body)
    asked, name = retry_after(headers.get("retry-after")), who.partition(" ")[0]
    kind, sentence, hint = _EXPLAINED.get((status, what)) or _explanation(status)
    if asset and kind in (RequestRejected, NotFoundError, ServerError, TransportError):
        kind, sentence, hint = AssetError, *_ASSETS.get(status, (sentence, hint))
    if service is not _NVIDIA:
        hint = _elsewhere(status, service) or hint
    if who.startswith("server"):
        sentence = _OWN.get((status, keyed)) or _OWN.get(status, sentence)
    sentence = _filled(sentence, status, who, what)
    if service is GATEWAY and message:  # whose sentences are written for students
        sentence, message = f"{clean(message, _LONGEST).rstrip('.')} ({status})", ""
    elif (said := _of_model(detail)) is not None:
        sentence, hint, message = *said, ""
    elif asked and status in (429, 503):
        hint = f"The {name} asks to wait {_duration(asked)}."
    is_question = what == "request" and not asset
    gone = _gone(status, asked, message, service) if is_question and service is not GATEWAY else None
    if gone is not None:
        wait = f", and the {name} asks to wait {_duration(asked)}" if gone == "offline" and asked else ""
        sentence = f"{_filled(_GONE[gone], status, who)}{wait}"
        hint = hint if service is _NVIDIA else _LIST
    error = _error(kind, sentence, hint, message, detail, who)
    error.gone = gone
    if service is GATEWAY and status == 404 and is_question:
        error.alternatives = (GATEWAY.name,)
    error.status, error.request_id = status, request_id(headers) or error.request_id
    error.retry_after = asked
    return error


def _filled(sentence: str, status: int | None, who: str, what: str = "request") -> str:
    """Fill in a sentence; a model in this process has no status."""
    number = f" ({status})" if status and who != "model" else ""
    return sentence.format(who=who, what=what) + number


def _elsewhere(status: int, service: Service | None) -> str | None:
    """Return the hint for a service that is not NVIDIA's, where that differs."""
    if status == 401 and service is not None and service.variables:
        return keys.advice(service)
    if service is GATEWAY:
        return _CLASS.get(status)
    if status == 402 and service is not None and service.page:
        return f"See the account's page at {service.page}."
    return _ELSEWHERE.get(status)


_ELSEWHERE = {
    401: "Pass the key of that server as api_key=….",
    402: "Ask the operator of the server.",
    403: "Check that the key may use this model.",
    404: _LIST,
    410: _LIST,
    413: "Send a smaller picture.",
    429: "Wait a minute.",
}
_OWN: dict[object, str] = {
    (401, True): "The {who} refused the key",
    (401, False): "The {who} asks for a key",
    402: "The {who} says that the account has no credits left",
    403: "The {who} does not give this key access",
    410: "The {who} no longer has the model",
    429: "The {who} received too many requests",
}
"""The sentences about a server of one's own that differ; 401 by whether a key was sent."""

_CLASS = {
    402: "Ask your teacher for more.",
    403: "Ask your teacher.",
    404: 'Make the client again, nbvlm.Client("gateway"): it asks the model of the class.',
    429: "Wait a moment.",
    503: "Try again in a while.",
}
"""The next step for a student, by the status of the class gateway."""


def _gone(status: int, asked: float | None, message: str, service: Service | None) -> str | None:
    """Return why the model cannot answer whatever is asked, or None; see `Error.gone`."""
    if status == 410:
        return "retired"
    if 400 <= status <= 500 and _BLIND.search(message):
        return "blind"
    if status == 404 and "found for account" in message:
        return "withdrawn"
    if status == 404 and (_UNKNOWN.search(message) or (service is _NVIDIA and "page not found" in message)):
        return "unknown"
    if status == 503 and (asked or 0) > _LONG:
        return "offline"
    return "failing" if status == 400 and "DEGRADED" in message else None


def failing(error: Error) -> Error:
    """Return the error of a service that fails again: it accepts the request, so another will fail too."""
    said = error.message.partition(": ")[2].rstrip(".")
    error.message = with_message("The service accepts the request, but fails twice in a row (500)", said)
    error.args, error.gone = (error.message,), "failing"
    return error


def error_in_stream(value: Any, *, who: str = "service", request_id: str | None = None) -> Error:
    """Return the error for an object in a stream in place of a chunk; `who`: as in `error_of`."""
    value = redact(value)
    status = _status_in(value)
    kind, sentence, hint = _explanation(status) if status else _IN_STREAM
    sentence, message = _filled(sentence, status, who), _message(value)
    if (said := _of_model(value)) is not None:
        sentence, hint, message = *said, ""
    error = _error(kind, sentence, hint, message, value, who)
    error.status, error.request_id = status, request_id or error.request_id
    return error


def is_error(value: Any) -> bool:
    """Return whether a JSON value that is not a chunk reports an error; pings and statistics do not."""
    if not isinstance(value, Mapping):
        return False
    names = ["error", "errors", "detail", *([] if "type" in value else ["message", "title"])]
    kinds = (value.get("type"), value.get("object"), value.get("status"))
    return "error" in kinds or _status_in(value) is not None or any(value.get(name) for name in names)


def _error(kind: type[Error], sentence: str, hint: str, message: str, detail: Any, who: str) -> Error:
    special = next((special for words, special in _SPECIAL.items() if re.search(words, message)), None)
    return kind(
        with_message(sentence, message),
        request_id=clean_id(detail.get("requestId")) if isinstance(detail, Mapping) else None,
        detail=detail,
        hint=special.format(who=who.partition(" ")[0]) if special is not None else hint,
    )


def _of_model(value: Any) -> tuple[str, str] | None:
    """Return sentence and hint of an error that nbvlm's own service takes over from its model, or None."""
    error = value.get("error") if isinstance(value, Mapping) else None
    if not isinstance(error, Mapping) or error.get("code") != MODEL_FAILED:
        return None
    message, hint = (clean(str(error.get(name) or ""), _LONGEST) for name in ("message", "hint"))
    return message.removesuffix(hint).rstrip(" ."), hint


def parse_body(body: bytes) -> tuple[str, Any]:
    """Return the message in an error body, "" without one, and its detail, parsed as far as possible.

    Both are redacted.
    """
    stripped = body.strip()
    if stripped.startswith(b"data:"):
        stripped = stripped[5:].split(b"\n", 1)[0].strip()
    if not stripped:
        return "", None
    value = redact(payloads.loads(stripped))  # which bounds the depth too
    return _message(value), value


def _message(value: Any) -> str:
    if isinstance(value, str):
        return _message_in_text(value)
    if isinstance(value, list):
        return "; ".join(filter(None, (_validation(item) for item in value)))
    if not isinstance(value, Mapping):
        return ""
    if "msg" in value:
        return _validation(value)
    for key in ("detail", "error", "message", "title", "code"):
        if (inner := value.get(key)) and (message := _message(inner)):
            # An embedding service puts the sentence in `message` and the places in `detail`: take both.
            other = value.get("message")
            both = key == "detail" and isinstance(inner, Mapping) and isinstance(other, str)
            return f"{other} {message}" if both else message
    return ""


def _message_in_text(text: str) -> str:
    """Return the text, or what it says where it is the repr of a Python list of validation errors."""
    stripped = text.strip()
    if stripped[:1] in "[{" and len(stripped) <= _DEEPEST_REPR:
        try:
            parsed = ast.literal_eval(stripped)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return stripped
        if isinstance(parsed, (list, dict)) and (message := _message(parsed)):
            return message
    if stripped[:1] == "<":
        return _first_of_markup(stripped)
    return stripped


def _first_of_markup(text: str) -> str:
    """S3 answers in XML, gateways in HTML: one element says it."""
    code, message, title = (
        text.partition(f"<{tag}>")[2].partition("</")[0].strip() for tag in ("Code", "Message", "title")
    )
    return f"{code}: {message}" if code and message else message or title or code


def _validation(item: Any) -> str:
    if not isinstance(item, Mapping):
        return _message(item)
    place = item.get("loc")
    parts = place if isinstance(place, (list, tuple)) else ()
    where = ".".join(str(part) for part in parts if part != "body")
    what = item.get("msg") or item.get("type") or _message({key: item[key] for key in item if key != "msg"})
    return f"{where}: {what}" if where else str(what)


def with_message(sentence: str, message: str) -> str:
    """Join our sentence and the service's message, redacted and shortened, to one that ends in a stop."""
    # The message of a body was redacted as a whole: a long one may be cut before it is looked at again.
    text = f"{sentence}: {clean(message[: 4 * _LONGEST], _LONGEST)}" if message else sentence
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def _status_in(value: Any) -> int | None:
    if not isinstance(value, Mapping):
        return None
    inner = value.get("error")
    for place in (value, inner if isinstance(inner, Mapping) else {}):
        for found in (place.get("status"), place.get("code")):
            number = int(found) if isinstance(found, str) and _STATUS.fullmatch(found) else found
            if isinstance(number, int) and not isinstance(number, bool) and 400 <= number <= 599:
                return number
    return None


_Explanation = tuple[type[Error], str, str]
_PAGE = "Compare prompt, picture and parameters with the model's page"
_SHRINK = 'Shrink the picture with route="inline", or upload it again.'
# fmt: off
_EXPLAINED: dict[object, _Explanation] = {
    400: (RequestRejected, "The {who} refused the {what}", f"{_PAGE}."),
    401: (AuthenticationError, "The key was refused",
          "Check NVIDIA_API_KEY, or get a key at build.nvidia.com and call nbvlm.login()."),
    402: (QuotaError, "The account has no credits left", "See the account's page at build.nvidia.com."),
    403: (AuthenticationError, "The key has no access to this",
          "Check that the key belongs to the organisation that may use the model."),
    404: (NotFoundError, "The {who} does not know this address, model or asset",
          ("The model may have been retired or not be open to this account: see build.nvidia.com, or "
           'use nbvlm.Client("demo").')),
    407: (TransportError, "The proxy requires a name and a password",
          "Put them into its address in HTTPS_PROXY or HTTP_PROXY: http://name:password@host:port."),
    408: (RequestRejected, "The {what} took too long to arrive", "Ask again."),
    409: (RequestRejected, "The {who} refused the {what} because of a conflict", "Ask again."),
    421: (RequestRejected, "The {what} went to a server that does not answer it", "Ask again."),
    425: (RequestRejected, "The {who} refused the {what} because it came too early", "Ask again in a while."),
    499: (RequestRejected, "The {who} treated the {what} as cancelled", "Ask again."),
    410: (NotFoundError, "The model has been retired", 'Choose another, or nbvlm.Client("demo").'),
    413: (RequestRejected, "The {what} is too large for the {who}",
          'Use route="asset", or a smaller picture.'),
    422: (RequestRejected, "The {who} refused the {what}",
          f"{_PAGE}; stream(…) gets longer reasons."),
    429: (RateLimitError, "Too many requests",
          "Wait a minute: the hosted service takes about 40 requests a minute per account."),
    503: (ServerError, "The {who} is busy or the model is offline", "Try again later."),
    504: (ServerError, "The {who} did not answer in time", "Try again in a while."),
    (404, "poll"): (NotFoundError, "The {who} no longer knows the request that it was working on",
                    "It is over: the answer took too long, or was fetched already. Ask again."),
    # No key goes to the storage, so it is not the key that was refused.
    **{(status, "result"): (TransportError, "The storage did not hand out the answer",
                            "The address of the answer may have expired: ask again.")
       for status in (400, 401, 403, 404, 410)},
    (403, "upload"): (AssetError, "The storage refused the upload",
                      ("Its signed address may have expired: try again, or shrink the picture with "
                       'route="inline".')),
}
_ASSETS = {
    404: ("The asset service does not know this address or asset", _SHRINK),
    410: ("The asset service has been retired", _SHRINK),
    413: ("The picture is too large for the asset service", 'Shrink it with route="inline".'),
}
# fmt: on
_BY_CLASS = {
    5: (ServerError, "The {who} failed", "Try again in a while."),
    4: (RequestRejected, "The {who} refused the {what}", "Compare it with the model's page."),
}
_UNEXPECTED = (
    TransportError,
    "The {who} answered with an unexpected status",
    "Check base_url: something else may be listening there.",
)
_IN_STREAM = (ServerError, "The {who} reported an error in the middle of its answer", "Try again in a while.")
_SPECIAL = {
    "failed to find asset": "It was deleted, or its 24 hours are over: upload the picture again.",
    "payload is below": "The request is too large for the {who}: send a smaller picture.",
    "DEGRADED": "The model is out of order at the moment: try again later.",
    r"\A\s*Inference error\s*\Z": "The {who} hides the reason; stream(…) with the same arguments shows it.",
}


def _explanation(status: int) -> _Explanation:
    return _EXPLAINED.get(status) or _BY_CLASS.get(min(status // 100, 5), _UNEXPECTED)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.0f} hours"
