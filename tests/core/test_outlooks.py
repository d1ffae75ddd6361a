from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from agl_core.callbacks import Callback
from agl_core.outlooks import SeedOutlook, plan_warnings
from agl_core.plans import Plan
from agl_core.spending.budgets import Budget
from agl_core.workloads import Workload


def plan(**fields: Any) -> Plan:
    defaults: dict[str, Any] = {
        "run": "r",
        "agent": "a",
        "algorithm": "APO",
        "initial": {},
        "own": {},
        "train": 29,
        "val": 29,
        "test": 0,
        "n_runners": 8,
        "budget": Budget(),
        "store": "s",
        "simulated": False,
    }
    known = {**defaults, **fields}
    return Plan(**{"judged": known["test"] or known["val"], **known})


class Told(Callback):
    def __init__(self) -> None:
        self.messages: list[str] = []
        self.warnings: list[str] = []

    def on_message(self, message: str) -> None:
        self.messages.append(message)

    def on_warning(self, message: str) -> None:
        self.warnings.append(message)


class TestPlan:
    def test_says_what_a_run_takes_and_what_it_can_show(self) -> None:
        full = plan(
            test=29,
            test_rollouts=87,
            workload=Workload(206, 1000, 10, 20),
            calls_per_rollout=2.0,
            budget=Budget(rollouts=500),
        )
        assert full.lines() == [
            "about 206 rollouts (at most 1,000), 87 of them on the test split; about 10 optimizer "
            "calls (at most 20); a rollout takes about 2 model calls; the budget ends it at 500 "
            "rollouts",
            "29 test tasks show a gain of about 0.26 or more (four times in five), if scores "
            "differ as 0/1 rewards around 0.5 do",
        ]

    def test_says_no_more_than_is_known(self) -> None:
        assert plan(val=5).lines() == []
        (line,) = plan(val=100).lines()
        assert line.startswith("100 validation tasks show a gain of about 0.14 or more")

    def test_is_kept_as_json(self) -> None:
        data = plan(workload=Workload(1, 2, 3, 4), repeats=3).to_json()
        assert data["workload"] == {
            "rollouts": 1,
            "most_rollouts": 2,
            "calls": 3,
            "most_calls": 4,
        }
        assert (data["repeats"], data["calls_per_rollout"]) == (3, None)


class TestPlanWarnings:
    def test_there_are_none_where_there_is_hope(self) -> None:
        assert list(plan_warnings(plan())) == []
        assert list(plan_warnings(plan(budget=Budget(rollouts=58)))) == []

    def test_where_nothing_is_judged_there_are_none(self) -> None:
        assert list(plan_warnings(plan(val=3, judged=0, budget=Budget(rollouts=1)))) == []
        assert plan(judged=0).lines() == []

    @pytest.mark.parametrize(("sizes", "split"), [({"test": 5}, "test"), ({"val": 5}, "valid")])
    def test_too_few_tasks_prove_nothing(self, sizes: dict[str, int], split: str) -> None:
        (warning,) = plan_warnings(plan(**sizes))
        assert warning.startswith(f"with 5 {split}")
        assert "no gain can be proved" in warning

    def test_a_budget_has_to_hold_a_candidate_beside_the_seed(self) -> None:
        cut = plan(budget=Budget(rollouts=144), test=29, test_rollouts=87)
        (warning,) = plan_warnings(cut)
        assert "takes 145, of which the test split 87" in warning


class TestSeedOutlook:
    def test_says_what_the_tasks_can_show_by_the_spread_that_is_seen(self) -> None:
        told = Told()
        outlook = SeedOutlook(40, "test", told)
        outlook.see([])  # not yet validated
        outlook.see([0.0, 1.0] * 15)
        outlook.see([0.0, 1.0] * 15)
        assert told.messages == [
            "by the spread of the seed's scores, 40 test tasks will show a gain of about 0.23 or "
            "more (four times in five)"
        ]
        assert told.warnings == []

    def test_warns_where_not_so_much_is_left_to_gain(self) -> None:
        told = Told()
        SeedOutlook(29, "validation", told).see([1.0] * 27 + [0.0] * 2)
        assert told.warnings == [
            "the seed scores 0.931, so at most 0.07 can be gained; 29 validation tasks will show a "
            "gain of about 0.13 or more (four times in five): the verdict will hardly be "
            "`improved`. About 110 tasks would show as much"
        ]

    def test_warns_of_rewards_that_are_not_scaled(self) -> None:
        told = Told()
        SeedOutlook(29, "test", told).see([3.0, 7.0])
        assert told.warnings[0].startswith("the seed earned a reward of 7: searches take 1.0")

    def test_says_nothing_where_nothing_is_known(self) -> None:
        told = Told()
        SeedOutlook(29, "test", told).see([0.5] * 29)
        SeedOutlook(5, "test", told).see([0.0, 1.0, 1.0])
        SeedOutlook(29, "test", told).see([None, 1.0])
        assert (told.messages, told.warnings) == ([], [])

    async def test_is_told_by_a_run_when_the_seed_is_validated(
        self, engine: SimpleNamespace
    ) -> None:
        told = Told()

        def agent(task: int, prompt_template: Any) -> float:
            return float(task % 2) if prompt_template.format() else 0.0

        outlook = SeedOutlook(30, "validation", told)
        async with engine.in_session(agent, val=range(30), seed_outlook=outlook) as session:
            await session.evaluate(session.initial, session.val[:20])
            assert told.messages == []
            await session.evaluate({"prompt_template": "Else."}, session.val)
            assert told.messages == []
            await session.evaluate(session.initial, session.val)
        assert "30 validation tasks will show a gain of about 0.26" in told.messages[0]
