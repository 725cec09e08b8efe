"""`/v2/nvcf/assets`: create, list, look up and delete; and the signed PUT that fills an asset."""

from __future__ import annotations

from typing import Any

from nbvlm.demo.serving.bucket import KIND, Asset, Bucket
from nbvlm.demo.serving.schema import Invalid, read_json
from nbvlm.demo.serving.wire import Refusal, Reply, Request, as_json, problem

__all__ = ["AssetApi"]

_TYPE = "urn:nv-boot:problem-details:"


class AssetApi:
    """Speaks the asset API over a bucket.

    Parameters
    ----------
    bucket
        Where the assets are.
    origin
        Scheme and host of upload URLs; by default what the caller addressed.
    """

    def __init__(self, bucket: Bucket, origin: str | None) -> None:
        self._bucket, self._origin = bucket, origin

    def create(self, request: Request, _: str) -> Reply:
        """`POST /v2/nvcf/assets`: promise a place and sign its upload URL."""
        kind, description = _promise(request)
        if not KIND.fullmatch(kind):
            detail = f"Invalid contentType '{kind[:64]}' in the request payload"
            raise Refusal(_fault(500, "internal-server-error", detail, request))
        id_, target = self._bucket.create(kind, description)
        url = f"{self._origin or _addressed(request)}{target}"
        return as_json({"assetId": id_, "uploadUrl": url, "contentType": kind, "description": description})

    def list(self, _request: Request, _: str) -> Reply:
        """`GET /v2/nvcf/assets`: the ids, and nothing else, of what was uploaded."""
        return as_json({"assets": [{"assetId": id_} for id_ in self._bucket.ids()]})

    def get(self, request: Request, id_: str) -> Reply:
        """`GET /v2/nvcf/assets/{id}`."""
        asset = self._bucket.get(id_)
        if asset is None:
            detail = f"Bucket 'assets' does not contain an object with key '{id_[:64]}'"
            raise Refusal(_fault(404, "not-found", detail, request))
        return as_json({"asset": _shown(asset)})

    def delete(self, request: Request, id_: str) -> Reply:
        """`DELETE /v2/nvcf/assets/{id}`: 204, or 404 when there is nothing to delete (any more)."""
        if not self._bucket.delete(id_):
            detail = f"Asset '{id_[:64]}' does not exist for account 'local'"
            raise Refusal(_fault(404, "not-found", detail, request))
        return Reply(204)

    def put(self, request: Request, id_: str) -> Reply:
        """`PUT {uploadUrl}`."""
        return self._bucket.put(id_, request)


def _shown(asset: Asset) -> dict[str, Any]:
    return {
        "assetId": asset.id,
        "description": asset.description,
        "contentType": asset.kind,
        "createdAt": asset.created_at,
    }


def _promise(request: Request) -> tuple[str, str]:
    try:
        body = read_json(request)
    except Invalid:
        raise Refusal(_fault(400, "bad-request", "Failed to read request", request)) from None
    for name in ("contentType", "description"):
        if not isinstance(body.get(name), str) or not body[name].strip():
            detail = f"Validation failed: [object=createAssetRequest, field={name}, message=must not be null]"
            raise Refusal(_fault(400, "bad-request", detail, request))
    return body["contentType"], body["description"]


def _fault(status: int, name: str, detail: str, request: Request) -> Reply:
    return problem(status, type=_TYPE + name, detail=detail, instance=request.path)


def _addressed(request: Request) -> str:
    return f"http://{request.header('host', '127.0.0.1')}"
