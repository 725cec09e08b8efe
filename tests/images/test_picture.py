from __future__ import annotations

import base64
import copy
import dataclasses
import hashlib
import io
import pickle
import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps
from support.picture_files import HAS_AVIF, bomb, chunk, close, corners, encoded, exif, noise, photo

from nbvlm.errors import ImageError
from nbvlm.images.picture import Picture

UNTOUCHED = {
    "png": encoded(corners(), "PNG"),
    "grey png": encoded(corners().convert("L"), "PNG"),
    "1-bit png": encoded(corners().convert("1"), "PNG"),
    "jpeg": encoded(corners(), "JPEG"),
    "grey jpeg": encoded(corners().convert("L"), "JPEG"),
    "progressive jpeg": encoded(photo(200, 150), "JPEG", progressive=True, quality=95),
    "optimised jpeg": encoded(photo(200, 150), "JPEG", optimize=True, quality=50),
    "4:4:4 jpeg": encoded(corners(), "JPEG", subsampling=0),
    "jpeg with restart markers": encoded(photo(200, 150), "JPEG", restart_marker_rows=1),
    "jpeg with comment": encoded(corners(), "JPEG", comment=b"\xff\xd9 in a comment"),
    "jpeg with icc": encoded(corners(), "JPEG", icc_profile=bytes(range(256)) * 300),
    "jpeg, exif upright": encoded(corners(), "JPEG", exif=exif(1)),
    "png, exif upright": encoded(corners(), "PNG", exif=exif(1)),
    "stored png": encoded(noise(40, 30), "PNG", compress_level=0),
    "animated png": encoded(corners(), "PNG", save_all=True, append_images=[corners().rotate(180)]),
    "jpeg with trailing bytes": encoded(corners(), "JPEG") + b"trailing \xff\xd8\xff junk",
    "png with trailing bytes": encoded(corners(), "PNG") + b"\0" * 1000,
}


@pytest.mark.parametrize("data", UNTOUCHED.values(), ids=UNTOUCHED)
def test_bytes_that_need_no_change_are_kept_and_no_pixel_is_decoded(data, monkeypatch):
    def refuse(self):
        raise AssertionError("pixels were decoded")

    with monkeypatch.context() as patch:
        patch.setattr(ImageFile.ImageFile, "load", refuse)
        picture = Picture.load(data)
    assert picture.data == data
    assert picture.changes == ()
    with Image.open(io.BytesIO(data)) as file:
        assert picture.mime == Image.MIME[file.format if file.format != "MPO" else "JPEG"]
        assert (picture.width, picture.height) == file.size
    assert picture.image().size == (picture.width, picture.height)


CONVERTED = {
    "webp": (encoded(corners(), "WEBP", lossless=True), "WebP"),
    "gif": (encoded(corners(), "GIF"), "GIF"),
    "tiff": (encoded(corners(), "TIFF"), "TIFF"),
    "packed tiff": (encoded(corners(), "TIFF", compression="tiff_lzw"), "TIFF"),
    "bmp": (encoded(corners(), "BMP"), "BMP"),
    "ppm": (encoded(corners(), "PPM"), "PPM"),
    "jpeg 2000": (encoded(corners(), "JPEG2000"), "JPEG 2000"),
    "cmyk jpeg": (encoded(corners().convert("CMYK"), "JPEG", quality=95), "CMYK to RGB"),
    "palette png": (encoded(corners().quantize(16), "PNG"), "palette to RGB"),
    "alpha png": (encoded(corners().convert("RGBA"), "PNG"), "transparency laid on white"),
    "grey alpha png": (encoded(corners().convert("LA"), "PNG"), "transparency laid on white"),
    "grey 16-bit png": (encoded(Image.fromarray(np.full((48, 64), 40000, np.uint16)), "PNG"), "16-bit grey"),
}


