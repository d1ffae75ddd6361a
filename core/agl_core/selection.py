"""The end of a run: choose the best candidate, compare it with the seed, say what it is worth."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from agl_core.candidates import Candidate
from agl_core.datasets import Dataset
from agl_core.metrics import mean_metrics
from agl_core.result import CandidateRecord, TrainResult
from agl_core.rollouts import Evaluation
from agl_core.session import Session
from agl_core.spending.budgets import BudgetExhaustedError, StopReason
from agl_core.statistics.comparisons import Comparison, compare, paired_means

__all__ = ["FINALISTS", "Acceptance", "conclude"]

Acceptance = Literal["gain", "improved"]
"""What a verdict must say for the best candidate to be given back and not the seed: any gain, or
that it is an improvement."""

FINALISTS = 2
"""So many candidates, and the seed, are run on the test split."""


@dataclass(frozen=True, slots=True)
class _Choice:
    """The candidate that was chosen, and what it is worth."""

    best: Candidate
    comparison: Comparison | None


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

    With a test split, the best two candidates and the seed are run on it, fresh and at the same
    time; the better of the two there is chosen, and the verdict accounts for that choice. Without
    one, or if the run was cut short, choice and verdict are taken from the validation scores,
    with the choice among all candidates accounted for.
    """
    seed = Candidate(session.initial)
    finalists = _finalists(session, seed)
    choice, tested = _Choice(seed, None), dict[str, Evaluation]()
    if finalists:
        if test is not None and stop_reason not in ("interrupted", "unavailable"):
            try:
                tested = await _tested(session, [seed, *finalists], test)
            except BudgetExhaustedError as stop:
                stop_reason = stop.reason
                session.say(f"the test split was not finished: {stop}")
        on_test = _choose_on_test(session, tested, seed, finalists, rng) if tested else None
        choice = on_test or _choose_on_validation(session, finalists[0], rng)
    comparison = choice.comparison
    verdict = "inconclusive" if finalists else "no_gain"
    if comparison is not None:
        verdict = comparison.verdict
    refused = ("no_gain",) if accept == "gain" else ("no_gain", "inconclusive")
    chosen = seed if verdict in refused else choice.best
    return TrainResult(
        run=run,
        best=chosen.resources,
        seed=session.initial,
        best_score=_score(session, chosen),
        seed_score=session.validation_score(session.initial),
        test=comparison if comparison is not None and comparison.split == "test" else None,
        comparison=comparison,
        verdict=verdict,
        stop_reason=stop_reason,
        usage=session.usage,
        history=_history(session, tested),
        store=store,
        replaces={**session.initial, **session.own_prompts},
    )


def _finalists(session: Session, seed: Candidate) -> list[Candidate]:
    """Return the candidates that score above the seed, best first, at most two.

    Validated ones come before all others; without any, each one's own score counts.
    """
    validated = [c for c in session.candidates if session.validation(c.resources) is not None]
    scored = [
        (score, candidate)
        for candidate in validated or session.candidates
        if (score := _score(session, candidate)) is not None
    ]
    bar = next((score for score, candidate in scored if candidate.id == seed.id), -math.inf)
    better = [(s, candidate) for s, candidate in scored if candidate.id != seed.id and s > bar]
    # The first validated of equals: a later one has to be better to be worth a change.
    better.sort(key=lambda item: (-item[0], session.validation_rank(item[1].resources)))
    return [candidate for _, candidate in better[:FINALISTS]]


def _score(session: Session, candidate: Candidate) -> float | None:
    score = session.validation_score(candidate.resources)
    return candidate.score if score is None else score


async def _tested(
    session: Session, candidates: Sequence[Candidate], test: Dataset
) -> dict[str, Evaluation]:
    """Run candidates on the test split; return what came of it by their ids."""
    runs = await session.evaluate_held_out([c.resources for c in candidates], test)
    return {candidate.id: run for candidate, run in zip(candidates, runs, strict=True)}


def _choose_on_test(
    session: Session,
    tested: Mapping[str, Evaluation],
    seed: Candidate,
    finalists: Sequence[Candidate],
    rng: random.Random,
) -> _Choice | None:
    """Choose the finalist that scores highest on the test split, the first of equals."""
    rows = [tested[candidate.id].scores for candidate in finalists]
    means = paired_means(
        {candidate.id: row for candidate, row in zip(finalists, rows, strict=True)}
    )
    ranked = [-math.inf if (mean := means[c.id]) is None else mean for c in finalists]
    chosen = ranked.index(max(ranked))
    comparison = compare(tested[seed.id].scores, rows, "test", rng, chosen)
    if comparison is None:
        session.say("the test split gave no score: the model service was not available")
        return None
    return _Choice(finalists[chosen], comparison)


def _choose_on_validation(session: Session, best: Candidate, rng: random.Random) -> _Choice:
    """Choose the best candidate; all those that it was chosen among count in its comparison."""
    seed_scores, scores = session.validation(session.initial), session.validation(best.resources)
    if seed_scores is None or scores is None:
        return _Choice(best, None)
    others = [
        session.validation_so_far(candidate.resources)
        for candidate in session.candidates
        if candidate.id not in (best.id, Candidate(session.initial).id)
    ]
    # Half of what is allowed on the test split: candidates are also made after what scored well on
    # these very tasks, which no comparison of their scores can see.
    return _Choice(best, compare(seed_scores, [scores, *others], "val", rng, error=0.025))


def _history(session: Session, tested: Mapping[str, Evaluation]) -> list[CandidateRecord]:
    return [
        CandidateRecord(
            candidate,
            session.validation_score(candidate.resources),
            tested[candidate.id].score if candidate.id in tested else None,
            session.validation_metrics(candidate.resources),
            mean_metrics(tested.get(candidate.id, ())),
        )
        for candidate in (*session.candidates, *session.rejected)
    ]
