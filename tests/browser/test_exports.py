"""Files of a result whose every text is an attack, opened in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.hostile_results import ATTACKS, hostile

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser


def test_a_page_or_drawing_runs_and_loads_nothing(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    attacks = [
        attack for attack in ATTACKS if "hacked" in attack or "\x1b" in attack or "HYPERLINK" in attack
    ]
    for number, attack in enumerate(attacks):
        result = hostile(attack)
        # A notebook has no policy of its own that would stop a script.
        cell = f'<meta charset="utf-8">{result._repr_mimebundle_()[0]["text/html"]}'
        files = {"page.html": result.to_html(), "cell.html": cell, "drawing.svg": result.to_svg()}
        for name, text in files.items():
            path = tmp_path / f"{number}{name}"
            path.write_text(text, encoding="utf-8")
            page.goto(path.as_uri())
            assert page.evaluate("window.hacked") is None
            assert page.evaluate("document.querySelectorAll('script, parsererror').length") == 0
    outside = [url for url in asked if not url.startswith(("file:", "data:"))]
    assert outside == []
    page.close()
