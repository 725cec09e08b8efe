"""The traffic between a real kernel and a page, counted on the wire."""

from __future__ import annotations

from support.kernel import Kernel, comms, content, identities, size, state
from support.loopback import Loopback, delta, stream

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
    said = kernel.send(identities(kernel)["viewer"], {"type": "hello"})
    (answer,) = (message for message in said if content(message).get("type") == "all")
    assert (content(answer)["text"], state(answer)) == ("a red car", "done")
    assert bytes(answer["buffers"][0][:4]) == b"\x89PNG"


def test_the_key_is_in_nothing_that_the_kernel_says(kernel: Kernel, server: Loopback) -> None:
    said = [*kernel.execute(OPEN), *kernel.execute("panel.run()"), *kernel.execute("panel._controller")]
    said += comms(kernel.send(identities(kernel)["viewer"], {"type": "hello"}))
    assert len(said) > 20
    assert "not-a-real-key" not in repr(
        [{key: value for key, value in message.items() if key != "buffers"} for message in said]
    )
