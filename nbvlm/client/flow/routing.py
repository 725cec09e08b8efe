"""Which way a picture goes: inside the request, shrunk to fit, or uploaded before.

>>> from nbvlm import endpoints
>>> endpoints.get("nvidia").inline_limit  # base64 characters; an inline picture has fewer
180000
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nbvlm.client.flow import assets
from nbvlm.client.flow.assets import Asset
from nbvlm.client.flow.steps import Context, Flow, RunInThread
from nbvlm.errors import AssetError, ImageError, NotFoundError, ServerError, TransportError
from nbvlm.images import Picture, adapt, fit
from nbvlm.request_body import Source
from nbvlm.result import Sent

if TYPE_CHECKING:
    from nbvlm.client.flow.validation import Question

__all__ = ["Prepared", "prepare"]


@dataclass(frozen=True, slots=True, repr=False)
class Prepared:
    """The picture, ready to go."""

    picture: Picture
    sent: Sent
    source: Source
    route: Literal["inline", "asset"]
    upload_s: float | None = None


def prepare(question: Question, context: Context) -> Flow[Prepared]:
    """Load the picture and put it where the service will find it."""
    if isinstance(question.image, Asset):
        return _kept(question.image)
    picture = question.image
    if type(picture) is not Picture:  # a sample of the gallery is drawn first
        picture = yield RunInThread(
            lambda: Picture.load(question.image, allow_private=question.allow_private)
        )
    if changes := [change for change in picture.changes if not change.startswith("pixels to ")]:
        context.notices.append(f"The picture was converted: {', '.join(changes).rstrip('.')}.")
    limit = context.settings.endpoint.inline_limit
    fits = picture.fits(limit) or context.settings.assets_url is None
    if question.route == "inline" or (question.route == "auto" and fits):
        return (yield from _inline(context, picture, question.format))
    try:
        return (yield from _uploaded(context, picture))
    except (AssetError, NotFoundError, ServerError, TransportError) as error:
        # The asset service is marked as deprecated; its absence shows as one of these.
        is_gone = error.status is None or error.status in (404, 410) or error.status >= 500
        if question.route == "asset" or limit == 0 or not is_gone:
            raise
        reason = error.message.rstrip(".")
        notice = f"The asset service did not take the picture ({reason}); it was shrunk instead."
    context.notices.append(notice)
    return (yield from _inline(context, picture, question.format))


def _kept(asset: Asset) -> Prepared:
    if asset.picture is None or asset.mime is None:
        raise ImageError(
            f"{asset!r} is known by its id only, so its boxes could not be placed.",
            hint="Pass the asset that client.assets.upload(…) returned.",
        )
    if asset.expired:
        raise AssetError(
            f"{asset!r} was deleted by the service after 24 hours.", hint="Upload the picture again."
        )
    return Prepared(asset.picture, _sent(asset.picture), Source(asset.mime, asset_id=asset.id), "asset")


def _inline(context: Context, picture: Picture, form: str) -> Flow[Prepared]:
    endpoint = context.settings.endpoint
    limit, side = endpoint.inline_limit, endpoint.longest_side
    travels = picture
    if side is not None or form == "png":
        adapted = yield RunInThread(lambda: adapt(picture, side=side, png=form == "png"))
        travels = adapted.picture
        context.notices += filter(None, [adapted.notice])
    if limit is not None and not travels.fits(limit):
        large = travels
        fitted = yield RunInThread(lambda: fit(large, limit))
        travels = fitted.picture
        context.notices.append(fitted.notice)
    if travels.pending:
        yield RunInThread(lambda: travels.data)
    return Prepared(picture, _sent(travels), Source(travels.mime, travels.data), "inline")


def _uploaded(context: Context, picture: Picture) -> Flow[Prepared]:
    if picture.pending:
        yield RunInThread(lambda: picture.data)
    began = context.deadline.elapsed()
    asset = yield from assets.upload(context, picture)
    took = context.deadline.elapsed() - began
    return Prepared(picture, _sent(picture), Source(picture.mime, asset_id=asset.id), "asset", took)


def _sent(picture: Picture) -> Sent:
    return Sent(picture.mime, picture.width, picture.height, picture.nbytes or 0)
