from __future__ import annotations

import base64
import gzip
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import ipywidgets
import numpy as np
import pandas
import pytest
from PIL import Image
from support.picture_files import corners, encoded, noise

import nbvlm
from nbvlm.errors import ImageError
from nbvlm.figures import described
from nbvlm.images import read_source, resolved_path
from nbvlm.images.picture import Picture, load_lazily

PNG = encoded(corners(), "PNG")
JPEG = encoded(corners(), "JPEG")


def noisy(kind):
    """A file of more than a megabyte."""
    return encoded(noise(1200, 1000), kind, **({"quality": 95} if kind == "JPEG" else {}))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("cat.png").write_bytes(PNG)
    tmp_path.joinpath("deep").mkdir()
    tmp_path.joinpath("deep", "ein Hündchen 犬.png").write_bytes(PNG)
    return tmp_path


def test_paths_of_every_kind_give_the_bytes_and_the_name(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    sources = [
        "cat.png",
        "./cat.png",
        Path("cat.png"),
        str(folder / "cat.png"),
        "~/cat.png",
        f"file://{folder}/cat.png",
    ]
    for source in sources:
        picture = Picture.load(source)
        assert (picture.data, picture.name) == (PNG, "cat.png")


def test_names_are_without_folders(folder):
    assert Picture.load("deep/ein Hündchen 犬.png").name == "ein Hündchen 犬.png"
    assert Picture.load(f"file://{quote(str(folder))}/deep/{quote('ein Hündchen 犬.png')}").name.endswith(
        "犬.png"
    )
    assert Picture.load("cat.png", name="mine").name == "mine"


def test_a_missing_file_is_answered_with_the_nearest_and_the_folder(folder):
    with pytest.raises(ImageError) as caught:
        Picture.load("cats.png")
    assert "The file 'cats.png' does not exist. Did you mean 'cat.png'?" in str(caught.value)
    assert str(folder) in str(caught.value)


def test_a_missing_folder_is_named(folder):
    with pytest.raises(ImageError, match="The folder 'depp' does not exist"):
        Picture.load("depp/cat.png")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("deep", "'deep' is a folder"),
        *(("", "path of the picture is empty"), (" ", "path of the picture is empty")),
        (Path("/"), "is a folder"),
        ("/dev/zero", "not an ordinary file"),
        ("cat.png/x", "cannot be read|folder .* does not exist"),
        ("x" * 300, "cannot be read: File name too long"),
        ("a\0b", "cannot be read"),
        ("s3://bucket/cat.png", "s3:// cannot be fetched"),
        ("gs://bucket/cat.png", "gs:// cannot be fetched"),
        (base64.b64encode(PNG * 99).decode(), "written as base64 text"),
        ("<svg>" + "x" * 5000, "SVG drawing"),
        ("words " * 1000, "text, not a picture, and too long for a path"),
    ],
)
def test_what_is_no_file_is_named(folder, source, words):
    with pytest.raises(ImageError, match=words):
        Picture.load(source)


def test_an_empty_file_is_called_empty(folder):
    folder.joinpath("nothing.png").touch()
    with pytest.raises(ImageError, match=r"'nothing\.png' is empty"):
        Picture.load("nothing.png")


def test_a_pipe_is_not_an_ordinary_file(folder):
    os.mkfifo("pipe")
    with pytest.raises(ImageError, match="not an ordinary file"):
        Picture.load("pipe")


def test_a_file_that_may_not_be_read_is_named(folder, monkeypatch):
    folder.joinpath("locked.png").write_bytes(PNG)
    folder.joinpath("locked.png").chmod(0)
    if os.geteuid() == 0:  # nothing is locked for root, so the system's answer is played

        def refuse(self):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ImageError, match=r"'locked\.png' cannot be read: this user lacks permission"):
        Picture.load("locked.png")


