"""The retrieval example: its search, its score, its two prompts."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import agl_adapters as agl
from agl_adapters.testing import SimulatedModel
from agl_adapters.testing.handbook import ANSWERING, SEARCHING

pytest_plugins = ["agl_adapters.testing.fixtures"]

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def program(simulated_model: SimulatedModel, monkeypatch: pytest.MonkeyPatch) -> Any:
    simulated_model.configure(scenario="handbook")
    monkeypatch.syspath_prepend(EXAMPLES)
    return import_module("langgraph_handbook")


def test_the_search_is_by_words_and_finds_nothing_where_there_is_nothing(program: Any) -> None:
    search = program.handbook.search
    best = search("commuting allowance driving staff")
    assert "Commuting allowance, driving staff" in best[0]
    assert len(best) == 4
    assert search("zebra") == []
    assert search("") == []


def test_the_documents_hold_the_answer_of_every_task(program: Any) -> None:
    handbook = program.handbook
    documents = {d["number"]: d for d in handbook._lines("documents")}
    questions = set()
    for task in [task for split in ("train", "val", "test") for task in handbook.load_tasks(split)]:
        right = documents[task["document"]]
        questions.add(task["question"])
        assert task["answer"] in right["text"]
        assert right["state"] == "edition"
        about = (right["title"], right["staff"])
        others = [d for d in documents.values() if (d["title"], d["staff"]) == about]
        assert [d["state"] for d in others if d["year"] > right["year"]] in ([], ["draft"])
        assert [d for d in others if task["answer"] in d["text"]] == [right]
    assert len(questions) == 90


def test_half_is_for_the_answer_and_half_for_the_document(program: Any) -> None:
    task = {"answer": "26 weeks", "document": "H26"}
    score = program.handbook.score
    for said, worth in {
        "Answer: 26 weeks [H26]": 1.0,
        "Let me see.\nAnswer:  26 Weeks. [H26]": 1.0,
        "Answer: 26 weeks": 0.5,
        "Answer: 26 weeks [H27]": 0.5,
        "Answer: 26 weeks [H26] [H27]": 0.5,
        "Answer: 25 weeks [H26]": 0.0,
        "Answer: 26 weeks [H26]\nAnswer: not found": 0.0,
        "26 weeks [H26]": 0.0,
    }.items():
        assert score(task, {"answer": said}) == worth, said


def test_both_prompts_are_found_and_better_ones_score_higher(program: Any) -> None:
    agent = agl.wrap(program.graph, input=program.to_input, reward=program.handbook.score)
    tasks = program.handbook.load_tasks("val")[:16]
    seed = agl.Trainer().dev(agent, tasks, len(tasks))
    slots = {slot: use.original for slot, use in seed[0].slots.items()}
    assert slots == {
        "langgraph:searcher#system": program.SEARCHER_PROMPT,
        "langgraph:answerer#system": program.ANSWERER_PROMPT,
    }
    lacks = zip(slots.items(), (SEARCHING, ANSWERING), strict=True)
    better = {
        slot: "\n".join([text, *(rule.sentence for rule in rules)]) for (slot, text), rules in lacks
    }
    improved = agl.Trainer(initial_resources=better).dev(agent, tasks, len(tasks))
    assert 0.2 < (seed.score or 0.0) < 0.6
    assert (improved.score or 0.0) > 0.9


def test_it_runs_by_itself_and_knows_nothing_of_this_project(program: Any, tmp_path: Path) -> None:
    script = EXAMPLES / "langgraph_handbook.py"
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "Answer: " in done.stdout
    for path in (script, EXAMPLES / "handbook.py"):
        assert "agl" not in path.read_text()
