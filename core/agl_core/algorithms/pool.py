"""The pool of a search: its validated candidates, and which of them is best."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean, stdev
from typing import Literal

from agl_core.candidates import Candidate
from agl_core.datasets import Task
from agl_core.session import Session

__all__ = ["ParentChoice", "Pool", "paired_differences", "standard_error"]

ParentChoice = Literal["newest", "best", "pareto"]
"""``newest``: of those that are level with the best one. ``best``: the highest validation score,
the newest of equals. ``pareto``: drawn from those that are best on some task, each as often as
there are tasks on which it is."""


class Pool:
    """The candidates that were run on all validation tasks.

    Args:
        session: The run.
        order: The validation tasks in the order in which candidates are raced.
        rng: Source of randomness.
    """

    def __init__(self, session: Session, order: Sequence[Task], rng: random.Random) -> None:
        self.order = order
        self._session = session
        self._rng = rng
        self._candidates: list[Candidate] = []

    def keep(self, candidate: Candidate) -> None:
        """Take in a validated candidate, and report it."""
        score = self._session.validation_score(candidate.resources)
        self._candidates.append(self._session.report(replace(candidate, score=score)))

    def best(self) -> Candidate:
        """Return the candidate of the highest validation score, the newest of equals."""
        return max(reversed(self._candidates), key=self.score)

    def parent(self, choice: ParentChoice) -> Candidate:
        """Return the candidate to improve next."""
        if choice == "best":
            return self.best()
        if choice == "newest":
            return next(filter(self.is_level, reversed(self._candidates)))
        scores = [self.scores(candidate) for candidate in self._candidates]
        wins = [0] * len(self._candidates)
        for column in zip(*scores, strict=True):
            top = max((score for score in column if score is not None), default=None)
            for index, score in enumerate(column):
                wins[index] += score is not None and score == top
        return self._rng.choices(self._candidates, weights=wins)[0]

    def is_level(self, candidate: Candidate) -> bool:
        """Tell whether a validated candidate is as good as the best, as far as can be told.

        It may be behind by one standard error of their difference (the rule of Breiman et al.,
        Classification and Regression Trees, 1984). What a single edit gains is often less than the
        noise of the validation set; what several gain together is not, and they are only found if
        the first ones are built upon.
        """
        differences = paired_differences(self.scores(candidate), self.scores(self.best()))
        return not differences or fmean(differences) >= -standard_error(differences)

    def score(self, candidate: Candidate) -> float:
        """Return a candidate's validation score; of one without any, minus infinity."""
        score = self._session.validation_score(candidate.resources)
        return float("-inf") if score is None else score

    def scores(self, candidate: Candidate) -> list[float | None]:
        """Return a validated candidate's scores in the order of the races."""
        scores = self._session.validation(candidate.resources) or ()
        return [scores[task.index] for task in self.order]


def paired_differences(
    child: Sequence[float | None], incumbent: Sequence[float | None]
) -> list[float]:
    """Return child minus incumbent on the tasks on which both have a score."""
    return [c - i for c, i in zip(child, incumbent, strict=True) if c is not None and i is not None]


def standard_error(differences: Sequence[float]) -> float:
    """Return the standard error of a mean difference.

    The spread is taken to be at least that of one task which went the other way: a few equal scores
    do not show that there is no difference.

    Args:
        differences: Paired differences, at least one.
    """
    count = len(differences)
    spread = stdev(differences) if count > 1 else 0.0
    return max(spread, 1.0 / math.sqrt(count)) / math.sqrt(count)