def test_a_huge_file_is_refused_before_it_is_read(folder):
    with folder.joinpath("huge.png").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ImageError, match="larger than 256 MiB"):
        Picture.load("huge.png")
    with folder.joinpath("huge.png").open("rb") as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr("nbvlm.images.sources.MAX_BYTES", 5 << 20)
        with pytest.raises(ImageError, match="larger than 5 MiB"):
            Picture.load(file)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_of_every_kind_load(kind):
    picture = Picture.load(kind(PNG))
    assert (picture.data, picture.name) == (PNG, None)
    assert type(picture.data) is bytes


def test_later_changes_of_a_bytearray_do_not_reach_the_picture():
    source = bytearray(PNG)
    picture = Picture.load(source)
    source[:] = bytes(len(source))
    assert picture.data == PNG


URIS = {
    "plain": "data:image/png;base64," + base64.b64encode(PNG).decode(),
    "upper case": "DATA:image/PNG;BASE64," + base64.b64encode(PNG).decode(),
    "wrong type": "data:text/plain;base64," + base64.b64encode(PNG).decode(),
    "charset": "data:image/png;charset=utf-8;base64," + base64.b64encode(PNG).decode(),
    "no type": "data:;base64," + base64.b64encode(PNG).decode(),
    "no padding": "data:image/png;base64," + base64.b64encode(PNG).decode().rstrip("="),
    "line breaks": "data:image/png;base64,\n" + base64.encodebytes(PNG).decode(),
    "url alphabet": "data:image/png;base64," + base64.urlsafe_b64encode(PNG).decode(),
    "percent": "data:image/png," + quote(PNG),
    "percent base64": "data:image/png;base64," + quote(base64.b64encode(PNG)),
    "spaces around": "  data:image/png;base64," + base64.b64encode(PNG).decode() + "\n",
}


@pytest.mark.parametrize("uri", URIS.values(), ids=URIS)
def test_data_uris_load(uri):
    picture = Picture.load(uri)
    assert (picture.data, picture.mime, picture.name) == (PNG, "image/png", None)


def test_a_picture_loads_from_its_own_data_uri():
    picture = Picture.load(JPEG)
    assert Picture.load(picture.data_uri()) == picture


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("data:image/png;base64", "no comma"),
        ("data:image/png;base64,", "empty"),
        ("data:image/png;base64,####", "does not hold valid base64"),
        ("data:image/png;base64,A", "does not hold valid base64"),
        ("data:text/html,<html>", "HTML page"),
        ("data:image/svg+xml,<svg>", "SVG drawing"),
        ("data:image/png;asset_id,4b1e7a34-0b3c-4b3f-9c3e-000000000000", "names an asset"),
    ],
)
def test_bad_data_uris_are_named(uri, words):
    with pytest.raises(ImageError, match=words):
        Picture.load(uri)


def test_open_files_load_with_their_names(folder):
    with Path("cat.png").open("rb") as file:
        assert Picture.load(file).name == "cat.png"
    with Path("cat.png").open("rb", buffering=0) as file:
        assert Picture.load(file).data == PNG
    with tempfile.TemporaryFile() as file:
        file.write(PNG)
        assert Picture.load(file).name is None


def test_an_open_file_without_a_path_gives_no_name():
    file = io.BytesIO(PNG)
    file.name = "<stdin>"
    assert Picture.load(file).name is None


def test_a_buffer_that_was_just_written_loads_from_its_start():
    buffer = io.BytesIO()
    corners().save(buffer, "PNG")
    assert Picture.load(buffer).data == PNG


