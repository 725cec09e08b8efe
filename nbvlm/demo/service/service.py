"""Answer requests in the hosted service's own protocol with the embedded model.

The in-process transport and the loopback server both call `Service.handle`.
"""

from __future__ import annotations

import functools
import hmac
import logging
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import unquote

from nbvlm.demo.service import chat_completions, inference
from nbvlm.demo.service.assets import AssetApi, Bucket
from nbvlm.demo.service.chat_completions import Completions, refusal
from nbvlm.demo.service.inference import Inference
from nbvlm.demo.service.jobs import Busy, Engine
from nbvlm.demo.service.limits import IN_PROCESS, Limits
from nbvlm.demo.service.loading import Loading
from nbvlm.demo.service.messages import Refusal, Reply, Request, problem, server_error, text, xml

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from nbvlm.demo.service.jobs import Model

__all__ = ["Reply", "Request", "Service", "network", "sized", "too_large"]

_log = logging.getLogger(__name__)

Handler = Callable[[Request, str], Reply]

_NO_KEY = refusal(401, "Incorrect API key provided", code="invalid_api_key")
NO_CONTENT = 204
_AT_ONCE = 8  # answers; more would need more memory for their pictures than a service should
_PER_NETWORK = 64  # bits: an IPv6 host changes its address within its network


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    pattern: str
    handler: Handler
    asks: bool = False  # whether its answer is computed, in the caller's turn

    def match(self, path: str) -> str | None:
        """Return the pattern's groups in a path, or None."""
        found = re.fullmatch(self.pattern, path)
        return None if found is None else unquote("".join(found.groups()))


