"""Limits before and while decoding, and the one place where files are opened."""

from __future__ import annotations

import ast
import io
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.picture_files import bomb, chunk, corners, encoded, exif, noise

import nbvlm
from nbvlm.errors import ImageError
from nbvlm.images import fit, guard, opening
from nbvlm.images.picture import Picture

PACKAGE = Path(nbvlm.__file__).parent


def opens(tree: ast.AST) -> list[str]:
    """Names of the functions that open a picture by Pillow itself."""
    found = []
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            found += [
                getattr(function, "name", "lambda")
                for node in ast.walk(function)
                if isinstance(node, ast.Attribute)
                and node.attr == "open"
                and ast.unparse(node.value).endswith("Image")
            ]
    return found


def test_pictures_are_opened_in_one_place() -> None:
    found = {
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in PACKAGE.rglob("*.py")
        for name in opens(ast.parse(path.read_text()))
    }
    assert found == {"images/guard.py: open_file"}


# Memory.

SIDE = 5000  # 25 megapixels
_MEASURE = """
import sys, numpy
from nbvlm.images import Picture
from nbvlm.errors import ImageError

def peak():
    with open("/proc/self/status") as lines:
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024

data = sys.stdin.buffer.read()
before = peak()
try:
    picture = Picture.load(data)
    picture.image()
    picture.thumbnail(400)
    print(peak() - before, picture.width * picture.height)
except ImageError as error:
    print(peak() - before, error.message)
"""


def measured(data: bytes) -> tuple[int, str]:
    """Bytes that a child process needed for a picture, and its pixels or the error's message."""
    if not Path("/proc/self/status").exists():
        pytest.skip("this system does not tell the peak of a process's memory")
    done = subprocess.run([sys.executable, "-c", _MEASURE], input=data, capture_output=True, check=True)
    grown, _, rest = done.stdout.decode().strip().partition(" ")
    return int(grown), rest


def plain_png(depth: int, color: int, row: bytes, *others: bytes) -> bytes:
    """A PNG of one colour; `row` is one row of pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, depth, color, 0, 0, 0))
    pixels = zlib.compress((b"\0" + row) * SIDE, 1)
    return b"\x89PNG\r\n\x1a\n" + b"".join([header, *others, chunk(b"IDAT", pixels), chunk(b"IEND", b"")])


LARGE = {
    "palette with transparency": lambda: plain_png(
        1, 3, bytes(SIDE // 8), chunk(b"PLTE", bytes(6)), chunk(b"tRNS", b"\x80")
    ),
    "grey with transparency": lambda: plain_png(8, 4, b"\x50\x80" * SIDE),
    "16 bits": lambda: plain_png(16, 0, b"\x02\x03" * SIDE),
    "floats": lambda: encoded(Image.new("F", (SIDE, SIDE), 0.5), "TIFF", compression="tiff_lzw"),
    "lying jpeg": lambda: encoded(Image.new("RGB", (SIDE, SIDE)), "JPEG", exif=exif(6)),
    "progressive jpeg": lambda: encoded(Image.new("RGB", (SIDE, SIDE)), "JPEG", progressive=True),
    "gif": lambda: encoded(Image.new("P", (SIDE, SIDE)), "GIF"),
    "webp": lambda: encoded(Image.new("RGB", (SIDE, SIDE)), "WEBP", lossless=True, method=0, quality=0),
}


@pytest.mark.parametrize("make", LARGE.values(), ids=LARGE)
def test_a_large_picture_takes_some_bytes_a_pixel(make) -> None:
    # So 100 megapixels, as the largest cameras have them, take 1.2 GB at most, and 60 of a WebP hardly more.
    most = 20 if make is LARGE["webp"] else 12
    grown, pixels = measured(make())
    assert pixels == str(SIDE * SIDE)
    assert grown < most * SIDE * SIDE + 20_000_000


# 11,000 × 9,100 pixels of one colour.
TINY_WEBP = bytes.fromhex("524946461e000000574542505650384c110000002ff7eae20807508f22d7a3ff8188e87f0000")


def gif(width: int, height: int) -> bytes:
    data = bytearray(encoded(Image.new("P", (4, 4)), "GIF"))
    frame = data.index(b",")
    data[6:10] = data[frame + 5 : frame + 9] = struct.pack("<HH", width, height)
    return bytes(data)


def icon(inner: bytes) -> bytes:
    """An icon that says it is small, around any other picture."""
    return b"\0\0\1\0\1\0" + struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(inner), 22) + inner


def tiled(width: int, length: int) -> bytes:
    """A small TIFF in one tile of any size."""
    tags = {256: 16, 257: 16, 258: 8, 259: 5, 262: 1, 277: 1, 322: width, 323: length, 324: 8, 325: 8}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<I", 16) + bytes(8) + struct.pack("<H", len(tags)) + entries + bytes(4)


BOMBS = {
    "webp": TINY_WEBP,
    "png": bomb(16_000, 10_000),
    "gif": gif(16_000, 10_000),
    "gif whose frame is larger than itself": gif(60_000, 60_000),
    "icon around a png": icon(bomb(16_000, 10_000)),
    "icon around a bitmap": icon(struct.pack("<IiiHHIIiiII", 40, 16_000, 20_000, 1, 32, 0, 0, 0, 0, 0, 0)),
    "tiff in one huge tile": tiled(40_000, 40_000),
}


@pytest.mark.parametrize("data", BOMBS.values(), ids=BOMBS)
def test_a_small_file_of_very_many_pixels_is_refused_before_they_are_decoded(data) -> None:
    grown, message = measured(data)
    assert "decompression bomb" in message
    assert grown < 50_000_000


def test_a_larger_file_may_have_more_pixels_where_the_decoder_is_wasteful(monkeypatch) -> None:
    monkeypatch.setattr(opening, "_WASTEFUL", {"WEBP": 1000})
    data = encoded(noise(60, 50), "WEBP", lossless=True)
    with pytest.raises(ImageError, match="60 × 50 pixels"):
        Picture.load(data)
    monkeypatch.setattr(opening, "_SMALL", len(data))
    assert Picture.load(data).width == 60


# Time.


def many_scans(side: int, count: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again, in a few bytes each."""
    data = encoded(Image.new("L", (side, side), 77), "JPEG", progressive=True, quality=50)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + b"\xff\xd9"


