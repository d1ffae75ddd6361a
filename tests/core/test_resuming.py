from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agl_core.candidates import Candidate
from agl_core.prompts.templates import PromptTemplate
from agl_core.result import CandidateRecord, TrainResult
from agl_core.resuming import Start, earlier_spent, kept_result, note_start, result_record
from agl_core.rollouts import ModelUsage
from agl_core.spending.budgets import Budget, StopReason, Usage
from agl_core.spending.ledger import Ledger
from agl_core.statistics.comparisons import Comparison
from agl_core.storage.sqlite import MemoryStore, SQLiteStore
from agl_core.storage.store import RolloutKey

SEED, BEST = {"p": PromptTemplate("You book.")}, {"p": PromptTemplate("You book well.")}
RESULT = TrainResult(
    run="r",
    best=BEST,
    seed=SEED,
    best_score=0.9,
    seed_score=0.5,
    test=Comparison(0.5, 0.8, 0.3, (0.1, 0.5), 20, "test", 2, 0.3, 7),
    comparison=Comparison(0.5, 0.8, 0.3, (0.1, 0.5), 20, "test", 2, 0.3, 7),
    verdict="improved",
    stop_reason="completed",
    usage=Usage(7, 8, 9, 10, 0.5, 1.5, ("m",)),
    history=[
        CandidateRecord(Candidate(SEED), 0.5, 0.5, {"a": 1.0}, {"a": 0.5}),
        CandidateRecord(Candidate(BEST, "x", "why", 1, 0.8, metadata={"n": 1}), 0.9),
        CandidateRecord(Candidate(BEST, rejected="too long"), None),
    ],
    store=":memory:",
    replaces=SEED,
)


def kept(
    stop: StopReason, before: Budget, now: Budget, accepts: tuple[str, str] = ("gain", "gain")
) -> TrainResult | None:
    """Return the result as a resumed run reads it from a store."""
    store: SQLiteStore = MemoryStore()
    store.begin_run("r", {})
    store.end_run("r", result_record(replace(RESULT, stop_reason=stop), before, accepts[0]))
    found = kept_result(store.run("r"), now, accepts[1], store.location)
    store.close()
    return found


def test_a_result_comes_back_as_it_was() -> None:
    assert kept("completed", Budget(), Budget(rollouts=5)) == RESULT


@pytest.mark.parametrize(
    ("stop", "before", "now", "done"),
    [
        ("rollouts", Budget(rollouts=5), Budget(rollouts=5), True),
        ("rollouts", Budget(rollouts=5), Budget(rollouts=4, tokens=9), True),
        ("rollouts", Budget(rollouts=5), Budget(rollouts=6), False),
        ("dollars", Budget(dollars=5.0), Budget(), False),
        ("target", Budget(target=0.5), Budget(target=0.5), True),
        ("target", Budget(target=0.5), Budget(target=0.6), False),
        ("patience", Budget(patience=2), Budget(patience=3), False),
        ("interrupted", Budget(), Budget(), False),
        ("unavailable", Budget(), Budget(), False),
    ],
)
def test_a_run_is_done_where_it_could_go_no_further(
    stop: StopReason, before: Budget, now: Budget, done: bool
) -> None:
    assert (kept(stop, before, now) is not None) == done


def test_a_run_whose_result_is_to_be_chosen_otherwise_is_not_done() -> None:
    assert kept("completed", Budget(), Budget(), ("gain", "improved")) is None


def test_what_was_spent_is_what_the_journal_says() -> None:
    store = MemoryStore()
    assert earlier_spent(store, "r") == (Usage(), ModelUsage())
    store.begin_run("r", {})
    record: dict[str, Any] = {"status": "succeeded", "score": 1.0, "usage": [2, 30, 4, 0.25]}
    store.add_rollout("r", RolloutKey("c", "val", "1"), record)
    store.add_rollout("r", RolloutKey("c", "val", "2"), {**record, "status": "unavailable"})
    store.add_call("r", "k", {"usage": [1, 5, 6, 0.5]})
    store.plan_run("r", {"started": store.activity("r").latest - 2.0, "earlier_seconds": 40.0})
    spent, by_rollouts = earlier_spent(store, "r")
    assert spent.seconds == pytest.approx(42.0)
    assert replace(spent, seconds=0.0) == Usage(2, 5, 65, 14, 1.0)
    assert by_rollouts == ModelUsage(4, 60, 8, 0.5)
    store.close()


def test_a_rollout_that_replaces_an_unavailable_one_does_not_erase_what_that_took() -> None:
    store, key = MemoryStore(), RolloutKey("c", "val", "1")
    store.begin_run("r", {})
    record: dict[str, Any] = {"status": "unavailable", "score": None, "usage": [2, 30, 4, 0.25]}
    for status in ("unavailable", "unavailable", "succeeded"):
        store.add_rollout("r", key, {**record, "status": status})
    spent, by_rollouts = earlier_spent(store, "r")
    assert (spent.rollouts, by_rollouts) == (3, ModelUsage(6, 90, 12, 0.75))
    store.close()


def test_models_without_a_price_are_known_from_the_journal() -> None:
    store = MemoryStore()
    store.begin_run("r", {})
    record: dict[str, Any] = {"status": "succeeded", "score": 1.0, "usage": [2, 30, 4, 0.0]}
    store.add_rollout("r", RolloutKey("c", "val", "1"), {**record, "unpriced": ["a", "b"]})
    store.add_call("r", "k", {"usage": [1, 5, 6, 0.5], "unpriced": ["b", "c"]})
    spent, by_rollouts = earlier_spent(store, "r")
    assert spent.unpriced == ("a", "b", "c")
    ledger = Ledger(Budget())
    ledger.carry_over(spent, by_rollouts)
    assert ledger.usage.unpriced == ("a", "b", "c")
    store.close()


def test_a_finished_rollout_that_is_made_again_is_counted_twice() -> None:
    """As it is where redaction has taken something out before the prompts were known."""
    store, key = MemoryStore(), RolloutKey("c", "val", "1")
    store.begin_run("r", {})
    for _ in range(2):
        store.add_rollout("r", key, {"status": "succeeded", "score": 1.0, "usage": [2, 30, 4, 0.0]})
    spent, by_rollouts = earlier_spent(store, "r")
    assert (spent.rollouts, by_rollouts) == (2, ModelUsage(4, 60, 8, 0.0))
    store.close()


def test_time_between_starts_is_not_spent_though_one_ended_before_its_plan() -> None:
    store = MemoryStore()
    store.begin_run("r", {})
    record: dict[str, Any] = {"status": "succeeded", "score": 1.0, "usage": [2, 30, 4, 0.0]}
    store.add_rollout("r", RolloutKey("c", "val", "1"), record)
    latest = store.activity("r").latest
    store.plan_run("r", {"started": latest - 100.0, "earlier_seconds": 5.0, "agent": "a"})
    spent, _ = earlier_spent(store, "r")
    assert spent.seconds == pytest.approx(105.0)
    # The second start began long after the first, wrote a rollout, and was killed.
    note_start(store, "r", Start(spent, latest + 5_000.0))
    run = store.run("r")
    assert run is not None
    assert run.plan is not None
    assert run.plan["agent"] == "a"
    spent, _ = earlier_spent(store, "r")
    assert spent.seconds == pytest.approx(105.0)
    note_start(store, "r", Start(spent, latest - 2.0))
    assert earlier_spent(store, "r")[0].seconds == pytest.approx(107.0)
    store.close()
