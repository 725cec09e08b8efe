"""Many pictures in one call: what comes back, in which order, from what sources, and what ends a run."""

from __future__ import annotations

import asyncio
import functools
import io
import os
import subprocess
import sys
import threading
from decimal import Decimal
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support.batch_runs import KEY, asked, client_for, pictures
from support.loopback import Loopback, answer, problem

import nbvlm
from nbvlm.batches import rows as tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbvlm.batches.progress import Progress


@pytest.fixture
def service() -> Iterator[Loopback]:
    with Loopback() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path / "pictures", 6)


def batch(service: Loopback, images: Any, prompt: Any = "caption en", **options: Any) -> pd.DataFrame:
    options = {"journal": None} | options
    return nbvlm.batch(images, prompt, client=client_for(service), **options)


def test_a_folder_becomes_a_table_in_the_order_of_its_names(service: Loopback, folder: Path) -> None:
    table = batch(service, folder)
    names = ["source", "prompt", "text", "detections", "error", "seconds", "tokens", "request_id"]
    names += ["model", "endpoint", "notices"]
    assert list(table.columns) == names
    assert list(table.source) == [str(path) for path in sorted(folder.glob("*.png"))]
    assert set(table.text) == {"a red car"}
    assert set(table.tokens) == {277}
    assert table.request_id.str.startswith("1111").all()
    assert (table.seconds > 0).all()
    assert table.error.isna().all()


def test_order_is_kept_in_the_result_and_not_in_the_work(service: Loopback, folder: Path) -> None:
    service.replies.append(answer("slow", wait=2))
    rows = list(nbvlm.ibatch(folder, "caption en", client=client_for(service), concurrency=3, journal=None))
    assert rows[-1].text == "slow"
    assert sorted(row.index for row in rows) == list(range(6))
    table = tables.frame(rows)
    assert table.source.tolist() == sorted(str(path) for path in folder.glob("*.png"))
    assert table.text[rows[-1].index] == "slow"


def test_detections_are_values_or_rows(service: Loopback, folder: Path) -> None:
    service.text = "<loc0000><loc0000><loc0512><loc1023> cat ; <loc0000><loc0512><loc1023><loc1023> dog"
    table = batch(service, folder, "detect cat ; dog")
    assert table.detections.map(len).tolist() == [2] * 6
    assert isinstance(table.detections[0], nbvlm.Detections)
    service.replies.append(answer("nothing"))
    exploded = batch(service, folder, "detect cat ; dog", explode=True, concurrency=1)
    assert exploded.groupby(level=0).size().tolist() == [1, 2, 2, 2, 2, 2]
    assert exploded.label.tolist()[1:3] == ["cat", "dog"]
    assert pd.isna(exploded.label.iloc[0])
    assert exploded.loc[1, "y1"].iloc[0] == pytest.approx(32, abs=0.1)


def test_a_glob_a_list_and_things_in_memory_are_sources(service: Loopback, folder: Path) -> None:
    assert len(batch(service, f"{folder}/00[1-3].png")) == 3
    assert len(batch(service, str(folder / "002.png"))) == 1
    paths = sorted(folder.glob("*.png"))
    pixels = np.zeros((8, 8, 3), np.uint8)
    mixed = [str(paths[0]), paths[1], paths[2].read_bytes(), Image.open(paths[3]), pixels]
    mixed += [nbvlm.Picture.load(paths[4]), io.BytesIO(paths[5].read_bytes())]
    table = batch(service, mixed)
    assert table.error.isna().all()
    assert table.source.tolist() == [str(paths[0]), str(paths[1]), "#2", str(paths[3]), "#4", "004.png", "#6"]
    assert len(batch(service, np.zeros((3, 8, 8, 3), np.uint8))) == 3
    assert len(batch(service, pixels)) == 1


def test_folders_within_are_walked_and_hidden_files_left_out(service: Loopback, tmp_path: Path) -> None:
    pictures(tmp_path / "b", 1)
    pictures(tmp_path / "a" / "deep", 1)
    pictures(tmp_path / ".hidden", 1)
    (tmp_path / "a" / "notes.txt").write_text("no picture")
    table = batch(service, tmp_path)
    assert table.source.tolist() == [str(tmp_path / "a/deep/000.png"), str(tmp_path / "b/000.png")]


