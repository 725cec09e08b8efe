"""The traffic between a real kernel and a page, counted on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.kernel import Kernel, comms, content, identities, size, state
from support.loopback import Loopback, delta, stream

if TYPE_CHECKING:
    from pathlib import Path

TYPED = "nvapi-typed-and-just-as-secret"
LOG = """
import logging
from IPython import get_ipython
handler = logging.FileHandler({path!r})
names = ["", "ipykernel", "Comm", get_ipython().kernel.log.name, *logging.root.manager.loggerDict]
for logger in map(logging.getLogger, names):
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
"""
OPEN = """
import nbvlm
panel = nbvlm.Panel()
panel
"""


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
    said = kernel.send(identities(kernel)["answer"], {"type": "hello"})
    (answer,) = (message for message in said if content(message).get("type") == "put")
    assert (content(answer)["text"], state(answer)) == ("a red car", "done")
    said = kernel.send(identities(kernel)["viewer"], {"type": "hello"})
    (picture,) = (message for message in said if content(message).get("type") == "all")
    assert bytes(picture["buffers"][0][:4]) == b"\x89PNG"


def test_the_key_is_in_nothing_that_the_kernel_says(kernel: Kernel, server: Loopback) -> None:
    said = [*kernel.execute(OPEN), *kernel.execute("panel.run()"), *kernel.execute("panel._controller")]
    said += comms(kernel.send(identities(kernel)["viewer"], {"type": "hello"}))
    assert len(said) > 20
    assert "not-a-real-key" not in repr(
        [{key: value for key, value in message.items() if key != "buffers"} for message in said]
    )


def test_a_typed_key_is_in_no_log_and_no_message(kernel: Kernel, server: Loopback, tmp_path: Path) -> None:
    path = tmp_path / "kernel.log"
    said = [*kernel.execute(OPEN), *kernel.execute(LOG.format(path=str(path)))]
    field = kernel.value("panel._controller.choice._key_page.model_id")
    said += kernel.send(field, {"type": "key"}, [TYPED.encode()])
    said += kernel.send(field, {"type": "key"}, [b"two words " + TYPED.encode()])
    said += kernel.execute("panel.run()")
    assert server.seen[-1].headers["authorization"] == f"Bearer {TYPED}"
    assert [content(message)["type"] for message in said if content(message)].count("refused") == 1
    log = path.read_text()
    assert f"handle_msg[{field}]" in log  # messages are logged
    assert "just-as-secret" not in log
    assert "just-as-secret" not in repr(said)


def test_half_characters_break_no_message(kernel: Kernel, server: Loopback, tmp_path: Path) -> None:
    kernel.execute(
        OPEN
        + f"""
from PIL import Image
Image.new("RGB", (60, 40), "teal").save({str(tmp_path / "a.png")!r})
data = open({str(tmp_path / "a.png")!r}, "rb").read()
panel.image = nbvlm.Picture.load(data, name="half\\udce9\\ud83d.png")
panel.prompt = "detect \\ud83d car"
"""
    )
    server.replies.append(stream("a \\ud83d red ", "car <loc0100><loc0200><loc0300><loc0400> \\ud83d"))
    ids = identities(kernel)
    for widget in ids.values():
        kernel.send(widget, {"type": "hello"})
    assert kernel.value("panel.run(wait=False)") is None
    kernel.execute("import time\nwhile panel.running: time.sleep(0.01)")
    kernel.execute("panel.prompt = 'detect car'")
    said = kernel.execute("panel.run(); panel")
    assert any(message["msg_type"] == "display_data" for message in said)
    finals = [content(message)["text"] for message in said if state(message) == "done"]
    assert finals == [kernel.value("panel.result.text")]
    said = kernel.send(ids["viewer"], {"type": "hello"})
    (whole,) = (content(message) for message in said if content(message).get("type") == "all")
    assert whole["picture"]["name"] == r"half\udce9\ud83d.png"
    kernel.execute("panel._controller.answers.history._page.send_all(); panel.history")