def test_a_pipe_that_gives_a_little_at_a_time_loads():
    code = (
        "import sys; o = sys.stdout.buffer; [o.write(P[i:i+50]) and o.flush() for i in range(0, len(P), 50)]"
    )
    command = [sys.executable, "-c", f"P = {PNG!r}; {code}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0) as process:
        assert Picture.load(process.stdout).data == PNG


def test_files_that_give_no_bytes_are_named(folder):
    closed = io.BytesIO(PNG)
    closed.close()
    with pytest.raises(ImageError, match="closed file"):
        Picture.load(closed)
    with pytest.raises(ImageError, match="opened as text"):
        Picture.load(io.StringIO("words"))
    with pytest.raises(ImageError, match="is empty"):
        Picture.load(io.BytesIO())

    class Odd:
        def read(self, _size):
            return [1]

    with pytest.raises(ImageError, match="returned list, not bytes"):
        Picture.load(Odd())


def test_pil_images_keep_their_file_name(folder):
    with Image.open("cat.png") as image:
        assert Picture.load(image).name == "cat.png"


def test_a_truncated_file_behind_a_pil_image_is_named():
    with Image.open(io.BytesIO(JPEG[:-30])) as image, pytest.raises(ImageError, match="truncated"):
        Picture.load(image)


def test_a_closed_pil_image_is_named():
    image = Image.open(io.BytesIO(PNG))
    image.close()
    with pytest.raises(ImageError):
        Picture.load(image)


def test_pil_images_without_pixels_are_named():
    with pytest.raises(ImageError, match="0 × 5 pixels"):
        Picture.load(Image.new("RGB", (0, 5)))


ARRAYS = {
    "grey": np.arange(48, dtype=np.uint8).reshape(6, 8),
    "colour": np.arange(144, dtype=np.uint8).reshape(6, 8, 3),
    "not contiguous": np.arange(288, dtype=np.uint8).reshape(6, 8, 6)[:, :, ::2],
    "mirrored": np.arange(144, dtype=np.uint8).reshape(6, 8, 3)[:, ::-1],
    "fortran order": np.asfortranarray(np.arange(144, dtype=np.uint8).reshape(6, 8, 3)),
}


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_arrays_load_exactly(array):
    picture = Picture.load(array)
    shown = np.asarray(picture.image())
    assert (picture.width, picture.height) == (8, 6)
    assert np.array_equal(shown, array if array.ndim == 3 else array[:, :, None].repeat(3, 2))


def test_an_array_with_alpha_is_laid_on_white():
    array = np.zeros((4, 4, 4), np.uint8)
    picture = Picture.load(array)
    assert picture.image().getpixel((0, 0)) == (255, 255, 255)
    assert "transparency laid on white" in picture.changes


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((4, 4), np.float64), r"float64, not uint8.*array \* 255"),
        (np.zeros((4, 4), bool), r"bool, not uint8.*\* 255"),
        (np.zeros((4, 4), np.int64), "int64, not uint8.*Scale"),
        (np.zeros((4, 4), np.uint16), "uint16, not uint8"),
        (np.array([["a"]]), "not uint8"),
        (np.zeros((3, 9, 9), np.uint8), r"\(3, 9, 9\).*transpose\(1, 2, 0\)"),
        (np.zeros((9, 9, 1), np.uint8), r"\(9, 9, 1\).*array\[:, :, 0\]"),
        (np.zeros((9, 9, 2), np.uint8), "H×W×3"),
        (np.zeros((2, 9, 9, 3), np.uint8), r"array\[0\]"),
        (np.zeros(9, np.uint8), "H×W×3"),
        (np.zeros((0, 9), np.uint8), r"\(0, 9\)"),
        (np.zeros((9, 0, 3), np.uint8), r"\(9, 0, 3\)"),
    ],
)
def test_other_arrays_are_refused_with_the_way_to_change_them(array, words):
    with pytest.raises(ImageError, match=words):
        Picture.load(array)


@pytest.mark.parametrize("source", [None, 3, 2.5, [PNG], {"a": 1}, object()])
def test_other_things_are_refused_with_what_is_accepted(source):
    with pytest.raises(ImageError, match=f"A value of type {type(source).__name__} is not a picture.*a path"):
        Picture.load(source)