def test_an_iterator_is_never_held(service: Loopback, folder: Path) -> None:
    alive = most = 0

    class Held(bytes):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def source() -> Iterator[bytes]:
        nonlocal alive, most
        data = (folder / "000.png").read_bytes()
        for number in range(200):
            alive += 1
            most = max(most, alive)
            yield Held(data + b"%d" % number)

    table = batch(service, source(), concurrency=4)
    assert len(table) == 200
    assert most <= 20


def test_a_table_without_a_head_has_numbers_for_columns(service: Loopback, folder: Path) -> None:
    paths = sorted(map(str, folder.glob("*.png")))
    frame = pd.DataFrame(list(zip(paths, "abcdef", strict=True)))
    table = batch(service, frame, "detect {1}", column=0)
    assert (table.source.tolist(), table.prompt.tolist()) == (paths, [f"detect {one}" for one in "abcdef"])
    levels = frame.set_axis(pd.MultiIndex.from_tuples([("a", "path"), ("a", "thing")]), axis="columns")
    assert batch(service, levels, "caption en", column=("a", "path")).source.tolist() == paths


def test_two_columns_of_one_name_are_not_chosen_from(service: Loopback, folder: Path) -> None:
    path = next(map(str, folder.glob("*.png")))
    things = pd.DataFrame([[path, "cat", "dog"]], columns=["path", "thing", "thing"])
    with pytest.raises(nbvlm.PromptError, match=r"\{thing\}, and the table has several columns"):
        batch(service, things, "detect {thing}")
    assert batch(service, things, "caption en").error.isna().all()
    with pytest.raises(nbvlm.ParameterError, match="several columns 'path'"):
        batch(service, pd.DataFrame([[path, path]], columns=["path", "path"]), "caption en")


def test_rows_of_a_table_keep_their_labels_and_write_their_prompts(service: Loopback, folder: Path) -> None:
    frame = pd.DataFrame({"path": sorted(map(str, folder.glob("*.png"))), "thing": list("abcdef")})
    frame.index = pd.Index([f"row {letter}" for letter in "abcdef"])
    table = batch(service, frame, "detect {thing}")
    assert table.index.tolist() == frame.index.tolist()
    assert table.prompt.tolist() == [f"detect {letter}" for letter in "abcdef"]
    assert frame.join(table.text).text.notna().all()
    series = batch(service, frame.path, lambda row: f"detect {row['stem']}")
    assert series.prompt.tolist() == [f"detect 00{number}" for number in range(6)]
    assert series.index.tolist() == frame.index.tolist()
    with pytest.raises(nbvlm.PromptError, match=r"\{thin\}.*Did you mean \{thing\}"):
        batch(service, frame, "detect {thin}")
    with pytest.raises(nbvlm.ParameterError, match="The column 'pth' does not exist"):
        batch(service, frame, "caption en", column="pth")


def test_rows_of_mappings_may_differ(service: Loopback, folder: Path) -> None:
    rows = ({"image": path, "n": number} for number, path in enumerate(sorted(folder.glob("*.png"))))
    table = batch(service, rows, "detect {n}")
    assert table.prompt.tolist() == [f"detect {number}" for number in range(6)]
    lacking = batch(service, [{"image": folder / "000.png"}], "detect {n}")
    assert "PromptError" in lacking.error[0]
    assert lacking.prompt.tolist() == ["detect {n}"]


def test_an_address_that_fsspec_knows(service: Loopback, folder: Path) -> None:
    import fsspec

    system = fsspec.filesystem("memory")
    for path in folder.glob("*.png"):
        system.pipe(f"/bucket/{path.name}", path.read_bytes())
    system.pipe("/bucket/notes.txt", b"no picture")
    assert batch(service, "memory://bucket").source.tolist() == [
        f"memory:///bucket/00{number}.png" for number in range(6)
    ]
    assert len(batch(service, "memory://bucket/00[01].png")) == 2
    assert "nowhere.png' does not exist" in batch(service, ["memory://bucket/nowhere.png"]).error[0]
    with pytest.raises(nbvlm.ImageError, match="holds no picture"):
        batch(service, "memory://nowhere")
    system.rm("/bucket", recursive=True)


