"""What a panel does not offer is refused in Python, whatever its page sends."""

from __future__ import annotations

import base64
import io
import os
from typing import TYPE_CHECKING, Any

import pytest
import traitlets
from PIL import Image
from support import made_results as made
from support.loopback import problem
from support.panel_page import Page, Screen

import nbvlm
from nbvlm.widgets.offers import CLOSED, NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.loopback import Loopback


def png(color: str = "teal") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), color).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def make(page: Page, server: Loopback) -> Iterator[Callable[..., nbvlm.Panel]]:
    panels: list[nbvlm.Panel] = []

    def make(**options: Any) -> nbvlm.Panel:
        client = nbvlm.Client("nvidia", api_key="nvapi-not-a-key", base_url=server.url)
        panels.append(nbvlm.Panel(made.image(), "detect car", client=client, **options))
        return panels[-1]

    yield make
    for panel in panels:
        panel.close()


def send(page: Page, panel: nbvlm.Panel, kind: str, **more: Any) -> None:
    page.send(panel._controller.picker, {"type": kind, **more})


ADDRESS = f"data:image/png;base64,{base64.b64encode(png()).decode()}"


def asks(page: Page, panel: nbvlm.Panel) -> dict[str, Callable[[], Any]]:
    """Return a message of the page for each name."""
    parts = panel._controller
    return {
        "samples": lambda: send(page, panel, "choose", index=1),
        "upload": lambda: page.upload(panel, "cat.png", png()),
        "link": lambda: send(page, panel, "open", place=ADDRESS),
        "path": lambda: send(page, panel, "open", place="cat.png"),
        "models": lambda: page.send(parts.choice._list, {"type": "model", "choice": "demo"}),
        "server": lambda: page.send(
            parts.choice._form_page, {"type": "connect", "url": "http://127.0.0.1:1/v1", "model": "m"}
        ),
        "key": lambda: page.key(panel, "nvapi-another-key"),
        "sweep": lambda: page.send(
            parts.sweeps.grid,
            {"type": "start", "prompts": ["caption en"], "temperatures": None, "repeats": 1},
        ),
        "exports": lambda: page.send(
            parts.answers.export_menu, {"type": "make", "format": "json", "id": "1"}
        ),
    }


def state(panel: nbvlm.Panel, server: Loopback) -> Any:
    parts = panel._controller
    return (
        panel.image, panel.prompt, panel.endpoint, parts.connection.choice, parts.connection.settings,
        panel.sweep, len(server.seen),
    )  # fmt: skip


def test_every_message_for_what_is_not_offered_is_refused(
    page: Page, make: Callable[..., nbvlm.Panel], server: Loopback
) -> None:
    panel = make(allow=[])
    panel.run()
    screen, before = Screen(page, panel), state(panel, server)
    assert panel.allow == ()
    for name, ask in asks(page, panel).items():
        panel._controller.error_card.clear()
        replies = ask()
        assert screen.error is not None, name
        assert "This panel does not offer" in screen.sentence, name
        assert screen.error["title"] == "This is not offered"
        assert screen.error["actions"] == []
        if name == "upload":
            assert {reply["type"] for reply in replies} == {"refused"}
    for message in (
        {"type": "models", "url": server.url},
        {"type": "local"},
        {"type": "play", "path": "x.json"},
    ):
        panel._controller.error_card.clear()
        page.send(panel._controller.choice._form_page, message)
        assert "This panel does not offer" in screen.sentence
    assert state(panel, server) == before


def test_what_is_offered_works_beside_it(page: Page, make: Callable[..., nbvlm.Panel]) -> None:
    panel = make(allow=["camera"])
    page.upload(panel, "webcam.jpg", png())
    page.wait_until(lambda: panel.image.name == "webcam.jpg")
    assert panel._controller.picker._page.offered == ["camera"]
    assert panel.run_sweep(["caption en"]) is not None  # Python may


def test_the_page_lists_only_the_models_that_are_offered(
    page: Page, make: Callable[..., nbvlm.Panel]
) -> None:
    panel = make(allow={"models": ["demo"]})
    shown = panel._controller.choice._list
    assert {one["value"] for one in shown.choices} == {panel.endpoint.name, "demo"}
    page.send(shown, {"type": "model", "choice": "nvidia/nemotron-parse"})
    assert panel.endpoint.name != "nvidia/nemotron-parse"
    page.send(shown, {"type": "model", "choice": "demo"})
    assert panel.endpoint.name == "demo"
    assert [one["value"] for one in make(allow=["samples"])._controller.choice._list.choices] == [
        panel._controller.connection._own
    ]


