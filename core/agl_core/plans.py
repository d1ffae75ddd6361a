"""The plan of a run: what is about to be run, told before it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from agl_core.prompts.slot_policy import SlotChoice
from agl_core.prompts.slots import SlotRecord
from agl_core.prompts.templates import Resources
from agl_core.spending.budgets import Budget, Usage
from agl_core.statistics.power import ASSUMED_SPREAD, smallest_gain
from agl_core.workloads import Workload

__all__ = ["Plan", "slots_found"]


def slots_found(plan: Mapping[str, Any] | None) -> Mapping[str, SlotRecord] | None:
    """Return the slots that a plan in the store has written down; None if it has not."""
    found = None if plan is None else plan.get("found")
    if found is None:
        return None
    return {name: SlotRecord.from_json(name, record) for name, record in found.items()}


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
    repeats: int = 1
    """How often a validation or test task is run for its score."""
    judged: int = 0
    """From how many tasks the verdict will be taken; 0 if there will be nothing to judge."""
    test_rollouts: int = 0
    """What is kept back for the test split: the best two candidates and the seed are run on it."""
    workload: Workload | None = None
    """What the whole run takes, test split included; None if the algorithm does not tell."""
    started: float = 0.0
    """When, in seconds since the epoch."""
    earlier: Usage = field(default_factory=Usage)
    """What the run had spent before it was resumed. It counts against the budget."""
    calls_per_rollout: float | None = None
    """Model calls of the agent per rollout, in the rollouts that found its prompts; None if there
    were none."""

    found: Mapping[str, SlotRecord] | None = None
    """The program's slots, if they had to be written down; see `Seed.found`."""

    def lines(self) -> list[str]:
        """Say what the run takes and what it can show, in lines of plain text."""
        size = smallest_gain(self.judged, ASSUMED_SPREAD)
        lines: list[str] = []
        if self.workload is not None:
            lines.append(self._work(self.workload))
        if self.earlier.rollouts:
            cost = f", {self.earlier.cost}" if self.earlier.cost else ""
            lines.append(
                f"resumed: {self.earlier.rollouts:,} rollouts and {self.earlier.tokens:,} tokens"
                f"{cost} are spent already, and count"
            )
        if not math.isinf(size):
            lines.append(
                f"{self.judged} {'test' if self.test else 'validation'} tasks show a gain of about "
                f"{size:.2f} or more (four times in five), if scores differ as 0/1 rewards around "
                "0.5 do"
            )
        return lines

    def _work(self, work: Workload) -> str:
        text = f"about {work.rollouts:,} rollouts (at most {work.most_rollouts:,})"
        if self.test_rollouts:
            text += f", {self.test_rollouts:,} of them on the test split"
        if work.most_calls:
            text += f"; about {work.calls:,} optimizer calls (at most {work.most_calls:,})"
        if self.calls_per_rollout is not None:
            text += f"; a rollout takes about {self.calls_per_rollout:.3g} model calls"
        cap = self.budget.rollouts
        if cap is not None and cap < work.most_rollouts:
            text += f"; the budget ends it at {cap:,} rollouts"
        return text

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
            "repeats": self.repeats,
            "judged": self.judged,
            "test_rollouts": self.test_rollouts,
            "workload": None if self.workload is None else asdict(self.workload),
            "calls_per_rollout": self.calls_per_rollout,
            "started": self.started,
            "earlier_seconds": self.earlier.seconds,
            "found": None
            if self.found is None
            else {name: record.to_json() for name, record in self.found.items()},
        }
