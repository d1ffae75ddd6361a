"""Outlooks: what a run's verdict will be able to show, and a warning where that is hopeless."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from agl_core.callbacks import Callback
from agl_core.plans import Plan
from agl_core.rollouts import mean_score
from agl_core.statistics.power import FEWEST, smallest_gain, spread_of

__all__ = ["SeedOutlook", "plan_warnings"]

_PERFECT = 1.0


def plan_warnings(plan: Plan) -> Iterator[str]:
    """Yield what makes a run hopeless before anything is known but its sizes."""
    if not plan.judged:
        return
    if plan.judged < FEWEST:
        split = "test" if plan.test else "validation"
        yield (
            f"with {_tasks(plan.judged, split)} no gain can be proved, however large: the verdict "
            f"takes at least {FEWEST}, and a few dozen to show a gain of a usual size"
        )
    cap, needed = plan.budget.rollouts, plan.test_rollouts + 2 * plan.val * plan.repeats
    if cap is not None and cap < needed:
        yield (
            f"the budget of {cap} rollouts is too small to validate a single candidate beside the "
            f"seed: that takes {needed}, of which the test split {plan.test_rollouts}"
        )


class SeedOutlook:
    """Says, once the seed is validated, how small a gain the verdict will be able to show.

    Args:
        tasks: How many tasks the verdict is taken from; 0 if there is nothing to judge.
        split: Where they are from, test or validation.
        callback: Who is told.
    """

    def __init__(self, tasks: int, split: str, callback: Callback) -> None:
        self._tasks = tasks
        self._split = split
        self._callback = callback
        self._told = False

    def see(self, scores: Sequence[float | None]) -> None:
        """Take in the seed's validation scores; what they say is told once."""
        spread, mean = spread_of(scores), mean_score(scores)
        if self._told or spread is None or mean is None:
            return
        self._told = True
        highest = max(score for score in scores if score is not None)
        if highest > _PERFECT:
            self._callback.on_warning(
                f"the seed earned a reward of {highest:g}: searches take 1.0 for perfect and 0.0 "
                "for the worst; scale the rewards"
            )
            return
        size, headroom = smallest_gain(self._tasks, spread), _PERFECT - mean
        if math.isinf(size) or spread == 0.0:
            return
        tasks = _tasks(self._tasks, self._split)
        shows = f"{tasks} will show a gain of about {size:.2f} or more (four times in five)"
        if size <= headroom:
            self._callback.on_message(f"by the spread of the seed's scores, {shows}")
            return
        needed = math.ceil(self._tasks * (size / headroom) ** 2) if headroom > 0 else None
        self._callback.on_warning(
            f"the seed scores {mean:.3f}, so at most {headroom:.2f} can be gained; {shows}: "
            "the verdict will hardly be `improved`"
            + ("" if needed is None else f". About {needed} tasks would show as much")
        )


def _tasks(count: int, split: str) -> str:
    return f"{count} {split} task" + "s" * (count != 1)
