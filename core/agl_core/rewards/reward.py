"""Rewards: what a rollout was worth, and why."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from agl_core.errors import RewardError

__all__ = ["Reward", "checked_weights", "coerce_reward"]


class Reward(float):
    """A score with the reason for it. It is a number and can be used as one.

    Args:
        score: The reward, a finite number; by convention 0.0 (worst) to 1.0 (best).
        feedback: Why the score is what it is, in words. The critique is shown it.
        metrics: Further named numbers, recorded beside the score.

    Raises:
        RewardError: If the score or a metric is not a finite number.
    """

    __slots__ = ("feedback", "metrics")

    feedback: str
    metrics: Mapping[str, float]

    def __new__(
        cls, score: float, feedback: str = "", metrics: Mapping[str, float] | None = None
    ) -> Reward:
        """Create a reward; see the class."""
        reward = super().__new__(cls, _finite(score, "reward"))
        reward.feedback = str(feedback)
        reward.metrics = MappingProxyType(
            {
                str(name): _finite(value, f"metric {name!r}")
                for name, value in (metrics or {}).items()
            }
        )
        return reward

    @classmethod
    def of(
        cls,
        metrics: Mapping[str, float],
        *,
        weights: Mapping[str, float] | None = None,
        score: Callable[[Mapping[str, float]], float] | None = None,
        feedback: str = "",
    ) -> Reward:
        """Make a reward of several metrics.

        Args:
            metrics: Named numbers, by convention 0.0 (worst) to 1.0 (best).
            weights: How much each counts; the score is the weighted mean. A metric that it does
                not name is recorded and does not count. By default all count the same.
            score: Makes the score of the metrics, in place of weights.
            feedback: Why the metrics are what they are.

        Raises:
            RewardError: If there is no metric, one is not a finite number, the weights name one
                that is not there, are negative or add up to zero, or both weights and a function
                are given.
        """
        reward = cls(0.0, feedback, metrics)
        named = reward.metrics
        if not named:
            raise RewardError("there are no metrics to make a reward of")
        if score is not None:
            if weights is not None:
                raise RewardError("give weights or a function that makes the score, not both")
            return cls(_finite(score(named), "score"), feedback, named)
        shares = dict.fromkeys(named, 1.0) if weights is None else checked_weights(weights, named)
        total = sum(shares.values())
        return cls(sum(named[n] * share for n, share in shares.items()) / total, feedback, named)

    @property
    def score(self) -> float:
        """The plain number."""
        return float(self)

    def __repr__(self) -> str:
        parts = [f"{float(self)!r}"]
        if self.feedback:
            parts.append(f"feedback={self.feedback!r}")
        if self.metrics:
            parts.append(f"metrics={dict(self.metrics)!r}")
        return f"Reward({', '.join(parts)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (Reward, (float(self), self.feedback, dict(self.metrics)))


def checked_weights(weights: Mapping[str, float], names: Iterable[str]) -> dict[str, float]:
    """Return the weights of metrics by name.

    Raises:
        RewardError: If a weight is of an unknown metric, no finite number or negative, or all are
            zero.
    """
    known = list(names)
    checked: dict[str, float] = {}
    for name, weight in weights.items():
        if name not in known:
            raise RewardError(
                f"the weights name {_shown(name)}, which is no metric; "
                f"there are: {', '.join(map(_shown, known))}"
            )
        checked[name] = _finite(weight, f"weight of {name!r}")
        if checked[name] < 0:
            raise RewardError(
                f"the weight of {name!r} is {weight}: turn the metric around, so that more is good"
            )
    if not sum(checked.values()):
        raise RewardError("the weights add up to zero, so nothing would count")
    return checked


def coerce_reward(value: object) -> Reward:
    """Turn what an agent or a reward function returned into a `Reward`.

    Args:
        value: A `Reward`, or anything that is a number (bool, int, float, NumPy scalar).

    Raises:
        RewardError: If the value is missing, not a number, or not finite.
    """
    if isinstance(value, Reward):
        return value
    return Reward(_finite(value, "reward"))


def _finite(value: object, what: str) -> float:
    if value is None:
        raise RewardError(
            f"there is no {what}: return a number or agl.Reward(score, feedback=...), "
            "or call agl.emit_reward(score)"
        )
    if isinstance(value, str | bytes | bytearray):
        raise RewardError(f"the {what} is text, {_shown(value)}, and must be a finite number")
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise RewardError(
            f"the {what} is {_shown(value)} of type {type(value).__name__} "
            "and must be a finite number"
        ) from None
    if not math.isfinite(number):
        raise RewardError(f"the {what} is {number}, and must be a finite number")
    return number


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
