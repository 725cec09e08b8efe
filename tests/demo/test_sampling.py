from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbvlm.demo.model.model import pick, token_probabilities

SCORES = np.log(np.array([0.5, 0.3, 0.15, 0.05], np.float32))


def test_everything_is_kept_at_temperature_and_top_p_one():
    np.testing.assert_allclose(token_probabilities(SCORES, 1.0, 1.0), [0.5, 0.3, 0.15, 0.05], rtol=1e-6)


def test_low_temperature_prefers_the_likeliest():
    assert token_probabilities(SCORES, 0.1, 1.0)[0] > 0.99


@pytest.mark.parametrize(("top_p", "kept"), [(0.4, 1), (0.6, 2), (0.79, 2), (0.81, 3), (0.96, 4)])
def test_top_p_keeps_the_fewest_that_reach_it(top_p, kept):
    assert np.count_nonzero(token_probabilities(SCORES, 1.0, top_p)) == kept


def test_what_is_kept_keeps_its_proportions():
    np.testing.assert_allclose(token_probabilities(SCORES, 1.0, 0.6), [0.625, 0.375, 0, 0], rtol=1e-6)


@given(
    scores=st.lists(st.floats(-80, 80, width=32), min_size=1, max_size=30),
    temperature=st.floats(1e-4, 1.0),
    top_p=st.floats(1e-4, 1.0),
)
def test_chances_are_chances_and_never_lose_the_likeliest(scores, temperature, top_p):
    array = np.array(scores, np.float32)
    kept = token_probabilities(array, temperature, top_p)
    assert kept.min() >= 0
    assert kept.sum() == pytest.approx(1.0)
    assert kept[array.argmax()] > 0


def test_choices_follow_the_chances():
    rng = np.random.default_rng(5)
    drawn = np.bincount([pick(SCORES, 1.0, 1.0, rng) for _ in range(4000)], minlength=4) / 4000
    np.testing.assert_allclose(drawn, [0.5, 0.3, 0.15, 0.05], atol=0.03)
