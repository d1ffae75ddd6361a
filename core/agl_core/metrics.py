"""Metrics: the named numbers beside a reward, as means over a candidate's rollouts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import fmean

from agl_core.rollouts import Rollout

__all__ = ["CandidateMetrics", "mean_metrics"]


def mean_metrics(rollouts: Iterable[Rollout]) -> dict[str, float]:
    """Return the mean of each metric over the rollouts that have it, in order of appearance.

    A rollout that failed has no metrics: it counts in the score alone.
    """
    return _means(rollout.reward.metrics for rollout in rollouts if rollout.reward is not None)


class CandidateMetrics:
    """The metrics of candidates on the tasks of one split.

    Args:
        split: The split.
    """

    def __init__(self, split: str) -> None:
        self._split = split
        self._metrics: dict[str, dict[str, Mapping[str, float]]] = {}

    def see(self, identity: str, rollouts: Iterable[Rollout]) -> None:
        """Take in rollouts of a candidate; one that is handed in again counts once."""
        known = self._metrics.setdefault(identity, {})
        for rollout in rollouts:
            if rollout.split == self._split and rollout.reward is not None:
                known[rollout.id] = rollout.reward.metrics

    def means(self, identity: str) -> Mapping[str, float]:
        """Return the mean of each metric of a candidate."""
        return _means(self._metrics.get(identity, {}).values())


def _means(metrics: Iterable[Mapping[str, float]]) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for named in metrics:
        for name, value in named.items():
            values.setdefault(name, []).append(value)
    return {name: fmean(each) for name, each in values.items()}
