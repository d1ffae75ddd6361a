from __future__ import annotations

import asyncio
import pickle
import random
from contextlib import AsyncExitStack
from typing import Any

import pytest

from agl_core.errors import ConfigurationError, ModelError
from agl_core.rollouts import ModelUsage
from agl_core.spans.genai import TokenUsage
from agl_core.spending.budgets import Budget, BudgetExhaustedError, Usage
from agl_core.spending.ledger import Ledger
from agl_core.spending.metering import AbsentMeter, Demand, MeteredCall
from agl_core.spending.prices import Price, PriceList


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def is_waiting(job: asyncio.Task[Any]) -> bool:
    await settle()
    return not job.done()


async def one_rollout(ledger: Ledger, usage: ModelUsage = ModelUsage()) -> None:  # noqa: B008
    async with ledger.rollout():
        await asyncio.sleep(0)
        ledger.spend_rollout(usage)


async def one_call(ledger: Ledger, usage: ModelUsage = ModelUsage(1)) -> None:  # noqa: B008
    async with ledger.call():
        await asyncio.sleep(0)
        ledger.spend_call(usage)


class TestUsage:
    async def test_adds_up_rollouts_and_calls(self) -> None:
        ledger = Ledger(Budget())
        await one_rollout(ledger, ModelUsage(2, 100, 10, 0.5))
        await one_call(ledger, ModelUsage(1, 50, 5, 0.25))
        spent = ledger.usage
        assert (spent.rollouts, spent.model_calls) == (1, 3)
        assert (spent.input_tokens, spent.output_tokens, spent.dollars) == (150, 15, 0.75)
        assert spent.seconds > 0

    async def test_what_failed_before_it_was_spent_costs_nothing(self) -> None:
        ledger = Ledger(Budget(rollouts=1, model_calls=1))
        for block in (ledger.rollout(), ledger.call()):
            with pytest.raises(ModelError):
                async with block:
                    raise ModelError("no answer")
        await one_rollout(ledger)
        await one_call(ledger)


class TestRollouts:
    async def test_are_never_more_than_the_cap(self) -> None:
        ledger = Ledger(Budget(rollouts=10))
        results = await asyncio.gather(
            *(one_rollout(ledger) for _ in range(25)), return_exceptions=True
        )
        refused = [result for result in results if isinstance(result, BudgetExhaustedError)]
        assert ledger.usage.rollouts == 10
        assert len(refused) == 15
        assert {error.reason for error in refused} == {"rollouts"}
        assert "the budget's rollouts are used up" in str(refused[0])

    async def test_wait_while_one_in_flight_may_come_to_nothing(self) -> None:
        ledger = Ledger(Budget(rollouts=1))
        async with ledger.rollout():
            second = asyncio.create_task(one_rollout(ledger))
            assert await is_waiting(second)
        await second
        assert ledger.usage.rollouts == 1

    async def test_that_are_set_aside_are_kept_for_the_test_split(self) -> None:
        ledger = Ledger(Budget(rollouts=5))
        ledger.set_aside(4)
        await one_rollout(ledger)
        with pytest.raises(BudgetExhaustedError):
            await one_rollout(ledger)
        ledger.release_set_aside()
        for _ in range(4):
            await one_rollout(ledger)
        with pytest.raises(BudgetExhaustedError):
            await one_rollout(ledger)

    @pytest.mark.parametrize("rollouts", [5, 6])
    async def test_that_are_all_set_aside_leave_none_for_the_search(self, rollouts: int) -> None:
        with pytest.raises(ConfigurationError, match="a budget of 5 rollouts leaves none"):
            Ledger(Budget(rollouts=5)).set_aside(rollouts)


CAPS = [
    (Budget(model_calls=40), "model_calls"),
    (Budget(tokens=4_000), "tokens"),
    (Budget(dollars=4.0), "dollars"),
]