@pytest.mark.parametrize("name", ["~photo.png", "~$scan.png", "~"])
def test_a_name_that_begins_with_a_tilde_and_is_no_users_home_is_a_name(folder, name, monkeypatch):
    monkeypatch.setenv("HOME", str(folder / "cat.png"))
    if name != "~":
        folder.joinpath(name).write_bytes(PNG)
    for source in (name, Path(name)):
        assert Picture.load(source).data == PNG
    with pytest.raises(ImageError, match="folder '~nobody-here' does not exist"):
        Picture.load("~nobody-here/x.png")


def test_a_large_file_stays_where_it_is_until_its_bytes_are_asked_for(folder):
    for name, data in (("big.png", noisy("PNG")), ("big.jpg", noisy("JPEG")), ("cat.png", PNG)):
        folder.joinpath(name).write_bytes(data)
        picture = load_lazily(name)
        assert picture.path == (folder / name if name != "cat.png" else None)
        assert picture == Picture.load(name)


def test_a_large_file_with_damage_is_refused_as_it_is_at_once(folder):
    for name, data in (("big.png", noisy("PNG")), ("big.jpg", noisy("JPEG"))):
        damaged = [data[:-30]]
        if name == "big.png":
            damaged.append(data[:500_000] + bytes([data[500_000] ^ 1]) + data[500_001:])
        for bad in damaged:
            folder.joinpath(name).write_bytes(bad)
            with pytest.raises(ImageError, match=r"truncated|damaged"):
                load_lazily(name)


class Failing:
    """A file whose read() does what a test wants."""

    def __init__(self, read):
        self.read = read


def raising(error):
    def read(_size=-1):
        raise error

    return Failing(read)


def zip_member(damage):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.png", PNG)
    whole = bytearray(buffer.getvalue())
    if damage:
        whole[whole.index(b"IDAT") + 6] ^= 255
    return zipfile.ZipFile(io.BytesIO(bytes(whole))).open("x.png")


def unpacking(data):
    return gzip.GzipFile(fileobj=io.BytesIO(data))


BAD_FILES = {
    "a key error": (lambda: raising(KeyError("gone")), "cannot be read: 'gone'"),
    "an error without words": (lambda: raising(RuntimeError()), "cannot be read: RuntimeError"),
    "an address of an object": (
        lambda: raising(ValueError(f"{io.BytesIO()} is busy")),
        "cannot be read: BytesIO is busy",
    ),
    "a damaged member of an archive": (lambda: zip_member(damage=True), "Bad CRC-32"),
    "a cut gzip": (
        lambda: unpacking(gzip.compress(PNG)[:-12]),
        "end-of-stream marker",
    ),
    "a damaged gzip": (
        lambda: unpacking(gzip.compress(PNG)[:10] + b"junk" * 9),
        "cannot be read",
    ),
    "None": (lambda: Failing(lambda _size: None), "returned None: it has no bytes yet"),
    "text": (lambda: Failing(lambda _size: "words"), "opened as text"),
    "empty text": (lambda: io.StringIO(), "opened as text"),
    "a number": (lambda: Failing(lambda _size: 7), "returned int, not bytes"),
    "nothing at all": (lambda: Failing(lambda _size: b""), "cannot be read"),
    "bytes without end": (lambda: Failing(lambda size: bytes(size)), "larger than 256 MiB"),
}


