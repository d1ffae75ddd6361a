from __future__ import annotations

import asyncio
import random
from types import SimpleNamespace
from typing import Any

import httpx2
import openai
import pytest

from agl_core.datasets import Task, load_dataset
from agl_core.errors import ModelError, PlaceholderError, RewardError
from agl_core.faults.backoff import Backoff
from agl_core.prompts.templates import PromptTemplate
from agl_core.spending.budgets import Budget, BudgetExhaustedError
from agl_core.storage.sqlite import MemoryStore
from agl_core.storage.store import RolloutKey

HI = {"prompt_template": PromptTemplate("Hi.")}
BYE = {"prompt_template": PromptTemplate("Bye {name}.")}


def tasks(count: int, split: str = "val") -> list[Task]:
    return list(load_dataset([{"number": i} for i in range(count)], split))


def refused(status: int = 401) -> openai.APIStatusError:
    response = httpx2.Response(status, request=httpx2.Request("POST", "http://localhost"))
    return openai.AuthenticationError("wrong key", response=response, body=None)


class TestOrder:
    async def test_one_rollout_per_task_in_their_order(self, engine: SimpleNamespace) -> None:
        async def agent(task: Any) -> float:
            await asyncio.sleep(0.002 * random.random())
            return task["number"]

        async with engine.running(agent) as test:
            rollouts = await test.runner.run_all(HI, tasks(30))
        assert [rollout.score for rollout in rollouts] == list(range(30))
        assert [rollout.task["number"] for rollout in rollouts] == list(range(30))
        assert rollouts[7].task_name == "val[7]"
        assert len({rollout.id for rollout in rollouts}) == 30

    async def test_no_tasks_no_rollouts(self, engine: SimpleNamespace) -> None:
        async with engine.running(lambda task: 1) as test:
            assert await test.runner.run_all(HI, []) == []

    async def test_a_task_that_occurs_twice_is_run_once(self, engine: SimpleNamespace) -> None:
        watcher, (task,) = engine.Watcher(), tasks(1)
        async with engine.running(lambda task: 1, callback=watcher) as test:
            rollouts = await test.runner.run_all(HI, [task, task, task])
        assert len(rollouts) == 3
        assert len(watcher.run) == 1


class TestRepeats:
    async def test_of_a_task_follow_one_another_and_are_kept_apart(
        self, engine: SimpleNamespace
    ) -> None:
        runs = iter(range(100))
        async with engine.running(lambda task: next(runs), n_runners=1) as test:
            rollouts = await test.runner.run_all(HI, tasks(2), repeats=3)
            assert [rollout.task["number"] for rollout in rollouts] == [0, 0, 0, 1, 1, 1]
            assert sorted(rollout.score for rollout in rollouts) == [0, 1, 2, 3, 4, 5]
            again = await test.runner.run_all(HI, tasks(2), repeats=3)
            assert [rollout.id for rollout in again] == [rollout.id for rollout in rollouts]
            assert next(runs) == 6

    async def test_the_first_is_the_run_without_repeats(self, engine: SimpleNamespace) -> None:
        watcher = engine.Watcher()
        async with engine.running(lambda task: 1, callback=watcher) as test:
            alone = await test.runner.run_all(HI, tasks(1), repeat="a")
            first, second = await test.runner.run_all(HI, tasks(1), repeat="a", repeats=2)
        assert (first.id, len(watcher.run)) == (alone[0].id, 2)
        assert second.id == f"{first.id}/1"


class TestScores:
    @pytest.mark.parametrize("failure_reward", [0.0, -1.0])
    async def test_the_agents_own_failure_scores_the_failure_reward(
        self, engine: SimpleNamespace, failure_reward: float
    ) -> None:
        def agent(task: Any) -> float:
            return 1 / task["number"]

        async with engine.running(agent, failure_reward=failure_reward) as test:
            failed, succeeded = await test.runner.run_all(HI, tasks(2))
        assert (failed.status, failed.score) == ("failed", failure_reward)
        assert "ZeroDivisionError" in failed.error
        assert (succeeded.status, succeeded.score) == ("succeeded", 1.0)

    async def test_a_timeout_is_one(self, engine: SimpleNamespace) -> None:
        async def agent(task: Any) -> float:
            await asyncio.sleep(60 * task["number"])
            return 1.0

        async with engine.running(agent, limit=0.05) as test:
            rollouts = await test.runner.run_all(HI, tasks(2))
        assert [r.status for r in rollouts] == ["succeeded", "timed_out"]
        assert [r.score for r in rollouts] == [1.0, 0.0]


