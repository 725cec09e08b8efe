"""Two hundred runs in a real kernel leave nothing behind."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.kernel import Kernel
    from support.loopback import Loopback

MOST = 20_000_000
OPEN = """
import asyncio, gc, os, threading
import numpy as np
from PIL import Image
import nbvlm
from nbvlm._background import Task

def memory():
    gc.collect()
    pages = int(open("/proc/self/statm").read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")

async def tasks():
    return len(asyncio.all_tasks()) - 1  # without the one that counts

def sockets():
    links = (f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd"))
    return sum(os.path.islink(link) and os.readlink(link).startswith("socket:") for link in links)

def threads():
    # The pool of `asyncio.to_thread` grows up to its limit, at moments that depend on the load.
    return sum(not one.name.startswith("asyncio_") for one in threading.enumerate())

def state():
    return {"threads": threads(), "tasks": Task(tasks()).wait(10), "sockets": sockets()}

noise = np.random.default_rng(1).integers(0, 256, (300, 300, 3), dtype=np.uint8)
large = nbvlm.Picture.load(Image.fromarray(noise), name="noise.png")
before = state()
panel = nbvlm.Panel(prompt="detect car")
panel
"""
ENDED = """
import comm, ipywidgets, time, tracemalloc
from nbvlm.panel.controller import PanelController

tracemalloc.start()

def traced():
    gc.collect()
    return tracemalloc.get_traced_memory()[0]

def kept():
    gc.collect()
    kinds = PanelController, nbvlm.Panel, nbvlm.Picture
    known = [one for one in gc.get_objects() if isinstance(one, kinds)]
    return {
        "objects": len(known),
        "widgets": len(ipywidgets.widgets.widget._instances),
        "comms": len(comm.get_comm_manager().comms),
    }

def one(how):
    noise = np.random.default_rng().integers(0, 256, (1000, 1000, 3), dtype=np.uint8)
    panel = nbvlm.Panel(Image.fromarray(noise), "detect car")
    panel.observe(lambda change: panel.history, "result")
    panel.run()
    panel.run_sweep(["caption en"])
    if how == "shown":
        display(panel)
    if how == "in a box":
        box = ipywidgets.HBox([panel, panel])
        box.close()
        box.layout.close()
    if how != "collected":
        panel.close()

def counts():
    return {**kept(), **state(), "pictures": traced() // 3_000_000}

def settled(before):
    # Loops and threads let go of the last panel a moment later.
    for _ in range(40):
        now = counts()
        if all(now[name] <= before[name] for name in now):
            break
        time.sleep(0.1)
    return [now, before]
"""
ASK = """
for number in range({count}):
    panel.image = large if number % 4 == 0 else sample
    panel.run()
"""


@pytest.fixture
def server(server: Loopback) -> Loopback:
    server.text = "<loc0100><loc0200><loc0300><loc0400> car"
    return server


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="memory is read from /proc, as on Linux")  # noqa: PTH110
def test_two_hundred_runs_leave_no_memory_thread_task_socket_or_asset(
    kernel: Kernel, server: Loopback
) -> None:
    kernel.execute(OPEN)
    kernel.execute("sample = panel.image" + ASK.format(count=20))
    warm = kernel.value("[memory(), state()]")
    kernel.execute(ASK.format(count=200))
    grown = kernel.value("[memory(), state()]")
    assert grown[0] - warm[0] < MOST
    assert grown[1] == warm[1]
    assert kernel.value("len(panel.history)") == 200
    assert len(server.created) == 55
    assert sorted(server.deleted) == sorted(server.created)
    kernel.execute("panel.close(); del panel")
    assert server.wait_for(lambda: server.open == 0)
    after, before = kernel.value("[state(), before]")
    assert (after["tasks"], after["sockets"]) == (before["tasks"], before["sockets"])


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="sockets are read from /proc, as on Linux")  # noqa: PTH110
@pytest.mark.parametrize(
    "how",
    [
        "closed",
        "collected",
        pytest.param("shown", marks=pytest.mark.heavy),
        pytest.param("in a box", marks=pytest.mark.heavy),
    ],
)
def test_panels_that_ended_keep_no_picture_widget_comm_thread_or_connection(kernel: Kernel, how: str) -> None:
    kernel.execute(OPEN + ENDED + "panel.close(); del panel, large")
    kernel.execute(f"one({how!r}); one({how!r}); time.sleep(0.5); before = counts()")
    kernel.execute(f"for _ in range(10): one({how!r})")
    now, before = kernel.value("settled(before)")
    assert {name: max(0, now[name] - before[name]) for name in now} == dict.fromkeys(now, 0)
    assert now["widgets"] == 0
