"""Keep uploaded pictures in memory: an object store with signed upload URLs, and the asset API over it."""

# An asset is stored when its bytes arrive; until then the signed URL alone carries its type and description.

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlencode

from nbvlm.demo.service.limits import IN_PROCESS
from nbvlm.demo.service.messages import Refusal, Reply, Request, as_json, problem, xml
from nbvlm.demo.service.schema import Invalid, read_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Asset", "AssetApi", "Bucket"]

DESCRIPTION = "x-amz-meta-nvcf-asset-description"
KIND = re.compile(r"(\w+)/([-+.\w]+)", re.ASCII)
_MOST = 1_000  # assets of one owner
_SIGNED = f"content-type;host;{DESCRIPTION}"


@dataclass(frozen=True, slots=True)
class Asset:
    """One uploaded object."""

    id: str
    owner: str  # the caller who made it, as `Service.admit` finds
    kind: str  # the content type
    description: str
    data: bytes = field(repr=False)
    stored: float  # Unix time of the upload

    @property
    def created_at(self) -> str:
        """Time of the upload, ISO 8601, UTC."""
        time_ = datetime.fromtimestamp(self.stored, UTC).isoformat(timespec="milliseconds")
        return time_.replace("+00:00", "Z")


class Bucket:
    """Keeps assets in memory, for a day at most."""

    def __init__(
        self,
        *,
        life_s: float = 24 * 3600,
        url_life_s: int = 35 * 60,
        capacity: int = IN_PROCESS.store,  # bytes of all assets together
        capacity_of_owner: int = IN_PROCESS.store_of_caller,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._life_s, self._url_life_s, self._clock = life_s, url_life_s, clock
        self._capacity, self._capacity_of_owner = capacity, min(capacity, capacity_of_owner)
        self._secret = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._assets: dict[str, Asset] = {}

    def create(self, owner: str, kind: str, description: str) -> tuple[str, str]:
        """Return an id for a new asset, and path and query of the signed URL for its upload."""
        id_, issued = str(uuid.uuid4()), f"{int(self._clock())}"
        query = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": owner,
            "X-Amz-Date": issued,
            "X-Amz-Expires": str(self._url_life_s),
            "X-Amz-SignedHeaders": _SIGNED,
            "X-Amz-Signature": self._sign(id_, owner, issued, kind, description),
        }
        return id_, f"/s3/assets/{id_}?{urlencode(query, quote_via=quote)}"

    def owner(self, request: Request, id_: str) -> str:
        """Return who may upload by this signed URL; only the head of the request is needed.

        Raises
        ------
        Refusal
            If the request is not as it was signed, or too late.
        """
        _check_form(request)
        owner, issued = self._check_signature(id_, request)
        if self._clock() > issued + self._url_life_s:
            raise Refusal(xml(403, "AccessDenied", "Request has expired"))
        return owner

    def put(self, request: Request, id_: str) -> Reply:
        """`PUT {uploadUrl}`: store an upload, whose head was checked; reply or refuse as S3 does."""
        kind, description = request.header("content-type"), request.header(DESCRIPTION)
        self._store(Asset(id_, request.caller, kind, description, request.body, self._clock()))
        return Reply(200, (("etag", f'"{hashlib.md5(request.body, usedforsecurity=False).hexdigest()}"'),))

    def get(self, id_: str, owner: str) -> Asset | None:
        """Return the owner's asset of this id, or None if it was not uploaded or has expired."""
        with self._lock:
            self._expire()
            return self._find(id_, owner)

    def delete(self, id_: str, owner: str) -> bool:
        """Delete an asset of the owner; False when it does not exist."""
        with self._lock:
            self._expire()
            found = self._find(id_, owner)
            if found is not None:
                del self._assets[found.id]
            return found is not None

    def ids(self, owner: str) -> list[str]:
        """Return the ids of the owner's assets."""
        with self._lock:
            self._expire()
            return [asset.id for asset in self._assets.values() if asset.owner == owner]

    def _find(self, id_: str, owner: str) -> Asset | None:
        asset = self._assets.get(id_.lower())
        return asset if asset is not None and asset.owner == owner else None

    def _expire(self) -> None:
        oldest = self._clock() - self._life_s
        self._assets = {id_: asset for id_, asset in self._assets.items() if asset.stored > oldest}

    def _store(self, asset: Asset) -> None:
        with self._lock:
            self._expire()
            self._assets.pop(asset.id, None)
            own = [kept for kept in self._assets.values() if kept.owner == asset.owner]
            if len(own) >= _MOST or _bytes(own) + len(asset.data) > self._capacity_of_owner:
                raise Refusal(xml(503, "SlowDown", "Your store at this service is full; delete some assets"))
            while _bytes(self._assets.values()) + len(asset.data) > self._capacity:
                self._drop()
            self._assets[asset.id] = asset

    def _drop(self) -> None:
        """Drop the oldest asset of the owner with most bytes: few callers cannot fill the store for all."""
        held: Counter[str] = Counter()
        for asset in self._assets.values():
            held[asset.owner] += len(asset.data)
        largest = held.most_common(1)[0][0]
        del self._assets[next(asset.id for asset in self._assets.values() if asset.owner == largest)]

    def _sign(self, *signed: str) -> str:
        return hmac.new(self._secret, "\n".join(signed).encode(), hashlib.sha256).hexdigest()

    def _check_signature(self, id_: str, request: Request) -> tuple[str, int]:
        query = parse_qs(request.query)
        names = ("X-Amz-Credential", "X-Amz-Date", "X-Amz-Signature")
        owner, issued, given = (query.get(name, [""])[0] for name in names)
        expected = self._sign(id_, owner, issued, request.header("content-type"), request.header(DESCRIPTION))
        if not issued.isdecimal() or not hmac.compare_digest(expected.encode(), given.encode()):
            message = "The request signature we calculated does not match the signature you provided."
            raise Refusal(xml(403, "SignatureDoesNotMatch", message))
        return owner, int(issued)