def test_voilas_visitors_find_no_path_no_key_and_no_server(
    page: Page, make: Callable[..., nbvlm.Panel], monkeypatch: pytest.MonkeyPatch, server: Loopback
) -> None:
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5.13")
    panel = make()
    screen = Screen(page, panel)
    shown = panel._controller.choice._list
    assert {"path", "key", "server"}.isdisjoint(panel.allow)
    assert shown.key == {"state": "none", "text": ""}
    assert {one["value"] for one in shown.choices} == {panel._controller.connection.choice, "demo"}
    assert all("127.0.0.1" not in one["label"] for one in shown.choices)
    assert not panel._controller.toolbar.hideable
    for place in ("/etc/hostname", "file:///etc/hostname", "http:/etc/hostname", "~/x.png", "cat.png"):
        panel._controller.error_card.clear()
        send(page, panel, "open", place=place)
        assert "does not offer paths on the server" in screen.sentence
    send(page, panel, "open", place="http://127.0.0.1:1/cat.png")
    page.wait(lambda: "private network" in screen.sentence)
    server.replies.append(problem(401, "unknown"))
    with pytest.raises(nbvlm.AuthenticationError):
        panel.run()
    assert "key" not in {action["id"] for action in screen.error["actions"]}
    assert "127.0.0.1" not in str(screen.error["details"])
    asked = [content for content, _ in page.custom(panel._controller.choice._key_page)]
    assert {"type": "open", "again": True} not in asked


# Folders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of pictures beside a secret one, with links that lead out of it."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key.png").write_bytes(png("red"))
    folder = tmp_path / "lesson"
    (folder / "cats").mkdir(parents=True)
    (folder / "cats" / "cat.png").write_bytes(png())
    (folder / "inner.png").symlink_to(folder / "cats" / "cat.png")
    (folder / "out.png").symlink_to(secret / "key.png")
    (folder / "outside").symlink_to(secret)
    (folder / "round").symlink_to(folder / "round")
    return folder


@pytest.mark.parametrize(
    "place",
    [
        "../secret/key.png", "cats/../../secret/key.png", "cats\\..\\..\\secret\\key.png", "~/key.png",
        "~root/key.png", "/etc/hostname", "out.png", "outside/key.png", "outside/../cats/cat.png", "round",
        "file:///etc/hostname", "\0", "a" * 5000, "..", "./../secret",
        "{secret}/key.png", "{folder}/cats/cat.png",
    ],
)  # fmt: skip
def test_a_path_that_leads_out_of_the_folder_is_refused(
    page: Page, make: Callable[..., nbvlm.Panel], folder: Path, place: str
) -> None:
    panel = make(paths=folder)
    screen, before = Screen(page, panel), panel.image
    place = place.format(secret=folder.parent / "secret", folder=folder)
    send(page, panel, "open", place=place)
    assert screen.error is not None
    # A long name and one with a scheme are names inside the folder, and there is no such file.
    inside = (len(place) > 100 and place.startswith("aaa")) or place.startswith("file:")
    words = "does not exist." if inside else "is not in the folder of pictures that is offered here."
    assert screen.error["message"].endswith(words)
    assert str(folder.parent) in place or str(folder.parent) not in screen.error["message"]
    send(page, panel, "complete", text=place)
    page.wait(lambda: completions(page, panel) is not None)
    assert completions(page, panel) == []
    assert panel.image is before
    page.send(panel._controller.choice._form_page, {"type": "play", "path": place})
    words = [m["words"] for m, _ in page.custom(panel._controller.choice._form_page)]
    assert words
    assert panel._controller.connection.choice == panel._controller.connection._own


def completions(page: Page, panel: nbvlm.Panel) -> list[str] | None:
    sent = [content for content, _ in page.custom(panel._controller.picker)]
    return next((one["places"] for one in reversed(sent) if one["type"] == "completions"), None)