class TestEstimates:
    @pytest.mark.parametrize(("budget", "reason"), CAPS)
    @pytest.mark.parametrize("seed", range(20))
    async def test_keep_eight_runners_below_the_cap(
        self, budget: Budget, reason: str, seed: int
    ) -> None:
        """The largest rollout comes first, so that every later estimate holds."""
        ledger, rng = Ledger(budget), random.Random(seed)
        runners = asyncio.Semaphore(8)

        async def work(size: int) -> None:
            async with runners, ledger.rollout():
                for _ in range(rng.randrange(5)):
                    await asyncio.sleep(0)
                ledger.spend_rollout(ModelUsage(size, 60 * size, 40 * size, 0.1 * size))

        sizes = [5] + [rng.randrange(1, 6) for _ in range(60)]
        results = await asyncio.gather(*map(work, sizes), return_exceptions=True)
        spent = ledger.usage
        tokens = spent.input_tokens + spent.output_tokens
        assert spent.model_calls <= 40
        assert tokens <= 4_000
        assert spent.dollars <= 4.0 + 1e-9
        # Nothing is refused while what is in flight may still leave room.
        assert spent.model_calls > 40 - 5
        errors = [result for result in results if result is not None]
        assert errors
        assert {getattr(error, "reason", None) for error in errors} == {reason}

    @pytest.mark.parametrize(("budget", "reason"), CAPS)
    async def test_wait_for_the_first_of_a_kind(self, budget: Budget, reason: str) -> None:
        ledger = Ledger(budget)
        async with ledger.rollout():
            second = asyncio.create_task(one_rollout(ledger))
            assert await is_waiting(second)
            ledger.spend_rollout(ModelUsage(30, 3_000, 0, 3.0))
        with pytest.raises(BudgetExhaustedError) as refused:
            await second
        assert refused.value.reason == reason

    async def test_are_not_made_where_no_cap_depends_on_them(self) -> None:
        ledger = Ledger(Budget(rollouts=2))
        async with ledger.rollout(), ledger.rollout():
            pass

    async def test_hold_while_a_rollout_is_in_flight(self) -> None:
        ledger = Ledger(Budget(tokens=1_000))
        await one_rollout(ledger, ModelUsage(1, 400))
        async with ledger.rollout():
            second = asyncio.create_task(one_rollout(ledger, ModelUsage(1, 100)))
            assert await is_waiting(second)  # 400 spent, 400 reserved, and 400 more is too much
            ledger.spend_rollout(ModelUsage(1, 100))
        await second  # it took less than was reserved
        assert ledger.usage.input_tokens == 600

    async def test_of_calls_and_rollouts_are_kept_apart(self) -> None:
        ledger = Ledger(Budget(model_calls=12))
        await one_rollout(ledger, ModelUsage(10))
        with pytest.raises(BudgetExhaustedError):
            await one_rollout(ledger)
        await one_call(ledger)
        await one_call(ledger)
        with pytest.raises(BudgetExhaustedError) as refused:
            await one_call(ledger)
        assert refused.value.reason == "model_calls"

    async def test_keep_room_for_the_test_split(self) -> None:
        ledger = Ledger(Budget(tokens=1_200))
        ledger.set_aside(4)  # which take four times the mean
        await one_rollout(ledger, ModelUsage(1, 200))
        await one_rollout(ledger, ModelUsage(1, 0))
        await one_rollout(ledger, ModelUsage(1, 190))
        await one_rollout(ledger, ModelUsage(1, 190))  # 580 spent, as much set aside
        with pytest.raises(BudgetExhaustedError):
            await one_rollout(ledger)
        ledger.release_set_aside()
        for _ in range(3):
            await one_rollout(ledger, ModelUsage(1, 200))

    async def test_tell_early_that_the_test_split_leaves_nothing(self) -> None:
        ledger = Ledger(Budget(tokens=1_000))
        ledger.set_aside(4)
        await one_rollout(ledger, ModelUsage(1, 250))
        with pytest.raises(ConfigurationError, match=r"1000 tokens leaves none.*takes 1000"):
            await one_rollout(ledger)


