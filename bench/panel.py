"""Count the messages and bytes that 1,000 tokens in four seconds cost between a real kernel and the browser.

Usage: panel.py. The other rows send the same text by two ways of ipywidgets, token by token. Gates: 60 kB of
whole messages, 25 of them a second, and a panel that opens in at most 1.5 times the time of a box of
ipywidgets with as many controls as it shows. Needs a machine with little else to do: an answer that takes
longer needs more messages.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from jupyter_client.manager import start_new_kernel
from support.kernel import Kernel, comms, identities, size, state
from support.loopback import Loopback, delta, stream

OPEN = "import nbvlm\npanel = nbvlm.Panel()\npanel"
TOKENS, PAUSE = 1000, 0.004
#: The controls that an open panel shows before the first question, counted on a page.
CONTROLS = {"Button": 34, "FloatSlider": 2, "IntSlider": 1, "Dropdown": 4, "Textarea": 2, "Text": 3}
MOST_OPENING, OPENINGS = 1.5, 15
OPENING = f"""
import ipywidgets, statistics, time
def box():
    kinds = {CONTROLS!r}.items()
    return ipywidgets.VBox([getattr(ipywidgets, kind)(description=f"{{kind}} {{number}}")
                            for kind, count in kinds for number in range(count)])
def opened(make):
    start = time.perf_counter()
    widget = make()
    display(widget)
    seconds = time.perf_counter() - start
    for one in getattr(widget, "children", ()):
        one.close()
    widget.close()
    return 1000 * seconds
opened(nbvlm.Panel), opened(box)
pairs = [(opened(nbvlm.Panel), opened(box)) for _ in range({OPENINGS})]
"""
MOST_BYTES, MOST_A_SECOND = 60_000, 25
WORDS = [f"w{number:03d} " for number in range(TOKENS)]
OTHERS = {
    "HTML.value +=": "for word in words: html.value += word",
    "Output.append_stdout": "for word in words: output.append_stdout(word)",
}
PREPARE = "import ipywidgets; html, output = ipywidgets.HTML(), ipywidgets.Output(); words = "


def row(name: str, said: list[dict[str, Any]], seconds: float | None = None) -> str:
    messages = comms(said)
    pace = f"{len(messages) / seconds:8.1f}" if seconds else " " * 8
    return f"{name:24}{len(messages):10,}{sum(map(size, messages)) / 1000:12,.0f}{pace}"


def stop_latency(kernel: Kernel, server: Loopback) -> float:
    """Milliseconds from the message of the Stop button to the page's last word."""
    ids = identities(kernel)
    server.replies.append(stream("on ", hold=True, done=False))
    kernel.send(ids["run"], {"event": "click"})
    said = kernel.send(ids["stop"], {"event": "click"})
    clicked = said[0]["parent_header"]["date"]
    stopped = next(message for message in said if state(message) == "stopped")
    return float((stopped["header"]["date"] - clicked).total_seconds() * 1000)


def opening_ratio(kernel: Kernel) -> float:
    """Time to open a panel, divided by that of a box with as many controls; both in turns, in one kernel."""
    kernel.execute("import nbvlm\n" + OPENING)
    panel, box = kernel.value("[statistics.median(times) for times in zip(*pairs)]")
    count = sum(CONTROLS.values())
    print(
        f"Opening: panel {panel:.0f} ms, ipywidgets box of {count} controls {box:.0f} ms: {panel / box:.2f} x"
    )
    return float(panel / box)


def measure(kernel: Kernel, server: Loopback) -> bool:
    """Print the table; return whether the gates are kept."""
    pieces = [part for word in WORDS for part in (word, PAUSE)]
    server.replies.append(stream(*pieces, delta("", "stop")))
    kernel.execute(OPEN)
    said = kernel.execute("panel.run()")
    seconds = kernel.value("panel.result.timing.total_s")
    print(f"{TOKENS:,} tokens in {seconds:.1f} s")
    print(f"{'':24}{'messages':>10}{'kB':>12}{'a second':>8}")
    print(row("nbvlm panel", said, seconds))
    kernel.execute(PREPARE + repr(WORDS))
    for name, code in OTHERS.items():
        print(row(name, kernel.execute(code)))
    latencies = sorted(stop_latency(kernel, server) for _ in range(9))
    print(f"Stop, message to message: median {latencies[4]:.0f} ms, worst {latencies[-1]:.0f} ms of 9")
    ratio = opening_ratio(kernel)
    kept = sum(map(size, comms(said))) <= MOST_BYTES and len(comms(said)) / seconds <= MOST_A_SECOND
    kept = kept and ratio <= MOST_OPENING
    gates = f"{MOST_BYTES:,} bytes, {MOST_A_SECOND} messages a second, {MOST_OPENING} x to open"
    print("all gates kept" if kept else f"missed: {gates}")
    return kept


def main() -> int:
    with Loopback() as server, tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ,
            "IPYTHONDIR": home,
            "NBVLM_BASE_URL": server.url,
            "NVIDIA_API_KEY": "nvapi-x",
        }
        manager, client = start_new_kernel(kernel_name="python3", env=environment)
        try:
            return not measure(Kernel(client), server)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)


if __name__ == "__main__":
    sys.exit(main())
