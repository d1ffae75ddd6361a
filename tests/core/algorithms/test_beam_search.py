"""The published search, through `APO.published` and a session of its own."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import random
from types import SimpleNamespace
from typing import Any

import pytest

from agl_core.algorithms import APO
from agl_core.algorithms.beam_search import _batches
from agl_core.datasets import load_dataset
from agl_core.errors import ModelError
from agl_core.models.chat import RefusedError
from agl_core.prompts.templates import PromptTemplate
from agl_core.spending.budgets import Budget, BudgetExhaustedError
from agl_core.storage.sqlite import MemoryStore

PUBLISHED: dict[str, Any] = {
    "val_batch_size": 10,
    "gradient_batch_size": 4,
    "beam_width": 2,
    "branch_factor": 2,
    "beam_rounds": 2,
}
SPLITS = {"train": range(29), "val": range(100, 129), "initial": {"prompt_template": "You book."}}


def better_each_time(task: Any, prompt_template: PromptTemplate) -> float:
    """Score a prompt by how often it was rewritten, with some luck by task."""
    text = prompt_template.format()
    luck = random.Random(f"{task}{text}").random()
    return 0.2 + 0.3 * text.count("Say") + 0.01 * luck


def apo(**parameters: Any) -> APO:
    return APO.published("m", **{**PUBLISHED, **parameters})


def history(session: Any) -> list[Any]:
    return [
        (c.id, c.parent, c.round, c.score, c.edit, c.metadata, session.validation(c.resources))
        for c in (*session.candidates, *session.rejected)
    ]


class TestCounts:
    async def test_are_those_of_the_published_search(self, engine: SimpleNamespace) -> None:
        client, watcher = engine.ScriptedModel(), engine.Watcher()
        async with engine.in_session(
            better_each_time, client=client, callback=watcher, **SPLITS
        ) as session:
            await apo().run(session)
            # 29 for the seed; a round: 4 branches of 4, the beam and 4 children on 10 each, and 29
            # for the best: 16 + 50 + 29, then 16 + 60 + 29.
            assert session.usage.rollouts == len(watcher.run) == 229
            assert session.usage.model_calls == len(client.requests) == 16
            assert [c.round for c in session.candidates] == [0] + [1] * 4 + [2] * 4
            validated = [c for c in session.candidates if session.validation(c.resources)]
            assert [c.round for c in validated] == [0, 1, 2]
            assert len({c.id for c in session.candidates}) == 9

    async def test_without_the_seeds_validation_are_that_much_less(
        self, engine: SimpleNamespace
    ) -> None:
        client = engine.ScriptedModel()
        async with engine.in_session(better_each_time, client=client, **SPLITS) as session:
            await apo(run_initial_validation=False).run(session)
            assert session.usage.rollouts == 200

    async def test_of_a_seed_that_stays_the_best_are_less(self, engine: SimpleNamespace) -> None:
        def worse(task: Any, prompt_template: PromptTemplate) -> float:
            return 1.0 - 0.1 * prompt_template.format().count("Say")

        client = engine.ScriptedModel()
        async with engine.in_session(worse, client=client, **SPLITS) as session:
            await apo().run(session)
            assert session.usage.rollouts == 229 - 2 * 29

    async def test_small_datasets_are_taken_whole(self, engine: SimpleNamespace) -> None:
        client, watcher = engine.ScriptedModel(), engine.Watcher()
        small = {**SPLITS, "train": range(3), "val": range(100, 105)}
        async with engine.in_session(
            better_each_time, client=client, callback=watcher, **small
        ) as session:
            await apo().run(session)
            assert session.usage.rollouts == 5 + (4 * 3 + 5 * 5 + 5) + (4 * 3 + 6 * 5 + 5)


class TestConcurrency:
    async def test_branches_and_children_run_side_by_side(self, engine: SimpleNamespace) -> None:
        """All critiques but the first, which tries the service, and all rewrites are in flight."""

        class Together(engine.ScriptedModel):
            def __init__(self) -> None:
                super().__init__()
                self.barriers = {True: asyncio.Barrier(4), False: asyncio.Barrier(3)}

            async def complete(self, model: str, messages: Any, temperature: float) -> Any:
                rewrite = messages[-1]["content"].startswith("Rewrite")
                if self.requests:
                    await asyncio.wait_for(self.barriers[rewrite].wait(), timeout=5)
                return await super().complete(model, messages, temperature)

        client = Together()
        async with engine.in_session(better_each_time, client=client, **SPLITS) as session:
            await apo(beam_rounds=1).run(session)
            assert len(client.requests) == 8

    async def test_the_validation_of_a_round_runs_beside_the_next(
        self, engine: SimpleNamespace
    ) -> None:
        """The critiques of round 2 are answered only while round 1's best is being validated."""
        validating, watcher = asyncio.Event(), engine.Watcher()

        class Waiting(engine.ScriptedModel):
            async def complete(self, model: str, messages: Any, temperature: float) -> Any:
                if len(self.requests) >= 8:
                    await asyncio.wait_for(validating.wait(), timeout=5)
                return await super().complete(model, messages, temperature)

        async def agent(task: Any, prompt_template: PromptTemplate, rollout: Any) -> float:
            _, split, _, repeat = rollout.id.split("/")
            if "Say" in prompt_template.format() and (split, repeat) == ("val", "0"):
                validating.set()
            return better_each_time(task, prompt_template)

        client = Waiting()
        async with engine.in_session(agent, client=client, callback=watcher, **SPLITS) as session:
            await apo().run(session)
            assert session.usage.rollouts == 229