async def test_none_is_begun_that_would_not_end_in_the_seconds_of_the_budget(
    engine: SimpleNamespace,
) -> None:
    begun: list[int] = []

    async def agent(task: Any) -> float:
        begun.append(task["number"])
        await asyncio.sleep(0.3)
        return 1.0

    async with engine.running(agent, budget=Budget(seconds=1_000)) as test:
        await test.runner.run_all(HI, tasks(4))
        test.ledger._start -= test.ledger.seconds_left - 0.25
        with pytest.raises(BudgetExhaustedError, match="seconds"):
            await test.runner.run_all(BYE, tasks(3))
    assert begun == [0, 1, 2, 3]
    assert test.ledger.usage.rollouts == 4


class TestWorldsFailures:
    async def test_are_tried_again(self, engine: SimpleNamespace) -> None:
        tries: dict[int, int] = {}

        def agent(task: Any, rollout: Any) -> float:
            number = task["number"]
            tries[number] = tries.get(number, 0) + 1
            assert rollout.attempt == tries[number]
            if tries[number] <= number:
                raise ConnectionResetError
            return 1.0

        async with engine.running(agent) as test:
            rollouts = await test.runner.run_all(HI, tasks(3))
            assert test.ledger.usage.rollouts == 3
        assert [rollout.attempts for rollout in rollouts] == [1, 2, 3]
        assert [rollout.score for rollout in rollouts] == [1.0] * 3

    async def test_are_no_zero_and_not_kept_for_good(self, engine: SimpleNamespace) -> None:
        down, store = [True], MemoryStore()

        def agent(task: Any) -> float:
            if down[0] and task["number"]:
                raise ConnectionRefusedError
            return 1.0

        for expected in ([1.0, None], [1.0, 1.0]):
            async with engine.running(agent, store=store) as test:
                rollouts = await test.runner.run_all(HI, tasks(2))
            assert [rollout.score for rollout in rollouts] == expected
            down[0] = False
        assert len(list(store.rollouts("test"))) == 2

    async def test_of_one_rollout_hold_up_no_other(self, engine: SimpleNamespace) -> None:
        """While one waits to be tried again, its runner runs others."""
        waiting, others = asyncio.Event(), asyncio.Event()

        async def agent(task: Any, rollout: Any) -> float:
            if task["number"] == 1 and rollout.attempt == 1:
                waiting.set()
                raise ConnectionResetError
            if task["number"] == 2:
                await waiting.wait()
                others.set()
            return 1.0

        backoff = Backoff(attempts=2, initial=30.0, longest=30.0)
        async with engine.running(agent, n_runners=1, backoff=backoff) as test:
            job = asyncio.create_task(test.runner.run_all(HI, tasks(3)))
            await asyncio.wait_for(others.wait(), timeout=5)
            job.cancel()
            await asyncio.wait({job})


class TestCanary:
    @pytest.mark.parametrize("n_runners", [1, 8])
    async def test_wrong_credentials_cost_one_rollout(
        self, engine: SimpleNamespace, n_runners: int
    ) -> None:
        calls: list[Any] = []

        def agent(task: Any) -> None:
            calls.append(task)
            raise refused()

        async with engine.running(agent, n_runners=n_runners) as test:
            results = await asyncio.gather(
                test.runner.run_all(HI, tasks(29)),
                test.runner.run_all(HI, tasks(4, "train"), repeat="branch"),
                return_exceptions=True,
            )
            assert [str(result) for result in results] == [
                "the model service refused the agent's credentials: wrong key"
            ] * 2
            assert all(isinstance(result, ModelError) for result in results)
            assert len(calls) == 1
            assert test.ledger.usage.rollouts == 1
            with pytest.raises(ModelError):
                await test.runner.run_all(HI, tasks(2))
            assert len(calls) == 1

    async def test_goes_first_and_then_all_at_once(self, engine: SimpleNamespace) -> None:
        order: list[str] = []
        together = asyncio.Barrier(4)

        async def agent(task: Any) -> float:
            order.append(f"start {task['number']}")
            if task["number"]:
                await together.wait()
            order.append(f"end {task['number']}")
            return 1.0

        async with engine.running(agent, n_runners=4) as test:
            await asyncio.wait_for(test.runner.run_all(HI, tasks(5)), timeout=5)
        assert order[:2] == ["start 0", "end 0"]

    async def test_a_failure_of_its_own_proves_the_set_up(self, engine: SimpleNamespace) -> None:
        def agent(task: Any) -> float:
            return 1 / task["number"]

        async with engine.running(agent) as test:
            rollouts = await test.runner.run_all(HI, tasks(3))
        assert [rollout.score for rollout in rollouts] == [0.0, 1.0, 0.5]

    async def test_in_the_middle_it_ends_the_run_too(self, engine: SimpleNamespace) -> None:
        calls: list[Any] = []

        async def agent(task: Any) -> float:
            calls.append(task)
            if len(calls) > 10:
                raise refused()
            return 1.0

        async with engine.running(agent, n_runners=2) as test:
            with pytest.raises(ModelError, match="refused"):
                await test.runner.run_all(HI, tasks(100))
            # The two that ran, and those that waited for a runner already.
            assert len(calls) <= 10 + 4


