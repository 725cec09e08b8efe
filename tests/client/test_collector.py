"""Boxes come with the piece of text that completes them, though the parser is not asked for each piece."""

from __future__ import annotations

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from nbvlm import endpoints
from nbvlm.client.flow.collector import ResponseCollector
from nbvlm.client.flow.events import DetectionFound, TextDelta
from nbvlm.client.sse import Event
from nbvlm.grounding.parser import Parser

ENDPOINT = endpoints.get("nvidia")
SIZE = (640, 480)
PIECES = st.sampled_from(
    [
        *("<loc0100>", "<loc0200>", "<loc0300>", "<loc0400>") * 3,
        *(" cat", " ;", ";", " ", " ; ", "<eos>", "<seg001>", "dog ", "a<b", "> ", ";<loc0001>"),
        *("<loc", "0500>", " <loc0100>", "<loc0100><loc0200>", "<loc0100><loc0200><loc0300><loc0400> cat ; "),
    ]
)


def chunk(text: str) -> Event:
    return Event(json.dumps({"choices": [{"delta": {"content": text}}]}).encode())


FOUR = ["<loc0100>", "<loc0200>", "<loc0300>", "<loc0400>"]


@settings(max_examples=400)
@example([*FOUR, "0500>", "<loc0100>"], "detect cat")
@example([*FOUR, "<seg001>", "<loc0100>"], "segment cat")
@example([*FOUR, ">", "<loc0100>"], "detect cat")
@example([";", *FOUR, "<loc01x0>", "<loc0100>"], "detect cat")
@example([*FOUR, "<loc0100>"], "caption <loc0100><loc0200><loc0300><loc0400>")
@given(st.lists(PIECES, max_size=24), st.sampled_from(["detect cat", "detect cat ; dog", "caption en"]))
def test_boxes_come_when_they_are_complete(pieces: list[str], prompt: str) -> None:
    collector = ResponseCollector(ENDPOINT, SIZE, prompt)
    parser = Parser(SIZE, prompt=prompt, bins=ENDPOINT.bins, codebook=ENDPOINT.codebook)
    for piece in pieces:
        expected = [TextDelta(piece), *map(DetectionFound, parser.feed(piece))]
        assert collector.take([chunk(piece)]) == expected
    assert collector.close() == list(map(DetectionFound, parser.close()))
    assert collector.text == "".join(pieces)
    assert collector.parser.problems == parser.problems
    assert collector.parser.has_locations == parser.has_locations


@given(st.lists(st.lists(PIECES, max_size=6), max_size=6))
def test_events_that_come_together_mean_what_they_mean_one_by_one(batches: list[list[str]]) -> None:
    together, single = (ResponseCollector(ENDPOINT, SIZE, "detect cat") for _ in range(2))
    for batch in batches:
        events = together.take([chunk(piece) for piece in batch])
        assert events == [event for piece in batch for event in single.take([chunk(piece)])]


def test_done_ends_an_answer_and_nothing_after_it_counts() -> None:
    collector = ResponseCollector(ENDPOINT, SIZE, "caption en")
    assert collector.take([chunk("a"), Event(b"[DONE]"), chunk("b")]) == [TextDelta("a")]
    assert collector.done
