"""Resuming: what an earlier start of a run has spent, and the result of one that is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from agl_core.candidates import Candidate
from agl_core.damage import undamaged
from agl_core.prompts.templates import PromptTemplate, Resources
from agl_core.result import CandidateRecord, TrainResult
from agl_core.rollouts import ModelUsage
from agl_core.spending.budgets import Budget, Usage
from agl_core.statistics.comparisons import Comparison
from agl_core.storage.store import RunRecord, Store

__all__ = ["Start", "earlier_spent", "kept_result", "note_start", "result_record"]

_KEPT = "kept"
"""Where a result's record has what its summary lacks."""


@dataclass(frozen=True, slots=True)
class Start:
    """One start of a run."""

    earlier: Usage = field(default_factory=Usage)
    """What those before it have spent."""
    started: float = 0.0
    """When, in seconds since the epoch."""


@undamaged("what the store has of the run")
def earlier_spent(store: Store, run: str) -> tuple[Usage, ModelUsage]:
    """Return what the journal of a run says was paid for, and which part of it by rollouts.

    What was in flight when a process was killed is not in it: nobody knows of that.
    """
    record = store.run(run)
    if record is None:
        return Usage(), ModelUsage()
    rollouts, by_rollouts, unpriced = 0, ModelUsage(), dict[str, None]()
    for _, rollout in store.rollouts(run):
        unpriced.update(dict.fromkeys(rollout.get("unpriced", ())))
        for usage in (*rollout.get("replaced", ()), rollout["usage"]):
            rollouts += 1
            by_rollouts += ModelUsage(*usage)
    total = by_rollouts
    for call in store.calls(run):
        total += ModelUsage(*call["usage"])
        unpriced.update(dict.fromkeys(call.get("unpriced", ())))
    plan = record.plan or {}
    since = plan.get("started") or record.created
    seconds = plan.get("earlier_seconds", 0.0) + max(0.0, store.activity(run).latest - since)
    tokens = total.input_tokens, total.output_tokens
    usage = Usage(rollouts, total.model_calls, *tokens, total.dollars, seconds, tuple(unpriced))
    return usage, by_rollouts


@undamaged("what the store has of the run")
def note_start(store: Store, run: str, start: Start) -> None:
    """Write down when a start began, before its plan is known.

    If it is killed until then, the next one would else take the time since the start before for
    time that was spent.
    """
    record = store.run(run)
    plan = None if record is None else record.plan
    times = {"started": start.started, "earlier_seconds": start.earlier.seconds}
    store.plan_run(run, {**(plan or {}), **times})


def result_record(result: TrainResult, budget: Budget, accept: str) -> dict[str, Any]:
    """Return a result as it is kept in the store: its summary, and all that `kept_result` needs."""
    history = [
        [
            entry.candidate.to_json(),
            entry.validation,
            entry.test,
            dict(entry.metrics),
            dict(entry.test_metrics),
        ]
        for entry in result.history
    ]
    kept = {
        "history": history,
        "replaces": _texts(result.replaces),
        "budget": asdict(budget),
        "accept": accept,
    }
    return {**result.to_json(), _KEPT: kept}


@undamaged("what the store has of the run")
def kept_result(
    record: RunRecord | None, budget: Budget, accept: str, store: str
) -> TrainResult | None:
    """Return the result of a run that is done; None if there is something left to do.

    A run is done if its search came to its end, or was ended by a cap that is no larger now.
    """
    result = None if record is None else record.result
    if record is None or result is None or _KEPT not in result:
        return None
    kept, reason = result[_KEPT], result["stop_reason"]
    before, now = kept["budget"], asdict(budget)
    if kept["accept"] != accept:
        return None
    if reason != "completed":
        if reason not in before or before[reason] is None or now[reason] is None:
            return None
        if now[reason] > before[reason]:
            return None
    test, comparison = _comparison(result["test"]), _comparison(result["comparison"])
    return TrainResult(
        run=record.name,
        best=_prompts(result["best"]),
        seed=_prompts(result["seed"]),
        best_score=result["best_score"],
        seed_score=result["seed_score"],
        test=test,
        comparison=comparison,
        verdict=result["verdict"],
        stop_reason=reason,
        usage=_usage(result["usage"]),
        history=[
            CandidateRecord(Candidate.from_json(candidate), *rest)
            for candidate, *rest in kept["history"]
        ],
        store=store,
        replaces=_prompts(kept["replaces"]),
    )


def _usage(data: Mapping[str, Any]) -> Usage:
    numbers = {name: value for name, value in data.items() if name != "unpriced"}
    return Usage(**numbers, unpriced=tuple(data["unpriced"]))


def _comparison(data: Mapping[str, Any] | None) -> Comparison | None:
    if data is None:
        return None
    known = {field.name for field in fields(Comparison)} - {"interval"}
    low, high = data["interval"]
    return Comparison(interval=(low, high), **{n: v for n, v in data.items() if n in known})


def _texts(prompts: Resources) -> dict[str, Any]:
    return {name: prompt.to_json() for name, prompt in prompts.items()}


def _prompts(data: Mapping[str, Any]) -> Resources:
    return {name: PromptTemplate.from_json(prompt) for name, prompt in data.items()}
