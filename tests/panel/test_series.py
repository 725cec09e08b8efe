"""Several pictures in the panel: a folder, dropped files, questions about all; and private addresses."""

from __future__ import annotations

import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from support.panel_page import Page, Screen

import nbvlm
from nbvlm.client import Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.loopback import Loopback


@pytest.fixture
def make(page: Page, server: Loopback) -> Iterator[Callable[..., nbvlm.Panel]]:
    made: list[nbvlm.Panel] = []

    def panel(**options: Any) -> nbvlm.Panel:
        client = nbvlm.Client("nvidia", api_key="k", base_url=server.url, retry=Retry.never())
        made.append(nbvlm.Panel(client=client, **options))
        return made[-1]

    yield panel
    for one in made:
        one.close()


def png(color: str = "teal") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), color).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of three pictures and a damaged one, beside a secret one to which a link leads."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key.png").write_bytes(png("red"))
    folder = tmp_path / "lesson"
    folder.mkdir()
    for name in ("p1.png", "p2.png", "p10.png"):
        (folder / name).write_bytes(png())
    (folder / "p3.png").write_bytes(png()[:40])
    (folder / "notes.txt").write_text("no picture")
    (folder / "out.png").symlink_to(tmp_path / "secret" / "key.png")
    return folder


def bar(page: Page, panel: nbvlm.Panel, kind: str = "series") -> dict[str, Any]:
    sent = [one for one, _ in page.custom(panel._controller.picker.bar) if one["type"] == kind]
    return sent[-1] if sent else {"names": [], "index": None}


def send(page: Page, panel: nbvlm.Panel, kind: str, **more: Any) -> None:
    picker = panel._controller.picker
    page.send(picker._page if kind == "open" else picker.bar, {"type": kind, **more})


def test_a_folder_is_opened_at_its_first_picture_and_walked(
    page: Page, make: Callable[..., nbvlm.Panel], folder: Path
) -> None:
    panel = make()
    send(page, panel, "open", place=str(folder))
    page.wait_until(lambda: panel.image.name == "out.png")  # "o" stands before "p"
    assert bar(page, panel)["names"] == ["out.png", "p1.png", "p2.png", "p3.png", "p10.png"]
    assert (bar(page, panel)["title"], bar(page, panel)["index"]) == ("lesson", 0)
    send(page, panel, "pick", index=4)
    page.wait_until(lambda: panel.image.name == "p10.png")
    assert bar(page, panel)["index"] == 4
    send(page, panel, "pick", index=3)  # which is damaged: the bar goes on from there
    page.wait(lambda: "p3.png" in Screen(page, panel).sentence)
    assert (panel.image.name, bar(page, panel)["index"]) == ("p10.png", 3)
    send(page, panel, "leave")
    assert bar(page, panel)["names"] == []
    assert panel.image.name == "p10.png"


def test_a_folder_within_the_offered_one_shows_no_picture_from_outside(
    page: Page, make: Callable[..., nbvlm.Panel], folder: Path
) -> None:
    panel = make(paths=folder)
    send(page, panel, "open", place=".")
    page.wait_until(lambda: panel.image.name == "p1.png")
    assert bar(page, panel)["names"] == ["p1.png", "p2.png", "p3.png", "p10.png"]
    for place in ("..", "../secret", str(folder.parent / "secret")):
        panel._controller.error_card.clear()
        send(page, panel, "open", place=place)
        assert "not in the folder" in Screen(page, panel).sentence
    assert str(folder.parent) not in repr(page.custom(panel._controller.picker.bar))


def test_a_folder_without_pictures_and_one_that_is_closed_say_so(
    page: Page, make: Callable[..., nbvlm.Panel], tmp_path: Path
) -> None:
    panel = make()
    send(page, panel, "open", place=str(tmp_path))
    page.wait(lambda: "contains no picture." in Screen(page, panel).sentence)
    assert bar(page, panel)["names"] == []
    send(page, panel, "pick", index=0)  # of a page that lags behind
    assert panel.image is not None


def test_all_pictures_are_asked_about_and_make_a_table(
    page: Page, make: Callable[..., nbvlm.Panel], folder: Path, server: Loopback
) -> None:
    server.text = "a teal {wall}"
    panel = make(paths=folder)
    changes: list[Any] = []
    panel.observe(lambda change: changes.append(change.new), "table")
    send(page, panel, "open", place=".")
    page.wait_until(lambda: panel.image.name == "p1.png")
    panel.prompt = "caption {en}"
    send(page, panel, "ask-all")
    page.wait_until(lambda: changes)
    table = panel.table
    assert list(table.text.fillna("")) == ["a teal {wall}", "a teal {wall}", "", "a teal {wall}"]
    assert table.prompt[0] == "caption {en}"
    assert table.error[2].startswith("ImageError: 'p3.png' is a truncated PNG")
    assert bar(page, panel, "asked")["words"] == "3 answers, 1 error. Their table: panel.table"
    page.wait_until(lambda: panel.result is not None)  # that of the picture on the screen
    asked = len(server.seen)
    send(page, panel, "pick", index=3)
    page.wait_until(lambda: panel.image.name == "p10.png" and panel.result is not None)
    assert panel.result.picture is panel.image
    assert len(server.seen) == asked
    panel.prompt = "another question"
    send(page, panel, "pick", index=1)
    page.wait_until(lambda: panel.image.name == "p2.png")
    assert panel.result is None
    assert panel.prompt == "another question"
    send(page, panel, "cell")
    assert bar(page, panel, "cell")["code"] == "table = panel.table\ntable"


