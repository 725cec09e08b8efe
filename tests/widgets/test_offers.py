"""What a widget offers: the names, the default of each host, and texts without folders."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import nbvlm
from nbvlm.widgets.host import public_host
from nbvlm.widgets.offers import CLOSED, NAMES, Offer, is_address, without_folders

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def own_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERVER_SOFTWARE", raising=False)


def test_a_notebook_offers_everything() -> None:
    offer = Offer.of()
    assert (offer.names, offer.models, offer.folder, offer.masks) == (NAMES, None, None, False)


def of_voila(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5.13")


def of_solara(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "solara.server.starlette", SimpleNamespace())


def of_holoviz_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    document = SimpleNamespace(session_context=object())
    monkeypatch.setitem(sys.modules, "bokeh.io", SimpleNamespace(curdoc=lambda: document))


def of_shiny(monkeypatch: pytest.MonkeyPatch) -> None:
    session = SimpleNamespace(get_current_session=lambda: object())
    monkeypatch.setitem(sys.modules, "shiny.session", session)


def of_marimo(monkeypatch: pytest.MonkeyPatch) -> None:
    app = SimpleNamespace(app_meta=lambda: SimpleNamespace(mode="run"))
    monkeypatch.setitem(sys.modules, "marimo", app)


@pytest.mark.parametrize("host", [of_voila, of_solara, of_holoviz_panel, of_shiny, of_marimo])
def test_where_visitors_see_it_the_default_is_closed(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    host(monkeypatch)
    assert public_host()
    offer = Offer.of()
    assert offer.names == CLOSED
    assert {"path", "key", "server"}.isdisjoint(offer.names)
    assert (offer.has_model("demo"), offer.has_model("nvidia"), offer.masks) == (True, False, True)


def test_an_editor_of_a_host_is_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    edit = SimpleNamespace(app_meta=lambda: SimpleNamespace(mode="edit"))
    monkeypatch.setitem(sys.modules, "marimo", edit)
    document = SimpleNamespace(session_context=None)
    monkeypatch.setitem(sys.modules, "bokeh.io", SimpleNamespace(curdoc=lambda: document))
    monkeypatch.setenv("SERVER_SOFTWARE", "jupyter_server/2")
    assert public_host() == ""


def test_names_a_dictionary_and_all(tmp_path: Path) -> None:
    assert Offer.of(["upload", "samples"]).names == ("samples", "upload")
    assert Offer.of("exports").names == ("exports",)
    assert Offer.of([]).names == ()
    assert Offer.of("all", public=True).names == NAMES
    assert Offer.of({"sweep": False}, public=True).names == tuple(n for n in CLOSED if n != "sweep")
    some = Offer.of({"models": ["nvidia"]})
    assert (some.has_model("nvidia"), some.has_model("demo")) == (True, False)
    assert "models" not in Offer.of({"models": []})
    folder = Offer.of(paths=tmp_path, public=True)
    assert "path" in folder
    assert folder.folder == tmp_path.resolve()
    assert "path" not in Offer.of({"path": False}, tmp_path)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"allow": ["uploads"]}, "'uploads' is not a name for allow. Did you mean 'upload'?"),
        ({"allow": {"models": ["nonsense"]}}, "nonsense"),
        ({"paths": "nowhere/at/all"}, "paths must be a folder"),
    ],
)
def test_a_mistake_is_an_error_at_once(given: dict[str, Any], words: str) -> None:
    with pytest.raises(nbvlm.Error) as error:
        Offer.of(**given)
    assert words in str(error.value)


def test_allow_of_a_wrong_type() -> None:
    with pytest.raises(TypeError, match="allow must be names"):
        Offer.of(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("There is no folder '/home/ada/x y'.", "There is no folder '…'."),
        ("no '/home/ada/my cat.png'. Looked in /home/ada.", "no '…/my cat.png'. Looked in …."),
        ("'~/x/cat.png' is a folder", "'…/cat.png' is a folder"),
        ("in (/home/ada) and /root: two", "in (…) and …: two"),
        (r"C:\Users\ada\cat.png is damaged", "…/cat.png is damaged"),
        ("and/or 1/2, https://a.example/b/c.png", "and/or 1/2, https://a.example/b/c.png"),
        ("google/paligemma", "google/paligemma"),
    ],
)
def test_texts_without_folders(text: str, shown: str) -> None:
    assert without_folders(text) == shown


@pytest.mark.parametrize(
    ("place", "is_one"),
    [
        ("https://a.example/cat.png", True), (" 'HTTP://a.example' ", True), ("data:image/png;base64,", True),
        ("file:///etc/passwd", False), ("http:/../cat.png", False), ("ftp://a.example/cat.png", False),
        ("cat.png", False), ("C:/cat.png", False),
    ],
)  # fmt: skip
def test_what_is_an_address(place: str, is_one: bool) -> None:
    assert is_address(place) == is_one
