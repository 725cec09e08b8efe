"""The command's standard streams: closed, full, broken, not UTF-8, a terminal; each ends in a sentence."""

from __future__ import annotations

import json
import os
import pty
import select
import shlex
import signal
import subprocess
import sys

import pytest
from support.loopback import answer, problem, stream
from support.sides import KEY, SCENE

import nbvlm

NBVLM = [sys.executable, "-m", "nbvlm"]
DEMO = [*NBVLM, "ask", "scene.png", "caption en", "--endpoint", "demo"]
ATTACK = "a\x1b]0;title\x07\x1b[2Jb\x9b31mc\u202ed\x7f"
CONTROLS = {*map(chr, range(32)), *map(chr, range(127, 160)), "\u202e"} - {"\n", "\r"}


@pytest.fixture
def picture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    SCENE.image().save("scene.png")
    return "scene.png"


@pytest.fixture
def hosted(picture, server, monkeypatch):
    monkeypatch.setenv("NVIDIA_API_KEY", KEY)
    monkeypatch.setenv("NBVLM_BASE_URL", server.url)
    return server


def shell(command: list[str], redirected: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    line = f"{shlex.join(command)} {redirected}"
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, env=kept | environment, timeout=100, check=False
    )


@pytest.mark.parametrize(
    ("command", "redirected", "status", "sentence"),
    [
        (DEMO, ">&-", 0, b""),
        (DEMO, "2>&-", 0, b""),
        (DEMO, "<&-", 0, b""),
        (DEMO, "<&- >&- 2>&-", 0, b""),
        ([*NBVLM, "ask", "-", "caption en"], "<&-", 3, b"Standard input is empty."),
        ([*NBVLM, "ask", "scene.png", "-", "--endpoint", "demo"], "<&-", 2, b"prompt"),
        ([*NBVLM, "ask", "scene.png", "-"], "< <(printf '\\xff')", 2, b"is not UTF-8"),
        ([*NBVLM, "ask", "scene.png", "-"], "< /dev/zero", 2, b"longer than 1,000,000"),
        (DEMO, "> /dev/full", 1, b"The output cannot be written: No space left on device."),
        ([*DEMO, "--text"], "> /dev/full", 1, b"The output cannot be written"),
        ([*DEMO, "--stream"], "> /dev/full", 1, b"The output cannot be written"),
        ([*NBVLM, "ask", "none.png", "x"], "> /dev/full 2> /dev/full", None, b""),
        ([*NBVLM, "--help"], "> /dev/full", 1, b""),
        ([sys.executable, "-u", "-m", "nbvlm", "--help"], "> /dev/full", 1, b"The output cannot be written"),
        ([sys.executable, "-u", "-m", "nbvlm", "ask", "--help"], "> /dev/full", 1, b"cannot be written"),
        ([*NBVLM, "--version"], ">&-", 0, b""),
        ([*NBVLM, "ask", "--help"], "| true", 0, b""),
        ([*NBVLM, "serve", "--port", "0"], "> /dev/full", 1, b"nbvlm serve: The output cannot be written"),
        ([*NBVLM, "ask", "a", "b", "--nothing", ATTACK.replace("\0", "")], "", 2, b"--nothing"),
    ],
)
def test_a_stream_that_cannot_be_used_is_a_sentence_and_a_status(
    picture, command, redirected, status, sentence
) -> None:
    done = shell(command, redirected)
    assert status is None or done.returncode == status, done.stderr
    assert sentence in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    assert not CONTROLS & set(done.stderr.decode())


def test_a_closed_output_does_not_stop_the_answer_from_being_saved(picture, tmp_path) -> None:
    assert shell([*DEMO, "--out", "answer.json"], ">&- 2>&-").returncode == 0
    assert nbvlm.Result.from_json((tmp_path / "answer.json").read_bytes()).prompt == "caption en"


@pytest.mark.parametrize(
    "environment", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0"}]
)
@pytest.mark.parametrize("form", ["--json", "--text"])
def test_a_pipe_is_utf_8_whatever_the_locale_is(hosted, environment, form) -> None:
    hosted.text = "猫 é \x1b[31m"
    done = shell([*NBVLM, "ask", "scene.png", "caption en", form], "", **environment)
    assert done.returncode == 0
    said = done.stdout.decode("utf-8")
    assert (json.loads(said)["text"] if form == "--json" else said).startswith("猫 é \x1b[31m")


def on_terminal(command: list[str], **environment: str) -> str:
    """Run a command with a terminal for all streams; return all that it shows."""
    mine, theirs = pty.openpty()
    shown = b""
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | environment
    ) as process:
        os.close(theirs)
        while select.select([mine], [], [], 60)[0]:
            try:
                piece = os.read(mine, 65_536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            shown += piece
        process.wait(60)
    os.close(mine)
    return shown.decode()


@pytest.mark.parametrize("options", [[], ["--stream"], ["--json"], ["--json", "--stream"]])
@pytest.mark.parametrize("environment", [{}, {"PYTHONIOENCODING": "ascii"}])
def test_a_terminal_gets_no_control_characters_of_a_model(hosted, options, environment) -> None:
    hosted.replies.append(stream(f"猫{ATTACK}") if "--stream" in options else answer(f"猫{ATTACK}"))
    shown = on_terminal([*NBVLM, "ask", "scene.png", "caption en", *options], **environment)
    assert not CONTROLS & set(shown)
    assert ("猫" in shown) == (not environment)
    if "--json" in options:
        last = json.loads(shown.splitlines()[-1])
        assert last.get("result", last)["text"] == f"猫{ATTACK}"


def test_a_terminal_gets_no_control_characters_of_a_server_or_a_file_name(hosted, tmp_path) -> None:
    hosted.replies.append(problem(422, ATTACK, **{"NVCF-REQID": "x"}))
    shown = on_terminal([*NBVLM, "ask", "scene.png", "caption en"])
    assert "nbvlm ask: " in shown
    name = f"{ATTACK}.png"
    shown += on_terminal([*NBVLM, "ask", name, "caption en"])
    (tmp_path / name).write_bytes((tmp_path / "scene.png").read_bytes())
    shown += on_terminal([*NBVLM, "ask", name, "caption en", "--out", f"out{name}"])
    shown += on_terminal([*NBVLM, "ask", name, "caption en", "--out", f"none/{name}"])
    shown += on_terminal([*NBVLM, "lab", "--dir", f"scene.png/{ATTACK}"])
    assert "Saved: " in shown
    assert not CONTROLS & set(shown)


def test_a_reader_that_goes_away_ends_the_command_quietly(hosted) -> None:
    hosted.replies.append(stream(*["word "] * 5000))
    done = shell([*NBVLM, "ask", "scene.png", "caption en", "--stream", "--text"], "| head -c 10")
    assert (done.stdout, done.stderr) == (b"word word ", b"")


def test_ctrl_c_is_quiet_while_the_server_is_silent(hosted) -> None:
    hosted.replies.append(stream(hold=True, done=False))
    with subprocess.Popen(
        [*NBVLM, "ask", "scene.png", "caption en"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert hosted.wait_for(lambda: hosted.seen, 60)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == (b"", b"")
    assert process.returncode == 130
