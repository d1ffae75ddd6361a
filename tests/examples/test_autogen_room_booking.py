import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import agl_adapters as agl
from agl_adapters.testing import SimulatedModel
from agl_adapters.testing.room_rules import RULES

pytest_plugins = ["agl_adapters.testing.fixtures"]

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def program(simulated_model: SimulatedModel, monkeypatch: pytest.MonkeyPatch) -> Any:
    simulated_model.configure(scenario="room_booking")
    monkeypatch.syspath_prepend(EXAMPLES)
    return import_module("autogen_room_booking")


def booking_agent(program: Any) -> Any:
    return agl.wrap(
        program.build_team(),
        input=lambda task: task["input"],
        reward=lambda task, result: program.rooms.grade_booking(
            result.messages[-1].content, task["expected_room"]
        ),
    )


async def test_planner_and_decider_each_send_their_own_prompt(
    program: Any, simulated_model: SimulatedModel
) -> None:
    request = program.rooms.load_tasks("val")[0]["input"]
    result = await program.build_team().run(task=request)
    planned, decided = simulated_model.log()
    assert (planned.system, planned.tools) == (program.PLANNER_PROMPT, ["list_rooms"])
    assert (decided.system, decided.tools) == (program.DECIDER_PROMPT, [])
    assert decided.users[0] == request
    assert "| capacity " in decided.users[1]
    assert "Room:" in result.messages[-1].content


def test_its_prompts_are_found_and_better_ones_score_higher(program: Any) -> None:
    agent = booking_agent(program)
    tasks = program.rooms.load_tasks("val")
    seed = agl.Trainer().dev(agent, tasks, len(tasks))
    assert {slot: use.original for slot, use in seed[0].slots.items()} == {
        "autogen:planner#system": program.PLANNER_PROMPT,
        "autogen:decider#system": program.DECIDER_PROMPT,
    }
    rules = " ".join(rule.sentence for rule in RULES)
    better = {slot: f"{use.original} {rules}" for slot, use in seed[0].slots.items()}
    improved = agl.Trainer(initial_resources=better).dev(agent, tasks, len(tasks))
    assert seed.score is not None
    assert improved.score is not None
    assert improved.score > seed.score + 0.1


def test_it_runs_by_itself_and_knows_nothing_of_this_project(
    simulated_model: SimulatedModel, tmp_path: Path
) -> None:
    simulated_model.configure(scenario="room_booking")
    script = EXAMPLES / "autogen_room_booking.py"
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", str(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Room: " in done.stdout
    assert "agl" not in script.read_text()
