"""Transports that record answers, and replay them without network, key or model.

>>> with nbvlm.Client("nvidia", transport=nbvlm.record("class.json")) as client:  # doctest: +SKIP
...     client.ask("cat.jpg", "detect cat")
>>> with nbvlm.Client(transport=nbvlm.replay("class.json")) as client:  # doctest: +SKIP
...     client.ask("cat.jpg", "detect cat")
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any

import httpx

from nbvlm import endpoints
from nbvlm._files import expanded
from nbvlm._text import warn_outside
from nbvlm.client import AsyncTransport, RequestInfo, Transport
from nbvlm.errors import ParameterError
from nbvlm.recording.format import (
    ABOUT,
    RecordedAnswer,
    RecordedQuestion,
    find,
    load,
    question_in,
    question_of,
    save,
)
from nbvlm.recording.playback import (
    RecordedRequest,
    RecordedStream,
    ResponseRecorder,
    TimedStream,
    timed_pieces,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from pathlib import Path

    from nbvlm.endpoints import Endpoint

__all__ = ["Recorder", "Replayer", "record", "replay"]

_ORIGIN = "http://replay.nbvlm.localhost"
ASSETS = "/v2/nvcf/assets"
_EVENTS = "text/event-stream"


def record(
    path: str | os.PathLike[str], transport: httpx.BaseTransport | httpx.AsyncBaseTransport | None = None
) -> Recorder:
    """Return a transport that records every question and its answer.

    Parameters
    ----------
    path
        The file, replaced as a whole after each answer; an earlier recording in it is lost.
    transport
        Sends the requests; by default the transport that the client uses without a recorder.

    Raises
    ------
    ParameterError
        If the path has a file that is not a recording, or its folder does not exist. Nothing is overwritten.

    Examples
    --------
    >>> client = nbvlm.Client("demo", transport=nbvlm.record("class.json"))  # doctest: +SKIP
    """
    file = expanded(path).absolute()  # a change of the folder does not matter
    if file.exists():
        load(path)
    elif not file.parent.is_dir():
        raise ParameterError(
            f"The folder {str(file.parent)!r} does not exist.", hint="Create it, or record elsewhere."
        )
    return Recorder(file, transport)


def replay(path: str | os.PathLike[str], speed: float = 1.0) -> Replayer:
    """Return a transport that answers from a recording.

    Parameters
    ----------
    path
        A file of `record`; or ``"photographs"``, the recording that is part of the package: questions about
        the four photographs of the gallery, answered by the embedded detector, which `Result.model` and
        `Result.notices` name.
    speed
        1 plays the answers at the recorded pace, 2 twice as fast, `math.inf` at once.

    Raises
    ------
    ParameterError
        If the file is not a recording, or the speed is not positive.

    Examples
    --------
    >>> client = nbvlm.Client(transport=nbvlm.replay("class.json", speed=math.inf))  # doctest: +SKIP
    """
    if isinstance(speed, bool) or not isinstance(speed, (int, float)) or not speed > 0:
        raise ParameterError(
            f"speed must be a positive number, got {speed!r}.", hint="math.inf plays the answers at once."
        )
    return Replayer(load(path), float(speed))


class Recorder(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Sends requests on and records questions with their answers; see `record`."""

    def __init__(self, path: Path, transport: httpx.BaseTransport | httpx.AsyncBaseTransport | None) -> None:
        self._path = path
        self._given = transport
        self._made: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._answers: list[RecordedAnswer] = []
        self._pending: dict[str, RecordedRequest] = {}

    def __repr__(self) -> str:
        return f"record({str(self._path)!r})"

    @property
    def needs_key(self) -> bool:
        """Whether requests go to the service itself."""
        return self._given is None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request on, and record the answer."""
        recorded = self._recorded_request(request)
        response = self._inner("blocking", request).handle_request(request)
        return self._record(response, recorded)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request on, and record the answer."""
        recorded = self._recorded_request(request)
        response = await self._inner("awaiting", request).handle_async_request(request)
        return self._record(response, recorded)

    def _inner(self, kind: str, request: httpx.Request) -> Any:
        if self._given is not None:
            return self._given
        name = "demo" if request.url.host.endswith("nbvlm.localhost") else kind
        own = RequestInfo.of(request).own
        with self._lock:
            if name not in self._made:
                self._made[name] = own() if own is not None else _CARRIERS[name]()
            return self._made[name]

    def _recorded_request(self, request: httpx.Request) -> RecordedRequest | None:
        """Return the question and its time; None for other requests."""
        began = time.perf_counter()
        if request.method == "GET" and "/status/" in request.url.path:
            return self._pending.pop(request.url.path.rsplit("/", 1)[1], None)
        question = _question(request)
        return (question, RequestInfo.of(request).endpoint, began) if question is not None else None

    def _record(self, response: httpx.Response, request: RecordedRequest | None) -> httpx.Response:
        if request is None:
            return response
        if response.status_code == 202:
            self._pending[response.headers.get("nvcf-reqid", "")] = request
            return response
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=RecordedStream(response, ResponseRecorder(response, request, self._keep)),
            extensions=response.extensions,
        )

    def _keep(self, answer: RecordedAnswer) -> None:
        with self._lock:
            self._answers.append(answer)
            try:
                save(self._path, self._answers)
            except OSError as error:  # the answer is there all the same, and is written with the next one
                warn_outside(f"The recording {str(self._path)!r} cannot be written: {error.strerror}.")

    def close(self) -> None:
        """Close the transports."""
        for transport in (self._given, *self._made.values()):
            if isinstance(transport, httpx.BaseTransport):
                transport.close()

    async def aclose(self) -> None:
        """Close the transports."""
        for transport in (self._given, *self._made.values()):
            if isinstance(transport, httpx.AsyncBaseTransport):
                await transport.aclose()


