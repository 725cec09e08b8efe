"""Question to answer over HTTP: protocol, transports, keys, assets."""

from __future__ import annotations

from nbvlm.client.base import TRANSPORTS
from nbvlm.client.client import AsyncClient, Client, Stream, ask, login
from nbvlm.client.driver import Driver, Recent
from nbvlm.client.flow.assets import Asset
from nbvlm.client.flow.calls import call, request
from nbvlm.client.flow.events import DetectionFound, Event, Status, TextDelta
from nbvlm.client.flow.steps import Context, Flow
from nbvlm.client.flow.validation import job, refuse_unknown
from nbvlm.client.keys import ENVIRONMENT
from nbvlm.client.keys import find as find_key
from nbvlm.client.keys import login as keep_key
from nbvlm.client.payloads import Tokens, UnreadableAnswer, read_chunk
from nbvlm.client.policies import Retry, Timeouts, Watch
from nbvlm.client.pools import Pools
from nbvlm.client.secrets import Secret, redact
from nbvlm.client.settings import Settings, resolve
from nbvlm.client.sse import Decoder as SseDecoder
from nbvlm.client.sse import Event as SseEvent

__all__ = [
    "ENVIRONMENT",
    "TRANSPORTS",
    "Asset",
    "AsyncClient",
    "Client",
    "Context",
    "DetectionFound",
    "Driver",
    "Event",
    "Flow",
    "Pools",
    "Recent",
    "Retry",
    "Secret",
    "Settings",
    "SseDecoder",
    "SseEvent",
    "Status",
    "Stream",
    "TextDelta",
    "Timeouts",
    "Tokens",
    "UnreadableAnswer",
    "Watch",
    "ask",
    "call",
    "find_key",
    "job",
    "keep_key",
    "login",
    "read_chunk",
    "redact",
    "refuse_unknown",
    "request",
    "resolve",
]
