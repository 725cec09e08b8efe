"""What a notebook shows and keeps: picture, alt text, table; small, escaped, there after nbconvert."""

from __future__ import annotations

import base64
import html.parser
import io
import re
import subprocess

import nbclient
import nbconvert
import nbformat
import numpy as np
import pytest
from PIL import Image
from support import made_results as made

from nbvlm.grounding.detections import Detections
from nbvlm.grounding.problems import Problem
from nbvlm.result import Result, Usage, description, markup
from nbvlm.result import notebook as display

SCRIPT = '<script>document.title="hacked"</script><img src=x onerror="document.title=1">'
HOSTILE = f'<loc0001>{SCRIPT} $x^2$ \\(y\\) & "q"'


def bundle(result: Result) -> dict[str, str]:
    return result._repr_mimebundle_()[0]


def decoded(data: dict[str, str]) -> Image.Image:
    mime = next(mime for mime in data if mime.startswith("image/"))
    return Image.open(io.BytesIO(base64.b64decode(data[mime])))


class Reader(html.parser.HTMLParser):
    """Collects the elements, their attributes, and the text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_a_twelve_megapixel_result_stays_under_300_kilobytes() -> None:
    size = (4000, 3000)
    data, metadata = made.result(made.photo(size), detections=made.scattered(60, size))._repr_mimebundle_()
    assert sum(len(part) for part in data.values()) < 300_000
    picture = decoded(data)
    assert picture.format == "JPEG"
    assert 500 <= picture.width <= 1100
    assert metadata["image/jpeg"]["width"] == 640


def test_an_endless_answer_does_not_fill_the_notebook() -> None:
    found = Detections([[0, 0, 9, 9]] * 300, ("cat " * 9000,) * 300, (200, 120))
    problems = tuple(Problem("text", at, "x" * 9000) for at in range(900))
    result = made.result(
        text="<loc0000>" * 40_000, detections=found, problems=problems, notices=("y" * 9000,) * 90
    )
    data = bundle(result)
    assert sum(len(part) for part in data.values()) < 300_000
    assert re.search(r"35\d,\d{3} more characters", data["text/html"])
    assert len(data["text/plain"]) < 20_000


def test_noise_stays_in_the_budget_too() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (1200, 1600, 3)).astype(np.uint8)
    data = bundle(made.result(Image.fromarray(pixels), detections=Detections.empty((1600, 1200))))
    assert sum(len(part) for part in data.values()) < 300_000


@pytest.mark.parametrize(
    "odd", ["a label $x$ & <b> ", "$", "猫", "\x01", "\n", '"', "\\", "\u2028", "🐈", "\ud800"], ids=ascii
)
def test_what_a_saved_notebook_gains_is_bounded_whatever_the_answer_is(odd: str, tmp_path) -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 255, (900, 1200, 3)).astype(np.uint8)
    boxes = made.scattered(80, (1200, 900)).xyxy
    result = made.result(
        Image.fromarray(pixels),
        detections=Detections(boxes, tuple(f"{odd * 300}{at}" for at in range(80)), (1200, 900)),
        text=odd * 20_000,
        prompt=odd * 3000,
        problems=tuple(Problem("text", at, odd * 100) for at in range(100)),
        notices=(odd * 400,) * 40,
    )
    data, metadata = result._repr_mimebundle_()
    output = nbformat.v4.new_output("display_data", data=data, metadata=metadata)
    cells = [nbformat.v4.new_code_cell("result", outputs=[output])]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "saved.ipynb")
    assert (tmp_path / "saved.ipynb").stat().st_size < 300_000
    assert len(data["image/jpeg"]) > 60_000
    assert len(Reader(data["text/html"]).all("tr")) > 10


def test_a_drawing_is_shown_as_png_and_a_photograph_as_jpeg() -> None:
    assert decoded(bundle(made.result())).format == "PNG"
    assert decoded(bundle(made.result(made.photo((800, 600))))).format == "JPEG"


def test_the_shown_picture_is_annotated() -> None:
    result = made.result(detections=Detections([[50, 30, 150, 90]], ("cat",), (200, 120)))
    shown = decoded(bundle(result)).convert("RGB")
    edge = round(50 * shown.width / 200), shown.height // 2
    near = {shown.getpixel((edge[0] + step, edge[1])) for step in range(-2, 3)}
    assert markup.label_colors(result)[0] in near


def test_a_small_picture_is_enlarged_so_that_labels_can_be_read() -> None:
    assert decoded(bundle(made.result(made.image((64, 48))))).width >= 448


def test_a_picture_is_shown_at_a_sensible_size() -> None:
    for size in ((3000, 400), (400, 3000), (64, 64), (1, 900)):
        _, metadata = made.result(made.image(size), detections=Detections.empty(size))._repr_mimebundle_()
        ((_, shown),) = metadata.items()
        assert 448 <= max(shown["width"], shown["height"]) <= 640
        assert min(shown["width"], shown["height"]) >= 1


def test_alt_text_says_what_is_where() -> None:
    (image,) = Reader(bundle(made.result())["text/html"]).all("img")
    assert (
        image["alt"]
        == "2 cats: left, right; 1 dog: bottom. Picture pets.png, 200 by 120 pixels. Note: turned upright"
    )
    metadata = made.result()._repr_mimebundle_()[1]
    assert metadata["image/png"]["alt"] == image["alt"]


def test_alt_text_of_a_caption_is_the_caption() -> None:
    result = made.result(text="a cat\non a mat", detections=Detections.empty((200, 120)), has_locations=False)
    assert description.alt_text(result).startswith("a cat on a mat")


def test_the_table_beside_the_picture_has_every_detection_and_its_colour() -> None:
    result = made.result()
    page = Reader(bundle(result)["text/html"])
    assert len(page.all("tr")) == 4
    assert [head["scope"] for head in page.all("th")].count("col") == 7
    swatches = [span["style"] for span in page.all("span") if "style" in span]
    assert [re.search("#[0-9a-f]{6}", style)[0] for style in swatches] == [
        "#{:02x}{:02x}{:02x}".format(*color) for color in markup.label_colors(result)
    ]


def test_a_long_table_is_cut_and_says_so() -> None:
    page = bundle(made.result(detections=made.scattered(400, (200, 120))))["text/html"]
    assert "and 350 more" in page


def hostile() -> Result:
    return made.result(
        text=HOSTILE,
        name=HOSTILE.replace("/", ""),
        prompt="detect " + HOSTILE,
        detections=Detections([[0, 0, 90, 90]], (HOSTILE,), (200, 120)),
        model=HOSTILE,
        notices=(HOSTILE,),
        request_id=HOSTILE,
        finish_reason=HOSTILE,
        endpoint="demo",
    )


@pytest.mark.parametrize("source", [lambda: bundle(hostile())["text/html"], lambda: hostile().to_html()])
def test_hostile_text_is_seen_and_does_nothing(source) -> None:
    page = Reader(source())
    assert HOSTILE in page.text
    assert page.all("script") == []
    assert len(page.all("img")) == 1
    assert all(not name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert {attributes["src"][:11] for attributes in page.all("img")} == {"data:image/"}


def test_formulas_are_not_typeset() -> None:
    assert (
        markup.text("$x$ \\(y\\)") == "<span>$</span>x<span>$</span> <span>&#92;</span>(y<span>&#92;</span>)"
    )


def test_the_page_fetches_nothing() -> None:
    page = Reader(made.result().to_html())
    links = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in ("src", "href")
    ]
    assert all(link.startswith("data:") for link in links)
    policy = [
        meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_the_page_has_one_title_headings_and_an_alt_text() -> None:
    page = Reader(made.result().to_html())
    assert len(page.all("h1")) == 1
    assert len(page.all("h2")) == 5
    assert page.all("img")[0]["alt"].startswith("2 cats")
    assert page.all("html")[0]["lang"] == "en"


def test_plain_text_is_useful_in_a_terminal() -> None:
    text = bundle(made.result())["text/plain"]
    assert text.splitlines()[0] == "'detect cat ; dog' → 2 cats; 1 dog."
    assert re.search(r"cat +10\.2 +40\.5 +60\.0 +90\.0 +left", text)
    assert "31 tokens" in text
    assert len(text.splitlines()) < 12


def test_plain_text_cannot_steer_a_terminal() -> None:
    label = "cat\x1b[2J\u202e\x07"
    result = made.result(text=label, detections=Detections([[0, 0, 9, 9]], (label,), (200, 120)), model=label)
    for text in (bundle(result)["text/plain"], repr(result)):
        assert not set("\x1b\u202e\x07") & set(text)
        assert "\\x1b[2J" in text


def test_an_answer_cut_by_max_tokens_says_so() -> None:
    assert "cut off at max_tokens" in bundle(made.result(finish_reason="length"))["text/plain"]


def test_a_result_without_usage_or_answer_is_shown() -> None:
    empty = made.result(text="", detections=Detections.empty((200, 120)), usage=None, has_locations=False)
    assert "The answer is empty." in bundle(empty)["text/plain"]
    assert bundle(made.result(usage=Usage(None, None, None)))["text/html"]


def test_without_its_picture_the_table_is_shown_with_the_way_to_get_it() -> None:
    page = bundle(Result.from_json(made.result().to_json()))
    assert set(page) == {"text/plain", "text/html"}
    assert "Picture.load" in Reader(page["text/html"]).text
    assert "<table>" in page["text/html"]


def test_masks_out_of_reach_do_not_stop_the_show(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("NBVLM_CACHE", str(tmp_path))
    codes = Detections(
        [[10, 10, 90, 90]], ("cat",), (200, 120), codes=(tuple(range(16)),), codebook="vae-oid"
    )
    result = made.result(detections=codes)
    assert decoded(bundle(result)).format == "PNG"
    assert result.to_dataframe()["mask_area"].isna().all()


@pytest.mark.parametrize(
    ("number", "label", "said"),
    [
        (1, "cat", "1 cat"),
        (2, "bus", "2 buses"),
        (2, "person", "2 people"),
        (3, "baby", "3 babies"),
        (2, "toy", "2 toys"),
        (2, "fireman", "2 firemen"),
        (5, "sheep", "5 sheep"),
        (2, "driver's seat", "2 driver's seats"),
        (2, "猫", "2 × 猫"),
        (2, "R2D2", "2 × R2D2"),
        (2, "", "2 things"),
    ],
)
def test_counts_are_put_in_words(number: int, label: str, said: str) -> None:
    assert description.count(number, label) == said


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ((0, 0, 10, 10), "top left"),
        ((45, 0, 55, 10), "top"),
        ((90, 45, 100, 55), "right"),
        ((40, 40, 60, 60), "centre"),
        ((0, 0, 100, 95), "filling the picture"),
        ((200, 200, 300, 300), "bottom right"),
    ],
)
def test_places_are_put_in_words(box, said: str) -> None:
    assert description.where(box, (100, 100)) == said


def test_many_places_are_cut_short() -> None:
    found = Detections([[at, 0, at + 1, 1] for at in range(20)], ("cat",) * 20, (200, 120))
    assert description.summary(made.result(detections=found), places=True).count("left") == 6
    assert "and 14 more" in description.summary(made.result(detections=found), places=True)


def test_a_saved_notebook_keeps_the_picture_through_nbconvert(tmp_path) -> None:
    made.result(text=HOSTILE).save(tmp_path / "result.json")
    made.image().save(tmp_path / "pets.png")
    code = (
        "import nbvlm\n"
        "nbvlm.Result.from_json(open('result.json').read(), picture=nbvlm.Picture.load('pets.png'))"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbclient.NotebookClient(notebook, timeout=100, resources={"metadata": {"path": tmp_path}}).execute()
    assert len(nbformat.writes(notebook)) < 300_000
    page, _ = nbconvert.HTMLExporter().from_notebook_node(notebook)
    images = [image for image in Reader(page).all("img") if (image.get("alt") or "").startswith("2 cats")]
    assert len(images) == 1
    assert images[0]["src"].startswith("data:image/png;base64,")
    assert "&lt;loc0001&gt;&lt;script&gt;" in page


def test_markdown_and_latex_converters_find_the_image() -> None:
    data, metadata = made.result()._repr_mimebundle_()
    output = nbformat.v4.new_output("execute_result", data, metadata=metadata, execution_count=1)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("result", outputs=[output])])
    nbformat.validate(notebook)
    _, resources = nbconvert.MarkdownExporter().from_notebook_node(notebook)
    assert any(name.endswith(".png") for name in resources["outputs"])


@pytest.mark.browser
@pytest.mark.parametrize("page", ["fragment", "page"])
def test_a_browser_shows_the_tokens_and_runs_nothing(page: str, chromium: str, tmp_path) -> None:
    source = (
        hostile().to_html()
        if page == "page"
        else f"<!DOCTYPE html><title>kept</title>{bundle(hostile())['text/html']}"
    )
    (tmp_path / "page.html").write_text(source, "utf-8")
    options = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-sync",
    ]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [chromium, *options, profile, "--dump-dom", (tmp_path / "page.html").as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100).stdout
    seen = Reader(dom)
    assert HOSTILE in seen.text
    assert seen.all("script") == []
    assert "<title>hacked" not in dom


def test_a_jpeg_is_decoded_at_a_size_its_decoder_reaches_by_halving() -> None:
    shown = display.preview(made.result(made.photo((2000, 1500)), detections=Detections.empty((2000, 1500))))
    assert Image.open(io.BytesIO(shown.data)).size == (1000, 750)
