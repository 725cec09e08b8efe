"""What a service allows is kept: one rate for all, refusals slow everyone, a busy service is spared."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING, Any

import pytest
from support.batch_runs import asked, client_for, pictures
from support.loopback import MODEL, Loopback, Reply, answer, problem

import nbvlm
from nbvlm.batches.plan import plan
from nbvlm.batches.rate_limit import ConcurrencyLimiter, RateLimiter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from support.loopback import Seen


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self._sleep = asyncio.sleep
        monkeypatch.setattr(asyncio, "sleep", self.sleep)

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await self._sleep(0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def service() -> Iterator[Timed]:
    with Timed() as server:
        yield server


class Timed(Loopback):
    """Notes when each question came."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []
        self.now = self.most = 0

    def _model(self, seen: Seen) -> Reply:
        self.times.append(time.monotonic())
        return super()._model(seen)


def taken(pace: RateLimiter, count: int, each: Callable[[int], Awaitable[Any]] | None = None) -> list[float]:
    """When each of so many got leave."""

    async def main() -> list[float]:
        times = []
        for number in range(count):
            await pace.take()
            times.append(pace._clock())
            if each is not None:
                await each(number)
        return times

    return asyncio.run(main())


def test_no_minute_holds_more_than_the_rate(clock: Clock) -> None:
    times = taken(RateLimiter(40, clock=clock), 121)
    assert times[-1] == pytest.approx(180)
    windows = [sum(start <= other < start + 60 for other in times) for start in times]
    assert max(windows) == 40


def test_time_lost_by_others_is_not_made_up_for_in_a_burst(clock: Clock) -> None:
    async def busy(number: int) -> None:
        clock.now += 30 if number == 4 else 0

    times = taken(RateLimiter(60, clock=clock), 10, busy)
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert min(gaps) >= 0.979


def test_one_refusal_stops_everyone_and_counts_once(clock: Clock) -> None:
    pace = RateLimiter(60, first=2, clock=clock)

    async def refused(number: int) -> None:
        if number == 3:
            for _ in range(5):  # those under way at the same time
                await pace.refused(0.5)

    times = taken(pace, 6, refused)
    assert times[4] - times[3] == pytest.approx(2)
    assert pace.rate == pytest.approx(60 * 0.7)
    assert times[5] - times[4] == pytest.approx(60 / 42)


def test_a_refusal_is_reported_once_and_makes_another_process_pause(clock: Clock) -> None:
    reported: list[float] = []
    refused, other = (
        RateLimiter(60, first=2, clock=clock, report=reported.append),
        RateLimiter(60, clock=clock),
    )

    async def main() -> None:
        for _ in range(3):  # under way at the same time
            await refused.refused(0.5, 7)
        assert reported == [7]
        other.pause(reported[0])
        other.pause(reported[0])
        await other.take()

    asyncio.run(main())
    assert clock.now == pytest.approx(7)
    assert other.rate == pytest.approx(42)


def test_the_service_says_how_long_and_answers_bring_the_rate_back(clock: Clock) -> None:
    pace = RateLimiter(60, clock=clock)

    async def main() -> None:
        await pace.take()
        await pace.refused(0, 45)
        await pace.take()
        assert clock.now == pytest.approx(45)
        assert pace.rate == pytest.approx(42)
        for _ in range(30):
            await pace.answered()
        assert pace.rate == 60

    asyncio.run(main())


def test_without_a_limit_a_refusal_sets_one_by_what_was_asked_lately(clock: Clock) -> None:
    pace = RateLimiter(None, clock=clock)

    async def main() -> None:
        for _ in range(50):
            await pace.take()
            clock.now += 0.1
            await pace.answered()
        await pace.refused(0)
        await pace.refused(0)  # nothing was answered since
        assert pace.rate == pytest.approx(600 * 0.7, rel=0.05)
        for _ in range(200):
            await pace.answered()
        assert pace.rate is None

    asyncio.run(main())


def test_slots_are_halved_once_and_come_back_one_by_one(clock: Clock) -> None:
    slots = ConcurrencyLimiter(8, clock=clock)
    for _ in range(4):
        slots.refused(1)
    assert slots.limit == 4
    clock.now += 5
    slots.refused(1)
    assert slots.limit == 2
    for _ in range(2 + 3 + 4):
        slots.answered()
    assert slots.limit == 5
    for _ in range(100):
        slots.answered()
    assert slots.limit == 8