def _bytes(assets: Iterable[Asset]) -> int:
    return sum(len(asset.data) for asset in assets)


def _check_form(request: Request) -> None:
    if "transfer-encoding" in request.headers:
        message = "A header you provided implies functionality that is not implemented"
        raise Refusal(xml(501, "NotImplemented", message))
    if "content-length" not in request.headers:
        raise Refusal(xml(411, "MissingContentLength", "You must provide the Content-Length HTTP header."))
    if "authorization" in request.headers:
        raise Refusal(xml(400, "InvalidArgument", "Only one auth mechanism allowed"))


_TYPE = "urn:nv-boot:problem-details:"


class AssetApi:
    """The asset API over a bucket; upload URLs have the given origin, or that of the request."""

    def __init__(self, bucket: Bucket, origin: str | None) -> None:
        self._bucket, self._origin = bucket, origin

    def create(self, request: Request, _: str) -> Reply:
        """`POST /v2/nvcf/assets`: return a new id and a signed upload URL."""
        kind, description = _read_promise(request)
        if not KIND.fullmatch(kind):
            detail = f"Invalid contentType '{kind[:64]}' in the request payload"
            raise Refusal(_fault(500, "internal-server-error", detail, request))
        id_, target = self._bucket.create(request.caller, kind, description)
        origin = self._origin or f"http://{request.header('host', '127.0.0.1')}"
        url = origin + target
        return as_json({"assetId": id_, "uploadUrl": url, "contentType": kind, "description": description})

    def list(self, request: Request, _: str) -> Reply:
        """`GET /v2/nvcf/assets`: list the ids of the caller's assets."""
        return as_json({"assets": [{"assetId": id_} for id_ in self._bucket.ids(request.caller)]})

    def get(self, request: Request, id_: str) -> Reply:
        """`GET /v2/nvcf/assets/{id}`."""
        asset = self._bucket.get(id_, request.caller)
        if asset is None:
            detail = f"Bucket 'assets' does not contain an object with key '{id_[:64]}'"
            raise Refusal(_fault(404, "not-found", detail, request))
        described = {"assetId": asset.id, "description": asset.description, "contentType": asset.kind}
        return as_json({"asset": described | {"createdAt": asset.created_at}})

    def delete(self, request: Request, id_: str) -> Reply:
        """`DELETE /v2/nvcf/assets/{id}`: 204, or 404 when the asset does not exist."""
        if not self._bucket.delete(id_, request.caller):
            detail = f"Asset '{id_[:64]}' does not exist for account 'local'"
            raise Refusal(_fault(404, "not-found", detail, request))
        return Reply(204)


def _read_promise(request: Request) -> tuple[str, str]:
    try:
        body = read_json(request)
    except Invalid:
        raise Refusal(_fault(400, "bad-request", "Failed to read request", request)) from None
    for name in ("contentType", "description"):
        if not isinstance(body.get(name), str) or not body[name].strip():
            detail = f"Validation failed: [object=createAssetRequest, field={name}, message=must not be null]"
            raise Refusal(_fault(400, "bad-request", detail, request))
    return body["contentType"], body["description"].encode("utf-8", "replace").decode()


def _fault(status: int, name: str, detail: str, request: Request) -> Reply:
    return problem(status, type=_TYPE + name, detail=detail, instance=request.path)
