"""Workloads: what a run is going to take, as far as that can be told before it is run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

__all__ = ["Planned", "RunSize", "Workload", "whole_workload"]


@dataclass(frozen=True, slots=True)
class RunSize:
    """The size of a run, as its algorithm needs it to foresee its workload."""

    train: int
    """Training tasks."""
    val: int
    """Validation tasks."""
    prompts: int
    """Prompts of the seed."""
    repeats: int = 1
    """How often a task is run for its score."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Rollouts, and model calls of the optimizer: what is expected, and at most."""

    rollouts: int
    most_rollouts: int
    calls: int = 0
    most_calls: int = 0

    def __add__(self, other: Workload) -> Workload:
        """Add up."""
        return Workload(
            self.rollouts + other.rollouts,
            self.most_rollouts + other.most_rollouts,
            self.calls + other.calls,
            self.most_calls + other.most_calls,
        )


@runtime_checkable
class Planned(Protocol):
    """An algorithm that can foresee what it takes. Optional: those that cannot tell go without."""

    def workload(self, size: RunSize) -> Workload:
        """Return what a run of this size takes, the seed's validation included."""
        ...


def whole_workload(algorithm: Any, size: RunSize, test_rollouts: int) -> Workload | None:
    """Return what a whole run takes; None if the algorithm does not tell.

    Args:
        algorithm: The algorithm.
        size: The run's size.
        test_rollouts: What the test split takes.
    """
    if not isinstance(algorithm, Planned):
        return None
    return algorithm.workload(size) + Workload(test_rollouts, test_rollouts)
