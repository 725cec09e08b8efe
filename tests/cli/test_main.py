from __future__ import annotations

import os
import signal
import subprocess
import sys

import httpx
import pytest

from nbvlm.cli import main
from nbvlm.demo.service import server

KEY = "nvapi-a-key-that-nobody-may-see"


def serve(*arguments, **environment):
    command = [sys.executable, "-m", "nbvlm", "serve", "--port", "0", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | environment
    )


def origin_in(line: str) -> str:
    return line.partition('base_url="')[2].partition('"')[0]


def stop(process) -> tuple[str, str]:
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=20)


def test_serve_says_two_lines_answers_and_stops_with_ctrl_c():
    with serve() as process:
        first, second = process.stdout.readline(), process.stdout.readline()
        origin = origin_in(first)
        assert f'nbvlm.Client("nvidia", base_url="{origin}", assets_url="{origin}"' in first
        assert f'nbvlm.Client("{origin}/v1", model="nbvlm/demo")' in second
        assert httpx.get(f"{origin}/v1/models").json()["data"][0]["id"] == "nbvlm/demo"
        assert stop(process) == ("", "")
    assert process.returncode == 0


def test_serve_names_the_families_that_it_speaks():
    with serve("--speak", "qwen3-vl", "--speak", "gemini+think") as process:
        lines = [process.stdout.readline() for _ in range(4)]
        models = httpx.get(f"{origin_in(lines[0])}/v1/models").json()["data"]
        stop(process)
    assert 'model="nbvlm/demo-qwen3-vl"' in lines[1]
    assert [model["id"] for model in models] == [
        "nbvlm/demo-qwen3-vl",
        "nbvlm/demo-gemini+think",
        "nbvlm/demo",
    ]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--speak", "telepathy"], "telepathy"),
        (["--waiting", "0"], "positive integer"),
        (["--connections", "many"], "positive integer"),
        (["--at-once", "-1"], "positive integer"),
        (["--pace", "0"], "positive number"),
        (["--pace", "nan"], "positive number"),
    ],
)
def test_an_impossible_option_is_refused(capsys, options, complaint):
    try:
        status = main.main(["serve", "--port", "0", *options])
    except SystemExit as ended:
        status = ended.code
    assert status != 0
    assert complaint in capsys.readouterr().err


def test_each_of_several_keys_opens_the_service_and_has_its_own_uploads():
    wish = {"contentType": "image/png", "description": "a"}
    with serve(NBVLM_SERVE_KEY="ada-1 emil-2") as process:
        origin = origin_in(process.stdout.readline())
        ada, emil = ({"Authorization": f"Bearer {key}"} for key in ("ada-1", "emil-2"))
        promise = httpx.post(f"{origin}/v2/nvcf/assets", json=wish, headers=ada).json()
        signed = {"Content-Type": "image/png", "x-amz-meta-nvcf-asset-description": "a"}
        assert httpx.put(promise["uploadUrl"], content=b"a", headers=signed).status_code == 200
        counts = [
            len(httpx.get(f"{origin}/v2/nvcf/assets", headers=head).json()["assets"]) for head in (ada, emil)
        ]
        refused = httpx.get(f"{origin}/v2/nvcf/assets", headers={"Authorization": "Bearer ada-1 emil-2"})
        stop(process)
    assert (counts, refused.status_code) == ([1, 0], 401)


def test_another_name_of_the_computer_is_allowed_by_an_option():
    with serve("--allow-host", "Lab.example") as process:
        origin = origin_in(process.stdout.readline())
        answers = [
            httpx.get(f"{origin}/v1/models", headers={"Host": host}).status_code
            for host in ("lab.example", "127.0.0.1:1", "evil.example")
        ]
        stop(process)
    assert answers == [200, 200, 403]


@pytest.mark.parametrize("way", ["option", "environment"])
def test_the_key_is_asked_for_and_never_printed(way):
    given = (("--key", KEY), {}) if way == "option" else ((), {"NBVLM_SERVE_KEY": KEY})
    with serve(*given[0], **given[1]) as process:
        said = process.stdout.readline() + process.stdout.readline()
        url = f"{origin_in(said)}/v1/models"
        assert httpx.get(url).status_code == 401
        assert httpx.get(url, headers={"Authorization": f"Bearer {KEY}"}).status_code == 200
        said += "".join(stop(process))
    assert KEY not in said
    assert 'api_key=os.environ["NBVLM_SERVE_KEY"]' in said


def test_a_network_address_without_a_key_is_warned_about():
    with serve("--host", "0.0.0.0") as process:
        assert "http://127.0.0.1:" in process.stdout.readline()
        _, complaint = stop(process)
    assert "--key" in complaint


def test_a_taken_port_is_one_sentence_and_status_1(capsys):
    with server.listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert main.main(["serve", "--port", str(port)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"nbvlm serve: Cannot listen on 127.0.0.1 port {port}")


@pytest.mark.parametrize("key", ["", "  ", "a\nb", "schlüssel", " nvapi"])
def test_a_key_that_cannot_be_a_header_is_refused_without_being_printed(capsys, key):
    assert main.main(["serve", "--port", "0", "--key", key]) == 1
    err = capsys.readouterr().err
    assert "printable ASCII" in err
    assert not key.strip() or key.strip() not in err


def test_a_missing_extra_names_the_exact_command(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main.main(["serve", "--port", "0"]) == 1
    assert 'pip install "nbvlm[serve]"' in capsys.readouterr().err


def test_version_and_help(capsys):
    for arguments in (["--version"], ["--help"], ["serve", "--help"]):
        with pytest.raises(SystemExit) as ended:
            main.main(arguments)
        assert ended.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith("nbvlm 0.")
    assert "serve" in out
    assert "NBVLM_SERVE_KEY" in out


def test_a_command_is_needed_and_an_unknown_one_is_refused(capsys):
    for arguments in ([], ["dance"]):
        with pytest.raises(SystemExit) as ended:
            main.main(arguments)
        assert ended.value.code == 2
    assert "dance" in capsys.readouterr().err


def test_the_command_line_loads_nothing_heavy():
    code = (
        "import sys, nbvlm.cli.main; print(*sorted(set(sys.modules) & {'httpx', 'numpy', 'PIL', 'uvicorn'}))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "\n"
    )
