"""Racing: a child is compared with the incumbent block by block, and dropped when it is behind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

__all__ = ["paired_differences", "upper_bound"]


def paired_differences(
    child: Sequence[float | None], incumbent: Sequence[float | None]
) -> list[float]:
    """Return child minus incumbent on the tasks on which both have a score."""
    return [c - i for c, i in zip(child, incumbent, strict=True) if c is not None and i is not None]


def upper_bound(differences: Sequence[float], confidence: float = 1.645) -> float:
    """Return a one-sided upper bound of the mean difference.

    The normal bound on paired differences, with the spread taken to be at least that of one task
    which went the other way: a few equal scores do not show that there is no difference.

    Args:
        differences: Paired differences, at least one.
        confidence: Standard errors above the mean; 1.645 is 95%.
    """
    count = len(differences)
    spread = stdev(differences) if count > 1 else 0.0
    least = 1.0 / math.sqrt(count)
    return fmean(differences) + confidence * max(spread, least) / math.sqrt(count)
