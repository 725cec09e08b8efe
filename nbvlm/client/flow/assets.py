"""Pictures in the asset service: created, filled, used, deleted.

A picture that is too large for a request is uploaded before it, and deleted after it whatever happened.
`client.assets.upload` keeps one for several questions:

>>> asset = client.assets.upload("large.png")  # doctest: +SKIP
>>> client.ask(asset, "caption en"); client.ask(asset, "detect cat")  # doctest: +SKIP
>>> client.assets.delete(asset)  # doctest: +SKIP
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from nbvlm.client.flow.calls import call, read, request
from nbvlm.client.flow.steps import Context, Flow, Upload
from nbvlm.client.policies import Retry
from nbvlm.client.urls import signed
from nbvlm.errors import AssetError, Error, ParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nbvlm.client.secrets import Secret
    from nbvlm.images import Picture

__all__ = ["LIFE", "Asset", "delete", "discard", "listing", "references", "store", "upload"]

LIFE = timedelta(hours=24)
"""After this time the service deletes an asset by itself."""
_DESCRIPTION = "nbvlm picture"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_LOGGER = logging.getLogger("nbvlm")


@dataclass(frozen=True, slots=True)
class Asset:
    """A picture that is in the asset service.

    Attributes
    ----------
    id
        The service's name for it.
    mime
        Type of the picture, as uploaded; None where only the id is known.
    picture
        The picture itself; None where only the id is known.
    created
        When it was uploaded, UTC; None where unknown.

    Examples
    --------
    >>> Asset("0f0e").expired
    False
    """

    id: str
    mime: str | None = None
    picture: Picture | None = None
    created: datetime | None = field(default=None, compare=False)

    @property
    def expires(self) -> datetime | None:
        """When the service will have deleted it, or None where unknown."""
        return self.created + LIFE if self.created is not None else None

    @property
    def expired(self) -> bool:
        """Whether its 24 hours are over, as far as is known."""
        return self.expires is not None and datetime.now(UTC) >= self.expires

    def __repr__(self) -> str:
        return f"Asset({self.id!r}{f', {self.picture!r}' if self.picture else ''})"


def references(ids: Sequence[str]) -> str:
    """Return the header value that names assets."""
    value = ",".join(ids)
    if len(ids) > 10 or len(value) > 370:
        raise ParameterError(
            "A request may name 10 assets in 370 characters.", hint="Send the pictures one by one."
        )
    return value


def upload(context: Context, picture: Picture, *, description: str = _DESCRIPTION) -> Flow[Asset]:
    """Create an asset and fill it; its id is in `context.temporary` until someone takes it out."""
    source = picture.path or picture.data or b""
    return (yield from store(context, picture.mime, source, picture, description=description))


def store(
    context: Context,
    mime: str,
    source: bytes | Path,
    picture: Picture | None = None,
    *,
    description: str = _DESCRIPTION,
) -> Flow[Asset]:
    """Create an asset and fill it from memory or from disk."""
    if not description or not all(" " <= character <= "~" for character in description):
        raise ParameterError("An asset's description is one line of printable ASCII.", hint="Leave it out.")
    context.deadline.enter("upload")
    name, address = yield from _create(context, mime, description)
    context.temporary.add(name)
    context.asset = name
    yield from _put(context, address, mime, description, source)
    return Asset(name, mime, picture, datetime.now(UTC))


def _create(context: Context, mime: str, description: str) -> Flow[tuple[str, Secret]]:
    body = json.dumps({"contentType": mime, "description": description}).encode()
    headers = {"content-type": "application/json", "accept": "application/json"}
    yield from call(
        context,
        lambda: request(context, "POST", _url(context), headers=headers, body=body),
        asset=True,
        what="description of the picture",
    )
    return _created(context, (yield from read(context)))


def _created(context: Context, body: bytes) -> tuple[str, Secret]:
    """Read id and upload address. The address is signed: with it alone, the asset can be written."""
    answer = _parsed(body)
    name, address = answer.get("assetId"), answer.pop("uploadUrl", None)
    if not isinstance(name, str) or not _ID.fullmatch(name) or not isinstance(address, str):
        raise AssetError("The asset service answered without an asset id or an upload address.", hint=_AGAIN)
    secret = signed(address, allow_http=context.settings.allow_http)
    del address, body
    if secret is None:
        raise AssetError("The asset service gave an upload address without https; nothing was sent to it.")
    return name, secret


def _put(context: Context, address: Secret, mime: str, description: str, source: bytes | Path) -> Flow[None]:
    headers = {"content-type": mime, "x-amz-meta-nvcf-asset-description": description}

    def each(done: int) -> None:
        context.deadline.check()
        if context.progress is not None:
            context.status("upload", done, body.length)

    body = Upload(source, each)
    yield context.status("upload", 0, body.length)
    yield from call(
        context,
        lambda: request(context, "PUT", address.reveal(), headers=headers, body=body, key=False),
        asset=True,
        what="upload",
    )
    yield from read(context)
    yield context.status("upload", body.length, body.length)


def delete(context: Context, name: str, retry: Retry | None = None) -> Flow[None]:
    """Delete an asset; one that is not there any more is deleted."""
    if not _ID.fullmatch(name):
        raise ParameterError(
            f"{name!r} is not an asset id.", hint="Pass what client.assets.upload(…) returned."
        )
    yield from call(
        context,
        lambda: request(context, "DELETE", f"{_url(context)}/{name}"),
        allowed=frozenset({404}),
        asset=True,
        what="deletion",
        retry=retry,
    )
    yield from read(context)
    context.temporary.discard(name)


def listing(context: Context) -> Flow[tuple[Asset, ...]]:
    """Return the account's assets; the service lists their ids only."""
    yield from call(
        context,
        lambda: request(context, "GET", _url(context), headers={"accept": "application/json"}),
        asset=True,
    )
    found = _parsed((yield from read(context))).get("assets")
    names = (
        [item.get("assetId") for item in found if isinstance(item, dict)] if isinstance(found, list) else []
    )
    return tuple(Asset(name) for name in names if isinstance(name, str))


def discard(context: Context) -> Flow[None]:
    """Delete the asset of an exchange, whatever came before; a failure becomes a notice, not an error."""
    name = context.asset
    if name is None or name not in context.temporary:
        return
    context.deadline.enter("cleanup")
    limit = context.settings.timeouts.cleanup
    try:
        yield from delete(context, name, Retry(attempts=3, connection_attempts=2, first=0.2, total=limit))
    except Error as error:
        _LOGGER.warning("The uploaded picture could not be deleted: %s", error.message)
        context.notices.append(
            "The uploaded picture could not be deleted yet; the client tries once more when it is closed, "
            "and the service deletes it after 24 hours."
        )


_AGAIN = 'Try again in a while, or shrink the picture with route="inline".'


def _url(context: Context) -> str:
    origin = context.settings.assets_url
    if origin is None:
        raise ParameterError(
            f"The endpoint {context.settings.endpoint.name!r} has no asset service.",
            hint='Use route="inline".',
        )
    return f"{origin}/v2/nvcf/assets"


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise AssetError("The asset service did not answer with a JSON object.", hint=_AGAIN)
    return value
