"""Parts of the gateway by themselves: configuration, quotas, tasks, cache, line, command."""

from __future__ import annotations

import contextlib
import random
import re
import signal
import subprocess
import sys
import threading
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.service_standin import picture

import nbvlm
from nbvlm import gateway
from nbvlm.client import Retry
from nbvlm.demo.service import EncodedPicture
from nbvlm.errors import Error, ParameterError, TransportError
from nbvlm.gateway import answers
from nbvlm.gateway.config import parsed
from nbvlm.gateway.people import Attempts, Person
from nbvlm.gateway.questions import GatewayQuestion, task_of
from nbvlm.gateway.quotas import Quotas, Refused, midnight
from nbvlm.gateway.store import Store
from nbvlm.grounding import dialects

if TYPE_CHECKING:
    from pathlib import Path

# Configuration


def test_the_example_is_a_configuration(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(gateway.EXAMPLE)
    config = gateway.load(path)
    assert (config.upstream.endpoint, config.quota.per_day, config.listen.port) == ("nvidia", 200, 8000)
    assert gateway.demo().upstream.endpoint == "demo"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"quotas": {}}, "The section [quotas] is not known. Did you mean 'quota'?"),
        ({"quota": {"per_minuet": 1}}, "[quota] has no 'per_minuet'. Did you mean 'per_minute'?"),
        ({"quota": {"per_day": "many"}}, "[quota] per_day must be a whole number of at least 0, got 'many'."),
        ({"quota": {"per_day": -1}}, "[quota] per_day must be a whole number of at least 0, got -1."),
        ({"quota": {"per_day": True}}, "[quota] per_day must be a whole number of at least 0, got True."),
        ({"wall": {"on": "yes"}}, "[wall] on must be true or false, got 'yes'."),
        ({"class": {"title": 5}}, "[class] title must be a text, got 5."),
        ({"class": {"closes": "5pm"}}, "[class] closes must be a time of day, got '5pm'."),
        ({"class": 5}, "[class] must be a section of the file."),
        ({"people": {"names": "Ada"}}, "[people] names must be a list of texts, got 'Ada'."),
        ({"people": {"names": ["Ada", "ADA"]}}, "[people] names contains a name twice."),
        ({"upstream": {"key": "nvapi-x"}}, "The key itself does not belong in this file."),
        ({"upstream": {"key_from": "nvapi-secret"}}, "must be the name of an environment variable."),
        ({"upstream": {"key_from": "A", "key_file": "b"}}, "[upstream] has both key_from and key_file."),
        ({"upstream": {"endpoint": "gateway"}}, "cannot be another gateway"),
        ({"listen": {"tls_key": "x"}}, "[listen] needs both tls_certificate and tls_key, or neither."),
        ({"listen": {"port": 70000}}, "[listen] port must be 0 to 65535, got 70000."),
    ],
)
def test_a_wrong_value_is_one_clear_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ParameterError) as caught:
        parsed(values)
    assert sentence in str(caught.value)
    assert "nvapi-" not in str(caught.value)


def test_keys_come_from_a_variable_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = parsed({"upstream": {"key_from": "CLASS_KEY"}})
    with pytest.raises(Error, match=r"CLASS_KEY, which .* is not set"):
        config.key()
    monkeypatch.setenv("CLASS_KEY", " nvapi-1 ")
    assert config.key() == "nvapi-1"
    (tmp_path / "key").write_text("nvapi-2\n")
    assert parsed({"upstream": {"key_file": "key"}}, folder=tmp_path).key() == "nvapi-2"
    with pytest.raises(Error, match="cannot be read"):
        parsed({"upstream": {"key_file": "none"}}, folder=tmp_path).key()
    assert "nvapi" not in repr(config)


# Quotas


def test_quotas_end_with_the_minute_and_the_day() -> None:
    store, person = Store(), Person(1, "Ada", "student")
    now = [datetime(2026, 11, 29, 23, 58).timestamp()]
    limits = parsed({"quota": {"per_minute": 2, "per_day": 3, "tokens_per_day": 100}}).quota
    quotas = Quotas(store, limits, clock=lambda: now[0])
    quotas.take(person)
    quotas.take(person)
    with pytest.raises(Refused) as caught:
        quotas.take(person)
    assert (caught.value.status, caught.value.retry_after) == (429, 60)
    now[0] += 61
    quotas.take(person)
    assert quotas.left(person) == (0, 3)
    with pytest.raises(Refused, match="your 3 questions of today"):
        quotas.take(person)
    now[0] += 60
    assert quotas.left(person) == (3, 3)
    quotas.add_tokens(person, 100)
    with pytest.raises(Refused, match="your 100 tokens of today"):
        quotas.take(person)
    more = Person(1, "Ada", "student", extra_tokens=50, extra_until=midnight(now[0], 1))
    quotas.take(more)
    store.close()


def test_wrong_codes_are_forgotten_after_a_while() -> None:
    now = [0.0]
    attempts = Attempts(of_one=2, of_all=3, within_s=60, clock=lambda: now[0])
    for peer in "aab":
        attempts.failed(peer)
    assert not attempts.allowed("c")
    now[0] = 61
    assert attempts.allowed("a")


# Tasks


