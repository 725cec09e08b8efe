"""What can be reached: the key, the service, the cache, and the embedded model."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from nbvlm.commands.findings import good, note, problem
from nbvlm.errors import Error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbvlm.commands.findings import Finding

__all__ = ["cache", "endpoint", "key", "model"]

_FREE = "keys are free at build.nvidia.com"
_FAILING = 500


def key() -> Iterator[Finding]:
    """Tell whether there is a key for the hosted model, and where from; never the key."""
    from nbvlm.client import keys

    found = keys.find()
    if keys.ENVIRONMENT in os.environ and (found is None or found[1] != keys.ENVIRONMENT):
        advice = "Set it again: the whole key, without quotes, blanks or line breaks."
        yield problem("key", f"{keys.ENVIRONMENT} is set, but what it holds is no key", advice)
    elif found is None:
        advice = f"For the hosted model set {keys.ENVIRONMENT}, or call nbvlm.login() in a notebook; {_FREE}."
        yield note("key", "none found: the embedded model answers", advice)
    else:
        yield good("key", f"found in {found[1]}")


def endpoint(name: str | None, seconds: float) -> Iterator[Finding]:
    """Knock at the service.

    Parameters
    ----------
    name
        Name of an endpoint or a server's address; None for the hosted model.
    seconds
        To wait at most.
    """
    from nbvlm.client import keys
    from nbvlm.client.settings import resolve
    from nbvlm.exchange.knock import knock

    model = "any" if name is not None and "://" in name else None
    settings = resolve(name or "nvidia", model=model, timeout=seconds)
    if settings.in_process:
        yield good("endpoint", "the embedded model: no network is needed")
        return
    began = time.monotonic()
    try:
        status = knock(settings)
    except Error as error:
        needed = name is not None or keys.find() is not None
        if needed:
            yield problem("endpoint", error.message, error.hint or "Check the network, then try again.")
        else:
            advice = "Nothing, as long as the embedded model answers: it needs no network."
            yield note("endpoint", error.message, advice)
        return
    found = f"{settings.base_url} answers ({status} to a knock, {time.monotonic() - began:.1f} s)"
    if status >= _FAILING:
        yield note("endpoint", found, "The service, or a proxy before it, is failing: try again later.")
    else:
        yield good("endpoint", found)


def cache() -> Iterator[Finding]:
    """Look at the folder of downloaded files."""
    from nbvlm._files import VAE_OID, directory, sound

    folder = directory()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    by_hand = os.environ.get(VAE_OID.variable)
    held = by_hand or (str(folder) if sound(folder / VAE_OID.file, VAE_OID) else None)
    if by_hand and not sound(Path(by_hand).expanduser(), VAE_OID):
        advice = f"Unset {VAE_OID.variable}, or point it to {VAE_OID.file} as published."
        yield problem("cache", f"{VAE_OID.variable} names no published {VAE_OID.file}", advice)
    elif held:
        yield good("cache", f"{held}, with {VAE_OID.file} for the hosted model's masks")
    elif not there.is_dir() or not os.access(there, os.W_OK):
        advice = "Set NBVLM_CACHE to a folder of yours; only the hosted model's masks need it."
        yield note("cache", f"{folder} cannot be written", advice)
    else:
        size = VAE_OID.size / 1e6
        found = (
            f"{folder}; {VAE_OID.file} ({size:.1f} MB) is fetched when the hosted model draws a first mask"
        )
        yield good("cache", found)


def model() -> Iterator[Finding]:
    """Ask the embedded model something."""
    from nbvlm.client.client import Client
    from nbvlm.demo.gallery import GALLERY

    with Client("demo") as client:
        result = client.ask(GALLERY[0].picture(), "caption en")
    yield good("embedded model", f"answers in {result.timing.total_s:.2f} s")