class TestStop:
    async def test_refuses_what_comes_and_lets_go_on_what_runs(self) -> None:
        ledger = Ledger(Budget())
        async with ledger.rollout():
            ledger.stop("interrupted")
            ledger.spend_rollout(ModelUsage())
        with pytest.raises(BudgetExhaustedError, match="interrupted") as refused:
            await one_call(ledger)
        assert refused.value.reason == "interrupted"
        assert ledger.usage.rollouts == 1

    async def test_wakes_those_who_wait(self) -> None:
        ledger = Ledger(Budget(rollouts=1))
        async with ledger.rollout():
            second = asyncio.create_task(one_rollout(ledger))
            assert await is_waiting(second)
            ledger.stop("interrupted")
            with pytest.raises(BudgetExhaustedError, match="interrupted"):
                await second

    async def test_after_the_target_the_test_split_may_still_run(self) -> None:
        ledger = Ledger(Budget())
        ledger.stop("target")
        with pytest.raises(BudgetExhaustedError, match="target"):
            await one_rollout(ledger)
        ledger.release_set_aside()
        await one_rollout(ledger)

    async def test_after_an_interruption_it_may_not(self) -> None:
        ledger = Ledger(Budget())
        ledger.stop("interrupted")
        ledger.release_set_aside()
        with pytest.raises(BudgetExhaustedError, match="interrupted"):
            await one_rollout(ledger)

    async def test_an_error_that_ends_the_run_is_what_everyone_is_told(self) -> None:
        ledger = Ledger(Budget(rollouts=1))
        async with ledger.rollout():
            second = asyncio.create_task(one_rollout(ledger))
            await settle()
            ledger.refuse(ModelError("wrong key"))
            ledger.stop("interrupted")
        with pytest.raises(ModelError, match="wrong key"):
            await second

    async def test_seconds_run_out_by_themselves(self) -> None:
        ledger = Ledger(Budget(seconds=0.01))
        await one_rollout(ledger)
        await asyncio.sleep(0.02)
        with pytest.raises(BudgetExhaustedError) as refused:
            await one_rollout(ledger)
        assert refused.value.reason == "seconds"


async def test_whoever_is_cancelled_while_waiting_leaves_no_trace() -> None:
    ledger = Ledger(Budget(rollouts=2))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(ledger.rollout())
        await stack.enter_async_context(ledger.rollout())
        third = asyncio.create_task(one_rollout(ledger))
        assert await is_waiting(third)
        third.cancel()
        await asyncio.wait({third})
        assert third.cancelled()
    await one_rollout(ledger)
    await one_rollout(ledger)


