from __future__ import annotations

import functools
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from support.picture_files import close, corners, encoded, exif, noise, photo

from nbvlm import _text, endpoints
from nbvlm.errors import ImageError
from nbvlm.images import picture as images
from nbvlm.images.picture import Picture

LIMIT = endpoints.get("nvidia").inline_limit


@pytest.fixture
def encodings(monkeypatch):
    """Every call of Pillow's encoder."""
    calls = []
    save = Image.Image.save

    def counted(self, *args, **options):
        calls.append(self.size)
        return save(self, *args, **options)

    monkeypatch.setattr(Image.Image, "save", counted)
    return calls


def page() -> Image.Image:
    """A page of text, which JPEG packs badly."""
    image = Image.new("RGB", (1600, 1200), "white")
    draw = ImageDraw.Draw(image)
    for row in range(0, 1200, 13):
        draw.text(
            (4, row), f"{row:05d} the quick brown fox jumps over the lazy dog " * 6, fill=(row % 200, 0, 90)
        )
    return image


MAKERS = {
    "photo": lambda: encoded(photo(2000, 1500, seed=1), "JPEG", quality=92),
    "grainy photo": lambda: encoded(photo(1500, 2000, seed=2, grain=25), "JPEG", quality=92),
    "large photo": lambda: encoded(photo(3200, 2400, seed=3, grain=8), "JPEG", quality=95),
    "page": lambda: encoded(page(), "JPEG", quality=95),
    "noise": lambda: encoded(noise(1200, 900), "JPEG", quality=90),
    "grey noise": lambda: encoded(noise(1200, 900, mode="L"), "PNG"),
    "small noise": lambda: encoded(noise(300, 400), "PNG"),
    "strip": lambda: encoded(photo(6000, 300, seed=4, grain=15), "JPEG", quality=95),
    "lying photo": lambda: encoded(photo(2000, 1500, seed=5), "JPEG", quality=92, exif=exif(6)),
}


@functools.cache
def heavy(name: str) -> bytes:
    return MAKERS[name]()


@pytest.mark.parametrize("name", MAKERS)
def test_what_is_too_heavy_is_made_to_fit_the_hosted_limit(name, request):
    data = heavy(name)
    encodings = request.getfixturevalue("encodings")
    picture = Picture.load(data, name="big.jpg")
    fitted = images.fit(picture, LIMIT)
    assert 0.9 * LIMIT <= fitted.picture.base64_length < LIMIT
    assert 1 <= len(encodings) <= 3
    assert fitted.before == (picture.width, picture.height, len(data))
    assert fitted.after == (fitted.picture.width, fitted.picture.height, len(fitted.picture.data))
    assert (fitted.picture.name, fitted.picture.mime) == ("big.jpg", "image/jpeg")
    again = Picture.load(fitted.picture.data)
    assert (again.width, again.height, again.changes) == (fitted.picture.width, fitted.picture.height, ())
    shape = picture.width / picture.height
    assert abs(fitted.picture.width / fitted.picture.height - shape) < 0.02 * shape


@pytest.mark.parametrize("limit", [3_000, 10_000, 50_000, 100_000, 400_000])
@pytest.mark.parametrize("name", ["photo", "page", "noise", "strip"])
def test_other_limits_hold_as_well(name, limit, request):
    picture = Picture.load(heavy(name))
    encodings = request.getfixturevalue("encodings")
    fitted = images.fit(picture, limit)
    assert fitted.picture.base64_length < limit
    assert len(encodings) <= 3


def test_a_picture_that_fits_is_left_alone(encodings):
    picture = Picture.load(encoded(corners(), "JPEG"))
    encodings.clear()
    fitted = images.fit(picture, LIMIT)
    assert fitted.picture is picture
    assert fitted.before == fitted.after == (64, 48, len(picture.data))
    assert (fitted.notice, encodings) == ("", [])


def test_the_limit_is_of_base64_characters_and_not_reached():
    # 134,997 bytes are 179,996 characters; 135,000 bytes are exactly 180,000, which is too long.
    base = encoded(noise(100, 100), "PNG")
    for size, fits in ((134_997, True), (134_998, False), (135_000, False)):
        picture = Picture.load(base + bytes(size - len(base)))
        assert picture.fits(180_000) is fits
        assert (images.fit(picture, 180_000).picture is picture) is fits


def test_before_and_after_are_told_in_pixels_and_bytes():
    fitted = images.fit(Picture.load(heavy("photo")), LIMIT)
    assert f"from 2000×1500 pixels ({_text.size(len(heavy('photo')))})" in fitted.notice
    assert f"to {fitted.after[0]}×{fitted.after[1]} pixels" in fitted.notice
    assert fitted.picture.changes == (fitted.notice,)


def test_the_sides_give_way_before_the_quality():
    fitted = images.fit(Picture.load(encoded(photo(1700, 1300, seed=6), "PNG")), LIMIT)
    assert max(fitted.after[:2]) == 896


