"""The whole protocol as one generator, the same for both clients.

Route the picture, upload it where it is too large, send the question, wait and poll, read the answer, delete
the upload: everything that the service's protocol knows is decided here, and no byte is moved here. See
`nbvlm.client.flow.steps` for what a flow yields and receives.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import re
import time
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httpx

from nbvlm import endpoints, errors, prompts, request_body
from nbvlm.client import error_responses, payloads, sse
from nbvlm.client.flow import assets
from nbvlm.client.flow.calls import (
    LARGEST_BODY,
    LARGEST_REFUSAL,
    call,
    check_size,
    read,
    read_on,
    request,
)
from nbvlm.client.flow.collector import PieceCollector, ResponseCollector
from nbvlm.client.flow.routing import Prepared, prepare
from nbvlm.client.flow.steps import READ, Context, Emit, Flow, Sleep
from nbvlm.client.policies import Deadline, Retry
from nbvlm.client.settings import signed
from nbvlm.errors import Error, ServerError, TransportError, TruncatedStream
from nbvlm.grounding import dialects
from nbvlm.result import Result, Timing, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbvlm.client.flow.events import Event
    from nbvlm.client.flow.validation import Question
    from nbvlm.grounding import Detections

__all__ = ["ask", "models", "probe", "relay"]

LOADS_WITHIN = 24 * 3600.0
"""Seconds that a download and loading of a model may take."""
POLL_GAP = 1.0
"""Least seconds between the beginnings of two polls, as the service asks."""
DRAIN = 0.5
"""Seconds that the end of a response may take after `[DONE]`, so that its connection is used again."""
LISTED_FOR = 3 * 3600.0
"""Seconds that NVIDIA's list of models is kept."""
LISTED_WITHIN = 5.0
"""Seconds that it may take, so that an error is not held up for long."""
Collector = ResponseCollector | PieceCollector
_FIELDS = (b":", b"data", b"event", b"id", b"retry")
_BOM = b"\xef\xbb\xbf"
_JSON = "application/json"
_EVENTS = "text/event-stream"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


def ask(question: Question, context: Context) -> Flow[Result]:
    """Ask, and return the result; an uploaded picture is deleted in every ending."""
    finish = yield from assets.discarding(context, _ask(question, context))
    return finish()  # now that all notices are known


def _load(context: Context) -> Flow[None]:
    """Wait until a model is in memory, which no time limit of an answer bounds; leaving early stops it."""
    if not context.settings.endpoint.loads or not context.settings.is_direct:
        return
    limits = replace(
        context.settings.timeouts, first_token=LOADS_WITHIN, between_tokens=LOADS_WITHIN, total=LOADS_WITHIN
    )
    context.deadline = Deadline(limits)
    context.deadline.enter("first_token")
    url = f"{context.settings.base_url}/v1/loading"
    yield from call(context, lambda: request(context, "GET", url, headers={"accept": _EVENTS}))
    decoder, is_ready = sse.Decoder(), False
    while piece := (yield READ):
        for event in decoder.feed(piece):
            value = json.loads(event.data)
            is_ready = value.get("ready", False)
            if (failure := value.get("error")) is not None:
                kind = getattr(errors, failure["type"], Error)
                error = kind(failure["message"], hint=failure.get("hint"), status=failure.get("status"))
                error.gone, error.retry_after = "unloadable", failure.get("retry_after")
                raise error
            if not is_ready:
                counts = {"seconds": value.get("seconds"), "files": value["files"] or None}
                yield context.status(value["kind"], value["done"], value["total"], **counts)
    if not is_ready:
        raise TransportError("The loading of the model ended early.", hint="Ask again.")
    context.deadline = Deadline(context.settings.timeouts)


def _ask(question: Question, context: Context) -> Flow[Callable[[], Result]]:
    prepared = yield from prepare(question, context)
    size = (prepared.picture.width, prepared.picture.height)
    sent = (prepared.sent.width, prepared.sent.height)
    endpoint = context.settings.endpoint
    yield from _load(context)
    collector = ResponseCollector(endpoint, size, question.prompt, sent)
    asked = question.prompt
    if question.translate:
        asked = prompts.translate(asked, dialects.of(endpoint.model), sent)
    try:
        response, first = yield from _infer(question, asked, context, prepared, collector)
    except Error as error:
        if isinstance(error, TruncatedStream):
            error.text = collector.text
        if error.gone is not None and endpoint.service == "nvidia":
            yield from _offer(error, context)
        raise
    if (unanswered := collector.unanswered) is not None:
        raise unanswered
    timing = Timing(prepared.upload_s, first, context.deadline.elapsed(), context.bytes_sent)
    return lambda: _result(question, asked, context, prepared, collector, response, timing)


