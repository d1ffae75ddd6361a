from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from agl_core.algorithms import algorithm
from agl_core.execution.agents import FunctionAgent
from agl_core.metrics import CandidateMetrics, mean_metrics
from agl_core.prompts.templates import PromptTemplate
from agl_core.rewards.reward import Reward
from agl_core.rollouts import Rollout
from agl_core.trainer import Trainer


def rollout(name: str, reward: Reward | None, split: str = "val") -> Rollout:
    return Rollout(name, 1, "k", "val[0]", split, "succeeded", 0.5, reward)


def test_are_means_over_the_rollouts_that_have_them() -> None:
    rollouts = [
        rollout("1", Reward(1, metrics={"a": 1, "b": 0.5})),
        rollout("2", Reward(0, metrics={"a": 0})),
        rollout("3", None),
    ]
    assert mean_metrics(rollouts) == {"a": 0.5, "b": 0.5}


def test_of_a_candidate_count_each_rollout_of_the_split_once() -> None:
    metrics = CandidateMetrics("val")
    one, two = rollout("1", Reward(1, metrics={"a": 1})), rollout("2", Reward(0, metrics={"a": 0}))
    metrics.see("x", [one, two])
    metrics.see("x", [one, rollout("3", Reward(1, metrics={"a": 1}), "train")])
    assert metrics.means("x") == {"a": 0.5}
    assert metrics.means("y") == {}


def agent(task: Any, prompt_template: PromptTemplate) -> Reward:
    good = "good" in prompt_template.format()
    metrics = {"right": 1.0 if good else task % 2, "short": 0.25 if good else 0.75}
    return Reward.of(metrics, weights={"right": 1})


@pytest.mark.parametrize("test", [None, list(range(20, 28))])
def test_each_is_reported_before_and_after(engine: SimpleNamespace, test: Any) -> None:
    @algorithm
    async def propose(session: Any) -> None:
        for resources in (session.initial, {"prompt_template": "Be good."}):
            await session.evaluate(resources, session.val)
            session.report(resources)

    trainer = Trainer(propose, initial_resources={"prompt_template": "Be."})
    result = trainer.fit(FunctionAgent(agent), range(8), range(8), test_dataset=test)

    seed, best = result.history[:2]
    assert seed.metrics == {"right": 0.5, "short": 0.75}
    assert best.metrics == {"right": 1.0, "short": 0.25}
    line = "seed -> best: right 0.500 -> 1.000, short 0.750 -> 0.250"
    shown = result.report()
    assert f"metrics, validation, {line}" in shown
    assert (f"metrics, test, {line}" in shown) == (test is not None)
    assert seed.test_metrics == ({} if test is None else {"right": 0.5, "short": 0.75})
