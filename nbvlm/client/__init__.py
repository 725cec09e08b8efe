"""Question to answer over HTTP: protocol, transports, keys, assets."""

from __future__ import annotations

from nbvlm.client.client import AsyncClient, Client, Relay, ask, probe, warn_of_demo
from nbvlm.client.flow.assets import Asset
from nbvlm.client.flow.calls import STATUS_HEADER
from nbvlm.client.flow.collector import REPORT
from nbvlm.client.flow.events import DetectionFound, Event, ReasoningDelta, Status, TextDelta
from nbvlm.client.flow.validation import check_parameters, check_question
from nbvlm.client.keys import ENVIRONMENT, login, remembered
from nbvlm.client.keys import find as find_key
from nbvlm.client.payloads import Piece, Tokens, UnreadableAnswer, read_chunk
from nbvlm.client.policies import Retry, Timeouts
from nbvlm.client.request_info import RequestInfo
from nbvlm.client.secrets import Secret, redact
from nbvlm.client.settings import Settings, check_pace, refuse_unknown, resolve, with_keywords
from nbvlm.client.sse import Decoder as SseDecoder
from nbvlm.client.sse import Event as SseEvent
from nbvlm.client.streams import AsyncStream, Stream
from nbvlm.client.transports import AsyncTransport, Transport

__all__ = [
    "ENVIRONMENT",
    "REPORT",
    "STATUS_HEADER",
    "Asset",
    "AsyncClient",
    "AsyncStream",
    "AsyncTransport",
    "Client",
    "DetectionFound",
    "Event",
    "Piece",
    "ReasoningDelta",
    "Relay",
    "RequestInfo",
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
    "Transport",
    "UnreadableAnswer",
    "ask",
    "check_pace",
    "check_parameters",
    "check_question",
    "find_key",
    "login",
    "probe",
    "read_chunk",
    "redact",
    "refuse_unknown",
    "remembered",
    "resolve",
    "warn_of_demo",
    "with_keywords",
]
