"""`nbvlm ask`: a person's output on a terminal, JSON lines in a pipe, exit statuses, Ctrl-C."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from support.loopback import answer, problem, stream
from support.sides import KEY, SCENE

import nbvlm
from nbvlm.cli import ask as asking
from nbvlm.cli import main


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


class Terminal(io.StringIO):
    def isatty(self):
        return True


def ask(*arguments, monkeypatch=None, terminal=False, capsys=None):
    if not terminal:
        status = main.main(["ask", *arguments])
        said = capsys.readouterr()
        return status, said.out, said.err
    out = Terminal()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        status = main.main(["ask", *arguments])
    return status, out.getvalue(), capsys.readouterr().err


def test_a_pipe_gets_the_result_as_one_line(picture, capsys):
    status, out, err = ask(picture, "caption", "en", capsys=capsys)
    assert (status, err) == (0, "")
    [line] = out.splitlines()
    assert nbvlm.Result.from_json(line).prompt == "caption en"


def test_a_pipe_gets_each_event_as_a_line(hosted, capsys):
    text = "<loc0000><loc0000><loc0512><loc0512> cat"
    hosted.replies.append(stream(text, " ;", text))
    _, out, _ = ask("scene.png", "detect cat", "--stream", capsys=capsys)
    events = [json.loads(line) for line in out.splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds[-1] == "result"
    assert {"text", "detection", "status"} <= set(kinds)
    assert "".join(event["text"] for event in events if event["event"] == "text") == f"{text} ;{text}"
    found = [event for event in events if event["event"] == "detection"]
    assert [one["label"] for one in found] == ["cat", "cat"]
    assert found[0]["box"] == events[-1]["result"]["detections"]["items"][0]["box"]


def test_a_terminal_gets_words(hosted, capsys, monkeypatch):
    hosted.replies.append(answer("<loc0000><loc0000><loc0512><loc0512> cat"))
    _, out, _ = ask("scene.png", "detect cat", terminal=True, monkeypatch=monkeypatch, capsys=capsys)
    assert "1 cat" in out
    assert "{" not in out
    long = "word " * 200
    hosted.replies.append(answer(long))
    _, out, _ = ask("scene.png", "ocr", terminal=True, monkeypatch=monkeypatch, capsys=capsys)
    assert out.startswith(long.strip() + "\n")
    assert "google/paligemma" in out


def test_a_terminal_sees_the_answer_come(hosted, capsys, monkeypatch):
    hosted.replies.append(stream("a red\n", "\x1b[2Jcar"))
    arguments = ("scene.png", "caption", "en", "--stream")
    _, out, _ = ask(*arguments, terminal=True, monkeypatch=monkeypatch, capsys=capsys)
    assert out.startswith("a red\n\\x1b[2Jcar\n  (google/paligemma")


def test_either_form_can_be_asked_for(picture, capsys, monkeypatch):
    options = {"terminal": True, "monkeypatch": monkeypatch, "capsys": capsys}
    assert json.loads(ask(picture, "caption en", "--json", **options)[1])
    assert "nbvlm/demo" in ask(picture, "caption en", "--text", capsys=capsys)[1]


@pytest.mark.parametrize("name", ["out.png", "out.jpg", "out.json", "out.html", "out.csv"])
def test_the_answer_is_saved(picture, capsys, tmp_path, name):
    assert ask(picture, "caption en", "--out", name, capsys=capsys)[0] == 0
    assert (tmp_path / name).stat().st_size > 0
    if name.endswith(("png", "jpg")):
        with Image.open(name) as saved:
            assert saved.size == (SCENE.width, SCENE.height)


@pytest.mark.parametrize("name", ["out.gif", "out", "nowhere/out.png"])
def test_what_cannot_be_saved_is_refused_before_asking(hosted, capsys, name):
    status, _, err = ask("scene.png", "caption en", "--out", name, capsys=capsys)
    assert status == asking.REFUSED
    assert err.startswith("nbvlm ask: ")
    assert hosted.seen == []


def test_picture_or_prompt_come_from_the_input(picture, capsys, monkeypatch):
    with Path(picture).open("rb") as file:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
        out = ask("-", "caption en", capsys=capsys)[1]
    assert json.loads(out)["picture"]["width"] == SCENE.width
    monkeypatch.setattr(sys, "stdin", io.StringIO("caption\nen\n"))
    assert json.loads(ask(picture, "-", capsys=capsys)[1])["prompt"] == "caption\nen"
    assert ask("-", "-", capsys=capsys)[0] == asking.REFUSED
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    assert ask("-", "caption en", capsys=capsys)[0] == asking.PICTURE


def test_parameters_and_model_are_passed_on(hosted, capsys):
    arguments = ("--temperature", "0.1", "--top-p", "0.5", "--max-tokens", "9", "--route", "asset")
    ask("scene.png", "caption en", *arguments, capsys=capsys)
    sent = hosted.seen[-2].json
    assert (sent["temperature"], sent["top_p"], sent["max_tokens"]) == (0.1, 0.5, 9)
    assert len(hosted.deleted) == 1
    url = f"{hosted.url}/v1"
    ask("scene.png", "caption en", "--endpoint", url, "--model", "m1", capsys=capsys)
    assert hosted.seen[-1].path == "/v1/chat/completions"
    assert "authorization" not in hosted.seen[-1].headers


STATUSES = {
    401: asking.KEY,
    402: asking.KEY,
    403: asking.KEY,
    404: asking.FAILED,
    422: asking.FAILED,
}


@pytest.mark.parametrize("code", STATUSES)
def test_the_status_tells_what_the_service_refused(hosted, capsys, code):
    hosted.replies.append(problem(code, "Because."))
    status, out, err = ask("scene.png", "caption en", capsys=capsys)
    assert status == STATUSES[code]
    assert json.loads(out)["error"]["status"] == code
    assert err.count("\n") == 1
    assert KEY not in out + err


def test_the_status_tells_what_another_try_may_heal(picture, capsys):
    for error in (nbvlm.RateLimitError, nbvlm.ServerError, nbvlm.TransportError, nbvlm.TruncatedStream):
        assert asking.status_of(error("No.")) == asking.LATER
    assert asking.status_of(nbvlm.TimeoutError("No.")) == asking.LATER
    nobody = ("--endpoint", "http://127.0.0.1:9/v1", "--model", "m", "--timeout", "1")
    assert ask(picture, "caption en", *nobody, capsys=capsys)[0] == asking.LATER


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("nothing.png", "caption en"), asking.PICTURE),
        (("scene.png", " "), asking.REFUSED),
        (("scene.png", "caption en", "--temperature", "7"), asking.REFUSED),
        (("scene.png", "caption en", "--endpoint", "nvidai"), asking.REFUSED),
        (("scene.png", "caption en", "--endpoint", "nvidia"), asking.KEY),
        (("scene.png", "caption en", "--key-from", "NOT_SET"), asking.KEY),
    ],
)
def test_the_status_tells_what_was_refused_here(picture, capsys, arguments, status):
    found, out, err = ask(*arguments, "--stream", capsys=capsys)
    assert found == status
    assert json.loads(out)["event"] == "error"
    assert err.startswith("nbvlm ask: ")


def test_every_status_is_documented(capsys):
    with pytest.raises(SystemExit):
        main.main(["ask", "--help"])
    out = capsys.readouterr().out
    for status in (0, asking.FAILED, asking.REFUSED, asking.PICTURE, asking.KEY, asking.LATER, 130):
        assert f"\n  {status:<4} " in out
    assert max(map(len, out.splitlines())) <= 80


def command(*arguments):
    return [sys.executable, "-m", "nbvlm", "ask", *arguments]


def test_ctrl_c_stops_the_answer_without_a_traceback(hosted):
    hosted.replies.append(stream("a red ", hold=True, done=False))
    with subprocess.Popen(
        command("scene.png", "caption", "en", "--stream", "--text"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.read(5) == "a red"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "")
    assert hosted.wait_for(lambda: hosted.open == 0)


def test_a_reader_that_goes_away_is_no_error(hosted):
    hosted.replies.append(stream(*["word "] * 5000))
    ended = subprocess.run(
        f"{' '.join(command('scene.png', 'caption', 'en', '--stream'))} | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(ended.stdout)["event"]
    assert ended.stderr == ""


def test_a_real_terminal_is_recognized(picture):
    mine, theirs = pty.openpty()
    with subprocess.Popen(command(picture, "caption", "en"), stdout=theirs) as process:
        assert process.wait(60) == 0
    os.close(theirs)
    said = os.read(mine, 10_000).decode()
    os.close(mine)
    assert "nbvlm/demo" in said
    assert "{" not in said


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--endpoint", "http://127.0.0.1:9/v1"], "Pass --model ID; `nbvlm models URL` lists"),
        (["--endpoint", "openai"], "Pass --model ID; `nbvlm models openai --vision` lists"),
        (["--endpoint", "local"], "Pass --model google/paligemma2-3b-mix-448,"),
        (["--endpoint", "http://example.com/v1", "--model", "x"], "or insist with --allow-http."),
    ],
)
def test_an_error_names_the_options_of_the_command(
    tmp_path, capsys, options: list[str], sentence: str
) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    assert main.main(["ask", str(tmp_path / "a.png"), "caption en", *options]) != 0
    assert sentence in capsys.readouterr().err


def test_several_pictures_are_asked_about_one_after_the_other(picture, capsys, tmp_path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"not a picture")
    names = [str(picture), str(bad), str(picture)]
    status = main.main(["ask", *names, "caption", "en", "--text"])
    out, err = capsys.readouterr()
    assert status == 3
    assert [line for line in out.splitlines() if line.endswith(".png:")] == [f"{name}:" for name in names]
    assert f"nbvlm ask: {bad}: 'bad.png' is text" in err
    assert main.main(["ask", names[0], names[2], "caption en"]) == 0
    assert [json.loads(line)["prompt"] for line in capsys.readouterr().out.splitlines()] == ["caption en"] * 2


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ([], 'Write the question last: nbvlm ask *.jpg "caption en".'),
        (["caption en", "--out", "found.png"], "--out saves one answer, and there are 2 pictures."),
    ],
)
def test_several_pictures_need_a_prompt_and_no_file(picture, capsys, rest, message) -> None:
    assert main.main(["ask", str(picture), str(picture), *rest]) == 2
    assert message in capsys.readouterr().err
