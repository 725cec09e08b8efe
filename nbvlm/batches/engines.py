"""The `distributed.Client` behind an engine, calls to its scheduler, and keys that are registered there."""

from __future__ import annotations

import asyncio
from typing import Any

from nbvlm._optional import require
from nbvlm.batches.plan import settings_of
from nbvlm.errors import ParameterError

__all__ = ["call", "client_of", "register_key"]


def register_key(engine: Any, client: Any = None) -> None:
    """Keep a client's key in the memory of a cluster's scheduler, for the workers of later runs.

    Needed where the workers do not have `NVIDIA_API_KEY` in their environment. The key is in no task, no log
    and no pickle. Between machines it travels as everything in the cluster does: use TLS (`tls://…`).

    Parameters
    ----------
    engine
        A `distributed.Client` that is not asynchronous, or what `batch` takes in its place.
    client
        Whose key; by default that of `Client()`.

    Raises
    ------
    AuthenticationError
        If the client has no key.

    Examples
    --------
    >>> register_key(dask_client, nbvlm.Client("nvidia"))  # doctest: +SKIP
    """
    from nbvlm.batches.halves import halves
    from nbvlm.batches.office import Office

    settings = settings_of(client)
    secret = settings.key()
    if secret is None:
        raise ParameterError(f"{settings.endpoint.name!r} has no key to register.", hint="It needs none.")
    opened, own = client_of(engine)
    opened.register_plugin(Office())
    for half in halves(secret):
        opened.sync(opened.scheduler.nbvlm_keep, name=settings.base_url, half=half)
    if own:
        opened.close()


def client_of(engine: Any) -> tuple[Any, bool]:
    """Return the `distributed.Client` for an engine, and whether it is our own to close.

    Raises
    ------
    Error
        If distributed is not installed.
    ParameterError
        If this is no engine.
    """
    Client = require("distributed", extra="dask", purpose="A cluster").Client  # noqa: N806 - a class
    if isinstance(engine, Client):
        return engine, False
    if isinstance(engine, str):
        return Client(engine, set_as_default=False), True
    if hasattr(engine, "get_client"):
        return Client(engine, set_as_default=False), True
    raise ParameterError(
        f"A {type(engine).__name__} is no engine.",
        hint="Pass a distributed.Client, a cluster, or a scheduler's address such as tcp://10.0.0.1:8786.",
    )


async def call(engine: Any, name: str, **told: Any) -> Any:
    """Call a handler of the office on the scheduler of a client."""
    coroutine = getattr(engine.scheduler, f"nbvlm_{name}")(**told)
    if engine.asynchronous:
        return await coroutine
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, engine.loop.asyncio_loop))
