from __future__ import annotations

import threading
import time
from typing import Any

from agl_core.datasets import load_dataset
from agl_core.storage.store import Activity, RolloutKey, Store

KEY = RolloutKey("c1", "val", "k1")


def record(status: str = "succeeded", score: float | None = 1.0, **more: Any) -> dict[str, Any]:
    return {"status": status, "score": score, **more}


class TestRuns:
    def test_begin_and_end(self, store: Store) -> None:
        assert store.run("a") is None
        store.begin_run("a", {"seed": 1})
        store.begin_run("b", {"seed": 2})
        run = store.run("a")
        assert run is not None
        assert (run.name, run.settings, run.result) == ("a", {"seed": 1}, None)
        store.end_run("a", {"verdict": "improved"})
        assert [(run.name, run.result) for run in store.runs()] == [
            ("a", {"verdict": "improved"}),
            ("b", None),
        ]

    def test_one_that_holds_nothing_is_begun_anew_and_else_left_as_it_is(
        self, store: Store
    ) -> None:
        store.add_rollout("b", KEY, record())
        for seed in (1, 2):
            store.begin_run("a", {"seed": seed})
            run = store.run("a")
            assert run is not None
            assert run.settings == {"seed": seed}
        store.add_rollout("a", KEY, record())
        store.begin_run("a", {"seed": 3})
        run = store.run("a")
        assert run is not None
        assert run.settings == {"seed": 2}

    def test_one_is_deleted_with_all_that_belongs_to_it_and_no_other(self, store: Store) -> None:
        for name in ("a", "b"):
            store.begin_run(name, {"seed": 1})
            store.add_rollout(name, KEY, record())
            store.add_call(name, "k", {"text": "t"})
            store.add_candidate(name, "c", {"round": 0})
            store.set_tasks(name, load_dataset([1], "val"))
        store.delete_run("a")
        store.delete_run("nothing")
        assert [run.name for run in store.runs()] == ["b"]
        kept = [(len(list(store.rollouts(n))), len(store.calls(n))) for n in ("a", "b")]
        assert kept == [(0, 0), (1, 1)]
        assert [len(store.candidates(name)) for name in ("a", "b")] == [0, 1]
        assert [len(store.tasks(name)) for name in ("a", "b")] == [0, 1]

    def test_have_a_plan_once_it_is_known(self, store: Store) -> None:
        store.begin_run("a", {})
        store.plan_run("a", {"val": 3})
        run = store.run("a")
        assert run is not None
        assert run.plan == {"val": 3}
        store.begin_run("b", {})
        assert [run.plan for run in store.runs()] == [{"val": 3}, None]

    def test_have_tasks_which_a_new_start_replaces(self, store: Store) -> None:
        store.set_tasks("a", load_dataset([1, 2, 3], "val"))
        val, test = load_dataset([{"q": "é"}, 2, 2], "val"), load_dataset([0], "test")
        store.set_tasks("a", [*val, *test])
        store.set_tasks("b", load_dataset([9], "val"))
        assert store.tasks("a") == [*test, *val]

    def test_tell_how_far_they_have_come(self, store: Store) -> None:
        assert store.activity("a") == Activity(0, 0, 0, 0.0, False)
        store.begin_run("a", {})
        started = time.time()
        store.add_rollout("a", KEY, record())
        store.add_call("a", "k", {})
        store.add_candidate("a", "c1", {})
        store.add_candidate("a", "c2", {})
        store.add_rollout("b", KEY, record())
        activity = store.activity("a")
        assert (activity.rollouts, activity.calls, activity.candidates) == (1, 1, 2)
        assert started <= activity.latest <= time.time()
        assert not activity.ended
        store.end_run("a", {})
        assert store.activity("a").ended


class TestRollouts:
    def test_come_back_by_their_key(self, store: Store) -> None:
        store.add_rollout("a", KEY, record(output={"text": "é\ud800\x00"}))
        assert store.rollout("a", KEY) == record(output={"text": "é\ud800\x00"})
        for run, other in (
            ("b", KEY),
            ("a", RolloutKey("c2", "val", "k1")),
            ("a", RolloutKey("c1", "test", "k1")),
            ("a", RolloutKey("c1", "val", "k2")),
            ("a", RolloutKey("c1", "val", "k1", "1")),
        ):
            assert store.rollout(run, other) is None

    def test_can_be_read_from_a_time_on(self, store: Store) -> None:
        store.add_rollout("a", KEY, record())
        later = RolloutKey("c2", "val", "k1")
        since = store.activity("a").latest
        store.add_rollout("a", later, record())
        assert [key for key, _ in store.rollouts("a")] == [KEY, later]
        assert [key for key, _ in store.rollouts("a", since)] == [KEY, later]
        assert [key for key, _ in store.rollouts("a", store.activity("a").latest)] == [later]
        assert list(store.rollouts("a", time.time() + 1)) == []

    def test_that_the_world_failed_are_no_answer_and_are_replaced(self, store: Store) -> None:
        store.add_rollout("a", KEY, record("unavailable", None, usage=[1, 2, 3, 0.5]))
        assert store.rollout("a", KEY) is None
        assert [r["status"] for _, r in store.rollouts("a")] == ["unavailable"]
        store.add_rollout("a", KEY, record("failed", 0.0))
        kept = record("failed", 0.0, replaced=[[1, 2, 3, 0.5]])
        assert store.rollout("a", KEY) == kept
        assert [r["status"] for _, r in store.rollouts("a")] == ["failed"]

    def test_are_listed_in_order_of_time(self, store: Store) -> None:
        keys = [RolloutKey("c", "val", f"k{9 - i}", str(i)) for i in range(9)]
        for key in keys:
            store.add_rollout("a", key, record())
        assert [key for key, _ in store.rollouts("a")] == keys
        assert list(store.rollouts("b")) == []

    def test_the_key_is_the_id(self) -> None:
        assert str(RolloutKey("c", "val", "k", "round-1")) == "c/val/k/round-1"


class TestCallsAndCandidates:
    def test_calls_come_back_by_their_key(self, store: Store) -> None:
        store.add_call("a", "k", {"text": "one"})
        store.add_call("a", "k", {"text": "two"})
        assert store.call("a", "k") == {"text": "two"}
        assert store.call("a", "other") is None
        assert store.call("b", "k") is None

    def test_candidates_keep_their_place_when_replaced(self, store: Store) -> None:
        for name, score in (("x", 1), ("y", 2), ("x", 3)):
            store.add_candidate("a", name, {"id": name, "score": score})
        assert store.candidates("a") == [{"id": "x", "score": 3}, {"id": "y", "score": 2}]
        assert store.candidates("b") == []


def test_may_be_used_from_many_threads(store: Store) -> None:
    def write(thread: int) -> None:
        for i in range(25):
            store.add_call("a", f"{thread}-{i}", {"i": i})
            assert store.call("a", f"{thread}-{i}") == {"i": i}

    threads = [threading.Thread(target=write, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(store.call("a", f"{t}-{i}") == {"i": i} for t in range(8) for i in range(25)) == 200