@pytest.mark.parametrize(("data", "words"), CONVERTED.values(), ids=CONVERTED)
def test_everything_else_is_converted_and_says_how(data, words, request):
    picture = Picture.load(data)
    assert words in " | ".join(picture.changes)
    assert picture.data != data
    assert (picture.width, picture.height) == (64, 48)
    again = Picture.load(picture.data)
    assert (again.changes, again.mime, again.sha256) == ((), picture.mime, picture.sha256)
    left, right = picture.image().getpixel((5, 5)), picture.image().getpixel((60, 5))
    in_colour = close(left, (255, 0, 0), 30) and close(right, (0, 255, 0), 30)
    assert in_colour or (len(set(left)) == len(set(right)) == 1 and "grey" in request.node.callspec.id)


@pytest.mark.skipif(not HAS_AVIF, reason="this Pillow writes no AVIF to read")
def test_avif_is_converted():
    picture = Picture.load(encoded(corners(), "AVIF", quality=90))
    assert picture.mime == "image/jpeg"
    assert picture.changes == ("AVIF to JPEG",)


def test_heic_without_a_reader_names_the_reader():
    data = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
    with pytest.raises(ImageError, match=r"HEIC.*pip install pillow-heif"):
        Picture.load(data)


def test_heic_is_converted_where_pillow_has_a_reader(monkeypatch):
    class Reader(ImageFile.ImageFile):
        format = "HEIF"

        def _open(self):
            self._mode, self._size = "RGB", (6, 4)
            self.tile = []

        def load(self):
            self.im = Image.new("RGB", (6, 4), "red").im
            self.tile = []
            return super().load()

    Image.init()
    monkeypatch.setitem(Image.OPEN, "HEIF", (Reader, None))
    monkeypatch.setattr(Image, "ID", [*Image.ID, "HEIF"])
    picture = Picture.load(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    assert picture.changes == ("HEIC to JPEG",)
    assert (picture.width, picture.height) == (6, 4)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF"])
def test_of_many_pictures_the_first_is_taken(kind):
    pages = [Image.new("RGB", (20, 10), color) for color in ("red", "lime", "blue")]
    data = encoded(pages[0], kind, save_all=True, append_images=pages[1:])
    picture = Picture.load(data)
    assert "first of 3 pictures" in picture.changes
    assert close(picture.image().getpixel((3, 3)), (255, 0, 0))


ORIENTED = [(kind, turn) for kind in ("JPEG", "PNG", "WEBP", "TIFF") for turn in range(2, 9)]


@pytest.mark.parametrize(("kind", "turn"), ORIENTED, ids=[f"{kind}-{turn}" for kind, turn in ORIENTED])
def test_every_orientation_is_applied_as_pillow_applies_it(kind, turn):
    options = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    data = encoded(corners(64, 48), kind, exif=exif(turn), **options)
    picture = Picture.load(data)
    upright = ImageOps.exif_transpose(_tagged(corners(64, 48), turn))
    assert (picture.width, picture.height) == upright.size == Picture.load(picture.data).image().size
    assert f"turned upright (EXIF orientation {turn})" in picture.changes
    for image in (picture.image(), Picture.load(picture.data).image()):
        for place in ((8, 8), (upright.width - 8, 8), (8, upright.height - 8)):
            assert close(image.getpixel(place), upright.getpixel(place), 20)


def _tagged(image: Image.Image, turn: int) -> Image.Image:
    image.getexif()[0x0112] = turn
    return image


def test_an_orientation_in_a_pil_image_is_applied():
    picture = Picture.load(_tagged(corners(64, 48), 6))
    assert (picture.width, picture.height) == (48, 64)
    assert "turned upright (EXIF orientation 6)" in picture.changes


@pytest.mark.parametrize("value", [0, 1, 9, 65535])
def test_an_orientation_that_makes_no_sense_is_ignored(value):
    data = encoded(corners(), "JPEG", exif=exif(value))
    assert Picture.load(data).data == data


def test_damaged_exif_is_ignored_without_a_warning():
    good = encoded(corners(), "JPEG", exif=exif(6))
    place = good.index(b"Exif\0\0") + 6
    for damage in (b"XX", b"MM\0\0", b"MM\0*\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff"):
        data = good[:place] + damage + good[place + len(damage) :]
        assert Picture.load(data).changes == ()


def test_a_lying_jpeg_is_turned_only_when_its_bytes_are_asked_for(monkeypatch):
    data = encoded(photo(120, 80), "JPEG", quality=90, exif=exif(8))
    picture = Picture.load(data)
    monkeypatch.setattr(Image.Image, "save", None)
    assert (picture.width, picture.height) == (80, 120)
    assert picture.image().size == picture.thumbnail(1000).size == (80, 120)
    assert not picture.fits(100)
    assert "before turning" in repr(picture)
    assert picture.nbytes == len(data)
    assert picture.pending
    monkeypatch.undo()
    assert picture.sha256 == hashlib.sha256(picture.data).hexdigest()
    assert not picture.pending
    assert "before turning" not in repr(picture)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("turn", [3, 6])
def test_turning_a_jpeg_keeps_weight_and_pixels(turn, subsampling):
    source = photo(320, 240, seed=3)
    data = encoded(source, "JPEG", quality=88, exif=exif(turn), subsampling=subsampling)
    picture = Picture.load(data)
    before = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))), dtype=float)
    after = np.asarray(picture.image(), dtype=float)
    sent = np.asarray(Picture.load(picture.data).image(), dtype=float)
    assert np.array_equal(before, after)
    assert np.abs(sent - before).mean() < 1.0
    assert len(picture.data) < 1.5 * len(data)