class TestBadInput:
    """A configuration error of the seed ends the run; one that a rewrite provokes is a failure."""

    @staticmethod
    def agent(task: Any, prompt_template: PromptTemplate) -> float:
        prompt_template.format(**task)
        return float("nan") if task["number"] == 2 else 1.0

    async def test_of_the_seed(self, engine: SimpleNamespace) -> None:
        async with engine.running(self.agent) as test:
            test.runner.know_seed(HI, {})
            with pytest.raises(RewardError, match=r"task val\[2\]: the reward is nan"):
                await test.runner.run_all(HI, tasks(5))

    async def test_before_the_seed_is_known(self, engine: SimpleNamespace) -> None:
        async with engine.running(self.agent) as test:
            with pytest.raises(PlaceholderError, match=r"task val\[0\]: .*\{name\}"):
                await test.runner.run_all(BYE, tasks(5))
            assert test.ledger.usage.rollouts == 1

    async def test_of_a_candidate(self, engine: SimpleNamespace) -> None:
        async with engine.running(self.agent) as test:
            test.runner.know_seed(HI, {})
            rollouts = await test.runner.run_all(BYE, tasks(5))
        assert [rollout.status for rollout in rollouts] == ["failed"] * 5
        assert "PlaceholderError" in rollouts[0].error

    async def test_of_the_test_split_comes_too_late_to_stop_for(
        self, engine: SimpleNamespace
    ) -> None:
        async with engine.running(self.agent) as test:
            test.runner.know_seed(HI, {})
            rollouts = await test.runner.run_all(HI, tasks(4, "test"))
        assert [rollout.score for rollout in rollouts] == [1.0, 1.0, 0.0, 1.0]


class TestJournal:
    async def test_what_it_holds_is_read_not_run(self, engine: SimpleNamespace) -> None:
        store, calls = MemoryStore(), []

        def agent(task: Any) -> float:
            calls.append(task)
            return task["number"]

        async with engine.running(agent, store=store) as test:
            first = await test.runner.run_all(HI, tasks(5))
            assert await test.runner.run_all(HI, tasks(5)) == first
        watcher = engine.Watcher()
        async with engine.running(agent, store=store, callback=watcher) as test:
            assert await test.runner.run_all(HI, tasks(5)) == first
            assert test.ledger.usage.rollouts == 0
        assert len(calls) == 5
        assert [cached for _, cached in watcher.rollouts] == [True] * 5

    async def test_another_candidate_split_or_repeat_is_another_rollout(
        self, engine: SimpleNamespace
    ) -> None:
        watcher = engine.Watcher()
        async with engine.running(lambda task: 1.0, callback=watcher) as test:
            await test.runner.run_all(HI, tasks(2))
            await test.runner.run_all({"prompt_template": PromptTemplate("Ho.")}, tasks(2))
            await test.runner.run_all(HI, tasks(2, "train"))
            await test.runner.run_all(HI, tasks(2), repeat="1")
        assert len(watcher.run) == 8

    async def test_is_written_before_the_result_is_used(self, engine: SimpleNamespace) -> None:
        store = MemoryStore()
        seen: list[Any] = []

        class Reader(engine.Watcher):
            def on_rollout(self, rollout: Any, cached: bool) -> None:
                seen.append(store.rollout("test", RolloutKey(*rollout.id.split("/"))))

        async with engine.running(lambda task: 1.0, store=store, callback=Reader()) as test:
            await test.runner.run_all(HI, tasks(2))
        assert [record["score"] for record in seen] == [1.0, 1.0]

    async def test_a_failure_is_kept_like_a_success(self, engine: SimpleNamespace) -> None:
        store, calls = MemoryStore(), []

        def agent(task: Any) -> None:
            calls.append(task)
            raise ValueError

        for _ in range(2):
            async with engine.running(agent, store=store) as test:
                (rollout,) = await test.runner.run_all(HI, tasks(1))
                assert rollout.status == "failed"
        assert len(calls) == 1


