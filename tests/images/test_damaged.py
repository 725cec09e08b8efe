from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.picture_files import HAS_AVIF, chunk, corners, encoded, exif, noise, photo

from nbvlm.errors import ImageError
from nbvlm.images.picture import Picture

WHOLE = {
    "png": encoded(corners(), "PNG"),
    "grey alpha png": encoded(corners().convert("LA"), "PNG"),
    "palette png": encoded(corners().quantize(8), "PNG"),
    "baseline jpeg": encoded(photo(80, 60), "JPEG", comment=b"a comment", exif=exif(1)),
    "progressive jpeg": encoded(photo(80, 60), "JPEG", progressive=True),
    "jpeg with a thumbnail": encoded(
        photo(80, 60),
        "JPEG",
        icc_profile=encoded(corners(), "JPEG"),  # a whole JPEG inside a segment
    ),
    "lying jpeg": encoded(photo(80, 60), "JPEG", exif=exif(6)),
    "gif": encoded(corners(), "GIF"),
    "webp": encoded(photo(80, 60), "WEBP"),
    "bmp": encoded(corners(16, 12), "BMP"),
    "tiff": encoded(corners(16, 12), "TIFF"),
} | ({"avif": encoded(photo(80, 60), "AVIF")} if HAS_AVIF else {})


def loaded_or_none(data: bytes) -> Picture | None:
    try:
        return Picture.load(data)
    except ImageError:
        return None


@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE)
def test_a_file_cut_anywhere_is_refused(data):
    Picture.load(data)
    for end in {*range(0, len(data), max(1, len(data) // 150)), *range(max(0, len(data) - 6), len(data))}:
        picture = loaded_or_none(data[:end])
        # A GIF without its closing byte, a TIFF or BMP without padding still hold every pixel.
        assert picture is None or picture.image().tobytes() == Picture.load(data).image().tobytes(), end


@pytest.mark.parametrize("name", [name for name in WHOLE if "png" in name or "jpeg" in name])
def test_png_and_jpeg_cut_anywhere_are_never_taken(name):
    data = WHOLE[name]
    for end in range(len(data)):
        with pytest.raises(ImageError):
            Picture.load(data[:end])


@pytest.mark.parametrize(("name", "words"), [("png", "truncated PNG"), ("baseline jpeg", "truncated JPEG")])
def test_a_cut_file_is_called_truncated(name, words):
    for share in (0.3, 0.6, 0.99):
        data = WHOLE[name][: int(len(WHOLE[name]) * share)]
        with pytest.raises(ImageError, match=f"'cat.x' is a {words}.*Download"):
            Picture.load(data, name="cat.x")


def test_a_download_that_stopped_and_was_filled_with_zeros_is_refused():
    for name in ("baseline jpeg", "png"):
        data = WHOLE[name]
        half = len(data) // 2
        with pytest.raises(ImageError):
            Picture.load(data[:half] + bytes(len(data) - half))


def test_a_flipped_bit_in_png_pixels_fails_the_checksum():
    data = bytearray(WHOLE["png"])
    data[data.index(b"IDAT") + 8] ^= 1
    with pytest.raises(ImageError, match="damaged PNG: the checksum of its IDAT chunk is wrong"):
        Picture.load(bytes(data))


def _png(*chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


HEADER = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0))
END = chunk(b"IEND", b"")
BROKEN_PNGS = {
    "no header": _png(chunk(b"IDAT", b""), END),
    "no pixels": _png(HEADER, END),
    "short header": _png(chunk(b"IHDR", b"1234"), chunk(b"IDAT", b""), END),
    "no width": _png(chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 2, 8, 2, 0, 0, 0)), chunk(b"IDAT", b""), END),
    "odd depth": _png(chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 3, 2, 0, 0, 0)), chunk(b"IDAT", b""), END),
    "no palette": _png(
        chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 3, 0, 0, 0)), chunk(b"IDAT", b""), END
    ),
    "endless chunk": _png(HEADER, b"\xff\xff\xff\xffIDAT"),
}


@pytest.mark.parametrize("data", BROKEN_PNGS.values(), ids=BROKEN_PNGS)
def test_broken_png_containers_are_refused(data):
    with pytest.raises(ImageError, match=r"(damaged|truncated) PNG"):
        Picture.load(data)


BROKEN_JPEGS = {
    "markers only": b"\xff\xd8\xff\xd9",
    "no frame": b"\xff\xd8\xff\xda\0\2\xff\xd9",
    "no scan": b"\xff\xd8\xff\xc0\0\x0b\x08\0\2\0\2\1\1\x11\0\xff\xd9",
    "no height": b"\xff\xd8\xff\xc0\0\x0b\x08\0\0\0\2\1\1\x11\0\xff\xda\0\2\xff\xd9",
    "short frame": b"\xff\xd8\xff\xc0\0\4\x08\0\xff\xda\0\2\xff\xd9",
    "segment without length": b"\xff\xd8\xff\xe0\0\0\xff\xda\0\2\xff\xd9",
    "nothing": b"\xff\xd8\xff",
}


@pytest.mark.parametrize("data", BROKEN_JPEGS.values(), ids=BROKEN_JPEGS)
def test_broken_jpeg_containers_are_refused(data):
    with pytest.raises(ImageError, match=r"(damaged|truncated) JPEG"):
        Picture.load(data)