def test_a_lying_picture_is_a_value_like_any_other():
    data = encoded(photo(60, 40), "JPEG", exif=exif(6))
    load = lambda: Picture.load(data, name="a.jpg")  # noqa: E731 - a fresh one each time
    plain = Picture(load().data, "image/jpeg", 40, 60, "b.jpg", load().sha256)
    assert load() == plain == load()
    assert len({load(), plain}) == 1
    for twin in (pickle.loads(pickle.dumps(load())), copy.deepcopy(load()), copy.copy(load())):
        assert (twin.data, twin.name, twin.changes) == (plain.data, "a.jpg", load().changes)
    assert dataclasses.replace(load(), name="c.jpg").data == plain.data
    assert Picture.load(load(), name="d.jpg").name == "d.jpg"
    with pytest.raises(AttributeError):
        _ = load().nothing


def test_many_threads_turn_a_picture_once_and_alike():
    picture = Picture.load(encoded(photo(300, 200), "JPEG", exif=exif(6)))
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: (picture.sha256, len(picture.data)), range(64)))
    assert len(found) == 1


def test_alpha_is_laid_on_white_and_hidden_colours_stay_hidden():
    image = Image.new("RGBA", (10, 10), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 5, 10))
    image.paste((0, 0, 0, 128), (5, 5, 10, 10))
    shown = Picture.load(encoded(image, "PNG")).image()
    assert shown.getpixel((2, 2)) == (0, 0, 255)
    assert shown.getpixel((7, 2)) == (255, 255, 255)
    assert close(shown.getpixel((7, 7)), (127, 127, 127), 2)


@pytest.mark.parametrize("mode", ["P", "L", "RGB", "1"])
def test_a_transparent_colour_is_laid_on_white(mode):
    image = Image.new("L", (10, 10), 0).convert(mode)
    data = encoded(image, "PNG", transparency=(0, 0, 0) if mode == "RGB" else 0)
    picture = Picture.load(data)
    assert "transparency laid on white" in picture.changes
    assert picture.image().getpixel((5, 5)) == (255, 255, 255)


def test_16_bit_png_keeps_its_meaning():
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None, :].repeat(4, 0)
    picture = Picture.load(encoded(Image.fromarray(ramp), "PNG"))
    assert picture.changes == ("16-bit grey to 8 bits (0 is black, 65535 is white)", "PNG encoded again")
    shown = np.asarray(picture.image())[0, :, 0]
    assert np.abs(shown.astype(int) - np.arange(256)).max() <= 1


