"""Answer requests in the hosted service's own protocol with the embedded model.

The in-process transport and the loopback server both call `Service.handle`.
"""

from __future__ import annotations

import hmac
import logging
import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import unquote

from nbvlm.demo.service.assets import AssetApi, Bucket
from nbvlm.demo.service.chat_completions import Completions, refusal
from nbvlm.demo.service.inference import Inference
from nbvlm.demo.service.jobs import Engine
from nbvlm.demo.service.messages import Refusal, Reply, Request, problem, server_error, text

if TYPE_CHECKING:
    from nbvlm.demo.service.jobs import Model

__all__ = ["Reply", "Request", "Service"]

_log = logging.getLogger(__name__)

Handler = Callable[[Request, str], Reply]

_NO_KEY = refusal(401, "Incorrect API key provided", code="invalid_api_key")
NO_CONTENT = 204
BODY_LIMIT = 25 * 1024 * 1024
ASSET_LIMIT = 128 * 1024 * 1024


class Service:
    """Answers requests as `ai.api.nvidia.com`, `api.nvcf.nvidia.com` and an OpenAI-compatible server would.

    Parameters
    ----------
    model
        Computes the answers; by default the embedded model, loaded with the first question.
    key
        When given, callers must send it; never in a repr or a log.
    origin
        Scheme and host of upload URLs; by default those of the request.
    bucket
        Keeps the assets; by default a new one.
    at_once
        Answers computed at the same time; by default the number of cores.

    Examples
    --------
    >>> Service().handle(Request("GET", "/nowhere")).status
    404
    """

    def __init__(
        self,
        model: Model | None = None,
        *,
        key: str | None = None,
        origin: str | None = None,
        bucket: Bucket | None = None,
        at_once: int | None = None,
    ) -> None:
        self._key = key
        bucket = bucket or Bucket()
        assets = AssetApi(bucket, origin)
        engine = Engine(model, at_once or os.cpu_count() or 1)
        inference, completions = Inference(engine, bucket), Completions(engine)
        self._routes: tuple[tuple[str, str, Handler], ...] = (
            ("POST", r"/v1/vlm/google/paligemma", inference.ask),
            ("GET", r"/v1/status/([^/]+)", inference.poll),
            ("GET", r"/v2/nvcf/pexec/status/([^/]+)", inference.poll),
            ("POST", r"/v2/nvcf/assets", assets.create),
            ("GET", r"/v2/nvcf/assets", assets.list),
            ("GET", r"/v2/nvcf/assets/([^/]+)", assets.get),
            ("DELETE", r"/v2/nvcf/assets/([^/]+)", assets.delete),
            ("POST", r"/v1/chat/completions", completions.complete),
            ("GET", r"/v1/models", completions.models),
            ("GET", r"/v1/models/(.+)", completions.model),
            ("PUT", r"/s3/assets/([^/]+)", bucket.put),
        )

    def __repr__(self) -> str:
        return f"Service(key={'***' if self._key else None})"

    def room(self, request: Request) -> int:
        """Return the largest allowed body of this request, in bytes; only its head is needed."""
        return ASSET_LIMIT if request.method == "PUT" else BODY_LIMIT

    def handle(self, request: Request) -> Reply:
        """Answer one request; never raises, whatever the request contains.

        May wait as long as the protocol allows; closing `request.connection` in another thread ends the wait.
        Read a reply whose body is an iterator to its end, or close the connection.
        """
        try:
            reply = self._dispatch(request)
        except Refusal as refused:
            reply = refused.reply
        except Exception:  # noqa: BLE001 - a bad request must not end the service
            _log.exception("The service failed at %s %s", request.method, request.path)
            reply = server_error()
        if isinstance(reply.body, bytes) and reply.status != NO_CONTENT:
            return reply.plus(("content-length", str(len(reply.body))))
        return reply

    def _dispatch(self, request: Request) -> Reply:
        path = request.path
        matches = [
            (method, match, handler)
            for method, pattern, handler in self._routes
            if (match := re.fullmatch(pattern, path))
        ]
        if not matches:
            return text(404, "404 page not found")
        for method, match, handler in matches:
            if method == request.method:
                self._check_access(request)
                return handler(request, unquote("".join(match.groups())))
        return text(405, "Method Not Allowed", ("allow", ", ".join(method for method, _, _ in matches)))

    def _check_access(self, request: Request) -> None:
        """Refuse a request without the key, or with too large a body; uploads carry a signature instead."""
        if request.method == "PUT":
            return
        openai = request.path.startswith(("/v1/chat/", "/v1/models"))
        if self._key is not None and not _has_key(request, self._key):
            raise Refusal(_NO_KEY if openai else _unauthorized(request))
        if request.oversize:
            detail = f"The body is larger than {BODY_LIMIT} bytes"
            raise Refusal(refusal(413, detail) if openai else problem(413, detail=detail))


def _has_key(request: Request, key: str) -> bool:
    scheme, _, token = request.header("authorization").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), key.encode())


def _unauthorized(request: Request) -> Reply:
    if not request.header("authorization"):
        return text(401, "Header of type `authorization` was missing")
    return problem(401, detail="Authentication failed")
