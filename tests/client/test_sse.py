"""Server-sent events: the standard's examples, and the same events wherever the bytes are cut."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbvlm.client import sse
from nbvlm.client.sse import Decoder, Event

if TYPE_CHECKING:
    from collections.abc import Iterable


def decode(*pieces: bytes) -> list[Event]:
    decoder = Decoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return [*events, *decoder.close()]


def data(*pieces: bytes) -> list[bytes]:
    return [event.data for event in decode(*pieces)]


def cut(whole: bytes, places: Iterable[int]) -> list[bytes]:
    ends = [*sorted(place % (len(whole) + 1) for place in places), len(whole)]
    starts = [0, *ends[:-1]]
    return [whole[start:end] for start, end in zip(starts, ends, strict=True)]


# The examples of https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
def test_example_with_several_data_lines() -> None:
    assert data(b"data: YHOO\ndata: +2\ndata: 10\n\n") == [b"YHOO\n+2\n10"]


def test_example_with_comment_and_ids() -> None:
    stream = b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n"
    assert decode(stream) == [
        Event(b"first event", id="1"),
        Event(b"second event", id=""),
        Event(b" third event", id=""),
    ]


def test_example_with_empty_data() -> None:
    assert data(b"data\n\ndata\ndata\n\ndata:") == [b"", b"\n", b""]


def test_example_with_and_without_blank() -> None:
    assert data(b"data:test\n\ndata: test\n\n") == [b"test", b"test"]


def test_an_id_holds_until_the_next() -> None:
    assert [event.id for event in decode(b"id: 1\ndata: a\n\ndata: b\n\nid: 2\n\ndata: c\n\n")] == [
        "1",
        "1",
        "2",
    ]


def test_an_id_with_a_null_is_ignored() -> None:
    assert [event.id for event in decode(b"id: 1\ndata: a\n\nid: 2\x003\ndata: b\n\n")] == ["1", "1"]


def test_a_type_holds_for_one_event_only() -> None:
    events = decode(b"event: error\ndata: a\n\ndata: b\n\nevent: lost\n\ndata: c\n\n")
    assert [event.event for event in events] == ["error", "message", "message"]


def test_unknown_fields_and_comments_are_passed_over() -> None:
    assert data(b"foo: bar\n:\n: x\nbaz\ndata: a\n\n") == [b"a"]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_every_line_end_is_one(line_end: bytes) -> None:
    stream = b"data: a\ndata: b\n\n: c\n\ndata: [DONE]\n\n".replace(b"\n", line_end)
    assert data(stream) == [b"a\nb", b"[DONE]"]
    assert data(*(stream[index : index + 1] for index in range(len(stream)))) == [b"a\nb", b"[DONE]"]


def test_a_carriage_return_at_the_end_of_a_piece_does_not_wait_for_the_next() -> None:
    decoder = Decoder()
    assert [event.data for event in decoder.feed(b"data: a\r\r")] == [b"a"]
    assert [event.data for event in decoder.feed(b"\ndata: b\r\n\r\n")] == [b"b"]


def test_a_byte_order_mark_is_taken_off_the_beginning_only() -> None:
    assert data(b"\xef", b"\xbb", b"\xbfdata: a\n\n") == [b"a"]
    assert data(b"data: a\n\n\xef\xbb\xbfdata: b\n\n") == [b"a"]


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_only_line_feeds_and_carriage_returns_end_lines(character: str) -> None:
    text = f'{{"content":"a{character}b"}}'.encode()
    assert data(b"data: " + text + b"\n\n") == [text]


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n", b"\r\n", b"\r\n\r\n"])
def test_the_last_event_needs_no_blank_line(end: bytes) -> None:
    assert data(b"data: a\n\ndata: [DONE]" + end) == [b"a", b"[DONE]"]


def test_a_character_cut_in_two_is_whole_again() -> None:
    text = '{"content":"größe 😀"}'.encode()
    stream = b"data: " + text + b"\n\n"
    for place in range(len(stream)):
        assert data(stream[:place], stream[place:]) == [text]


def test_an_event_without_end_is_refused_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "LONGEST_EVENT", 100)
    decoder = Decoder()
    with pytest.raises(ValueError, match="longer than 100 bytes"):
        [decoder.feed(b"data: endless ") for _ in range(20)]


LINES = st.one_of(
    st.builds(lambda text: b"data: " + json.dumps(text, ensure_ascii=False).encode(), st.text(max_size=8)),
    st.sampled_from(
        [
            b"",
            b"",
            b"data",
            b"data:",
            b":ping",
            b"id: 7",
            b"id",
            b"event: error",
            b"retry: 10",
            b"data:x",
            b"\xff",
        ]
    ),
)
STREAMS = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r\n", b"\r"]))).map(
    lambda lines: b"".join(line + end for line, end in lines)
)


@given(STREAMS, st.lists(st.integers(0, 500), max_size=8))
def test_where_a_stream_is_cut_makes_no_difference(stream: bytes, places: list[int]) -> None:
    assert decode(*cut(stream, places)) == decode(stream)


@given(STREAMS)
def test_a_stream_means_what_the_standard_says(stream: bytes) -> None:
    assert decode(stream) == slowly(stream)


def slowly(stream: bytes) -> list[Event]:
    """The standard's own steps, line by line; with our flush at the end."""
    lines = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    events, buffer, kind, last = [], [], "", ""
    for line in [*lines, b""]:
        name, _, value = line.partition(b":")
        value = value[1:] if value.startswith(b" ") else value
        if not line:
            if buffer:
                events.append(Event(b"\n".join(buffer), kind or "message", last))
            buffer, kind = [], ""
        elif name == b"data":
            buffer.append(value)
        elif name == b"event":
            kind = value.decode()
        elif name == b"id" and b"\0" not in value:
            last = value.decode()
    return events
