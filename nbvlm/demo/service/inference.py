"""Answer `POST /v1/vlm/google/paligemma`, or an embedded model's name there, and the polls that follow."""

from __future__ import annotations

import logging
import re
import uuid
from typing import TYPE_CHECKING

from nbvlm.demo.service import request_body
from nbvlm.demo.service.jobs import Busy
from nbvlm.demo.service.messages import (
    RETRY_AFTER,
    Refusal,
    Reply,
    Request,
    as_json,
    nvcf_headers,
    problem,
    server_error,
)
from nbvlm.demo.service.pictures import EncodedPicture, InvalidPicture, from_base64
from nbvlm.demo.service.request_body import Inline
from nbvlm.demo.service.responses import Accept, Nvidia, failed_status, reply
from nbvlm.demo.service.schema import Faults, Invalid
from nbvlm.errors import Error

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbvlm.demo.service.assets import Bucket
    from nbvlm.demo.service.jobs import Engine, GenerationJob
    from nbvlm.demo.service.request_body import ParsedRequest

__all__ = ["Inference", "too_busy"]

_log = logging.getLogger(__name__)
_POLL_DEFAULT_S, _POLL_MOST_S, _LEAST_KEPT_S = 300, 3600, 10
_REFERENCES_MOST = 370
_HOSTED = "google/paligemma"  # this path is as strict as the published service
_CONTENT = ("body", "messages", 0, "content")


class Inference:
    """Answers questions and polls."""

    def __init__(self, engine: Engine, bucket: Bucket, pixels: int) -> None:
        self._engine, self._bucket, self._pixels = engine, bucket, pixels

    def ask(self, request: Request, name: str) -> Reply:
        """Answer, stream, or reply 202 when the answer takes longer than `NVCF-POLL-SECONDS`."""
        id_ = str(uuid.uuid4())
        return _with_request_id(id_, lambda: self._ask(request, name, id_))

    def _ask(self, request: Request, name: str, id_: str) -> Reply:
        accept = Accept.of(request)
        seconds = _poll_seconds(request)
        references = self._references(request)
        try:
            with self._engine.reading.of(request.caller):
                ask = request_body.read(request, seeded=name != _HOSTED)
                picture = self._picture(request, ask, references)
        except Invalid as invalid:
            raise Refusal(_rejected(invalid.faults, accept)) from None
        stream = ask.stream and accept.events
        try:
            job = self._engine.start(
                picture,
                ask.prompt,
                ask.parameters,
                stream=stream,
                id_=id_,
                caller=request.caller,
                name=name,
                pace=request.pace,
            )
        except Busy as busy:
            raise Refusal(too_busy(busy)) from None
        return self._reply(request, accept, job, seconds)

    def poll(self, request: Request, id_: str) -> Reply:
        """`GET /v1/status/{id}`: wait again; 404 if the answer was sent, cancelled or never requested."""
        return _with_request_id(id_ if _is_uuid(id_) else str(uuid.uuid4()), lambda: self._poll(request, id_))

    def _poll(self, request: Request, id_: str) -> Reply:
        accept, seconds = Accept.of(request), _poll_seconds(request)
        job = self._engine.take(id_.lower(), request.caller)
        if job is None:
            raise Refusal(problem(404, detail=f"NotFound error: failed to find request {id_[:64]}"))
        return self._reply(request, accept, job, seconds)

    def _reply(self, request: Request, accept: Accept, job: GenerationJob, seconds: int) -> Reply:
        request.connection.on_close(job.cancel)
        if not job.wait(seconds):
            request.connection.release()
            self._engine.park(job, max(2 * seconds, _LEAST_KEPT_S))
            return Reply(202, nvcf_headers(job.id, "in-progress"))
        try:
            answer = reply(Nvidia(job.id, job.prompt_tokens), job)
        except InvalidPicture as error:
            raise Refusal(_rejected(_picture_fault(error).faults, accept)) from None
        return answer.plus(*nvcf_headers(job.id, "fulfilled"))

    def _references(self, request: Request) -> set[str]:
        """Return the asset ids of the header; each asset must exist before the model is asked."""
        header = request.header("nvcf-input-asset-references")
        ids = [id_.strip() for id_ in header.split(",") if id_.strip()]
        if len(header) > _REFERENCES_MOST:
            raise Refusal(problem(400, detail=f"The header has more than {_REFERENCES_MOST} characters"))
        for id_ in ids:
            if not _is_uuid(id_):
                raise Refusal(problem(400, detail=f"'{id_}' is not an asset id"))
        for id_ in ids:
            if self._bucket.get(id_, request.caller) is None:
                raise Refusal(problem(404, detail=f"NotFound error: failed to find asset {id_}"))
        return {id_.lower() for id_ in ids}

    def _picture(self, request: Request, ask: ParsedRequest, references: set[str]) -> EncodedPicture | None:
        if ask.picture is None:
            return None
        try:
            if isinstance(ask.picture, Inline):
                return from_base64(ask.picture.base64, self._pixels)
            return self._uploaded(ask.picture.asset_id, request.caller, references)
        except InvalidPicture as error:
            raise _picture_fault(error) from None

    def _uploaded(self, id_: str, caller: str, references: set[str]) -> EncodedPicture:
        asset = self._bucket.get(id_, caller) if id_ in references else None
        if asset is None:
            raise InvalidPicture("The asset is not named in the header NVCF-INPUT-ASSET-REFERENCES")
        return EncodedPicture.of(asset.data, self._pixels)


def too_busy(busy: Busy) -> Reply:
    """Reply to a question for which too many wait."""
    return problem(busy.status, detail=str(busy)).plus(RETRY_AFTER)


def _with_request_id(id_: str, answer: Callable[[], Reply]) -> Reply:
    """Add the request id to every refusal and failure."""
    try:
        return answer()
    except Refusal as refusal:
        reply = refusal.reply
    except Error as error:
        reply = problem(failed_status(error), detail=str(error))
    except Exception:  # noqa: BLE001 - a model may raise anything
        _log.exception("The model failed")
        reply = server_error()
    return reply.plus(*nvcf_headers(id_, "errored"))


def _picture_fault(error: InvalidPicture) -> Invalid:
    return Faults().stop(_CONTENT, "value_error", str(error))


def _poll_seconds(request: Request) -> int:
    value = request.header("nvcf-poll-seconds") or str(_POLL_DEFAULT_S)
    if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) < 1:
        raise Refusal(problem(400, detail="NVCF-POLL-SECONDS must be a whole number of at least 1"))
    if int(value) > _POLL_MOST_S:
        raise Refusal(problem(400, detail=f"NVCF-POLL-SECONDS must be <= {_POLL_MOST_S}"))
    return int(value)


def _is_uuid(value: str) -> bool:
    return bool(re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value))


def _rejected(faults: Faults, accept: Accept) -> Reply:
    """Reply with the faults where event streams are accepted by name; the platform hides them from others."""
    if accept.event_stream:
        return as_json({"detail": faults.as_list()}, 422)
    kind = "urn:inference-service:problem-details:unprocessable-entity"
    return problem(422, type=kind, detail="Inference error")
