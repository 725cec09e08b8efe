"""Files of nbvlm: home folders, the cache, files written as a whole, and downloads checked by their hash."""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from nbvlm._text import visible
from nbvlm.errors import Error, NotFoundError, ServerError, TransportError

__all__ = [
    "VAE_OID",
    "Progress",
    "Source",
    "directory",
    "expanded",
    "fetch",
    "here",
    "replacing",
    "save_file",
    "sound",
    "write_atomic",
]


def expanded(path: str | os.PathLike[str]) -> Path:
    """Replace a leading `~` or `~user` by that home folder; the name of an unknown user stays as it is.

    >>> expanded("~$draft.png").name
    '~$draft.png'
    """
    # Path.expanduser() raises for an unknown user, and without a home folder.
    return Path(os.path.expanduser(path))  # noqa: PTH111


def here() -> Path:
    """Return the working folder, to be shown; `.` where it was deleted.

    >>> here().is_absolute()
    True
    """
    try:
        return Path.cwd()
    except OSError:
        return Path()


def directory() -> Path:
    """Return the cache directory, NBVLM_CACHE or the platform's; it may not exist yet."""
    import platformdirs

    if chosen := os.environ.get("NBVLM_CACHE"):
        return expanded(chosen)
    # Without a home folder, older releases return a relative path and newer ones raise.
    with suppress(RuntimeError):
        folder = platformdirs.user_cache_path("nbvlm", appauthor=False)
        if folder.is_absolute():
            return folder
    hint = "Set NBVLM_CACHE to a folder that can be written."
    raise Error("Downloads need a folder, and this user has no home folder.", hint=hint)


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file in one step: a reader of `path` sees the old file or the whole new one."""
    with replacing(path) as file:
        file.write(data)


def save_file(path: Path, data: bytes) -> None:
    """Write a file that the user asked for.

    Raises
    ------
    Error
        The file cannot be written; the message names its path.
    """
    try:
        missing = not path.parent.is_dir()
        if not missing:
            write_atomic(path, data)
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = getattr(error, "strerror", None) or str(error)
        message = f"The file {visible(str(path))!r} cannot be written: {reason}."
        raise Error(message, hint="Choose another path.") from error
    if missing:
        message = f"The folder {visible(str(path.parent))!r} does not exist."
        raise Error(message, hint=f"Create it to save {visible(path.name)!r} there.")


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a new file that takes the place of `path` when the block ends without an error."""
    beside = path.with_name(f".nbvlm-{secrets.token_hex(6)}")
    try:
        with beside.open("xb") as file:
            yield file
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


LOCK_S = 120.0
"""Seconds to wait for another process that downloads the same file."""

Progress = Callable[[int, int], None]
"""Called with the bytes received and the bytes in all."""
Stream = Callable[[str], AbstractContextManager[tuple[int, Iterable[bytes]]]]  # see `nbvlm.images.stream`


@dataclass(frozen=True, slots=True)
class Source:
    """A published file."""

    file: str
    url: str
    size: int
    sha256: str
    variable: str  # names a copy supplied by hand
    purpose: str  # one sentence: which features need it, and which do not


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
    """Return whether the file exists and is the published one, by size and hash."""
    try:
        with path.open("rb") as file:
            return (
                os.fstat(file.fileno()).st_size == source.size
                and hashlib.file_digest(file, "sha256").hexdigest() == source.sha256
            )
    except (FileNotFoundError, NotADirectoryError):
        return False


def fetch(source: Source, folder: Path, stream: Stream, progress: Progress | None = None) -> Path:
    """Return the path of a published file in the folder; download it if it is not there yet.

    The file appears under its name only when it is complete and checked. Of several processes one downloads,
    and the others wait for it. Without `progress` a line on the standard error stream shows it.

    Raises
    ------
    Error
        The download is not the published file, or the folder cannot be written; NotFoundError, ServerError or
        TransportError where the server answers with an error, or cannot be reached.
    """
    path = folder / source.file
    try:
        if sound(path, source):
            return path
        from filelock import FileLock

        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as locked:
            # A file system without locks, or a process that hangs, is not a reason to refuse the download.
            with suppress(OSError, NotImplementedError):
                locked.enter_context(FileLock(folder / f"{source.file}.lock", timeout=LOCK_S))
            if not sound(path, source):
                _download(source, path, stream, progress or _meter(source.file))
    except OSError as error:
        if isinstance(error, Error):
            raise
        message = f"{source.file} cannot be kept in {folder}: {error.strerror or error}."
        hint = f"Set NBVLM_CACHE to a folder that can be written, or {source.variable} to a copy of the file."
        raise Error(message, hint=hint) from error
    return path


def _download(source: Source, path: Path, stream: Stream, progress: Progress) -> None:
    ways = f"Download it elsewhere and copy it to {path}, or set {source.variable} to its path."
    hint, digest, received = f"{ways} {source.purpose}", hashlib.sha256(), 0
    try:
        with replacing(path) as file, stream(source.url) as (status, chunks):
            if status != 200:
                kind = NotFoundError if status in (404, 410) else ServerError if status >= 500 else Error
                message = f"{source.url} answered {status} instead of {source.file}."
                raise kind(message, status=status, hint=hint)
            progress(0, source.size)
            for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
                received += len(chunk)
                progress(received, source.size)
                if received > source.size:  # another file, which may be endless
                    break
            if digest.hexdigest() != source.sha256:
                message = f"{source.url} sent {received:,} bytes that are not the published {source.file}."
                raise Error(message, hint=hint)
    except TransportError as error:
        message = f"{source.file} could not be downloaded from {source.url}: {error.message}"
        raise TransportError(message, hint=hint) from error


def _meter(name: str) -> Progress:
    """Show the progress as a line on the standard error stream, where a person sees it."""
    stream: Any = sys.stderr
    watched = stream is not None and not getattr(stream, "closed", False)
    watched = watched and (stream.isatty() or "ipykernel" in type(stream).__module__)

    def show(done: int, total: int) -> None:
        if not watched:
            return
        with suppress(OSError, ValueError):  # a closed stream is not a reason to stop
            stream.write(f"\r{name}: {done / 1e6:.1f} of {total / 1e6:.1f} MB" + "\n" * (done >= total))
            stream.flush()

    return show
