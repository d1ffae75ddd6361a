"""The plan of a run: what is about to be run, told before it is."""

from __future__ import annotations

from dataclasses import dataclass

from agl_core.budgets import Budget
from agl_core.prompts import Resources

__all__ = ["Plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is about to run."""

    run: str
    """The run's name."""
    agent: str
    algorithm: str
    initial: Resources
    """The seed's prompts."""
    train: int
    """Number of training tasks."""
    val: int
    test: int
    n_runners: int
    budget: Budget
    store: str
    """Where the run is kept."""
