"""Which models a server has, and which of them see: how its lists are asked for and read.

The lists differ from server to server, the way to them does not: `listing` is a generator that yields what to
ask and receives the parsed answer, so that any transport can carry it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbvlm.endpoints.catalog import ENDPOINTS, LIVE

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    Listing = Generator["ListRequest", Any, tuple["Model", ...]]

__all__ = ["ListRequest", "Model", "listing", "sees"]


@dataclass(frozen=True, slots=True)
class Model:
    """A model in the list of a server.

    Attributes
    ----------
    id
        Its id, as a request names it.
    vision
        Whether it sees: as the server says, else by its name; None if neither is known.
    """

    id: str
    vision: bool | None = None


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A request for a list; an answer of None stands for a refusal.

    Attributes
    ----------
    path
        Path of the address.
    body
        JSON of a POST; None for a GET.
    """

    path: str
    body: dict[str, Any] | None = None


# Names of families that see, and of models beside them that do not; without the owner, in lower case.
_SEEING = re.compile(
    r"vl(?![a-z])|vision|llava|paligemma|medgemma|gemma-?[34]|gemini|claude|gpt-?4o|gpt-?4\.1|gpt-?[56]|^o[34]"
    r"|pixtral|moondream|minicpm-?[vo]|molmo|florence|kosmos|idefics|glm-?(4|4\.\d|5)v|glm-5\.3-flash"
    r"|phi-?3(\.5)?-v|phi-?4-multimodal|ocr|docling|omni|qwen-?3\.[5-9]|kimi-k(2\.[56]|3)|muse|grok-[4-9]"
    r"|mistral-(small|large)-?[3-9]|ministral-?3|llama-?4|cosmos-?reason|locateanything|ui-?tars|internvl"
)
_BLIND = re.compile(
    r"embed|rerank|whisper|tts|audio|realtime|transcribe|moderation|dall-?e|sora|imagen|veo|codex|image-\d"
    r"|gpt-?image|gpt-?oss|coder|aqa|gemma-?3[:-](1b|270m)"
)


def sees(model: str) -> bool | None:
    """Judge by its name whether a model sees; None if the name does not show it.

    Examples
    --------
    >>> sees("Qwen/Qwen3-VL-8B-Instruct"), sees("text-embedding-3-small"), sees("llama-3.1-8b")
    (True, False, None)
    """
    name = model.lower().rpartition("/")[2]
    if name in {entry.model.rpartition("/")[2] for entry in ENDPOINTS.values()}:
        return True
    if _BLIND.search(name):
        return False
    return True if _SEEING.search(name) else None


def listing(kind: str, path: str) -> Listing:
    """Ask a server for its models, those that see first.

    Parameters
    ----------
    kind
        `Service.listing`.
    path
        Path before `/models` of OpenAI's form, such as `/v1`.
    """
    found = yield from {"ollama": _ollama, "lmstudio": _lmstudio}.get(kind, _openai)(path)
    order = {True: 0, None: 1, False: 2}
    return tuple(sorted(found, key=lambda model: order[model.vision]))


def _openai(path: str) -> Generator[ListRequest, Any, list[Model]]:
    """Read OpenAI's form; llama.cpp and OpenRouter add an `architecture` with the modalities."""
    answer = yield ListRequest(f"{path}/models")
    models = [
        # Google writes the ids with a folder that its own requests leave out.
        Model(str(item["id"]).removeprefix("models/"), _declared(item))
        for item in _items(answer, "data")
        if "id" in item
    ]
    return [model if model.vision is not None else Model(model.id, sees(model.id)) for model in models]


def _declared(item: dict[str, Any]) -> bool | None:
    architecture = item.get("architecture")
    modalities = architecture.get("input_modalities") if isinstance(architecture, dict) else None
    return "image" in modalities if isinstance(modalities, list) else None


def _ollama(path: str) -> Generator[ListRequest, Any, list[Model]]:
    """Ask Ollama for its models, and for the capabilities of each where the list does not hold them."""
    answer = yield ListRequest("/api/tags")
    if answer is None:  # a server that speaks OpenAI's form only
        return (yield from _openai(path))
    models = []
    for item in _items(answer, "models"):
        name = str(item.get("model") or item.get("name"))
        facts = item if "capabilities" in item else (yield ListRequest("/api/show", {"model": name}))
        able = facts.get("capabilities") if isinstance(facts, dict) else None
        models.append(Model(name, "vision" in able if isinstance(able, list) else sees(name)))
    return models


def _lmstudio(path: str) -> Generator[ListRequest, Any, list[Model]]:
    """Ask LM Studio for its models by its own interface, the newer or the older, else by OpenAI's."""
    answer = yield ListRequest("/api/v1/models")
    if items := _items(answer, "models"):
        return [
            Model(str(item["key"]), bool((item.get("capabilities") or {}).get("vision")))
            for item in items
            if "key" in item and item.get("type") != "embedding"
        ]
    answer = yield ListRequest("/api/v0/models")
    if items := _items(answer, "data"):
        return [
            Model(str(item["id"]), item.get("type") == "vlm")
            for item in items
            if "id" in item and item.get("type") != "embeddings"
        ]
    return (yield from _openai(path))


def _items(answer: Any, key: str) -> list[dict[str, Any]]:
    items = answer.get(key) if isinstance(answer, dict) else None
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def known(listed: Iterable[str] | None = None) -> tuple[Model, ...]:
    """Return NVIDIA's models of the table that `listed` names too, or all of them."""
    names = None if listed is None else set(listed)
    return tuple(Model(entry.model, True) for entry in LIVE if names is None or entry.model in names)
