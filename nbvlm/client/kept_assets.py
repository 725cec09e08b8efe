"""`client.assets`: pictures that stay in the asset service for several questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbvlm.client.flow import assets
from nbvlm.client.flow.steps import Context, Flow, RunInThread
from nbvlm.images import Picture, load_lazily

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nbvlm.client.flow.assets import Asset
    from nbvlm.client.flow.events import Status

    Progress = Callable[[Status], None] | None

__all__ = ["AsyncKeptAssets", "KeptAssets"]


class KeptAssets:
    """The assets of an account; `client.assets`.

    Examples
    --------
    >>> asset = client.assets.upload("large.png")  # doctest: +SKIP
    >>> client.assets.list()  # doctest: +SKIP
    (Asset('…'),)
    >>> client.assets.delete(asset)  # doctest: +SKIP
    """

    def __init__(self, run: Callable[[Callable[[Context], Flow[Any]], Progress], Any]) -> None:
        self._run = run

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
        asset: Asset = self._run(lambda context: _keep(context, image), progress)
        return asset

    def list(self) -> tuple[Asset, ...]:
        """Return the account's assets; the service lists their ids only."""
        found: tuple[Asset, ...] = self._run(assets.listing, None)
        return found

    def delete(self, asset: Asset | str) -> None:
        """Delete an asset, given as such or by its id; one that is gone already is deleted."""
        self._run(lambda context: assets.delete(context, asset if isinstance(asset, str) else asset.id), None)


class AsyncKeptAssets:
    """As `KeptAssets`, awaited."""

    def __init__(self, run: Callable[[Callable[[Context], Flow[Any]], Progress], Awaitable[Any]]) -> None:
        self._run = run

    async def upload(self, image: Any, *, progress: Progress = None) -> Asset:
        """Upload a picture and keep it; see `KeptAssets.upload`."""
        asset: Asset = await self._run(lambda context: _keep(context, image), progress)
        return asset

    async def list(self) -> tuple[Asset, ...]:
        """Return the account's assets; the service lists their ids only."""
        found: tuple[Asset, ...] = await self._run(assets.listing, None)
        return found

    async def delete(self, asset: Asset | str) -> None:
        """Delete an asset, given as such or by its id; one that is gone already is deleted."""
        name = asset if isinstance(asset, str) else asset.id
        await self._run(lambda context: assets.delete(context, name), None)


def _keep(context: Context, image: Any) -> Flow[Asset]:
    """Upload, and hand the asset over to the caller; what did not arrive whole is deleted again."""
    picture = image
    if not isinstance(picture, Picture):
        picture = yield RunInThread(lambda: load_lazily(image))
    if picture.pending and picture.path is None:
        yield RunInThread(lambda: picture.data)
    try:
        asset = yield from assets.upload(context, picture)
    except GeneratorExit:
        raise
    except BaseException:
        yield from assets.discard(context)
        raise
    context.temporary.discard(asset.id)
    return asset