def _infer(
    question: Question, asked: str, context: Context, prepared: Prepared, collector: Collector
) -> Flow[tuple[httpx.Response, float | None]]:
    """Send the question, wait for the answer, read it; return its head and when its text began."""
    settings, endpoint = context.settings, context.settings.endpoint
    streams = question.stream and endpoint.streams
    headers = {"accept": _EVENTS if streams else _JSON}
    if endpoint.dialect == "nvidia":
        headers["nvcf-poll-seconds"] = str(settings.timeouts.poll)
    content = request_body.body(
        endpoint,
        asked,
        prepared.source,
        question.parameters,
        content=question.content,
        stream=streams,
    )
    posted = headers | {"content-type": _JSON}
    if prepared.source.asset_id is not None:
        posted["nvcf-input-asset-references"] = prepared.source.asset_id
    facts = (prepared.picture, endpoint.model, question.prompt, question.parameters)
    url = settings.url
    if endpoint.name == "demo" and endpoint.dialect == "nvidia" and "seed" in question.parameters:
        # Under the name of the hosted model the embedded service is as strict as the published one.
        url = f"{settings.base_url}/v1/vlm/{endpoint.model}"
    context.deadline.enter("first_token")
    yield context.status("waiting")
    response = yield from call(
        context, lambda: request(context, "POST", url, headers=posted, body=content, question=facts)
    )
    response = yield from _settled(context, response, headers)
    head = dict(response.headers.items())  # httpx searches all of them for each
    _note_head(context, head)
    if (left := _pair(head.get("nbvlm-quota"))) is not None:
        yield context.status("quota", *left)
    begun = b""
    if not head.get("content-type", "").strip().lower().startswith(_EVENTS):
        begun = yield from _begin(context)
        # Some servers send a stream of events under another type, or under none.
        if not begun.startswith(_FIELDS):
            return response, (yield from _whole(question, context, response, collector, begun))
    return response, (yield from _stream(context, response, collector, begun))


def _begin(context: Context) -> Flow[bytes]:
    """Read up to the first piece of a body that is not blank, and return it; b"" at the end."""
    begun, size = b"", 0
    while not begun and (piece := (yield from read_on(context))):
        begun = piece.removeprefix(_BOM).lstrip()
        size += len(piece)
        check_size(context, size)
    return begun


def _note_head(context: Context, head: Mapping[str, str]) -> None:
    """Keep what the head of an answer says about it."""
    if notice := head.get("nbvlm-notice"):  # from the embedded model's service
        context.notices.append(error_responses.clean(unquote(notice), 400))
    if (retired := head.get("deprecation")) is not None:
        ends = error_responses.clean(retired, 100)
        context.notices.append(f"The service announces the end of this model: {ends}.")
    if (model := head.get("nbvlm-model")) is not None:
        context.model = error_responses.clean(unquote(model), 200)


def _pair(text: str | None) -> tuple[int, int] | None:
    """Read "3/40" of a gateway's header."""
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text or "")
    return (int(found[1]), int(found[2])) if found else None


def _settled(context: Context, response: httpx.Response, headers: dict[str, str]) -> Flow[httpx.Response]:
    """Poll while the service says 202; pick up a result that was put elsewhere."""
    while response.status_code == 202:
        name = response.headers.get("nvcf-reqid", "")
        if not _ID.fullmatch(name):
            raise ServerError(
                "The service accepted the request but returned no id for the answer.", status=202
            )
        began = context.deadline.elapsed()
        context.deadline.check()
        yield from _drain(context)
        yield context.status("queued", *(_pair(response.headers.get("nbvlm-place")) or (None, None)))
        url = f"{context.settings.base_url}/v1/status/{name}"
        poll = functools.partial(request, context, "GET", url, headers=headers)
        response = yield from call(context, poll, what="poll")
        if response.status_code == 202 and (early := POLL_GAP - (context.deadline.elapsed() - began)) > 0:
            yield Sleep(early)
    if 300 <= response.status_code < 400:
        response = yield from _elsewhere(context, response)
    return response