class TestMeter:
    """The model calls of a rollout in flight."""

    BUDGET = Budget(model_calls=10)
    DEMAND = Demand("m")

    async def test_refuses_the_call_that_there_is_no_room_for(self) -> None:
        ledger = Ledger(self.BUDGET)
        async with ledger.rollout() as meter:
            for _ in range(10):
                reserved = meter.begin(self.DEMAND)
                assert reserved is not None
                meter.end(reserved, TokenUsage(5, 5), failed=False)
            with pytest.raises(BudgetExhaustedError) as refused:
                meter.begin(self.DEMAND)
            assert refused.value.reason == meter.refused == "model_calls"
            ledger.spend_rollout(ModelUsage(10), meter)
        assert ledger.usage.model_calls == 10

    async def test_lets_a_call_wait_for_those_that_others_are_making(self) -> None:
        ledger = Ledger(Budget(tokens=2_000))
        await one_rollout(ledger, ModelUsage(1, 10))
        async with ledger.rollout() as first, ledger.rollout() as second:
            reserved = first.begin(Demand("m", 100, 900))
            assert reserved is not None
            assert second.begin(Demand("m", 500, 500)) is None
            first.end(reserved, TokenUsage(100, 10), failed=False)
            assert second.begin(Demand("m", 500, 500)) is not None

    async def test_counts_in_flight_what_is_over_the_estimate(self) -> None:
        ledger = Ledger(self.BUDGET)
        await one_rollout(ledger, ModelUsage(1))
        async with ledger.rollout() as meter:
            for _ in range(8):
                reserved = meter.begin(self.DEMAND)
                assert reserved is not None
                meter.end(reserved, TokenUsage(), failed=False)
            await one_rollout(ledger, ModelUsage(1))  # one is left, for one like the first
            with pytest.raises(BudgetExhaustedError):
                await one_rollout(ledger)

    @pytest.mark.parametrize(
        ("demand", "most"),
        [
            (Demand("m", 100, 50), (100, 50)),
            (Demand("m", 100, 50, answers=3), (100, 150)),
            (Demand("m", 100), (100, 4_000)),  # twice the longest
            (Demand("other", 100), (100, 1_000)),
        ],
    )
    async def test_reserves_what_a_call_takes_at_most(
        self, demand: Demand, most: tuple[int, int]
    ) -> None:
        prices = PriceList({"m": Price(1.0, 10.0), "other": Price(1.0, 10.0)})
        ledger = Ledger(Budget(dollars=9.0), prices)
        ledger.spend_call(ModelUsage(1, 5, 2_000), "m")
        dollars = (most[0] + 10 * most[1]) / 1_000_000
        bound = ledger.bound(demand)
        assert (bound.model_calls, bound.input_tokens, bound.output_tokens) == (1, *most)
        assert bound.dollars == pytest.approx(dollars)

    async def test_holds_what_was_not_told(self) -> None:
        """A stream without token counts, and a call that outlived its rollout."""
        ledger = Ledger(Budget(tokens=2_000))
        async with ledger.rollout() as meter:
            streamed = meter.begin(Demand("m", 100, 400))
            assert streamed is not None
            meter.end(streamed, None, failed=False)
            outlived = meter.begin(Demand("m", 100, 400))
            assert outlived is not None
            ledger.spend_rollout(ModelUsage(2, 1), meter, untold=True)
            meter.end(outlived, TokenUsage(1, 1), failed=False)  # too late to tell
        assert ledger.usage.tokens == 1
        with pytest.raises(BudgetExhaustedError):
            async with ledger.call(Demand("m", 500, 500)):
                pass

    async def test_holds_nothing_of_what_the_service_refused_or_the_spans_tell(self) -> None:
        ledger = Ledger(Budget(tokens=1_000))
        async with ledger.rollout() as meter:
            for failed in (True, False):
                reserved = meter.begin(Demand("m", 100, 400))
                assert reserved is not None
                meter.end(reserved, None, failed)
            ledger.spend_rollout(ModelUsage(2, 50, 50), meter)
        async with ledger.call(Demand("m", 500, 400)):
            pass

    async def test_lets_no_call_be_made_after_its_rollout(self) -> None:
        ledger = Ledger(self.BUDGET)
        async with ledger.rollout() as meter:
            ledger.spend_rollout(ModelUsage(), meter)
        with pytest.raises(BudgetExhaustedError, match="rollout that this model call belongs to"):
            meter.begin(self.DEMAND)

    async def test_refuses_calls_when_time_is_up(self) -> None:
        ledger = Ledger(Budget(seconds=0.01))
        async with ledger.rollout() as meter:
            await asyncio.sleep(0.02)
            with pytest.raises(BudgetExhaustedError):
                meter.begin(self.DEMAND)
            assert meter.refused == "seconds"
            assert ledger.seconds_left == 0.0

    async def test_keeps_the_test_split_its_share(self) -> None:
        ledger = Ledger(Budget(model_calls=15))
        ledger.set_aside(2)
        await one_rollout(ledger, ModelUsage(3))
        async with ledger.rollout() as meter:
            for _ in range(6):
                reserved = meter.begin(self.DEMAND)
                assert reserved is not None
                meter.end(reserved, TokenUsage(), failed=False)
            with pytest.raises(BudgetExhaustedError):
                meter.begin(self.DEMAND)  # 9 spent, 6 set aside
            ledger.release_set_aside()
            assert meter.begin(self.DEMAND) is not None

    async def test_is_absent_in_another_process(self) -> None:
        async with Ledger(self.BUDGET).rollout() as meter:
            copy = pickle.loads(pickle.dumps(meter))
        assert isinstance(copy, AbsentMeter)
        assert copy.begin(self.DEMAND) is not None


async def test_a_blocking_call_on_an_event_loop_is_refused_rather_than_waits() -> None:
    ledger = Ledger(Budget(model_calls=1))
    async with ledger.rollout() as meter:
        in_flight = MeteredCall(meter, Demand("m"))
        await in_flight.abegin()
        with pytest.raises(BudgetExhaustedError):
            MeteredCall(meter, Demand("m")).begin()  # its thread is that of the call in flight
        assert meter.begin(Demand("m")) is None  # others wait
        in_flight.end(None, failed=True)


async def test_what_is_set_aside_counts_the_rollouts_of_earlier_starts() -> None:
    ledger = Ledger(Budget(tokens=10_000))
    ledger.set_aside(30)
    ledger.carry_over(Usage(40, 40, 3_000, 1_000), ModelUsage(40, 3_000, 1_000))

    async def run() -> None:
        async with ledger.rollout() as meter:
            ledger.spend_rollout(ModelUsage(1, 75, 25), meter)

    for _ in range(30):
        await run()
    with pytest.raises(BudgetExhaustedError):
        await run()  # 3,000 tokens are left, for 30 test tasks
