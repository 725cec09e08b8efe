"""Large pictures are uploaded from their file, which is never read into memory."""

from __future__ import annotations

import io
import os
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

import nbvlm

if TYPE_CHECKING:
    from pathlib import Path

    from support.loopback import Loopback

    from nbvlm.client.flow.events import Status

PIXELS = np.random.default_rng(0).integers(0, 255, (900, 1000, 3), dtype=np.uint8)


def png(**options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG", **options)
    return file.getvalue()


def jpeg(**options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "JPEG", quality=100, **options)
    return file.getvalue()


PNG, JPEG = png(), jpeg()


@pytest.mark.parametrize(("content", "mime"), [(PNG, "image/png"), (JPEG, "image/jpeg")])
def test_a_file_is_sent_from_disk(
    side: Any, server: Loopback, tmp_path: Path, content: bytes, mime: str
) -> None:
    path = tmp_path / "large.bin"
    path.write_bytes(content)
    statuses: list[Status] = []
    asset = side.call("assets.upload", str(path), progress=statuses.append)
    assert server.stored[asset.id] == content
    assert asset.picture.path == path
    assert (asset.picture.width, asset.picture.height, asset.mime) == (1000, 900, mime)
    assert (asset.picture.nbytes, asset.picture.name) == (len(content), "large.bin")
    assert [status.done for status in statuses] == sorted(status.done for status in statuses)
    assert len(statuses) > 3
    result = side.ask(asset, "caption en")
    assert result.sent.bytes == len(content)
    assert asset.picture.path == path
    assert result.picture == nbvlm.Picture.load(content)
    assert asset.picture.path is None


def test_a_file_that_has_to_be_converted_is_read(side: Any, server: Loopback, tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    alpha = io.BytesIO()
    Image.fromarray(np.dstack([PIXELS, PIXELS[:, :, 0]])).save(alpha, "PNG")
    for name, content, size in (
        ("turned.jpg", jpeg(exif=turned), (900, 1000)),
        ("turned.png", png(exif=turned), (900, 1000)),
        ("alpha.png", alpha.getvalue(), (1000, 900)),
    ):
        (tmp_path / name).write_bytes(content)
        picture = side.call("assets.upload", tmp_path / name).picture
        assert (picture.width, picture.height) == size
        assert picture.path is None
        assert picture.changes


def broken_pixels() -> bytes:
    place = PNG.index(b"IDAT") + 1000
    return PNG[:place] + bytes([PNG[place] ^ 1]) + PNG[place + 1 :]


DAMAGED = {
    "no end": PNG[:-20],
    "half": PNG[: len(PNG) // 2],
    "wrong checksum": broken_pixels(),
    "half a JPEG": JPEG[: len(JPEG) // 2],
    "no picture": b"x" * 2_000_000,
    "no chunks": PNG[:8] + b"\0" * 2_000_000,
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_refused_before_the_network(
    side: Any, server: Loopback, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(content)
    with pytest.raises(nbvlm.ImageError, match=r"large\.png"):
        side.call("assets.upload", path)
    assert server.seen == []


def test_large_extra_chunks_are_passed_over(side: Any, server: Loopback, tmp_path: Path) -> None:
    body = b"zTXtnote\0\0" + b"x" * 1_500_000
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    path = tmp_path / "large.png"
    path.write_bytes(PNG[:33] + chunk + PNG[33:])
    asset = side.call("assets.upload", path)
    assert asset.picture.path == path
    assert len(server.stored[asset.id]) == len(PNG) + len(chunk)


def test_a_file_that_changed_is_not_the_picture(side: Any, server: Loopback, tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(PNG)
    asset = side.call("assets.upload", path)
    os.utime(path, ns=(1, 1))
    with pytest.raises(nbvlm.ImageError, match="moved or changed"):
        asset.picture.image()
    path.unlink()
    with pytest.raises(nbvlm.ImageError, match="moved or changed"):
        _ = asset.picture.data
    assert side.ask(asset, "caption en").text == "a red car"


def test_small_files_and_addresses_are_loaded_as_ever(side: Any, server: Loopback, tmp_path: Path) -> None:
    path = tmp_path / "small.png"
    Image.new("RGB", (8, 8)).save(path)
    assert side.call("assets.upload", path).picture.path is None
    with pytest.raises(nbvlm.ImageError):
        side.call("assets.upload", tmp_path / "missing.png")
    with pytest.raises(nbvlm.ImageError):
        side.call("assets.upload", "https://nowhere.invalid/x.png")
