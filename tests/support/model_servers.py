"""Loopback servers that speak as Ollama, LM Studio, vLLM, llama.cpp, OpenRouter, Google and NVIDIA do.

The shapes are those of the programs' and services' own documents; each `…_pages` fits `Loopback.pages`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from support.loopback import Reply, problem

if TYPE_CHECKING:
    from support.loopback import Seen

JSON = {"content-type": "application/json"}
NOT_FOUND = Reply(404, {"content-type": "text/plain"}, b"404 page not found\n")


def page(value: Any, status: int = 200) -> Reply:
    return Reply(status, JSON, json.dumps(value).encode())


def openai_list(*ids: str) -> Reply:
    items = [{"id": name, "object": "model", "created": 735790403, "owned_by": "x"} for name in ids]
    return page({"object": "list", "data": items})


def ollama_pages(**models: list[str]) -> dict[str, Any]:
    """Names with their capabilities; `:` is written as `__`."""
    able = {name.replace("__", ":").replace("_", "-"): capabilities for name, capabilities in models.items()}

    def show(seen: Seen) -> Reply:
        name = seen.json["model"]
        if name not in able:
            return page({"error": f"model '{name}' not found"}, 404)
        details = {"family": "qwen3vl", "format": "gguf", "parameter_size": "8.8B"}
        return page({"details": details, "model_info": {}, "capabilities": able[name]})

    tags = [{"name": name, "model": name, "size": 6_100_000_000, "digest": "d" * 64} for name in able]
    return {
        "/api/tags": page({"models": tags}),
        "/api/show": show,
        "/api/version": page({"version": "0.12.3"}),
        "/v1/models": openai_list(*able),
    }


def lmstudio_pages(**sees: bool) -> dict[str, Any]:
    items = [
        {
            "type": "llm",
            "publisher": "qwen",
            "key": name.replace("_", "-"),
            "loaded_instances": [],
            "max_context_length": 32_768,
            "capabilities": {"vision": vision, "trained_for_tool_use": True},
        }
        for name, vision in sees.items()
    ]
    embedding = {"type": "embedding", "key": "text-embedding-nomic", "max_context_length": 2048}
    return {"/api/v1/models": page({"models": [*items, embedding]}), "/api/v0/models": NOT_FOUND}


def old_lmstudio_pages(**kinds: str) -> dict[str, Any]:
    items = [
        {"id": name.replace("_", "-"), "object": "model", "type": kind, "state": "not-loaded"}
        for name, kind in kinds.items()
    ]
    # Unknown paths are answered with 200 and an error.
    unknown = page({"error": "Unexpected endpoint or method. (GET /api/v1/models)"})
    return {"/api/v1/models": unknown, "/api/v0/models": page({"object": "list", "data": items})}


def llamacpp_pages(name: str, *, vision: bool) -> dict[str, Any]:
    modalities = ["text", "image"] if vision else ["text"]
    item = {
        "id": name,
        "object": "model",
        "architecture": {"input_modalities": modalities, "output_modalities": ["text"]},
        "owned_by": "llamacpp",
        "meta": None,
    }
    return {"/v1/models": page({"object": "list", "data": [item]}), "/health": page({"status": "ok"})}


def vllm_pages(name: str) -> dict[str, Any]:
    item = {"id": name, "object": "model", "owned_by": "vllm", "root": name, "max_model_len": 8192}
    return {"/v1/models": page({"object": "list", "data": [item]}), "/health": Reply(200)}


def nvidia_pages(*ids: str) -> dict[str, Any]:
    """The anonymous list of NVIDIA's chat completions, and an answer for each of its models."""
    return {
        "/v1/models": openai_list(*ids),
        **{f"/v1/models/{name}": page({"id": name, "object": "model"}) for name in ids},
    }


def end_of_life(model: str, moment: str = "2026-09-09T09:00:00Z") -> Reply:
    """NVIDIA's answer for a model past its end."""
    detail = f"The model '{model}' has reached its end of life on {moment} and is no longer available."
    body = {"type": "about:blank", "title": "Gone", "status": 410, "detail": detail}
    return Reply(410, {"content-type": "application/problem+json"}, json.dumps(body).encode())


def withdrawn() -> Reply:
    """NVIDIA's answer for a model that is listed but not open to the account."""
    detail = (
        "Function '0d1ef1e5-6c4b-4c1e-8a0c-9e3b8a1f2c3d': Not found for account "
        "'kq3vN1yC8mTtWvQzXh2Lr9bPfJsUeGdA0oIiYx7Zw4M'"
    )
    return problem(404, detail)


def offline() -> Reply:
    """NVIDIA's answer for a model that it took offline."""
    return problem(503, "This model is offline.", retry_after="10800", nvcf_error_source="gateway_rejected")


def blind() -> Reply:
    """The answer of a vLLM server whose model reads text only."""
    message = "ValueError: Received multimodal data but multimodal processing is not enabled. Use a VLM."
    return page({"error": {"message": message, "type": "Bad Request", "param": None, "code": 400}}, 400)
