"""`nbvlm lab`: copies of the tutorials that are nobody's loss, and JupyterLab on them."""

from __future__ import annotations

import builtins
import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import nbvlm
from nbvlm.cli import lab, main

ROOT = Path(__file__).parents[2]
ADDRESS = re.compile(r"(http://127\.0\.0\.1:\d+)(/\S+)\?token=(\w+)\n")


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A release's tutorials, small, as a folder that may change."""
    folder = tmp_path / "release"
    (folder / "data").mkdir(parents=True)
    (folder / "quickstart.ipynb").write_text("one")
    (folder / "01.ipynb").write_text("two")
    (folder / "data" / "recording.jsonl").write_text("three")
    for left in ("__pycache__", ".ipynb_checkpoints"):
        (folder / left).mkdir()
        (folder / left / "left.ipynb").write_text("over")
    monkeypatch.setattr(lab, "source", lambda: folder)
    return folder


def test_the_tutorials_are_those_of_the_checkout():
    assert lab.source() == ROOT / "notebooks"
    assert lab.FIRST in lab.names(lab.source())


def test_an_installed_package_has_its_own(tmp_path, monkeypatch):
    (tmp_path / "tutorials").mkdir()
    monkeypatch.setattr(lab, "_PACKAGE", tmp_path)
    with pytest.raises(nbvlm.Error, match="no tutorials"):
        lab.source()
    (tmp_path / "tutorials" / "quickstart.ipynb").touch()
    assert lab.source() == tmp_path / "tutorials"


def test_everything_is_copied_once(shipped, tmp_path):
    target = tmp_path / "a new" / "folder"
    first, second = lab.copy(target), lab.copy(target)
    assert first.new == second.same == ["01.ipynb", "data/recording.jsonl", "quickstart.ipynb"]
    assert (target / "data" / "recording.jsonl").read_text() == "three"
    assert str(first) == "3 copied"
    assert str(second) == "3 up to date"


def test_what_was_edited_is_kept_and_what_was_not_is_renewed(shipped, tmp_path):
    target = tmp_path / "mine"
    lab.copy(target)
    (target / "01.ipynb").write_text("my own work")
    (shipped / "01.ipynb").write_text("two, better")
    (shipped / "quickstart.ipynb").write_text("one, better")
    done = lab.copy(target)
    assert (done.kept, done.renewed) == (["01.ipynb"], ["quickstart.ipynb"])
    assert (target / "01.ipynb").read_text() == "my own work"
    assert (target / "quickstart.ipynb").read_text() == "one, better"
    assert "kept as you edited them (01.ipynb)" in str(done)
    assert lab.copy(target).kept == ["01.ipynb"]


@pytest.mark.parametrize("note", ["{}", "[]", "no JSON", None])
def test_a_file_of_unknown_origin_is_never_overwritten(shipped, tmp_path, note):
    target = tmp_path / "mine"
    target.mkdir()
    (target / "quickstart.ipynb").write_text("my own work")
    if note is not None:
        (target / ".nbvlm-tutorials.json").write_text(note)
    assert lab.copy(target).kept == ["quickstart.ipynb"]
    assert (target / "quickstart.ipynb").read_text() == "my own work"


def test_a_place_that_cannot_be_written_is_a_sentence(shipped, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main.main(["lab", "--dir", str(tmp_path / "file")]) == 1
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["jupyterlab", "ipykernel"])
def test_a_missing_extra_names_the_exact_command(missing, monkeypatch, capsys, tmp_path):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == missing else real(name, *more)
    )
    assert main.main(["lab", "--dir", str(tmp_path / "mine")]) == 1
    assert 'pip install "nbvlm[lab]"' in capsys.readouterr().err
    assert not (tmp_path / "mine").exists()


def test_the_command_listens_on_this_machine_and_opens_the_quick_start(tmp_path):
    command = lab.command(tmp_path, 9000, browser=False)
    assert command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert "--ServerApp.ip=127.0.0.1" in command
    assert "--ServerApp.port=9000" in command
    assert f"--ServerApp.root_dir={tmp_path}" in command
    assert "--LabApp.default_url=/lab/tree/quickstart.ipynb" in command
    assert "--no-browser" in command
    assert "--no-browser" not in lab.command(tmp_path, 9000)


def test_settings_of_the_user_come_after_ours(monkeypatch):
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "/of/the/user")
    first, second = lab.environment()["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    assert second == "/of/the/user"
    page = json.loads(Path(first, "labconfig", "page_config.json").read_text())
    assert page["disabledExtensions"] == {"@jupyterlab/apputils-extension:announcements": True}


def listening(origin):
    """Wait until a server whose address was printed takes connections."""
    place, pause, end = urlsplit(origin), threading.Event(), time.monotonic() + 60
    while True:
        try:
            return socket.create_connection((place.hostname, place.port), timeout=30).close()
        except ConnectionRefusedError:
            assert time.monotonic() < end, f"nothing listens at {origin}"
            pause.wait(0.05)


def test_jupyterlab_opens_the_copies_wherever_it_is_started(tmp_path):
    command = [sys.executable, "-m", "nbvlm", "lab", "--no-browser", "--port", "8860"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        said = ""
        while not (found := ADDRESS.search(said)):
            line = process.stdout.readline()
            assert line, said
            said += line
        origin, path, token = found.groups()
        assert path == "/lab/tree/quickstart.ipynb"
        listening(origin)
        with urllib.request.urlopen(
            f"{origin}/api/contents/quickstart.ipynb?token={token}", timeout=30
        ) as reply:
            assert json.loads(reply.read())["type"] == "notebook"
    finally:
        process.terminate()  # JupyterLab runs in its place, so nothing is left behind
        process.communicate(timeout=30)
    assert (tmp_path / "nbvlm-tutorials" / "quickstart.ipynb").is_file()


def test_help_imports_no_command_and_nothing_heavy():
    code = (
        "import sys\nfrom nbvlm.cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1].split()
    ours = {name for name in loaded if name.startswith("nbvlm")}
    assert ours == {
        "nbvlm",
        "nbvlm._lazy",
        "nbvlm._version",
        "nbvlm.cli",
        "nbvlm.cli.main",
        "nbvlm.cli.terminal",
        "nbvlm.errors",
    }
    heavy = {
        "asyncio",
        "dataclasses",
        "httpx",
        "importlib.metadata",
        "json",
        "msgspec",
        "numpy",
        "PIL",
        "socket",
        "urllib",
    }
    assert heavy & set(loaded) == set()
    assert all(command.help in done.stdout for command in main.COMMANDS)


def test_a_command_that_is_not_asked_for_is_not_imported(monkeypatch, capsys):
    real = builtins.__import__

    def counted(name, *args, **kwargs):
        assert name not in ("jupyterlab", "uvicorn", "numpy")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", counted)
    for command in main.COMMANDS:
        with pytest.raises(SystemExit):
            main.main([command.name, "--help"])
    assert "usage: nbvlm doctor" in capsys.readouterr().out
