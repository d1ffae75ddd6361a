from __future__ import annotations

import random
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from agl_core.candidates import Candidate
from agl_core.datasets import load_dataset
from agl_core.prompts.templates import PromptTemplate
from agl_core.result import TrainResult
from agl_core.selection import conclude
from agl_core.spending.budgets import Budget

pytestmark = pytest.mark.usefixtures("few_resamples")

TEST = load_dataset(range(1000, 1012), "test")
SEED = "seed"
OPTIONS: dict[str, Any] = {"initial": {"prompt_template": SEED}}
ENDING: dict[str, Any] = {
    "test": None,
    "stop_reason": "completed",
    "run": "r",
    "store": "s",
    "rng": random.Random(0),
}


def scoring(
    val: Mapping[str, float], test: Mapping[str, float] | None = None, unavailable: Any = ()
) -> Any:
    """Return an agent that scores a prompt by a table: so much of ten tasks are right."""

    def agent(task: Any, prompt_template: PromptTemplate) -> float:
        name = prompt_template.template
        if (task, name) in unavailable:
            raise ConnectionResetError
        table = val if task < 1000 or test is None else test
        return float(task % 10 < 10 * table[name])

    return agent


@pytest.fixture
def concluded(engine: SimpleNamespace) -> Any:
    """Evaluate and report prompts in a session, then conclude it."""

    async def run(
        agent: Any,
        names: list[str],
        *,
        test: Any = None,
        partial: Mapping[str, float] | None = None,
        seed_validated: bool = True,
        stop_reason: Any = "completed",
        used_up: Any = None,
        **options: Any,
    ) -> TrainResult:
        options = {"val": range(100, 130), **OPTIONS, **options}
        async with engine.in_session(agent, **options) as session:
            if test is not None:
                session.test.ledger.set_aside(3 * len(test))
            session.report(Candidate(session.initial))
            for name in [SEED, *names] if seed_validated else names:
                resources = {"prompt_template": name}
                await session.evaluate(resources, session.val)
                session.report(resources)
            for name, score in (partial or {}).items():
                session.report({"prompt_template": name}, score=score)
            if used_up is not None:
                session.test.ledger.stop(used_up)
            return await conclude(
                session,
                test=test,
                stop_reason=stop_reason,
                run="r",
                store="s",
                rng=random.Random(0),
            )

    return run


def text(result: TrainResult) -> str:
    return result.best["prompt_template"].raw


class TestChoice:
    async def test_falls_on_the_highest_validation_score(self, concluded: Any) -> None:
        agent = scoring({SEED: 0.3, "a": 0.6, "b": 0.9, "c": 0.8})
        result = await concluded(agent, ["a", "b", "c"])
        assert text(result) == "b"
        assert (result.seed_score, result.best_score) == (0.3, 0.9)
        assert [record.score for record in result.history] == [0.3, 0.6, 0.9, 0.8]

    async def test_of_equals_on_the_first(self, concluded: Any) -> None:
        agent = scoring({SEED: 0.3, "a": 0.9, "b": 0.9})
        assert text(await concluded(agent, ["a", "b"])) == "a"
        assert text(await concluded(agent, ["b", "a"])) == "b"

    async def test_of_equals_on_the_first_validated_not_the_first_reported(
        self, engine: SimpleNamespace
    ) -> None:
        agent = scoring({SEED: 0.3, "a": 0.9, "b": 0.9})
        async with engine.in_session(agent, val=range(100, 130), **OPTIONS) as session:
            for name in ("b", "a"):
                session.report({"prompt_template": name})
            for name in (SEED, "a", "b"):
                await session.evaluate({"prompt_template": name}, session.val)
                session.report({"prompt_template": name})
            result = await conclude(session, **ENDING)
        assert text(result) == "a"

    async def test_on_the_seed_if_nothing_is_better(self, concluded: Any) -> None:
        agent = scoring({SEED: 0.6, "a": 0.6, "b": 0.2})
        result = await concluded(agent, ["a", "b"], test=TEST)
        assert (text(result), result.verdict) == (SEED, "no_gain")
        assert result.comparison is result.test is None
        assert result.usage.rollouts == 90  # the test split was not touched
        assert not result.improved

    async def test_validated_ones_come_before_any_other(self, concluded: Any) -> None:
        agent = scoring({SEED: 0.3, "a": 0.4})
        assert text(await concluded(agent, ["a"], partial={"b": 1.0})) == "a"

    async def test_without_any_the_algorithms_own_score_counts(self, concluded: Any) -> None:
        agent = scoring({SEED: 0.3})
        result = await concluded(agent, [], partial={"a": 0.4, "b": 0.7}, seed_validated=False)
        assert text(result) == "b"
        assert (result.verdict, result.comparison) == ("inconclusive", None)


