"""How far a batch is, as a notebook shows it: figures, the last answers, and a Stop that is heard."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.manager import start_new_kernel
from support.batch_runs import client_for, pictures
from support.loopback import Loopback, answer

import nbvlm
from nbvlm.batches.progress import Progress
from nbvlm.batches.progress_bar import ProgressBar, figures, spell, strip
from nbvlm.batches.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = 60


@pytest.fixture
def service() -> Iterator[Loopback]:
    with Loopback() as server:
        yield server


def progress(**more: Any) -> Progress:
    known: dict[str, Any] = {
        "done": 1260, "total": 2000, "resumed": 0, "errors": 2, "asking": 8, "waiting": 3, "concurrency": 8,
        "seconds": 1890.0, "per_minute": 40.0, "left_s": 1110.0, "last": (), "state": "running",
    }  # fmt: skip
    return Progress(**(known | more))


def test_one_line_says_how_far_it_is() -> None:
    told = figures(progress())
    assert told == "1,260 of 2,000 · 40 a minute · 2 errors · 8 asked, 3 waiting · 18 min 30 s left"
    assert figures(progress(total=None, left_s=None, errors=1)).startswith("1,260 · 40 a minute · 1 error · ")
    assert figures(progress(state="finished", done=2000)).startswith(
        "Finished: 2,000 pictures in 31 min 30 s"
    )
    assert figures(progress(state="finished", done=1)).startswith("Finished: 1 picture in ")
    assert "goes on from here" in figures(progress(state="stopped"))
    assert "400 from before" in figures(progress(resumed=400))
    assert spell(59.6) == "1 min 0 s"


def test_the_last_answers_are_shown_escaped_and_with_small_pictures(
    service: Loopback, tmp_path: Path
) -> None:
    folder = pictures(tmp_path / "<b>x", 2)
    (folder / "000.png").rename(folder / "<script>.png")
    service.text = (
        "<loc0000><loc0000><loc0512><loc1023> <img onerror=x> ; <loc0000><loc0000><loc0512><loc1023> dog"
    )
    rows = tuple(nbvlm.ibatch(folder, "detect cat ; dog", client=client_for(service), journal=None))
    (folder / "bad.png").write_text("no picture")
    rows += tuple(nbvlm.ibatch([folder / "bad.png"], "caption en", client=client_for(service), journal=None))
    kept: dict[str, str] = {}
    told = strip(rows, kept)
    assert "<script>" not in told
    assert "<img onerror" not in told
    assert "&lt;script&gt;.png" in told
    assert told.count("data:image/jpeg;base64,") == 2
    assert "ImageError" in told
    assert strip(rows[:1], kept).count("<img alt=") == 1
    assert list(kept) == [rows[0].source]


def test_stop_ends_the_run_and_keeps_what_is_finished(service: Loopback, tmp_path: Path) -> None:
    folder, journal = pictures(tmp_path / "pictures", 40), tmp_path / "run.jsonl"
    gauges: list[ProgressBar] = []

    def take(report: Progress) -> None:
        gauges[0].take(report)
        if report.done >= 5:
            gauges[0].press()

    service.replies.extend(answer("slow", wait=0.03) for _ in range(40))
    work = Run(
        folder, "caption en", client=client_for(service), concurrency=2, journal=journal, rate=None,
        on_error="record", engine=None, column=None, progress=take,
    )  # fmt: skip
    gauges.append(ProgressBar(work.stop))
    rows = list(work.each())
    assert 5 <= len(rows) < 40
    assert gauges[0].line.value.count("Stopped after") == 1
    assert gauges[0].button.disabled
    assert gauges[0].bar.bar_style == "warning"
    table = nbvlm.results(journal)
    assert {row.source for row in rows} <= set(table.source)
    service.replies.clear()
    assert len(nbvlm.batch(folder, "caption en", client=client_for(service), journal=journal)) == 40


def test_the_end_is_drawn_before_the_run_returns() -> None:
    gauge = ProgressBar(lambda: None)
    for done in range(200):
        gauge.take(progress(done=done))
    gauge.take(progress(done=2000, state="finished"))
    assert gauge.bar.value == 2000
    assert "Finished: 2,000" in gauge.line.value
    assert gauge.bar.bar_style == "success"


def test_stop_is_heard_while_the_cell_is_busy(tmp_path: Path) -> None:
    """A page sends what its widgets say over a subshell, where the kernel has them."""
    folder = pictures(tmp_path / "pictures", 40)
    code = f"""
import nbvlm
client = nbvlm.Client("nvidia", api_key="nvapi-of-a-kernel", base_url={{url!r}})
table = nbvlm.batch({str(folder)!r}, "caption en", client=client, journal=None, concurrency=1)
print("rows:", len(table))
"""
    manager, client = start_new_kernel()
    try:
        client.control_channel.send(client.session.msg("create_subshell_request"))
        made = client.control_channel.get_msg(timeout=SECONDS)["content"]
        if made["status"] != "ok":
            pytest.skip("this kernel has no subshells: its Stop is the kernel's own interruption")
        with Loopback() as service:
            service.replies.extend(answer("slow", wait=0.1) for _ in range(40))
            client.execute(code.format(url=service.url))
            button = ""
            said, pressed, deadline = "", False, time.monotonic() + SECONDS
            while "rows:" not in said and time.monotonic() < deadline:
                message = client.get_iopub_msg(timeout=SECONDS)
                content = message["content"]
                if message["msg_type"] == "comm_open":
                    state = content["data"].get("state", {})
                    button = content["comm_id"] if state.get("_model_name") == "ButtonModel" else button
                said += content.get("text", "") if message["msg_type"] == "stream" else ""
                if button and not pressed and len(service.seen) > 3:
                    pressed = True
                    data = {"method": "custom", "content": {"event": "click"}}
                    press = client.session.msg("comm_msg", {"comm_id": button, "data": data})
                    press["header"]["subshell_id"] = made["subshell_id"]
                    client.shell_channel.send(press)
            assert 1 <= int(said.partition("rows:")[2]) < 40
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
