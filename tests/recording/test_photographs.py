"""The recording of photographs that is part of the package."""

from __future__ import annotations

import math

import pytest

import nbvlm
from nbvlm.demo.gallery import PHOTOS
from nbvlm.images import Picture
from nbvlm.widgets import sample_picture


def test_every_photograph_has_questions_and_their_answers_say_who_gave_them():
    recorded = nbvlm.replay("photographs", speed=math.inf)
    with nbvlm.Client(transport=recorded) as client:
        for photograph in PHOTOS:
            picture = Picture.load(photograph.path)
            asked = [one for one in recorded.questions if one.is_about(picture)]
            assert len(asked) >= 6
            assert photograph.prompt in [one.prompt for one in asked]
            for question in asked:
                result = client.ask(picture, question.prompt, **question.parameters)
                assert result.text
                assert result.model == "nbvlm/demo-photos"
                assert "A small detector of 80 everyday kinds answers" in result.notices[0]


def test_the_panels_own_copy_of_a_photograph_is_known():
    recorded = nbvlm.replay("photographs")
    assert any(one.is_about(sample_picture(PHOTOS[2])) for one in recorded.questions)


def test_a_miss_has_the_nearest_question_about_the_same_picture():
    with (
        nbvlm.Client(transport=nbvlm.replay("photographs", speed=math.inf)) as client,
        pytest.raises(nbvlm.ReplayMiss) as missed,
    ):
        client.ask(PHOTOS[1].path, "detect cups ; tables")
    assert (missed.value.nearest.prompt, missed.value.nearest.name) == ("detect cup ; table", "coffee.png")


def test_a_file_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photographs").write_text("not a recording")
    with pytest.raises(nbvlm.ParameterError, match="is not a recording"):
        nbvlm.replay("photographs")
