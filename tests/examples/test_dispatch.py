"""The two programs of two agents, `langgraph_dispatch` and `openai_dispatch`."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import agl_adapters as agl
from agl_adapters.testing import SimulatedModel
from agl_adapters.testing.dispatch import dispatch_tasks, grade

pytest_plugins = ["agl_adapters.testing.fixtures"]

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAMS = {
    "langgraph_dispatch": ("langgraph:router#system", "langgraph:scheduler#system"),
    "openai_dispatch": (
        "openai:openai_dispatch.route#system",
        "openai:openai_dispatch.schedule#system",
    ),
}


@pytest.fixture(params=PROGRAMS)
def name(
    request: pytest.FixtureRequest,
    simulated_model: SimulatedModel,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    simulated_model.configure(scenario="dispatch")
    monkeypatch.syspath_prepend(EXAMPLES)
    return request.param


def agent_of(name: str) -> Any:
    program: Any = import_module(name)
    if name == "openai_dispatch":
        return agl.wrap(program.send, reward=lambda task, answer: grade(answer, task))
    return agl.wrap(
        program.graph,
        input=lambda task: {"report": task["report"], "crews": task["crews"]},
        reward=lambda task, state: grade(state["answer"], task),
    )


def test_both_prompts_get_better_and_it_is_on_record_which_did_when(name: str) -> None:
    router, scheduler = PROGRAMS[name]
    trainer = agl.Trainer(agl.APO("gpt-4o", beam_rounds=4), budget=agl.Budget(rollouts=150))
    result = trainer.fit(agent_of(name), dispatch_tasks("train", 30), dispatch_tasks("val", 30))

    assert set(result.seed) == {router, scheduler}
    assert (result.best_score or 0.0) > (result.seed_score or 0.0) + 0.3
    for slot, about in ((router, "team"), (scheduler, "worker")):
        added = result.best[slot].raw.removeprefix(result.seed[slot].raw)
        assert about in added
    assert "worker" not in result.best[router].raw  # each was told what is about it alone
    by_id = {record.id: record.candidate for record in result.history}
    for record in result.history:
        child = record.candidate
        if child.parent is None or child.rejected:
            continue
        before = by_id[child.parent].resources
        assert {n for n in before if before[n] != child.resources[n]} == set(child.changed)
        named = {n for critique in child.critiques for n in critique.prompts or ()}
        assert set(child.changed) <= named <= {router, scheduler}
        keys = {critique.key for critique in child.critiques}
        assert all(set(edit.critiques) <= keys for edit in child.edits.values())


def test_it_runs_by_itself_and_knows_nothing_of_this_project(name: str, tmp_path: Path) -> None:
    script = EXAMPLES / f"{name}.py"
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "Worker: " in done.stdout
    assert "agl" not in script.read_text()


def test_the_task_of_the_examples_is_one_of_the_scenario() -> None:
    task = json.loads((EXAMPLES / "data" / "dispatch" / "task.json").read_text())
    assert [task] == dispatch_tasks("example", 1)
