"""Each snippet of the page on other models runs, with a loopback server in the place of the service."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from support import model_servers
from support.loopback import Loopback

from nbvlm import endpoints

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "other-models.md"
SECTIONS = {
    part.partition("\n")[0]: re.findall(r"```python\n(.*?)```", part, flags=re.DOTALL)
    for part in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
}
KEYS = {
    variable: f"key-{variable}" for service in endpoints.SERVICES.values() for variable in service.variables
}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """One server that stands at the addresses of all services."""
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (64, 48), "red").save("photo.jpg")
    with Loopback() as running:
        running.pages = model_servers.ollama_pages(qwen3_vl=["vision"], qwen3=["completion"])
        for service in endpoints.SERVICES.values():
            if service.address:
                url = f"{running.url}{service.path}"
                monkeypatch.setenv(service.address, str(running.port) if service.name == "llamacpp" else url)
        monkeypatch.setenv("NBVLM_BASE_URL", running.url)
        for variable, key in KEYS.items():
            monkeypatch.setenv(variable, key)
        yield running


def run(code: str) -> None:
    exec(compile(code, str(PAGE), "exec"), {"__name__": "__main__"})


BY_TITLE = {service.title: service for service in endpoints.SERVICES.values()}


@pytest.mark.parametrize("title", [title for title in SECTIONS if title in BY_TITLE])
def test_a_service_is_asked_in_three_lines(
    title: str, server: Loopback, capsys: pytest.CaptureFixture[str]
) -> None:
    service = BY_TITLE[title]
    [code] = SECTIONS[title]
    assert len([line for line in code.splitlines() if line]) == 3
    server.model = f"{service.path}/chat/completions"
    run(code)
    assert capsys.readouterr().out == "a red car\n"
    [seen] = [seen for seen in server.seen if seen.path == server.model]
    sent = seen.headers.get("authorization", "").removeprefix("Bearer ")
    assert sent == (KEYS[service.variables[0]] if service.variables else "")
    named = re.search(r'model="(.+?)"', code) or re.search(r'Client\("(.+?/.+?)"', code)
    listed = server.pages["/v1/models"].body.decode()
    assert seen.json["model"] in (named[1] if named else listed)


def test_every_service_has_its_section() -> None:
    assert set(BY_TITLE) <= set(SECTIONS)


@pytest.mark.parametrize("title", [title for title in SECTIONS if title not in BY_TITLE])
def test_the_rest_of_the_page_runs(title: str, server: Loopback, capsys: pytest.CaptureFixture[str]) -> None:
    for code in SECTIONS[title]:
        run(code)
        assert capsys.readouterr().out
