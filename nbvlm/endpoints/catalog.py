"""The entries: hosted PaliGemma, the embedded models, NVIDIA's live vision models, and the retired ones.

Sources: the published contract of `/v1/vlm/google/paligemma`, NVIDIA's reference pages and published gateway
source, and public reports of calls up to the date in `CHECKED`. NVIDIA's list changes from week to week: an
entry describes the request, and `CHECKED` says how old the knowledge is that the model answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nbvlm.endpoints.values import Endpoint, Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CHECKED",
    "EMBEDDED",
    "ENDPOINTS",
    "HOSTED",
    "INTEGRATE",
    "LIVE",
    "RETIRED",
    "Retired",
    "family",
    "live",
]

HOSTED = "https://ai.api.nvidia.com"
INTEGRATE = "https://integrate.api.nvidia.com"
ASSETS = "https://api.nvcf.nvidia.com"
DEMO = "http://demo.nbvlm.localhost"

CHECKED = "2026-10-04"
"""Date of the newest public report that the table of NVIDIA's models rests on."""

TEMPERATURE = Parameter("temperature", 0, 1, 0.2, low_open=True)
TOP_P = Parameter("top_p", 0, 1, 0.7, low_open=True)
MAX_TOKENS = Parameter("max_tokens", 1, 1024, 1024, integer=True, step=1)
HOSTED_PARAMETERS = (TEMPERATURE, TOP_P, MAX_TOKENS)
INLINE_LIMIT = 180_000
"""Base64 characters per picture; every official sample compares the text, not the raw bytes, with this."""
BODY_LIMIT = 25 * 1024 * 1024
"""Bytes of a whole request to `INTEGRATE`."""
PROMPT_RESERVE = 1024 * 1024
NO_THINKING = {"chat_template_kwargs": {"enable_thinking": False}}


def openai_parameters(most: int, default: int = 1024, **changes: Any) -> tuple[Parameter, ...]:
    """Return the parameters of an OpenAI-compatible server, with its bound on `max_tokens`."""
    return (
        Parameter("temperature", 0, 2, changes.get("temperature", 0.2), optional="temperature" in changes),
        Parameter("top_p", 0, 1, 1, low_open=True, optional="temperature" in changes),
        Parameter("max_tokens", 1, most, default, integer=True, step=1, key=changes.get("key", "")),
    )


def live(model: str, most: int, **facts: Any) -> Endpoint:
    """Describe a vision model on NVIDIA's chat completions, which refuse keys that they do not know."""
    return Endpoint(
        name=model,
        model=model,
        dialect="openai",
        base_url=INTEGRATE,
        path="/v1/chat/completions",
        assets_url=None,
        inline_limit=BODY_LIMIT - PROMPT_RESERVE,
        parameters=openai_parameters(most),
        service="nvidia",
        stream_usage=False,
        seed=True,
        requests_per_minute=40,
        longest_side=2048,
        silence=180.0,
        **facts,
    )


_PALIGEMMA = Endpoint(
    name="nvidia",
    model="google/paligemma",
    dialect="nvidia",
    base_url=HOSTED,
    path="/v1/vlm/google/paligemma",
    assets_url=ASSETS,
    inline_limit=INLINE_LIMIT,
    parameters=HOSTED_PARAMETERS,
    service="nvidia",
    pictures=1,
    codebook="vae-oid",
    requests_per_minute=40,
    note="Listed by NVIDIA, failing when last tried publicly in October 2026.",
)

_DEMO = Endpoint(
    name="demo",
    model="nbvlm/demo",
    dialect="nvidia",
    base_url=DEMO,
    path="/v1/vlm/google/paligemma",
    assets_url=DEMO,
    inline_limit=INLINE_LIMIT,
    parameters=HOSTED_PARAMETERS,
    pictures=1,
    codebook="demo",
    seed=True,
    note=(
        "Small models inside the package, without key and network: one knows picture-book scenes, one finds "
        "80 everyday kinds in photographs."
    ),
)

