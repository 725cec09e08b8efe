from __future__ import annotations

import asyncio
import concurrent.futures
import subprocess
import sys
import threading

import pytest

from nbvlm._background import Task

WAIT = 10


async def forever(started: threading.Event, cleaned: threading.Event) -> None:
    try:
        started.set()
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        cleaned.set()


def test_a_job_returns_what_its_coroutine_returns() -> None:
    job = Task(asyncio.sleep(0, "done"))
    assert job.wait(WAIT) == "done"
    assert job.done


def test_a_job_raises_what_its_coroutine_raises() -> None:
    async def fail() -> None:
        raise LookupError("nothing here")

    with pytest.raises(LookupError, match="nothing here"):
        Task(fail()).wait(WAIT)


def test_cancel_reaches_the_coroutine_and_waits_for_its_cleaning_up() -> None:
    started, cleaned = threading.Event(), threading.Event()
    job = Task(forever(started, cleaned))
    assert started.wait(WAIT)
    job.cancel()
    with pytest.raises(concurrent.futures.CancelledError):
        job.wait(WAIT)
    assert cleaned.is_set()
    job.cancel()
    assert job.done


def test_cancel_before_the_first_step_counts() -> None:
    started, cleaned = threading.Event(), threading.Event()
    gate = threading.Event()

    async def block_the_loop() -> None:
        gate.wait(WAIT)

    blocker = Task(block_the_loop())
    job = Task(forever(started, cleaned))
    job.cancel()
    gate.set()
    with pytest.raises(concurrent.futures.CancelledError):
        job.wait(WAIT)
    blocker.wait(WAIT)
    assert not started.is_set()


def test_a_job_can_be_waited_for_a_while_and_goes_on() -> None:
    gate = threading.Event()

    async def wait_for_gate() -> str:
        return await asyncio.to_thread(lambda: gate.wait(WAIT) and "opened")

    job = Task(wait_for_gate())
    with pytest.raises(TimeoutError):
        job.wait(0.01)
    assert not job.done
    gate.set()
    assert job.wait(WAIT) == "opened"


def test_all_jobs_share_one_daemon_thread_from_wherever_they_are_started() -> None:
    async def whereabouts() -> threading.Thread:
        return threading.current_thread()

    async def from_another_loop() -> threading.Thread:
        return Task(whereabouts()).wait(WAIT)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        elsewhere = pool.submit(lambda: Task(whereabouts()).wait(WAIT)).result()
    threads = {Task(whereabouts()).wait(WAIT), elsewhere, asyncio.run(from_another_loop())}
    assert len(threads) == 1
    thread = threads.pop()
    assert thread.daemon
    assert thread is not threading.current_thread()


def test_importing_the_panel_starts_no_thread() -> None:
    code = "import threading, nbvlm._background; print(threading.active_count())"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "1"


def test_an_answer_cut_off_by_the_end_of_the_process_is_cancelled_first() -> None:
    code = """
import asyncio, threading
from nbvlm._background import Task
started = threading.Event()
async def work():
    try:
        started.set()
        await asyncio.Event().wait()
    finally:
        print("cleaned up", flush=True)
Task(work())
started.wait(10)
"""
    out = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert (out.stdout.strip(), out.stderr) == ("cleaned up", "")