def test_16_bit_colour_png_is_converted():
    header = chunk(b"IHDR", bytes([0, 0, 0, 2, 0, 0, 0, 1, 16, 2, 0, 0, 0]))
    row = zlib.compress(b"\0" + b"\xff\xff\0\0\x80\0" * 2)
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", row) + chunk(b"IEND", b"")
    picture = Picture.load(data)
    assert picture.changes == ("16 bits a channel to 8", "PNG encoded again")
    assert close(picture.image().getpixel((1, 0)), (255, 0, 128), 2)


@pytest.mark.parametrize(
    ("values", "dtype", "white"),
    [((0, 4000), np.uint16, "4000 is white"), ((0, 60000), np.uint16, "65535 is white"),
     ((0, 300), np.int32, "300 is white"), ((-5, 5), np.float32, "-5 is black, 5 is white"),
     ((0, 1), np.float32, "1 is white")],
)  # fmt: skip
def test_deep_grey_tiff_is_scaled_and_the_scale_is_named(values, dtype, white):
    pixels = np.linspace(*values, 64).astype(dtype)[None, :].repeat(8, 0)
    picture = Picture.load(encoded(Image.fromarray(pixels), "TIFF"))
    assert white in " ".join(picture.changes)
    shown = np.asarray(picture.image())[0, :, 0].astype(int)
    assert (np.diff(shown) >= 0).all()
    assert shown[0] == 0
    assert shown[-1] >= 230


@pytest.mark.parametrize("value", [0, 5, 4095, 65535])
def test_a_deep_tiff_of_one_value_loads(value):
    data = encoded(Image.fromarray(np.full((8, 8), value, np.uint16)), "TIFF")
    assert Picture.load(data).image().size == (8, 8)


def test_floats_that_are_no_numbers_are_black():
    pixels = np.array([[np.nan, 0.5], [np.inf, 1.0]], np.float32)
    shown = np.asarray(Picture.load(Image.fromarray(pixels)).image())[:, :, 0]
    assert shown.tolist() == [[0, 128], [0, 255]]


MODES = [
    "1",
    "L",
    "LA",
    "La",
    "P",
    "PA",
    "RGB",
    "RGBA",
    "RGBa",
    "RGBX",
    "CMYK",
    "YCbCr",
    "LAB",
    "HSV",
    "I",
    "F",
    "I;16",
]


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_of_pillow_becomes_a_picture(mode):
    picture = Picture.load(Image.new(mode, (7, 5)))
    assert (picture.width, picture.height) == (7, 5)
    assert picture.image().mode == "RGB"
    assert picture.changes


def test_lossless_sources_stay_lossless_where_that_is_light():
    image = noise(60, 50)
    picture = Picture.load(image)
    assert picture.mime == "image/png"
    assert np.array_equal(np.asarray(picture.image()), np.asarray(image))


def test_a_photograph_as_pixels_becomes_a_light_jpeg():
    picture = Picture.load(photo(900, 700))
    assert picture.mime == "image/jpeg"
    assert picture.changes == ("pixels to JPEG",)
    assert len(picture.data) < 900 * 700


def test_a_strip_too_long_for_jpeg_becomes_png():
    picture = Picture.load(Image.new("RGB", (66_000, 4)))
    assert (picture.mime, picture.width) == ("image/png", 66_000)


def test_a_colour_profile_for_cmyk_is_not_carried_into_rgb():
    data = encoded(corners().convert("CMYK"), "TIFF", icc_profile=b"cmyk profile")
    assert b"cmyk profile" not in Picture.load(data).data


def test_a_pil_image_is_left_as_it_was():
    image = _tagged(Image.new("RGBA", (6, 4), (1, 2, 3, 4)), 6)
    before = (image.mode, image.size, image.tobytes())
    Picture.load(image)
    assert (image.mode, image.size, image.tobytes()) == before


def test_a_picture_is_returned_as_it_is():
    picture = Picture.load(UNTOUCHED["png"], name="a.png")
    assert Picture.load(picture) is picture
    assert Picture.load(picture, name="b.png").name == "b.png"


