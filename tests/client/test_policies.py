"""When a failed request is tried again."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nbvlm
from nbvlm.client.policies import Retry, retry_after


def test_pauses_grow_up_to_the_longest() -> None:
    policy = Retry(attempts=9, first=0.5, longest=3, total=100)
    assert [policy.wait(n, elapsed=0, jitter=1) for n in range(1, 6)] == [0.5, 1.0, 2.0, 3.0, 3.0]


@given(st.integers(1, 4))
def test_pauses_are_shortened_at_random_by_half_at_most(attempt: int) -> None:
    pause = Retry().wait(attempt, elapsed=0)
    assert pause is not None
    assert 0.5 * 2 ** (attempt - 1) / 2 <= pause <= 0.5 * 2 ** (attempt - 1)


def test_attempts_are_bounded_and_fewer_without_a_connection() -> None:
    policy = Retry(attempts=5, connection_attempts=2)
    assert policy.wait(4, elapsed=0) is not None
    assert policy.wait(5, elapsed=0) is None
    assert policy.wait(2, elapsed=0, connection=True) is None


def test_the_total_is_bounded() -> None:
    assert Retry(total=10).wait(1, elapsed=9.9, jitter=1) is None
    assert Retry(total=10).wait(1, elapsed=9.0, jitter=1) == 0.5


def test_what_the_service_asks_for_is_kept_up_to_the_cap() -> None:
    policy = Retry(retry_after_cap=30)
    assert policy.wait(1, elapsed=0, asked=20) == 20
    assert policy.wait(1, elapsed=0, asked=0, jitter=1) == 0.5
    assert policy.wait(1, elapsed=0, asked=10_800) is None


def test_never_tries_once() -> None:
    assert Retry.never().wait(1, elapsed=0) is None
    assert Retry.never().wait(1, elapsed=0, connection=True) is None


@pytest.mark.parametrize(
    "wrong", [{"attempts": 0}, {"total": -1}, {"factor": 0.5}, {"connection_attempts": 0}]
)
def test_a_policy_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(nbvlm.ParameterError):
        Retry(**wrong)  # type: ignore[arg-type]


def test_a_policy_is_a_value() -> None:
    assert pickle.loads(pickle.dumps(Retry(attempts=2))) == Retry(attempts=2)
    assert hash(Retry()) == hash(Retry())


NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        ("2.5", 2.5),
        ("-3", 0.0),
        ("10800", 10_800.0),
        ("nan", None),
        ("soon", None),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("Thu, 01 Jan 2026 12:00:30 -0000", 30.0),
        ("Thu, 99 Jan 2026", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


@given(st.text())
def test_no_retry_after_is_an_accident(value: str) -> None:
    seconds = retry_after(value, NOW)
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize("value", [3, True, "never", 0.5])
def test_what_is_no_policy_is_refused_when_the_client_is_opened(value: object) -> None:
    with pytest.raises(nbvlm.ParameterError, match=r"retry must be a Retry, got .*Retry\(attempts=3\)"):
        nbvlm.Client("demo", retry=value)


def test_an_unknown_model_beside_an_address_says_where_the_address_goes() -> None:
    with pytest.raises(nbvlm.ParameterError, match=r"comes first, .*nbvlm\.Client\(url, model='llava'\)"):
        nbvlm.Client(base_url="http://localhost:8000", model="llava")