def _demo() -> Any:
    from nbvlm.demo import DemoTransport

    return DemoTransport()


_CARRIERS: dict[str, Callable[[], Any]] = {
    "demo": _demo,
    "blocking": Transport,
    "awaiting": AsyncTransport,
}


def _question(request: httpx.Request) -> RecordedQuestion | None:
    path = request.url.path
    if request.method != "POST" or not ("/v1/vlm/" in path or path.endswith("/chat/completions")):
        return None
    asked = RequestInfo.of(request).question
    if asked is not None:
        return question_of(*asked)
    return question_in(request.read(), path.partition("/v1/vlm/")[2])


class Replayer(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Answers from a recording; see `replay`."""

    def __init__(self, answers: list[RecordedAnswer], speed: float) -> None:
        self._answers = answers
        self._speed = speed
        self._played: Counter[int] = Counter()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"replay({len(self._answers)} answers)"

    @property
    def endpoint(self) -> str | Endpoint | None:
        """The recorded endpoint: its name, or one like it for an OpenAI-compatible server."""
        found = next((answer for answer in self._answers if answer.endpoint), None)
        if found is None:
            return None
        name, model = found.endpoint or "", found.question.model
        if name in endpoints.SERVICES and name != "nvidia":
            return endpoints.get(name, model)
        if name not in endpoints.ENDPOINTS:  # a server without a name, or a retired model
            return endpoints.openai(f"{_ORIGIN}/v1", model)
        return found.endpoint

    @property
    def questions(self) -> tuple[RecordedQuestion, ...]:
        """The recorded questions that have an answer, each once, in their order."""
        seen: dict[tuple[Any, ...], RecordedQuestion] = {}
        for answer in self._answers:
            one = answer.question
            if answer.status == 200 and answer.ended:
                parameters = tuple(sorted(one.parameters.items()))
                seen.setdefault((one.sha256, one.prompt, one.model, parameters), one)
        return tuple(seen.values())

    @property
    def parameters(self) -> dict[str, float | int]:
        """Parameters of the first recorded question."""
        return next((dict(answer.question.parameters) for answer in self._answers), {})

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer from the recording; without an answer raise `ReplayMiss`."""
        for _ in request.stream:  # type: ignore[union-attr]
            pass  # An upload reports its progress while it is read.
        return self._answer(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer from the recording; errors as `handle_request`."""
        async for _ in request.stream:  # type: ignore[union-attr]
            pass
        return self._answer(request)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        question = _question(request)
        if question is None:
            return self._service(request)
        answer = self._next(question)
        pieces, kind = timed_pieces(answer, stream=_EVENTS in request.headers.get("accept", ""))
        body = TimedStream(pieces, self._speed, RequestInfo.of(request).hold)
        about = {name: answer.about[name] for name in ABOUT if name in answer.about}
        return httpx.Response(answer.status, headers={"content-type": kind, **about}, stream=body)

    def _next(self, question: RecordedQuestion) -> RecordedAnswer:
        """Return the next answer to a question; after the last one, the first again."""
        found = find(self._answers, question)
        with self._lock:
            index = found[self._played[found[0]] % len(found)]
            self._played[found[0]] += 1
        return self._answers[index]

    def _service(self, request: httpx.Request) -> httpx.Response:
        """Play the asset service and the list of models."""
        path, method = request.url.path, request.method
        if path.endswith("/models"):
            names = dict.fromkeys(answer.question.model for answer in self._answers)
            return httpx.Response(200, json={"data": [{"id": name} for name in names]})
        if path == ASSETS and method == "POST":
            address = f"{_ORIGIN}/upload"
            return httpx.Response(200, json={"assetId": str(uuid.uuid4()), "uploadUrl": address})
        if path == ASSETS:
            return httpx.Response(200, json={"assets": []})
        if method == "DELETE" and path.startswith(ASSETS):
            return httpx.Response(204)
        return httpx.Response(200 if method == "PUT" else 404)
