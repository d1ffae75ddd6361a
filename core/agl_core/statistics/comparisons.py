"""Paired comparisons: is a candidate better than the seed, and by how much?"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from operator import itemgetter
from statistics import NormalDist, fmean, stdev
from typing import Literal

from agl_core.statistics.power import FEWEST, POWER

__all__ = ["Comparison", "Verdict", "compare", "paired_means"]

Verdict = Literal["improved", "inconclusive", "no_gain"]
"""``improved``: the interval of the gain lies above zero. ``no_gain``: the gain is not positive, or
nothing but the seed was left. ``inconclusive``: a gain that could be chance."""

_SAMPLES = 4000
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Comparison:
    """A candidate against the seed on the same tasks."""

    seed_score: float
    """Mean score of the seed."""
    best_score: float
    """Mean score of the candidate."""
    gain: float
    """The difference of the two."""
    interval: tuple[float, float]
    """The 95% interval of the gain."""
    tasks: int
    """How many tasks both have a score on."""
    split: str
    """Where the tasks are from: test, or val if nothing was held out."""
    candidates: int = 1
    """Among how many candidates this one was chosen by its scores on these tasks."""
    spread: float = 0.0
    """The standard deviation, between tasks, of the difference of the two scores."""
    differing: int | None = None
    """On how many tasks the two scores differ, if that is known."""

    @property
    def verdict(self) -> Verdict:
        """What the comparison says."""
        telling = self.tasks if self.differing is None else self.differing
        if self.interval[0] > 0 and telling >= FEWEST:
            return "improved"
        return "inconclusive" if self.gain > 0 else "no_gain"

    @property
    def smallest_gain(self) -> float:
        """The smallest true gain that a comparison like this one shows four times in five.

        As `agl_core.statistics.power.smallest_gain`, with the lower half of the interval for what
        is taken for chance: so the choice among candidates counts too. Infinite if there are too
        few tasks.
        """
        if self.tasks < FEWEST:
            return math.inf
        return self.gain - self.interval[0] + POWER * self.spread / math.sqrt(self.tasks)

    @property
    def tasks_needed(self) -> int | None:
        """On how many tasks a true gain of this size would be shown four times in five.

        None if it is no gain.
        """
        if self.gain <= 0:
            return None
        telling = self.tasks if self.differing is None else self.differing
        size = self.smallest_gain if self.tasks >= FEWEST else 0.0
        share = max((size / self.gain) ** 2, FEWEST / max(telling, 1))
        return math.ceil(self.tasks * share)


def compare(
    seed: Sequence[float | None],
    candidates: Sequence[Sequence[float | None]],
    split: str,
    rng: random.Random,
    chosen: int = 0,
    error: float = 0.05,
) -> Comparison | None:
    """Compare a candidate with the seed on the same tasks, by the paired percentile bootstrap.

    Tasks are drawn with replacement and the mean difference taken; the interval holds the middle
    95% of it (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13), a little
    more where tasks are few: with n tasks, as much as makes up for the bootstrap's being too narrow
    there (the expanded percentile interval of Hesterberg, What Teachers Should Know about the
    Bootstrap, The American Statistician 69, 2015).

    The best of several looks better than it is. If the candidate was chosen among others by these
    very scores, the lower end is also held below what White's reality check gives (A Reality Check
    for Data Snooping, Econometrica 68, 2000): each resample takes the largest, over the candidates,
    of the observed minus the resampled mean gain, and the chosen gain less the upper quantile of
    that is the lower end. So the chance that a lower end lies above a gain that is not there is at
    most `error` for all candidates together. Candidates that were run on every task and are plainly
    worse than the seed could not have been chosen and are left out (Hansen, A Test for Superior
    Predictive Ability, Journal of Business and Economic Statistics 23, 2005).

    Args:
        seed: The seed's scores, None where it has none.
        candidates: Each candidate's scores on the same tasks, None where it has none: one that was
            given up half-way counts as though the rest had gone the same way.
        split: The tasks' dataset.
        rng: Source of randomness.
        chosen: Index of the candidate that is compared. The tasks without a score of it or of the
            seed are left out.
        error: How often, at most, the best of candidates without a gain may seem to have one.

    Returns:
        None if there is no task on which both have a score.
    """
    best = candidates[chosen]
    pairs = [
        (index, s, b)
        for index, (s, b) in enumerate(zip(seed, best, strict=True))
        if s is not None and b is not None
    ]
    if not pairs:
        return None
    count = len(pairs)
    differences = [b - s for _, s, b in pairs]
    kept = [(index, s) for index, s, _ in pairs]
    others = [
        row
        for number, scores in enumerate(candidates)
        if number != chosen
        and (row := _rival([_difference(scores[i], s) for i, s in kept])) is not None
    ]
    gain = fmean(differences)
    means, largest = _resampled(differences, others, rng)
    outside = _tail(0.025, count)
    # By how much all the candidates together may look better than they are.
    luck = _quantile(largest, 1 - _tail(error, count))
    lower = min(_quantile(means, outside), gain - luck if others else math.inf)
    return Comparison(
        seed_score=fmean(s for _, s in kept),
        best_score=fmean(b for *_, b in pairs),
        gain=gain,
        interval=(lower, _quantile(means, 1 - outside)),
        tasks=count,
        split=split,
        candidates=len(candidates),
        spread=stdev(differences) if count > 1 else 0.0,
        differing=sum(difference != 0 for difference in differences),
    )


def _difference(score: float | None, seed: float) -> float | None:
    return None if score is None else score - seed


def _rival(row: Sequence[float | None]) -> list[float] | None:
    """Return a row that counts among those that were chosen from; None if it does not.

    Gaps are filled with what there is, over and over. Whoever was run on everything and is below
    zero by more than chance does not count (the threshold is Hansen's). Whoever was given up on the
    way does: it may have been given up for bad luck.
    """
    known = [value for value in row if value is not None]
    if not known:
        return None
    if len(known) < len(row):
        supply = cycle(known)
        return [next(supply) if value is None else value for value in row]
    if len(known) >= FEWEST:
        threshold = math.sqrt(2 * math.log(math.log(len(known))) / len(known))
        if fmean(known) < -threshold * stdev(known):
            return None
    return known


def _resampled(
    chosen: Sequence[float], others: Sequence[Sequence[float]], rng: random.Random
) -> tuple[list[float], list[float]]:
    """Resample tasks. Return, each sorted, the mean of the chosen row and the largest shortfall.

    The largest, over all rows, of the observed minus the resampled mean.
    """
    count = len(chosen)
    rows = [chosen, *others]
    observed = [sum(row) for row in rows]
    means: list[float] = []
    largest: list[float] = []
    for _ in range(_SAMPLES):
        drawn = rng.choices(range(count), k=count)
        take = itemgetter(*drawn) if count > 1 else list
        sums = [sum(take(row)) for row in rows]
        means.append(sums[0] / count)
        largest.append(max(o - s for o, s in zip(observed, sums, strict=True)) / count)
    return sorted(means), sorted(largest)


def _tail(share: float, count: int) -> float:
    """Return the share of resampled means to leave outside at one end for `share` to be outside.

    The normal probability beyond sqrt(n / (n - 1)) times the quantile of Student's distribution,
    which is taken from its expansion around the normal one (Abramowitz and Stegun, Handbook of
    Mathematical Functions, 26.7.5).
    """
    if count < FEWEST:
        return 0.0  # nothing is shown by so few; the interval is all that was resampled
    z, freedom = _NORMAL.inv_cdf(1 - share), count - 1
    student = (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )
    return 1 - _NORMAL.cdf(student * math.sqrt(count / freedom))


def paired_means(
    scores: Mapping[str, Sequence[float | None]],
) -> dict[str, float | None]:
    """Return the mean of each row of scores over the tasks on which all rows have one.

    What the world failed is thus left out of a comparison for all that are compared. A row without
    any score gets None and takes no task from the others; without a task that all share, each row
    gets the mean of what it has.

    Args:
        scores: Rows of equal length, the tasks in the same order.
    """
    rows = [row for row in scores.values() if any(score is not None for score in row)]
    shared = [i for i, column in enumerate(zip(*rows, strict=True)) if None not in column]

    def mean(row: Sequence[float | None]) -> float | None:
        known = [score for score in row if score is not None]
        common = [score for i in shared if (score := row[i]) is not None]
        return fmean(common or known) if known else None

    return {name: mean(row) for name, row in scores.items()}


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, max(0, round(share * (len(ordered) - 1))))]
