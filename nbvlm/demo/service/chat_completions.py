"""Answer `POST /v1/chat/completions` and `GET /v1/models` for OpenAI-compatible clients."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nbvlm.demo import router, speaking
from nbvlm.demo.service.jobs import Busy
from nbvlm.demo.service.messages import RETRY_AFTER, Refusal, Reply, Request, as_json
from nbvlm.demo.service.pictures import InvalidPicture, from_base64
from nbvlm.demo.service.request_body import (
    SEED,
    Inline,
    ParsedRequest,
    Source,
    clean,
    parts,
    source,
    split,
)
from nbvlm.demo.service.responses import OpenAI, failed_status, model_failed, reply
from nbvlm.demo.service.schema import Faults, Invalid, Loc, flag, number, read_json
from nbvlm.endpoints import Parameter
from nbvlm.errors import Error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbvlm.demo.service.jobs import Engine
    from nbvlm.demo.speaking import Speaker

__all__ = ["Completions", "refusal", "too_busy"]

MODEL = router.MODELS[0]
_HOSTED = "google/paligemma"  # accepted, so that code written for the hosted model runs unchanged
_CREATED = 1_700_000_000  # a listing needs a Unix time; the value has no meaning here

_PARAMETERS = (
    Parameter("temperature", 0, 2, 0.2),
    Parameter("top_p", 0, 1, 0.7, low_open=True),
)
_MOST = Parameter("max_tokens", 1, 1 << 20, 1024, integer=True)
_OWN_MOST = 65_536  # tokens of an answer of a model that is not embedded
_COLDEST = 1e-6  # replaces 0, which requests the likeliest token
_NOT_OFFERED = ("stop", "tools", "functions", "logprobs", "response_format")


class Completions:
    """Answers chat completions, whole and streamed.

    Each id of `nbvlm.demo.speaking.model_id` is a model that answers as another family does; the list of
    models has those that are `listed`. If the engine has a model that is not embedded, `own` is its id,
    and the service has only this one.
    """

    def __init__(
        self, engine: Engine, listed: Sequence[str] = (), own: str | None = None, *, pixels: int
    ) -> None:
        self._engine, self._listed, self._own, self._pixels = engine, listed, own, pixels

    def complete(self, request: Request, _: str) -> Reply:
        """`POST /v1/chat/completions`."""
        try:
            with self._engine.reading.of(request.caller):
                ask, name, speaker, include_usage = _read(request, self._own)
                given = ask.picture
                picture = from_base64(given.base64, self._pixels) if isinstance(given, Inline) else None
            ask = replace(ask, picture=None)  # the text of the picture is not kept while the question waits
            job = self._engine.start(
                picture,
                ask.prompt,
                ask.parameters,
                stream=ask.stream,
                id_=str(uuid.uuid4()),
                caller=request.caller,
                name=name,
                speaker=speaker,
                pace=request.pace,
            )
            request.connection.on_close(job.cancel)
            job.wait(None)
            return reply(OpenAI(job.id, job.prompt_tokens, job.model or name, include_usage), job)
        except Invalid as invalid:
            raise Refusal(refusal(400, str(invalid.faults), param=_param(invalid.faults))) from None
        except InvalidPicture as error:
            raise Refusal(refusal(400, str(error), param="messages")) from None
        except Error as error:
            raise Refusal(as_json(model_failed(error), failed_status(error))) from None
        except Busy as busy:
            raise Refusal(too_busy(busy)) from None

    def models(self, _request: Request, _: str) -> Reply:
        """`GET /v1/models`."""
        names = (*self._listed, MODEL) if self._own is None else (self._own,)
        return as_json({"object": "list", "data": [_listed(name) for name in names]})

    def model(self, _request: Request, name: str) -> Reply:
        """`GET /v1/models/{id}`."""
        if self._own is None:
            name = MODEL if name == _HOSTED else name
            known = name in router.MODELS or speaking.speaker(name) is not None
        else:
            known = name == self._own
        if not known:
            raise Refusal(_unknown(name, self._own or MODEL))
        return as_json(_listed(name))


def refusal(status: int, message: str, *, param: str | None = None, code: str | None = None) -> Reply:
    """Reply with an error in the shape that OpenAI's clients read."""
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return as_json({"error": error}, status)


def too_busy(busy: Busy) -> Reply:
    """Reply to a question for which too many wait."""
    return refusal(busy.status, str(busy), code="rate_limit_exceeded").plus(RETRY_AFTER)


def _listed(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "nbvlm"}


def _unknown(name: str, known: str = MODEL) -> Reply:
    message = f"The model `{name[:64]}` does not exist; this service has `{known}`"
    return refusal(404, message, param="model", code="model_not_found")