class Service:
    """Answers requests as `ai.api.nvidia.com`, `api.nvcf.nvidia.com` and an OpenAI-compatible server would.

    Parameters
    ----------
    model
        Computes the answers; by default the embedded model, loaded with the first question.
    name
        Id of a `model` of one's own, for callers of chat completions.
    key
        When given, callers must send it, or one of several; never in a repr or a log.
    origin
        Scheme and host of upload URLs; by default those of the request.
    bucket
        Keeps the assets; by default a new one.
    at_once
        Answers computed at the same time for one caller; by default the number of cores, at most eight, less
        those that the limits spare for others.
    limits
        What the service takes on at most; by default what suits a caller in this process.
    hosts
        The names of this service: a request whose `Host` is another one is refused. None accepts any.
    speak
        Ids of `nbvlm.demo.speaking.model_id` to list. Every other one can be asked for too.
    pace
        Most tokens a second of an answer, as of a busy service; by default as fast as they are computed.

    Notes
    -----
    Turns, limits and assets are counted by caller. Where the service has several keys, a caller is a key;
    else a network address, since any other sign could be made up at will. What is kept is a digest of
    either, with a token of this service.

    Examples
    --------
    >>> Service().handle(Request("GET", "/nowhere")).status
    404
    """

    def __init__(
        self,
        model: Model | None = None,
        *,
        name: str | None = None,
        key: str | Sequence[str] | None = None,
        origin: str | None = None,
        bucket: Bucket | None = None,
        at_once: int | None = None,
        limits: Limits = IN_PROCESS,
        hosts: Collection[str] | None = None,
        speak: Sequence[str] = (),
        pace: float | None = None,
    ) -> None:
        self._keys = (key,) if isinstance(key, str) else tuple(key or ())
        self._token = secrets.token_bytes(32)
        self._hosts = hosts
        self.limits = limits
        bucket = bucket or Bucket(capacity=limits.store, capacity_of_owner=limits.store_of_caller)
        assets = AssetApi(bucket, origin)
        cores = os.cpu_count() or 1
        self._engine = engine = Engine(
            model, at_once or min(max(1, cores - limits.spare), _AT_ONCE), limits, pace=pace
        )
        questions = Inference(engine, bucket, limits.pixels)
        completions = Completions(engine, speak, own=name, pixels=limits.pixels)
        self._bucket = bucket
        load = getattr(model, "loading", None)
        loading = () if load is None else (("GET", r"/v1/loading", Loading(load).follow),)
        self._routes = tuple(
            _Route(*route)
            for route in (
                ("POST", r"/v1/vlm/(google/paligemma|nbvlm/demo(?:-scenes|-photos)?)", questions.ask, True),
                ("GET", r"/v1/status/([^/]+)", questions.poll),
                ("GET", r"/v2/nvcf/pexec/status/([^/]+)", questions.poll),
                ("POST", r"/v2/nvcf/assets", assets.create),
                ("GET", r"/v2/nvcf/assets", assets.list),
                ("GET", r"/v2/nvcf/assets/([^/]+)", assets.get),
                ("DELETE", r"/v2/nvcf/assets/([^/]+)", assets.delete),
                ("POST", r"/v1/chat/completions", completions.complete, True),
                ("GET", r"/v1/models", completions.models),
                ("GET", r"/v1/models/(.+)", completions.model),
                ("PUT", r"/s3/assets/([^/]+)", bucket.put),
                *loading,
            )
        )

    def __repr__(self) -> str:
        return f"Service(key={'***' if self._keys else None})"

    def room(self, request: Request) -> int:
        """Return the largest allowed body of this request, in bytes; only its head is needed."""
        return self.limits.room(request.method)

    def admit(self, head: Request) -> Request:
        """Check the head of a request, before its body is read; return it with the name of its caller.

        Raises
        ------
        Refusal
            With the reply to a request that need not be read.
        """
        head, route, _ = self._checked(head)
        if route.asks:  # `Engine.start` checks it again, for callers whose bodies came at the same time
            self._check_turn(head)
        return head

    def _checked(self, head: Request) -> tuple[Request, _Route, str]:
        """Return a request with the name of its caller, its route, and the route's argument."""
        self._check_page(head)
        route, argument = self._route(head)
        if route.method == "PUT":
            head = replace(head, caller=self._bucket.owner(head, argument))
        else:
            self._check_key(head)
            head = replace(head, caller=self._caller(head))
        if route.method == "POST" and not head.is_json:
            detail = "The body must be JSON, with the header Content-Type: application/json"
            raise Refusal(refusal(415, detail) if head.is_openai else problem(415, detail=detail))
        if head.oversize or (head.length or 0) > self.room(head):
            raise Refusal(too_large(head, self.room(head)))
        return head, route, argument

    def handle(self, request: Request) -> Reply:
        """Answer one request; never raises, whatever the request contains.

        May wait as long as the protocol allows; closing `request.connection` in another thread ends the wait.
        Read a reply whose body is an iterator to its end, or close the connection.
        """
        try:
            request, route, argument = self._checked(request)
            reply = route.handler(request, argument)
        except Refusal as refused:
            reply = refused.reply
        except Exception:  # noqa: BLE001 - a bad request must not end the service
            _log.exception("The service failed at %s %s", request.method, request.path)
            reply = server_error()
        return sized(reply)

    def _route(self, request: Request) -> tuple[_Route, str]:
        found = [(route, route.match(request.path)) for route in self._routes]
        matches = [(route, argument) for route, argument in found if argument is not None]
        if not matches:
            raise Refusal(text(404, "404 page not found"))
        for route, argument in matches:
            if route.method == request.method:
                return route, argument
        allowed = ", ".join(route.method for route, _ in matches)
        raise Refusal(text(405, "Method Not Allowed", ("allow", allowed)))

    def _check_page(self, request: Request) -> None:
        """Refuse requests of web pages in a browser that use another host name or come from another site."""
        if self._hosts is not None and request.host_name not in self._hosts:
            detail = f"'{request.host_name[:64]}' is not a name of this service; --allow-host adds names"
            raise Refusal(problem(403, detail=detail))
        if request.is_foreign:
            raise Refusal(problem(403, detail="Web pages of other sites cannot use this service"))

    def _check_key(self, request: Request) -> None:
        if not self._keys:
            return
        scheme, _, given = request.header("authorization").partition(" ")
        token = given.strip().encode()
        known = [hmac.compare_digest(token, key.encode()) for key in self._keys]
        if scheme.lower() != "bearer" or not any(known):
            raise Refusal(_NO_KEY if request.is_openai else _unauthorized(request))

    def _check_turn(self, head: Request) -> None:
        """Refuse a question while too many wait; its body need not be read for that."""
        try:
            self._engine.check(head.caller)
        except Busy as busy:
            reply = chat_completions if head.is_openai else inference
            raise Refusal(reply.too_busy(busy)) from None

    def _caller(self, request: Request) -> str:
        sign = request.header("authorization").partition(" ")[2].strip() if len(self._keys) > 1 else None
        who = network(request.peer) if sign is None else f"key {sign}"
        return hmac.new(self._token, who.encode(), "sha256").hexdigest()[:32]


def sized(reply: Reply) -> Reply:
    """Add the length of a reply that is not a stream."""
    if isinstance(reply.body, bytes) and reply.status != NO_CONTENT:
        return reply.plus(("content-length", str(len(reply.body))))
    return reply


@functools.lru_cache(maxsize=1024)
def network(peer: str) -> str:
    """Return what stands for one computer: its IPv4 address, or the network of its IPv6 address.

    >>> network("::ffff:192.0.2.7"), network("2001:db8::7")
    ('192.0.2.7', '2001:db8::/64')
    """
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if address.version == 4:
        return str(address)
    return str(address.ipv4_mapped or ip_network((address, _PER_NETWORK), strict=False))


def too_large(request: Request, most: int) -> Reply:
    """Reply to a request whose body has more than `most` bytes."""
    detail = f"The body is larger than {most} bytes"
    if request.method == "PUT":
        return xml(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
    return refusal(413, detail) if request.is_openai else problem(413, detail=detail)


def _unauthorized(request: Request) -> Reply:
    if not request.header("authorization"):
        return text(401, "Header of type `authorization` was missing")
    return problem(401, detail="Authentication failed")
