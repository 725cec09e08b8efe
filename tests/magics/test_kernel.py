"""`%vlm` in a real kernel: what travels while an answer streams, how it is stopped, what a notebook keeps."""

from __future__ import annotations

import io
import json
import os
import re

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel
from nbconvert import HTMLExporter
from nbconvert.preprocessors import ExecutePreprocessor
from support.loopback import Loopback, delta, stream
from support.sides import KEY, SCENE

SECONDS = 60
COLORS = re.compile(r"\x1b\[[0-9;]*m")


class Kernel:
    """A kernel with the magics, and the server that they ask."""

    def __init__(self, manager, client, server):
        self.manager, self.client, self.server = manager, client, server

    def start(self, code):
        self.wanted = self.client.execute(code)
        return self.said()

    def said(self):
        """Yield what the kernel says until it has done what it was told last."""
        while True:
            message = self.client.get_iopub_msg(timeout=SECONDS)
            if message["parent_header"].get("msg_id") != self.wanted:
                continue
            yield message
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return

    def run(self, code):
        return [message for message in self.start(code) if message["msg_type"] in OUTPUTS]

    def value(self, expression):
        [message] = self.run(f"import json; print(json.dumps({expression}))")
        return json.loads(message["content"]["text"])


OUTPUTS = {"display_data", "update_display_data", "error", "stream", "execute_result"}


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("magics")
    SCENE.image().save(folder / "scene.png")
    with Loopback() as server:
        environment = {**os.environ, "NVIDIA_API_KEY": KEY, "NBVLM_BASE_URL": server.url}
        manager, client = start_new_kernel(kernel_name="python3", env=environment, cwd=str(folder))
        try:
            kernel = Kernel(manager, client, server)
            kernel.run("%load_ext nbvlm")
            yield kernel
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
            manager.context.destroy()


def size(messages):
    return sum(len(json.dumps(message["content"])) for message in messages)


def test_a_long_answer_is_one_display_and_travels_in_few_small_updates(kernel):
    words = [f"w{number:04d} " for number in range(3000)]
    pieces = [part for word in words for part in (word, 0.0005)]
    kernel.server.replies.append(stream(*pieces, delta("", "stop")))
    said = kernel.run("%vlm scene.png caption en")
    kinds = [message["msg_type"] for message in said]
    assert kinds == ["display_data", *["update_display_data"] * (len(said) - 1)]
    assert len({message["content"]["transient"]["display_id"] for message in said}) == 1
    *live, last = said
    seconds = (last["header"]["date"] - live[0]["header"]["date"]).total_seconds()
    assert 1 < len(live) <= 4 * seconds + 2
    # Each carries the end of the text twice, plain and as HTML; all of them in full would be megabytes.
    assert size(live) <= 6000 * len(live)
    assert "image/png" in last["content"]["data"] or "image/jpeg" in last["content"]["data"]
    assert kernel.value("_vlm.text") == "".join(words)


def test_text_and_boxes_are_seen_while_they_come_and_are_escaped(kernel):
    text = "<loc0001><loc0001><loc0512><loc0512> <script>cat</script> ; "
    kernel.server.replies.append(stream(text, 0.3, "<b>dog", 0.3, " "))
    said = kernel.run("%vlm scene.png detect cat ; dog")
    shown = [message["content"]["data"]["text/html"] for message in said[:-1]]
    assert any("&lt;loc0001&gt;" in html and "1 box: " in html for html in shown)
    assert not any("<script>" in html or "<b>dog" in html for html in shown)
    assert KEY not in json.dumps([message["content"] for message in said])


def test_seconds_are_told_while_nothing_comes(kernel):
    kernel.server.replies.append(stream("a red car", wait=1.5))
    said = kernel.run("%vlm scene.png caption en")
    shown = [message["content"]["data"]["text/plain"] for message in said]
    assert shown[0] == "(google/paligemma · waiting)"
    assert "(google/paligemma · waiting, 1 s)" in shown


def test_each_line_shows_its_result_once_and_an_assigned_one_too(kernel):
    said = kernel.run("%vlm scene.png caption en\n%vlm scene.png ocr")
    assert "execute_result" not in {message["msg_type"] for message in said}
    last = {message["content"]["transient"]["display_id"]: message["content"]["data"] for message in said}
    assert ["a red car" in bundle["text/plain"] for bundle in last.values()] == [True, True]
    *_, last = kernel.run("answer = %vlm scene.png caption en")
    assert last["msg_type"] == "update_display_data"
    [shown] = kernel.run("answer")
    assert shown["msg_type"] == "execute_result"
    assert shown["content"]["data"] == last["content"]["data"]


def test_an_interrupt_stops_the_answer_and_the_cells_after_it(kernel):
    kernel.run("_vlm = 'as before'")
    kernel.server.replies.append(stream("a ", "red ", hold=True, done=False))
    said, interrupted = [], False
    for message in kernel.start("%vlm scene.png --route asset caption en"):
        said.append(message)
        if not interrupted and "red" in message["content"].get("data", {}).get("text/plain", ""):
            interrupted = True
            kernel.manager.interrupt_kernel()
    [error] = [message["content"] for message in said if message["msg_type"] == "error"]
    assert [COLORS.sub("", line) for line in error["traceback"]] == ["KeyboardInterrupt: Stopped."]
    shown = [message["content"]["data"]["text/plain"] for message in said if "data" in message["content"]]
    assert shown[-1].startswith("a red")
    assert "stopped" in shown[-1]
    # The answer's connection is cut, and the picture that was uploaded for it deleted over another.
    assert kernel.server.wait_for(lambda: len(kernel.server.deleted) == 1 and kernel.server.open <= 1)
    assert kernel.value("_vlm") == "as before"
    kernel.run("%vlm scene.png caption en")
    assert kernel.value("_vlm.text") == "a red car"


def test_an_error_ends_the_cell_with_a_sentence(kernel):
    [error] = kernel.run("%vlm nothing.png caption en")
    assert error["content"]["ename"] == "ImageError"
    [line] = error["content"]["traceback"]
    assert COLORS.sub("", line).startswith("ImageError: The file 'nothing.png' does not exist.")


def test_the_kernel_completes(kernel):
    code = "x = 1\n%vlm scene.png det"
    reply = kernel.client.complete(code, len(code), reply=True, timeout=SECONDS)["content"]
    assert reply["matches"] == ["detect"]
    assert code[: reply["cursor_start"]] + "detect" == "x = 1\n%vlm scene.png detect"


def test_a_notebook_keeps_the_result_and_nothing_of_the_way_to_it(tmp_path):
    SCENE.image().save(tmp_path / "scene.png")
    cells = ["%load_ext nbvlm", "%vlm scene.png caption en", "%%vlm scene.png --as again\ndetect cat"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    ExecutePreprocessor(timeout=SECONDS).preprocess(notebook, {"metadata": {"path": str(tmp_path)}})
    for cell in notebook.cells[1:]:
        [output] = cell.outputs
        assert output.output_type == "display_data"
        assert {"text/html", "text/plain"} < set(output.data)
        assert "nbvlm-live" not in output.data["text/html"]
    page, _ = HTMLExporter().from_notebook_node(nbformat.read(io.StringIO(nbformat.writes(notebook)), 4))
    assert page.count('class="nbvlm-result') == 2
