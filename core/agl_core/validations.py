"""The scores of a run's candidates on the validation set, task by task."""

from __future__ import annotations

from collections.abc import Sequence

from agl_core.datasets import Dataset, Task
from agl_core.rollouts import mean_score

__all__ = ["Scores", "Validations"]

Scores = tuple[float | None, ...]
"""A score per task of a dataset, in its order; None where there is none."""


class Validations:
    """What candidates scored on the validation tasks that they were run on.

    Args:
        val: The validation set.
    """

    def __init__(self, val: Dataset) -> None:
        self._val = val
        self._first: dict[str, dict[int, float | None]] = {}
        self._confirmations: dict[str, list[Scores]] = {}
        self._asked: dict[str, int] = {}

    def ask(self, identity: str, tasks: Sequence[Task]) -> None:
        """Note that a candidate is about to be run, maybe on all of the set."""
        if len({task.index for task in tasks if task.split == self._val.split}) == len(self._val):
            self._asked.setdefault(identity, len(self._asked))

    def rank(self, identity: str) -> int:
        """Return how many candidates were sent to all of the set before this one."""
        return self._asked.get(identity, len(self._asked))

    def add(self, identity: str, tasks: Sequence[Task], scores: Sequence[float | None]) -> None:
        """Take in a candidate's scores; those on tasks of other datasets are passed over."""
        first = self._first.setdefault(identity, {})
        for task, score in zip(tasks, scores, strict=True):
            if task.split == self._val.split:
                first[task.index] = score

    def confirm(self, identity: str, scores: Scores) -> None:
        """Take in one more run of a candidate on all of the set."""
        self._confirmations.setdefault(identity, []).append(scores)

    def runs(self, identity: str) -> int:
        """Return how often a candidate was run on all of the set."""
        confirmations = len(self._confirmations.get(identity, ()))
        return confirmations + (self._complete(identity) is not None)

    def scores(self, identity: str) -> Scores | None:
        """Return a candidate's scores, if it was run on all of the set: means over its runs."""
        first = self._complete(identity)
        runs = [*([] if first is None else [first]), *self._confirmations.get(identity, ())]
        if not runs:
            return None
        return tuple(mean_score(scores) for scores in zip(*runs, strict=True))

    def so_far(self, identity: str) -> Scores:
        """Return a candidate's scores as far as it was run."""
        known = self.scores(identity)
        if known is not None:
            return known
        first = self._first.get(identity, {})
        return tuple(first.get(index) for index in range(len(self._val)))

    def _complete(self, identity: str) -> Scores | None:
        first = self._first.get(identity, {})
        if len(first) < len(self._val):
            return None
        return tuple(first[index] for index in range(len(self._val)))
