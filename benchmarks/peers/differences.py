"""By how much systems differ, and how sure that is with so few seeds."""

from __future__ import annotations

import random
from collections.abc import Sequence
from statistics import fmean

__all__ = ["difference"]

DRAWS = 10_000


def difference(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """The difference of two means, with its 95% interval, by bootstrap over the seeds.

    The seeds are not paired: two systems that are given the same seed draw differently from the
    first rollout on.
    """
    rng = random.Random(0)
    drawn = sorted(
        fmean(rng.choices(ours, k=len(ours))) - fmean(rng.choices(theirs, k=len(theirs)))
        for _ in range(DRAWS)
    )
    return fmean(ours) - fmean(theirs), drawn[DRAWS // 40], drawn[-DRAWS // 40]
