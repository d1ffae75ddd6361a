"""The plan of a run: what is about to be run, told before it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agl_core.budgets import Budget
from agl_core.prompts import Resources
from agl_core.slot_policy import SlotChoice

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
    own: Resources
    """The program's own prompt of each slot, as far as it is known. What a candidate has in common
    with it is not bound: `RolloutKey.candidate` is the fingerprint of the rest."""
    train: int
    """Number of training tasks."""
    val: int
    test: int
    n_runners: int
    budget: Budget
    store: str
    """Where the run is kept."""
    simulated: bool
    """Whether the environment names the simulated model."""
    slots: Sequence[SlotChoice] = ()
    """Every prompt that was found, what becomes of it, and what its rewrites must keep to."""

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form that is kept in the store."""
        return {
            "agent": self.agent,
            "algorithm": self.algorithm,
            "initial": {name: prompt.to_json() for name, prompt in self.initial.items()},
            "own": {name: prompt.to_json() for name, prompt in self.own.items()},
            "train": self.train,
            "val": self.val,
            "test": self.test,
            "n_runners": self.n_runners,
            "budget": asdict(self.budget),
            "simulated": self.simulated,
            "slots": {choice.record.name: choice.to_json() for choice in self.slots},
        }