class TestRepeatability:
    async def test_whatever_the_latency_of_calls_and_rollouts(
        self, engine: SimpleNamespace
    ) -> None:
        def slow(salt: int, text: str) -> float:
            return int(hashlib.sha256(f"{salt}{text}".encode()).hexdigest()[:2], 16) / 50_000

        async def run(salt: int, n_runners: int) -> list[Any]:
            async def agent(task: Any, prompt_template: PromptTemplate) -> float:
                await asyncio.sleep(slow(salt, f"{task}{prompt_template.raw}"))
                # Coarse, so that there are ties.
                return round(better_each_time(task, prompt_template), 1)

            def answer(request: str) -> str:
                # Some rewrites are the same, and some are no good.
                text = engine.improve(request)
                if not request.startswith("Rewrite"):
                    return f"Say {text[4:6]}aaaaaa." if text[4] < "8" else text
                return "" if "Say f" in text else text

            client = engine.ScriptedModel(answer, lambda request: slow(salt, request))
            async with engine.in_session(
                agent, client=client, n_runners=n_runners, **SPLITS
            ) as session:
                await apo(branch_factor=3).run(session)
                return history(session)

        first = await run(1, n_runners=8)
        assert len(first) > 5
        for salt, n_runners in ((2, 8), (3, 3)):
            assert await run(salt, n_runners) == first

    async def test_another_seed_is_another_search(self, engine: SimpleNamespace) -> None:
        histories = []
        for seed in (0, 1):
            client = engine.ScriptedModel()
            async with engine.in_session(
                better_each_time, client=client, seed=seed, **SPLITS
            ) as session:
                await apo().run(session)
                histories.append(history(session))
        assert histories[0] != histories[1]


class TestRewrites:
    async def test_that_cannot_be_used_cost_no_rollout(self, engine: SimpleNamespace) -> None:
        bad = iter(["", "You book.", "```\n{invented}\n```", "x" * 30_000])

        def answer(request: str) -> str:
            return next(bad) if request.startswith("Rewrite") else "Be better."

        client = engine.ScriptedModel(answer)
        async with engine.in_session(better_each_time, client=client, **SPLITS) as session:
            await apo(beam_rounds=1).run(session)
            assert session.usage.rollouts == 29 + 4 * 4 + 10
            assert [c.id for c in session.candidates] == [session.candidates[0].id]
            reasons = sorted(c.rejected for c in session.rejected)
            assert [reason.split(": the rewrite ")[1][:10] for reason in reasons] == [
                "changes no",
                "has 30000 ",
                "invents {i",
                "is empty",
            ]

    async def test_that_are_the_same_are_one_candidate(self, engine: SimpleNamespace) -> None:
        watcher = engine.Watcher()
        client = engine.ScriptedModel(lambda request: "Say something else.")
        async with engine.in_session(
            better_each_time, client=client, callback=watcher, **SPLITS
        ) as session:
            await apo(beam_rounds=1).run(session)
            assert session.usage.rollouts == 29 + 4 * 4 + 2 * 10 + 29
            assert len(session.candidates) == 2
            child = session.candidates[1]
            assert child.metadata["branch"] == "round 1, parent 1, branch 1"
            assert sum("the same prompt as another one" in m for m in watcher.messages) == 3

    async def test_are_kept_with_their_critique_parent_and_score(
        self, engine: SimpleNamespace
    ) -> None:
        client = engine.ScriptedModel()
        async with engine.in_session(better_each_time, client=client, **SPLITS) as session:
            await apo(beam_rounds=1).run(session)
            seed, *children = session.candidates
            for child in children:
                assert child.parent == seed.id
                assert child.edit in child.resources["prompt_template"].raw
                assert 0.5 <= child.score < 0.52

    async def test_go_to_the_prompts_that_the_critique_names(self, engine: SimpleNamespace) -> None:
        def agent(task: Any, a: PromptTemplate, b: PromptTemplate) -> float:
            return better_each_time(task, a) + len(b.format())

        def answer(request: str) -> str:
            if request.startswith("Rewrite"):
                return engine.improve(request)
            return f"{engine.improve(request)}\n\nPrompts to change: b"

        client = engine.ScriptedModel(answer)
        splits = {**SPLITS, "initial": {"a": "One.", "b": "Two."}}
        async with engine.in_session(agent, client=client, **splits) as session:
            await apo(beam_rounds=1).run(session)
            for child in session.candidates[1:]:
                assert child.resources["a"].raw == "One."
                assert child.resources["b"].raw.startswith("Two. Say")


