"""Nothing is lost: the journal under `kill -9`, half lines, two runs at once, and a disk without room."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from support.batch_runs import asked, batch_killed, client_for, pictures, started
from support.loopback import Loopback, Reply, answer, problem

import nbvlm
from nbvlm.client import Retry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd
    from support.loopback import Seen

COLUMNS = ["source", "prompt", "text", "error"]


@pytest.fixture
def service() -> Iterator[Loopback]:
    with Loopback() as server:
        yield server


def told(seen: Seen) -> Reply:
    """Answer with the prompt, so that each picture has an answer of its own."""
    prompt = seen.json["messages"][0]["content"].partition(" <img")[0]
    return answer(f"the answer to {prompt}", wait=0.02)


class Telling(Loopback):
    def _model(self, seen: Seen) -> Reply:
        return told(seen)


def run(service: Loopback, folder: Path, journal: Path | None, **options: Any) -> pd.DataFrame:
    options = {"client": client_for(service)} | options
    return nbvlm.batch(folder, "detect {stem}", journal=journal, **options)


@pytest.mark.parametrize("finished", [0, 7, 31])
def test_after_kill_9_a_second_run_gives_the_rows_of_an_undisturbed_one(
    tmp_path: Path, finished: int
) -> None:
    folder, journal, concurrency = pictures(tmp_path / "pictures", 40), tmp_path / "run.jsonl", 5
    with Telling() as service:
        process = started(folder, service, journal, concurrency)
        assert service.wait_for(lambda: asked(service) > finished, 60)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        process.communicate()
        before = asked(service)
        assert before < 40
        whole = run(service, folder, None)
        undisturbed = asked(service) - before
        assert undisturbed == 40
        table = run(service, folder, journal, concurrency=concurrency)
        again = before + asked(service) - before - undisturbed - 40
    assert 0 <= again <= concurrency
    assert table[COLUMNS].equals(whole[COLUMNS])
    assert nbvlm.results(journal)[COLUMNS].equals(whole[COLUMNS])


def test_a_batch_that_is_killed_again_and_again_has_every_row_once(tmp_path: Path) -> None:
    found = batch_killed(tmp_path, times=2)
    assert found.kills == 2
    assert found.table.text.tolist() == [f"the answer to detect {number:03d}" for number in range(16)]
    assert sorted(found.lines) == found.table.source.tolist()
    assert found.answered_again == []
    assert found.again <= 2 * 4  # at most those that were under way


def test_a_half_written_line_is_ignored_wherever_it_was_cut(service: Loopback, tmp_path: Path) -> None:
    folder, journal = pictures(tmp_path / "pictures", 3), tmp_path / "run.jsonl"
    whole = run(service, folder, journal, concurrency=1)
    text = journal.read_bytes()
    start = text.rstrip().rindex(b"\n") + 1
    for cut in range(start, len(text) - 1, 37):
        journal.write_bytes(text[:cut])
        assert len(nbvlm.results(journal)) == 2
        before = asked(service)
        table = run(service, folder, journal)
        assert asked(service) == before + 1
        assert table[COLUMNS].equals(whole[COLUMNS])
        assert nbvlm.results(journal)[COLUMNS].equals(whole[COLUMNS])
    journal.write_bytes(text[:-1])  # whole but for its line break
    before = asked(service)
    assert run(service, folder, journal)[COLUMNS].equals(whole[COLUMNS])
    assert asked(service) == before


def test_every_line_is_there_as_soon_as_its_picture_is_finished(service: Loopback, tmp_path: Path) -> None:
    folder, journal = pictures(tmp_path / "pictures", 5), tmp_path / "run.jsonl"
    for number, row in enumerate(
        nbvlm.ibatch(folder, "caption en", client=client_for(service), journal=journal, concurrency=1), 1
    ):
        table = nbvlm.results(journal)
        assert len(table) >= number
        assert row.source in table.source.tolist()


def test_two_runs_cannot_write_one_journal(tmp_path: Path) -> None:
    folder, journal = pictures(tmp_path / "pictures", 4), tmp_path / "run.jsonl"
    with Loopback() as service:
        service.replies.extend(answer("late", wait=60) for _ in range(4))
        process = started(folder, service, journal, 2)
        assert service.wait_for(lambda: asked(service) == 2, 60)
        with pytest.raises(nbvlm.Error, match="is being written by another run") as caught:
            run(service, folder, journal)
        assert "another journal" in str(caught.value)
        process.kill()
        process.communicate()
        service.replies.clear()
        assert len(run(service, folder, journal)) == 4


def test_what_is_done_depends_on_picture_prompt_parameters_and_model(
    service: Loopback, tmp_path: Path
) -> None:
    folder, journal = pictures(tmp_path / "pictures", 2), tmp_path / "run.jsonl"

    def everything() -> int:
        return sum(seen.method == "POST" for seen in service.seen)

    def new(prompt: str = "caption en", client: nbvlm.Client | None = None, **options: Any) -> int:
        before = everything()
        own = client or client_for(service)
        nbvlm.batch(folder, prompt, client=own, journal=journal, **options)
        return everything() - before

    assert [new(), new(), new(prompt="caption de"), new(temperature=0.5)] == [2, 0, 2, 2]
    assert [new(temperature=0.2), new(route="inline"), new(content="parts")] == [0, 0, 2]
    (folder / "000.png").rename(folder / "renamed.png")
    assert new() == 0
    (folder / "renamed.png").write_bytes((folder / "001.png").read_bytes() + b"another")
    assert new() == 1
    assert (
        new(client=nbvlm.Client(f"{service.url}/v1", model="m")) == 2 + len(service.seen) - asked(service) - 2
    )
    assert nbvlm.results(journal).prompt.value_counts().to_dict()["caption de"] == 2


def test_errors_of_the_moment_are_asked_again_and_those_of_the_picture_are_not(
    service: Loopback, tmp_path: Path
) -> None:
    folder, journal = pictures(tmp_path / "pictures", 4), tmp_path / "run.jsonl"
    (folder / "000.png").write_text("no picture")
    service.replies.extend([problem(422, "no"), problem(500), answer("fine")])
    never = client_for(service, retry=Retry.never())
    table = run(service, folder, journal, concurrency=1, client=never)
    assert table.error.str.partition(":")[0].fillna("").tolist() == [
        "ImageError",
        "RequestRejected",
        "ServerError",
        "",
    ]
    again = run(service, folder, journal)
    assert asked(service) == 4
    assert again.error.notna().tolist() == [True, True, False, False]
    assert nbvlm.results(journal)[COLUMNS].equals(again[COLUMNS])
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert len(lines) == 5
    assert lines[0]["error"]["kind"] == "ImageError"


def test_a_picture_that_comes_twice_has_two_rows(service: Loopback, tmp_path: Path) -> None:
    folder, journal = pictures(tmp_path / "pictures", 2), tmp_path / "run.jsonl"
    paths = [folder / "000.png", folder / "001.png", folder / "000.png"]
    for _ in range(2):
        table = nbvlm.batch(paths, "caption en", client=client_for(service), journal=journal)
        assert table.source.tolist() == [str(path) for path in paths]
        assert nbvlm.results(journal)[COLUMNS].equals(table[COLUMNS])
    assert asked(service) == 2
    assert len(journal.read_text().splitlines()) == 3


def test_what_is_no_journal_is_left_as_it_is(service: Loopback, tmp_path: Path) -> None:
    folder, table = pictures(tmp_path / "pictures", 1), tmp_path / "table.csv"
    table.write_text("path,thing\na.png,cat\n")
    with pytest.raises(nbvlm.Error, match="is not the journal"):
        run(service, folder, table)
    with pytest.raises(nbvlm.Error, match="is not the journal"):
        nbvlm.results(table)
    assert table.read_text() == "path,thing\na.png,cat\n"
    with pytest.raises(nbvlm.Error, match="cannot be opened"):
        run(service, folder, tmp_path / "nowhere" / "run.jsonl")
    with pytest.raises(nbvlm.Error, match=r"The journal .* does not exist"):
        nbvlm.results(tmp_path / "nowhere.jsonl")
    assert asked(service) == 0


def test_a_full_disk_is_told_and_the_journal_stays_whole(tmp_path: Path) -> None:
    folder, journal = pictures(tmp_path / "pictures", 8), tmp_path / "run.jsonl"
    code = """
