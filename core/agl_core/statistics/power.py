"""How small a gain so many tasks can show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, stdev

__all__ = ["ASSUMED_SPREAD", "FEWEST", "POWER", "smallest_gain", "spread_of"]

FEWEST = 6
"""On fewer tasks even a gain on each of them is no proof at the 5% level: the chance that so many
differences all have one sign is 2 to the power of 1 - n."""

ASSUMED_SPREAD = 0.5
"""The spread of differences that is assumed before anything is known: that of a 0/1 reward at a
score of 0.5, see `spread_of`."""

POWER = NormalDist().inv_cdf(0.8)
"""By how many standard errors a gain has to exceed what is taken for chance, to do so four times in
five."""

_CHANCE = NormalDist().inv_cdf(0.975)


def smallest_gain(tasks: int, spread: float) -> float:
    """Return the smallest true gain that a comparison over so many tasks shows four times in five.

    The minimum detectable effect of a paired comparison, (z(0.975) + z(0.8)) * spread /
    sqrt(tasks), that is 2.8 standard errors (Bloom, Minimum Detectable Effects, Evaluation Review
    19, 1995; for evaluations of language models: Miller, Adding Error Bars to Evals,
    arXiv:2411.00640, 2024). Infinite for fewer than `FEWEST` tasks.

    Args:
        tasks: How many tasks both candidates are run on.
        spread: The standard deviation, between tasks, of the difference of the two scores.
    """
    return math.inf if tasks < FEWEST else (_CHANCE + POWER) * spread / math.sqrt(tasks)


def spread_of(scores: Sequence[float | None]) -> float | None:
    """Return the spread of differences to expect, from the scores of the seed alone.

    The standard deviation of its scores between tasks. A candidate whose scores spread as far, and
    go along with the seed's by a correlation of one half, differs from the seed by just that.

    Args:
        scores: The seed's score on each task; None where there is none.

    Returns:
        None if fewer than two tasks have a score.
    """
    known = [score for score in scores if score is not None]
    return stdev(known) if len(known) > 1 else None