class TestFailures:
    async def test_of_one_call_cost_one_branch(self, engine: SimpleNamespace) -> None:
        watcher = engine.Watcher()
        calls = {True: itertools.count(), False: itertools.count()}

        def answer(request: str) -> str:
            if next(calls[request.startswith("Rewrite")]) == 1:  # a critique and a rewrite
                raise ModelError("the call to m failed")
            return engine.improve(request)

        client = engine.ScriptedModel(answer)
        async with engine.in_session(
            better_each_time, client=client, callback=watcher, **SPLITS
        ) as session:
            await apo(beam_rounds=1).run(session)
            assert len(session.candidates) == 1 + 2
            assert session.usage.model_calls == 7 - 2
            failed = [m for m in watcher.messages if m.endswith("the call to m failed")]
            assert len(failed) == 2
            assert all(m.startswith("round 1, parent ") for m in failed)

    async def test_of_credentials_end_the_run(self, engine: SimpleNamespace) -> None:
        def answer(request: str) -> str:
            raise RefusedError("wrong key")

        client = engine.ScriptedModel(answer)
        async with engine.in_session(better_each_time, client=client, **SPLITS) as session:
            with pytest.raises(RefusedError, match="wrong key"):
                await apo().run(session)
            assert len(client.requests) == 1

    async def test_of_credentials_are_not_hidden_by_a_budget_that_ends(
        self, engine: SimpleNamespace
    ) -> None:
        def answer(request: str) -> str:
            raise RefusedError("wrong key")

        client = engine.ScriptedModel(answer)
        async with engine.in_session(
            better_each_time, client=client, budget=Budget(rollouts=45), **SPLITS
        ) as session:
            with pytest.raises(RefusedError, match="wrong key"):
                await apo().run(session)

    async def test_of_the_world_are_left_out_for_all_in_a_round(
        self, engine: SimpleNamespace
    ) -> None:
        """A child is not better because the hard task could not be run with it."""

        def agent(task: Any, prompt_template: PromptTemplate, rollout: Any) -> float:
            text = prompt_template.format()
            if "round-1" in rollout.id and "Say" in text and task % 2:
                raise ConnectionResetError
            return float(task % 2 == 0) - 0.01 * text.count("Say")

        client = engine.ScriptedModel()
        async with engine.in_session(agent, client=client, **SPLITS) as session:
            await apo(beam_rounds=1).run(session)
            seed = session.candidates[0]
            assert seed.score == 1.0  # kept as the best, on the tasks that all could be run on
            assert [c.score for c in session.candidates[1:]] == pytest.approx([0.99] * 4)


class TestEnd:
    @pytest.mark.parametrize("rollouts", [1, 20, 40, 60, 100, 228])
    async def test_of_a_budget_keeps_what_there_is(
        self, engine: SimpleNamespace, rollouts: int
    ) -> None:
        client, store = engine.ScriptedModel(), MemoryStore()
        async with engine.in_session(
            better_each_time, client=client, budget=Budget(rollouts=rollouts), store=store, **SPLITS
        ) as session:
            with pytest.raises(BudgetExhaustedError):
                await apo().run(session)
            assert session.usage.rollouts == rollouts
            made = sum(request.startswith("Rewrite") for request in client.requests)
            assert len(session.candidates) == 1 + made
        assert len(list(store.rollouts("test"))) == rollouts

    async def test_of_a_cancelled_search_comes_at_once(self, engine: SimpleNamespace) -> None:
        inside, started = [0], asyncio.Event()

        async def agent(task: Any, prompt_template: PromptTemplate) -> float:
            prompt_template.format()
            if task == 100:
                return 1.0
            inside[0] += 1
            if inside[0] == 8:
                started.set()
            try:
                await asyncio.sleep(60)
            finally:
                inside[0] -= 1
            return 1.0

        client = engine.ScriptedModel()
        async with engine.in_session(agent, client=client, limit=None, **SPLITS) as session:
            await session.evaluate({}, [session.val[0]])
            job = asyncio.create_task(apo().run(session))
            await started.wait()
            job.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(job, timeout=5)
            for _ in range(10):
                await asyncio.sleep(0)
            assert inside[0] == 0


def test_batches_go_through_the_whole_set_before_they_repeat() -> None:
    val = load_dataset(range(29), "val")
    batches = _batches(val, 10, random.Random(0))
    first, second, third = (next(batches) for _ in range(3))
    assert len(first) == len(second) == len(third) == 10
    assert not {task.key for task in first} & {task.key for task in second}
    assert len(next(_batches(val, 50, random.Random(0)))) == 29