def test_a_jpeg_of_thousands_of_scans_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(ImageError, match=r"'x\.jpg' is a JPEG of more than 500 scans"):
        Picture.load(many_scans(64, 3000), name="x.jpg")
    assert Picture.load(many_scans(64, 40)).image().size == (64, 64)


def test_a_tiff_around_such_a_jpeg_is_refused_too() -> None:
    inner = many_scans(64, 100)
    tags = {256: 64, 257: 64, 258: 8, 259: 7, 262: 1, 273: 8, 277: 1, 278: 64, 279: len(inner)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    data = (
        b"II*\0"
        + struct.pack("<I", 8 + len(inner))
        + inner
        + struct.pack("<H", len(tags))
        + entries
        + bytes(4)
    )
    with pytest.raises(ImageError, match="too many scans"):
        Picture.load(data)
    assert Picture.load(encoded(noise(64, 64), "TIFF", compression="jpeg")).width == 64


def test_decoding_that_takes_too_long_is_given_up(monkeypatch) -> None:
    picture = Picture.load(many_scans(1000, 450), name="x.jpg")
    monkeypatch.setattr(guard, "MAX_SECONDS", 0.05)
    for use in (picture.image, lambda: picture.thumbnail(800), lambda: fit(picture, 2000)):
        with pytest.raises(ImageError, match=r"'x\.jpg' takes more than 0\.05 s to decode"):
            use()


def test_an_animation_without_end_is_given_up(monkeypatch) -> None:
    frames = [noise(8, 8, seed, "L").convert("P") for seed in range(3)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    last = data.rindex(b"!\xf9")
    monkeypatch.setattr(guard, "MAX_SECONDS", 0.1)
    with pytest.raises(ImageError, match="to decode"):
        Picture.load(data[:last] + data[last:-1] * 50_000 + b";")


# Unsupported, not damaged.


def jpeg(**changes: int) -> bytes:
    """A JPEG with changed fields of its frame header."""
    data = bytearray(encoded(corners(), "JPEG"))
    frame = data.index(b"\xff\xc0")
    for place, value in changes.items():
        data[frame + {"coding": 1, "bits": 4}[place]] = value
    return bytes(data)


PNG = encoded(corners(), "PNG")
UNSUPPORTED = {
    "a PNG for the iPhone": (PNG[:8] + chunk(b"CgBI", b"\x50\0\x20\2") + PNG[8:], "pngcrush"),
    "a JPEG of 12 bits": (jpeg(bits=12), "with 12 bits a channel, which is not supported"),
    "a lossless JPEG": (jpeg(coding=0xC3), "lossless or hierarchical coding, which is not supported"),
    "a BMP in a rare coding": (
        encoded(corners(), "BMP")[:30] + struct.pack("<I", 9) + encoded(corners(), "BMP")[34:],
        "a kind of BMP that Pillow cannot read",
    ),
    "a TIFF in a rare coding": (
        encoded(corners(), "TIFF").replace(
            struct.pack("<HHII", 259, 3, 1, 1), struct.pack("<HHII", 259, 3, 1, 34_888)
        ),
        "a kind of TIFF that Pillow cannot read",
    ),
}


@pytest.mark.parametrize(("data", "words"), UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_what_is_unsupported_is_not_called_damaged(data, words) -> None:
    with pytest.raises(ImageError) as caught:
        Picture.load(data, name="x")
    assert words in str(caught.value)
    assert not any(word in str(caught.value) for word in ("damaged", "truncated", "again", "0x"))
    assert "PNG or JPEG" in caught.value.hint or "JPEG" in caught.value.hint


RAW_STARTS = {
    "Canon, old": b"II\x1a\0\0\0HEAPCCDR",
    "Panasonic": b"IIU\0\x08\0\0\0",
    "Olympus": b"IIRO\x08\0\0\0",
    "Minolta": b"\0MRM\0\0\0\0",
    "Sigma": b"FOVb\0\0\0\0",
    "Fujifilm": b"FUJIFILMCCD-RAW ",
}


@pytest.mark.parametrize("start", RAW_STARTS.values(), ids=RAW_STARTS)
def test_a_cameras_raw_file_is_named(start) -> None:
    with pytest.raises(ImageError, match=r"is a camera's raw file\. Export it"):
        Picture.load(start + bytes(100))


@pytest.mark.parametrize("name", ["GIF", "TIFF", "BMP", "ICO", "WEBP", "JPEG2000"])
def test_messages_hold_no_addresses_of_objects(name) -> None:
    data = encoded(corners(16, 16), name)
    for end in (20, 30, 60, len(data) // 2):
        with pytest.raises(ImageError) as caught:
            Picture.load(data[:end])
        assert "0x" not in str(caught.value)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
@pytest.mark.parametrize("options", [{}, {"compression": "tga_rle"}], ids=["plain", "packed"])
def test_targa_files_are_read_though_they_begin_with_no_signature(mode, options) -> None:
    image = corners().convert(mode)
    shown = Picture.load(encoded(image, "TGA", **options)).image()
    assert np.abs(np.asarray(shown, int) - np.asarray(image.convert("RGB"), int)).max() < 3


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_an_exif_header_that_is_written_twice_still_turns_the_picture(kind) -> None:
    tags = b"Exif\0\0" + exif(6).tobytes()
    tags = tags if tags.startswith(b"Exif\0\0Exif\0\0") else b"Exif\0\0" + tags
    data = encoded(corners(64, 48), kind, exif=tags)
    picture = Picture.load(data)
    assert (picture.width, picture.height) == (48, 64)


# Long strips.


@pytest.mark.parametrize("size", [(1, 1_000_000), (1_000_000, 1), (8, 70_000), (70_000, 8)])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "pixels"])
def test_a_strip_longer_than_a_jpeg_can_be_is_shrunk(size, kind) -> None:
    image = Image.effect_noise(size, 80)
    picture = Picture.load(image if kind == "pixels" else encoded(image, kind))
    assert (picture.width, picture.height) == size
    for limit in (3000, 180_000):
        assert fit(picture, limit).picture.base64_length < limit
    assert max(picture.thumbnail(200).size) == 200


@pytest.mark.parametrize("size", [(1, 1_000_000), (1_000_000, 1), (8, 70_000), (70_000, 8)])
def test_a_long_strip_is_a_picture_at_every_door(size, tmp_path) -> None:
    client = nbvlm.Client("demo")
    data = encoded(Image.effect_noise(size, 80).convert("RGB"), "PNG")
    result = client.ask(data, "detect cat")
    whole = nbvlm.Detections([[0, 0, *size]], ["cat"], size)
    for made in (result, replace(result, detections=whole)):
        assert made.annotate().size == size
        assert made._repr_mimebundle_()
        assert made.to_html()
        assert made.to_svg()
        for ending in ("png", "html", "svg", "json"):
            assert made.save(tmp_path / f"x.{ending}").stat().st_size
        for ending in ("jpg", "webp"):
            with pytest.raises(ImageError, match=r"Save it as \.png"):
                made.save(tmp_path / f"x.{ending}")
    assert nbvlm.draw.annotate(data, whole).size == size
    assert nbvlm.batch([data], "caption en", client=client, journal=None, progress=False).error.isna().all()
    panel = nbvlm.Panel(data, client=client)
    assert panel.image.width == size[0]
    panel.close()


def test_a_jpeg_with_sides_that_no_decoder_takes_is_refused() -> None:
    data = bytearray(encoded(Image.new("L", (65_500, 1)), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 7 : frame + 9] = struct.pack(">H", 65_535)
    with pytest.raises(ImageError, match="65,535 pixels a side"):
        Picture.load(bytes(data))


def test_of_a_pil_image_the_chosen_page_is_named() -> None:
    pages = [Image.new("RGB", (20, 10), color) for color in ("red", "lime", "blue")]
    image = Image.open(io.BytesIO(encoded(pages[0], "GIF", save_all=True, append_images=pages[1:])))
    image.seek(1)
    assert "number 2 of 3 pictures" in Picture.load(image).changes
