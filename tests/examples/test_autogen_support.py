"""The tool-using example: its tools, its score, its prompt."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import agl_adapters as agl
from agl_adapters.testing import SimulatedModel
from agl_adapters.testing.support import HOUSE

pytest_plugins = ["agl_adapters.testing.fixtures"]

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def program(simulated_model: SimulatedModel, monkeypatch: pytest.MonkeyPatch) -> Any:
    simulated_model.configure(scenario="support")
    monkeypatch.syspath_prepend(EXAMPLES)
    return import_module("autogen_support")


def test_what_the_tools_do_is_what_is_scored(program: Any) -> None:
    shop = program.support.Shop()
    task = program.support.load_tasks("test")[0]
    (number,) = [word.strip(":") for word in task["ticket"].split() if word.startswith("O")][:1]
    assert f"Order {number} | item: " in shop.find_order(number)
    assert "in stock" not in shop.find_order(number)
    assert shop.find_order("O0") == "There is no order O0."
    assert shop.check_stock("O0") == "Stock for O0: 0"
    assert shop.done == []
    assert shop.refund(number, 5) == f"Done: refund {number} 5."
    shop.send_replacement(number)
    shop.escalate(number, "legal")
    assert shop.done == [f"refund {number} 5", f"replace {number}", f"escalate {number} legal"]
    assert program.support.score({"expected": shop.done}, shop.done) == 1.0
    assert program.support.score({"expected": shop.done[:1]}, shop.done) == 0.0
    assert program.support.score({"expected": []}, []) == 1.0


async def test_the_tools_are_called_until_there_is_nothing_left_to_do(
    program: Any, simulated_model: SimulatedModel
) -> None:
    tasks = program.support.load_tasks("test")
    task = next(task for task in tasks if task["expected"][:1] and "rep" in task["expected"][0])
    await program.handle(task)
    log = simulated_model.log()
    assert [request.system for request in log] == [program.CLERK_PROMPT] * len(log)
    assert log[-1].roles == ["system", "user", *["assistant", "tool"] * (len(log) - 1)]
    assert len(log) > 2


def test_its_prompt_is_found_and_a_better_one_scores_higher(program: Any) -> None:
    agent = agl.wrap(program.handle, reward=program.support.score)
    tasks = program.support.load_tasks("val")[:15]
    seed = agl.Trainer().dev(agent, tasks, len(tasks))
    slots = {slot: use.original for slot, use in seed[0].slots.items()}
    assert slots == {"autogen:clerk#system": program.CLERK_PROMPT}
    rules = "\n".join(rule.sentence for rule in HOUSE)
    better = {slot: f"{text}\n{rules}" for slot, text in slots.items()}
    improved = agl.Trainer(initial_resources=better).dev(agent, tasks, len(tasks))
    assert 0.2 < (seed.score or 0.0) < 0.6
    assert (improved.score or 0.0) > 0.9


def test_it_runs_by_itself_and_knows_nothing_of_this_project(program: Any, tmp_path: Path) -> None:
    script = EXAMPLES / "autogen_support.py"
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", str(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Ticket K" in done.stdout
    for path in (script, EXAMPLES / "support.py"):
        assert "agl" not in path.read_text()