EMBEDDED = ("nbvlm/demo-scenes", "nbvlm/demo-photos")
"""Ids of the embedded models."""

LIVE: tuple[Endpoint, ...] = (
    live(
        "google/gemma-4-31b-it",
        16_384,
        extra=NO_THINKING,
        note="Boxes and captions; small print is lost. Answered on 2026-10-04.",
    ),
    live(
        "nvidia/nemotron-3-nano-omni-30b-a3b-reasoning",
        65_536,
        extra=NO_THINKING,
        note="Boxes and finer detail; often busy. Answered on 2026-10-04.",
    ),
    live(
        "meta/llama-3.2-11b-vision-instruct",
        4096,
        pictures=1,
        note="Quick captions and answers, no boxes. Answered on 2026-10-04.",
    ),
    live("moonshotai/kimi-k3", 16_384, note="Reads print well, slowly. Answered on 2026-10-04."),
    live("meta/muse-glimmer-30b", 16_384, note="Captions and answers. Answered on 2026-09-21."),
)
"""NVIDIA's vision models that answered when last tried publicly, the most useful first."""

ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType(
    {endpoint.name: endpoint for endpoint in (_PALIGEMMA, _DEMO, *LIVE)}
)
"""All entries by name, PaliGemma first."""


@dataclass(frozen=True, slots=True)
class Retired:
    """A model that no longer answers.

    Attributes
    ----------
    model
        The model's id.
    seen
        Date of the newest public report.
    reason
        The answer of the service then, as the end of a sentence.
    """

    model: str
    seen: str
    reason: str


_WITHDRAWN = "the service answered 404, function not found"
_UNLISTED = "no list of the service named it in 2026"

RETIRED: Mapping[str, Retired] = MappingProxyType(
    {
        model: Retired(model, seen, reason)
        for model, seen, reason in (
            ("nvidia/vila", "2026-09-04", _WITHDRAWN),
            ("nvidia/neva-22b", "2026-09-04", _WITHDRAWN),
            ("microsoft/phi-3-vision-128k-instruct", "2026-09-04", _WITHDRAWN),
            ("microsoft/kosmos-2", "2026-09-04", _WITHDRAWN),
            ("adept/fuyu-8b", "2026-09-04", _WITHDRAWN),
            ("google/deplot", "2026-09-04", _WITHDRAWN),
            ("nvidia/cosmos-nemotron-34b", "2026-11-29", _UNLISTED),
            ("microsoft/florence-2", "2026-11-29", _UNLISTED),
            ("microsoft/phi-3.5-vision-instruct", "2026-04-15", "the service no longer listed it"),
            ("microsoft/phi-4-multimodal-instruct", "2026-07-15", "the service had retired it"),
            ("google/gemma-3-27b-it", "2026-05-12", "the service had retired it"),
            ("meta/llama-4-maverick-17b-128e-instruct", "2026-07-27", "the service had retired it"),
            ("nvidia/llama-3.1-nemotron-nano-vl-8b-v1", "2026-08-26", "the service had retired it"),
            ("nvidia/nemotron-nano-12b-v2-vl", "2026-08-26", "the service had retired it"),
            ("minimaxai/minimax-m3", "2026-09-09", "the service had retired it"),
        )
    }
)
"""NVIDIA's vision models that are gone, by id: they are refused before any network use."""


def family(model: str) -> str:
    """Reduce a model's id to what names have in common over all channels.

    Examples
    --------
    >>> family("Qwen/Qwen2.5-VL-7B-Instruct"), family("qwen2.5vl:7b")
    ('qwen25vl7binstruct', 'qwen25vl')
    """
    name = model.lower().rpartition("/")[2]
    for mark in ":@":
        name = name.partition(mark)[0]
    return "".join(character for character in name if character.isalnum())
