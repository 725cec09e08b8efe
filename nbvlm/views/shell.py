"""A result as a shell script that asks the same again with curl.

The script does what the client does: the same body, and on the asset route create, fill, ask, delete. All
that comes from outside is quoted for the shell.
"""

from __future__ import annotations

import base64
import hashlib
import json
from shlex import quote
from typing import TYPE_CHECKING, NamedTuple

from nbvlm import endpoints
from nbvlm.exchange import wire
from nbvlm.images import picture as images
from nbvlm.views.snippets import key_variables, picture_file

if TYPE_CHECKING:
    from nbvlm.endpoints import Endpoint
    from nbvlm.images.picture import Picture
    from nbvlm.result import Result

__all__ = ["to_curl"]

SERVED = "http://127.0.0.1:8000"
"""Where `nbvlm serve` listens unless told otherwise."""

_START = """\
#!/bin/sh
set -eu
{setup}
"""

_CURL = """\
curl -sS --fail-with-body "$url" \\
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
made=$(curl -sS --fail-with-body "$assets" -H "Authorization: Bearer $key" \\
  -H 'Content-Type: application/json' -d {description})
id=$(field assetId)
trap 'curl -sS -X DELETE "$assets/$id" -H "Authorization: Bearer $key"{clean}' EXIT
curl -sS --fail-with-body -T "$picture" -H 'Content-Type: '{mime} \\
  -H 'x-amz-meta-nvcf-asset-description: nbvlm picture' "$(field uploadUrl)"
printf '%s%s%s' {head} "$id" {tail} |
"""
    + _CURL
    + """\
  -H "NVCF-INPUT-ASSET-REFERENCES: $id" \\
  --data-binary @-
"""
)


class Body(NamedTuple):
    """A request body without what names the picture: that goes between the two parts."""

    head: str
    tail: str


def to_curl(result: Result, *, image: str | None = None) -> str:
    """Write a shell script; see `Result.to_curl`."""
    endpoint = _endpoint(result)
    start = _START.format(setup="\n".join(_setup(result, endpoint)))
    if result.route == "asset":
        return start + _with_asset(result, endpoint, image)
    picture, file = _travelling(result, endpoint, image)
    body = _body(result, endpoint, picture.mime)
    if file is not None:
        return start + _FROM_FILE.format(head=quote(body.head), file=quote(file), tail=quote(body.tail))
    payload = picture.data_uri().partition("base64,")[2]
    return start + _EMBEDDED.format(head=body.head, payload=payload, tail=body.tail)


def _endpoint(result: Result) -> Endpoint:
    if result.endpoint.startswith(("http://", "https://")):
        return endpoints.openai(result.endpoint, result.model)
    return endpoints.get(result.endpoint)


def _setup(result: Result, endpoint: Endpoint) -> list[str]:
    """Set `url`, `key` and `assets`; origins can be changed from outside, as for the client."""
    if endpoint.dialect == "openai":
        chain = "none"
        for name in reversed(key_variables(endpoint.url)):
            chain = f"${{{name}:-{chain}}}"
        return [f"url={quote(endpoint.url)}", f"key={chain}"]
    served = endpoint.name == "demo" and result.base_url is None
    origin = result.base_url or (SERVED if served else endpoint.base_url)
    assets = result.assets_url or result.base_url or (SERVED if served else endpoint.assets_url or "")
    key = "${NVIDIA_API_KEY:-none}" if served or result.base_url else "$NVIDIA_API_KEY"
    lines = ["# In another terminal first: nbvlm serve"] if served else []
    lines += [f"url=${{NBVLM_BASE_URL:-{quote(origin)}}}{quote(endpoint.path)}", f"key={key}"]
    if result.route == "asset":
        given = "${NBVLM_ASSETS_URL:-" + ("${NBVLM_BASE_URL:-" if served else "")
        lines.append(f"assets={given}{quote(assets)}{'}' * given.count('{')}/v2/nvcf/assets")
    return lines


def _travelling(result: Result, endpoint: Endpoint, image: str | None) -> tuple[Picture, str | None]:
    """Give the picture as it travels, and the file to read it from where a file holds exactly that."""
    picture = result.picture
    if image is not None or picture.data is None:
        return picture, picture_file(result, image)
    limit = endpoint.inline_limit
    fitted = images.fit(picture, limit).picture if limit is not None else picture
    untouched = fitted is picture and not picture.changes
    return fitted, picture_file(result, None) if untouched else None


def _body(result: Result, endpoint: Endpoint, mime: str, *, asset: bool = False) -> Body:
    marker = hashlib.sha256(result.prompt.encode("utf-8", "surrogatepass")).hexdigest()
    text = wire.body(endpoint, result.prompt, wire.Source(mime, asset_id=marker), result.parameters).decode()
    head, _, tail = text.partition(marker)
    return Body(head if asset else head.removesuffix("asset_id,") + "base64,", tail)


def _with_asset(result: Result, endpoint: Endpoint, image: str | None) -> str:
    picture = result.picture
    file = picture_file(result, image) if image is not None or not picture.changes else None
    lines, clean = f"picture={quote(file or '')}", ""
    if file is None and picture.data is not None:
        packed = base64.encodebytes(picture.data).decode("ascii")
        lines = f"picture=$(mktemp)\nbase64 --decode > \"$picture\" <<'PICTURE'\n{packed}PICTURE"
        clean = '; rm -f "$picture"'
    body = _body(result, endpoint, picture.mime, asset=True)
    description = json.dumps({"contentType": picture.mime, "description": "nbvlm picture"})
    return _ASSET.format(
        picture=lines,
        description=quote(description),
        clean=clean,
        mime=quote(picture.mime),
        head=quote(body.head),
        tail=quote(body.tail),
    )
