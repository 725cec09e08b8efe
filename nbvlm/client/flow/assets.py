"""Pictures in the asset service: created, filled, used, deleted.

A picture that is too large for a request is uploaded before it, and deleted after it whatever happened.
`client.assets.upload` keeps one for several questions.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from nbvlm.client import payloads
from nbvlm.client.flow.calls import call, read, request
from nbvlm.client.flow.steps import Context, Flow, RunInThread, Upload
from nbvlm.client.policies import Retry
from nbvlm.client.settings import signed
from nbvlm.errors import AssetError, Error, ParameterError
from nbvlm.images import Picture, load_lazily

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nbvlm.client.flow.events import Status
    from nbvlm.client.secrets import Secret

    Progress = Callable[[Status], None] | None

__all__ = ["Asset", "AsyncKeptAssets", "KeptAssets", "delete", "delete_left", "discarding", "upload"]

T = TypeVar("T")
LIFE = timedelta(hours=24)
"""After this time the service deletes an asset by itself."""
_AGAIN = 'Try again in a while, or shrink the picture with route="inline".'
_DESCRIPTION = "nbvlm picture"
_JSON = "application/json"
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


def upload(context: Context, picture: Picture) -> Flow[Asset]:
    """Create an asset and fill it; `context.temporary` holds its id from then on."""
    context.deadline.enter("upload")
    name, address = yield from _create(context, picture.mime)
    context.temporary.add(name)
    context.asset = name
    yield from _put(context, address, picture.mime, picture.path or picture.data or b"")
    return Asset(name, picture.mime, picture, datetime.now(UTC))


def _create(context: Context, mime: str) -> Flow[tuple[str, Secret]]:
    """Return id and upload address. The address is signed: with it alone, the asset can be written."""
    body = json.dumps({"contentType": mime, "description": _DESCRIPTION}).encode()
    headers = {"content-type": _JSON, "accept": _JSON}
    yield from call(
        context,
        lambda: request(context, "POST", _url(context), headers=headers, body=body),
        asset=True,
        what="description of the picture",
    )
    answer = _parsed((yield from read(context)))
    name, address = answer.get("assetId"), answer.pop("uploadUrl", None)
    if not isinstance(name, str) or not _ID.fullmatch(name) or not isinstance(address, str):
        raise AssetError("The asset service answered without an asset id or an upload address.", hint=_AGAIN)
    secret = signed(address, allow_http=context.settings.allow_http)
    del address
    if secret is None:
        raise AssetError("The asset service gave an upload address without https; nothing was sent to it.")
    return name, secret


def _put(context: Context, address: Secret, mime: str, source: bytes | Path) -> Flow[None]:
    headers = {"content-type": mime, "x-amz-meta-nvcf-asset-description": _DESCRIPTION}

    def each(done: int) -> None:
        context.deadline.check()
        context.status("upload", done, body.length)  # only shown: nothing is emitted while it is sent

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


def _listing(context: Context) -> Flow[tuple[Asset, ...]]:
    yield from call(
        context, lambda: request(context, "GET", _url(context), headers={"accept": _JSON}), asset=True
    )
    found = _parsed((yield from read(context))).get("assets")
    if not isinstance(found, list):
        return ()
    names = [item.get("assetId") for item in found if isinstance(item, dict)]
    return tuple(Asset(name) for name in names if isinstance(name, str))


def delete_left(context: Context) -> Flow[None]:
    """Delete the assets that could not be deleted before, as far as the service allows it now."""
    for name in list(context.temporary):
        context.deadline.enter("cleanup")
        with contextlib.suppress(Error):
            yield from delete(context, name, Retry.never())


def discarding(context: Context, steps: Flow[T]) -> Flow[T]:
    """Take steps; however they end, delete the asset of this exchange."""
    try:
        outcome = yield from steps
    except GeneratorExit:
        raise  # The driver is gone: the client deletes what is left in `temporary`.
    except BaseException:
        yield from _discard(context)
        raise
    yield from _discard(context)
    return outcome


def _discard(context: Context) -> Flow[None]:
    """Delete the asset of an exchange; a failure becomes a notice, not an error."""
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


def _url(context: Context) -> str:
    origin = context.settings.assets_url
    if origin is None:
        raise ParameterError(
            f"The endpoint {context.settings.endpoint.name!r} has no asset service.",
            hint='Use route="inline".',
        )
    return f"{origin}/v2/nvcf/assets"


def _parsed(body: bytes) -> dict[str, Any]:
    value = payloads.loads(body)
    if not isinstance(value, dict):
        raise AssetError("The asset service did not answer with a JSON object.", hint=_AGAIN)
    return value


class _Assets:
    def __init__(self, context: Callable[..., Context], finish: Callable[[Flow[Any]], Any]) -> None:
        self._context = context
        self._finish = finish


class KeptAssets(_Assets):
    """The assets of an account; `client.assets`.

    Examples
    --------
    >>> asset = client.assets.upload("large.png")  # doctest: +SKIP
    >>> client.assets.list()  # doctest: +SKIP
    (Asset('…'),)
    >>> client.assets.delete(asset)  # doctest: +SKIP
    """

    def upload(self, image: Any, *, progress: Progress = None) -> Asset:
        """Upload a picture and keep it.

        Parameters
        ----------
        image
            Anything that `Picture.load` takes.
        progress
            Called with a `Status` of kind "upload" after each piece.

        Returns
        -------
        Asset
            To be passed as image, for 24 hours or until it is deleted.

        Raises
        ------
        ImageError, AssetError
            If the picture cannot be read, or the service does not take it.
        """
        context = self._context(progress)
        return self._finish(discarding(context, _keep(context, image)))  # type: ignore[no-any-return]

    def list(self) -> tuple[Asset, ...]:
        """Return the account's assets; the service lists their ids only."""
        return self._finish(_listing(self._context()))  # type: ignore[no-any-return]

    def delete(self, asset: Asset | str) -> None:
        """Delete an asset, given as such or by its id; one that is gone already is deleted."""
        self._finish(delete(self._context(), asset if isinstance(asset, str) else asset.id))


class AsyncKeptAssets(_Assets):
    """As `KeptAssets`, awaited."""

    async def upload(self, image: Any, *, progress: Progress = None) -> Asset:
        """Upload a picture and keep it; see `KeptAssets.upload`."""
        context = self._context(progress)
        return await self._finish(discarding(context, _keep(context, image)))  # type: ignore[no-any-return]

    async def list(self) -> tuple[Asset, ...]:
        """Return the account's assets; the service lists their ids only."""
        return await self._finish(_listing(self._context()))  # type: ignore[no-any-return]

    async def delete(self, asset: Asset | str) -> None:
        """Delete an asset, given as such or by its id; one that is gone already is deleted."""
        await self._finish(delete(self._context(), asset if isinstance(asset, str) else asset.id))


def _keep(context: Context, image: Any) -> Flow[Asset]:
    """Upload, and hand the asset over to the caller, who deletes it."""
    picture = image
    if type(picture) is not Picture:  # a sample of the gallery is drawn first
        picture = yield RunInThread(lambda: load_lazily(image))
    if picture.pending and picture.path is None:
        yield RunInThread(lambda: picture.data)
    asset = yield from upload(context, picture)
    context.temporary.discard(asset.id)
    return asset
