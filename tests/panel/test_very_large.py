"""A picture of a hundred megapixels, and one of more: answered, shrunk at a press, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image
from support.loopback import problem
from support.panel_page import Page, Screen

import nbvlm
from nbvlm.client import Retry

if TYPE_CHECKING:
    from pathlib import Path

    from support.loopback import Loopback


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a picture of 100 megapixels and one of 132."""
    folder = tmp_path_factory.mktemp("pictures")
    Image.new("L", (10_000, 10_000), 90).save(folder / "large.jpg", quality=30)
    Image.new("1", (12_000, 11_000)).save(folder / "too-large.png")
    return folder


def test_a_hundred_megapixels_are_answered_and_more_are_refused_in_a_batch(pictures: Path) -> None:
    table = nbvlm.batch(pictures, "caption en", client=nbvlm.Client("demo"), journal=None, progress=False)
    assert table.error.isna().tolist() == [True, False]
    assert table.text[0]
    assert "12,000 × 11,000 pixels" in table.error[1]


def test_a_server_that_refuses_its_size_gets_it_shrunk_at_a_press(
    page: Page, pictures: Path, server: Loopback
) -> None:
    client = nbvlm.Client(f"{server.url}/v1", model="m", retry=Retry.never())
    panel = nbvlm.Panel(pictures / "large.jpg", client=client)
    screen = Screen(page, panel)
    server.replies.append(problem(413, "too large"))
    with pytest.raises(nbvlm.RequestRejected, match="Send a smaller picture"):
        panel.run()
    assert [action["id"] for action in screen.error["actions"]] == ["shrink", "again"]
    page.send(panel._controller.error_card, {"type": "act", "action": "shrink"})
    page.wait_until(lambda: panel.result is not None)
    assert panel.image.width == 896
    assert "converted: Shrunk from 10000×10000 pixels" in panel.result.notices[0]
    assert ".." not in panel.result.notices[0]
    page.send(panel._controller.picker._page, {"type": "open", "place": str(pictures / "too-large.png")})
    page.wait(lambda: screen.error is not None)
    assert [action["id"] for action in screen.error["actions"]] == ["upload"]
    panel.close()
