"""Reward functions that sync and async agents can use alike, and several of them as one."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast, runtime_checkable

from agl_core.errors import ConfigurationError
from agl_core.rewards.reward import Reward, checked_weights, coerce_reward

__all__ = ["RewardFunction", "Weighted", "weighted"]


@runtime_checkable
class RewardFunction(Protocol):
    """Scores an output; called in one way by sync agents and in another by async ones."""

    def __call__(self, task: Any, output: Any) -> Reward:
        """Score an output, and block until that is done."""
        ...

    async def acall(self, task: Any, output: Any) -> Reward:
        """Do the same without blocking the event loop."""
        ...


class Weighted:
    """Several reward functions as one, each a metric. Made by `weighted`.

    Args:
        functions: A reward function for each metric, by name.
        weights: How much each counts.
        score: Makes the score of the metrics, in place of weights.

    Raises:
        ConfigurationError: If something is of the wrong kind.
        RewardError: If the weights are wrong; see `Reward.of`.
    """

    def __init__(
        self,
        functions: Mapping[str, Callable[..., Any]],
        weights: Mapping[str, float] | None = None,
        score: Callable[[Mapping[str, float]], float] | None = None,
    ) -> None:
        if not functions:
            raise ConfigurationError("weighted is given no reward function")
        for name, function in functions.items():
            if not callable(function):
                raise ConfigurationError(
                    f"the reward function of {name!r} is {type(function).__name__}, no function"
                )
        if weights is not None:
            if score is not None:
                raise ConfigurationError("give weights or a function that makes the score")
            checked_weights(weights, functions)
        self._functions = dict(functions)
        self._weights = weights
        self._score = score

    def __call__(self, task: Any, output: Any) -> Reward:
        """Score an output by each function, one after another."""
        rewards: list[Any] = []
        for name, function in self._functions.items():
            reward = function(task, output)
            if inspect.isawaitable(reward):
                if inspect.iscoroutine(reward):
                    reward.close()
                raise ConfigurationError(
                    f"the reward function of {name!r} is async and the agent is not: "
                    "make both sync or async"
                )
            rewards.append(reward)
        return self._combined(rewards)

    async def acall(self, task: Any, output: Any) -> Reward:
        """Score an output by all functions, those that are async side by side."""

        async def one(function: Callable[..., Any]) -> Any:
            if isinstance(function, RewardFunction):
                return await function.acall(task, output)
            reward = function(task, output)
            return await reward if inspect.isawaitable(reward) else reward

        return self._combined(await asyncio.gather(*map(one, self._functions.values())))

    def _combined(self, rewards: Sequence[Any]) -> Reward:
        metrics: dict[str, float] = {}
        said: list[str] = []
        parts = dict(zip(self._functions, map(coerce_reward, rewards), strict=True))
        for name, reward in parts.items():
            metrics[name] = float(reward)
            if reward.feedback:
                said.append(f"{name}: {reward.feedback}")
        combined = Reward.of(metrics, weights=self._weights, score=self._score)
        for name, reward in parts.items():
            metrics |= {f"{name}.{inner}": value for inner, value in reward.metrics.items()}
        return Reward(combined, "\n".join(said), metrics)


class _AsyncWeighted(Weighted):
    """Several reward functions of which one is async: for async agents alone."""

    async def __call__(self, task: Any, output: Any) -> Reward:  # pyright: ignore[reportIncompatibleMethodOverride]
        return await self.acall(task, output)


def weighted(
    functions: Mapping[str, Callable[..., Any]],
    weights: Mapping[str, float] | None = None,
    *,
    score: Callable[[Mapping[str, float]], float] | None = None,
) -> Weighted:
    """Make one reward function of several, such as an exact match and a judge.

    Each is called as ``function(task, output)``, and what it gives is the metric of its name; its
    feedback is passed on under that name. The score is the weighted mean.

    Args:
        functions: A reward function for each metric, by name; sync, or async for async agents.
        weights: How much each counts. One that is not named is recorded and does not count. By
            default all count the same.
        score: Makes the score of the metrics, in place of weights.

    Raises:
        ConfigurationError: If something is of the wrong kind.
        RewardError: If the weights name an unknown metric, are negative, or add up to zero.
    """
    is_async = any(
        inspect.iscoroutinefunction(function)
        or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
        for function in (functions.values() if isinstance(functions, Mapping) else ())  # pyright: ignore[reportUnnecessaryIsInstance]
    )
    kind = _AsyncWeighted if is_async else Weighted
    return kind(cast("Any", functions), weights, score)
