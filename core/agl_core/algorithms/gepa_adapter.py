"""What the `gepa` package runs candidates with: the session's rollouts, under its own protocol."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from agl_core.algorithms.concurrency import run_all
from agl_core.algorithms.gepa_candidates import GEPACandidates, Texts, resources_of
from agl_core.algorithms.gepa_reflection import Records
from agl_core.algorithms.rollout_texts import (
    error_text,
    feedback_text,
    metrics_text,
    output_text,
    score_text,
    task_text,
)
from agl_core.concurrency.bridge import Bridge
from agl_core.datasets import Task
from agl_core.prompts.templates import Resources, fingerprint
from agl_core.rollouts import Evaluation, Rollout
from agl_core.session import Session
from agl_core.tracing.traces import TraceToMessages

if TYPE_CHECKING:
    from gepa.core.adapter import EvaluationBatch, ProposalFn

__all__ = ["GEPAAdapter", "PairedAcceptance"]

Job = tuple[Resources, list[Task], str]

_UNKNOWN = math.nan
"""The score of a rollout that the world failed, in a minibatch: it stays out of comparisons."""


class GEPAAdapter:
    """Runs candidates by `session.evaluate`. Its methods are called by the package.

    Args:
        session: The run.
        bridge: To the session's event loop.
        candidates: Who is told why the search ends.
        settings: The parameters of `GEPA`.
    """

    propose_new_texts: ProposalFn | None = None
    """Read by the package: reflection is not the adapter's."""

    def __init__(
        self,
        session: Session,
        bridge: Bridge,
        candidates: GEPACandidates,
        settings: Mapping[str, Any],
    ) -> None:
        self._session = session
        self._bridge = bridge
        self._candidates = candidates
        self._limit: int | None = settings["max_metric_calls"]
        self._cached: bool = settings["cache_evaluation"]
        self._render = TraceToMessages()
        self._calls = 0
        self._counted: set[tuple[str, ...]] = set()

    def evaluate(
        self, batch: list[Task], candidate: Texts, capture_traces: bool = False
    ) -> EvaluationBatch[Rollout, None]:
        """Run a candidate on tasks."""
        return self.batch_evaluate([(candidate, batch)])[0]

    def batch_evaluate(
        self, items: list[tuple[Texts, list[Task]]]
    ) -> list[EvaluationBatch[Rollout, None]]:
        """Run candidates on tasks, all at once."""
        from gepa.core.adapter import EvaluationBatch

        self._calls += 1
        jobs = [
            (resources_of(texts, self._session.initial), batch, self._repeat(batch))
            for texts, batch in items
        ]
        self._count(jobs)
        evaluations = self._bridge.call(
            lambda: run_all(
                self._session.evaluate(resources, batch, repeat=repeat)
                for resources, batch, repeat in jobs
            )
        )
        return [
            EvaluationBatch[Rollout, None](
                outputs=[None] * len(evaluation),
                scores=_scores(evaluation, batch),
                trajectories=list(evaluation),
            )
            for (_, batch), evaluation in zip(items, evaluations, strict=True)
        ]

    def make_reflective_dataset(
        self,
        candidate: Texts,
        eval_batch: EvaluationBatch[Rollout, None],
        components_to_update: list[str],
    ) -> Records:
        """Describe the rollouts of a minibatch; the same for each prompt: they ran together."""
        rollouts = eval_batch.trajectories or []
        records = [self._record(rollout) for rollout in rollouts if rollout.score is not None]
        return dict.fromkeys(components_to_update, records)

    def _count(self, jobs: Sequence[Job]) -> None:
        """End the search where its next evaluations would pass the cap."""
        for resources, batch, repeat in jobs:
            identity = fingerprint(resources)
            self._counted |= {(identity, task.split, task.key, repeat) for task in batch}
        if self._limit is not None and len(self._counted) > self._limit:
            self._candidates.say(f"stopped: max_metric_calls ({self._limit}) leaves no room")
            self._bridge.end()

    def _repeat(self, batch: Sequence[Task]) -> str:
        """Tell fresh rollouts from those that the cache may answer. Validation is made once."""
        fresh = not self._cached and batch[0].split == "train"
        return f"evaluation-{self._calls}" if fresh else "0"

    def _record(self, rollout: Rollout) -> Mapping[str, str]:
        transcript = self._render.to_text(self._render(rollout.spans))
        feedback = (
            f"The reward of this run is {score_text(rollout)}; a higher one is better.",
            f"Metrics: {metrics}" if (metrics := metrics_text(rollout)) else "",
            feedback_text(rollout),
            f"The agent failed:\n{error_text(rollout)}" if rollout.error else "",
        )
        return {
            "Inputs": task_text(rollout),
            "Generated Outputs": "\n\n".join(filter(None, (transcript, output_text(rollout)))),
            "Feedback": "\n".join(filter(None, feedback)),
        }


class PairedAcceptance:
    """Compares a child with its parent on the tasks of a minibatch on which both have a score.

    Args:
        or_equal: Whether a child that is only as good is accepted.
    """

    def __init__(self, or_equal: bool) -> None:
        self._or_equal = or_equal

    def should_accept(self, proposal: Any, state: Any) -> bool:
        """Tell whether the child goes on to validation. Called by the package."""
        scores = zip(proposal.subsample_scores_before, proposal.subsample_scores_after, strict=True)
        known = [pair for pair in scores if not math.isnan(sum(pair))]
        # Rounded once: the same scores in another order are no gain.
        before, after = (math.fsum(side) for side in zip(*known, strict=True)) if known else (0, 0)
        return bool(known) and (after >= before if self._or_equal else after > before)


def _scores(evaluation: Evaluation, batch: Sequence[Task]) -> list[float]:
    """Return a number for each rollout, also for those that the world failed.

    In validation they get the mean of the others, which leaves it as it is. A candidate of which
    nothing is known is worth nothing.
    """
    known = [score for score in evaluation.scores if score is not None]
    filler = _UNKNOWN if batch[0].split == "train" else fmean(known) if known else 0.0
    return [filler if score is None else score for score in evaluation.scores]