class TestJoining:
    async def test_the_same_rollout_is_run_once_for_all_who_want_it(
        self, engine: SimpleNamespace
    ) -> None:
        calls: list[Any] = []

        async def agent(task: Any) -> float:
            calls.append(task)
            await asyncio.sleep(0.01)
            return task["number"]

        async with engine.running(agent) as test:
            both = await asyncio.gather(*(test.runner.run_all(HI, tasks(6)) for _ in range(3)))
            assert test.ledger.usage.rollouts == 6
        assert both[0] == both[1] == both[2]
        assert len(calls) == 6

    async def test_who_joined_runs_it_if_the_first_is_cancelled(
        self, engine: SimpleNamespace
    ) -> None:
        started = asyncio.Event()

        async def agent(task: Any) -> float:
            first = not started.is_set()
            started.set()
            if first:
                await asyncio.Event().wait()
            return 1.0

        async with engine.running(agent) as test:
            first = asyncio.create_task(test.runner.run_all(HI, tasks(1)))
            await started.wait()
            second = asyncio.create_task(test.runner.run_all(HI, tasks(1)))
            await asyncio.sleep(0)
            first.cancel()
            (rollout,) = await asyncio.wait_for(second, timeout=5)
            assert rollout.score == 1.0
            assert first.cancelled()

    async def test_who_joined_can_be_cancelled_alone(self, engine: SimpleNamespace) -> None:
        started, release = asyncio.Event(), asyncio.Event()

        async def agent(task: Any) -> float:
            started.set()
            await release.wait()
            return 1.0

        async with engine.running(agent) as test:
            first = asyncio.create_task(test.runner.run_all(HI, tasks(1)))
            await started.wait()
            second = asyncio.create_task(test.runner.run_all(HI, tasks(1)))
            await asyncio.sleep(0)
            second.cancel()
            await asyncio.wait({second})
            assert second.cancelled()
            release.set()
            assert (await first)[0].score == 1.0


class TestBudget:
    async def test_what_is_in_flight_is_finished_and_written(self, engine: SimpleNamespace) -> None:
        async def agent(task: Any) -> float:
            await asyncio.sleep(0.001)
            return 1.0

        store = MemoryStore()
        async with engine.running(agent, budget=Budget(rollouts=11), store=store) as test:
            with pytest.raises(BudgetExhaustedError):
                await test.runner.run_all(HI, tasks(40))
            assert test.ledger.usage.rollouts == 11
        assert len(list(store.rollouts("test"))) == 11

    async def test_a_cancelled_evaluation_leaves_nothing_running(
        self, engine: SimpleNamespace
    ) -> None:
        inside, full = [0], asyncio.Event()

        async def agent(task: Any) -> float:
            inside[0] += 1
            if inside[0] == 8:
                full.set()
            try:
                await asyncio.sleep(0.01 if task["number"] == 0 else 60)
            finally:
                inside[0] -= 1
            return 1.0

        async with engine.running(agent) as test:
            job = asyncio.create_task(test.runner.run_all(HI, tasks(20)))
            await full.wait()
            job.cancel()
            await asyncio.wait({job}, timeout=5)
            await asyncio.sleep(0)
            assert job.cancelled()
            assert inside[0] == 0


async def test_a_prompt_that_is_the_programs_own_is_not_bound(engine: SimpleNamespace) -> None:
    bound: list[dict[str, PromptTemplate]] = []
    own = {"a#system": PromptTemplate("own", engine="literal")}

    def agent(task: Any, resources: Any) -> float:
        bound.append(resources)
        return 1.0

    async with engine.running(agent) as test:
        await test.runner.run_all({}, tasks(1))
        test.runner.know_seed(own, own)
        await test.runner.run_all(own, tasks(1))
        other = {"a#system": own["a#system"].with_text("other")}
        await test.runner.run_all(other, tasks(1))
        assert test.runner.own_prompts == own
    assert bound == [{}, other]  # the seed's rollout is the discovery's, read from the journal


async def test_who_waits_for_a_runner_when_the_run_is_stopped_is_not_started(
    engine: SimpleNamespace,
) -> None:
    """Only what is in flight is finished; the others have been paid for in no way."""
    started, full, go = list[Any](), asyncio.Event(), asyncio.Event()

    async def agent(task: Any) -> float:
        started.append(task["number"])
        if len(started) == 3:
            full.set()
        if task["number"]:
            await go.wait()
        return 1.0

    async with engine.running(agent, n_runners=2) as test:
        job = asyncio.create_task(test.runner.run_all(HI, tasks(8)))
        await asyncio.wait_for(full.wait(), 5)
        test.ledger.stop("interrupted")
        go.set()
        with pytest.raises(BudgetExhaustedError, match="interrupted"):
            await asyncio.wait_for(job, 5)
        assert started == [0, 1, 2]
        assert test.ledger.usage.rollouts == 3
        assert len(list(test.store.rollouts("test"))) == 3
