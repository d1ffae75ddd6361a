"""What is read of real runs, ended or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import agl_adapters as agl
from agl_adapters.report.changes import task_changes
from agl_adapters.report.facts import RunFacts
from agl_adapters.report.reading import RunReader, is_simulated
from agl_adapters.testing import simulated_model
from agl_core.errors import ConfigurationError

pytestmark = pytest.mark.usefixtures("few_samples")


@pytest.fixture
def few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agl_core.statistics.comparisons._SAMPLES", 200)


SEED = {"prompt": agl.PromptTemplate("seed")}


@agl.rollout
def agent(task: Any, prompt: agl.PromptTemplate) -> agl.Reward:
    """Be right on the tasks below the number in the prompt; fail on the first one of the seed."""
    text = prompt.format()
    if text == "seed" and task["n"] == 0:
        raise ValueError("a line\nthe last line")
    level = int(text) if text.isdigit() else 2
    return agl.Reward(float(task["n"] < level), feedback=f"below {level}")


def tasks(split: str) -> list[dict[str, Any]]:
    return [{"id": f"{split} {n}", "n": n, "question": f"Question {n}?"} for n in range(8)]


async def climb(session: agl.Session, *texts: str) -> None:
    """Evaluate the seed and each text, every one made from the one before."""
    parent = session.report(agl.Candidate(session.initial))
    await session.evaluate(session.initial, session.val)
    session.report(parent)
    for number, text in enumerate(texts, start=1):
        candidate = agl.Candidate({"prompt": agl.PromptTemplate(text)}, parent.id, "why", number)
        await session.evaluate(candidate.resources, session.val)
        parent = session.report(candidate)
    session.report(agl.Candidate(session.initial, parent.id, "why", 3, rejected="no good"))


def run(store: agl.Store, *texts: str, name: str = "r", **options: Any) -> agl.TrainResult:
    @agl.algorithm
    async def search(session: agl.Session) -> None:
        await climb(session, *texts)

    trainer = agl.Trainer(search, store=store, run=name, initial_resources=SEED, **options)
    return trainer.fit(agent, tasks("train"), tasks("val"), test_dataset=tasks("test"))


@pytest.fixture
def store() -> agl.Store:
    return agl.MemoryStore()


def read(store: agl.Store, name: str = "r") -> RunFacts:
    return RunReader(store, name).read()


def test_candidates_have_their_family_and_their_scores(store: agl.Store) -> None:
    run(store, "4", "6")
    facts = read(store)
    rows = [(c.label, c.parent, c.score, bool(c.candidate.rejected)) for c in facts.candidates]
    assert rows == [
        ("seed", None, 0.125, False),
        ("1", 0, 0.5, False),
        ("2", 1, 0.75, False),
        ("3", 2, None, True),
    ]
    assert facts.best is facts.candidates[2]
    assert facts.finalist is facts.best
    assert facts.means[2, "test"] == 0.75


def test_every_rollout_is_of_a_candidate_and_a_task(store: agl.Store) -> None:
    run(store, "4")
    facts = read(store)
    assert len(facts.rollouts) == 32
    first = next(r for r in facts.rollouts if r.status == "failed")
    assert (first.note, first.score) == (["ValueError: a line", "the last line"][1], 0.0)
    places = {
        (c.label, t.split, t.data["n"]): r.score
        for r, (c, t) in zip(facts.rollouts, facts.of_rollout, strict=True)
    }
    assert places["1", "test", 3] == 1.0
    assert places["1", "test", 4] == 0.0
    assert facts.splits == ["test", "val"]


def test_what_became_of_each_task_is_told_of_the_test_split(store: agl.Store) -> None:
    run(store, "6")
    changes = task_changes(read(store))
    assert changes is not None
    assert changes.split == "test"
    assert [c.task.data["n"] for c in changes.short] == [6, 7]
    assert [(c.task.data["n"], c.before, c.after) for c in changes.better] == [
        (n, 0.0, 1.0) for n in (0, 2, 3, 4, 5)
    ]
    assert (len(changes.worse), changes.fine) == (0, 1)
    assert changes.short[0].text == "Question 6?"
    assert changes.short[0].note == "below 6"


def test_where_the_seeds_prompts_came_back_the_one_that_lost_is_compared(store: agl.Store) -> None:
    assert run(store, "1", "0").verdict == "no_gain"
    facts = read(store)
    assert facts.best is facts.seed
    assert facts.finalist is facts.candidates[1]


def test_a_run_that_has_not_ended_is_read_as_far_as_it_is(store: agl.Store) -> None:
    seen: list[RunFacts] = []
    reader = RunReader(store, "r")

    @agl.algorithm
    async def search(session: agl.Session) -> None:
        seen.append(reader.read())
        await session.evaluate(session.initial, session.val[:3])
        seen.append(reader.read())
        await climb(session, "4")
        seen.append(reader.read())

    trainer = agl.Trainer(search, store=store, run="r", initial_resources=SEED)
    trainer.fit(agent, tasks("train"), tasks("val"), test_dataset=tasks("test"))
    before, little, more = seen
    assert [len(facts.rollouts) for facts in seen] == [0, 3, 16]
    assert [len(facts.tasks) for facts in seen] == [24, 24, 24]
    assert before.seed is not None
    assert before.seed.candidate.resources == SEED
    assert little.best is None
    assert more.best is more.candidates[1]
    assert more.usage["rollouts"] == 16
    # A reader that starts at the end sees what one sees that was there all along.
    assert reader.read() == read(store)


def test_what_a_run_that_goes_on_has_spent_takes_in_the_optimizer(store: agl.Store) -> None:
    @agl.algorithm(models=["gpt-4o"])
    async def search(session: agl.Session) -> None:
        await session.evaluate(session.initial, session.val)
        await session.ask("gpt-4o", [{"role": "user", "content": "What is wrong?"}])

    with simulated_model("echo"):
        trainer = agl.Trainer(search, store=store, run="r", initial_resources=SEED)
        trainer.fit(agent, tasks("train"), tasks("val"))
    facts = read(store)
    going_on = replace(facts, record=replace(facts.record, result=None))
    assert facts.optimizer.input_tokens > 0
    for name in ("rollouts", "model_calls", "input_tokens", "output_tokens"):
        assert going_on.usage[name] == facts.usage[name], name


def test_a_run_that_is_begun_anew_is_read_anew(store: agl.Store) -> None:
    run(store, "4")
    reader = RunReader(store, "r")
    assert len(reader.read().rollouts) == 32
    store.delete_run("r")
    with pytest.raises(ConfigurationError, match="has no run 'r'; it is empty"):
        reader.read()
    run(store)
    assert len(reader.read().rollouts) == 8


def test_candidates_that_were_only_run_are_not_hidden(store: agl.Store) -> None:
    @agl.algorithm
    async def quiet(session: agl.Session) -> None:
        await session.evaluate({"prompt": "5"}, session.val)

    agl.Trainer(quiet, store=store, run="r", initial_resources=SEED).fit(agent, tasks("val"))
    facts = read(store)
    assert [(c.label, c.known, len(c.short_id)) for c in facts.candidates] == [
        ("seed", True, 6),
        ("1", False, 6),
    ]
    assert facts.means[1, "val"] == 0.625


def test_tasks_that_the_algorithm_brought_are_there_by_name(store: agl.Store) -> None:
    @agl.algorithm
    async def curious(session: agl.Session) -> None:
        await session.evaluate(session.initial, [{"id": "mine", "n": 1}])

    agl.Trainer(curious, store=store, run="r", initial_resources=SEED).fit(agent, tasks("val"))
    assert [(t.split, t.name) for t in read(store).tasks][-1] == ("adhoc", "mine")


def test_a_run_is_simulated_if_an_answer_came_from_the_simulated_model(hostile_run: Any) -> None:
    kept = agl.SQLiteStore(hostile_run.path)
    record = kept.run(hostile_run.name)
    assert record is not None
    # The environment named no simulated model: the answers tell.
    assert record.plan is not None
    assert record.plan["simulated"] is False
    assert read(kept, hostile_run.name).simulated
    assert is_simulated(kept, record)
    kept.close()


def test_a_run_is_not_simulated_without_reason(store: agl.Store) -> None:
    run(store, "4")
    record = store.run("r")
    assert record is not None
    assert not read(store).simulated
    assert not is_simulated(store, record)


@pytest.mark.parametrize("evidence", ["plan", "call"])
def test_one_piece_of_evidence_is_enough(store: agl.Store, evidence: str) -> None:
    run(store, "4")
    record = store.run("r")
    assert record is not None
    assert record.plan is not None
    if evidence == "plan":
        store.plan_run("r", {**record.plan, "simulated": True})
    else:
        store.add_call("r", "k", {"text": "", "response_id": "chatcmpl-simulated-0a"})
    assert read(store).simulated


def test_a_store_of_the_version_before_is_read(store: agl.Store, tmp_path: Path) -> None:
    """It has no plan and no tasks."""
    result = run(store, "6")
    older = agl.SQLiteStore(tmp_path / "runs.db")
    record = store.run("r")
    assert record is not None
    older.begin_run("r", record.settings)
    for key, rollout in store.rollouts("r"):
        older.add_rollout("r", key, rollout)
    for data in store.candidates("r"):
        older.add_candidate("r", data["id"] + data["rejected"], data)
    older.end_run("r", result.to_json())
    facts = read(older)
    assert [c.label for c in facts.candidates] == ["seed", "1", "2"]
    assert facts.means == read(store).means
    changes = task_changes(facts)
    assert changes is not None
    assert len(changes.better) == 5
    older.close()
