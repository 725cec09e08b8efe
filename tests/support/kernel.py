"""A real kernel, and the messages that it sends to a page."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.manager import start_new_kernel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_client.blocking import BlockingKernelClient
    from support.loopback import Loopback

SECONDS = 60


class Kernel:
    """A kernel and its messages."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self.client = client

    def execute(self, code: str) -> list[dict[str, Any]]:
        """Run a cell; return the messages that it sent meanwhile."""
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

    def send(
        self, comm_id: str, content: dict[str, Any], buffers: list[bytes] | None = None
    ) -> list[dict[str, Any]]:
        """Send a widget a custom message; return the messages that the kernel sent meanwhile."""
        data = {"method": "custom", "content": content}
        message = self.client.session.msg("comm_msg", {"comm_id": comm_id, "data": data})
        self.client.session.send(self.client.shell_channel.socket, message, buffers=buffers)
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
    """A kernel whose hosted model is the loopback server."""
    environment = {**os.environ, "NVIDIA_API_KEY": "nvapi-not-a-real-key", "NBVLM_BASE_URL": server.url}
    manager, client = start_new_kernel(kernel_name="python3", env=environment)
    try:
        yield Kernel(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.context.destroy()


def size(message: dict[str, Any]) -> int:
    """Bytes of a message."""
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
    """Ids of the comms of some widgets of `panel`."""
    paths = {"run": "buttons.run", "stop": "buttons.stop", "viewer": "viewer", "answer": "answer._page"}
    return {name: kernel.value(f"panel._controller.{path}.model_id") for name, path in paths.items()}
