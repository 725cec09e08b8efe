"""Export a result as code that asks the same again: a shell script with curl, or Python.

The script sends the same requests as the client: the same body, and on the asset route create, fill, ask,
delete. Every value from outside is quoted for the shell.
"""

from __future__ import annotations

import base64
import hashlib
import json
import keyword
import math
import re
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nbvlm import endpoints, prompts
from nbvlm.grounding import dialects
from nbvlm.images import Picture, adapt, fit
from nbvlm.request_body import Source, body

if TYPE_CHECKING:
    from nbvlm.endpoints import Endpoint
    from nbvlm.result.values import ResultData

__all__ = ["file_name", "key_variables", "picture_file", "to_curl", "to_python"]

HOSTED_KEY = "NVIDIA_API_KEY"
SERVED = "http://127.0.0.1:8000"  # the address of `nbvlm serve` by default

_START = """\
#!/bin/sh
set -eu
{setup}
# Addresses and file names are taken as they are, and only http(s) is used.
send() {{ curl -sS --fail-with-body --globoff --proto =http,https "$@"; }}
"""

_CURL = """\
send --url "$url" \\
  -H "Authorization: Bearer $key" \\
  -H 'Accept: application/json' \\
  -H 'Content-Type: application/json' \\
"""

_EMBEDDED = (
    _CURL
    + """\
  --data-binary @- <<'JSON'
{head}{payload}{tail}
JSON
"""
)

_FROM_FILE = (
    """\
{{ printf %s {head}
  base64 < {file} | tr -d '\\n'
  printf %s {tail}
}} | """
    + _CURL
    + """\
  --data-binary @-
"""
)

_ASSET = (
    """\
{picture}
field() {{ printf %s "$made" | sed -n 's/.*"'"$1"'" *: *"\\([^"]*\\)".*/\\1/p' | sed 's/\\\\u0026/\\&/g'; }}
made=$(send --url "$assets" -H "Authorization: Bearer $key" \\
  -H 'Content-Type: application/json' -d {description})
id=$(field assetId)
trap 'send -X DELETE --url "$assets/$id" -H "Authorization: Bearer $key"{clean}' EXIT
send -T "$picture" -H 'Content-Type: '{mime} \\
  -H 'x-amz-meta-nvcf-asset-description: nbvlm picture' --url "$(field uploadUrl)"
printf '%s%s%s' {head} "$id" {tail} |
"""
    + _CURL
    + """\
  -H "NVCF-INPUT-ASSET-REFERENCES: $id" \\
  --data-binary @-
"""
)


def to_curl(result: ResultData, *, image: str | None = None) -> str:
    """Write a shell script; see `Result.to_curl`."""
    endpoint = _endpoint(result)
    start = _START.format(setup="\n".join(_setup(result, endpoint)))
    if result.route == "asset" and endpoint.assets_url is not None:
        return start + _with_asset(result, endpoint, image)
    picture, file = _travelling(result, endpoint, image)
    head, tail = _request(result, endpoint, picture.mime)
    if file is not None:
        return start + _FROM_FILE.format(head=quote(head), file=quote(file), tail=quote(tail))
    payload = picture.data_uri().partition("base64,")[2]
    return start + _EMBEDDED.format(head=head, payload=payload, tail=tail)


def _endpoint(result: ResultData) -> Endpoint:
    if result.endpoint.startswith(("http://", "https://")):
        return endpoints.openai(result.endpoint, result.model)
    if result.endpoint == endpoints.GATEWAY.name:
        return _of_a_class(result)
    return endpoints.get(result.endpoint, result.model if result.endpoint in endpoints.SERVICES else None)


def _of_a_class(result: ResultData) -> Endpoint:
    """Describe the class gateway, which is where its variable says when the code runs."""
    known = endpoints.openai(endpoints.GATEWAY.base_url, result.model)
    return replace(known, name=endpoints.GATEWAY.name, service=endpoints.GATEWAY.name)


