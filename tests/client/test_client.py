"""Both clients over a real server on loopback."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from support.loopback import ASSETS, MODEL, Loopback, Reply, answer, delta, problem, stream
from support.sides import KEY, LARGE, SCENE

import nbvlm
from nbvlm.client.flow.events import DetectionFound, Status, TextDelta

if TYPE_CHECKING:
    from collections.abc import Callable

    Open = Callable[..., Any]

BOXES = "<loc0100><loc0200><loc0300><loc0400> cat ; <loc0100><loc0200><loc0300><loc0400> dog"


def test_ask_returns_text_usage_and_what_was_asked(side: Any, server: Loopback) -> None:
    result = side.ask(SCENE, "caption en")
    assert result.text == "a red car"
    assert result.usage.completion_tokens == 12
    assert (result.finish_reason, result.model, result.prompt) == ("stop", "google/paligemma", "caption en")
    assert (result.route, result.picture, result.endpoint) == ("inline", SCENE, "nvidia")
    assert result.request_id == "11111111-2222-3333-4444-555555555555"
    assert dict(result.parameters) == {"temperature": 0.2, "top_p": 0.7, "max_tokens": 1024}
    assert server.paths() == [f"POST {MODEL}"]


def test_the_request_is_as_published(side: Any, server: Loopback) -> None:
    side.ask(SCENE, 'answer en "how" many\ncars?', temperature=0.5, max_tokens=7)
    seen = server.seen[0]
    assert seen.json == {
        "messages": [
            {"role": "user", "content": f'answer en "how" many\ncars? <img src="{SCENE.data_uri()}" />'}
        ],
        "temperature": 0.5,
        "top_p": 0.7,
        "max_tokens": 7,
        "stream": False,
    }
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.headers["accept"] == "application/json"
    assert seen.headers["nvcf-poll-seconds"] == "60"
    assert seen.headers["user-agent"].startswith("nbvlm/")
    assert "nvcf-input-asset-references" not in seen.headers


def test_a_stream_brings_text_and_boxes_as_they_come(side: Any, server: Loopback) -> None:
    server.text = BOXES
    when = []
    stream = side.stream(SCENE, "detect cat ; dog", each=lambda event, s: when.append((event, s.text)))
    texts = [event.text for event, _ in when if isinstance(event, TextDelta)]
    found = [(event.detection.label, so_far) for event, so_far in when if isinstance(event, DetectionFound)]
    assert "".join(texts) == BOXES == stream.result.text == stream.text
    assert [label for label, _ in found] == ["cat", "dog"]
    assert "dog" not in found[0][1]
    assert stream.result.detections.labels == ("cat", "dog")
    assert stream.result.timing.first_token_s <= stream.result.timing.total_s
    assert server.seen[0].headers["accept"] == "text/event-stream"
    assert server.seen[0].json["stream"] is True


def test_a_finished_stream_replays_identically(side: Any, server: Loopback) -> None:
    first: list[Any] = []
    stream = side.stream(SCENE, "caption en", each=lambda event, s: first.append(event))
    assert side.events(stream) == first == list(stream.events)
    assert side.events(stream) == first
    assert len(server.seen) == 1


def test_a_picture_too_large_for_a_request_is_uploaded_used_and_deleted(side: Any, server: Loopback) -> None:
    result = side.ask(LARGE, "caption en")
    create, put, infer, delete = server.seen
    assert result.route == "asset"
    assert result.timing.upload_s > 0
    name = server.deleted[0]
    assert (create.method, create.path, delete.method, delete.path) == (
        "POST", ASSETS, "DELETE", f"{ASSETS}/{name}"
    )  # fmt: skip
    assert put.body == LARGE
    assert put.headers["content-length"] == str(len(LARGE))
    assert put.headers["content-type"] == create.json["contentType"] == "image/png"
    assert put.headers["x-amz-meta-nvcf-asset-description"] == create.json["description"]
    assert "authorization" not in put.headers
    assert infer.headers["nvcf-input-asset-references"] == name
    assert infer.json["messages"][0]["content"] == f'caption en <img src="data:image/png;asset_id,{name}" />'
    assert server.stored == {}
    assert (result.sent.mime, result.sent.bytes) == ("image/png", len(LARGE))
    assert result.timing.bytes_sent > len(LARGE)


def test_a_request_has_our_headers_and_none_of_a_library(side: Any, server: Loopback) -> None:
    side.ask(LARGE, "caption en")
    ours = {"host", "user-agent", "accept", "accept-encoding"}
    asked = {*ours, "authorization", "content-type", "content-length"}
    create, put, infer, delete = ({name.lower() for name in seen.headers} for seen in server.seen)
    assert create == asked
    assert put == {*ours, "content-type", "content-length", "x-amz-meta-nvcf-asset-description"}
    assert infer == {*asked, "nvcf-poll-seconds", "nvcf-input-asset-references"}
    assert delete - {"content-length"} == {*ours, "authorization"}  # aiohttp says that there is no body
    assert {seen.headers["accept-encoding"] for seen in server.seen} == {"identity"}


def test_the_limit_is_on_the_base64_text(open_side: Open, server: Loopback) -> None:
    side = open_side()
    for size, route in ((134_997, "inline"), (135_000, "asset")):
        result = side.ask(png_of(size), "caption en")
        assert result.route == route, size


def png_of(size: int) -> bytes:
    """A valid PNG of exactly so many bytes: a text chunk fills it up."""
    import struct
    import zlib

    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    data = file.getvalue()
    body = b"tEXt" + b"Comment\0" + b"x" * (size - len(data) - 12 - 8)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[:33] + chunk + data[33:]


def test_route_inline_shrinks_and_says_so(side: Any, server: Loopback) -> None:
    result = side.ask(LARGE, "caption en", route="inline")
    assert result.route == "inline"
    assert result.sent.bytes * 4 / 3 < 180_000
    assert any("Shrunk" in notice for notice in result.notices)
    assert (result.picture.width, result.picture.height) == (400, 400)
    assert len(server.seen) == 1


def test_route_asset_uploads_a_small_picture(side: Any, server: Loopback) -> None:
    assert side.ask(SCENE, "caption en", route="asset").route == "asset"
    assert len(server.deleted) == 1


@pytest.mark.parametrize("status", [404, 410, 500, 503])
def test_when_the_asset_service_is_gone_the_picture_is_shrunk_with_a_notice(
    side: Any, server: Loopback, status: int
) -> None:
    server.asset_replies.extend([problem(status, "gone")] * 9)
    result = side.ask(LARGE, "caption en")
    assert result.route == "inline"
    assert any("asset service" in notice for notice in result.notices)


def test_an_asset_is_kept_and_used_again(side: Any, server: Loopback) -> None:
    statuses: list[Status] = []
    asset = side.call("assets.upload", LARGE, progress=statuses.append)
    assert [side.ask(asset, "caption en").route for _ in range(2)] == ["asset", "asset"]
    assert side.call("assets.list") == (nbvlm.Asset(asset.id),)
    assert server.deleted == []
    assert (statuses[0].done, statuses[-1].done, statuses[-1].total) == (0, len(LARGE), len(LARGE))
    side.call("assets.delete", asset)
    side.call("assets.delete", asset.id)
    assert server.stored == {}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, nbvlm.RequestRejected),
        (401, nbvlm.AuthenticationError),
        (402, nbvlm.QuotaError),
        (403, nbvlm.AuthenticationError),
        (404, nbvlm.NotFoundError),
        (410, nbvlm.NotFoundError),
        (422, nbvlm.RequestRejected),
        (429, nbvlm.RateLimitError),
        (500, nbvlm.ServerError),
        (504, nbvlm.ServerError),
    ],
)
def test_a_status_becomes_its_error(
    side: Any, server: Loopback, status: int, kind: type[nbvlm.Error]
) -> None:
    server.replies.extend([problem(status, "the reason", nvcf_reqid="r-1")] * 20)
    for method in (side.ask, side.stream):
        with pytest.raises(kind, match="the reason") as caught:
            method(SCENE, "caption en")
        assert (caught.value.status, caught.value.request_id) == (status, "r-1")
        assert caught.value.hint


def test_a_failure_before_the_answer_is_tried_again(side: Any, server: Loopback) -> None:
    server.replies.extend([problem(503), Reply(refuse=True), problem(429)])
    statuses: list[Status] = []
    assert side.ask(SCENE, "caption en", progress=statuses.append).text == "a red car"
    assert len(server.seen) == 4
    assert [status.kind for status in statuses] == ["waiting", "retry", "retry", "retry"]


def test_nothing_is_tried_again_after_the_first_byte(side: Any, server: Loopback) -> None:
    server.replies.append(stream("a red", done=False, cut=True))
    with pytest.raises(nbvlm.TruncatedStream) as caught:
        side.stream(SCENE, "caption en")
    assert caught.value.text == "a red"
    assert len(server.seen) == 1


def test_an_uploaded_picture_is_deleted_after_an_error(side: Any, server: Loopback) -> None:
    server.replies.append(problem(422, "no"))
    with pytest.raises(nbvlm.RequestRejected):
        side.stream(LARGE, "caption en")
    assert (len(server.deleted), server.stored) == (1, {})


def test_leaving_early_closes_the_connection_and_deletes_the_upload(side: Any, server: Loopback) -> None:
    server.replies.append(stream("a red", " car", delta("", None), done=False, hold=True))
    stopped = side.stream(LARGE, "caption en", each=lambda event, s: isinstance(event, TextDelta))
    assert stopped.text == "a red"
    with pytest.raises(nbvlm.Error, match="stopped"):
        _ = stopped.result
    assert server.wait_for(lambda: len(server.deleted) == 1)
    assert server.stored == {}


def test_twenty_streams_open_one_connection(side: Any, server: Loopback) -> None:
    for _ in range(20):
        side.stream(SCENE, "caption en")
    assert server.connections == 1


def test_an_answer_cut_at_max_tokens_is_noticed(side: Any, server: Loopback) -> None:
    server.replies.append(answer("a red", "length"))
    assert any("max_tokens=7" in notice for notice in side.ask(SCENE, "caption en", max_tokens=7).notices)


def test_an_unknown_keyword_names_the_nearest(side: Any, server: Loopback) -> None:
    for method in (side.ask, side.stream):
        with pytest.raises(TypeError, match="Did you mean 'temperature'"):
            method(SCENE, "caption en", temprature=0.3)
    assert server.seen == []
