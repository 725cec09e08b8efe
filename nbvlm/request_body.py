"""Build the JSON body of a request.

A body is joined from bytes: a JSON encoder would take four times as long for a picture's base64 text as the
base64 encoding itself.
"""

from __future__ import annotations

import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbvlm.endpoints import Endpoint

__all__ = ["Source", "body"]


@dataclass(frozen=True, slots=True, repr=False)
class Source:
    """The picture of a request: its bytes, or the id of an asset."""

    mime: str
    data: bytes | None = None
    asset_id: str | None = None

    def uri(self) -> bytes:
        """Return the data URI of the picture."""
        if self.asset_id is not None:
            return f"data:{self.mime};asset_id,{self.asset_id}".encode()
        return b"data:%s;base64,%s" % (
            self.mime.encode(),
            binascii.b2a_base64(self.data or b"", newline=False),
        )


def body(
    endpoint: Endpoint,
    prompt: str,
    source: Source,
    parameters: Mapping[str, float | int],
    *,
    content: str = "tag",
    stream: bool = False,
) -> bytes:
    """Return the JSON body of a request.

    Parameters
    ----------
    endpoint
        Decides the dialect: string content with one `<img>` tag, or list content with the picture first.
    prompt
        A prompt that `nbvlm.prompts.check` accepts.
    source
        The picture.
    parameters
        Sampling parameters.
    content
        "tag" or "parts" (the list form) for the NVIDIA dialect.
    stream
        Whether server-sent events are wanted.
    """
    text = _escaped(prompt)
    if endpoint.dialect == "openai":
        parts = b'[{"type":"image_url","image_url":{"url":"%s"}},{"type":"text","text":"%s"}]'
        inner = parts % (source.uri(), text)
    elif content == "parts":  # the hosted service refuses an object here
        inner = b'[{"type":"text","text":"%s"},{"type":"image_url","image_url":"%s"}]' % (text, source.uri())
    else:
        inner = b'"%s <img src=\\"%s\\" />"' % (text, source.uri())
    options = {**_sent(endpoint, parameters), "stream": stream, **endpoint.extra}
    if endpoint.dialect == "openai":
        options = {"model": endpoint.model, **options}
        if endpoint.keeps_tokens:
            options["skip_special_tokens"] = False
        if stream and endpoint.stream_usage:
            options["stream_options"] = {"include_usage": True}
    return b'{"messages":[{"role":"user","content":%s}],%s' % (inner, _json(options)[1:])


def _sent(endpoint: Endpoint, parameters: Mapping[str, float | int]) -> dict[str, Any]:
    """Return the parameters that travel, by their keys in the body."""
    known = {parameter.name: parameter for parameter in endpoint.parameters}
    sent: dict[str, Any] = {}
    for name, value in parameters.items():
        parameter = known.get(name)
        if parameter is None or not (parameter.optional and value == parameter.default):
            sent[parameter.key or name if parameter else name] = value
    return sent


def _json(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    # A lone surrogate, which broken text can hold, has no UTF-8 form; its escape in JSON reads the same.
    return text.encode("utf-8", "backslashreplace")


def _escaped(text: str) -> bytes:
    return _json(text)[1:-1]