def _setup(result: ResultData, endpoint: Endpoint) -> list[str]:
    """Set `url`, `key` and `assets`; origins can be changed from outside, as for the client."""
    if endpoint.name == endpoints.GATEWAY.name:
        return [
            f"url=${{NBVLM_GATEWAY#jupyterhub+}}{endpoint.path}",
            "key=${NBVLM_GATEWAY_TOKEN:-$JUPYTERHUB_API_TOKEN}",
        ]
    if endpoint.dialect == "openai":
        chain = "none"
        for name in reversed(_variables(result, endpoint)):
            chain = f"${{{name}:-{chain}}}"
        return [f"url={quote((result.base_url or endpoint.base_url) + endpoint.path)}", f"key={chain}"]
    served = endpoint.name == "demo" and result.base_url is None
    origin = result.base_url or (SERVED if served else endpoint.base_url)
    assets = result.assets_url or result.base_url or (SERVED if served else endpoint.assets_url or "")
    name = _own_key(origin, assets or origin)
    key = f"${{{name}:-none}}" if served or result.base_url else f"${name}"
    lines = ["# In another terminal first: nbvlm serve"] if served else []
    lines += [f"origin={quote(origin)}", f"url=${{NBVLM_BASE_URL:-$origin}}{endpoint.path}", f"key={key}"]
    if result.route == "asset":
        default = "${NBVLM_BASE_URL:-$assets}" if served else "$assets"
        lines += [f"assets={quote(assets)}", f"assets=${{NBVLM_ASSETS_URL:-{default}}}/v2/nvcf/assets"]
    return lines


def _travelling(result: ResultData, endpoint: Endpoint, image: str | None) -> tuple[Picture, str | None]:
    """Return the picture as it travels, and a file to read it from where one holds exactly that."""
    picture = result.picture
    if image is not None or picture.data is None:
        return picture, picture_file(result, image)
    limit, png = endpoint.inline_limit, result.sent.mime == "image/png"
    fitted = adapt(picture, side=endpoint.longest_side, png=png).picture
    fitted = fit(fitted, limit).picture if limit is not None else fitted
    untouched = fitted is picture and not picture.changes
    return fitted, picture_file(result, None) if untouched else None


def _request(result: ResultData, endpoint: Endpoint, mime: str, *, asset: bool = False) -> tuple[str, str]:
    """Return the body in two parts, with a gap for the picture or its id."""
    marker = hashlib.sha256(result.asked.encode("utf-8", "surrogatepass")).hexdigest()
    text = body(endpoint, result.asked, Source(mime, asset_id=marker), result.parameters).decode()
    head, _, tail = text.partition(marker)
    return head if asset else head.removesuffix("asset_id,") + "base64,", tail


def _with_asset(result: ResultData, endpoint: Endpoint, image: str | None) -> str:
    picture = result.picture
    file = picture_file(result, image) if image is not None or not picture.changes else None
    # As the name of a file to send, "-" and "." mean standard input to curl.
    name = f"./{file}" if file in ("-", ".") else file or ""
    lines, clean = f"picture={quote(name)}", ""
    if file is None and picture.data is not None:
        packed = base64.encodebytes(picture.data).decode("ascii")
        lines = f"picture=$(mktemp)\nbase64 --decode > \"$picture\" <<'PICTURE'\n{packed}PICTURE"
        clean = '; rm -f "$picture"'
    head, tail = _request(result, endpoint, picture.mime, asset=True)
    description = json.dumps({"contentType": picture.mime, "description": "nbvlm picture"})
    quoted = {"description": description, "mime": picture.mime, "head": head, "tail": tail}
    return _ASSET.format(picture=lines, clean=clean, **{name: quote(quoted[name]) for name in quoted})


_WIDEST = 70


def to_python(result: ResultData, *, image: str | None = None) -> str:
    """Write Python code; see `Result.to_python`."""
    options = [_option(name, value) for name, value in result.parameters.items()]
    if (route := _route(result)) is not None:
        options.append(f'route="{route}"')
    if result.asked == result.prompt != prompts.translate(result.prompt, dialects.of(result.model)):
        options.append("translate=False")
    arguments = "".join(f"        {part},\n" for part in ("picture", _literal(result.prompt), *options))
    client = _client(result)
    imports = "import os\n\nimport nbvlm" if "os.environ" in client else "import nbvlm"
    return (
        f"{imports}\n\n"
        f"picture = {_picture(result, image)}\n"
        f"with {client} as client:\n"
        f"    result = client.ask(\n{arguments}    )\n\n"
        "print(result.text)\n"
        "for found in result.detections:\n"
        "    print(found.label, found.box)\n"
    )


def _literal(text: str) -> str:
    """Write a string literal, in double quotes where it holds none.

    A lone surrogate could not stand in a file as it is.
    """
    written = ascii(text) if any("\ud800" <= char <= "\udfff" for char in text) else repr(text)
    return written if '"' in written else f'"{written[1:-1]}"'


def _option(name: str, value: float) -> str:
    """Write a parameter as a keyword; a name that is not one stands in a dictionary."""
    written = repr(value) if math.isfinite(value) else f'float("{value}")'
    is_keyword = name.isascii() and name.isidentifier() and not keyword.iskeyword(name)
    return f"{name}={written}" if is_keyword else f"**{{{_literal(name)}: {written}}}"