def _elsewhere(context: Context, response: httpx.Response) -> Flow[httpx.Response]:
    """Fetch a large result from the storage it was put into: another host, so without the key."""
    address = signed(response.headers.get("location", "")) if response.status_code == 302 else None
    if address is None:
        raise TransportError(
            f"The service redirects ({response.status_code}); nbvlm does not follow: the key would go along.",
            status=response.status_code,
            hint="Check base_url.",
        )
    fetched = yield from call(
        context, lambda: request(context, "GET", address.reveal(), key=False), what="result"
    )
    if fetched.status_code >= 300:
        raise TransportError("The result's address redirects once more; this was not followed.", status=302)
    return fetched


def _stream(
    context: Context, response: httpx.Response, collector: Collector, begun: bytes
) -> Flow[float | None]:
    """Hand over events as they come; return when the first did."""
    decoder = sse.Decoder()
    first: float | None = None
    deadline = context.deadline
    failure: Error | None = None
    piece, begun = begun, b""
    try:
        while not collector.done and collector.fault is None:
            piece = piece or (yield READ)
            if not collector.pieces and len(begun) < LARGEST_REFUSAL:
                begun += piece  # The message may be found in it if it is not a stream of events.
            events = collector.take(decoder.feed(piece) if piece else decoder.close(), last=not piece)
            if collector.reports:
                yield _reported(context, collector)
                deadline.touch()
            if events:
                first = deadline.elapsed() if first is None else first
                yield Emit(events)
                deadline.touch()  # The consumer may take its time.
            else:
                deadline.check()
            if not piece:
                break
            piece = b""
    except httpx.RequestError as cause:
        failure = _broken(context, cause, collector)
    except ValueError as error:
        failure = TransportError(f"{error}", hint="Ask again.")
    yield Emit(collector.close() if failure is None else [])
    failure = failure or _failure(context, response, collector, begun)
    if failure is not None:
        raise failure
    if collector.done:
        yield from _drain(context)
    return first


def _broken(context: Context, cause: httpx.RequestError, collector: Collector) -> Error | None:
    """Return what broke a stream, None where its connection did."""
    if isinstance(cause, httpx.TimeoutException):
        return context.deadline.error()
    is_packed = isinstance(cause, httpx.DecodingError) and not collector.pieces
    return TransportError(str(cause), hint="Ask again.") if is_packed else None


def _reported(context: Context, collector: Collector) -> Emit:
    """Return what a gateway says beside the answer: places and quotas as events; keep its notices."""
    events: list[Event] = []
    for report in collector.reports:
        kind, seconds = report.get("kind"), report.get("seconds")
        if kind == "notice" and isinstance(report.get("text"), str):
            context.notices.append(error_responses.clean(report["text"], 400))
        elif kind == "model" and isinstance(report.get("text"), str):
            context.model = error_responses.clean(report["text"], 200)
        elif kind in ("queued", "waiting", "quota", "download", "loading"):
            values = (report.get(name) for name in ("done", "total", "files"))
            done, total, files = (value if isinstance(value, int) else None for value in values)
            seconds = seconds if isinstance(seconds, (int, float)) else None
            events += context.status(kind, done, total, seconds=seconds, files=files).events
    collector.reports.clear()
    return Emit(events)


def _failure(context: Context, response: httpx.Response, collector: Collector, begun: bytes) -> Error | None:
    """Return the error of a stream that has ended or broken, or None; `begun` came before any text."""
    name, who = error_responses.request_id(response.headers), context.settings.who
    if collector.fault is not None:
        return error_responses.error_in_stream(collector.fault.data, who=who, request_id=name)
    if collector.begun and (collector.done or collector.finish_reason is not None):
        return None
    text = begun.removeprefix(_BOM).lstrip()
    is_bare = not collector.pieces and not text.startswith(_FIELDS)
    message, value = error_responses.parse_body(text) if is_bare else ("", None)
    if isinstance(value, (dict, list)):
        return error_responses.error_in_stream(value, who=who, request_id=name)
    sentence = f"The answer stopped before its end, after {len(collector.text)} characters"
    return TruncatedStream(
        error_responses.with_message(sentence, message),
        request_id=name,
        detail=message or None,
        hint="Ask again; the text so far is in `.text` of this error.",
    )