ENDLESS = {
    "png": _png(HEADER, chunk(b"teXt", b"") * 200_000),
    "jpeg": b"\xff\xd8" + b"\xff\xe0\0\2" * 200_000 + b"\xff\xd9",
}


@pytest.mark.parametrize("data", ENDLESS.values(), ids=ENDLESS)
def test_a_file_of_endless_small_parts_is_left_early(data):
    with pytest.raises(ImageError, match="damaged"):
        Picture.load(data)


def test_stray_bytes_between_segments_are_tolerated_as_decoders_do():
    data = WHOLE["baseline jpeg"]
    place = data.index(b"\xff\xdb")
    assert Picture.load(data[:place] + b"\0\0\0" + data[place:]).image().size == (80, 60)
    assert Picture.load(data[:place] + b"\xff\xff" + data[place:]).changes == ()


def test_damaged_pixels_in_a_whole_container_fail_when_decoded():
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0))
    picture = Picture.load(_png(header, chunk(b"IDAT", b"not zlib at all"), END), name="bad.png")
    with pytest.raises(ImageError, match=r"'bad\.png'"):
        picture.image()


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "a")
    return buffer.getvalue()


def _npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((2, 2)))
    return buffer.getvalue()


OTHERS = {
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG drawing"),
    "svg with prologue": (
        b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- <html> -->\n<!DOCTYPE svg>\n<svg>",
        "SVG drawing",
    ),
    "svg with namespace": (b"<?xml version='1.0'?><svg:svg xmlns:svg='x'>", "SVG drawing"),
    "pdf": (b"%PDF-1.7\n...", "PDF document"),
    "pdf behind junk": (b"\n\n\x00%PDF-1.4", "PDF document"),
    "html": (b"\n<!DOCTYPE HTML><html>", "HTML page"),
    "html without doctype": (b"<!-- c --><html lang='en'>", "HTML page"),
    "xml": (b"<?xml version='1.0'?><gpx/>", "XML document"),
    "text": (b"just some words\n", "text"),
    "unicode text": ("Grüße, 世界\n".encode() * 400, "text"),
    "json": (json.dumps({"a": 1}).encode(), "text"),
    "base64": (b"iVBORw0KGgoAAAANSUhEUgAAAAUA", "base64"),
    "zip": (_zip(), "ZIP archive"),
    "gzip": (gzip.compress(b"x"), "gzip archive"),
    "numpy": (_npy(), "numpy.load"),
    "pickle": (pickle.dumps([1, 2]), "pickle"),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript"),
    "photoshop": (b"8BPS\0\1" + bytes(20), "Photoshop"),
    "jpeg xl": (b"\xff\x0a" + bytes(20), "JPEG XL"),
    "dicom": (bytes(128) + b"DICM" + bytes(9), "DICOM"),
    "mp4": (b"\0\0\0\x18ftypisom\0\0\2\0isomiso2", "video"),
    "canon raw": (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "camera's raw"),
    "wav": (b"RIFF\x24\0\0\0WAVEfmt ", "sound file"),
    "avi": (b"RIFF\x24\0\0\0AVI LIST", "video"),
    "git lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\n", "git lfs pull"),
    "noise": (bytes(range(1, 200)), "not in a known picture format"),
    "zeros": (bytes(64), "not in a known picture format"),
}


@pytest.mark.parametrize(("data", "words"), OTHERS.values(), ids=OTHERS)
def test_what_is_no_picture_is_named_with_what_to_do(data, words):
    with pytest.raises(ImageError) as caught:
        Picture.load(data, name="picture.png")
    assert words in str(caught.value)
    assert str(caught.value).startswith("'picture.png' is ")
    assert caught.value.hint


def test_a_piled_up_prologue_is_read_in_no_time():
    with pytest.raises(ImageError, match="text"):
        Picture.load(b"<!-- --> " * 3000 + b"x")


def test_nothing_is_called_empty():
    with pytest.raises(ImageError, match="empty"):
        Picture.load(b"")


def test_postscript_never_reaches_ghostscript(monkeypatch):
    def refuse(*_):
        raise AssertionError("another program was called")

    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", refuse)
    with pytest.raises(ImageError, match="PostScript"):
        Picture.load(encoded(corners(), "EPS"))


def test_the_name_does_not_decide():
    assert Picture.load(WHOLE["png"], name="cat.jpg").mime == "image/png"
    assert Picture.load(WHOLE["baseline jpeg"], name="notes.txt").mime == "image/jpeg"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_picture_or_an_image_error(data):
    with pytest.raises(ImageError):
        Picture.load(data)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_mutilated_files_are_a_picture_or_an_image_error(name, draw):
    data = bytearray(WHOLE[name])
    for _ in range(draw.draw(st.integers(1, 8))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        picture = Picture.load(bytes(data))
        size = picture.image().size
    except ImageError:
        return
    assert size == (picture.width, picture.height)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["TIFF", "GIF", "WEBP", "BMP"]), st.binary(min_size=1, max_size=60))
def test_a_true_beginning_with_a_false_rest_is_an_image_error_at_worst(kind, rest):
    data = encoded(noise(8, 8), kind)[:16] + rest
    picture = loaded_or_none(data)
    assert picture is None or picture.mime in ("image/png", "image/jpeg")