def test_the_pictures_of_the_folder_are_listed_and_opened(
    page: Page, make: Callable[..., nbvlm.Panel], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5.13")
    panel = make(paths=folder)
    assert "path" in panel.allow
    send(page, panel, "complete", text="")
    page.wait(lambda: completions(page, panel))
    assert completions(page, panel) == ["cats/", "inner.png"]
    send(page, panel, "complete", text="cats/c")
    page.wait(lambda: completions(page, panel) == ["cats/cat.png"])
    for place in ("cats/cat.png", "inner.png"):
        send(page, panel, "open", place=place)
        page.wait_until(lambda: panel.image.data == png())
        panel.image = made.image()


def test_a_folder_that_is_a_link_itself(
    page: Page, make: Callable[..., nbvlm.Panel], folder: Path, tmp_path: Path
) -> None:
    link = tmp_path / "pictures"
    link.symlink_to(folder)
    panel = make(paths=os.fspath(link))
    send(page, panel, "open", place="cats/cat.png")
    page.wait_until(lambda: panel.image.name == "cat.png")


# The lock, and the screen of a teacher


def test_lock_closes_an_open_panel(page: Page, make: Callable[..., nbvlm.Panel], folder: Path) -> None:
    panel = make()
    assert panel.allow == NAMES
    seen: list[Any] = []
    panel.observe(lambda change: seen.append(change.new), "allow")
    panel.lock()
    assert {"path", "key", "server"}.isdisjoint(panel.allow)
    assert seen == [panel.allow]
    assert panel._controller.choice._list.offered == list(panel.allow)
    panel.lock(["samples"], paths=folder)
    assert panel.allow == ("samples", "path")
    send(page, panel, "open", place="../secret/key.png")
    assert "not in the folder" in Screen(page, panel).sentence
    panel.allow = "all"
    assert panel.allow == NAMES
    with pytest.raises(nbvlm.Error, match="is not a name for allow"):
        panel.allow = ["nonsense"]
    with pytest.raises(traitlets.TraitError):
        panel.allow = 5
    assert panel.allow == NAMES


def offered(panel: nbvlm.Panel) -> Any:
    """What the panel offers, and what each message for it brings about."""
    offer = panel._controller.offer
    return offer, panel.allow, panel._controller.choice.models


@pytest.mark.parametrize(
    "given",
    [None, "all", ["samples", "path"], {"models": ["demo"], "sweep": False}, [], {"models": False}, "lock"],
)
@pytest.mark.parametrize("hidden", [False, True])
def test_what_is_offered_can_be_set_again(make: Callable[..., nbvlm.Panel], given: Any, hidden: bool) -> None:
    panel = make() if given == "lock" else make(allow=given)
    if given == "lock":
        panel.lock()
    before = offered(panel)
    panel.hidden_for_class = hidden
    panel.allow = panel.allow
    panel.allow = None
    other = traitlets.HasTraits()
    other.add_traits(allow=traitlets.Any(panel.allow))
    traitlets.link((other, "allow"), (panel, "allow"))
    panel.hidden_for_class = False
    assert offered(panel) == before
    assert other.allow == panel.allow


def test_a_setting_opens_only_what_it_names(make: Callable[..., nbvlm.Panel], folder: Path) -> None:
    panel = make()
    panel.lock()
    panel.allow = {"sweep": False}
    assert panel.allow == tuple(name for name in CLOSED if name != "sweep")
    assert panel._controller.choice.models == ["demo"]
    panel.allow = ["samples", "models"]
    assert (panel.allow, panel._controller.choice.models) == (("samples", "models"), ["demo"])
    panel.allow = {"key": True}
    assert panel.allow == ("samples", "models", "key")
    panel.allow = {"models": True}
    assert "nvidia" in panel._controller.choice.models
    assert panel._controller.offer.masks  # folders stay out of messages
    panel.lock(["samples"], paths=folder)
    panel.allow = {"samples": False, "upload": True}
    assert panel.allow == ("upload", "path")
    panel.allow = "all"
    assert (panel.allow, panel._controller.offer.folder) == (NAMES, folder)


def test_a_lock_leaves_the_screen_hidden(make: Callable[..., nbvlm.Panel]) -> None:
    panel = make()
    panel.hide_for_class()
    panel.lock(["samples", "key"])
    assert (panel.hidden_for_class, panel.allow) == (True, ("samples",))
    panel.hide_for_class(False)
    assert panel.allow == ("samples", "key")


def test_hide_for_class(page: Page, make: Callable[..., nbvlm.Panel], tmp_path: Path) -> None:
    panel = make()
    screen, parts = Screen(page, panel), panel._controller
    assert parts.choice._list.key["text"]
    send(page, panel, "open", place=str(tmp_path / "nowhere" / "cat.png"))
    assert str(tmp_path) in screen.sentence
    page.send(parts.toolbar, {"type": "hide", "hidden": True})  # the button
    assert panel.hidden_for_class
    assert (parts.toolbar.hidden, parts.choice._list.key["text"]) == (True, "")
    assert str(tmp_path) not in str(screen.error)
    assert {"path", "key"}.isdisjoint(panel.allow)
    for name in ("path", "key"):
        parts.error_card.clear()
        asks(page, panel)[name]()
        assert "This panel does not offer" in screen.sentence
    panel.hide_for_class(False)
    assert panel.allow == NAMES
    assert parts.choice._list.key["text"]
    with pytest.raises(traitlets.TraitError):
        panel.hidden_for_class = "yes"


def test_a_page_made_public_stays_without_folders(
    page: Page, make: Callable[..., nbvlm.Panel], tmp_path: Path
) -> None:
    panel = make()
    panel.lock()
    page.send(panel._controller.toolbar, {"type": "hide", "hidden": True})
    page.send(panel._controller.toolbar, {"type": "hide", "hidden": False})
    panel._controller.complain(nbvlm.ImageError(f"There is no folder '{tmp_path}'."))
    assert Screen(page, panel).error["message"] == "There is no folder '…'."
    assert "path" not in panel.allow
