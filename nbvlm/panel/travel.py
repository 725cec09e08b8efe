"""How a picture will travel: inside the request as it is, shrunk to fit, or uploaded before."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from nbvlm.images import picture as images
from nbvlm.panel import wording

if TYPE_CHECKING:
    from nbvlm.endpoints import Endpoint
    from nbvlm.images.picture import Picture

__all__ = ["ROUTES", "line", "offered", "quick", "way"]

ROUTES = ("auto", "inline", "asset")


def offered(endpoint: Endpoint) -> tuple[str, ...]:
    """Return the routes that an endpoint knows, "auto" first."""
    if endpoint.assets_url is None:
        return ("auto", "inline")
    return ("auto", "asset") if endpoint.inline_limit == 0 else ROUTES


def line(picture: Picture) -> str:
    """Size of a picture in pixels and bytes."""
    weight = wording.size(picture.nbytes) if picture.nbytes is not None else "by its hash"
    return f"{picture.width} × {picture.height} px · {weight}"


def quick(picture: Picture, endpoint: Endpoint, route: str) -> bool:
    """Whether `way` takes no time: nothing is to be turned, read or shrunk."""
    if picture.data is None:
        return True
    return not picture.pending and _taken(picture, endpoint, route) != "shrunk"


def way(picture: Picture, endpoint: Endpoint, route: str) -> str:
    """Say how a picture will travel.

    Parameters
    ----------
    picture
        The chosen one.
    endpoint
        What will be asked.
    route
        "auto", "inline" or "asset".

    Raises
    ------
    ImageError
        If it cannot be shrunk enough.
    """
    if picture.data is None:
        return "cannot travel: its bytes are elsewhere"
    taken = _taken(picture, endpoint, route)
    if taken == "asset":
        return "uploaded as an asset, then deleted"
    if taken == "inline":
        return "travels inline, as it is"
    before, after = _shrunk(picture, endpoint.inline_limit or 0)
    return f"shrunk from {before} to {after}, travels inline"


def _taken(picture: Picture, endpoint: Endpoint, route: str) -> str:
    if route == "asset":
        return "asset"
    if endpoint.inline_limit == 0:
        return "asset"
    if picture.fits(endpoint.inline_limit):
        return "inline"
    return "asset" if route == "auto" and endpoint.assets_url is not None else "shrunk"


@functools.lru_cache(maxsize=8)
def _shrunk(picture: Picture, limit: int) -> tuple[str, str]:
    fitted = images.fit(picture, limit)
    return _measure(fitted.before), _measure(fitted.after)


def _measure(size: tuple[int, int, int]) -> str:
    return f"{size[0]} × {size[1]} ({wording.size(size[2])})"
