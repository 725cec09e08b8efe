from __future__ import annotations

import pytest

from nbvlm.demo import scenes, wordings
from nbvlm.demo.model import load
from nbvlm.demo.wordings import WORDINGS


@pytest.fixture(scope="module")
def shares() -> dict[str, dict[str, float]]:
    measured: dict[str, dict[str, float]] = {task: {} for task in WORDINGS}
    for asked in wordings.measure(load(), 12, pixels=320):
        measured[asked.task][asked.wording] = asked.right
    return measured


@pytest.mark.parametrize("task", WORDINGS)
def test_wording_matters(task, shares):
    assert len(shares[task]) >= 8
    best, worst = max(shares[task].values()), min(shares[task].values())
    assert best >= 0.8
    assert best - worst >= 0.5
    assert next(iter(shares[task].values())) == best  # the usual wording comes first


@pytest.mark.parametrize("task", ["count", "is there", "where", "detect"])
def test_a_wording_that_loses_the_color_is_right_sometimes(task, shares):
    assert any(0.15 <= share <= 0.85 for share in shares[task].values())


def test_the_same_seed_asks_about_the_same_thing():
    scene = scenes.sample(5)
    assert wordings.targets(scene, 5) == wordings.targets(scenes.sample(5), 5)


def test_the_command_prints_a_line_for_each_wording(capsys):
    assert wordings.main(["--scenes", "1", "--hard", "0.5"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == sum(map(len, WORDINGS.values()))
