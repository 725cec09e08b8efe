"""The protocol for clients: the hosted service's form with assets and polls, OpenAI's form, and the facts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from nbvlm import endpoints
from nbvlm._text import shorten, visible
from nbvlm.client import REPORT, STATUS_HEADER
from nbvlm.demo import service
from nbvlm.demo.service import (
    DONE,
    EVENT_STREAM,
    Accept,
    AssetApi,
    Bodies,
    Bucket,
    Disconnected,
    Invalid,
    Refusal,
    Reply,
    about,
    as_event,
    as_json,
    body_size,
    nvcf_headers,
    problem,
    read_body,
    refusal,
    request_head,
    send_head,
    send_part,
    server_error,
    sized,
    usage,
)
from nbvlm.gateway.questions import read_nvidia, read_openai
from nbvlm.gateway.quotas import Refused
from nbvlm.gateway.upstream import explained

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nbvlm.demo.service import Limits, Receive, Request, Scope, Send
    from nbvlm.gateway.answers import Answer, Chunk
    from nbvlm.gateway.dispatcher import Dispatcher, Inquiry
    from nbvlm.gateway.people import Person
    from nbvlm.gateway.questions import GatewayQuestion

    Identify = Callable[[Request], Awaitable[Person]]

__all__ = ["Api", "note"]

TICK_S = 1.0
"""Seconds between two reports of a place in the queue."""
QUIET_S = 15.0
"""Seconds after which a client that reads no reports gets the head of its stream, and a sign of life."""
_POLL_DEFAULT_S, _POLL_MOST_S = 300, 3600
_log = logging.getLogger("nbvlm.gateway")

_ROUTES: tuple[tuple[str, re.Pattern[str], str], ...] = tuple(
    (method, re.compile(pattern), name)
    for method, pattern, name in (
        ("GET", endpoints.FACTS, "facts"),
        ("GET", endpoints.STANDING, "standing"),
        ("POST", r"/v1/vlm/([\w./-]+)", "ask_nvidia"),
        ("POST", r"/v1/chat/completions", "ask_openai"),
        ("GET", r"/v1/status/([0-9a-fA-F-]{1,64})", "poll"),
        ("GET", r"/v2/nvcf/pexec/status/([0-9a-fA-F-]{1,64})", "poll"),
        ("GET", r"/v1/models", "models"),
        ("GET", r"/v1/models/(.+)", "a_model"),
        ("POST", r"/v2/nvcf/assets", "create"),
        ("GET", r"/v2/nvcf/assets", "list"),
        ("GET", r"/v2/nvcf/assets/([^/]+)", "get"),
        ("DELETE", r"/v2/nvcf/assets/([^/]+)", "delete"),
        ("PUT", r"/s3/assets/([^/]+)", "put"),
    )
)


class Api:
    """An ASGI application for everything that clients send.

    Parameters
    ----------
    identify
        Returns who sends a request by its head, or raises `Refused`.
    prefix
        Path before all paths, without a slash at its end.
    public
        Origin with prefix as students reach it; by default that of the request.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        limits: Limits,
        identify: Identify,
        *,
        prefix: str = "",
        public: str = "",
        note: str = "",
    ) -> None:
        self._dispatcher, self._limits, self._identify = dispatcher, limits, identify
        self._prefix, self._public, self._note = prefix, public, note
        self._bucket = Bucket(capacity=limits.store, capacity_of_owner=limits.store_of_caller)
        self._bodies = Bodies(limits)
        self._parked: dict[str, tuple[Inquiry, float, asyncio.Task[None]]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        head = request_head(scope)
        head = replace(head, target=head.target.removeprefix(self._prefix) or "/")
        exchange = _Exchange(head, receive, send)
        try:
            await self._answer(scope, head, exchange)
        except Disconnected:
            return
        except Invalid as invalid:
            await exchange.whole(_rejected(head, invalid))
        except Refused as refused:
            await exchange.whole(_refused(head, refused))
        except Refusal as refused:
            await exchange.whole(refused.reply)
        except Exception:
            _log.exception("The gateway failed at %s %s", head.method, head.path)
            if exchange.begun:
                raise
            await exchange.whole(server_error())
        finally:
            exchange.close()

    async def _answer(self, scope: Scope, head: Request, exchange: _Exchange) -> None:
        method, argument, name = _route(head)
        if name == "facts":
            await exchange.whole(as_json(self._facts()))
            return
        if method == "PUT":
            caller = self._bucket.owner(head, argument)
            person = None
        else:
            if head.is_foreign:
                raise Refused(403, "Web pages of other sites cannot use this gateway")
            person = await self._identify(head)
            if name == "standing":
                await exchange.whole(as_json(self._dispatcher.standing(person)))
                return
            caller = str(person.id)
        head = replace(head, caller=caller)
        if method == "POST" and not head.is_json:
            raise Refused(415, "The body must be JSON, with the header Content-Type: application/json")
        room = self._limits.room(method)
        if (head.length or 0) > room:
            raise Refusal(_too_large(head, room))
        async with self._bodies.room(caller, body_size(head, room)):
            body = await read_body(head, exchange.receive, room, self._limits)
            request = replace(head, body=body)
            del body
            if person is None or name in ("create", "list", "get", "delete"):
                await exchange.whole(self._store(scope, request, name, argument))
                return
            if name in ("models", "a_model"):
                await exchange.whole(self._models(unquote(argument) if name == "a_model" else None))
                return
            exchange.watch()
            if name == "poll":
                inquiry = self._unpark(argument.lower(), person)
                await self._reply_nvidia(request, inquiry, exchange)
                return
            asked = await self._read(request, name, argument)
            request = replace(request, body=b"")
            inquiry = self._dispatcher.admit(person, asked)
            stream, usage = asked.stream, asked.with_usage
            del asked
            await self._reply(request, inquiry, exchange, name, stream=stream, usage=usage)

    async def _read(self, request: Request, name: str, argument: str) -> GatewayQuestion:
        """Read a question; a large one away from the loop, so that no other request waits for it."""

        def read() -> GatewayQuestion:
            if name == "ask_openai":
                return read_openai(request, self._dispatcher.choose)
            endpoint = self._dispatcher.choose(self._model_of(argument))
            return read_nvidia(request, endpoint, lambda id_: self._asset(id_, request.caller))

        return read() if len(request.body) < 512 * 1024 else await asyncio.to_thread(read)

    def _model_of(self, argument: str) -> str | None:
        """Return the model that a path names; PaliGemma's path stands for the demo, too."""
        name = unquote(argument)
        models = self._dispatcher.upstream.models
        return None if name == "google/paligemma" and name not in models else name

    def _asset(self, id_: str, caller: str) -> bytes | None:
        asset = self._bucket.get(id_, caller)
        return asset.data if asset is not None else None

    def _store(self, scope: Scope, request: Request, name: str, argument: str) -> Reply:
        if name == "put":
            return self._bucket.put(request, argument)
        api = AssetApi(self._bucket, self._public or self._origin(scope, request))
        reply: Reply = getattr(api, name)(request, unquote(argument))
        return reply

    def _origin(self, scope: Scope, request: Request) -> str:
        # Behind a hub's proxy the scheme stands in a header; the gateway then listens for the proxy only.
        forwarded = request.header("x-forwarded-proto").partition(",")[0].strip() if self._prefix else ""
        scheme = forwarded if forwarded in ("http", "https") else scope.get("scheme", "http")
        return f"{scheme}://{request.header('host', '127.0.0.1')}{self._prefix}"

    def _facts(self) -> dict[str, Any]:
        endpoint = self._dispatcher.upstream.endpoint(self._dispatcher.rules.now.model)
        return endpoints.facts_of(endpoint) | {"gateway": "nbvlm", "note": self._note}

    def _models(self, only: str | None) -> Reply:
        listed = [
            {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "class"}
            for name in self._dispatcher.rules.now.models
        ]
        if only is None:
            return as_json({"object": "list", "data": listed})
        for entry in listed:
            if entry["id"] == only:
                return as_json(entry)
        return refusal(404, f"The class does not ask {only[:100]}", param="model", code="model_not_found")

    # Answers

    async def _reply(
        self, request: Request, inquiry: Inquiry, exchange: _Exchange, name: str, *, stream: bool, usage: bool
    ) -> None:
        if name == "ask_nvidia":
            await self._reply_nvidia(request, inquiry, exchange, stream=stream)
            return
        form = _OpenAI(inquiry.id, inquiry.answer.model, usage)
        try:
            if stream:
                await self._stream(request, inquiry, exchange, form)
            else:
                await self._whole(inquiry, exchange, form)
        finally:
            inquiry.close("left")

    async def _reply_nvidia(
        self, request: Request, inquiry: Inquiry, exchange: _Exchange, *, stream: bool | None = None
    ) -> None:
        parked = False
        try:
            accept = Accept.of(request)
            if stream is None:
                stream = inquiry.stream
            form = _Nvidia(inquiry.id)
            if stream and accept.events:
                await self._stream(request, inquiry, exchange, form)
                return
            seconds = _poll_seconds(request)
            if request.header(STATUS_HEADER) and inquiry.waits:
                seconds = min(seconds, 5)  # so that the student sees the place in the queue
            if await self._wait(inquiry, exchange, seconds):
                await self._whole(inquiry, exchange, form)
                return
            parked = True
            self._park(inquiry, max(2 * seconds, 10))
            headers = [*nvcf_headers(inquiry.id, "pending-evaluation" if inquiry.waits else "in-progress")]
            if inquiry.waits:
                headers.append(("nbvlm-place", "{}/{}".format(*inquiry.place())))
            await exchange.whole(Reply(202, (*headers, *_quota(inquiry))))
        finally:
            if not parked:
                inquiry.close("left")

    async def _wait(self, inquiry: Inquiry, exchange: _Exchange, seconds: float) -> bool:
        """Wait for the whole answer; False where it takes longer."""
        ends = time.monotonic() + seconds
        following = inquiry.answer.follow(TICK_S, exchange.event, always=True)
        async with contextlib.aclosing(following) as batches:
            async for _ in batches:
                exchange.check()
                if time.monotonic() >= ends and not inquiry.answer.done:
                    return False
        return True

    async def _whole(self, inquiry: Inquiry, exchange: _Exchange, form: _Nvidia | _OpenAI) -> None:
        answer = inquiry.answer
        async with contextlib.aclosing(answer.follow(QUIET_S, exchange.event)) as batches:
            async for _ in batches:
                exchange.check()
        inquiry.seen_first()
        if answer.error is not None:
            self._fail(inquiry)
        reply = as_json(form.answer(answer)).plus(
            *_about(inquiry), *form.headers("fulfilled"), *_quota(inquiry)
        )
        inquiry.close("answered")
        await exchange.whole(reply)

    def _fail(self, inquiry: Inquiry) -> None:
        error = inquiry.answer.error
        status, sentence = explained(error) if error is not None else (500, "")
        inquiry.close(f"failed {status}")
        raise Refused(status, sentence)

    async def _stream(
        self, request: Request, inquiry: Inquiry, exchange: _Exchange, form: _Nvidia | _OpenAI
    ) -> None:
        answer, reports = inquiry.answer, bool(request.header(STATUS_HEADER))
        since, shown = time.monotonic(), ""
        async with contextlib.aclosing(answer.follow(TICK_S, exchange.event)) as batches:
            async for batch in batches:
                exchange.check()
                if batch:
                    if not exchange.begun or inquiry.first_s is None:
                        inquiry.seen_first()
                    opening = b"" if exchange.begun else await exchange.begin(inquiry, form)
                    await exchange.part(opening + _chunks(form, batch))
                    continue
                report = _report(inquiry, shown) if reports and inquiry.first_s is None else ""
                late = time.monotonic() - since >= QUIET_S
                if (report and report != shown) or late:
                    opening = b"" if exchange.begun else await exchange.begin(inquiry, form)
                    await exchange.part(opening + (report.encode() or b": the answer is on its way\n\n"))
                    since, shown = time.monotonic(), report
        await self._end(inquiry, exchange, form, reports=reports)

    async def _end(
        self, inquiry: Inquiry, exchange: _Exchange, form: _Nvidia | _OpenAI, *, reports: bool
    ) -> None:
        """Send the end of a stream."""
        answer = inquiry.answer
        inquiry.seen_first()
        if answer.error is not None and not exchange.begun:
            self._fail(inquiry)
        opening = b"" if exchange.begun else await exchange.begin(inquiry, form)
        if answer.error is not None:
            status, sentence = explained(answer.error)
            inquiry.close(f"failed {status}")
            error = {"message": f"{sentence}.", "type": "gateway_error", "code": status}
            await exchange.part(opening + as_event({"error": error}), more=False)
            return
        unsaid = [notice for notice in answer.notices if notice not in exchange.said] if reports else []
        ending = [_report_event({"kind": "notice", "text": notice}) for notice in unsaid]
        if reports and answer.by and answer.by != exchange.model:
            ending.append(_report_event({"kind": "model", "text": answer.by}))
        closing = b"".join(map(as_event, form.closing(answer)))
        # The question is counted before the student has the last byte: the next one shows what is left.
        inquiry.close("answered")
        await exchange.part(opening + "".join(ending).encode() + closing + DONE, more=False)

    # Questions whose client polls

    def _park(self, inquiry: Inquiry, seconds: float) -> None:
        task = asyncio.get_running_loop().create_task(self._expire(inquiry, seconds))
        self._parked[inquiry.id] = inquiry, seconds, task

    async def _expire(self, inquiry: Inquiry, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._parked.pop(inquiry.id, None)
        inquiry.close("left")

    def _unpark(self, id_: str, person: Person) -> Inquiry:
        found = self._parked.get(id_)
        if found is None or found[0].person.id != person.id:
            raise Refusal(problem(404, detail=f"NotFound error: failed to find request {id_}"))
        del self._parked[id_]
        found[2].cancel()
        return found[0]


class _Exchange:
    """One request and its response: the bytes sent so far, and whether the client is still connected."""

    def __init__(self, head: Request, receive: Receive, send: Send) -> None:
        self._method, self._path = head.method, head.path
        self.receive, self._send = receive, send
        self.begun = False
        self.said: tuple[str, ...] = ()
        self.model: str | None = None  # that the head names
        self._gone: asyncio.Task[None] | None = None
        self.event, self._is_gone = asyncio.Event(), False

    def watch(self) -> None:
        """Notice from now on when the client leaves."""
        self._gone = asyncio.get_running_loop().create_task(self._until_gone())

    def check(self) -> None:
        """Raise `Disconnected` if the client has left."""
        if self._is_gone:
            raise Disconnected

    async def _until_gone(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self._is_gone = True
        self.event.set()

    async def head(self, reply: Reply) -> None:
        """Send status and headers."""
        self.begun = True
        if reply.status >= 400:
            note(reply.status, self._method, self._path)
        await send_head(reply, self._send)

    async def part(self, data: bytes, *, more: bool = True) -> None:
        """Send a part of the body."""
        await send_part(data, self._send, more=more)

    async def begin(self, inquiry: Inquiry, form: _Nvidia | _OpenAI) -> bytes:
        """Send the head of a stream of events; return its first events, to be sent with those that follow.

        `said` and `model` are the notices and the model in the head.
        """
        self.said, self.model = _first_notice(inquiry.answer), inquiry.answer.by
        await self.head(_events_head(inquiry, form))
        return b"".join(map(as_event, form.opening()))

    async def whole(self, reply: Reply) -> None:
        """Send a response that is complete."""
        await self.head(sized(reply))
        await self.part(reply.body if isinstance(reply.body, bytes) else b"", more=False)

    def close(self) -> None:
        """Stop to watch."""
        if self._gone is not None:
            self._gone.cancel()


def note(status: int, method: str, path: str) -> None:
    """Log a refusal, without tokens, names and queries."""
    _log.info("%s %s %s", status, visible(method[:16]), visible(shorten(path, 200)))


# The two forms


class _Nvidia:
    """The form of the hosted `/v1/vlm/` endpoints."""

    def __init__(self, id_: str) -> None:
        self.id = id_

    def headers(self, status: str) -> tuple[tuple[str, str], ...]:
        return nvcf_headers(self.id, status)

    def opening(self) -> list[dict[str, Any]]:
        return []

    def chunk(self, chunk: Chunk | None, reason: str | None = None) -> dict[str, Any]:
        delta = {"role": "assistant", "content": ""} | _delta(chunk)
        return {"id": self.id, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}

    def closing(self, answer: Answer) -> list[dict[str, Any]]:
        return [self.chunk(None, answer.finish_reason or "stop")]

    def answer(self, answer: Answer) -> dict[str, Any]:
        choice = {"index": 0, "message": _message(answer), "finish_reason": answer.finish_reason or "stop"}
        return {"id": self.id, "choices": [choice]} | _usage(answer)


class _OpenAI:
    """The form of `/v1/chat/completions`."""

    def __init__(self, id_: str, model: str, with_usage: bool) -> None:
        self.id, self._model, self._with_usage = id_, model, with_usage
        self._created = int(time.time())

    def headers(self, _status: str) -> tuple[tuple[str, str], ...]:
        return (("x-request-id", self.id),)

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": f"chatcmpl-{self.id}", "object": kind, "created": self._created, "model": self._model}

    def _chunk(self, delta: dict[str, Any], reason: str | None) -> dict[str, Any]:
        return self._head("chat.completion.chunk") | {
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]
        }

    def opening(self) -> list[dict[str, Any]]:
        return [self._chunk({"role": "assistant", "content": ""}, None)]

    def chunk(self, chunk: Chunk | None, reason: str | None = None) -> dict[str, Any]:
        return self._chunk(_delta(chunk), reason)

    def closing(self, answer: Answer) -> list[dict[str, Any]]:
        events = [self.chunk(None, answer.finish_reason or "stop")]
        counts = _usage(answer)
        if self._with_usage and counts:
            events.append(self._head("chat.completion.chunk") | {"choices": []} | counts)
        return events

    def answer(self, answer: Answer) -> dict[str, Any]:
        choice = {
            "index": 0,
            "message": _message(answer),
            "logprobs": None,
            "finish_reason": answer.finish_reason or "stop",
        }
        return self._head("chat.completion") | {"choices": [choice]} | _usage(answer)


def _delta(chunk: Chunk | None) -> dict[str, Any]:
    if chunk is None:
        return {}
    delta: dict[str, Any] = (
        {"content": chunk.text} if chunk.text or not (chunk.thought or chunk.refusal) else {}
    )
    if chunk.thought:
        delta["reasoning_content"] = chunk.thought
    if chunk.refusal:
        delta["refusal"] = chunk.refusal
    return delta


def _message(answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text}
    if thoughts := "".join(chunk.thought for chunk in answer.chunks):
        message["reasoning_content"] = thoughts
    if refused := "".join(chunk.refusal for chunk in answer.chunks):
        message["refusal"] = refused
    return message


def _usage(answer: Answer) -> dict[str, Any]:
    """Return the token counts, where the service gave them."""
    prompt, completion = answer.prompt_tokens, answer.completion_tokens
    if prompt is None or completion is None:
        return {}
    return {"usage": usage(prompt, completion)}


def _chunks(form: _Nvidia | _OpenAI, batch: list[Chunk]) -> bytes:
    return b"".join(as_event(form.chunk(chunk)) for chunk in batch)


def _report_event(value: dict[str, Any]) -> str:
    return f"event: {REPORT}\ndata: {json.dumps(value)}\n\n"


def _report(inquiry: Inquiry, shown: str) -> str:
    """Return the report about a question that waits, or that waits no longer."""
    if inquiry.waits:
        place, total = inquiry.place()
        return _report_event({"kind": "queued", "done": place, "total": total})
    if inquiry.answer.loading is not None:
        return _report_event(inquiry.answer.loading)
    return _report_event({"kind": "waiting"}) if shown else ""


def _quota(inquiry: Inquiry) -> tuple[tuple[str, str], ...]:
    return () if inquiry.left is None else (("nbvlm-quota", "{}/{}".format(*inquiry.left)),)


def _first_notice(answer: Answer) -> tuple[str, ...]:
    """Return the notice that fits into the head: the first one."""
    return answer.notices[:1] if answer.chunks else ()


def _about(inquiry: Inquiry) -> tuple[tuple[str, str], ...]:
    answer = inquiry.answer
    notice = " ".join(answer.notices)[:400] if answer.done else " ".join(_first_notice(answer))
    return about(notice, answer.by)


def _events_head(inquiry: Inquiry, form: _Nvidia | _OpenAI) -> Reply:
    kind = (("content-type", EVENT_STREAM), ("cache-control", "no-cache"), ("x-accel-buffering", "no"))
    return Reply(200, (*kind, *_about(inquiry), *form.headers("fulfilled"), *_quota(inquiry)))


# Refusals


def _route(head: Request) -> tuple[str, str, str]:
    allowed = []
    for method, pattern, name in _ROUTES:
        if (found := pattern.fullmatch(head.path)) is not None:
            if method == head.method:
                return method, "".join(found.groups()), name
            allowed.append(method)
    if allowed:
        raise Refusal(service.text(405, "Method Not Allowed", ("allow", ", ".join(allowed))))
    raise Refusal(service.text(404, "404 page not found"))


def _too_large(head: Request, most: int) -> Reply:
    if head.method == "PUT":
        return service.xml(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
    return _refused(head, Refused(413, f"The body is larger than {most} bytes"))


def _refused(head: Request, refused: Refused) -> Reply:
    sentence = str(refused)
    if head.is_openai:
        reply = refusal(refused.status, f"{sentence}.")
    else:
        reply = problem(refused.status, detail=f"{sentence}.")
    if refused.retry_after is not None:
        reply = reply.plus(("retry-after", str(max(1, round(refused.retry_after + 0.5)))))
    return reply


def _rejected(head: Request, invalid: Invalid) -> Reply:
    if head.is_openai:
        return refusal(400, str(invalid.faults))
    if "text/event-stream" in head.header("accept") or head.header(STATUS_HEADER):
        return as_json({"detail": invalid.faults.as_list()}, 422)
    kind = "urn:inference-service:problem-details:unprocessable-entity"
    return problem(422, type=kind, detail="Inference error")


def _poll_seconds(head: Request) -> int:
    value = head.header("nvcf-poll-seconds") or str(_POLL_DEFAULT_S)
    if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) < 1:
        raise Refused(400, "NVCF-POLL-SECONDS must be a whole number of at least 1")
    if int(value) > _POLL_MOST_S:
        raise Refused(400, f"NVCF-POLL-SECONDS must be <= {_POLL_MOST_S}")
    return int(value)
