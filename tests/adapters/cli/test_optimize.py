"""The daily commands on a user's program: real processes, against the simulated model."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from agl_adapters.testing.launch import simulated_model

AGL = Path(sys.executable).parent / "agl"
EXAMPLES = Path(__file__).parents[3] / "examples"

SETTINGS = """
agent = "openai_room_booking:book_room"
input = "glue:to_input"
reward = "glue:score"

[optimize]
train = "data/room_booking/train.jsonl"
val = "data/room_booking/val.jsonl"
test = "data/room_booking/test.jsonl"
model = "gpt-4o-mini"
set = { beam_rounds = 2 }

[eval]
tasks = "data/room_booking/test.jsonl"
"""
GLUE = """
import agl_adapters as agl

def to_input(task):
    return task["input"]

def score(task, output):
    right = task["expected_room"] in output
    return agl.Reward(float(right), feedback="" if right else "another room was right")
"""


class Shop:
    """A folder with a program, and the command in it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        variables = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "simulated", "COLUMNS": "100"}
        self._environment = {**os.environ, **variables}

    def agl(self, *arguments: str, code: int = 0) -> str:
        """Run the command; return its output, of an error what it says."""
        done = subprocess.run(
            [AGL, *arguments],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stderr if code else done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.agl(*arguments, "--json"))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Generator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    for name in ("openai_room_booking.py", "rooms.py"):
        shutil.copy(EXAMPLES / name, folder)
    shutil.copytree(EXAMPLES / "data", folder / "data")
    (folder / "glue.py").write_text(GLUE)
    (folder / "agl.toml").write_text(SETTINGS)
    with simulated_model("room_booking") as model:
        yield Shop(folder, model.base_url)


@pytest.fixture(scope="module")
def optimized(shop: Shop) -> str:
    """What `agl optimize` printed."""
    return shop.agl("optimize", "--run", "first", "--budget-rollouts", "300")


def test_discover_shows_the_prompts_of_the_program(shop: Shop) -> None:
    arguments = ["discover", "--tasks", "data/room_booking/val.jsonl", "--out", "found.json"]
    shown = shop.agl(*arguments)
    assert "openai:openai_room_booking.decide#system" in shown
    assert "You are a booking assistant." in shown
    assert "saved to found.json" in shown
    found = shop.json(*arguments)
    assert found == json.loads((shop.folder / "found.json").read_text())
    assert len(found["slots"]) == 2


def test_eval_scores_the_program_as_it_is(shop: Shop) -> None:
    shown = shop.agl("eval")
    assert "on 29 tasks with 8 runners" in shown
    assert "Lowest scores" in shown
    assert "another room was right" in shown
    assert "Spent: 29 rollouts" in shown
    facts = shop.json("eval", "--seed", "1", "--redact", "another [a-z]+", "--store", "kept.db")
    assert "[redacted] was right" in [task["feedback"] for task in facts["tasks"]]
    kept = b"".join(path.read_bytes() for path in shop.folder.glob("kept.db*"))
    assert b"[redacted] was right" in kept
    assert b"another room" not in kept
    assert len(facts["tasks"]) == 29
    scores = [task["score"] for task in facts["tasks"]]
    assert facts["score"] == pytest.approx(sum(scores) / 29)
    assert facts["interval"][0] < facts["score"] < facts["interval"][1]
    assert not (shop.folder / "runs.db").exists()


def test_optimize_finds_better_prompts_and_keeps_them(shop: Shop, optimized: str) -> None:
    assert "Score per round" in optimized
    assert "Verdict: " in optimized
    assert "prompts.json: the best prompts" in optimized
    slots = json.loads((shop.folder / "prompts.json").read_text())["prompts"]
    assert set(slots) == {
        "openai:openai_room_booking.plan#system",
        "openai:openai_room_booking.decide#system",
    }
    before = shop.json("eval")["score"]
    assert shop.json("eval", "--prompts", "prompts.json")["score"] > before


