"""Labels in any script: the right font, nothing lost, a visible stand-in for what no font has."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFont

from nbvlm.draw import fonts
from nbvlm.draw import text as lettering
from nbvlm.draw.fonts import BUNDLED, Face
from nbvlm.draw.text import clean, clusters


def drawn(text: str, size: int = 24, **more) -> np.ndarray:
    """Where a line leaves ink."""
    line = lettering.measure(clean(text), size, **more)
    canvas = Image.new("RGB", (line.width + 40, line.up + line.down + 40), "white")
    lettering.paint(canvas, (20, 20 + line.up), line, size, (0, 0, 0))
    return np.any(np.asarray(canvas) != 255, axis=2)


TEXTS = [
    "cat",
    "driver's seat",
    "café, Straße",
    "Việt Nam",
    "Ελλάδα",
    "Кошка",
    "קטן",
    "قطة كبيرة",
    "猫と犬",
    "고양이",
    "🐱 ok",
    "a\u0301",
    "𓀀",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("size", [8, 13, 40])
def test_ink_stays_inside_the_measured_place(text: str, size: int) -> None:
    ink = drawn(text, size)
    assert ink.any()
    assert not ink[:19].any()
    assert not ink[-19:].any()
    assert not ink[:, :19].any()
    assert not ink[:, -18:].any()


@pytest.fixture
def bare(monkeypatch):
    """A machine without any font but the bundled one."""
    monkeypatch.setattr(lettering, "installed", tuple)
    lettering._face.cache_clear()
    lettering.measure.cache_clear()
    yield
    lettering._face.cache_clear()
    lettering.measure.cache_clear()


@pytest.mark.usefixtures("bare")
def test_the_bundled_font_has_the_scripts_of_most_prompts() -> None:
    text = "cat — café œuvre, Straße, Český, łódź, Ελλάδα, Кошка їжак, Việt, שלום, قطة, “quoted” … €5 × 3"
    assert {run.face for run in lettering.runs(text)} == {BUNDLED}


@pytest.mark.usefixtures("bare")
def test_a_character_that_no_font_has_shows_its_code_point() -> None:
    (run,) = lettering.runs("猫")
    assert run.face != BUNDLED
    ink = drawn("猫", 40)
    assert not np.array_equal(ink, drawn("犬", 40))
    assert ink.sum() > 100


@pytest.mark.usefixtures("bare")
def test_known_and_unknown_characters_stand_side_by_side() -> None:
    assert [run.text for run in lettering.runs("a 猫 b")] == ["a ", "猫", " b"]
    assert lettering.measure("a 猫 b", 20).width > lettering.measure("a  b", 20).width + 10


def test_a_font_of_the_machine_is_used_where_the_bundled_one_lacks_a_character(monkeypatch) -> None:
    other = Face("/fonts/Han.ttf")
    monkeypatch.setattr(lettering, "installed", lambda: (other,))
    monkeypatch.setattr(lettering, "_opens", lambda _: True)
    monkeypatch.setattr(
        lettering, "coverage", lambda face: frozenset(map(ord, "猫 " if face == other else "cat "))
    )
    lettering._face.cache_clear()
    try:
        assert [(run.text, run.face) for run in lettering.runs("cat 猫 cat")] == [
            ("cat ", BUNDLED),
            ("猫 ", other),
            ("cat", BUNDLED),
        ]
    finally:
        lettering._face.cache_clear()


def test_emoji_are_colourful_where_the_machine_has_them() -> None:
    if not any(face.emoji for face in fonts.installed()):
        pytest.skip("no colour emoji font here (Debian: apt-get install fonts-noto-color-emoji)")
    line = lettering.measure("🍎", 40)
    canvas = Image.new("RGB", (line.width + 10, 80), "white")
    lettering.paint(canvas, (5, 60), line, 40, (0, 0, 0))
    pixels = np.asarray(canvas).astype(int)
    assert (pixels.max(axis=2) - pixels.min(axis=2)).max() > 80


def test_an_own_font_comes_first(tmp_path) -> None:
    own = Face(str(tmp_path / "own.ttf"))
    Path(own.path).write_bytes(Path(BUNDLED.path).read_bytes())
    assert [run.face for run in lettering.runs("cat", own)] == [own]


def test_a_file_that_is_no_font_is_passed_over(tmp_path) -> None:
    for number, data in enumerate(
        (b"", b"no font at all", b"\0\1\0\0" + struct.pack(">H", 60000), b"ttcf\0")
    ):
        path = tmp_path / f"{number}.ttf"
        path.write_bytes(data)
        assert fonts.coverage(Face(str(path))) == frozenset()
    assert fonts.coverage(Face(str(tmp_path / "missing.ttf"))) == frozenset()


def test_a_cut_off_font_is_passed_over(tmp_path) -> None:
    data = Path(BUNDLED.path).read_bytes()
    for length in (4, 20, 200, 4000):
        path = tmp_path / f"{length}.ttf"
        path.write_bytes(data[:length])
        assert len(fonts.coverage(Face(str(path)))) < 1000


def test_coverage_is_what_pillow_can_draw() -> None:
    covered = fonts.coverage(BUNDLED)
    font = ImageFont.truetype(BUNDLED.path, 40, layout_engine=ImageFont.Layout.BASIC)
    missing = bytes(font.getmask("\U0010fffd"))
    codes = [code for code in (*range(33, 0x300), *range(0x370, 0x700)) if chr(code).isprintable()]
    assert [
        hex(code) for code in codes if (bytes(font.getmask(chr(code))) != missing) != (code in covered)
    ] == []


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("abc", 3),
        ("👩‍🚀", 1),
        ("🇩🇪🇫🇷", 2),
        ("👍🏽!", 2),
        ("e\u0301a", 2),
        ("❤️", 1),
        ("", 0),
        ("🏴\U000e0067\U000e0062\U000e007f", 1),
    ],
)
def test_clusters_are_what_a_reader_takes_for_one_character(text: str, parts: int) -> None:
    assert len(clusters(text)) == parts
    assert "".join(clusters(text)) == text


def test_control_characters_and_direction_overrides_are_not_drawn() -> None:
    assert clean("a\x00\x1b[1m\u202eb\u200b \n\t c") == "a[1mb c"


def test_lines_break_at_words_and_then_at_characters() -> None:
    width = lettering.measure("traffic light", 20).width
    assert lettering.wrap("traffic light ahead", 20, width) == ("traffic light", "ahead")
    pieces = lettering.wrap("Donaudampfschifffahrt", 20, width // 2, lines=9)
    assert "".join(pieces) == "Donaudampfschifffahrt"
    assert len(pieces) > 1


def test_what_needs_more_lines_ends_in_an_ellipsis() -> None:
    lines = lettering.wrap("word " * 50, 20, 120)
    assert len(lines) == 3
    assert lines[-1].endswith("…")
    assert all(lettering.measure(line, 20).width <= 120 for line in lines)


def test_a_damaged_font_of_the_machine_is_passed_over(tmp_path, monkeypatch) -> None:
    # Its table of characters is whole, and FreeType refuses the rest.
    whole = Path(fonts.BUNDLED.path).read_bytes()
    broken = tmp_path / "NotoSans-Regular.ttf"
    broken.write_bytes(whole.replace(b"glyf", b"glyX", 1).replace(b"head", b"heaX", 1))
    face = fonts.Face(str(broken))
    assert ord("a") in fonts.coverage(face)
    monkeypatch.setattr(lettering, "installed", lambda: (face,))
    lettering._face.cache_clear()
    assert face not in {run.face for run in lettering.runs("cat 猫", face)}
    lettering._face.cache_clear()


def test_fonts_are_found_without_a_home_folder(monkeypatch) -> None:
    def missing(*_: object) -> None:
        raise KeyError("no entry")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", missing)
    fonts.installed.cache_clear()
    assert isinstance(fonts.installed(), tuple)
    fonts.installed.cache_clear()
