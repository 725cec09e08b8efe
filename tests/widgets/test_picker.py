from __future__ import annotations

import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbvlm.errors import ImageError
from nbvlm.widgets.picker import AT_ONCE, LIMIT, Upload, UploadReceiver

REFUSED = ({"type": "refused", "id": 1}, None)


def deliver(
    receiver: UploadReceiver, data: bytes, sizes: list[int], name: str = "a.png", key: int = 1
) -> Upload:
    """Play the browser: begin, chunks of these sizes and the rest, end."""
    reply, _ = receiver.take({"type": "begin", "id": key, "name": name, "size": len(data)}, [])
    assert reply == {"type": "received", "id": key, "bytes": 0}
    offset = 0
    for size in [*sizes, len(data)]:
        piece = data[offset : offset + size]
        reply, _ = receiver.take({"type": "chunk", "id": key, "offset": offset}, [memoryview(piece)])
        offset += len(piece)
        assert reply == {"type": "received", "id": key, "bytes": offset}
    reply, upload = receiver.take({"type": "end", "id": key, "crc": zlib.crc32(data)}, [])
    assert reply == {"type": "arrived", "id": key}
    assert upload is not None
    return upload


@given(st.binary(min_size=1, max_size=200), st.lists(st.integers(0, 40), max_size=6))
def test_a_file_arrives_as_it_was_however_it_was_cut(data: bytes, sizes: list[int]) -> None:
    assert deliver(UploadReceiver(), data, sizes) == Upload("a.png", data)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("C:\\pictures\\cat.png", "cat.png"),
        ("../../etc/passwd", "passwd"),
        ("a/", "picture"),
        ("", "picture"),
    ],
)
def test_a_file_keeps_its_name_but_no_folder(sent: str, kept: str) -> None:
    assert deliver(UploadReceiver(), b"abc", [], name=sent).name == kept


def test_the_bytes_are_not_in_the_repr() -> None:
    assert "abcdef" not in repr(deliver(UploadReceiver(), b"abcdef", []))


def begun(size: int = 6) -> UploadReceiver:
    receiver = UploadReceiver()
    receiver.take({"type": "begin", "id": 1, "name": "a.png", "size": size}, [])
    return receiver


@pytest.mark.parametrize(
    ("message", "buffers"),
    [
        ({"type": "chunk", "id": 1, "offset": 3}, [b"abc"]),
        ({"type": "chunk", "id": 1, "offset": 0}, [b"abcdefg"]),
        ({"type": "end", "id": 1, "crc": 0}, []),
    ],
    ids=["a piece is missing", "more than was announced", "cut off"],
)
def test_a_file_that_did_not_arrive_as_it_was_sent_is_refused_and_forgotten(
    message: dict[str, Any], buffers: list[bytes]
) -> None:
    receiver = begun()
    with pytest.raises(ImageError, match="did not arrive as it was sent"):
        receiver.take(message, buffers)
    assert receiver.take({"type": "chunk", "id": 1, "offset": 0}, [b"abc"]) == REFUSED


def test_a_wrong_checksum_is_noticed() -> None:
    receiver = begun(3)
    receiver.take({"type": "chunk", "id": 1, "offset": 0}, [b"abc"])
    with pytest.raises(ImageError, match=r"a\.png did not arrive"):
        receiver.take({"type": "end", "id": 1, "crc": zlib.crc32(b"abd")}, [])


@pytest.mark.parametrize(("size", "words"), [(0, "is empty"), (LIMIT + 1, "at most 512 MiB")])
def test_a_file_of_an_impossible_size_is_refused_before_it_travels(size: int, words: str) -> None:
    with pytest.raises(ImageError, match=words) as caught:
        begun(size)
    assert caught.value.hint


def test_cancel_forgets_the_file() -> None:
    receiver = begun()
    assert receiver.take({"type": "cancel", "id": 1}, []) == (None, None)
    assert receiver.take({"type": "chunk", "id": 1, "offset": 0}, [b"abc"]) == REFUSED


def test_files_of_several_views_arrive_at_the_same_time() -> None:
    receiver = begun()
    receiver.take({"type": "chunk", "id": 1, "offset": 0}, [b"abc"])
    assert deliver(receiver, b"other", [2], name="b.png", key=2).data == b"other"
    receiver.take({"type": "chunk", "id": 1, "offset": 3}, [b"def"])
    _, upload = receiver.take({"type": "end", "id": 1, "crc": zlib.crc32(b"abcdef")}, [])
    assert upload == Upload("a.png", b"abcdef")


def test_unfinished_files_of_pages_that_are_gone_are_dropped_where_they_are_too_many_or_too_large() -> None:
    for sizes in ([6] * AT_ONCE, [LIMIT - 10]):
        receiver = UploadReceiver()
        for key, size in enumerate([*sizes, 11]):
            receiver.take({"type": "begin", "id": key, "name": "a.png", "size": size}, [])
        assert receiver.take({"type": "chunk", "id": 0, "offset": 0}, [b"abc"])[0]["type"] == "refused"
        last = {"type": "chunk", "id": len(sizes), "offset": 0}
        assert receiver.take(last, [b"abc"])[0]["type"] == "received"
