"""Generated Python and shell code, run as it is: against the embedded model and against `nbvlm serve`."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from support import made_results as made
from support.service_loopback import running
from support.service_standin import StandIn

import nbvlm
from nbvlm.demo.service.service import Service
from nbvlm.images.picture import Picture

KEY = "nvapi-" + "only-for-this-test"
NASTY = """detect 'cat' ; "$(touch hacked)" `touch hacked` \\ ${HOME} %s {x} é 猫 ! \n# end"""


def environment(**more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "XDG_CACHE_HOME") if name in os.environ}
    return kept | more


def run(command: list[str], code: str, folder, **more: str) -> str:
    done = subprocess.run(
        command,
        input=code,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(**more),
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not (folder / "hacked").exists()
    return done.stdout


def python(code: str, folder, **more: str) -> str:
    return run([sys.executable, "-"], code, folder, **more)


def shell(code: str, folder, **more: str) -> str:
    return run(["sh", "-s"], code, folder, **more)


@pytest.fixture
def standin() -> StandIn:
    return StandIn()


@pytest.fixture
def origin(standin: StandIn):
    with running(Service(standin, key=KEY)) as address:
        yield address


def hosted(origin: str, **more):
    return nbvlm.Client("nvidia", base_url=origin, assets_url=origin, api_key=KEY, **more)


def test_python_for_the_embedded_model_runs_as_it_is(tmp_path) -> None:
    with nbvlm.Client("demo") as client:
        result = client.ask(made.image((128, 128)), "caption en", max_tokens=12)
    assert python(result.to_python(), tmp_path).strip()


@pytest.mark.parametrize("route", ["inline", "asset"])
def test_python_runs_against_the_served_model(route: str, origin: str, standin: StandIn, tmp_path) -> None:
    with hosted(origin) as client:
        result = client.ask(made.image((40, 30)), NASTY, temperature=0.4, max_tokens=50, route=route)
    code = result.to_python()
    assert KEY not in code
    assert python(code, tmp_path, NVIDIA_API_KEY=KEY).startswith(result.text)
    assert standin.asked[0] == standin.asked[1]
    assert ('route="asset"' in code) == (route == "asset")


@pytest.mark.parametrize("route", ["inline", "asset"])
def test_curl_runs_against_the_served_model(route: str, origin: str, standin: StandIn, tmp_path) -> None:
    with hosted(origin) as client:
        result = client.ask(made.image((40, 30)), NASTY, temperature=0.4, max_tokens=50, route=route)
        code = result.to_curl()
        assert KEY not in code
        assert "<loc0100>" in shell(code, tmp_path, NVIDIA_API_KEY=KEY)
        assert standin.asked[0] == standin.asked[1]
        assert list(client.assets.list()) == []


def test_a_wrong_key_makes_the_script_fail(origin: str, tmp_path) -> None:
    with hosted(origin) as client:
        code = client.ask(made.image((40, 30)), "detect car").to_curl()
    done = subprocess.run(
        ["sh", "-s"],
        input=code,
        capture_output=True,
        text=True,
        env=environment(NVIDIA_API_KEY="nvapi-wrong"),
        check=False,
    )
    assert done.returncode != 0


def test_code_for_the_hosted_service_can_be_pointed_elsewhere(origin: str, tmp_path) -> None:
    result = made.result(endpoint="nvidia", model="google/paligemma", prompt="detect car")
    assert 'os.environ["NVIDIA_API_KEY"]' in result.to_python()
    elsewhere = {"NVIDIA_API_KEY": KEY, "NBVLM_BASE_URL": origin, "NBVLM_ASSETS_URL": origin}
    for changed in (result, replace(result, route="asset")):
        assert "<loc0100>" in python(changed.to_python(), tmp_path, **elsewhere)
        assert "<loc0100>" in shell(changed.to_curl(), tmp_path, **elsewhere)


def test_curl_for_the_embedded_model_asks_the_served_one(origin: str, tmp_path) -> None:
    code = made.result(prompt="detect car").to_curl()
    assert "nbvlm serve" in code
    assert "<loc0100>" in shell(code, tmp_path, NVIDIA_API_KEY=KEY, NBVLM_BASE_URL=origin)


def test_code_for_an_openai_compatible_server_runs(origin: str, tmp_path) -> None:
    with nbvlm.Client(f"{origin}/v1", model="nbvlm/demo", api_key=KEY) as client:
        result = client.ask(made.image((40, 30)), "detect car")
    assert python(result.to_python(), tmp_path, NBVLM_API_KEY=KEY).startswith(result.text)
    assert "<loc0100>" in shell(result.to_curl(), tmp_path, NBVLM_API_KEY=KEY)


def test_code_for_a_service_by_name_runs_with_its_own_key(origin: str, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", f"{origin}/v1")
    with nbvlm.Client("openai", model="nbvlm/demo", api_key=KEY) as client:
        result = client.ask(made.image((40, 30)), "detect car")
    keys = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"{origin}/v1"}
    assert 'nbvlm.Client("openai"' in result.to_python()
    assert python(result.to_python(), tmp_path, **keys).startswith(result.text)
    assert "<loc0100>" in shell(result.to_curl(), tmp_path, **keys)
    for code in (result.to_python(), result.to_curl()):
        assert "NVIDIA" not in code


def test_code_for_one_of_nvidias_models_names_it(tmp_path) -> None:
    result = made.result(endpoint="google/gemma-4-31b-it", model="google/gemma-4-31b-it")
    assert 'nbvlm.Client(\n    "google/gemma-4-31b-it"' in result.to_python()
    assert "https://integrate.api.nvidia.com/v1/chat/completions" in result.to_curl()
    assert "NVIDIA_API_KEY" in result.to_curl()


def test_a_key_is_not_taken_from_the_environment_for_strangers() -> None:
    result = made.result(endpoint="https://models.example.org/v1", model="m")
    for code in (result.to_python(), result.to_curl()):
        assert "NBVLM_API_KEY" in code
        assert "OPENAI_API_KEY" not in code
        assert "NVIDIA_API_KEY" not in code


def test_the_same_file_in_the_working_directory_is_read_instead(origin: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    made.image((40, 30)).save("it's mine.png")
    with hosted(origin) as client:
        result = client.ask("it's mine.png", "detect car")
    assert len(result.to_python()) < 1000
    assert "it's mine.png" in result.to_python()
    assert python(result.to_python(), tmp_path, NVIDIA_API_KEY=KEY).startswith(result.text)
    for asked in (result, replace(result, route="asset")):
        assert len(asked.to_curl()) < 1600
        assert "<loc0100>" in shell(asked.to_curl(), tmp_path, NVIDIA_API_KEY=KEY)
    made.image((41, 30)).save("it's mine.png")
    assert "base64" in result.to_python()


def test_an_image_of_ones_own_is_named_as_given() -> None:
    assert 'picture = "other/cat.jpg"' in made.result().to_python(image="other/cat.jpg")
    assert "base64 < other/cat.jpg" in made.result().to_curl(image="other/cat.jpg")


def test_a_picture_known_by_hash_alone_is_named() -> None:
    reference = Picture.reference("0" * 64, "image/jpeg", 200, 120, "cat.jpg")
    assert 'picture = "cat.jpg"' in made.result(reference).to_python()
    assert "cat.jpg" in made.result(reference).to_curl()


def test_a_shrunk_picture_travels_shrunk_again(origin: str, standin: StandIn, tmp_path) -> None:
    with hosted(origin) as client:
        result = client.ask(made.photo((1200, 900)), "detect car", route="inline")
    assert 'route="inline"' in result.to_python()
    python(result.to_python(), tmp_path, NVIDIA_API_KEY=KEY)
    shell(result.to_curl(), tmp_path, NVIDIA_API_KEY=KEY)
    assert standin.asked[0] == standin.asked[1] == standin.asked[2]
