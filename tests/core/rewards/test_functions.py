from __future__ import annotations

import asyncio
import inspect
import math
from typing import Any

import pytest

from agl_core.errors import ConfigurationError, RewardError
from agl_core.rewards.functions import RewardFunction, weighted
from agl_core.rewards.reward import Reward


def exact(task: Any, output: Any) -> bool:
    return task == output


def short(task: Any, output: Any) -> Reward:
    return Reward(0.5, "too long", {"words": 12})


async def kind(task: Any, output: Any) -> Reward:
    await asyncio.sleep(0)
    return Reward(0.2, "rude")


def test_each_function_is_a_metric() -> None:
    reward = weighted({"exact": exact, "short": short}, {"exact": 3, "short": 1})("a", "a")
    assert reward == pytest.approx((3 + 0.5) / 4)
    assert dict(reward.metrics) == {"exact": 1.0, "short": 0.5, "short.words": 12.0}
    assert reward.feedback == "short: too long"


def test_a_function_may_make_the_score() -> None:
    both = weighted({"exact": exact, "short": short}, score=lambda m: min(m.values()))
    assert both("a", "a") == 0.5


async def test_async_functions_are_awaited_side_by_side() -> None:
    met = asyncio.Barrier(2)

    async def meeting(task: Any, output: Any) -> float:
        await asyncio.wait_for(met.wait(), 5)
        return 1.0

    function: Any = weighted({"a": meeting, "b": meeting, "kind": kind, "exact": exact})
    reward = await function("a", "b")
    assert reward == pytest.approx((1 + 1 + 0.2 + 0) / 4)
    assert reward.feedback == "kind: rude"
    assert inspect.iscoroutinefunction(function.__call__)


async def test_what_serves_both_is_awaited_by_async_agents() -> None:
    inner = weighted({"exact": exact, "short": short})
    assert isinstance(inner, RewardFunction)
    outer = weighted({"inner": inner})
    assert not inspect.iscoroutinefunction(outer.__call__)
    assert await outer.acall("a", "a") == outer("a", "a") == 0.75
    assert set(outer("a", "a").metrics) == {
        "inner",
        "inner.exact",
        "inner.short",
        "inner.short.words",
    }


def test_a_coroutine_in_a_sync_agent_is_refused_and_closed() -> None:
    with pytest.raises(ConfigurationError, match="'kind' is async and the agent is not"):
        weighted({"kind": lambda task, output: kind(task, output)})(1, 2)


@pytest.mark.parametrize(
    ("arguments", "error", "reason"),
    [
        (({},), ConfigurationError, "no reward function"),
        (({"a": 1},), ConfigurationError, "'a' is int, no function"),
        (({"a": exact}, {"b": 1}), RewardError, "'b', which is no metric"),
        (({"a": exact}, {"a": 0}), RewardError, "add up to zero"),
        (({"a": exact}, {"a": math.inf}), RewardError, "finite"),
    ],
)
def test_mistakes_are_found_before_anything_runs(
    arguments: Any, error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        weighted(*arguments)
