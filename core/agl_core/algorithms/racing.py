"""Racing: a child is compared with the incumbent block by block, and dropped when it is behind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

from agl_core.algorithms.pool import Pool
from agl_core.candidates import Candidate
from agl_core.session import Session

__all__ = ["PERFECT", "Race", "paired_differences", "upper_bound"]

PERFECT = 1.0
"""By convention the best reward. A rollout that earned it is nothing to critique."""


@dataclass(frozen=True, slots=True)
class Race:
    """How a child is compared with the best candidate so far.

    It is run over the validation tasks, in one fixed order and in blocks, and dropped as soon as it
    is behind. A candidate that was itself chosen for its score is run once more before a child is
    dropped for it.
    """

    block_size: int
    """Validation tasks per block; as many as there are make it one comparison."""
    confirmations: int = 1
    """How often, at most, a candidate is run once more before others are dropped for it."""

    async def run(self, session: Session, pool: Pool, child: Candidate) -> bool:
        """Run a child against the best candidate; return whether it is better.

        One that is as good goes into the pool too, and is the newer of equals when a parent is
        chosen.
        """
        rival = pool.best()
        for end in _ends(len(pool.order), self.block_size):
            evaluation = await session.evaluate(child.resources, pool.order[:end])
            while (behind := _behind(evaluation.scores, pool.scores(pool.best()))) > 0:
                if await self._confirmed(session, pool.best()):
                    continue
                session.say(
                    f"round {child.round}: candidate {child.id[:6]} dropped after {end} of "
                    f"{len(pool.order)} validation tasks, behind by {behind:.2f}"
                )
                if end < len(pool.order):
                    session.report(replace(child, score=evaluation.score))
                    return False
                break
        pool.keep(child)
        return pool.score(child) > pool.score(rival)

    async def _confirmed(self, session: Session, candidate: Candidate) -> bool:
        """Run a candidate once more before it beats another one; return whether that was due.

        The seed was not chosen for its score, and needs none.
        """
        runs = session.validation_runs(candidate.resources)
        if candidate.round == 0 or runs > self.confirmations:
            return False
        await session.confirm(candidate.resources)
        return True


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


def _behind(scores: Sequence[float | None], standing: Sequence[float | None]) -> float:
    """Return by how much a child is behind the best candidate; 0 if it may yet catch up.

    Args:
        scores: The child's scores on the first tasks.
        standing: The best candidate's on all.
    """
    differences = paired_differences(scores, standing[: len(scores)])
    if not differences:
        return 0.0
    # Even if all that is left went its way, a child that is behind by more stays behind.
    headroom = sum(PERFECT - (score or 0.0) for score in standing[len(scores) :])
    caught_up = sum(differences) + headroom >= 0 and upper_bound(differences) >= 0
    return 0.0 if caught_up else max(0.0, -fmean(differences))


def _ends(total: int, size: int) -> list[int]:
    """Return where the blocks of a race end; less than half a block joins the one before it."""
    ends = list(range(size, total, size))
    if ends and total - ends[-1] < size / 2:
        ends.pop()
    return [*ends, total]