@pytest.mark.parametrize(("make", "words"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_file_object_that_fails_in_any_way_is_an_image_error(make, words):
    with pytest.raises(ImageError, match=words) as caught:
        Picture.load(make())
    assert caught.value.hint
    assert "0x" not in str(caught.value)


def test_file_objects_of_unusual_kinds_load():
    buffer = io.BytesIO(PNG)
    assert Picture.load(Failing(lambda size: buffer.read(min(size, 7)))).data == PNG  # short reads
    assert Picture.load(Failing(lambda: PNG)).data == PNG  # read() without a size, as of httpx.Response
    assert Picture.load(zip_member(damage=False)).data == PNG


def test_links_that_lead_nowhere_or_in_a_circle_are_named(folder):
    folder.joinpath("dangling.png").symlink_to("gone.png")
    with pytest.raises(ImageError, match=r"'dangling\.png' is a link to 'gone\.png', which does not exist"):
        Picture.load("dangling.png")
    folder.joinpath("round.png").symlink_to("round.png")
    with pytest.raises(ImageError, match=r"round\.png"):
        Picture.load("round.png")
    folder.joinpath("good.png").symlink_to("cat.png")
    assert Picture.load("good.png").data == PNG


def test_brackets_in_a_name_are_part_of_it(folder):
    folder.joinpath("[2024] in").mkdir()
    folder.joinpath("[2024] in", "cat [1].png").write_bytes(PNG)
    assert Picture.load("[2024] in/cat [1].png").name == "cat [1].png"


def test_a_working_folder_that_was_deleted_is_no_failure_of_its_own(folder):
    gone = folder / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    for source in ("cat.png", "a/cat.png", Path("cat.png"), "~/cat.png"):
        with pytest.raises(ImageError, match=r"The (file|folder) .* does not exist"):
            Picture.load(source)
        with pytest.raises(ImageError):
            resolved_path(str(source))
    assert Picture.load(folder / "cat.png").data == PNG
    os.chdir(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is locked for root")
def test_a_folder_that_may_not_be_read_is_named(folder):
    locked = folder / "deep"
    locked.chmod(0)
    for source in ("deep/x.png", "deep"):
        with pytest.raises(ImageError):
            Picture.load(source)
    locked.chmod(0o700)


def test_a_folder_that_cannot_be_listed_gives_no_guess(folder, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ImageError, match=r"The file 'cats\.png' does not exist\. Looked in"):
        Picture.load("cats.png")


NOT_UTF8 = os.fsdecode(b"caf\xe9.png")


def test_a_name_that_is_not_utf8_is_usable_and_shown_escaped(folder):
    try:
        folder.joinpath(NOT_UTF8).write_bytes(PNG)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    for source in (NOT_UTF8, Path(NOT_UTF8), f"file://{folder}/caf%E9.png", folder / NOT_UTF8):
        picture = Picture.load(source)
        assert (picture.data, picture.name) == (PNG, "caf\\udce9.png")
        assert picture.name.encode()
    folder.joinpath(NOT_UTF8).write_bytes(noisy("PNG"))
    assert load_lazily(NOT_UTF8).name == "caf\\udce9.png"
    with Image.open(NOT_UTF8) as image:
        assert Picture.load(image).name == "caf\\udce9.png"
    with Path(NOT_UTF8).open("rb") as file:
        assert Picture.load(file).name == "caf\\udce9.png"
    assert Picture.load(PNG, name=NOT_UTF8).name == "caf\\udce9.png"
    assert Picture.reference("0" * 64, "image/png", 1, 1, NOT_UTF8).name == "caf\\udce9.png"
    inner = folder / os.fsdecode(b"\xe9")
    inner.mkdir()
    for source in (f"gone {NOT_UTF8}", inner / "gone.png", inner, inner / "no" / "x.png", os.fspath(inner)):
        for use in (Picture.load, lambda place: resolved_path(str(place))):
            with pytest.raises(ImageError) as caught:
                use(source)
            assert str(caught.value).encode()
            assert caught.value.hint.encode()


def test_a_name_that_is_not_utf8_is_in_every_export(folder):
    result = nbvlm.Client("demo").ask(Picture.load(PNG, name=NOT_UTF8), "detect cat")
    for ending in (".json", ".html", ".svg", ".csv", ".png"):
        assert result.save(folder / f"out{ending}").stat().st_size
    texts = [
        result.to_json(),
        result.to_html(),
        result.to_svg(),
        result.to_python(),
        result.to_curl(),
        repr(result),
    ]
    assert all(text.encode() for text in texts)
    assert result.to_coco()["images"][0]["file_name"] == "caf\\udce9.png"


@pytest.mark.parametrize(
    "uri", ["file://[::1", "file://[", "file:///gone.png", "data:image/png,\ud800", "data:\ud800"]
)
def test_odd_addresses_are_image_errors(uri):
    with pytest.raises(ImageError):
        Picture.load(uri)


WRAPPED = {
    "Hugging Face, bytes": ({"bytes": PNG, "path": "a/cat.png"}, "cat.png"),
    "Hugging Face, bytes without a name": ({"bytes": PNG, "path": None}, None),
    "Hugging Face, a path": ({"bytes": None, "path": "deep/../cat.png"}, "cat.png"),
    "one file of an upload": (
        {"name": "cat.png", "type": "image/png", "content": memoryview(PNG)},
        "cat.png",
    ),
    "an upload": (({"name": "cat.png", "type": "image/png", "content": memoryview(PNG)},), "cat.png"),
    "an upload of ipywidgets 7": ({"cat.png": {"metadata": {"name": "cat.png"}, "content": PNG}}, "cat.png"),
}


@pytest.mark.parametrize(("source", "name"), WRAPPED.values(), ids=WRAPPED)
def test_dictionaries_of_data_sets_and_uploads_are_pictures(folder, source, name):
    picture = Picture.load(source)
    assert (picture.data, picture.name) == (PNG, name)
    assert Picture.load(source, name="mine.png").name == "mine.png"
    assert read_source(source, allow_private=False)[0] == PNG
    assert load_lazily(source).data == PNG
    assert nbvlm.Client("demo").ask(source, "caption en").picture.name == name


@pytest.mark.parametrize("source", [source for source, _ in WRAPPED.values()], ids=WRAPPED)
def test_what_loads_is_a_picture_at_every_door(folder, source):
    client = nbvlm.Client("demo")
    result = client.ask(Picture.load(PNG), "detect cat")
    assert client.assets.upload(source).picture.data == PNG
    assert nbvlm.Panel(source, client=client).image.data == PNG
    assert nbvlm.draw.annotate(source, result.detections).size == (64, 48)
    assert nbvlm.Result.from_json(result.to_json(), picture=source).picture.data == PNG
    assert described(source, "A picture.").alt == "A picture."
    for images in ([source], [{"image": source}], pandas.DataFrame({"image": [source]})):
        table = nbvlm.batch(images, "caption en", client=client, journal=None, progress=False)
        assert table.error.isna().all()


def test_the_value_of_a_real_upload_is_a_picture():
    upload = ipywidgets.FileUpload()
    file = {"name": "cat.png", "type": "image/png", "size": len(PNG), "content": PNG}
    upload.value = (file | {"last_modified": datetime.now(UTC)},)
    for source in (upload.value, upload.value[0]):
        assert Picture.load(source).name == "cat.png"


FILE = {"name": "cat.png", "content": PNG}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"bytes": None, "path": None}, "holds neither bytes nor a path"),
        ((), "No file was uploaded yet"),
        ((FILE, FILE), "holds 2 files, not one.*nbvlm.batch"),
        ({"bytes": b"", "path": "cat.png"}, r"'cat\.png' is empty"),
        ({"bytes": None, "path": "gone.png"}, r"The file 'gone\.png' does not exist"),
        ({}, "A value of type dict"),
        (({"name": "cat.png"},), "A value of type tuple"),
    ],
)
def test_dictionaries_without_one_picture_are_named(folder, source, words):
    with pytest.raises(ImageError, match=words):
        Picture.load(source)


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("/a/b/cat.png", "cat.png"),
        ("C:\\pictures\\cat.png", "cat.png"),
        ("a/caf\udce9.png", "caf\\udce9.png"),
        ("folder\\caf\udce9.png", "caf\\udce9.png"),
        ("/", None),
    ],
)
def test_a_name_without_its_folders_stays_as_it_is(name: str, bare: str | None) -> None:
    for given in (name, bare):
        assert Picture.reference("0" * 64, "image/png", 1, 1, given).name == bare
