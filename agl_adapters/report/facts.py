"""What there is to show of a run: its candidates, tasks and rollouts, brought together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean
from typing import Any

from agl_core.candidates import Candidate
from agl_core.rollouts import ModelUsage
from agl_core.storage.store import Activity, RolloutKey, RunRecord

__all__ = ["CandidateFacts", "RolloutFacts", "RunFacts", "TaskFacts"]

SPLITS = ("test", "val", "train")
"""The splits by what they say about a candidate: what the search never saw says most."""


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """A task, as it is named in the report."""

    number: int
    """Its place in `RunFacts.tasks`."""
    split: str
    key: str
    name: str
    data: Any
    """The task; None if the store does not have it."""


@dataclass(frozen=True, slots=True)
class CandidateFacts:
    """A candidate, as it is named in the report."""

    number: int
    """Its place in `RunFacts.candidates`."""
    candidate: Candidate
    validation: float | None
    """Its mean score on all of the validation set, if it was run there."""
    bound: str
    """`RolloutKey.candidate` of its rollouts."""
    parent: int | None
    """The number of the candidate that it was made from, if that is known."""
    is_seed: bool
    known: bool = True
    """Whether the algorithm reported it. Of one that it only ran, the prompts are unknown."""

    @property
    def label(self) -> str:
        """What it is called."""
        return "seed" if self.is_seed else str(self.number)

    @property
    def short_id(self) -> str:
        """The start of its id, as the command line shows it."""
        return (self.candidate.id if self.known else self.bound)[:6]

    @property
    def score(self) -> float | None:
        """The validation score, else what the algorithm went by; None if it was rejected."""
        if self.candidate.rejected:
            return None
        return self.candidate.score if self.validation is None else self.validation


@dataclass(frozen=True, slots=True)
class RolloutFacts:
    """A rollout without its trace."""

    key: RolloutKey
    task_name: str
    status: str
    score: float | None
    seconds: float
    started: float
    """Seconds since the epoch."""
    usage: ModelUsage
    metrics: Mapping[str, float]
    note: str
    """Why it scored as it did: the reward's feedback, or the last line of the error."""
    simulated: bool
    """Whether its trace shows that the simulated model answered."""


@dataclass(frozen=True)
class RunFacts:
    """A run, as far as it has come. Everything is derived from what the store holds."""

    record: RunRecord
    activity: Activity
    tasks: Sequence[TaskFacts]
    """By split and place in it."""
    candidates: Sequence[CandidateFacts]
    """The seed first, then in the order of the reports."""
    rollouts: Sequence[RolloutFacts]
    """In the order in which they were written."""
    simulated: bool
    """Whether the simulated model answered, the agent or the optimizer."""
    optimizer: ModelUsage = field(default_factory=ModelUsage)
    """What the optimizer's model calls took."""
    limits: Mapping[str, int] = field(default_factory=dict[str, int])
    """What could not be shown in full: what, and how often."""

    @property
    def seed(self) -> CandidateFacts | None:
        """The candidate that the run started from."""
        return next((c for c in self.candidates if c.is_seed), None)

    @cached_property
    def best(self) -> CandidateFacts | None:
        """The candidate whose prompts came back, or so far the best one; None if unknown."""
        chosen = (self.record.result or {}).get("best")
        if chosen is not None:
            texts = _texts(chosen)
            same = [c for c in self._rivals if _texts(c.candidate.to_json()["resources"]) == texts]
            return same[0] if same else None
        ranked = [c for c in self._rivals if c.validation is not None]
        return max(ranked, key=lambda c: (c.validation or 0.0, -c.number), default=None)

    @cached_property
    def finalist(self) -> CandidateFacts | None:
        """The candidate that is compared with the seed.

        It is the best one. Where the seed's prompts came back, it is the one that they won over.
        """
        if self.best is not None and not self.best.is_seed:
            return self.best
        others = [c for c in self._rivals if not c.is_seed and c.score is not None]
        tested = [c for c in others if (c.number, "test") in self.means]
        if tested:
            return max(tested, key=lambda c: self.means[c.number, "test"])
        return max(others, key=lambda c: c.score or 0.0, default=None)

    @cached_property
    def of_rollout(self) -> Sequence[tuple[CandidateFacts, TaskFacts]]:
        """The candidate and the task of each rollout."""
        candidates = {c.bound: c for c in reversed(self.candidates) if not c.candidate.rejected}
        tasks = {(task.split, task.key): task for task in self.tasks}
        return [
            (candidates[r.key.candidate], tasks[r.key.split, r.key.task]) for r in self.rollouts
        ]

    @cached_property
    def cells(self) -> Mapping[tuple[int, int], Sequence[RolloutFacts]]:
        """The rollouts by the numbers of candidate and task."""
        cells: dict[tuple[int, int], list[RolloutFacts]] = defaultdict(list)
        for rollout, (candidate, task) in zip(self.rollouts, self.of_rollout, strict=True):
            cells[candidate.number, task.number].append(rollout)
        return cells

    @cached_property
    def means(self) -> Mapping[tuple[int, str], float]:
        """The mean score by candidate and split, each task counting once."""
        scores: dict[tuple[int, str], list[float]] = defaultdict(list)
        for (candidate, task), rollouts in self.cells.items():
            score = mean_score(rollouts)
            if score is not None:
                scores[candidate, self.tasks[task].split].append(score)
        return {key: fmean(values) for key, values in scores.items()}

    @property
    def splits(self) -> Sequence[str]:
        """The splits that there are rollouts on, the most telling first."""
        seen = {rollout.key.split for rollout in self.rollouts}
        return [*(s for s in SPLITS if s in seen), *sorted(seen - {*SPLITS})]

    @property
    def usage(self) -> Mapping[str, Any]:
        """What was spent. Of a run without a result, what is written down so far."""
        result = self.record.result
        if result is not None:
            return result["usage"]
        total = sum((rollout.usage for rollout in self.rollouts), self.optimizer)
        ended = max((r.started + r.seconds for r in self.rollouts), default=self.record.created)
        return {
            "rollouts": len(self.rollouts),
            "model_calls": total.model_calls,
            "input_tokens": total.input_tokens,
            "output_tokens": total.output_tokens,
            "dollars": total.dollars,
            "seconds": ended - self.record.created,
        }

    @property
    def _rivals(self) -> Iterable[CandidateFacts]:
        return [c for c in self.candidates if c.known and not c.candidate.rejected]


def mean_score(rollouts: Iterable[RolloutFacts]) -> float | None:
    """Return the mean score of the rollouts that have one."""
    scores = [rollout.score for rollout in rollouts if rollout.score is not None]
    return fmean(scores) if scores else None


def _texts(prompts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {name: (p["template"], p["engine"], p["variables"]) for name, p in prompts.items()}
