from __future__ import annotations

import ast
import asyncio
import concurrent.futures
import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import nbvlm
from nbvlm._background import Interruption, Task, iterate_in_thread, run_in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

WAIT = 10


async def forever(started: threading.Event, cleaned: threading.Event) -> None:
    try:
        started.set()
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        cleaned.set()


def test_a_task_returns_what_its_coroutine_returns() -> None:
    task = Task(asyncio.sleep(0, "done"))
    assert task.wait(WAIT) == "done"
    assert task.done


def test_a_task_raises_what_its_coroutine_raises() -> None:
    async def fail() -> None:
        raise LookupError("nothing here")

    with pytest.raises(LookupError, match="nothing here"):
        Task(fail()).wait(WAIT)


def test_cancel_reaches_the_coroutine_and_waits_for_its_cleaning_up() -> None:
    started, cleaned = threading.Event(), threading.Event()
    task = Task(forever(started, cleaned))
    assert started.wait(WAIT)
    task.cancel()
    with pytest.raises(concurrent.futures.CancelledError):
        task.wait(WAIT)
    assert cleaned.is_set()
    task.cancel()
    assert task.done


def test_cancel_before_the_first_step_counts() -> None:
    started, cleaned = threading.Event(), threading.Event()
    blocked, gate = threading.Event(), threading.Event()

    async def block_the_loop() -> None:
        blocked.set()
        gate.wait(WAIT)

    blocker = Task(block_the_loop())
    assert blocked.wait(WAIT)
    task = Task(forever(started, cleaned))
    task.cancel()
    gate.set()
    with pytest.raises(concurrent.futures.CancelledError):
        task.wait(WAIT)
    blocker.wait(WAIT)
    assert not started.is_set()


def test_a_task_can_be_waited_for_a_while_and_goes_on() -> None:
    gate = threading.Event()

    async def wait_for_gate() -> str:
        return await asyncio.to_thread(lambda: gate.wait(WAIT) and "opened")

    task = Task(wait_for_gate())
    with pytest.raises(TimeoutError):
        task.wait(0.01)
    assert not task.done
    gate.set()
    assert task.wait(WAIT) == "opened"


def test_all_tasks_share_one_daemon_thread_from_wherever_they_are_started() -> None:
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


def test_importing_starts_no_thread() -> None:
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


async def numbers(count: int, ended: threading.Event | None = None) -> AsyncGenerator[int]:
    try:
        for number in range(count):
            yield number
            await asyncio.sleep(0)
    finally:
        await asyncio.sleep(0)
        if ended is not None:
            ended.set()


def iterating() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "nbvlm-iterator"]


def test_an_iterator_is_walked_on_a_loop_of_its_own_also_within_a_running_one() -> None:
    async def within() -> list[int | None]:
        return list(iterate_in_thread(lambda: numbers(3)))

    assert asyncio.run(within()) == Task(within()).wait(WAIT) == [0, 1, 2]
    assert run_in_thread(asyncio.sleep(0, "done")) == "done"
    assert iterating() == []


def test_leaving_an_iterator_early_waits_until_it_has_wound_down() -> None:
    ended = threading.Event()
    with contextlib.closing(iterate_in_thread(lambda: numbers(1000, ended), ahead=2)) as values:
        assert next(values) == 0
    assert ended.is_set()
    assert iterating() == []


def test_an_iterator_waits_for_its_reader() -> None:
    made: list[int] = []

    async def noted() -> AsyncGenerator[int]:
        for number in range(20):
            made.append(number)
            yield number

    for taken, _ in enumerate(iterate_in_thread(noted, ahead=3)):
        assert len(made) <= taken + 1 + 3
    assert made == list(range(20))


@pytest.mark.parametrize("kind", [LookupError, KeyboardInterrupt, SystemExit])
def test_an_error_of_an_iterator_is_raised_after_its_values(kind: type[BaseException]) -> None:
    async def failing() -> AsyncGenerator[int]:
        yield 1
        raise kind("nothing here")

    values = iterate_in_thread(failing)
    assert next(values) == 1
    with pytest.raises(kind, match="nothing here"):
        next(values)
    assert iterating() == []


def test_what_begins_after_an_interruption_is_cancelled_however_fast_it_ends() -> None:
    async def failing() -> None:
        raise LookupError

    for work in (failing, lambda: asyncio.sleep(0), lambda: asyncio.sleep(60)):
        for _ in range(50):
            interruption = Interruption()
            interruption.begin()
            with pytest.raises(concurrent.futures.CancelledError):
                interruption.run(lambda: Task(work()).wait(5))  # noqa: B023 - run at once


def test_an_iterator_that_blocks_is_noticed_and_ended() -> None:
    gate, stops = threading.Event(), []

    async def blocking() -> AsyncGenerator[bool]:
        yield gate.wait(WAIT)

    def stop() -> None:
        stops.append(True)
        gate.set()

    with contextlib.closing(iterate_in_thread(blocking, idle_s=0.01, stop=stop)) as values:
        assert [next(values), next(values)] == [None, None]
    assert stops == [True]
    assert iterating() == []


def test_ctrl_c_ends_an_iterator_and_waits_for_its_cleaning_up() -> None:
    code = """
import asyncio
from nbvlm._background import run_in_thread
async def work():
    print("started", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0.01)
        print("cleaned up", flush=True)
try:
    run_in_thread(work())
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.read().split("\n") == ["cleaned up", "interrupted", ""]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_has_a_loop_of_its_own() -> None:
    code = """
import asyncio, os
from nbvlm._background import Task
assert Task(asyncio.sleep(0, "parent")).wait(10) == "parent"
child = os.fork()
if child == 0:
    print(Task(asyncio.sleep(0, "child")).wait(10), flush=True)
else:
    os.waitpid(child, 0)
"""
    # Python 3.12 warns of any fork beside a thread.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
    out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert (out.stdout.strip(), out.stderr) == ("child", "")


STARTERS = {
    "BaseEventLoop", "new_event_loop", "Runner", "asyncio.run", "run_until_complete", "Thread", "Timer",
    "start_new_thread", "ThreadPoolExecutor", "ProcessPoolExecutor", "Process", "ThreadPool", "fork",
}  # fmt: skip


def test_threads_and_loops_are_started_in_one_place_only() -> None:
    """So that a host without threads can be served there; `asyncio.to_thread` is its loop's own matter."""
    package = Path(nbvlm.__file__).parent
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        if {(name := ast.unparse(node.func)), name.rpartition(".")[2]} & STARTERS
        if name != "psutil.Process"  # facts about a process
    }
    assert found == {"_background.py"}