def _client(result: ResultData) -> str:
    """Write the call that opens the same client."""
    parts = [_literal(result.endpoint)]
    if result.endpoint.startswith(("http://", "https://")):
        key = " or ".join(f'os.environ.get("{name}")' for name in key_variables(result.endpoint))
        parts += [f"model={_literal(result.model)}", f"api_key={key}"]
    elif (service := endpoints.SERVICES.get(result.endpoint)) is not None and service.name != "nvidia":
        parts += [f"model={_literal(result.model)}"]
        if result.base_url is not None:
            parts += [f"base_url={_literal(result.base_url)}"]
        parts += [f'api_key=os.environ.get("{name}")' for name in _variables(result, None)[:1]]
    elif result.base_url is not None:
        assets = result.assets_url or result.base_url
        parts += [f"base_url={_literal(result.base_url)}", f"assets_url={_literal(assets)}"]
        parts += [f'api_key=os.environ.get("{_own_key(result.base_url, assets)}", "none")']
    elif result.endpoint not in ("demo", endpoints.GATEWAY.name):
        parts += [f'api_key=os.environ["{HOSTED_KEY}"]']
    line = f"nbvlm.Client({', '.join(parts)})"
    if len(line) <= _WIDEST:
        return line
    return "nbvlm.Client(\n" + "".join(f"    {part},\n" for part in parts) + ")"


def key_variables(url: str) -> tuple[str, ...]:
    """Name the environment variables that may hold the key of an OpenAI-compatible server.

    >>> key_variables("https://openrouter.ai/api/v1"), key_variables("https://example.org/v1")
    (('OPENROUTER_API_KEY',), ('NBVLM_API_KEY',))
    """
    if _is_nvidia(url):
        return (HOSTED_KEY,)
    origin = "/".join(url.split("/", 3)[:3])
    service = endpoints.owner(origin)
    return service.variables if service is not None else ("NBVLM_API_KEY",)


def _variables(result: ResultData, endpoint: Endpoint | None) -> tuple[str, ...]:
    """Name the variables with the key of the service that answered; its key goes nowhere else."""
    service = endpoints.SERVICES.get(result.endpoint if endpoint is None else endpoint.service or "")
    elsewhere = result.base_url is not None and not _is_local(result.base_url)
    if service is None or elsewhere:
        return key_variables(result.base_url or (endpoint.url if endpoint is not None else ""))
    return service.variables


def _own_key(*origins: str) -> str:
    """Name the variable with the key for origins that replace those of the hosted service."""
    # A saved result may come from anywhere: the code made of it sends the hosted key to that service, and to
    # this machine, only.
    own = all(_is_nvidia(origin) or _is_local(origin) for origin in origins)
    return HOSTED_KEY if own else "NBVLM_API_KEY"


def _is_nvidia(url: str) -> bool:
    return re.match(r"https://([a-z0-9-]+\.)+nvidia\.com(:[0-9]+)?(/|\Z)", url) is not None


def _is_local(url: str) -> bool:
    try:
        return urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}
    except ValueError:
        return False


def _route(result: ResultData) -> str | None:
    """Name the route if the client would not choose it."""
    if result.route == "asset":
        return "asset"
    whole = (result.sent.width, result.sent.height) == (result.picture.width, result.picture.height)
    return None if whole else "inline"


def _picture(result: ResultData, image: str | None) -> str:
    name = picture_file(result, image)
    if name is not None:
        return _literal(name)
    picture = result.picture
    named = f", name={_literal(picture.name)}" if picture.name else ""
    return f'nbvlm.Picture.load("{picture.data_uri()}"{named})'


def picture_file(result: ResultData, image: str | None) -> str | None:
    """Choose a file to read the picture from: `image` where it is given, or None to embed the picture."""
    picture = result.picture
    if image is not None:
        return image
    if picture.data is None:
        return _as_path(file_name(picture))
    name = picture.name
    return _as_path(name) if name and Path(name).name == name and _is_file(name, picture) else None


def file_name(picture: Picture) -> str:
    """Return the name of the picture's file, or one by its type."""
    return picture.name or ("picture.png" if picture.mime == "image/png" else "picture.jpg")


def _as_path(name: str) -> str:
    """Write a name so that it cannot be taken for a home folder, an address or an option."""
    return f"./{name}" if name[0] in "~-@" or ":" in name else name


def _is_file(name: str, picture: Picture) -> bool:
    try:
        return Path(name).is_file() and Picture.load(Path(name)).sha256 == picture.sha256
    except (OSError, ValueError):
        return False