@pytest.mark.parametrize("name", ["a/b/x.png", "C:\\fakepath\\x.png", "x.png", "/x.png", "b\\x.png/"])
def test_names_lose_their_folders(name):
    assert Picture.load(UNTOUCHED["png"], name=name).name == "x.png"
    assert Picture.load(Picture.load(UNTOUCHED["png"]), name=name).name == "x.png"


def test_a_picture_knows_itself():
    data = UNTOUCHED["jpeg"]
    picture = Picture.load(data, name="x.jpg")
    assert picture.sha256 == hashlib.sha256(data).hexdigest()
    assert picture.data_uri() == "data:image/jpeg;base64," + base64.b64encode(data).decode()
    assert picture.base64_length == len(base64.b64encode(data))
    assert repr(picture).startswith("Picture('x.jpg', 64×48, image/jpeg, ")
    assert len(repr(picture)) < 100
    assert picture.fits(None)
    assert picture.fits(picture.base64_length + 1)
    assert not picture.fits(picture.base64_length)


def test_equality_is_of_bytes_type_and_size_not_of_names():
    data = UNTOUCHED["png"]
    assert Picture.load(data, name="a") == Picture.load(data, name="b")
    assert Picture.load(data) != Picture.load(UNTOUCHED["jpeg"])
    assert Picture.load(data) != data
    assert len({Picture.load(data, name="a"), Picture.load(data, name="b")}) == 1


def test_a_reference_says_how_to_supply_the_bytes():
    picture = Picture.reference("ab" * 32, "image/png", 640, 480, "cat.png")
    assert (picture.data, picture.nbytes) == (None, None)
    for ask in (picture.image, picture.data_uri, lambda: picture.base64_length, lambda: picture.thumbnail(9)):
        with pytest.raises(ImageError, match=r"'cat.png'.*Picture\.load"):
            ask()
    assert "640×480" in repr(picture)
    assert picture == pickle.loads(pickle.dumps(picture))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_thumbnails_fit_and_look_the_same(kind):
    picture = Picture.load(encoded(corners(1024, 768), kind))
    small = picture.thumbnail(200)
    assert small.size == (200, 150)
    assert small.mode == "RGB"
    assert close(small.getpixel((10, 10)), (255, 0, 0), 4)
    assert picture.thumbnail(5000).size == (1024, 768)


def test_bombs_are_refused_by_their_header():
    for width, height in ((30_000, 30_000), (4_000_000_000, 1)):
        with pytest.raises(ImageError, match="decompression bomb"):
            Picture.load(bomb(width, height))


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "WEBP"])
def test_bombs_of_other_formats_are_refused(kind, monkeypatch):
    monkeypatch.setattr("nbvlm.images.guard.MAX_PIXELS", 1000)
    with pytest.raises(ImageError, match="decompression bomb"):
        Picture.load(encoded(corners(), kind))


def test_a_limit_that_the_user_set_in_pillow_is_obeyed(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ImageError, match="decompression bomb"):
        Picture.load(encoded(corners(), "BMP"))


def test_pillows_warnings_do_not_leak(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 48 - 1)  # Pillow warns up to twice this
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Picture.load(encoded(corners(), "BMP"))
        Picture.load(UNTOUCHED["png"]).image()
    assert caught == []


def test_filters_are_as_before_after_many_threads():
    before = list(warnings.filters)
    data = encoded(corners(), "WEBP")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: Picture.load(data), range(64)))
    assert warnings.filters == before


