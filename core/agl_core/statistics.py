"""Paired comparisons: is a candidate better than the seed, and by how much?"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

__all__ = ["Comparison", "Verdict", "compare_selected", "paired_bootstrap", "paired_means"]

Verdict = Literal["improved", "inconclusive", "no_gain"]
"""``improved``: the interval of the gain lies above zero. ``no_gain``: the gain is not positive, or
nothing but the seed was left. ``inconclusive``: a gain that could be chance."""

_SAMPLES = 4000
# On fewer tasks even a gain on each of them is no proof at this level: the chance that so many
# differences all have one sign is 2 to the power of 1 - n, more than 5% for n < 6.
_FEWEST = 6


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

    @property
    def verdict(self) -> Verdict:
        """What the comparison says."""
        if self.interval[0] > 0 and self.tasks >= _FEWEST:
            return "improved"
        return "inconclusive" if self.gain > 0 else "no_gain"


def paired_bootstrap(
    seed: Sequence[float], best: Sequence[float], split: str, rng: random.Random
) -> Comparison:
    """Compare two score lists over the same tasks by the paired percentile bootstrap.

    Tasks are drawn with replacement and the mean difference taken; the interval holds the middle
    95% of it (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).

    Args:
        seed: The seed's scores, at least one.
        best: The candidate's scores on the same tasks, in the same order.
        split: The tasks' dataset.
        rng: Source of randomness.
    """
    differences = [b - s for s, b in zip(seed, best, strict=True)]
    means = sorted(_resampled_means(differences, rng))
    return Comparison(
        seed_score=fmean(seed),
        best_score=fmean(best),
        gain=fmean(differences),
        interval=(_quantile(means, 0.025), _quantile(means, 0.975)),
        tasks=len(differences),
        split=split,
    )


def compare_selected(
    seed: Sequence[float],
    candidates: Sequence[Sequence[float]],
    chosen: int,
    split: str,
    rng: random.Random,
) -> Comparison:
    """Compare the best of several candidates with the seed on the tasks it was chosen by.

    The best of many looks better than it is. White's reality check (A Reality Check for Data
    Snooping, Econometrica 68, 2000) asks how large the largest gain of all candidates would get by
    chance: each resample draws tasks and takes the largest, over the candidates, of the resampled
    minus the observed mean gain. The interval's lower end is the chosen gain less the 97.5%
    quantile of that; the upper end is the plain bootstrap's.

    Args:
        seed: The seed's scores, at least one.
        candidates: Each candidate's scores on the same tasks.
        chosen: Index of the candidate that was chosen.
        split: The tasks' dataset.
        rng: Source of randomness.
    """
    differences = [[b - s for s, b in zip(seed, row, strict=True)] for row in candidates]
    observed = [fmean(row) for row in differences]
    count = len(seed)
    largest: list[float] = []
    for _ in range(_SAMPLES):
        drawn = rng.choices(range(count), k=count)
        largest.append(
            max(
                sum([row[i] for i in drawn]) / count - mean
                for row, mean in zip(differences, observed, strict=True)
            )
        )
    largest.sort()
    plain = paired_bootstrap(seed, candidates[chosen], split, rng)
    lower = plain.gain - _quantile(largest, 0.975)
    return Comparison(
        plain.seed_score,
        plain.best_score,
        plain.gain,
        (min(lower, plain.gain), plain.interval[1]),
        count,
        split,
    )


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


def _resampled_means(values: Sequence[float], rng: random.Random) -> list[float]:
    count = len(values)
    return [fmean(rng.choices(values, k=count)) for _ in range(_SAMPLES)]


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, max(0, round(share * (len(ordered) - 1))))]
