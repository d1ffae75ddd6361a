"""Racing: a child is compared with the incumbent block by block, and dropped once it is worse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from agl_core.algorithms.pool import Pool, paired_differences, standard_error
from agl_core.candidates import Candidate
from agl_core.session import Session

__all__ = ["PERFECT", "Race", "upper_bound"]

PERFECT = 1.0
"""By convention the best reward. A rollout that earned it is nothing to critique."""


@dataclass(frozen=True, slots=True)
class Race:
    """How a child is compared with the best candidate so far.

    It is run over the validation tasks, in one fixed order and in blocks, and dropped as soon as it
    is shown to be worse: a few tasks more or less are chance. A candidate that was itself chosen
    for its score is run once more before a child is dropped for it.
    """

    block_size: int
    """Validation tasks per block; as many as there are make it one comparison."""
    confirmations: int = 1
    """How often, at most, a candidate is run once more before others are dropped for it."""

    async def run(self, session: Session, pool: Pool, child: Candidate) -> bool:
        """Run a child against the best candidate; return whether it holds its own.

        That is so if it is level with the best one, or better; see `Pool.is_level`.
        """
        for end in _ends(len(pool.order), self.block_size):
            evaluation = await session.evaluate(child.resources, pool.order[:end])
            while (behind := _shown_behind(evaluation.scores, pool.scores(pool.best()))) > 0:
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
        return pool.is_level(child)

    async def _confirmed(self, session: Session, candidate: Candidate) -> bool:
        """Run a candidate once more before it beats another one; return whether that was due.

        The seed was not chosen for its score, and needs none.
        """
        runs = session.validation_runs(candidate.resources)
        if candidate.round == 0 or runs > self.confirmations:
            return False
        await session.confirm(candidate.resources)
        return True


def upper_bound(differences: Sequence[float], confidence: float = 1.645) -> float:
    """Return a one-sided upper bound of the mean difference.

    The normal bound on paired differences; see `standard_error`.

    Args:
        differences: Paired differences, at least one.
        confidence: Standard errors above the mean; 1.645 is 95%.
    """
    return fmean(differences) + confidence * standard_error(differences)


def _shown_behind(scores: Sequence[float | None], standing: Sequence[float | None]) -> float:
    """Return by how much a child is behind the best candidate; 0 if that may be chance.

    Args:
        scores: The child's scores on the first tasks.
        standing: The best candidate's on all.
    """
    differences = paired_differences(scores, standing[: len(scores)])
    if not differences or upper_bound(differences) >= 0:
        return 0.0
    return -fmean(differences)


def _ends(total: int, size: int) -> list[int]:
    """Return where the blocks of a race end; less than half a block joins the one before it."""
    ends = list(range(size, total, size))
    if ends and total - ends[-1] < size / 2:
        ends.pop()
    return [*ends, total]