def test_importing_pictures_imports_nothing_heavy_beside_pillow():
    heavy = "[m for m in ('httpx', 'numpy', 'ipywidgets') if m in sys.modules]"
    code = f"import sys, PIL.JpegImagePlugin; before = {heavy}; import nbvlm.images; print({heavy} == before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def tiff(values, photometric=1, form=1, extra=None):
    """A TIFF of one plane, with any tags."""
    height, width = values.shape
    data = values.tobytes()
    tags = {256: width, 257: height, 258: values.itemsize * 8, 259: 1, 262: photometric, 273: 8, 277: 1}
    tags |= {278: height, 279: len(data), 339: form} | (extra or {})
    entries = [struct.pack("<HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags)]
    place = struct.pack("<I", 8 + len(data))
    return b"II*\0" + place + data + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)


def grey(data):
    return np.asarray(Picture.load(data).image())[..., 0].astype(int)


def test_a_deep_tiff_that_counts_from_white_is_not_shown_as_its_negative():
    values = np.full((24, 32), 65_000)
    values[0, 0] = 0
    for dtype in ("<u2", "u1"):
        shown = grey(tiff((values if dtype == "<u2" else values >> 8).astype(dtype), photometric=0))
        assert shown[0, 0] > 250
        assert shown[1:].max() < 10


def test_an_unsigned_tiff_of_32_bits_stays_a_ramp():
    ramp = np.arange(32 * 24).reshape(24, 32)
    shown = grey(tiff((ramp * 5_000_000).astype("<u4")))
    assert (np.diff(shown.ravel()) >= 0).all()
    assert shown[-1, -1] > 200


@pytest.mark.parametrize("hole", [-9999, -3.4e38, np.nan])
def test_points_without_data_do_not_take_the_contrast_of_a_relief(hole):
    relief = (np.arange(32 * 24).reshape(24, 32) + 500).astype("<f4")
    relief[0, 0] = hole
    assert np.ptp(grey(tiff(relief, form=3)).ravel()[1:]) > 100


def test_floats_that_count_from_white_are_not_shown_as_their_negative():
    ramp = (np.arange(32 * 24).reshape(24, 32) / 767).astype("<f4")
    shown = grey(tiff(ramp, photometric=0, form=3))
    assert (shown[0, 0], shown[-1, -1]) == (255, 0)


def test_the_value_that_a_tag_names_as_no_data_does_not_take_the_contrast():
    relief = (np.arange(32 * 24).reshape(24, 32) + 500).astype(np.float32)
    relief[0, 0] = -32768
    data = encoded(Image.fromarray(relief), "TIFF", tiffinfo={42113: "-32768"})
    assert np.ptp(grey(data).ravel()[1:]) > 100


def test_a_tiff_that_pillow_cannot_read_is_not_called_damaged():
    with pytest.raises(ImageError, match=r"is a kind of TIFF that Pillow cannot read\. Save it.* work too"):
        Picture.load(tiff(np.zeros((24, 32), "<f8"), form=3), name="x.tif")


RAW = {
    "dng": tiff(np.zeros((24, 32), "u1"), extra={50706: 0x401}),
    "preview before the picture": tiff(np.zeros((24, 32), "u1"), extra={254: 1, 271: 0, 330: 8}),
    "colour filter array": tiff(np.zeros((24, 32), "<u2"), photometric=32803),
    "cr2": b"II*\0\x10\0\0\0CR\2\0" + bytes(100),
}


@pytest.mark.parametrize("data", RAW.values(), ids=RAW)
def test_a_cameras_raw_file_in_a_tiff_is_named(data):
    with pytest.raises(ImageError, match=r"is a camera's raw file\. Export it"):
        Picture.load(data)


SIDE_CHUNKS = {
    "long text": chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b"a" * 3_000_000)),
    "large profile": chunk(b"iCCP", b"icc\0\0" + zlib.compress(b"a" * 3_000_000)),
    "wrong checksum": chunk(b"tEXt", b"Comment\0hi")[:-1] + b"?",
    "short pHYs": chunk(b"pHYs", b"\0"),
    "short acTL": chunk(b"acTL", b"\0"),
}


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
@pytest.mark.parametrize("behind", [False, True], ids=["before the pixels", "behind them"])
@pytest.mark.parametrize("extra", SIDE_CHUNKS.values(), ids=SIDE_CHUNKS)
def test_side_chunks_of_a_png_do_not_matter(extra, behind, mode):
    image = corners().quantize(16) if mode == "P" else corners().convert(mode)
    data = encoded(image, "PNG")
    place = len(data) - 12 if behind else data.index(b"IDAT") - 4
    picture = Picture.load(data[:place] + extra + data[place:])
    assert picture.image().tobytes() == Picture.load(data).image().tobytes()
    assert picture.thumbnail(20).size == (20, 15)