class TestVerdict:
    async def test_is_from_the_test_split_if_there_is_one(self, concluded: Any) -> None:
        val, test = {SEED: 0.3, "a": 0.9}, {SEED: 0.2, "a": 1.0}
        result = await concluded(scoring(val, test), ["a"], test=TEST)
        assert result.verdict == "improved"
        assert result.comparison is result.test
        assert result.test is not None
        assert (result.test.split, result.test.tasks) == ("test", 12)
        assert result.test.best_score == 1.0
        assert result.usage.rollouts == 60 + 24

    async def test_is_on_the_better_of_the_best_two_there(self, concluded: Any) -> None:
        val = {SEED: 0.3, "a": 0.5, "b": 0.9, "c": 0.8}
        test = {SEED: 0.2, "a": 1.0, "b": 0.5, "c": 0.9}
        result = await concluded(scoring(val, test), ["a", "b", "c"], test=TEST)
        assert text(result) == "c"
        assert result.best_score == 0.8
        assert (result.test.best_score, result.test.candidates) == (11 / 12, 2)
        shown = {r.candidate.resources["prompt_template"].raw: r.test for r in result.history}
        assert shown == {SEED: 4 / 12, "a": None, "b": 7 / 12, "c": 11 / 12}
        assert result.usage.rollouts == 4 * 30 + 3 * 12

    async def test_of_two_equals_there_is_on_the_better_one_on_validation(
        self, concluded: Any
    ) -> None:
        val, test = {SEED: 0.3, "a": 0.8, "b": 0.9}, {SEED: 0.2, "a": 0.9, "b": 0.9}
        assert text(await concluded(scoring(val, test), ["a", "b"], test=TEST)) == "b"

    async def test_a_second_that_is_no_better_than_the_seed_is_not_run(
        self, concluded: Any
    ) -> None:
        val, test = {SEED: 0.3, "a": 0.9, "b": 0.3}, {SEED: 0.2, "a": 0.9, "b": 1.0}
        result = await concluded(scoring(val, test), ["a", "b"], test=TEST)
        assert text(result) == "a"
        assert result.test.candidates == 1
        assert result.usage.rollouts == 3 * 30 + 2 * 12

    async def test_of_no_gain_there_gives_the_seed_back(self, concluded: Any) -> None:
        val, test = {SEED: 0.3, "a": 0.9}, {SEED: 0.9, "a": 0.5}
        result = await concluded(scoring(val, test), ["a"], test=TEST)
        assert (result.verdict, text(result)) == ("no_gain", SEED)
        assert result.best_score == result.seed_score == 0.3
        assert result.test is not None
        assert result.test.gain < 0

    async def test_without_one_is_from_validation(self, concluded: Any) -> None:
        result = await concluded(scoring({SEED: 0.1, "a": 0.9}), ["a"])
        assert result.verdict == "improved"
        assert result.test is None
        assert result.comparison is not None
        assert (result.comparison.split, result.comparison.tasks) == ("val", 30)

    async def test_there_accounts_for_the_choice_among_many(self, concluded: Any) -> None:
        """What would do for one candidate does not for the luckiest of many."""

        def agent(task: Any, prompt_template: PromptTemplate) -> float:
            name = prompt_template.template
            if name == "lucky":  # the seed, and right on some more tasks
                return float(by_chance(task, SEED) or task % 30 in range(12))
            return by_chance(task, name)

        def by_chance(task: int, name: str) -> float:
            return float(random.Random(f"{task}{name}").random() < 0.35)

        alone = await concluded(agent, ["lucky"])
        among = await concluded(agent, ["lucky", *(f"other {i}" for i in range(20))])
        assert text(alone) == text(among) == "lucky"
        assert alone.comparison.gain == among.comparison.gain
        assert (alone.verdict, among.verdict) == ("improved", "inconclusive")

    async def test_there_counts_those_that_were_dropped_half_way(
        self, engine: SimpleNamespace
    ) -> None:
        """A race gives up most candidates early; they were chosen among all the same."""

        def agent(task: Any, prompt_template: PromptTemplate) -> float:
            name = prompt_template.template
            if name == "lucky":
                return float(by_chance(task, SEED) or task % 30 in range(12))
            return by_chance(task, name)

        def by_chance(task: int, name: str) -> float:
            return float(random.Random(f"{task}{name}").random() < 0.35)

        verdicts: list[Any] = []
        for others in (0, 20):
            async with engine.in_session(agent, val=range(100, 130), **OPTIONS) as session:
                await session.evaluate({"prompt_template": SEED}, session.val)
                await session.evaluate({"prompt_template": "lucky"}, session.val)
                session.report({"prompt_template": "lucky"})
                for n in range(others):
                    await session.evaluate({"prompt_template": f"other {n}"}, session.val[:12])
                    session.report({"prompt_template": f"other {n}"})
                verdicts.append((await conclude(session, **ENDING)).verdict)
        assert verdicts == ["improved", "inconclusive"]

    async def test_what_the_world_failed_is_left_out_in_pairs(self, concluded: Any) -> None:
        gone = {(1000, SEED), (1003, "a"), (1007, "a")}
        agent = scoring({SEED: 0.1, "a": 0.9}, {SEED: 0.0, "a": 1.0}, gone)
        result = await concluded(agent, ["a"], test=TEST)
        assert result.test is not None
        assert (result.test.tasks, result.test.gain) == (9, 1.0)

    async def test_of_a_test_split_without_any_score_falls_back(self, concluded: Any) -> None:
        gone = {(task.data, name) for task in TEST for name in (SEED, "a")}
        agent = scoring({SEED: 0.1, "a": 0.9}, {}, gone)
        result = await concluded(agent, ["a"], test=TEST)
        assert result.test is None
        assert result.comparison is not None
        assert result.comparison.split == "val"


