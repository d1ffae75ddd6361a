"""The baseline: how good is the seed?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agl_core.candidates import Candidate
from agl_core.session import Session
from agl_core.workloads import RunSize, Workload

__all__ = ["Baseline"]


class Baseline:
    """Evaluates the seed on the validation set and proposes nothing."""

    name = "Baseline"
    models: Sequence[str] = ()

    def settings(self) -> Mapping[str, Any]:
        """Return nothing: there are no parameters."""
        return {}

    def workload(self, size: RunSize) -> Workload:
        """Return what the validation of the seed takes."""
        rollouts = size.val * size.repeats
        return Workload(rollouts, rollouts)

    async def run(self, session: Session) -> None:
        """Evaluate the seed and report it."""
        evaluation = await session.evaluate(session.initial, session.val)
        session.report(Candidate(session.initial, score=evaluation.score))