import resource, signal, sys, nbvlm
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
client = nbvlm.Client("nvidia", api_key="nvapi-of-a-process", base_url=sys.argv[2])
try:
    nbvlm.batch(sys.argv[1], "detect {stem}", client=client, journal=sys.argv[3], concurrency=1)
except nbvlm.Error as error:
    print(error)
"""
    with Telling() as service:
        command = [sys.executable, "-c", code, str(folder), service.url, str(journal)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert "cannot be written: File too large" in said
        assert "run the same again" in said
        assert journal.stat().st_size == 3000
        known = len(nbvlm.results(journal))
        assert 1 <= known < 8
        table = run(service, folder, journal)
    assert table.error.isna().all()
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 3000


def test_ctrl_c_leaves_a_whole_journal(tmp_path: Path) -> None:
    folder, journal = pictures(tmp_path / "pictures", 30), tmp_path / "run.jsonl"
    with Telling() as service:
        process = started(folder, service, journal, 3)
        assert service.wait_for(lambda: asked(service) > 8, 60)
        process.send_signal(signal.SIGINT)
        _, told_ = process.communicate(timeout=60)
        assert process.returncode != 0
        assert b"KeyboardInterrupt" in told_
        assert b"nvapi-of-a-process" not in told_
        text = journal.read_bytes()
        assert text.endswith(b"\n")
        assert all(json.loads(line)["text"] for line in text.splitlines())
        before = asked(service)
        assert len(run(service, folder, journal)) == 30
        assert asked(service) <= 30 + 3
        assert before < 30


def test_no_key_and_no_signed_address_stands_in_a_journal(service: Loopback, tmp_path: Path) -> None:
    journal = tmp_path / "run.jsonl"
    pictures(tmp_path, 1)
    service.replies.append(problem(500, "Bearer nvapi-of-a-batch-that-must-not-be-seen"))
    images = ["https://127.0.0.1:1/bucket/a.png?X-Amz-Signature=topsecret", tmp_path / "000.png"]
    never = client_for(service, retry=Retry.never())
    table = nbvlm.batch(images, "caption en", client=never, journal=journal)
    assert table.error.notna().all()
    text = journal.read_text() + table.to_csv()
    assert "nvapi-of" not in text
    assert "topsecret" not in text


def test_masks_travel_through_the_journal_as_codes(service: Loopback, tmp_path: Path) -> None:
    folder, journal = pictures(tmp_path / "pictures", 1), tmp_path / "run.jsonl"
    service.text = (
        "<loc0000><loc0000><loc0512><loc1023>" + "".join(f"<seg{n:03d}>" for n in range(16)) + " cat"
    )
    table = run(service, folder, journal)
    found = nbvlm.results(journal).detections[0]
    assert found.codes == table.detections[0].codes == (tuple(range(16)),)
    assert found.codebook == table.detections[0].codebook
    assert journal.stat().st_size < 3000


def test_a_file_system_without_locks_keeps_a_journal(
    service: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_file: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("nbvlm.batches.journal._take", refuse)
    folder, journal = pictures(tmp_path / "pictures", 2), tmp_path / "run.jsonl"
    assert len(run(service, folder, journal)) == 2
    assert len(journal.read_text().splitlines()) == 2


def test_a_lock_that_fails_otherwise_is_not_called_another_run(
    service: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_file: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("nbvlm.batches.journal._take", fail)
    with pytest.raises(nbvlm.Error, match="The file system does not lock the journal") as caught:
        run(service, pictures(tmp_path / "pictures", 1), tmp_path / "run.jsonl")
    assert "another run" not in str(caught.value)
    assert "local disk" in str(caught.value)


def mended(line: bytes, **changes: Any) -> bytes:
    return json.dumps(json.loads(line) | changes, separators=(",", ":")).encode() + b"\n"


DAMAGE: dict[str, Any] = {
    "garbage": lambda line: bytes(255 - byte for byte in line[:-1]) + b"\n",
    "a flipped byte": lambda line: line.replace(b'"text":"a red', b'"text":"a\xffred'),
    "half": lambda line: line[: len(line) // 2] + b"\n",
    "half, without its end": lambda line: line[: len(line) // 2],
    "its second half": lambda line: line[len(line) // 2 :],
    "zeros": lambda line: bytes(len(line)),
    "zeros and an end": lambda line: bytes(4096) + b"\n",
    "other JSON": lambda _line: b'{"hello": ["world", 1, null]}\n[1]\n"text"\nnull\n',
    "an empty answer": lambda line: mended(line, text=None),
    "a wrong key": lambda line: mended(line, key=17),
    "a wrong index": lambda line: mended(line, index="first"),
    "a wrong error": lambda line: mended(line, error={"kind": 5}),
    "an error that is a list": lambda line: mended(line, error=[]),
    "wrong detections": lambda line: mended(line, detections=[1, 2]),
    "wrong boxes": lambda line: mended(
        line,
        detections={
            "size": [8, 8],
            "codebook": None,
            "items": [{"label": "a", "box": [1], "codes": None, "mask": None}],
        },
    ),
    "no size": lambda line: mended(line, detections={"size": [0, -1], "codebook": None, "items": []}),
    "no picture": lambda line: mended(line, picture=None),
    "a picture without its hash": lambda line: mended(line, picture={}),
    "another format": lambda line: mended(line, format="nbvlm-result/99"),
    "deep nesting": lambda line: line[:-2] + b',"more":' + b"[" * 100_000 + b"\n",
    "a number without end": lambda line: mended(line, index=0).replace(
        b'"index":0', b'"index":' + b"9" * 5000
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_line_costs_that_line_only(service: Loopback, tmp_path: Path, kind: str) -> None:
    folder, journal = pictures(tmp_path / "pictures", 3), tmp_path / "run.jsonl"
    whole = run(service, folder, journal, concurrency=1)
    first, second, third = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(first + DAMAGE[kind](second) + third)
    assert nbvlm.results(journal).source.tolist() == [whole.source[0], whole.source[2]]
    before = asked(service)
    assert run(service, folder, journal)[COLUMNS].equals(whole[COLUMNS])
    assert asked(service) == before + 1
    assert nbvlm.results(journal)[COLUMNS].equals(whole[COLUMNS])
    assert run(service, folder, journal)[COLUMNS].equals(whole[COLUMNS])
    assert asked(service) == before + 1


def test_doubled_lines_are_one_row(service: Loopback, tmp_path: Path) -> None:
    folder, journal = pictures(tmp_path / "pictures", 3), tmp_path / "run.jsonl"
    whole = run(service, folder, journal, concurrency=1)
    text = journal.read_bytes()
    journal.write_bytes(text + text[:-1] + text)  # where two met, a line break is missing
    assert nbvlm.results(journal)[COLUMNS].equals(whole[COLUMNS])
    assert run(service, folder, journal)[COLUMNS].equals(whole[COLUMNS])
    assert asked(service) == 3


def test_a_journal_that_begins_damaged_goes_on(service: Loopback, tmp_path: Path) -> None:
    folder, journal = pictures(tmp_path / "pictures", 1), tmp_path / "run.jsonl"
    for beginning in (b"", b"\0" * 512, b"\r\n", b"{", b'{"key":"0123', b"\xef\xbb\xbf"):
        run(service, folder, journal)
        journal.write_bytes(beginning + (journal.read_bytes() if beginning == b"\xef\xbb\xbf" else b""))
        before = asked(service)
        assert run(service, folder, journal).text.notna().all()
        assert asked(service) == before + (beginning != b"\xef\xbb\xbf")
        journal.unlink()


def test_a_name_that_is_not_utf8_is_asked_once(service: Loopback, tmp_path: Path) -> None:
    folder, journal = tmp_path / "pictures", tmp_path / "run.jsonl"
    pictures(folder, 1)
    os.rename(folder / "000.png", os.fsencode(folder) + b"/caf\xe9.png")  # noqa: PTH104 - bytes
    (row,) = nbvlm.ibatch(folder, "caption en", client=client_for(service), journal=journal)
    assert row.source.endswith("caf\udce9.png")
    assert row.result is not None
    assert row.result.picture.image().size == (64, 64)
    for _ in range(2):
        table = nbvlm.batch(folder, "caption en", client=client_for(service), journal=journal, explode=True)
        assert table.source[0].endswith(r"caf\udce9.png")
        assert table.text.notna().all()
    assert nbvlm.results(journal).source[0].endswith(r"caf\udce9.png")
    assert asked(service) == 1
    assert repr(row).encode().isascii()
    journal.read_bytes().decode("utf-8")


def test_half_a_character_of_an_answer_is_its_escape_asked_once(service: Loopback, tmp_path: Path) -> None:
    folder, journal = pictures(tmp_path / "pictures", 1), tmp_path / "run.jsonl"
    service.text = "<loc0000><loc0000><loc0512><loc1023> a \ud83d cat"
    for _ in range(2):
        (row,) = nbvlm.ibatch(folder, "detect cat", client=client_for(service), journal=journal)
        assert row.text is not None
        assert row.text.endswith(r"a \ud83d cat")
        table = nbvlm.batch(folder, "detect cat", client=client_for(service), journal=journal, explode=True)
        assert table.label[0] == r"a \ud83d cat"
        assert table.text[0].endswith(r"\ud83d cat")
    assert nbvlm.results(journal, explode=True).label[0] == r"a \ud83d cat"
    assert asked(service) == 1


@pytest.mark.parametrize("status", [407, 408, 409, 421, 425, 499, 500, 520])
def test_a_status_of_the_moment_is_asked_again_by_the_next_run(tmp_path: Path, status: int) -> None:
    folder, journal = pictures(tmp_path / "pictures", 1), tmp_path / "run.jsonl"
    with Loopback() as service:
        client = client_for(service, retry=Retry.never())
        service.replies.append(problem(status, "later"))
        table = nbvlm.batch(folder, "caption en", client=client, journal=journal)
        assert f"({status})" in table.error[0]
        assert nbvlm.batch(folder, "caption en", client=client, journal=journal).text.notna().all()
        assert asked(service) == 2


@pytest.mark.parametrize("count", [-1, 2**60, 10**30, 1.5, "7", True])
def test_an_answer_with_odd_counts_of_tokens_is_asked_once(tmp_path: Path, count: Any) -> None:
    folder, journal = pictures(tmp_path / "pictures", 1), tmp_path / "run.jsonl"
    choice = {"index": 0, "message": {"role": "assistant", "content": "a cat"}, "finish_reason": "stop"}
    body = {"choices": [choice], "usage": {"prompt_tokens": 3, "total_tokens": count}}
    with Loopback() as service:
        headers = {"content-type": "application/json"}
        service.replies.append(Reply(headers=headers, body=json.dumps(body).encode()))
        for _ in range(2):
            table = run(service, folder, journal)
            assert table.text.tolist() == nbvlm.results(journal).text.tolist() == ["a cat"]
            assert table.tokens.isna().all()
        assert asked(service) == 1


@pytest.mark.parametrize("form", ["finish_reason", "beside the choices", "instead of them", "in a chunk"])
def test_an_error_within_an_answer_is_a_failed_row_that_is_asked_again(tmp_path: Path, form: str) -> None:
    folder, journal = pictures(tmp_path / "pictures", 1), tmp_path / "run.jsonl"
    choice = {"index": 0, "message": {"role": "assistant", "content": "half"}, "finish_reason": "error"}
    error = {"error": {"message": "the backend fell over", "code": 500}}
    body: dict[str, Any] = {
        "finish_reason": {"choices": [choice]},
        "beside the choices": {"choices": [choice | {"finish_reason": "stop"}]} | error,
        "instead of them": error,
        "in a chunk": {"choices": [choice | error]},
    }[form]
    with Loopback() as service:
        client = client_for(service, retry=Retry.never())
        service.replies.append(
            Reply(headers={"content-type": "application/json"}, body=json.dumps(body).encode())
        )
        table = nbvlm.batch(folder, "caption en", client=client, journal=journal)
        assert table.text.isna().all()
        assert table.error.str.startswith("ServerError").all()
        assert nbvlm.batch(folder, "caption en", client=client, journal=journal).text[0] == "a red car"
        assert asked(service) == 2


def test_a_change_of_the_folder_during_a_run_changes_nothing(
    service: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    pictures(home / "pictures", 6)
    elsewhere.mkdir()
    for images in ("pictures", "pictures/*.png", [f"pictures/{number:03d}.png" for number in range(6)]):
        monkeypatch.chdir(home)
        found = nbvlm.ibatch(images, "caption en", client=client_for(service), journal="r", concurrency=1)
        monkeypatch.chdir(elsewhere)
        rows = list(found)
        assert sorted(row.source for row in rows) == [f"pictures/{number:03d}.png" for number in range(6)]
        assert all(row.error is None for row in rows)
        assert all(row.result.picture.image().size == (64, 64) for row in rows if row.result is not None)
    assert not list(elsewhere.iterdir())
    assert len((home / "r").read_text().splitlines()) == 6


def test_a_journal_is_an_ordinary_file(service: Loopback, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures", 1)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to("circle")
    places = {
        tmp_path: "is a folder",
        "/dev/null": "is a device",
        tmp_path / "pipe": "a pipe",
        tmp_path / "circle": "cannot be opened: Too many levels of symbolic links",
        folder / "000.png" / "run.jsonl": "cannot be opened: Not a directory",
        "a\0b": "must be the path of a file",
        "": "is a folder",
        3: "must be the path of a file",
        "x" * 300: "File name too long",
    }
    for place, words in places.items():
        with pytest.raises(nbvlm.Error, match=words):
            run(service, folder, place)  # type: ignore[arg-type]
        with pytest.raises(nbvlm.Error, match=words):
            nbvlm.results(place)  # type: ignore[arg-type]
    assert asked(service) == 0


@pytest.mark.parametrize("how", ["replaced", "deleted", "shortened"])
def test_a_journal_that_another_program_changes_ends_the_run_with_every_answer(
    tmp_path: Path, how: str
) -> None:
    folder, journal = pictures(tmp_path / "pictures", 12), tmp_path / "run.jsonl"
    rows = []

    def disturbed() -> None:
        for row in nbvlm.ibatch(folder, "caption en", client=client, journal=journal, concurrency=2):
            rows.append(row)
            if len(rows) == 2 and how == "shortened":
                os.truncate(journal, 10)
            elif len(rows) == 2:
                journal.unlink()
                if how == "replaced":
                    journal.write_text("")

    with Telling() as service:
        client = client_for(service)
        with pytest.raises(nbvlm.Error, match="replaced, shortened or deleted by another program"):
            disturbed()
        assert 3 <= len(rows) < 12
        assert len(rows) == asked(service)
        assert all(row.text for row in rows)
        assert len(run(service, folder, None)) == 12


def test_answers_beyond_a_full_disk_are_in_the_table_of_the_error(tmp_path: Path) -> None:
    folder, journal = pictures(tmp_path / "pictures", 8), tmp_path / "run.jsonl"
    code = """
import resource, signal, sys, nbvlm
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
client = nbvlm.Client("nvidia", api_key="nvapi-of-a-process", base_url=sys.argv[2])
try:
    nbvlm.batch(sys.argv[1], "detect {stem}", client=client, journal=sys.argv[3], concurrency=3)
except nbvlm.Error as error:
    print(len(error.table), error.table.text.notna().all())
"""
    with Telling() as service:
        command = [sys.executable, "-c", code, str(folder), service.url, str(journal)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert said.split() == [str(asked(service)), "True"]


def test_another_writer_where_there_are_no_locks_costs_nothing(service: Loopback, tmp_path: Path) -> None:
    folder, journal = pictures(tmp_path / "pictures", 4), tmp_path / "run.jsonl"
    found = nbvlm.ibatch(folder, "detect {stem}", client=client_for(service), journal=journal, concurrency=1)
    for number, _ in enumerate(found):
        with journal.open("ab") as other:
            other.write(b'{"key":"half' if number % 2 else b"\n")
    assert asked(service) == 4
    assert len(run(service, folder, journal)) == 4
    assert asked(service) == 4
    assert len(nbvlm.results(journal)) == 4
