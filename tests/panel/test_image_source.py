"""Sources of pictures, their routes, and the errors for everything else."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from support.panel_page import Page, Screen

import nbvlm
from nbvlm import endpoints
from nbvlm.client import Retry
from nbvlm.images import paths
from nbvlm.images.picture import Picture
from nbvlm.widgets import status_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.loopback import Loopback

NVIDIA, DEMO = endpoints.get("nvidia"), endpoints.get("demo")
SERVER = endpoints.openai("http://127.0.0.1:9/v1", "m")


@pytest.fixture
def panel(page: Page, server: Loopback) -> Iterator[nbvlm.Panel]:
    panel = nbvlm.Panel(client=nbvlm.Client("nvidia", api_key="k", base_url=server.url, retry=Retry.never()))
    yield panel
    panel.close()


def png(size: tuple[int, int] = (40, 30)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "teal").save(buffer, "PNG")
    return buffer.getvalue()


def noise(size: tuple[int, int] = (700, 700)) -> Picture:
    return Picture.load(Image.effect_noise(size, 90).convert("RGB"), name="noise.png")


def chosen(page: Page, panel: nbvlm.Panel) -> dict[str, Any]:
    messages = [content for content, _ in page.custom(panel._controller.picker)]
    return next(message for message in reversed(messages) if message["type"] == "chosen")


def send(page: Page, panel: nbvlm.Panel, kind: str, **more: Any) -> None:
    page.send(panel._controller.picker, {"type": kind, **more})


# Addresses and paths


def test_a_path_on_the_server_is_opened(page: Page, panel: nbvlm.Panel, tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(png())
    send(page, panel, "open", place=f" {tmp_path}/cat.png ")
    page.wait(lambda: chosen(page, panel)["name"] == "cat.png")
    assert panel.image.data == png()
    assert panel.run().text == "a red car"


def test_an_address_is_fetched_in_the_kernel(page: Page, panel: nbvlm.Panel) -> None:
    address = f"data:image/png;base64,{base64.b64encode(png((7, 5))).decode()}"
    send(page, panel, "open", place=address)

    def opening() -> list[str]:
        return [m["name"] for m, _ in page.custom(panel._controller.picker) if m["type"] == "opening"]

    page.wait(lambda: opening() == ["picture", ""])
    assert chosen(page, panel)["detail"].startswith("7 × 5 px")


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("", "The address or path is empty."),
        ("nowhere/cat.png", "The file 'nowhere/cat.png' does not exist on the server."),
        (".", "The folder '.' contains no picture."),
        ("http://127.0.0.1:1/secret/cat.png?token=s3cret", "leads to a private network"),
        ("ftp://example.org/cat.png", "ftp"),
    ],
)
def test_a_place_that_leads_nowhere_is_one_sentence(
    page: Page, panel: nbvlm.Panel, place: str, words: str
) -> None:
    screen, before = Screen(page, panel), panel.image
    send(page, panel, "open", place=place)
    page.wait(lambda: screen.error is not None)
    assert words in screen.error["message"]
    assert screen.error["hint"]
    assert panel.image is before
    assert "s3cret" not in repr([content for content, _ in page.custom(panel._controller.error_card)])


def test_the_last_place_wins_and_a_cancelled_one_changes_nothing(
    page: Page, panel: nbvlm.Panel, tmp_path: Path
) -> None:
    (tmp_path / "one.png").write_bytes(png())
    (tmp_path / "two.png").write_bytes(png())
    for name in ("one.png", "two.png"):
        send(page, panel, "open", place=str(tmp_path / name))
    page.wait(lambda: chosen(page, panel)["name"] == "two.png")
    send(page, panel, "open", place=str(tmp_path / "one.png"))
    send(page, panel, "cancel-open")
    send(page, panel, "choose", index=1)
    assert chosen(page, panel)["index"] == 1


def test_paths_are_completed_folders_first_pictures_only(tmp_path: Path) -> None:
    (tmp_path / "cats").mkdir()
    (tmp_path / ".hidden").mkdir()
    for name in ("car.PNG", "cable.jpeg", "notes.txt", "dog.webp"):
        (tmp_path / name).touch()
    folder = str(tmp_path)
    assert paths.completions(f"{folder}/ca") == [
        f"{folder}/cats/",
        f"{folder}/cable.jpeg",
        f"{folder}/car.PNG",
    ]
    assert len(paths.completions(f"{folder}/")) == 4
    assert paths.completions("https://example.org/ca") == []
    assert paths.completions(f"{folder}/nowhere/x") == []


def test_completions_come_by_message(page: Page, panel: nbvlm.Panel, tmp_path: Path) -> None:
    (tmp_path / "cat.png").touch()
    send(page, panel, "complete", text=f"{tmp_path}/c")
    page.wait(lambda: any(m["type"] == "completions" for m, _ in page.custom(panel._controller.picker)))
    assert page.custom(panel._controller.picker)[-1][0]["places"] == [f"{tmp_path}/cat.png"]


# How it will travel


@pytest.mark.parametrize(
    ("endpoint", "route", "words"),
    [
        (NVIDIA, "auto", "uploaded as an asset, then deleted"),
        (NVIDIA, "asset", "uploaded as an asset, then deleted"),
        (NVIDIA, "inline", "shrunk from 700 × 700 ("),
        (SERVER, "auto", "travels inline, as it is"),
        (replace(NVIDIA, inline_limit=0), "auto", "uploaded as an asset"),
    ],
)
def test_a_large_picture_travels_as_route_and_model_want(
    endpoint: endpoints.Endpoint, route: str, words: str
) -> None:
    assert status_text.route_text(noise(), endpoint, route).startswith(words)


def test_a_small_picture_travels_as_it_is_unless_an_asset_is_wanted() -> None:
    picture = Picture.load(png())
    assert status_text.route_text(picture, NVIDIA, "auto") == status_text.route_text(
        picture, NVIDIA, "inline"
    )
    assert status_text.route_text(picture, NVIDIA, "asset").startswith("uploaded")
    assert status_text.is_route_known(picture, NVIDIA, "inline")
    assert not status_text.is_route_known(noise(), NVIDIA, "inline")


def test_models_offer_the_routes_that_they_know() -> None:
    assert status_text.routes_of(NVIDIA) == status_text.routes_of(DEMO) == ("auto", "inline", "asset")
    assert status_text.routes_of(SERVER) == ("auto", "inline")
    assert status_text.routes_of(replace(NVIDIA, inline_limit=0)) == ("auto", "asset")


def test_the_chosen_route_is_shown_and_used(page: Page, panel: nbvlm.Panel, server: Loopback) -> None:
    panel.image = noise()
    assert chosen(page, panel)["way"] == "uploaded as an asset, then deleted"
    send(page, panel, "route", route="inline")
    page.wait(lambda: chosen(page, panel)["way"].startswith("shrunk from 700 × 700"))
    result = panel.run()
    assert result.route == "inline"
    size = f"{result.sent.width} × {result.sent.height}"
    assert f"to {size} (" in chosen(page, panel)["way"]
    send(page, panel, "route", route="asset")
    assert panel.run().route == "asset"
    assert server.deleted


def test_a_route_that_the_model_does_not_know_is_ignored(page: Page, panel: nbvlm.Panel) -> None:
    send(page, panel, "route", route="pigeon")
    assert panel._controller.picker.route == "auto"


def test_another_model_takes_back_a_route_that_it_lacks(page: Page, panel: nbvlm.Panel) -> None:
    send(page, panel, "route", route="asset")
    panel._controller.connection.connect("http://127.0.0.1:9/v1", "m")
    panel._controller.serve()
    sent = chosen(page, panel)
    assert (sent["route"], sent["routes"], sent["way"]) == (
        "auto",
        ["auto", "inline"],
        "travels inline, as it is",
    )


# The chosen one


def test_the_chosen_picture_comes_with_a_thumbnail(page: Page, panel: nbvlm.Panel) -> None:
    panel.image = png((900, 300))
    content, buffers = page.custom(panel._controller.picker)[-1]
    assert content["detail"].startswith("900 × 300 px · ")
    assert Image.open(io.BytesIO(buffers[0])).size == (96, 32)


def test_reset_really_resets_and_the_same_file_can_come_again(
    page: Page, panel: nbvlm.Panel, server: Loopback
) -> None:
    page.upload(panel, "cat.png", png())
    page.wait(lambda: chosen(page, panel)["name"] == "cat.png")
    send(page, panel, "route", route="asset")
    send(page, panel, "reset")
    assert panel.image is None
    assert (chosen(page, panel)["name"], chosen(page, panel)["route"]) == ("No picture chosen", "auto")
    assert Screen(page, panel).state == "empty"
    page.upload(panel, "cat.png", png(), key=2)
    page.wait(lambda: chosen(page, panel)["name"] == "cat.png")
    assert panel.run().route == "inline"


def test_what_was_typed_is_kept_when_a_sample_is_chosen_at_once(page: Page, panel: nbvlm.Panel) -> None:
    edition = panel._controller.toolbar.edition
    send(page, panel, "choose", index=1, fields={"prompt": "detect my own thing", "edition": edition})
    assert panel.prompt == "detect my own thing"
