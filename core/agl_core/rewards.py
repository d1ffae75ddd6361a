"""Rewards: what a rollout was worth, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from agl_core.errors import RewardError

__all__ = ["Reward", "coerce_reward"]


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
