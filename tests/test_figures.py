"""Pictures and plots have words beside them, and only one appearance."""

from __future__ import annotations

import html.parser
from typing import Any

import matplotlib.figure
import pytest
from PIL import Image

from nbvlm.figures import Described, described, finding

SQUARE = Image.new("RGB", (1600, 800), "teal")


class Images(html.parser.HTMLParser):
    """Collects the attributes of all `<img>`."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.found.append(dict(attrs))


def shown(figure: Described) -> tuple[dict[str, Any], dict[str, str | None]]:
    data, _ = figure._repr_mimebundle_()
    images = Images()
    images.feed(data["text/html"])
    return data, images.found[0]


def test_a_picture_has_its_alt_text_and_fits_the_page() -> None:
    data, image = shown(described(SQUARE, 'A "teal" <b>rectangle</b>.'))
    assert image["alt"] == 'A "teal" <b>rectangle</b>.'
    assert (image["width"], image["height"]) == ("640", "320")
    assert image["src"] == f"data:image/png;base64,{data['image/png']}"
    assert data["text/plain"] == image["alt"]


def test_the_metadata_of_the_image_tells_the_alt_text_too() -> None:
    _, metadata = described(SQUARE, "A teal rectangle.")._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == "A teal rectangle."


def test_a_plot_is_shown_once_at_the_size_it_was_made_for() -> None:
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(5, 3))
    _, image = shown(described(figure, "Nothing yet."))
    assert (image["width"], image["height"]) == ("480", "288")
    assert figure.number not in plt.get_fignums()


def test_a_plot_made_without_pyplot_is_shown_as_well() -> None:
    _, image = shown(described(matplotlib.figure.Figure(figsize=(2, 1)), "Nothing yet."))
    assert image["alt"] == "Nothing yet."


def test_a_figure_without_words_is_refused() -> None:
    with pytest.raises(ValueError, match="in words"):
        described(SQUARE, "  ")


def test_control_characters_do_not_reach_a_terminal() -> None:
    assert repr(described(SQUARE, "a\x1b[31mb")) == r"<Described 'a\\x1b[31mb'>"


def test_a_finding_says_whether_it_is_seen():
    seen, missing = finding(True, "7 of <10> captions differ."), finding(False, "7 of <10> captions differ.")
    assert repr(seen) == "✓ Seen in this run: 7 of <10> captions differ."
    assert repr(missing) == "✗ Not seen in this run: 7 of <10> captions differ."
    bundle = seen._repr_mimebundle_()
    assert bundle["text/plain"] == repr(seen)
    assert "&lt;10&gt;" in bundle["text/html"]