def test_addresses_in_a_private_network_need_the_callers_word(service: Loopback, folder: Path) -> None:
    handler = functools.partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        urls = [f"http://127.0.0.1:{site.server_port}/00{number}.png" for number in range(3)]
        refused = batch(service, urls)
        assert refused.error.str.contains("private network").all()
        assert not service.seen
        assert batch(service, urls, allow_private=True).text.tolist() == ["a red car"] * 3
        # Hugging Face's form of a picture, and a journal that knows the answers.
        journal = folder / "run.jsonl"
        for _ in range(2):
            table = batch(service, [{"image": url} for url in urls], allow_private=True, journal=journal)
            assert table.text.tolist() == ["a red car"] * 3
        assert len(service.seen) == 6
        site.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Print nothing."""


def test_a_bad_picture_is_a_row_with_its_error(service: Loopback, folder: Path) -> None:
    (folder / "001.png").write_text("this is text")
    (folder / "003.png").unlink()
    names = [str(folder / f"00{number}.png") for number in range(6)]
    service.replies.append(problem(422, "no"))
    table = batch(service, names, concurrency=1)
    assert table.error.notna().tolist() == [True, True, False, True, False, False]
    assert table.error[0].startswith("RequestRejected: ")
    assert table.error[1].startswith("ImageError: '001.png' is text")
    assert table.error[3].startswith("ImageError: The file '003.png' does not exist")
    assert table.text.isna().tolist() == table.error.notna().tolist()
    with pytest.raises(nbvlm.ImageError):
        batch(service, names, on_error="raise")


@pytest.mark.parametrize(("status", "kind"), [(401, nbvlm.AuthenticationError), (402, nbvlm.QuotaError)])
def test_a_refused_key_and_spent_credits_end_the_run(
    service: Loopback, folder: Path, status: int, kind: type[nbvlm.Error]
) -> None:
    service.replies.extend(problem(status) for _ in range(20))
    with pytest.raises(kind) as caught:
        batch(service, folder, concurrency=2, journal=folder / "run.jsonl")
    assert asked(service) <= 2
    assert any("goes on from there" in note for note in caught.value.__notes__)
    assert KEY not in (folder / "run.jsonl").read_text()


def test_mistakes_are_told_before_anything_is_asked(service: Loopback, folder: Path) -> None:
    for wrong in ({"concurrency": 0}, {"rate": 0}, {"rate": "fast"}, {"on_error": "ignore"}, {"top_p": 7}):
        with pytest.raises(nbvlm.ParameterError):
            batch(service, folder, **wrong)
    for prompt in ("", "detect {", "detect {a.b}", 7, "<img src=x>"):
        with pytest.raises(nbvlm.PromptError):
            batch(service, folder, prompt)
    with pytest.raises(TypeError, match="Did you mean 'temperature'"):
        batch(service, folder, temprature=0.3)
    with pytest.raises(TypeError, match="not a str"):
        nbvlm.batch(folder, "caption en", client="demo")  # type: ignore[arg-type]
    with pytest.raises(nbvlm.ImageError, match="holds no picture"):
        batch(service, folder / ".." / "*.gif")
    with pytest.raises(nbvlm.ImageError, match="holds no pictures"):
        batch(service, 7)
    assert service.seen == []


def test_the_same_picture_is_asked_about_once(service: Loopback, folder: Path) -> None:
    data = (folder / "000.png").read_bytes()
    for name in ("x.png", "y.png"):
        (folder / name).write_bytes(data)
    table = batch(service, folder, journal=folder / "run.jsonl")
    assert len(table) == 8
    assert table.error.isna().all()
    assert asked(service) == 6


def test_options_reach_the_service(service: Loopback, folder: Path) -> None:
    batch(service, folder, temperature=0.9, max_tokens=7, content="parts")
    body = service.seen[0].json
    assert (body["temperature"], body["max_tokens"]) == (0.9, 7)
    assert isinstance(body["messages"][0]["content"], list)


def test_awaited_and_in_a_running_loop(service: Loopback, folder: Path) -> None:
    async def main() -> tuple[pd.DataFrame, pd.DataFrame]:
        client = client_for(service)
        awaited = await nbvlm.abatch(folder, "caption en", client=client, journal=None)
        return awaited, nbvlm.batch(folder, "caption en", client=client, journal=None)

    awaited, blocking = asyncio.run(main())
    assert awaited.text.tolist() == blocking.text.tolist() == ["a red car"] * 6


def test_a_cancelled_run_leaves_no_upload_and_no_lock(service: Loopback, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype=np.uint8)
    images = [np.roll(pixels, number, axis=1) for number in range(4)]
    service.replies.extend(answer("late", wait=30) for _ in range(8))
    journal = tmp_path / "run.jsonl"

    async def main() -> None:
        work = nbvlm.abatch(images, "caption en", client=client_for(service), concurrency=2, journal=journal)
        task = asyncio.create_task(work)
        assert await asyncio.to_thread(service.wait_for, lambda: asked(service) == 2)
        assert len(service.stored) == 2
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert service.stored == {}
    assert len(service.deleted) == 2
    service.replies.clear()
    assert batch(service, images, journal=journal).text.tolist() == ["a red car"] * 4
    assert service.stored == {}


def test_leaving_the_loop_early_stops_the_run(service: Loopback, folder: Path) -> None:
    journal = folder / "run.jsonl"
    for row in nbvlm.ibatch(folder, "caption en", client=client_for(service), concurrency=1, journal=journal):
        assert row.text == "a red car"
        break
    assert len(journal.read_text().splitlines()) < 6
    assert len(batch(service, folder, journal=journal)) == 6
    assert asked(service) <= 7


def test_an_error_of_the_callers_iterator_is_the_callers(service: Loopback, folder: Path) -> None:
    def source() -> Iterator[Path]:
        yield folder / "000.png"
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        batch(service, source())


def test_a_row_knows_its_result_with_its_picture(service: Loopback, folder: Path) -> None:
    service.text = "<loc0000><loc0000><loc0512><loc1023> cat"
    rows = list(nbvlm.ibatch(folder, "detect cat", client=client_for(service), journal=folder / "run.jsonl"))
    result = rows[0].result
    assert result is not None
    assert result.detections.labels == ("cat",)
    assert result.annotate().size == (64, 64)
    Path(rows[1].source).unlink()
    gone = rows[1].result
    assert gone is not None
    with pytest.raises(nbvlm.ImageError):
        gone.annotate()


def test_progress_is_told_to_a_function_and_stop_keeps_what_is_done(service: Loopback, folder: Path) -> None:
    told: list[Progress] = []
    table = batch(service, folder, progress=told.append)
    assert len(table) == 6
    assert (told[-1].state, told[-1].done, told[-1].total, told[-1].errors) == ("finished", 6, 6, 0)
    assert {row.text for row in told[-1].last} == {"a red car"}


def test_the_embedded_model_answers_without_a_journal_in_the_way(tmp_path: Path) -> None:
    from nbvlm.demo import scenes

    for seed in range(3):
        scenes.sample(seed).picture.save(tmp_path / f"{seed}.png")
    table = nbvlm.batch(tmp_path, "caption en", client=nbvlm.Client("demo"), journal=tmp_path / "run.jsonl")
    assert table.error.isna().all()
    assert (table.text.str.len() > 3).all()
    assert nbvlm.results(tmp_path / "run.jsonl").equals(table)


def test_a_missing_library_is_named_with_the_line_that_installs_it(folder: Path) -> None:
    code = """
    import sys
    sys.modules["pandas"] = sys.modules["fsspec"] = sys.modules["distributed"] = None
    import nbvlm
    from nbvlm.batches.cluster import client_of
    for call in (lambda: nbvlm.batch("x", "caption en"), lambda: list(nbvlm.ibatch("s3://b", "caption en")),
                 lambda: client_of("tcp://127.0.0.1:1")):
        try:
            call()
        except nbvlm.Error as error:
            print(error)
    print(len(list(nbvlm.ibatch(FOLDER, "caption en", client=nbvlm.Client("demo"), journal=None))))
    """.replace("FOLDER", repr(str(folder)))
    lines = "\n".join(line.removeprefix("    ") for line in code.splitlines())
    told = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True).stdout
    assert [word in told for word in ("nbvlm[batch]", "nbvlm[s3]", "nbvlm[dask]")] == [True] * 3
    assert told.splitlines()[-1] == "6"


MISSING = [None, float("nan"), pd.NA, pd.NaT, np.datetime64("NaT"), Decimal("NaN"), "", " \t\n"]


COLUMNS_WITH_A_HOLE = {
    "texts": pd.Series(["cat", None, "dog"], dtype="string"),
    "objects with None": pd.Series(["cat", None, "dog"], dtype=object),
    "objects with NaN": pd.Series(["cat", float("nan"), "dog"], dtype=object),
    "objects with NA": pd.Series(["cat", pd.NA, "dog"], dtype=object),
    "objects with NaT": pd.Series(["cat", pd.NaT, "dog"], dtype=object),
    "floats": pd.Series([1.5, None, 2.5]),
    "integers": pd.Series([1, None, 2], dtype="Int64"),
    "truth values": pd.Series([True, None, False], dtype="boolean"),
    "categories": pd.Series(["cat", None, "dog"], dtype="category"),
    "times": pd.Series(pd.to_datetime(["2026-01-02", None, "2026-01-03"])),
    "spans": pd.Series(pd.to_timedelta(["1 day", None, "2 days"])),
    "arrow": pd.Series(["cat", None, "dog"], dtype="string[pyarrow]"),
}


@pytest.mark.parametrize("kind", COLUMNS_WITH_A_HOLE)
def test_a_missing_value_of_a_column_never_becomes_words(service: Loopback, folder: Path, kind: str) -> None:
    column = COLUMNS_WITH_A_HOLE[kind]
    table = batch(
        service,
        pd.DataFrame({"path": sorted(folder.glob("*.png"))[:3], "a thing": column}),
        "detect {a thing}",
    )
    assert table.error.isna().tolist() == [True, False, True]
    assert "PromptError: The column 'a thing' has no value in this row" in table.error[1]
    assert table.prompt[1] == "detect {a thing}"
    assert asked(service) == 2


def test_missing_values_of_every_kind_are_rows_with_an_error(service: Loopback, folder: Path) -> None:
    paths = sorted(folder.glob("*.png"))
    rows = [{"image": paths[0], "thing": value} for value in [*MISSING, "cat"]]
    table = batch(service, rows, "detect {thing} ; {thing:>{width}}")
    assert table.error.str.contains("does not have").all()
    rows = [row | {"width": 5} for row in rows]
    table = batch(service, rows, "detect {thing} ; {thing:>{width}}")
    assert table.error.notna().tolist() == [True] * len(MISSING) + [False]
    assert table.prompt.iloc[-1] == "detect cat ;   cat"
    assert asked(service) == 1


def test_an_object_never_becomes_words(service: Loopback, folder: Path) -> None:
    data = (folder / "000.png").read_bytes()
    rows = [{"image": io.BytesIO(data), "thing": thing} for thing in (io.BytesIO(data), data, object(), 7)]
    table = batch(service, rows, "detect {thing}")
    assert table.error.notna().tolist() == [True, True, True, False]
    assert "The column 'thing' holds a value of type BytesIO, which is not a text" in table.error[0]
    assert "0x" not in table.to_csv()
    assert asked(service) == 1


def test_a_prompt_that_can_be_written_in_the_end_replaces_its_error(
    service: Loopback, folder: Path, tmp_path: Path
) -> None:
    frame = pd.DataFrame({"path": sorted(folder.glob("*.png"))[:2], "thing": ["cat", None]})
    journal = tmp_path / "run.jsonl"
    for _ in range(2):
        batch(service, frame, "detect {thing}", journal=journal)
        assert nbvlm.results(journal).error.notna().tolist() == [False, True]
    frame["thing"] = ["cat", "dog"]
    batch(service, frame, "detect {thing}", journal=journal)
    assert nbvlm.results(journal).prompt.tolist() == ["detect cat", "detect dog"]
    assert asked(service) == 2


@pytest.mark.parametrize(
    "name", ["#", "a b", "a.b", "x[0]", "0", "naïve", "a#b.c", "thing ", "class", "a-b", "a,b", "'q'", 0]
)
def test_a_column_of_any_name_is_written_in_braces(service: Loopback, folder: Path, name: Any) -> None:
    frame = pd.DataFrame({"path": sorted(folder.glob("*.png"))[:1], name: ["cat"]})
    table = batch(service, frame, f"detect {{{name}}}")
    assert table.prompt.tolist() == ["detect cat"]


@pytest.mark.parametrize("name", ["a:b", "a!b", "a{b", "a}b"])
def test_names_that_braces_cannot_hold_need_a_function(service: Loopback, folder: Path, name: str) -> None:
    frame = pd.DataFrame({"path": sorted(folder.glob("*.png"))[:1], name: ["cat"]})
    with pytest.raises(nbvlm.PromptError, match="needs a function: lambda row"):
        batch(service, frame, f"detect {{{name}}}")
    assert batch(service, frame, lambda row: f"detect {row[name]}").prompt[0] == "detect cat"


INDEXES = {
    "a name": pd.Index([5, 6, 7], name="id"),
    "two levels": pd.MultiIndex.from_tuples([("x", 1), ("y", 2), ("x", 0)], names=["a", "b"]),
    "two levels without names": pd.MultiIndex.from_tuples([("x", 1), ("y", 2), ("z", 3)]),
    "the same twice": pd.Index(["b", "a", "b"], name="k"),
    "categories": pd.CategoricalIndex(["u", "v", "u"], categories=["v", "u", "w"], ordered=True, name="c"),
    "times": pd.DatetimeIndex(["2026-03-01", "2026-01-01", "2026-02-01"], tz="Europe/Berlin", name="t"),
    "floats with a hole": pd.Index([1.5, None, 0.0]),
    "periods": pd.period_range("2026-01", periods=3, freq="M"),
    "a range": pd.RangeIndex(10, 16, 2),
}


@pytest.mark.parametrize("kind", INDEXES)
def test_the_index_of_a_table_is_kept(service: Loopback, folder: Path, kind: str) -> None:
    frame = pd.DataFrame({"path": sorted(folder.glob("*.png"))[:3]}, index=INDEXES[kind])
    service.text = "<loc0000><loc0000><loc0512><loc1023> cat ; <loc0000><loc0512><loc1023><loc1023> dog"
    for source in (frame, frame.path):
        table = batch(service, source)
        pd.testing.assert_index_equal(table.index, frame.index)
        assert table.index.names == frame.index.names
        exploded = batch(service, source, explode=True)
        pd.testing.assert_index_equal(exploded.index, frame.index.repeat(2))
    assert frame.join(table[["text"]]).text.notna().all()


@pytest.mark.parametrize("kind", ["a name", "two levels", "times"])
def test_the_index_of_a_run_that_was_ended_is_that_of_its_rows(
    service: Loopback, folder: Path, kind: str
) -> None:
    frame = pd.DataFrame({"path": sorted(folder.glob("*.png"))[:3]}, index=INDEXES[kind])
    frame["path"] = [frame.path.iloc[0], folder / "none.png", frame.path.iloc[2]]
    with pytest.raises(nbvlm.ImageError) as caught:
        batch(service, frame, on_error="raise", concurrency=1)
    table = caught.value.table  # type: ignore[attr-defined]
    pd.testing.assert_index_equal(table.index, frame.index[:1])
    assert table.text.notna().all()


def test_uploads_and_pictures_of_data_sets_are_pictures(service: Loopback, folder: Path) -> None:
    data = [path.read_bytes() for path in sorted(folder.glob("*.png"))]
    uploads = (  # as ipywidgets 8 has them, then as ipywidgets 7
        {"name": "a.png", "type": "image/png", "size": len(data[0]), "content": memoryview(data[0])},
        {"name": "b.png", "type": "image/png", "size": len(data[1]), "content": data[1]},
    )
    older = {"c.png": {"metadata": {"name": "c.png"}, "content": data[2]}}
    hub = [{"bytes": data[3], "path": "d.png"}, {"bytes": data[4], "path": None}]
    sources = [
        (uploads, ["a.png", "b.png"]),
        (uploads[0], ["a.png"]),
        (older, ["c.png"]),
        (hub, ["d.png", "#1"]),
        (pd.DataFrame({"image": hub, "n": [1, 2]}), ["d.png", "#1"]),
        (pd.Series(uploads), ["a.png", "b.png"]),
        ([{"image": hub[1], "n": 3}], ["#0"]),
        ([{"bytes": None, "path": str(folder / "005.png")}], [str(folder / "005.png")]),
    ]
    for images, names in sources:
        table = batch(service, images)
        assert table.source.tolist() == names
        assert table.error.isna().all()
    with pytest.raises(nbvlm.ImageError, match="One mapping is not a list"):
        batch(service, {"image": "a.png"})


def test_an_upload_is_known_by_its_bytes(service: Loopback, folder: Path, tmp_path: Path) -> None:
    data, journal = (folder / "000.png").read_bytes(), tmp_path / "run.jsonl"
    for images in ([{"name": "a.png", "content": data}], [{"bytes": data, "path": None}], [data]):
        batch(service, images, journal=journal)
    assert asked(service) == 1


def test_names_that_look_like_numbers_or_objects(
    service: Loopback, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Named(io.BytesIO):
        name = "<stdin>"

    data = (folder / "000.png").read_bytes()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "#1.png").write_bytes(data)
    table = batch(service, ["#1.png", io.BytesIO(data), "#1.png", Named(data)], journal="run.jsonl")
    assert table.source.tolist() == ["#1.png", "#1", "#1.png", "#3"]
    assert len(nbvlm.results("run.jsonl")) == 4


def test_linked_folders_are_walked_once_and_circles_end(service: Loopback, tmp_path: Path) -> None:
    data, disk = tmp_path / "data", tmp_path / "disk"
    pictures(data / "own", 1)
    pictures(disk / "deep", 1)
    (data / "train").symlink_to(disk)
    (data / "again").symlink_to(disk)
    (data / "own" / "up").symlink_to("..")
    (disk / "deep" / "self").symlink_to(".")
    (disk / "deep" / "other").symlink_to("../..")
    wanted = [str(data / "again/deep/000.png"), str(data / "own/000.png")]
    for images in (data, f"{data}/**/*.png", f"{data}/**", f"{data}/**/**/*.png"):
        assert sorted(batch(service, images).source) == wanted


def test_patterns_are_read_as_glob_reads_them(
    service: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import glob

    for name in ("a", "b", "a/c", "a/c/d", ".h"):
        pictures(tmp_path / name, 2)
    (tmp_path / "a" / ".hidden.png").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    for pattern in (
        "**/*.png",
        "*/*.png",
        "a/**/000.png",
        "?/00[01].png",
        "**/c/*.png",
        ".h/*.png",
        "./a/*.png",
    ):
        for prefix in ("", f"{tmp_path}/"):
            found = sorted(map(os.path.normpath, glob.glob(prefix + pattern, recursive=True)))  # noqa: PTH207
            assert sorted(batch(service, prefix + pattern).source) == found
    pictures(tmp_path / "[2024] in", 1)
    assert batch(service, "[2024] in/*.png").source.tolist() == ["[2024] in/000.png"]
    for nothing in ("no-such-folder/", "nowhere", "a/nothing*.png"):
        with pytest.raises(nbvlm.ImageError, match=r"The folder .* does not exist|holds no picture"):
            batch(service, nothing)
