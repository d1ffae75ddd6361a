from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agl_core.callbacks import Callback
from agl_core.errors import ModelError
from agl_core.faults.backoff import Backoff
from agl_core.faults.services import Lane, Services
from agl_core.faults.troubles import Trouble
from agl_core.spending.budgets import Budget, BudgetExhaustedError
from agl_core.spending.ledger import Ledger

DOWN = Trouble("nobody there", "models:80", overall=True)
ODD = Trouble("error 500", "models:80")


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Told(Callback):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def on_warning(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def ledger() -> Ledger:
    return Ledger(Budget())


@pytest.fixture
async def services(ledger: Ledger, told: Told, clock: Clock) -> Services:
    # A short wait by the real clock; by the test's it lasts until the test says so.
    return Services(Backoff(initial=0.001, longest=0.002, outage=60.0), ledger, told, clock)


async def call(lane: Lane, trouble: Trouble | None = None) -> bool:
    """Call and tell how it ended; return whether a failure counts."""
    async with lane.entered() as entered:
        if trouble is not None:
            return entered.failed(trouble, entered.began)
        entered.answered()
        return True


async def fails(lane: Lane, clock: Clock, times: int) -> list[bool]:
    """Fail so many times, each after the cool-down."""
    counts: list[bool] = []
    for _ in range(times):
        clock.now += 1
        counts.append(await call(lane, DOWN))
    return counts


class Crowd:
    """Calls that are in a lane until they are let go."""

    def __init__(self, lane: Lane, count: int) -> None:
        self.inside: list[Any] = []
        self._go = asyncio.Event()
        self._outcome: Trouble | None = None
        self.jobs = [asyncio.create_task(self._stay(lane)) for _ in range(count)]

    async def _stay(self, lane: Lane) -> None:
        async with lane.entered() as entered:
            self.inside.append(entered)
            await self._go.wait()
            if self._outcome is None:
                entered.answered()
            else:
                entered.failed(self._outcome, entered.began)

    async def settle(self) -> int:
        """Return how many are inside once nothing moves any more."""
        await asyncio.sleep(0.02)
        return len(self.inside)

    async def end(self, outcome: Trouble | None = None) -> None:
        self._outcome = outcome
        self._go.set()
        await asyncio.sleep(0.02)

    async def gone(self) -> None:
        for job in self.jobs:
            job.cancel()
        await asyncio.gather(*self.jobs, return_exceptions=True)


class TestLanes:
    async def test_let_any_number_in(self, services: Services) -> None:
        crowd = Crowd(services.lane(), 64)
        assert await crowd.settle() == 64
        await crowd.end()

    async def test_one_failure_of_one_request_holds_nobody_up(self, services: Services) -> None:
        lane = services.lane()
        for _ in range(5):
            assert await call(lane, ODD)
        crowd = Crowd(lane, 64)
        assert await crowd.settle() == 64
        await crowd.end()

    async def test_one_failure_of_the_service_among_answers_does_not_either(
        self, services: Services
    ) -> None:
        lane = services.lane()
        for trouble in (None, DOWN, None, DOWN, None):
            await call(lane, trouble)
        crowd = Crowd(lane, 64)
        assert await crowd.settle() == 64
        await crowd.end()

    async def test_what_the_service_asks_for_is_everybodys_wait(
        self, services: Services, clock: Clock
    ) -> None:
        rollouts, calls = services.lane(), services.lane("models:80")
        others = services.lane("elsewhere:80")
        await call(rollouts, Trouble("429", "models:80", retry_after=0.002))
        waiting = [Crowd(rollouts, 3), Crowd(calls, 3)]
        assert [await crowd.settle() for crowd in waiting] == [0, 0]
        await call(others)
        clock.now += 1
        assert [await crowd.settle() for crowd in waiting] == [3, 3]
        for crowd in waiting:
            await crowd.end()

    async def test_two_failures_in_a_row_start_a_cool_down_and_let_half_as_many_in(
        self, services: Services, clock: Clock
    ) -> None:
        lane = services.lane()
        first = Crowd(lane, 64)
        await first.settle()
        await first.end(DOWN)  # all of them at once: one cool-down
        crowd = Crowd(lane, 64)
        assert await crowd.settle() == 0
        clock.now += 1
        # They failed one after another: half of those that were still inside when it began.
        assert await crowd.settle() == 31
        clock.now += 1
        await crowd.end()
        assert await crowd.settle() == 64  # those who leave make room for others
        again = Crowd(lane, 64)
        assert await again.settle() in range(36, 41)  # an eighth more, twice: all 64 were answered
        await again.end()

    async def test_widen_with_answers_to_what_began_after_the_cool_down(
        self, services: Services, clock: Clock
    ) -> None:
        lane = services.lane()
        early = Crowd(lane, 8)
        await early.settle()
        for _ in range(2):
            early.inside[0].failed(DOWN, early.inside[0].began)
        clock.now += 1
        late = Crowd(lane, 8)
        assert await late.settle() == 0  # half of eight, and all eight are still inside
        await early.end()
        assert await late.settle() == 4
        await late.gone()

    async def test_of_a_service_that_is_down_let_one_in_at_a_time(
        self, services: Services, clock: Clock
    ) -> None:
        lane = services.lane()
        await call(lane)
        await fails(lane, clock, 6)
        clock.now += 1
        crowd = Crowd(lane, 8)
        assert await crowd.settle() == 1
        await crowd.end()
        assert await crowd.settle() == 8

    async def test_who_waits_goes_when_the_run_ends(
        self, services: Services, ledger: Ledger, clock: Clock
    ) -> None:
        lane = services.lane()
        await call(lane, Trouble("429", retry_after=0.002))
        crowd = Crowd(lane, 4)
        assert await crowd.settle() == 0
        ledger.stop("interrupted")
        results = await asyncio.gather(*crowd.jobs, return_exceptions=True)
        assert {getattr(result, "reason", None) for result in results} == {"interrupted"}
        with pytest.raises(BudgetExhaustedError):
            await call(services.lane())

    async def test_who_is_cancelled_leaves_its_place(
        self, services: Services, clock: Clock
    ) -> None:
        lane = services.lane()
        await call(lane)
        await fails(lane, clock, 6)
        clock.now += 1
        crowd = Crowd(lane, 3)
        assert await crowd.settle() == 1
        await crowd.gone()
        async with asyncio.timeout(5):
            await call(lane)


class TestDown:
    async def test_failures_of_a_service_that_worked_do_not_count(
        self, services: Services, clock: Clock, told: Told
    ) -> None:
        lane = services.lane()
        await call(lane)
        assert await fails(lane, clock, 6) == [True, True, True, False, False, False]
        (warning,) = told.warnings
        assert warning == (
            "the service at models:80 is down (nobody there): the run waits for it, "
            "for up to 60 seconds"
        )
        clock.now += 1
        await call(lane)
        assert told.warnings[1:] == ["the service at models:80 is back: the run goes on"]
        assert await fails(lane, clock, 3) == [True, True, True]

    async def test_for_too_long_ends_the_run_and_says_so(
        self, services: Services, clock: Clock, ledger: Ledger
    ) -> None:
        lane = services.lane()
        await call(lane)
        await fails(lane, clock, 4)
        clock.now += 50
        await call(lane, DOWN)
        ledger.raise_if_refused()
        clock.now += 10
        await call(lane, DOWN)
        with pytest.raises(BudgetExhaustedError) as stop:
            ledger.raise_if_refused()
        assert stop.value.reason == "unavailable"
        assert str(stop.value) == (
            "the service at models:80 has been down for 63 seconds: nobody there"
        )

    async def test_one_that_never_answered_is_not_waited_for(
        self, services: Services, clock: Clock, ledger: Ledger, told: Told
    ) -> None:
        """Its address may be wrong: who was given up for that is the last."""
        lane = services.lane()
        assert all(await fails(lane, clock, 10))
        assert told.warnings == []
        ledger.raise_if_refused()
        services.lost(DOWN, services.clock())
        with pytest.raises(ModelError, match="service at models:80 cannot be used: nobody there"):
            ledger.raise_if_refused()

    async def test_one_that_fails_on_a_first_request_only_is_not_given_up(
        self, services: Services, clock: Clock, ledger: Ledger
    ) -> None:
        lane = services.lane()
        for _ in range(5):
            clock.now += 1
            assert await call(lane, ODD)
        services.lost(ODD, services.clock())
        ledger.raise_if_refused()

    async def test_one_that_fails_on_all_first_requests_is(
        self, services: Services, clock: Clock, ledger: Ledger
    ) -> None:
        lane = services.lane()
        for _ in range(32):
            ledger.raise_if_refused()
            clock.now += 1
            assert await call(lane, ODD)
            services.lost(ODD, services.clock())
        with pytest.raises(ModelError, match="service at models:80 cannot be used: error 500"):
            ledger.raise_if_refused()

    async def test_a_quota_that_is_used_up_ends_the_run_at_once(
        self, services: Services, ledger: Ledger
    ) -> None:
        lane = services.lane()
        await call(lane)
        await call(lane, Trouble("429: pay", overall=True, final=True))
        with pytest.raises(BudgetExhaustedError, match="the quota is used up: 429: pay"):
            ledger.raise_if_refused()

    async def test_one_that_was_never_there_is_an_error(
        self, services: Services, ledger: Ledger
    ) -> None:
        await call(services.lane(), Trouble("429: pay", overall=True, final=True))
        with pytest.raises(ModelError, match="the quota is used up: 429: pay"):
            ledger.raise_if_refused()


class TestWhateverIsAsked:
    """Failures that may be about what was asked, and are many: a lost connection, error 500."""

    async def test_many_in_a_row_are_the_services(self, services: Services, clock: Clock) -> None:
        lane = services.lane()
        await call(lane)
        for _ in range(7):
            await call(lane, ODD)
        await call(lane)  # an answer in between
        for _ in range(7):
            await call(lane, ODD)
        crowd = Crowd(lane, 8)
        assert await crowd.settle() == 8
        await crowd.end(ODD)  # the eighth, and seven that had begun before
        again = Crowd(lane, 8)
        assert await again.settle() == 0
        clock.now += 1
        assert await again.settle() == 8  # a pause, and no fewer at once
        await again.end()

    async def test_of_many_runners_it_takes_as_many_as_call(
        self, services: Services, clock: Clock
    ) -> None:
        lane = services.lane()
        crowd, others = Crowd(lane, 20), Crowd(lane, 44)
        await crowd.settle()
        await crowd.end(ODD)  # twenty connections lost in the same moment, and 44 that hold
        late = Crowd(lane, 20)
        assert await late.settle() == 20
        await late.end()
        await others.end()

    async def test_all_of_them_at_once_are_one_cool_down_and_end_nothing(
        self, services: Services, clock: Clock, ledger: Ledger, told: Told
    ) -> None:
        lane = services.lane()
        await call(lane)
        crowd = Crowd(lane, 64)
        await crowd.settle()
        await crowd.end(ODD)
        for _ in range(64):
            services.lost(ODD, services.clock())
        clock.now += 1
        again = Crowd(lane, 8)
        assert await again.settle() == 8
        await again.end()
        ledger.raise_if_refused()
        assert told.warnings == []

    async def test_very_many_that_were_given_up_end_the_run(
        self, services: Services, clock: Clock, ledger: Ledger, told: Told
    ) -> None:
        """Each still has its attempts: one that nobody can answer makes room for others."""
        lane = services.lane()
        await call(lane)
        for _ in range(32):
            ledger.raise_if_refused()
            clock.now += 10
            assert await call(lane, ODD)
            services.lost(ODD, services.clock())
        with pytest.raises(
            BudgetExhaustedError, match="32 rollouts and model calls were begun since the last"
        ) as stop:
            ledger.raise_if_refused()
        assert stop.value.reason == "unavailable"
        assert told.warnings == []

    async def test_what_was_begun_before_the_last_answer_tells_nothing(
        self, services: Services, clock: Clock, ledger: Ledger
    ) -> None:
        """They end last because they were tried again: others went well with them."""
        lane = services.lane()
        first = clock()
        clock.now += 1
        await call(lane)
        for _ in range(50):
            clock.now += 1
            async with lane.entered() as again:
                assert again.failed(ODD, first)
            services.lost(ODD, first)
        crowd = Crowd(lane, 16)
        assert await crowd.settle() == 16
        await crowd.end()
        ledger.raise_if_refused()


class TestComingBack:
    async def test_one_that_is_down_is_tried_in_good_time(
        self, ledger: Ledger, told: Told, clock: Clock
    ) -> None:
        """What is waited in between adds a quarter of the outage to it at most."""
        services = Services(Backoff(initial=0.5, longest=30.0), ledger, told, clock)
        host, lane = services.host("models:80"), services.lane("models:80")
        await call(lane)
        start, waits = clock.now, list[float]()
        services.failed(host, DOWN, clock.now, clock.now)
        while clock.now < start + 100:
            clock.now += 0.001
            services.failed(host, DOWN, clock.now, clock.now)
            waits.append((host.until - clock.now) / (clock.now - start))
            clock.now = host.until
        assert len(waits) > 10
        assert max(waits[5:]) < 0.26

    async def test_what_is_enough_is_halved_once_an_outage(
        self, services: Services, clock: Clock
    ) -> None:
        lane = services.lane()
        crowd = Crowd(lane, 64)
        await crowd.settle()
        await crowd.end(DOWN)
        await fails(lane, clock, 4)
        clock.now += 1
        found: list[int] = []
        for _ in range(20):
            clock.now += 1
            crowd = Crowd(lane, 64)
            found.append(await crowd.settle())
            await crowd.gone()  # who was not let in
            for entered in crowd.inside:
                entered.answered()
        assert found[:6] == [1, 2, 4, 8, 16, 32]
        assert found.index(64) < 15
