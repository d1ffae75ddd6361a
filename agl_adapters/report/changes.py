"""What became of each task: the seed's score, and that of the candidate compared with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agl_adapters.report.data import snippet
from agl_adapters.report.facts import RolloutFacts, RunFacts, TaskFacts, mean_score

__all__ = ["TaskChange", "TaskChanges", "task_changes"]

_PERFECT = 1.0
"""By convention the best reward."""


@dataclass(frozen=True, slots=True)
class TaskChange:
    """A task before and after."""

    task: TaskFacts
    text: str
    """The start of the task."""
    before: float
    after: float
    before_key: str
    """The key of a rollout of the seed."""
    after_key: str
    note: str
    """Why it scores as it does after the change, if that is known."""

    @property
    def gain(self) -> float:
        """How much better it got."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class TaskChanges:
    """The tasks of one split by what became of them, the worst first."""

    split: str
    worse: Sequence[TaskChange]
    short: Sequence[TaskChange]
    """Neither better nor worse, and less than the best reward."""
    better: Sequence[TaskChange]
    fine: int
    """How many had the best reward, and kept it."""


def task_changes(facts: RunFacts) -> TaskChanges | None:
    """Return what became of each task of the most telling split on which both were run."""
    seed, finalist = facts.seed, facts.finalist
    if seed is None or finalist is None:
        return None
    for split in facts.splits:
        changes = [
            change
            for task in facts.tasks
            if task.split == split
            and (
                change := _change(
                    task,
                    facts.cells.get((seed.number, task.number), ()),
                    facts.cells.get((finalist.number, task.number), ()),
                )
            )
        ]
        if changes:
            return _sorted(split, changes)
    return None


def _change(
    task: TaskFacts, before: Sequence[RolloutFacts], after: Sequence[RolloutFacts]
) -> TaskChange | None:
    old, new = mean_score(before), mean_score(after)
    if old is None or new is None:
        return None
    return TaskChange(
        task=task,
        text=snippet(task.data),
        before=old,
        after=new,
        before_key=str(_worst(before).key),
        after_key=str(_worst(after).key),
        note=snippet(_worst(after).note),
    )


def _worst(rollouts: Sequence[RolloutFacts]) -> RolloutFacts:
    return min(rollouts, key=lambda r: float("inf") if r.score is None else r.score)


def _sorted(split: str, changes: Sequence[TaskChange]) -> TaskChanges:
    same = [change for change in changes if change.gain == 0]
    return TaskChanges(
        split=split,
        worse=sorted((c for c in changes if c.gain < 0), key=lambda c: c.gain),
        short=sorted((c for c in same if c.after < _PERFECT), key=lambda c: c.after),
        better=sorted((c for c in changes if c.gain > 0), key=lambda c: -c.gain),
        fine=sum(change.after >= _PERFECT for change in same),
    )
