"""The end of a run: choose the best candidate, compare it with the seed, say what it is worth."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal

from agl_core.budgets import BudgetExhaustedError, StopReason
from agl_core.candidates import Candidate
from agl_core.datasets import Dataset
from agl_core.result import CandidateRecord, TrainResult
from agl_core.session import Session
from agl_core.statistics import Comparison, compare_selected, paired_bootstrap

__all__ = ["Acceptance", "conclude"]

Acceptance = Literal["gain", "improved"]
"""What a verdict must say for the best candidate to be given back and not the seed: any gain, or
that it is an improvement."""


async def conclude(
    session: Session,
    *,
    test: Dataset | None,
    stop_reason: StopReason,
    run: str,
    store: str,
    rng: random.Random,
    accept: Acceptance = "gain",
) -> TrainResult:
    """Choose the best candidate and give the verdict.

    With a test split, the best candidate and the seed are run on it, fresh and at the same time.
    Without one, or if the run was interrupted, the verdict is taken from the validation scores with
    the choice among the candidates accounted for.
    """
    seed = Candidate(session.initial)
    best = _best(session) or seed
    comparison = tested = None
    if best.id != seed.id:
        if test is not None and stop_reason != "interrupted":
            try:
                tested = await _compare_on_test(session, best, test, rng)
            except BudgetExhaustedError as stop:
                stop_reason = stop.reason
                session.say(f"the test split was not finished: {stop}")
        comparison = tested or _compare_on_validation(session, best, rng)
    verdict = "no_gain" if best.id == seed.id else "inconclusive"
    if comparison is not None:
        verdict = comparison.verdict
    refused = ("no_gain",) if accept == "gain" else ("no_gain", "inconclusive")
    chosen = seed if verdict in refused else best
    return TrainResult(
        run=run,
        best=chosen.resources,
        seed=session.initial,
        best_score=_score(session, chosen),
        seed_score=session.validation_score(session.initial),
        test=tested,
        comparison=comparison,
        verdict=verdict,
        stop_reason=stop_reason,
        usage=session.usage,
        history=_history(session),
        store=store,
        replaces={**session.initial, **session.own_prompts},
    )


def _best(session: Session) -> Candidate | None:
    """Return the candidate of the highest validation score; without any, of its own score."""
    validated = [c for c in session.candidates if session.validation(c.resources) is not None]
    ranked = [
        (score, candidate)
        for candidate in validated or session.candidates
        if (score := _score(session, candidate)) is not None
    ]
    # The first of equals: a later candidate has to be better to be worth a change.
    return max(ranked, key=lambda item: item[0])[1] if ranked else None


def _score(session: Session, candidate: Candidate) -> float | None:
    score = session.validation_score(candidate.resources)
    return candidate.score if score is None else score


async def _compare_on_test(
    session: Session, best: Candidate, test: Dataset, rng: random.Random
) -> Comparison | None:
    seed_run, best_run = await session.evaluate_held_out((session.initial, best.resources), test)
    pairs = _pairs(seed_run.scores, best_run.scores)
    if not pairs:
        session.say("the test split gave no score: the model service was not available")
        return None
    return paired_bootstrap([s for s, _ in pairs], [b for _, b in pairs], "test", rng)


def _compare_on_validation(
    session: Session, best: Candidate, rng: random.Random
) -> Comparison | None:
    seed_scores = session.validation(session.initial)
    if seed_scores is None or session.validation(best.resources) is None:
        return None
    others = [
        scores
        for candidate in session.candidates
        if candidate.id not in (best.id, Candidate(session.initial).id)
        and (scores := session.validation(candidate.resources)) is not None
    ]
    best_scores = session.validation(best.resources) or ()
    rows = [seed_scores, best_scores, *others]
    kept = [i for i in range(len(seed_scores)) if all(row[i] is not None for row in rows)]
    if not kept:
        return None
    complete = [[row[i] or 0.0 for i in kept] for row in rows]
    return compare_selected(complete[0], complete[1:], 0, "val", rng)


def _pairs(seed: Sequence[float | None], best: Sequence[float | None]) -> list[tuple[float, float]]:
    """Keep the tasks on which both have a score: what the world failed is left out in pairs."""
    return [(s, b) for s, b in zip(seed, best, strict=True) if s is not None and b is not None]


def _history(session: Session) -> list[CandidateRecord]:
    return [
        CandidateRecord(candidate, session.validation_score(candidate.resources))
        for candidate in (*session.candidates, *session.rejected)
    ]
