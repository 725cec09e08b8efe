"""What travels between a real kernel and a page, counted on the wire."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.manager import start_new_kernel
from support.loopback import Loopback, delta, stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_client.blocking import BlockingKernelClient

SECONDS = 60
OPEN = """
import nbvlm
panel = nbvlm.Panel()
panel
"""


class Kernel:
    """A kernel and what it says."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self.client = client

    def execute(self, code: str) -> list[dict[str, Any]]:
        """Run a cell; return what was said while it ran."""
        wanted = self.client.execute(code)
        said = list(self._until_idle(wanted))
        errors = [message["content"] for message in said if message["msg_type"] == "error"]
        assert errors == []
        return said

    def value(self, expression: str) -> Any:
        said = self.execute(f"import json; print(json.dumps({expression}))")
        return json.loads(
            "".join(message["content"]["text"] for message in said if message["msg_type"] == "stream")
        )

    def send(self, comm_id: str, content: dict[str, Any]) -> list[dict[str, Any]]:
        """Send a widget a custom message; return what was said while it was handled."""
        data = {"method": "custom", "content": content}
        message = self.client.session.msg("comm_msg", {"comm_id": comm_id, "data": data})
        self.client.shell_channel.send(message)
        return list(self._until_idle(message["header"]["msg_id"]))

    def until(self, condition: Any) -> list[dict[str, Any]]:
        """Listen until a message fulfils the condition."""
        said = []
        while not said or not condition(said[-1]):
            said.append(self.client.get_iopub_msg(timeout=SECONDS))
        return said

    def _until_idle(self, request: str) -> Iterator[dict[str, Any]]:
        while True:
            message = self.client.get_iopub_msg(timeout=SECONDS)
            yield message
            mine = message["parent_header"].get("msg_id") == request
            if mine and message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return


@pytest.fixture
def kernel(server: Loopback) -> Iterator[Kernel]:
    environment = {**os.environ, "NVIDIA_API_KEY": "nvapi-not-a-real-key", "NBVLM_BASE_URL": server.url}
    manager, client = start_new_kernel(kernel_name="python3", env=environment)
    try:
        yield Kernel(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.context.destroy()


def size(message: dict[str, Any]) -> int:
    parts = ("header", "parent_header", "metadata", "content")
    texts = (json.dumps(message[part], default=str) for part in parts)
    return sum(map(len, texts)) + sum(len(buffer) for buffer in message.get("buffers", ()))


def comms(said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [message for message in said if message["msg_type"].startswith("comm_")]


def content(message: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = message["content"].get("data", {}).get("content", {})
    return found


def state(message: dict[str, Any]) -> str | None:
    found: str | None = (content(message).get("status") or {}).get("state")
    return found


def identities(kernel: Kernel) -> dict[str, str]:
    session = "panel._session"
    return {
        name: kernel.value(f"{session}.{path}.model_id")
        for name, path in {"run": "controls.run", "stop": "controls.stop", "stage": "stage"}.items()
    }


def test_a_thousand_tokens_are_few_small_messages_and_the_last_text_is_whole(
    kernel: Kernel, server: Loopback
) -> None:
    words = [f"w{number:03d} " for number in range(1000)]
    pieces = [part for word in words for part in (word, 0.004)]
    server.replies.append(stream(*pieces, delta("", "stop")))
    kernel.execute(OPEN)
    said = comms(kernel.execute("panel.run()"))
    deltas = [message for message in said if content(message).get("type") == "more"]
    seconds = kernel.value("panel.result.timing.total_s")
    assert len(said) <= 25 * seconds
    assert len(deltas) > 10
    assert sum(map(size, said)) <= 20_000 + 10_000 * seconds  # 60 KB for the four seconds that it takes
    assert "".join(content(message).get("text", "") for message in deltas) == "".join(words)
    finals = [content(message)["text"] for message in said if state(message) == "done"]
    assert finals == ["".join(words)]


def test_a_click_streams_while_the_kernel_is_free_and_stop_ends_it(kernel: Kernel, server: Loopback) -> None:
    server.replies.append(stream("a ", "red ", hold=True, done=False))
    kernel.execute(OPEN)
    ids = identities(kernel)
    said = kernel.send(ids["run"], {"event": "click"})
    if not any("red" in content(message).get("text", "") for message in said):
        kernel.until(lambda message: "red" in content(message).get("text", ""))
    assert kernel.value("[panel.result is None, 6 * 7]") == [True, 42]
    said = kernel.send(ids["stop"], {"event": "click"})
    assert [state(message) for message in said if state(message)] == ["stopped"]
    assert server.wait_for(lambda: server.open == 0)
    said = kernel.send(ids["run"], {"event": "click"})
    if not any(state(message) == "done" for message in said):
        kernel.until(lambda message: state(message) == "done")
    assert kernel.value("panel.result.text") == "a red car"


def test_a_reloaded_page_gets_the_whole_screen_again(kernel: Kernel, server: Loopback) -> None:
    kernel.execute(OPEN)
    kernel.execute("panel.run()")
    said = kernel.send(identities(kernel)["stage"], {"type": "hello"})
    (answer,) = (message for message in said if content(message).get("type") == "all")
    assert (content(answer)["text"], state(answer)) == ("a red car", "done")
    assert bytes(answer["buffers"][0][:4]) == b"\x89PNG"


def test_the_key_is_in_nothing_that_the_kernel_says(kernel: Kernel, server: Loopback) -> None:
    said = [*kernel.execute(OPEN), *kernel.execute("panel.run()"), *kernel.execute("panel._session")]
    said += comms(kernel.send(identities(kernel)["stage"], {"type": "hello"}))
    assert len(said) > 20
    assert "not-a-real-key" not in repr(
        [{key: value for key, value in message.items() if key != "buffers"} for message in said]
    )
