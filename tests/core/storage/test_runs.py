from __future__ import annotations

from typing import Any

import pytest

from agl_core.errors import ConfigurationError
from agl_core.storage.runs import begin_or_resume, new_run_name, newest_run, run_name
from agl_core.storage.sqlite import MemoryStore
from agl_core.storage.store import RolloutKey

SETTINGS: dict[str, Any] = {"agent": "a", "seed": 0, "algorithm": {"name": "APO", "rounds": 2}}


@pytest.fixture
def store() -> MemoryStore:
    """A store whose run `old` holds a rollout."""
    store = MemoryStore()
    store.begin_run("old", SETTINGS)
    store.add_rollout("old", RolloutKey("c", "val", "t"), {"status": "failed", "score": 0.0})
    return store


def test_a_new_run_is_begun(store: MemoryStore) -> None:
    for name, resume in (("new", False), ("other", True)):
        begin_or_resume(store, name, SETTINGS, resume)
        run = store.run(name)
        assert run is not None
        assert run.settings == SETTINGS


def test_a_run_without_a_name_is_given_one() -> None:
    assert run_name("old", resume=True) == "old"
    assert len({run_name(None, resume=False) for _ in range(20)}) == 20
    assert new_run_name() != new_run_name()


def test_one_that_holds_nothing_may_be_begun_again_with_other_input(store: MemoryStore) -> None:
    begin_or_resume(store, "new", SETTINGS, resume=False)
    begin_or_resume(store, "new", {**SETTINGS, "seed": 1}, resume=False)
    run = store.run("new")
    assert run is not None
    assert run.settings["seed"] == 1


def test_one_that_holds_nothing_but_candidates_is_begun_without_them(store: MemoryStore) -> None:
    """Of a run that failed at its first rollout."""
    begin_or_resume(store, "new", SETTINGS, resume=False)
    store.add_candidate("new", "c", {"id": "c"})
    begin_or_resume(store, "new", {**SETTINGS, "seed": 1}, resume=False)
    assert store.candidates("new") == []


def test_one_that_holds_no_more_than_a_call_is_not_begun_again(store: MemoryStore) -> None:
    begin_or_resume(store, "new", SETTINGS, resume=False)
    store.add_call("new", "k", {"text": "paid for"})
    with pytest.raises(ConfigurationError, match="has a run named 'new' already"):
        begin_or_resume(store, "new", {**SETTINGS, "seed": 1}, resume=False)


def test_one_that_holds_something_is_gone_on_with_only_if_asked(store: MemoryStore) -> None:
    with pytest.raises(ConfigurationError, match=r"has a run named 'old' already: .*resume=True"):
        begin_or_resume(store, "old", SETTINGS, resume=False)
    begin_or_resume(store, "old", SETTINGS, resume=True)


def test_settings_are_compared_as_json(store: MemoryStore) -> None:
    store.begin_run("new", {"models": ["a", "b"]})
    store.add_rollout("new", RolloutKey("c", "val", "t"), {"status": "failed", "score": 0.0})
    begin_or_resume(store, "new", {"models": ("a", "b")}, resume=True)


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"seed": 1}, "seed"),
        ({"seed": 1, "agent": "b"}, "agent, seed"),
        ({"algorithm": {"name": "APO", "rounds": 3}}, r"algorithm \(rounds\)"),
        ({"algorithm": {"name": "APO"}}, r"algorithm \(rounds\)"),
        ({"algorithm": {"name": "B", "x": 1}}, r"algorithm \(name, rounds, x\)"),
        ({"test": "data"}, "test"),
    ],
)
def test_other_settings_are_refused_by_name(
    store: MemoryStore, changed: dict[str, Any], names: str
) -> None:
    with pytest.raises(ConfigurationError, match=rf"'old' was started with another {names}: "):
        begin_or_resume(store, "old", {**SETTINGS, **changed}, resume=True)
    run = store.run("old")
    assert run is not None
    assert run.settings == SETTINGS


def test_a_changed_program_is_gone_on_with_only_if_asked(store: MemoryStore) -> None:
    before = {**SETTINGS, "program": {"app.plan": "1", "app.MODEL": "2"}}
    store.begin_run("new", before)
    store.add_rollout("new", RolloutKey("c", "val", "t"), {"status": "failed", "score": 0.0})
    now = {**SETTINGS, "program": {"app.plan": "1", "app.MODEL": "3", "app.LOG": "4"}}
    with pytest.raises(
        ConfigurationError, match=r"another program \(app.MODEL, app.LOG\): .*resume=\"changed\""
    ):
        begin_or_resume(store, "new", now, resume=True)
    assert begin_or_resume(store, "new", now, resume="changed") == ["app.MODEL", "app.LOG"]
    run = store.run("new")
    assert run is not None
    assert run.settings == {**now, "changed": ["app.MODEL", "app.LOG"]}
    assert begin_or_resume(store, "new", now, resume=True) == []
    with pytest.raises(ConfigurationError, match="another seed, program") as refused:
        begin_or_resume(store, "new", {**before, "seed": 9}, resume="changed")
    assert "changed" not in str(refused.value).partition("changed on purpose")[2]
    many = {**SETTINGS, "program": {f"app.P{number}": "1" for number in range(20)}}
    with pytest.raises(ConfigurationError, match=r"app.P4, and 15 more\)"):
        begin_or_resume(store, "new", many, resume=True)


def test_resume_is_one_of_three(store: MemoryStore) -> None:
    with pytest.raises(ConfigurationError, match="resume is 'anyway'"):
        run_name("new", "anyway")  # pyright: ignore[reportArgumentType]


def test_without_a_name_there_is_nothing_to_resume() -> None:
    with pytest.raises(ConfigurationError, match="which run is to be resumed"):
        run_name(None, resume=True)


def test_the_newest_run_is_the_one_begun_last(store: MemoryStore) -> None:
    store.begin_run("another", SETTINGS)
    store.end_run("old", {})
    assert newest_run(store).name == "another"
    with pytest.raises(ConfigurationError, match=":memory: holds no run"):
        newest_run(MemoryStore())
