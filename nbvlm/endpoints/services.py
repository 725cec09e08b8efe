"""The services that a client knows by name: addresses, keys, and what to do where one does not respond."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nbvlm.endpoints.catalog import ENDPOINTS, HOSTED, INTEGRATE, family, openai_parameters
from nbvlm.endpoints.values import Endpoint
from nbvlm.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbvlm.endpoints.values import Parameter

__all__ = ["SERVICES", "Service", "address", "owner", "serve", "service_of", "split"]


@dataclass(frozen=True, slots=True)
class Service:
    """A company or a program that serves models by OpenAI's chat completions.

    Attributes
    ----------
    name
        Name for `Client`, such as `"ollama"`.
    title
        Name for people.
    base_url, path
        Origin, and the path before `/chat/completions` and `/models`.
    variables
        Environment variables that may hold its key, the usual one first; none where it needs no key.
    page
        Where its keys come from, as an address without a scheme; "" where keys are the owner's own.
    address
        Environment variable that holds another address, or "".
    local
        True for a program on this computer, whose models can be listed at once.
    listing
        How its list of models says which of them see: "openai", "ollama" or "lmstudio".
    advice
        What to do where it does not respond.
    vision
        What to do where it has no vision model.
    parameters
        Sampling parameters and their ranges.
    longest_side
        Pixels to which the longer side of a picture is shrunk before it travels, or None.
    stream_usage
        True where a stream counts its tokens only on request.
    seed
        True where a request may carry a seed.

    Examples
    --------
    >>> SERVICES["openai"].variables
    ('OPENAI_API_KEY',)
    """

    name: str
    title: str
    base_url: str
    path: str = "/v1"
    variables: tuple[str, ...] = ()
    page: str = ""
    address: str = ""
    local: bool = False
    listing: str = "openai"
    advice: str = "Check the network, then try again."
    vision: str = ""
    parameters: tuple[Parameter, ...] = openai_parameters(65_536)
    longest_side: int | None = None
    stream_usage: bool = True
    seed: bool = True

    @property
    def needs_key(self) -> bool:
        """Whether no question can be asked without a key."""
        return bool(self.variables) and not self.local


_ALL = (
    Service(
        "nvidia",
        "NVIDIA",
        INTEGRATE,
        variables=("NVIDIA_API_KEY",),
        page="build.nvidia.com",
        stream_usage=False,
    ),
    Service(
        "ollama",
        "Ollama",
        "http://127.0.0.1:11434",
        address="OLLAMA_HOST",
        local=True,
        listing="ollama",
        advice="Start Ollama (ollama serve), or set OLLAMA_HOST to its address.",
        vision="Get a vision model: ollama pull qwen3-vl",
    ),
    Service(
        "lmstudio",
        "LM Studio",
        "http://127.0.0.1:1234",
        variables=("LM_API_TOKEN",),
        address="LMSTUDIO_BASE_URL",
        local=True,
        listing="lmstudio",
        advice="Start its server (lms server start), or set LMSTUDIO_BASE_URL to its address.",
        vision="Get a model that is marked with Vision in LM Studio",
    ),
    Service(
        "vllm",
        "vLLM",
        "http://127.0.0.1:8000",
        variables=("VLLM_API_KEY",),
        address="VLLM_BASE_URL",
        local=True,
        advice="Start it (vllm serve MODEL), or set VLLM_BASE_URL to its address.",
        vision="Serve a vision model: vllm serve Qwen/Qwen3-VL-8B-Instruct",
    ),
    Service(
        "llamacpp",
        "llama.cpp",
        "http://127.0.0.1:8080",
        variables=("LLAMA_API_KEY",),
        address="LLAMA_ARG_PORT",
        local=True,
        advice="Start it (llama-server -hf MODEL), or set LLAMA_ARG_PORT to its port.",
        vision="Serve a vision model: llama-server -hf ggml-org/Qwen3-VL-8B-Instruct-GGUF",
    ),
    Service(
        "openai",
        "OpenAI",
        "https://api.openai.com",
        variables=("OPENAI_API_KEY",),
        page="platform.openai.com/api-keys",
        address="OPENAI_BASE_URL",
        # Newer models refuse max_tokens, and a temperature other than their own.
        parameters=openai_parameters(128_000, 4096, temperature=1, key="max_completion_tokens"),
        longest_side=2048,
    ),
    Service(
        "gemini",
        "Gemini",
        "https://generativelanguage.googleapis.com",
        path="/v1beta/openai",
        variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        page="aistudio.google.com/apikey",
        address="GOOGLE_GEMINI_BASE_URL",
        parameters=openai_parameters(65_536, 4096, temperature=1),
        seed=False,  # not among the keys that its compatible interface documents
    ),
    Service(
        "openrouter",
        "OpenRouter",
        "https://openrouter.ai",
        path="/api/v1",
        variables=("OPENROUTER_API_KEY",),
        page="openrouter.ai/keys",
        address="OPENROUTER_BASE_URL",
        parameters=openai_parameters(65_536, 4096),
    ),
)

SERVICES: Mapping[str, Service] = MappingProxyType({service.name: service for service in _ALL})
"""The services by name; `"nvidia"` as an endpoint is hosted PaliGemma."""

# Families whose locations are special tokens, which vLLM and SGLang drop unless a request says otherwise.
_TOKENS = (
    "paligemma", "florence", "kosmos", "qwen2vl", "qwenvl", "deepseekvl2", "deepseekocr", "unlimitedocr",
    "internvl", "interns1", "minicpm", "locateanything", "eagle2", "rexomni", "paddleocr", "mineru",
    "docling", "nemotronparse", "glm41v", "glm45v", "glm46v", "glm5v",
)  # fmt: skip


def serve(url: str, model: str, service: Service | None = None) -> Endpoint:
    """Describe a model at an address; `service` is found by the address where it is None."""
    origin, path = split(url)
    name = service.name if service is not None else "server"
    if service is None:
        service = owner(origin)
    facts = service or Service("server", "The server", origin)
    kind = family(model)
    return Endpoint(
        name=name,
        model=model.strip(),
        dialect="openai",
        base_url=origin,
        path=f"{path or facts.path}/chat/completions",
        assets_url=None,
        inline_limit=None,
        parameters=facts.parameters,
        service=service.name if service else None,
        longest_side=facts.longest_side,
        codebook=_codebook(model, kind),
        # Other services refuse the key, or ignore it.
        keeps_tokens=facts.name in ("server", "vllm") and any(part in kind for part in _TOKENS),
        stream_usage=facts.stream_usage,
        seed=facts.seed,
    )


def _codebook(model: str, kind: str) -> str | None:
    demo = ENDPOINTS["demo"]
    if model.strip().startswith(demo.model):
        return demo.codebook
    return "vae-oid" if "paligemma" in kind else None


def address(service: Service) -> str:
    """Return the address of a service: from its environment variable, or its own.

    A port, a host, `host:port` and a URL are read, as `OLLAMA_HOST` allows them. A program that listens on
    all addresses of this computer is asked on the loopback one.
    """
    given = os.environ.get(service.address, "").strip().strip("\"'") if service.address else ""
    if not given:
        return service.base_url + service.path
    own = urlsplit(service.base_url)
    if given.isdecimal():
        given = f":{given}"
    bare = "://" not in given
    if bare and not service.local:
        raise ParameterError(f"{service.address} is not an address.", hint=ADDRESS)
    try:
        parts = urlsplit(f"http://{given}" if bare else given)
        port = parts.port or (own.port if bare else None)
    except ValueError:
        raise ParameterError(f"{service.address} is not an address.", hint=ADDRESS) from None
    host = parts.hostname or "127.0.0.1"
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    if "@" in parts.netloc:
        raise ParameterError(f"{service.address} must contain only host and path.", hint=ADDRESS)
    path = parts.path.rstrip("/") or service.path
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{path}"


def owner(origin: str) -> Service | None:
    """Return the company whose service has this origin, None for any other address."""
    if origin == HOSTED:
        return SERVICES["nvidia"]
    return next((service for service in _ALL if service.needs_key and service.base_url == origin), None)


def service_of(endpoint: Endpoint) -> Service | None:
    """Return the service whose key may be sent to an endpoint; None where its address was changed."""
    service = SERVICES.get(endpoint.service or "")
    if service is None or owner(endpoint.base_url) not in (None, service):
        return None
    own = {service.base_url, HOSTED if service.name == "nvidia" else service.base_url}
    if service.address:
        with contextlib.suppress(ParameterError):
            own.add(split(address(service))[0])
    return service if endpoint.base_url in own else None


def split(url: str) -> tuple[str, str]:
    """Split the address of a server into its origin and its path before `/chat/completions`."""
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
    except ValueError:
        raise ParameterError("The server's address is not a URL.", hint=ADDRESS) from None
    # The address itself stays out of the messages: it may hold a password.
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ParameterError("The server's address must be an http(s) URL.", hint=ADDRESS)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ParameterError("The server's address must contain only host and path.", hint=ADDRESS)
    return f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/").removesuffix("/chat/completions")


ADDRESS = "Write it like http://127.0.0.1:8000/v1, and pass a key as api_key=…."
