"""Where the embedded model answers for lack of a key, Python warns once a process, and only then."""

from __future__ import annotations

import asyncio
import warnings
from typing import TYPE_CHECKING

import pytest

import nbvlm
from nbvlm.client import client
from nbvlm.demo.gallery import GALLERY

if TYPE_CHECKING:
    from collections.abc import Callable

PICTURE = GALLERY[0]


@pytest.fixture(autouse=True)
def _new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_warned", False)


async def _awaited() -> None:
    async with nbvlm.AsyncClient() as client:
        await client.ask(PICTURE, "caption en")


@pytest.mark.parametrize(
    "ask",
    [
        lambda: nbvlm.ask(PICTURE, "caption en"),
        lambda: nbvlm.Client().ask(PICTURE, "caption en"),
        lambda: asyncio.run(_awaited()),
        lambda: nbvlm.batch([PICTURE], "caption en", journal=None, progress=False),
    ],
    ids=["one line", "client", "awaited", "batch"],
)
def test_the_first_question_warns_where_it_was_asked_and_the_next_does_not(
    ask: Callable[[], object],
) -> None:
    with pytest.warns(nbvlm.DemoWarning, match=r"No key was found.*nbvlm.login\(\)") as heard:
        ask()
    assert [warning.filename for warning in heard] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ask()


def test_who_chooses_the_embedded_model_is_not_warned() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with nbvlm.Client("demo") as client:
            client.ask(PICTURE, "caption en")


def test_it_can_be_filtered_by_its_own_category() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", nbvlm.DemoWarning)
        nbvlm.ask(PICTURE, "caption en")
