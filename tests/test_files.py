"""Files fetched once: checked, whole or not there, with clear errors without a network."""

from __future__ import annotations

import errno
import hashlib
import io
import pkgutil
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import numpy as np
import pytest
from support.mask_weights import SMALL, random_weights

from nbvlm import Error, NotFoundError, ServerError, TransportError, _files, parse
from nbvlm._files import VAE_OID, Source, sound, write_atomic
from nbvlm.grounding.masks import codebooks
from nbvlm.images import stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nbvlm._files import Progress

CONTENT = np.random.default_rng(0).bytes(700_001)


class Site(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Say nothing: some tests leave before the file has come."""


class Place:
    """A server on this machine that publishes one file, and that can be told to misbehave."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.asked = 0
        self.break_after: list[int] = []  # bytes after which each of the first answers breaks off
        self.status: int | None = None
        self.gate: threading.Event | None = None

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked += 1
        handler.send_response(self.status or 200)
        handler.send_header("Content-Length", str(len(self.content)))
        handler.end_headers()
        if self.gate is not None:
            self.gate.wait(30)
        handler.wfile.write(self.content[: self.break_after.pop(0)] if self.break_after else self.content)


@contextmanager
def serve(place: Place) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place.answer(self)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with Site(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/file.npz"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def source(place: Place) -> Iterator[Source]:
    with serve(place) as url:
        yield Source("file.npz", url, len(CONTENT), digest(CONTENT), "NBVLM_VAE_WEIGHTS", "Masks need it.")


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def fetch(source: Source, folder: Path, progress: Progress | None = None) -> Path:
    return _files.fetch(source, folder, stream, progress)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"file.npz.lock"}


def test_a_file_is_fetched_once_with_progress(place: Place, source: Source, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = fetch(source, tmp_path / "new" / "folder", lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert files(path.parent) == {"file.npz"}
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert fetch(source, path.parent) == path
    assert place.asked == 1


def test_a_damaged_copy_is_fetched_anew(place: Place, source: Source, tmp_path: Path) -> None:
    (tmp_path / "file.npz").write_bytes(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
    assert fetch(source, tmp_path).read_bytes() == CONTENT
    assert place.asked == 1


def test_a_broken_connection_leaves_nothing_and_the_next_call_succeeds(
    place: Place, source: Source, tmp_path: Path
) -> None:
    place.break_after = [200_000]
    with pytest.raises(TransportError, match=r"file\.npz could not be downloaded"):
        fetch(source, tmp_path)
    assert files(tmp_path) == set()
    assert fetch(source, tmp_path).read_bytes() == CONTENT
    assert files(tmp_path) == {"file.npz"}


def test_no_connection_is_told_without_numbers(source: Source, tmp_path: Path) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        nobody = replace(source, url=f"http://127.0.0.1:{deaf.getsockname()[1]}/file.npz")
        with pytest.raises(TransportError, match=r"/file\.npz: Connection refused\. Download it elsewhere"):
            fetch(nobody, tmp_path)


@pytest.mark.parametrize(
    "content", [CONTENT[:-1] + b"?", CONTENT[:1000], CONTENT * 3], ids=["other", "short", "long"]
)
def test_another_file_is_not_kept(place: Place, source: Source, tmp_path: Path, content: bytes) -> None:
    place.content = content
    with pytest.raises(Error, match=r"not the published file\.npz") as caught:
        fetch(source, tmp_path)
    assert "NBVLM_VAE_WEIGHTS" in str(caught.value)
    assert files(tmp_path) == set()
    place.content = CONTENT
    assert fetch(source, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("status", "kind"), [(404, NotFoundError), (410, NotFoundError), (503, ServerError), (403, Error)]
)
def test_a_refusal_is_typed_and_tells_what_to_do(
    place: Place, source: Source, tmp_path: Path, status: int, kind: type[Error]
) -> None:
    place.status = status
    with pytest.raises(kind, match=f"answered {status}") as caught:
        fetch(source, tmp_path)
    assert caught.value.status == status
    assert "NBVLM_VAE_WEIGHTS" in str(caught.value)
    assert files(tmp_path) == set()


def test_without_a_network_the_error_names_file_place_and_remedy(tmp_path: Path) -> None:
    with pytest.raises(TransportError) as caught:
        fetch(VAE_OID, tmp_path)
    text = str(caught.value)
    for part in ("vae-oid.npz", "https://storage.googleapis.com/big_vision/paligemma/", "NBVLM_VAE_WEIGHTS"):
        assert part in text
    assert str(tmp_path / "vae-oid.npz") in text
    assert text.endswith("Masks need it; boxes and labels do not.")


def test_a_folder_that_cannot_be_written_is_named(source: Source, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(Error, match="NBVLM_CACHE"):
        fetch(source, tmp_path / "taken")


def test_of_several_at_once_one_downloads(place: Place, source: Source, tmp_path: Path) -> None:
    place.gate = threading.Event()
    paths: list[Path] = []
    threads = [threading.Thread(target=lambda: paths.append(fetch(source, tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    place.gate.set()
    for thread in threads:
        thread.join()
    assert paths == [tmp_path / "file.npz"] * 4
    assert place.asked == 1


def test_a_process_that_is_killed_leaves_nothing_locked(place: Place, source: Source, tmp_path: Path) -> None:
    place.gate = threading.Event()
    code = (
        "import sys, pathlib; from nbvlm._files import Source, fetch; from nbvlm.images import stream;"
        "fetch(Source('file.npz', sys.argv[1], 700001, sys.argv[2], 'X', ''), pathlib.Path(sys.argv[3]),"
        " stream, lambda done, total: print(done, flush=True))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, source.url, source.sha256, str(tmp_path)], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout.readline() == b"0\n"
        child.kill()
    place.gate.set()
    assert fetch(source, tmp_path).read_bytes() == CONTENT


def test_a_terminal_sees_a_line_that_grows(
    source: Source, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(source, tmp_path / "unseen")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    fetch(source, tmp_path / "seen")
    assert capsys.readouterr().err.endswith("\rfile.npz: 0.7 of 0.7 MB\n")


def test_the_published_file_is_the_one_that_is_asked_for() -> None:
    assert (VAE_OID.size, VAE_OID.file) == (8_479_556, "vae-oid.npz")
    assert VAE_OID.sha256 == "5586010257b8536dddefab65e7755077f21d5672d5674dacf911f73ae95a4447"


def test_masks_fetch_their_codebook_when_they_are_first_wanted(
    place: Place, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "small.npz", **random_weights(2, **SMALL))
    place.content = (tmp_path / "small.npz").read_bytes()
    published = replace(source, size=len(place.content), sha256=digest(place.content))
    monkeypatch.setattr("nbvlm._files.VAE_OID", published)
    monkeypatch.setattr("nbvlm.grounding.masks.codebooks._loaded", {})
    monkeypatch.delenv("NBVLM_VAE_WEIGHTS", raising=False)
    monkeypatch.setenv("NBVLM_CACHE", str(tmp_path / "cache"))
    text = (
        "<loc0100><loc0200><loc0500><loc0800>"
        + "<seg010>" * 16
        + " cow ; <loc0000><loc0000><loc0009><loc0009> dog"
    )
    assert list(parse(text, (160, 120)).masks) == [None, None]
    found = parse(text, (160, 120), codebook="vae-oid")
    assert (len(found), found.codes[1], place.asked) == (2, None, 0)
    assert found[1].mask is None
    assert place.asked == 0
    assert found[0].mask.shape == (120, 160)
    assert len(list(found.masks)) == 2
    assert place.asked == 1
    assert sound(tmp_path / "cache" / "file.npz", published)
    assert codebooks.codebook() is codebooks.codebook("vae-oid")


def test_masks_that_cannot_be_had_leave_boxes_and_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbvlm.grounding.masks.codebooks._loaded", {})
    monkeypatch.delenv("NBVLM_VAE_WEIGHTS", raising=False)
    monkeypatch.setenv("NBVLM_CACHE", str(tmp_path))
    found = parse("<loc0100><loc0200><loc0500><loc0800>" + "<seg010>" * 16, (160, 120), codebook="vae-oid")
    with pytest.raises(TransportError, match=r"vae-oid\.npz"):
        list(found.masks)
    assert found[0].codes == (10,) * 16
    assert found == found[:]


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No codebook here, and nothing known about earlier tries."""
    monkeypatch.setattr("nbvlm.grounding.masks.codebooks._loaded", {})
    monkeypatch.setattr("nbvlm.grounding.masks.codebooks._failures", {})
    monkeypatch.delenv("NBVLM_VAE_WEIGHTS", raising=False)
    monkeypatch.setenv("NBVLM_CACHE", str(tmp_path / "cache"))


@pytest.mark.usefixtures("unread")
def test_views_do_not_wait_for_a_failed_download_again_and_again(
    place: Place, source: Source, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("nbvlm._files.VAE_OID", source)
    place.status = 503
    found = parse("<loc0100><loc0200><loc0500><loc0800>" + "<seg010>" * 16, (160, 120), codebook="vae-oid")
    for _ in range(3):
        with pytest.raises(ServerError):
            list(found.masks)
        with pytest.raises(ServerError):
            _ = found[0].mask
    assert place.asked == 1
    with pytest.raises(ServerError):
        codebooks.codebook()  # who asks for the codebook itself gets a new try
    assert place.asked == 2
    np.savez(tmp_path / "small.npz", **random_weights(2, **SMALL))
    monkeypatch.setenv("NBVLM_VAE_WEIGHTS", str(tmp_path / "small.npz"))
    assert found[0].mask is not None


PROXIES = ("socks://h:1", "http://:::", " http://127.0.0.1:9 ", "socks5://127.0.0.1:9")


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize("value", PROXIES)
def test_a_proxy_that_cannot_be_used_leaves_boxes_and_is_named(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)  # as if it were not installed
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(TransportError, match=r"HTTPS_PROXY|Connection refused"):
        codebooks.codebook()


def test_exceptions_from_a_proxy_in_any_writing_do_not_matter(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "[::1],10.0.0.0/8,fe80::/10")
    assert fetch(source, tmp_path).read_bytes() == CONTENT


def test_a_process_that_holds_the_lock_for_ever_is_not_waited_for(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbvlm._files.LOCK_S", 0.1)
    with filelock.FileLock(tmp_path / "file.npz.lock"):
        assert fetch(source, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("error", [OSError(errno.ENOLCK, "No locks available"), NotImplementedError("flock")])
def test_a_file_system_without_locks_is_no_failure(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    assert fetch(source, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EROFS, "Read-only file system")]
)
def test_a_full_or_locked_disk_is_named_with_what_to_set(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr("nbvlm._files.sound", lambda *_: False)
    with pytest.raises(Error, match=rf"{error.strerror}.*NBVLM_CACHE.*NBVLM_VAE_WEIGHTS") as caught:
        fetch(source, tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_closed_error_stream_does_not_stop_a_download(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    assert fetch(source, tmp_path).read_bytes() == CONTENT


def test_a_working_folder_that_was_deleted_has_a_name_to_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("gone").mkdir()
    monkeypatch.chdir("gone")
    tmp_path.joinpath("gone").rmdir()
    assert _files.here() == Path()


CACHES: dict[str, tuple[str, dict[str, str], Callable[[Path], Path]]] = {
    "chosen": ("unix.Unix", {"NBVLM_CACHE": "/somewhere"}, lambda home: Path("/somewhere")),
    "chosen with a tilde": ("unix.Unix", {"NBVLM_CACHE": "~/there"}, lambda home: home / "there"),
    "xdg": ("unix.Unix", {"XDG_CACHE_HOME": "/caches"}, lambda home: Path("/caches/nbvlm")),
    "linux": ("unix.Unix", {}, lambda home: home / ".cache" / "nbvlm"),
    "macos": ("macos.MacOS", {}, lambda home: home / "Library" / "Caches" / "nbvlm"),
    "windows": ("windows.Windows", {}, lambda home: Path("/local/nbvlm/Cache")),
}


@pytest.mark.parametrize(("platform", "settings", "expected"), CACHES.values(), ids=CACHES)
def test_the_cache_is_where_the_platform_keeps_caches(
    platform: str,
    settings: dict[str, str],
    expected: Callable[[Path], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("NBVLM_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("platformdirs.PlatformDirs", pkgutil.resolve_name(f"platformdirs.{platform}"))
    monkeypatch.setattr("platformdirs.windows.get_win_folder", lambda _name: "/local")
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert _files.directory() == expected(tmp_path)


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user id without an entry and without HOME, as in many containers."""

    def missing(*_: object) -> None:
        raise KeyError("no entry")

    for name in ("HOME", "NBVLM_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", missing)


@pytest.mark.usefixtures("homeless")
def test_without_a_home_folder_the_cache_says_what_to_set() -> None:
    with pytest.raises(Error, match=r"no home folder.*NBVLM_CACHE"):
        _files.directory()


@pytest.mark.usefixtures("homeless")
@pytest.mark.parametrize("name", ["~/cat.png", "~nobody-here/cat.png", "~$cat.png", "cat.png"])
def test_names_without_such_a_home_stay_as_they_are(name: str) -> None:
    assert _files.expanded(name) == Path(name)


def test_a_file_is_written_whole_or_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 250)
    write_atomic(path, b"old")
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    with pytest.raises(TypeError):
        write_atomic(path, "text")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]