def test_a_decoders_own_reduction_is_taken_as_it_is():
    fitted = images.fit(Picture.load(heavy("photo")), LIMIT)
    assert fitted.after[:2] == (1000, 750)


def test_a_small_picture_keeps_its_size_while_quality_suffices():
    fitted = images.fit(Picture.load(heavy("small noise")), LIMIT)
    assert fitted.after[:2] == (300, 400)


def test_a_long_strip_keeps_its_short_side():
    fitted = images.fit(Picture.load(heavy("strip")), LIMIT)
    assert fitted.after[1] >= 200


def test_grey_stays_grey_and_light():
    fitted = images.fit(Picture.load(heavy("grey noise")), LIMIT)
    assert Image.open(io.BytesIO(fitted.picture.data)).mode == "L"


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_lying_picture_is_shrunk_upright_without_turning_the_large_one(turn, encodings):
    big = corners(1600, 1200)
    big.paste(noise(400, 300), (600, 450))
    data = encoded(big, "JPEG", quality=95, exif=exif(turn))
    upright = Picture.load(data)
    encodings.clear()
    small = images.fit(upright, 30_000).picture
    assert all(max(size) <= 1000 for size in encodings)
    shown, whole = small.image(), upright.image()
    assert (small.width > small.height) == (upright.width > upright.height)
    for x, y in ((0.1, 0.1), (0.9, 0.1), (0.1, 0.9)):
        place = (int(x * small.width), int(y * small.height))
        assert close(shown.getpixel(place), whole.getpixel((int(x * whole.width), int(y * whole.height))), 30)


def test_shrinking_shows_what_a_careful_resize_shows():
    source = photo(2000, 1500, seed=8, grain=3)
    fitted = images.fit(Picture.load(encoded(source, "JPEG", quality=95)), LIMIT).picture.image()
    careful = source.resize(fitted.size, Image.Resampling.LANCZOS)
    error = np.asarray(fitted, float) - np.asarray(careful, float)
    assert 10 * np.log10(255**2 / (error**2).mean()) > 33  # dB, JPEG included


def test_transparency_and_palettes_shrink_too():
    image = noise(700, 500).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize((700, 500)))
    picture = Picture.load(encoded(image, "PNG"))
    fitted = images.fit(picture, 60_000)
    assert fitted.picture.base64_length < 60_000
    assert fitted.picture.changes[0] == "transparency laid on white"
    assert fitted.picture.changes[-1] == fitted.notice


def test_damaged_pixels_are_named_when_shrinking():
    data = bytearray(heavy("photo"))
    start = data.index(b"\xff\xc4")  # Huffman tables
    data[start + 5 : start + 20] = bytes(15)
    broken = Picture.load(bytes(data), name="bad.jpg")
    with pytest.raises(ImageError, match=r"'bad\.jpg'"):
        images.fit(broken, LIMIT)


@pytest.mark.parametrize("limit", [0, 1, 100, 600])
def test_a_limit_without_room_is_an_image_error(limit):
    with pytest.raises(ImageError, match="cannot be shrunk to"):
        images.fit(Picture.load(heavy("photo")), limit)


def test_a_reference_cannot_be_shrunk():
    with pytest.raises(ImageError, match="not here"):
        images.fit(Picture.reference("0" * 64, "image/png", 9, 9), LIMIT)


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(8, 400), st.integers(8, 400)),
    st.integers(0, 5),
    st.integers(3_000, 60_000),
    st.sampled_from(["PNG", "JPEG"]),
)
def test_whatever_the_picture_and_the_limit_it_fits(size, seed, limit, kind):
    picture = Picture.load(encoded(noise(*size, seed), kind))
    fitted = images.fit(picture, limit)
    assert fitted.picture.base64_length < limit
    assert min(fitted.after[:2]) >= 1
    assert fitted.after[0] <= size[0]
    assert fitted.after[1] <= size[1]


@pytest.mark.parametrize("limit", [100_000, 180_000, 204_800, 300_000])
@pytest.mark.parametrize("grain", [0, 3, 8, 14, 22, 45])
def test_photographs_use_the_budget_where_quality_gives_way(grain, limit):
    picture = Picture.load(encoded(photo(960, 720, seed=grain, grain=grain), "PNG"))
    fitted = images.fit(picture, limit)
    shown = picture.image().resize(fitted.after[:2], Image.Resampling.LANCZOS)
    best = images.base64_length(len(encoded(shown, "JPEG", quality=95)))
    length = fitted.picture.base64_length
    assert length < limit
    assert length >= 0.9 * min(limit, best)


@pytest.mark.parametrize("size", [(70_000, 8), (8, 70_000), (90_000, 300)])
def test_a_side_longer_than_a_jpeg_can_hold_is_shrunk(size):
    picture = Picture.load(encoded(Image.effect_noise(size, 80), "PNG"))
    fitted = images.fit(picture, 180_000)
    assert fitted.picture.base64_length < 180_000
    assert max(fitted.after[:2]) <= 65_500