def _drain(context: Context) -> Flow[None]:
    """Read the rest of a response, so that its connection can be used again; not for long."""
    until = context.deadline.until
    context.deadline.hurry(DRAIN)
    with contextlib.suppress(httpx.RequestError):
        for _ in range(64):
            if not (yield READ):
                break
    context.deadline.until = until


def _whole(
    question: Question, context: Context, response: httpx.Response, collector: Collector, begun: bytes
) -> Flow[float | None]:
    content = (yield from read(context, begun)) if begun else b""
    if content.startswith(b"PK\x03\x04"):
        content = _unpacked(content)
    try:
        events = collector.answer(payloads.read_answer(content))
    except payloads.UnreadableAnswer as unreadable:
        failure = _refusal(context, response, unreadable.data)
    else:
        first = context.deadline.elapsed() if question.stream else None
        yield Emit([*events, *collector.close()])
        return first
    raise failure


def _unpacked(content: bytes) -> bytes:
    """Return the answer in an archive, as large results come: `{request id}.response` beside other files."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            name = next(name for name in archive.namelist() if name.endswith(".response"))
            if archive.getinfo(name).file_size > LARGEST_BODY:
                return b""
            return archive.read(name)
    except Exception:  # noqa: BLE001 - a damaged archive raises whatever its damage leads to
        return content


def _refusal(context: Context, response: httpx.Response, data: Any) -> Error:
    name, who = error_responses.request_id(response.headers), context.settings.who
    if error_responses.is_error(data):
        return error_responses.error_in_stream(data, who=who, request_id=name)
    if not data:
        return TruncatedStream(
            f"The {who} sent an empty answer.", status=response.status_code, request_id=name
        )
    return ServerError(
        f"The {who} answered in a form that is not the answer of a model.",
        status=response.status_code,
        request_id=name,
        hint="Check base_url: something else may be listening there.",
    )


def relay(question: Question, context: Context) -> Flow[tuple[str, ...]]:
    """Ask, and hand the pieces of the answer on as they come, unread: the events are `Piece` values.

    Returns the notices.
    """
    yield from assets.discarding(context, _relay(question, context))
    return tuple(context.notices)


def _relay(question: Question, context: Context) -> Flow[None]:
    prepared = yield from prepare(question, context)
    yield from _load(context)
    yield from _infer(question, question.prompt, context, prepared, PieceCollector())


def _result(
    question: Question,
    asked: str,
    context: Context,
    prepared: Prepared,
    collector: ResponseCollector,
    response: httpx.Response,
    timing: Timing,
) -> Result:
    settings, usage, found = context.settings, collector.usage, collector.detections
    notices = [*question.notices, *context.notices]
    notices += collector.notices(question.parameters.get("max_tokens"))
    if counted := prompts.counted(question.prompt, found.labels if collector.has_locations else None):
        notices.append(counted)
    if unlike := _unlike_asked(question.prompt, context, found):
        notices.append(unlike)
    return Result(
        text=collector.text,
        reasoning=collector.reasoning,
        detections=found,
        usage=Usage(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) if usage else None,
        finish_reason=collector.finish_reason,
        request_id=error_responses.request_id(response.headers) or error_responses.clean_id(collector.id),
        # One of several embedded models answers, and its service names it.
        model=context.model or settings.endpoint.model,
        prompt=question.prompt,
        asked=asked,
        parameters=question.parameters,
        picture=prepared.picture,
        route=prepared.route,
        sent=prepared.sent,
        timing=timing,
        problems=collector.problems,
        notices=tuple(dict.fromkeys(notices)),
        has_locations=collector.has_locations,
        endpoint=settings.base_url + settings.endpoint.path.removesuffix("/chat/completions")
        if settings.endpoint.name == "server"
        else settings.endpoint.name,
        base_url=settings.origin,
        assets_url=settings.assets_origin,
        created=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )


def _unlike_asked(prompt: str, context: Context, found: Detections) -> str | None:
    masks = sum(mask.known or mask.codes is not None for mask in found.lazy_masks)
    points = sum(point is not None for point in found.points)
    dialect = dialects.of(context.model or context.settings.endpoint.model)
    return prompts.unlike_asked(prompt, dialect, places=len(found), masks=masks, points=points)


def models(context: Context, *, vision: bool = False) -> Flow[tuple[str, ...]]:
    """List the models of a service, those that see first; with `vision` only these."""
    endpoint = context.settings.endpoint
    if context.settings.in_process:
        return (endpoint.model,)
    context.deadline.enter("first_token")
    if endpoint.name == endpoints.GATEWAY.name:  # whose teacher allows no model that does not see
        _, answer = yield from _fetch(context, endpoints.ListRequest("/v1/models"))
        return _ids(answer) or ()
    if endpoint.service == "nvidia":
        listed = yield from _listed(context)
        able = ["google/paligemma", *(model.id for model in endpoints.known(listed))]
        return tuple(able if vision else dict.fromkeys([*able, *sorted(listed or ())]))
    service = endpoints.SERVICES.get(endpoint.name)
    kind = service.listing if service is not None else "openai"
    # The lists of a program are tried one after the other.
    missing = frozenset() if kind == "openai" else frozenset({400, 404, 405})
    steps = endpoints.listing(kind, endpoint.path.removesuffix("/chat/completions"))
    asked = next(steps)
    while True:
        response, answer = yield from _fetch(context, asked, missing)
        try:
            asked = steps.send(answer if response.status_code < 400 else None)
        except StopIteration as end:
            found: tuple[endpoints.Model, ...] = end.value
            break
    if not isinstance(answer, dict) or error_responses.is_error(answer):
        raise _refusal(context, response, answer)
    return tuple(model.id for model in found if model.vision or not vision)


def _fetch(
    context: Context, asked: endpoints.ListRequest, allowed: frozenset[int] = frozenset(), *, key: bool = True
) -> Flow[tuple[httpx.Response, Any]]:
    url = f"{context.settings.base_url}{asked.path}" if asked.path.startswith("/") else asked.path
    body = None if asked.body is None else json.dumps(asked.body).encode()
    headers = {"accept": _JSON} | ({} if body is None else {"content-type": _JSON})
    method = "GET" if body is None else "POST"
    response = yield from call(
        context,
        lambda: request(context, method, url, headers=headers, body=body, key=key),
        allowed=allowed,
        what="list",
        retry=None if key else Retry.never(),
    )
    return response, payloads.loads((yield from read(context)))


def _ids(answer: Any) -> tuple[str, ...] | None:
    """Return the ids in a list of models in OpenAI's form; None for any other answer."""
    items = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(items, list):
        return None
    return tuple(str(item["id"]) for item in items if isinstance(item, dict) and "id" in item)