def test_a_cancelled_waiter_gives_its_turn_to_the_next() -> None:
    async def main() -> list[str]:
        slots, done = ConcurrencyLimiter(1), []

        async def work(name: str) -> None:
            async with slots:
                done.append(name)
                await asyncio.sleep(0.01)

        tasks = [asyncio.create_task(work(name)) for name in "abcd"]
        await asyncio.sleep(0)
        tasks[1].cancel()
        tasks[2].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return done

    assert asyncio.run(main()) == ["a", "d"]


def test_the_hosted_limit_is_the_default_where_the_hosted_service_is_asked() -> None:
    def rate(client: nbvlm.Client, wanted: float | None = None) -> float | None:
        return plan("x", client, concurrency=1, rate=wanted, on_error="record", options={}).rate

    key = "nvapi-not-a-real-key"
    assert rate(nbvlm.Client("nvidia", api_key=key)) == 40
    assert rate(nbvlm.Client("nvidia", api_key=key), float("inf")) is None
    assert rate(nbvlm.Client("nvidia", api_key=key), 7) == 7
    assert rate(nbvlm.Client("nvidia", api_key=key, base_url="http://127.0.0.1:9")) is None
    assert rate(nbvlm.Client("demo")) is None


def test_a_rate_is_kept_on_the_wire(service: Timed, tmp_path: Path) -> None:
    folder = pictures(tmp_path, 12)
    nbvlm.batch(folder, "caption en", client=client_for(service), journal=None, rate=1200)
    assert asked(service) == 12
    assert service.times[-1] - service.times[0] >= 11 * 0.05 - 0.04


def test_after_a_429_everyone_waits_and_every_picture_is_answered(service: Timed, tmp_path: Path) -> None:
    folder = pictures(tmp_path, 30)
    service.replies.extend([answer("early")] * 10 + [problem(429)] * 4)
    client = client_for(service, retry=nbvlm.client.Retry(first=0.3))
    table = nbvlm.batch(folder, "caption en", client=client, journal=None, concurrency=4)
    assert table.error.isna().all()
    assert asked(service) == 34
    gaps = [after - before for before, after in zip(service.times, service.times[1:], strict=False)]
    assert max(gaps[9:14]) >= 0.29


def test_a_retry_after_of_the_service_is_kept_by_all(service: Timed, tmp_path: Path) -> None:
    folder = pictures(tmp_path, 8)
    service.replies.append(problem(429, retry_after="1"))
    table = nbvlm.batch(folder, "caption en", client=client_for(service), journal=None, concurrency=2)
    assert table.error.isna().all()
    late = [moment for moment in service.times if moment - service.times[0] > 0.9]
    assert len(late) >= 6


def test_a_busy_service_is_asked_less_at_once(tmp_path: Path) -> None:
    class Small(Loopback):
        """Three at once; a fourth is refused."""

        now = most = refused = 0

        def _model(self, seen: Seen) -> Reply:
            if self.now >= 3:
                self.refused += 1
                return problem(503, "ResourceExhausted: Worker local total request limit reached (4/3)")
            self.now += 1
            self.most = max(self.most, self.now)
            return answer("fine", wait=0.02)

        async def _reply(self, writer: Any, reply: Reply, gone: Any) -> bool:
            done = await super()._reply(writer, reply, gone)
            self.now -= reply.status == 200
            return done

    folder = pictures(tmp_path, 60)
    told: list[Any] = []
    with Small() as service:
        table = nbvlm.batch(
            folder,
            "caption en",
            client=client_for(service),
            journal=None,
            concurrency=16,
            progress=told.append,
        )
    assert table.error.isna().all()
    assert service.most <= 3
    assert service.refused < 60
    assert min(report.concurrency for report in told[1:]) < 16


def test_a_model_that_is_offline_for_hours_ends_the_run(service: Timed, tmp_path: Path) -> None:
    folder = pictures(tmp_path, 20)
    service.replies.extend(problem(503, "offline", retry_after="10800") for _ in range(20))
    with pytest.raises(nbvlm.ServerError):
        nbvlm.batch(folder, "caption en", client=client_for(service), journal=None, concurrency=2)
    assert asked(service) <= 3


def test_a_refusal_without_end_is_a_row(service: Timed, tmp_path: Path) -> None:
    folder = pictures(tmp_path, 1)
    service.replies.extend(problem(429) for _ in range(50))
    table = nbvlm.batch(folder, "caption en", client=client_for(service), journal=None)
    assert table.error[0].startswith("RateLimitError")
    assert asked(service) == 8
    never = client_for(service, retry=nbvlm.client.Retry.never())
    nbvlm.batch(folder, "caption en", client=never, journal=None)
    assert asked(service) == 9
    assert {seen.path for seen in service.seen} == {MODEL}