@pytest.mark.usefixtures("optimized")
def test_a_run_can_be_resumed_by_its_name_and_not_begun_again(shop: Shop) -> None:
    said = shop.agl("optimize", "--run", "first", code=1)
    assert "has a run named 'first' already" in said
    said = shop.agl("optimize", "--resume", "first", "--seed", "9", code=1)
    assert "run 'first' was started with another seed" in said
    said = shop.agl("optimize", "--resume", "first", "--run", "other", code=1)
    assert "give one" in said


@pytest.mark.usefixtures("optimized")
def test_runs_are_listed_shown_compared_and_deleted(shop: Shop) -> None:
    shop.agl("eval", "--store", "runs.db")
    first, second = shop.json("runs", "list")
    assert (first["run"], first["algorithm"]) == ("first", "APO")
    assert 0 < first["rollouts"] <= 300
    assert second["algorithm"] == "Baseline"
    listed = shop.agl("runs", "list")
    assert "first" in listed
    assert "evaluated" in listed
    shown = shop.agl("runs", "show", "first")
    assert f"Rollouts in the store: {first['rollouts']} succeeded" in shown
    assert "Critique" in shown
    assert "+ " in shown
    assert shop.json("runs", "show", "first")["candidates"][0]["round"] == 0
    newest = second["run"]
    assert shop.json("runs", "show")["run"] == newest
    assert shop.agl("report", "--out", "of it.html").endswith(f" MB, of run {newest}\n")
    exported = shop.agl("export", "--out", "rows.jsonl")
    assert exported.endswith(f" rows to rows.jsonl, of run {newest}\n")
    assert exported != shop.agl("export", "first", "--out", "rows.jsonl")
    compared = shop.agl("runs", "compare", "first", second["run"])
    assert "Their validation tasks differ" in compared
    assert "deleted" in shop.agl("runs", "delete", second["run"], "--yes")
    assert [run["run"] for run in shop.json("runs", "list")] == ["first"]
    assert "has no run 'second'; it has: first" in shop.agl("runs", "show", "second", code=1)
    assert "there is no store no.db" in shop.agl("runs", "list", "--store", "no.db", code=1)


def test_which_prompts_are_optimized_is_chosen_by_pattern(shop: Shop) -> None:
    chosen = ["--optimize", "*decide*", "--set", "beam_rounds=1", "--out", "one.json"]
    result = shop.json("optimize", *chosen, "--store", "one.db", "--budget-rollouts", "200")
    assert list(result["best"]) == ["openai:openai_room_booking.decide#system"]
    said = shop.agl("optimize", "--freeze", "langgraph:*", "--store", "two.db", code=1)
    assert "langgraph:*" in said
    assert "openai:openai_room_booking.decide#system" in said


def test_a_program_that_fails_is_told_in_one_line(shop: Shop) -> None:
    (shop.folder / "failing.py").write_text("def answer(question):\n    return question['x']\n")
    arguments = ["eval", "failing:answer"]
    said = shop.agl(*arguments, code=1)
    assert said.count("\n") == 1
    assert "TypeError: string indices must be integers" in said
    assert "(failing.py, line 2; -v shows the traceback)" in said
    assert "Traceback" in shop.agl(*arguments, "-v", code=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["discover", "--tasks", "no.jsonl"], "cannot read the dataset no.jsonl"),
        (["eval", "--tasks", "no.jsonl"], "cannot read the dataset no.jsonl"),
        (["eval", "--redact", "("], "redact has '(', which is no regular expression"),
        (["eval", "--prompts", "no.json"], "cannot read the prompts no.json"),
        (["optimize", "--out", "no/prompts.json"], "the best prompts cannot be written to"),
        (["optimize", "--algorithm", "best"], "--algorithm is 'best'"),
        (["optimize", "nowhere:graph"], "there is no module nowhere"),
        (["optimize", "--template", "x"], "--template x: write SLOT=TEXT"),
    ],
)
def test_wrong_input_is_one_line_before_anything_is_spent(
    arguments: list[str], message: str, shop: Shop
) -> None:
    said = shop.agl(*arguments, code=1)
    assert message in said
    assert said.count("\n") == 1