def test_what_ends_a_batch_is_on_the_card_and_the_rest_is_in_the_table(
    page: Page, make: Callable[..., nbvlm.Panel], folder: Path, server: Loopback
) -> None:
    from support.loopback import problem

    panel = make(paths=folder)
    send(page, panel, "open", place=".")
    page.wait_until(lambda: panel.image.name == "p1.png")
    server.replies += [problem(401, "unknown key")] * 4
    send(page, panel, "ask-all")
    page.wait_until(lambda: panel.table is not None)
    page.wait(lambda: "refused" in Screen(page, panel).sentence)
    assert "ended" in bar(page, panel, "asked")["words"]


def test_questions_about_all_need_sweeps_to_be_offered(
    page: Page, make: Callable[..., nbvlm.Panel], folder: Path, server: Loopback
) -> None:
    panel = make(allow=["path"], paths=folder)
    send(page, panel, "open", place=".")
    page.wait_until(lambda: panel.image.name == "p1.png")
    send(page, panel, "ask-all")
    assert "does not offer" in Screen(page, panel).sentence
    assert server.seen == []


def test_several_files_are_kept_at_hand_and_one_alone_ends_them(
    page: Page, make: Callable[..., nbvlm.Panel]
) -> None:
    panel = make()
    for number, color in enumerate(("red", "green", "blue")):
        page.upload(panel, f"{color}.png", png(color), number, group="g")
    page.wait_until(lambda: panel.image.name == "red.png")
    page.wait(lambda: bar(page, panel)["names"] == ["red.png", "green.png", "blue.png"])
    send(page, panel, "pick", index=2)
    page.wait_until(lambda: panel.image.data == png("blue"))
    send(page, panel, "ask-all")
    page.wait_until(lambda: panel.table is not None)
    assert list(panel.table.source) == ["red.png", "green.png", "blue.png"]
    assert bar(page, panel, "asked")["words"] == "3 answers. Their table: panel.table"
    for number in (5, 6):
        page.upload(panel, f"{number}.png", png(), number, group="h")
    page.wait_until(lambda: panel.image.name == "5.png")
    assert (bar(page, panel)["names"], bar(page, panel, "asked")["words"]) == (["5.png", "6.png"], "")
    page.upload(panel, "one.png", png("white"), 9)
    page.wait_until(lambda: panel.image.name == "one.png")
    assert bar(page, panel)["names"] == []


# Private addresses


@pytest.fixture
def private() -> Iterator[str]:
    """The address of a picture on this computer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "image/png")
            self.send_header("content-length", str(len(png())))
            self.end_headers()
            self.wfile.write(png())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/cat.png"
    server.shutdown()
    server.server_close()
    thread.join()


def card(page: Page, panel: nbvlm.Panel) -> list[str]:
    error = Screen(page, panel).error
    return [] if error is None else [action["id"] for action in error["actions"]]


def test_a_private_address_is_opened_at_a_press(
    page: Page, make: Callable[..., nbvlm.Panel], private: str
) -> None:
    panel = make()
    send(page, panel, "open", place=private)
    page.wait(lambda: card(page, panel) == ["private", "upload"])
    assert panel.image.name != "cat.png"
    page.send(panel._controller.error_card, {"type": "act", "action": "private"})
    page.wait_until(lambda: panel.image.name == "cat.png")


@pytest.mark.parametrize(
    "lock", [{"allow": ["link", "upload"]}, {"allow": {"sweep": False}}, {"paths": "."}, "lock", "allow"]
)
def test_a_locked_panel_opens_no_private_address(
    page: Page, make: Callable[..., nbvlm.Panel], private: str, lock: Any
) -> None:
    panel = make(**lock) if isinstance(lock, dict) else make()
    if lock == "lock":
        panel.lock()
    elif lock == "allow":
        panel.allow = ["link", "upload"]
    send(page, panel, "open", place=private)
    page.wait(lambda: "private network" in Screen(page, panel).sentence)
    assert "private" not in card(page, panel)
    page.send(panel._controller.error_card, {"type": "act", "action": "private"})
    panel._controller.guarded(panel._controller.picker.open_private)
    assert "does not offer" in Screen(page, panel).sentence
    assert panel.image.name != "cat.png"


def test_a_picker_alone_opens_a_private_address_too(page: Page, private: str) -> None:
    picker = nbvlm.widgets.Picker()
    page.send(picker._source.picker, {"type": "open", "place": private})
    page.wait_until(lambda: picker._card._page.card is not None)
    page.send(picker._card._page, {"type": "act", "action": "private"})
    page.wait_until(lambda: picker.image is not None)
    locked = nbvlm.widgets.Picker(allow=["link"])
    assert locked._card.actions == {}
