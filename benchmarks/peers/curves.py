"""What a search would have given back at each point of its way."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from peers.runs import SearchRun

__all__ = ["median_curve", "rollouts_to_reach", "standing"]


def standing(run: SearchRun, rollouts: int) -> float:
    """The true score of what the search would give back after so many rollouts.

    Before the first validation has ended that is the seed prompt, the first point of the curve.
    """
    if rollouts >= run.outcome.rollouts:
        return run.true
    known = [point for point in run.outcome.curve if point.rollouts <= rollouts]
    point = known[-1] if known else run.outcome.curve[0]
    return run.true if point.true is None else point.true


def rollouts_to_reach(run: SearchRun, target: float) -> int | None:
    """The rollouts after which the search first stands at a true score; None if it never does."""
    points = [(point.rollouts, point.true or 0.0) for point in run.outcome.curve]
    points.append((run.outcome.rollouts, run.true))
    return next((rollouts for rollouts, true in points if true >= target), None)


def median_curve(runs: Sequence[SearchRun], upto: int) -> tuple[list[int], list[float]]:
    """The median standing of several runs, by rollouts."""
    places = [*range(0, upto, 3), upto]
    return places, [median(standing(run, place) for run in runs) for place in places]
