"""`nbvlm doctor`: each finding is a fact with what to do, and nothing in the world makes it fall."""

from __future__ import annotations

import importlib.util
import json
import sys
from importlib import metadata
from pathlib import Path

import pytest
from support.sides import KEY

from nbvlm._files import VAE_OID
from nbvlm.cli import doctor, doctor_checks, endpoint_checks, main
from nbvlm.cli.findings import good, note, problem, report, run_check


def one(findings, check=None):
    [found] = [finding for finding in findings if check in (None, finding.check)]
    return found


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NBVLM_CACHE", str(tmp_path / "cache"))


def test_without_key_and_network_everything_needed_works(capsys):
    assert main.main(["doctor"]) == 0
    out = capsys.readouterr().out
    for check in ("Python", "jupyterlab", "ipykernel", "kernel", "extension anywidget", "websocket", "cache"):
        assert f"ok    {check} " in out
    assert "note  key " in out
    assert "note  endpoint " in out
    assert "embedded model" in out
    without_torch = importlib.util.find_spec("torch") is None
    # With the four servers that are set up.
    assert out.endswith(f"Everything needed works; {6 + without_torch} notes.\n")


def test_for_a_program_it_is_json_and_the_status_tells(capsys, monkeypatch):
    monkeypatch.setenv("NVIDIA_API_KEY", KEY)
    assert main.main(["doctor", "--json"]) == 1
    out = capsys.readouterr().out
    printed = json.loads(out)
    assert printed["ok"] is False
    [endpoint] = [found for found in printed["findings"] if found["check"] == "endpoint"]
    assert (endpoint["state"], bool(endpoint["advice"])) == ("problem", True)
    assert {found["state"] for found in printed["findings"]} <= {"ok", "note", "problem"}
    assert all(found["advice"] for found in printed["findings"] if found["state"] == "problem")
    assert KEY not in out


def test_where_the_key_is_from_is_told_and_a_broken_one(monkeypatch):
    monkeypatch.setenv("NVIDIA_API_KEY", KEY)
    assert one(doctor_checks.key()).found == "found in NVIDIA_API_KEY"
    for broken in ("", "  ", "two words", "schlüssel"):
        monkeypatch.setenv("NVIDIA_API_KEY", broken)
        found = one(doctor_checks.key())
        assert found.state == "problem"
        assert not broken.strip() or broken not in found.found + found.advice


def test_the_cache_is_looked_at(tmp_path, monkeypatch):
    assert one(doctor_checks.cache()).state == "ok"
    assert not (tmp_path / "cache").exists()
    (tmp_path / "file").touch()
    monkeypatch.setenv("NBVLM_CACHE", str(tmp_path / "file" / "below"))
    assert one(doctor_checks.cache()).state == "note"
    for path in (str(tmp_path / "file"), "~no-such-user/vae-oid.npz"):
        monkeypatch.setenv(VAE_OID.variable, path)
        assert one(doctor_checks.cache()).state == "problem"


def test_packages_that_are_missing_or_old_come_with_the_command(monkeypatch):
    real = metadata.version

    def version(name):
        if name == "jupyterlab":
            raise metadata.PackageNotFoundError(name)
        return {"anywidget": "0.8.1", "ipywidgets": "10.0"}.get(name) or real(name)

    monkeypatch.setattr(metadata, "version", version)
    found = {finding.check: finding for finding in doctor_checks.packages()}
    assert found["jupyterlab"].advice == 'Install it: pip install "nbvlm[lab]"'
    assert found["anywidget"].advice.startswith('Update it: pip install -U "anywidget>=0.9')
    assert found["ipywidgets"].state == "ok"


@pytest.fixture
def kernels(tmp_path, monkeypatch):
    """A user's own kernels, which Jupyter prefers."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.delenv("JUPYTER_PREFER_ENV_PATH", raising=False)
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    return lambda program: (folder / "kernel.json").write_text(
        json.dumps({"argv": [program, "-m", "ipykernel"], "display_name": "x", "language": "python"})
    )


def test_a_kernel_of_another_python_is_a_problem(kernels):
    kernels("/usr/somewhere/bin/python3")
    found = one(doctor_checks.kernel())
    assert found.state == "problem"
    assert "JUPYTER_PREFER_ENV_PATH" in found.advice
    for ours in (sys.executable, "python"):
        kernels(ours)
        assert one(doctor_checks.kernel()).state == "ok"


def test_an_extension_that_is_missing_or_disabled_is_a_problem(tmp_path, monkeypatch):
    (tmp_path / "labconfig").mkdir()
    page = tmp_path / "labconfig" / "page_config.json"
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(tmp_path))
    for disabled in ({"anywidget": True}, ["anywidget"]):
        page.write_text(json.dumps({"disabledExtensions": disabled}))
        found = one(doctor_checks.extensions(), "extension anywidget")
        assert found.advice == "Enable it: jupyter labextension enable anywidget"
    monkeypatch.setattr("jupyter_core.paths.jupyter_path", lambda *_: [str(tmp_path)])
    assert {finding.state for finding in doctor_checks.extensions()} == {"problem"}


def test_the_limit_of_the_websocket_is_read_from_the_settings():
    import os

    assert "10 MiB" in one(doctor_checks.websocket()).found
    config = Path(os.environ["JUPYTER_CONFIG_DIR"], "jupyter_server_config.py")
    config.write_text(
        'c.ServerApp.tornado_settings = {"websocket_max_message_size": 2**20}\n'
        "c.ZMQChannelsWebsocketConnection.iopub_data_rate_limit = 1000\n"
    )
    try:
        limit, rate = doctor_checks.websocket()
    finally:
        config.unlink()
    assert limit.state == "problem"
    assert "websocket_max_message_size" in limit.advice
    assert rate.state == "note"


def test_a_look_that_fails_is_a_finding():
    found = one(run_check("x", lambda: iter([1 // 0])))
    assert (found.state, found.check) == ("problem", "x")
    assert "could not be checked" in found.found


def test_without_jupyter_it_says_so_and_goes_on(monkeypatch):
    for name in ("jupyter_client.kernelspec", "jupyter_core.paths", "jupyter_server.serverapp"):
        monkeypatch.setitem(sys.modules, name, None)
    assert [*doctor_checks.kernel(), *doctor_checks.extensions(), *doctor_checks.websocket()] == []


def test_a_report_is_for_people_and_for_any_terminal():
    text = report([good("a", "fine\x1b[2J"), note("longer", "so so"), problem("b", "bad", "Do this.")])
    assert text.splitlines() == [
        "ok    a       fine\\x1b[2J",
        "note  longer  so so",
        "FAIL  b       bad",
        "              → Do this.",
        "1 problem; 1 note.",
    ]


def test_the_seconds_to_wait_are_the_users(monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(endpoint_checks, "check", lambda name, seconds: seen.append((name, seconds)) or [])
    monkeypatch.setattr(doctor_checks, "model", list)
    main.main(["doctor", "--endpoint", "nvidia", "--timeout", "0.5"])
    assert seen == [("nvidia", 0.5)]
    assert doctor.SECONDS <= 10
