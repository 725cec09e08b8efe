"""Files that are too large for the package: fetched once from their official place, checked, and kept."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx

from nbvlm.errors import Error, NotFoundError, ServerError, TransportError

__all__ = ["VAE_OID", "Progress", "Source", "directory", "fetch", "sound"]


def directory() -> Path:
    r"""Return the cache directory: NBVLM_CACHE where it is set, else the platform's; it may not exist yet.

    The platform's is ``$XDG_CACHE_HOME/nbvlm`` or ``~/.cache/nbvlm``, on macOS ``~/Library/Caches/nbvlm`` and
    on Windows ``%LOCALAPPDATA%\nbvlm\Cache``.
    """
    if chosen := os.environ.get("NBVLM_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "nbvlm"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "nbvlm" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nbvlm"


Progress = Callable[[int, int], None]
"""Called with the bytes that are there and the bytes in all."""

_ATTEMPTS = 3
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)


@dataclass(frozen=True, slots=True)
class Source:
    """A file and its official place.

    Attributes
    ----------
    file
        Its name.
    url
        Where it is published.
    size
        Its length in bytes.
    sha256
        Its hash, hexadecimal.
    variable
        The environment variable that names a copy supplied by hand.
    purpose
        What needs it, and what does not: one sentence.
    """

    file: str
    url: str
    size: int
    sha256: str
    variable: str
    purpose: str


VAE_OID = Source(
    file="vae-oid.npz",
    url="https://storage.googleapis.com/big_vision/paligemma/vae-oid.npz",
    size=8_479_556,
    sha256="5586010257b8536dddefab65e7755077f21d5672d5674dacf911f73ae95a4447",
    variable="NBVLM_VAE_WEIGHTS",
    purpose="Masks need it; boxes and labels do not.",
)
"""PaliGemma's mask decoder, where its authors publish it."""


def sound(path: Path, source: Source) -> bool:
    """Whether a file is there and is the published one, by size and hash."""
    try:
        return path.stat().st_size == source.size and _hash(path) == source.sha256
    except (FileNotFoundError, NotADirectoryError):
        return False


def fetch(source: Source, folder: Path, progress: Progress | None = None) -> Path:
    """Return the file's path in the folder; download it where it is not there yet.

    A download that breaks off goes on where it stopped, now or at the next call. The file appears under
    its name only when it is whole and checked. Of several processes one downloads, and the others wait
    for it.

    Parameters
    ----------
    source
        What to fetch.
    folder
        Where to keep it; made where it does not exist.
    progress
        Called now and then; by default a line on the standard error stream where a person can see it.

    Raises
    ------
    TransportError
        No connection, or it broke.
    NotFoundError, ServerError
        The place answered with an error.
    Error
        What came is not the published file, or the folder cannot be written.
    """
    path = folder / source.file
    try:
        if sound(path, source):
            return path
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder / f"{source.file}.lock"):
            if not sound(path, source):
                _complete(source, path, progress or _Meter(source.file))
    except OSError as error:
        if isinstance(error, Error):
            raise
        message = f"{source.file} cannot be kept in {folder}: {error.strerror or error}."
        hint = f"Set NBVLM_CACHE to a folder that can be written, or {source.variable} to a copy of the file."
        raise Error(message, hint=hint) from error
    return path


def _complete(source: Source, path: Path, progress: Progress) -> None:
    part = path.with_name(f"{path.name}.part")
    for attempt in range(1, _ATTEMPTS + 1):
        last, before = attempt == _ATTEMPTS, _length(part)
        try:
            _receive(source, part, progress)
        except httpx.HTTPError as error:
            if last or _length(part) <= before:
                raise _unreachable(source, path, error) from error
            continue
        if sound(part, source):
            part.replace(path)
            return
        size = _length(part)
        part.unlink()
        # What an earlier attempt left may have been at fault: then the whole file is worth a try.
        if last or not before:
            message = f"What {source.url} sent ({size:,} bytes) is not the published {source.file}."
            raise Error(message, hint=_by_hand(source, path))


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _receive(source: Source, part: Path, progress: Progress) -> None:
    """Add to the part what is missing; start anew where the place cannot go on from there."""
    have = _length(part)
    if have >= source.size:
        if sound(part, source):
            return
        have = 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with (
        httpx.Client(timeout=_TIMEOUT, follow_redirects=True) as client,
        client.stream("GET", source.url, headers=headers) as response,
    ):
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.unlink()
            raise httpx.RemoteProtocolError("the place cannot continue a partial download")
        _refuse(response, source)
        goes_on = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        with part.open("ab" if have and goes_on else "wb") as file:
            _copy(response, file, source.size, progress)


def _copy(response: httpx.Response, file: IO[bytes], size: int, progress: Progress) -> None:
    progress(file.tell(), size)
    for chunk in response.iter_bytes():
        file.write(chunk)
        progress(file.tell(), size)
        if file.tell() > size:  # somebody else's page, endless perhaps
            return


def _refuse(response: httpx.Response, source: Source) -> None:
    status = response.status_code
    if status in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
        return
    kind = NotFoundError if status in (404, 410) else ServerError if status >= 500 else Error
    hint = f"Set {source.variable} to a copy of the file. {source.purpose}"
    raise kind(f"{source.url} answered {status} instead of {source.file}.", status=status, hint=hint)


def _unreachable(source: Source, path: Path, error: Exception) -> TransportError:
    reason = re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
    message = f"{source.file} could not be downloaded from {source.url}: {reason}."
    return TransportError(message, hint=_by_hand(source, path))


def _by_hand(source: Source, path: Path) -> str:
    ways = f"Download it elsewhere and copy it to {path}, or set {source.variable} to its path."
    return f"{ways} {source.purpose}"


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock among processes; it ends with the process, so nothing is left behind by a crash."""
    with path.open("a+b") as file:
        _lock(file)
        yield


def _lock(file: IO[bytes]) -> None:
    # A file system without locks is no reason not to download.
    with suppress(OSError):
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)


class _Meter:
    """A line on the standard error stream that tells how far a download is."""

    def __init__(self, name: str, every_s: float = 0.2) -> None:
        self._name, self._every_s, self._last = name, every_s, -every_s

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if not _watched() or (now - self._last < self._every_s and done < total):
            return
        self._last = now
        end = "\n" if done >= total else ""
        sys.stderr.write(f"\r{self._name}: {done / 1e6:.1f} of {total / 1e6:.1f} MB{end}")
        sys.stderr.flush()


def _watched() -> bool:
    """Whether a person sees the standard error stream: a terminal, or a notebook's output."""
    return sys.stderr is not None and (sys.stderr.isatty() or "ipykernel" in type(sys.stderr).__module__)
