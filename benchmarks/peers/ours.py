"""Our searches: the default, the published one, and GEPA through us."""

from __future__ import annotations

import time
from typing import Any

import agl_adapters as agl
from agl_core.algorithms import Algorithm
from peers.programs import MODEL, PROGRAMS, client
from peers.runs import BEAM, Conditions, Outcome, Point

__all__ = ["search_by"]

MANY_ROUNDS = 50


class _Curve(agl.Callback):
    """Notes which prompt is best, by validation, as the run goes."""

    def __init__(self) -> None:
        self.rollouts = 0
        self.points: list[Point] = []
        self._start = time.monotonic()
        self._validation: dict[str, tuple[float, str]] = {}

    def on_rollout(self, rollout: agl.Rollout, cached: bool) -> None:
        self.rollouts += not cached

    def on_candidate(self, candidate: agl.Candidate, score: float | None) -> None:
        if score is None or candidate.rejected:
            return
        self._validation[candidate.id] = (score, candidate.resources["prompt"].raw)
        # The first of equals, as the trainer takes it.
        _, best = max(self._validation.values(), key=lambda known: known[0])
        if not self.points or self.points[-1].prompt != best:
            seconds = time.monotonic() - self._start
            self.points.append(Point(self.rollouts, seconds, best))


def _algorithm(system: str) -> Algorithm:
    if system == "published":
        return agl.APO.published(MODEL, **BEAM)
    if system == "gepa_through_us":
        return agl.GEPA(MODEL, max_iterations_without_improvement=1_000)
    rounds = {"ours": BEAM["beam_rounds"], "ours_all_rollouts": MANY_ROUNDS}[system]
    parameters: dict[str, Any] = {**BEAM, "beam_rounds": rounds}
    return agl.APO(MODEL, **parameters)


def search_by(system: str, conditions: Conditions) -> Outcome:
    """Run one of `ours`, `ours_all_rollouts`, `published`, `gepa_through_us`."""
    program, curve, openai_client = PROGRAMS[conditions.scenario], _Curve(), client()

    @agl.rollout
    def agent(task: Any, prompt: agl.PromptTemplate) -> float:
        return program.run(openai_client.chat.completions.create, prompt.format(), task)

    trainer = agl.Trainer(
        _algorithm(system),
        n_runners=conditions.n_runners,
        seed=conditions.seed,
        initial_resources={"prompt": program.seed},
        budget=agl.Budget(rollouts=conditions.rollouts),
        callbacks=[curve],
    )
    start = time.monotonic()
    result = trainer.fit(agent, conditions.train, conditions.val)
    best = max(
        (record for record in result.history if record.validation is not None),
        key=lambda record: record.validation or 0.0,
    )
    return Outcome(
        # What the search found: not the seed, which a doubtful verdict may give back instead.
        best=best.candidate.resources["prompt"].raw,
        found=best.validation or 0.0,
        rollouts=result.usage.rollouts,
        seconds=time.monotonic() - start,
        curve=curve.points,
        notes={"verdict": result.verdict, "stop_reason": result.stop_reason},
    )