@pytest.mark.parametrize(
    "model", ["google/paligemma", "google/gemma-4-31b-it", "qwen3-vl", "allenai/Molmo-7B-D"]
)
def test_tasks_are_known_in_the_words_of_each_family(model: str) -> None:
    prompts = {
        "detect": "detect cat ; dog",
        "segment": "segment cat ; dog",
        "point": "point cat ; dog",
        "count": "count cat ; dog",
        "caption": "caption de",
        "ocr": "ocr",
    }
    sent = {
        task: nbvlm.prompts.translate(prompt, dialects.of(model), (640, 480))
        for task, prompt in prompts.items()
    }
    for task, words in sent.items():  # a family may have the same words for several tasks
        assert task_of(words, model) in {other for other, same in sent.items() if same == words}, task
    assert task_of("Write a poem about this", model) == "question"


# Cache and line


def asked(prompt: str, temperature: float = 0.0) -> GatewayQuestion:
    return GatewayQuestion(
        "m", prompt, EncodedPicture.of(picture()), {"temperature": temperature, "max_tokens": 5}, True, False
    )


def test_the_cache_is_bounded_and_forgets() -> None:
    now = [0.0]
    kept = [answers.Answer(asked(str(number)), asked(str(number)).key) for number in range(3)]
    for answer in kept:
        answer.chunks = [answers.Chunk("x" * 1000)]
    cache = answers.Cache(2 * kept[0].weight, 60, clock=lambda: now[0])
    for answer in kept:
        cache.put(answer)
    assert (len(cache), cache.get(kept[0].key)) == (2, None)
    assert cache.get(kept[2].key) is kept[2]
    now[0] = 61
    assert cache.get(kept[2].key) is None
    assert asked("a").key == asked("a").key != asked("b").key


# The command


def test_the_command_checks_and_explains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from nbvlm.cli.main import main

    assert main(["gateway"]) == 1
    assert "Give either FILE or --demo" in capsys.readouterr().err
    assert main(["gateway", "--example"]) == 0
    assert "[upstream]" in capsys.readouterr().out
    assert main(["gateway", str(tmp_path / "none.toml")]) == 1
    assert "cannot be read" in capsys.readouterr().err
    (tmp_path / "bad.toml").write_text("[upstream\n")
    assert main(["gateway", str(tmp_path / "bad.toml")]) == 1
    assert "is not TOML" in capsys.readouterr().err
    (tmp_path / "good.toml").write_text('[upstream]\nendpoint = "demo"\n')
    assert main(["gateway", "--check", str(tmp_path / "good.toml")]) == 0


class Started:
    """`nbvlm gateway` in another process."""

    def __init__(self, *args: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nbvlm", "gateway", *args], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        lines: list[str] = []
        while not lines or not lines[-1].startswith("Teacher:"):
            lines.append(self.process.stdout.readline())
            assert lines[-1], lines
        self.origin = re.search(r"Students: (\S+)", "".join(lines))[1]
        found = re.search(r"code (\S+)", "".join(lines))
        self.code = found[1] if found else ""

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        code = self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def test_the_demo_runs_at_once_and_ends_by_a_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    started = Started("--demo", "--port", "0")
    try:
        monkeypatch.setenv("NBVLM_GATEWAY", started.origin)
        answer = httpx.post(f"{started.origin}/join", json={"code": started.code, "name": "Ada"}, timeout=60)
        with nbvlm.Client("gateway", api_key=answer.json()["token"]) as client:
            assert client.ask(nbvlm.demo.scenes.sample(3).picture, "caption en").model == "nbvlm/demo-scenes"
    finally:
        started.end(signal.SIGTERM)


def killed(folder: Path, times: int, seed: int = 0) -> list[tuple[int, int, int]]:
    """Kill a gateway at any moment while a student asks, again and again.

    Return, after each time, the answers that the student had, the questions in the books, and those sent.
    """
    chance = random.Random(seed)
    config, books = folder / "gateway.toml", folder / "usage.sqlite"
    config.write_text(
        '[upstream]\nendpoint = "demo"\n[listen]\nport = 0\n[quota]\nper_minute = 0\nper_day = 100000\n'
        f'[store]\nfile = "{books}"\n'
    )
    scene, token, found = picture((64, 48)), "", []
    had = sent = 0
    for _ in range(times):
        started = Started(str(config))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("NBVLM_GATEWAY", started.origin)
            if not token:
                wanted = {"code": started.code, "name": "Ada"}
                token = httpx.post(f"{started.origin}/join", json=wanted, timeout=60).json()["token"]
            client = nbvlm.Client("gateway", api_key=token, retry=Retry.never())
        kill = threading.Timer(chance.uniform(0.05, 1.0), started.process.kill)
        kill.start()
        with client, contextlib.suppress(TransportError):
            while True:
                sent += 1
                client.ask(scene, f"caption {chance.choice(['en', 'de'])}", max_tokens=3)
                had += 1
        kill.join()
        started.end(signal.SIGKILL)
        store = Store(books)
        found.append((had, store.read("SELECT COUNT(*) FROM usage")[0][0], sent))
        assert store.read("PRAGMA integrity_check") == [("ok",)]
        store.close()
    return found


def test_no_question_is_forgotten_when_the_gateway_is_killed(tmp_path: Path) -> None:
    for had, kept, sent in killed(tmp_path, 1):
        assert had <= kept <= sent


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_no_question_is_forgotten_in_fifty_kills(tmp_path: Path) -> None:
    found = killed(tmp_path, 50)
    assert [(had, kept, sent) for had, kept, sent in found if not had <= kept <= sent] == []
    assert found[-1][0] > 50
    assert found[-1][2] >= found[-1][0] + 50  # each time a question was under way