def _offer(error: Error, context: Context) -> Flow[None]:
    """Name models to ask in place of one that is gone."""
    listed = yield from _listed(context)
    names = [name for name in endpoints.alternatives(listed) if name != context.settings.endpoint.name]
    dated = f" (of {endpoints.CHECKED})" if listed is None else ""
    error.alternatives, error.hint = tuple(names), f"Ask another model{dated}: {', '.join(names)}."


_LISTED: dict[str, tuple[float, frozenset[str]]] = {}


def _listed(context: Context) -> Flow[frozenset[str] | None]:
    """Return the ids that NVIDIA lists for everybody, asked for without a key; None if that fails."""
    url = f"{context.settings.origin or endpoints.INTEGRATE}/v1/models"
    when, known = _LISTED.get(url, (0.0, None))
    if known is not None and time.monotonic() - when < LISTED_FOR:
        return known
    context.deadline.hurry(LISTED_WITHIN)
    try:
        _, answer = yield from _fetch(context, endpoints.ListRequest(url), key=False)
    except Error:
        return None
    if (ids := _ids(answer)) is None:
        return None
    _LISTED[url] = time.monotonic(), frozenset(ids)
    return _LISTED[url][1]


def probe(context: Context, url: str, *, key: bool = False) -> Flow[tuple[int, Any]]:
    """Send a GET, without a key unless `key`; return the status, whatever it is, and the parsed answer."""
    context.deadline.enter("first_token")
    allowed = frozenset(range(400, 600))
    response, answer = yield from _fetch(context, endpoints.ListRequest(url), allowed, key=key)
    return response.status_code, answer