class TestEndings:
    async def test_an_interrupted_run_is_judged_by_what_it_has(self, concluded: Any) -> None:
        agent = scoring({SEED: 0.1, "a": 0.9})
        result = await concluded(agent, ["a"], test=TEST, stop_reason="interrupted")
        assert (result.stop_reason, result.test) == ("interrupted", None)
        assert result.comparison is not None
        assert result.comparison.split == "val"
        assert result.usage.rollouts == 60

    async def test_a_budget_keeps_room_for_the_test_split(self, concluded: Any) -> None:
        agent = scoring({SEED: 0.1, "a": 0.9}, {SEED: 0.0, "a": 1.0})
        result = await concluded(
            agent, ["a"], test=TEST, stop_reason="rollouts", budget=Budget(rollouts=96)
        )
        assert (result.stop_reason, result.verdict) == ("rollouts", "improved")
        assert result.test is not None
        assert result.usage.rollouts == 84

    async def test_a_test_split_that_could_not_be_finished_is_said(
        self, concluded: Any, engine: SimpleNamespace
    ) -> None:
        watcher = engine.Watcher()
        agent = scoring({SEED: 0.1, "a": 0.9}, {SEED: 0.0, "a": 1.0})
        result = await concluded(agent, ["a"], test=TEST, used_up="seconds", callback=watcher)
        assert (result.stop_reason, result.test) == ("seconds", None)
        assert result.comparison is not None
        assert result.comparison.split == "val"
        assert watcher.messages == [
            "the test split was not finished: the budget's seconds are used up"
        ]