def _param(faults: Faults) -> str | None:
    """Return the member of the body with the first fault."""
    loc = faults.as_list()[0]["loc"]
    return str(loc[1]) if len(loc) > 1 and isinstance(loc[1], str) else None


def _read(request: Request, own: str | None) -> tuple[ParsedRequest, str, Speaker | None, bool]:
    """Read the body: question, model, who speaks, and whether a stream ends with the token counts."""
    faults, body = Faults(), read_json(request)
    name, speaker = _model(faults, body, own)
    for option in _NOT_OFFERED:
        if body.get(option) not in (None, False, [], {"type": "text"}):
            faults.add(("body", option), "not_supported", "The embedded model does not support this")
    if body.get("n") not in (None, 1):
        faults.add(("body", "n"), "not_supported", "Only one answer per request is supported")
    stream = flag(faults, ("body", "stream"), _given(body, "stream", False))
    options = _given(body, "stream_options", {})
    include_usage = isinstance(options, dict) and options.get("include_usage") is True
    prompt, picture = _conversation(faults, body)
    parameters = _parameters(faults, body, int(_MOST.default) if own is None else _OWN_MOST)
    faults.check()
    return ParsedRequest(prompt, picture, parameters, stream), name, speaker, include_usage


def _given(body: dict[str, Any], name: str, default: Any) -> Any:
    """Value of a member; `null` counts as absent."""
    return default if body.get(name) is None else body[name]


def _model(faults: Faults, body: dict[str, Any], own: str | None) -> tuple[str, Speaker | None]:
    """Return the model's id, and the family that it answers as."""
    name = body.get("model")
    if not isinstance(name, str):
        faults.add(("body", "model"), "missing", "Field required")
        return MODEL, None
    if own is not None:
        if name != own:
            raise Refusal(_unknown(name, own))
        return own, None
    if name == _HOSTED or name in router.MODELS:
        return MODEL if name == _HOSTED else name, None
    speaker = speaking.speaker(name)
    if speaker is None:
        raise Refusal(_unknown(name))
    template = _given(body, "chat_template_kwargs", {})
    thinks = isinstance(template, dict) and template.get("enable_thinking") is True
    return name, speaker.asked(keeps_tokens=body.get("skip_special_tokens") is False, thinks=thinks)


def _parameters(faults: Faults, body: dict[str, Any], most_tokens: int) -> dict[str, Any]:
    values: dict[str, Any] = {
        spec.name: number(faults, ("body", spec.name), _given(body, spec.name, spec.default), spec)
        for spec in _PARAMETERS
    }
    name = "max_tokens" if body.get("max_completion_tokens") is None else "max_completion_tokens"
    most = number(faults, ("body", name), _given(body, name, _MOST.default), _MOST)
    values["temperature"] = max(values["temperature"], _COLDEST)
    values["max_tokens"] = min(int(most), most_tokens)
    if body.get("seed") is not None:
        values["seed"] = abs(int(number(faults, ("body", "seed"), body["seed"], SEED)))
    return values


def _conversation(faults: Faults, body: dict[str, Any]) -> tuple[str, Source | None]:
    """Return the last question and the last picture: the model ignores turns and system prompts."""
    loc: Loc = ("body", "messages")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise faults.stop(loc, "list_type", "Input should be a list of at least one message")
    read = [_read_message(faults, (*loc, index), message) for index, message in enumerate(messages)]
    questions = [(prompt, urls) for prompt, urls, role in read if role == "user"]
    urls = [url for _, given in questions for url in given]
    if not questions or not urls:
        raise faults.stop(loc, "value_error", "A message of role 'user' with a picture is expected")
    return clean(faults, loc, questions[-1][0]), _picture(faults, loc, urls[-1])


def _read_message(faults: Faults, loc: Loc, message: Any) -> tuple[str, list[str], str]:
    role = message.get("role") if isinstance(message, dict) else None
    if role not in ("user", "assistant", "system", "developer"):
        faults.add(
            (*loc, "role"), "literal_error", "Input should be 'user', 'assistant', 'system' or 'developer'"
        )
        return "", [], ""
    content = message.get("content")
    if isinstance(content, str):
        return *split(content), role
    if isinstance(content, list):
        return *parts(faults, (*loc, "content"), content, objects=True), role
    if role != "assistant":
        faults.add((*loc, "content"), "string_type", "Input should be a valid string or list")
    return "", [], role


def _picture(faults: Faults, loc: Loc, url: str) -> Source | None:
    found = source(faults, loc, url)
    if found is not None and not isinstance(found, Inline):
        faults.add(loc, "value_error", "Uploaded assets cannot be used here; send the picture as a data URI")
    return found
