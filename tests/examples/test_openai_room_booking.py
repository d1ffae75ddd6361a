import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import agl_adapters as agl
from agl_adapters.testing import SimulatedModel

pytest_plugins = ["agl_adapters.testing.fixtures"]

EXAMPLES = Path(__file__).parents[2] / "examples"
PLANNER = "openai:openai_room_booking.plan#system"
DECIDER = "openai:openai_room_booking.decide#system"


@pytest.fixture
def program(simulated_model: SimulatedModel, monkeypatch: pytest.MonkeyPatch) -> Any:
    simulated_model.configure(scenario="room_booking")
    monkeypatch.syspath_prepend(EXAMPLES)
    return import_module("openai_room_booking")


def test_planner_and_decider_each_send_their_own_prompt(
    program: Any, simulated_model: SimulatedModel
) -> None:
    answer = program.book_room(program.rooms.load_tasks("val")[0]["input"])
    planned, decided = simulated_model.log()
    assert planned.system == "You gather what is needed to book a meeting room."
    assert planned.tools == ["list_rooms"]
    assert (decided.system, decided.tools) == ("You are a booking assistant.", [])
    assert decided.roles == ["system", "user", "assistant", "tool"]
    assert "Room:" in answer


def test_better_prompts_are_better(program: Any, simulated_model: SimulatedModel) -> None:
    """The prompts reach both calls: what they state is obeyed."""
    gathering = (
        "Call list_rooms with the day of the request. "
        "Call list_rooms with the building that the request names."
    )
    deciding = (
        "Only pick a room whose capacity is at least the number of people. "
        "Only pick a room with no booking that overlaps the requested time."
    )

    @agl.algorithm
    async def propose(session: agl.Session) -> None:
        better = {PLANNER: gathering, DECIDER: deciding}
        for resources in (session.initial, better):
            evaluation = await session.evaluate(resources, session.val)
            session.report(resources, score=evaluation.score)

    agent = agl.wrap(
        program.book_room,
        input=lambda task: task["input"],
        reward=lambda task, answer: program.rooms.grade_booking(answer, task["expected_room"]),
    )
    trainer = agl.Trainer(algorithm=propose, n_runners=8)
    result = trainer.fit(agent, program.rooms.load_tasks("train"), program.rooms.load_tasks("val"))
    assert set(result.best) == {PLANNER, DECIDER}
    assert (result.best_score or 0.0) > (result.seed_score or 0.0)
    assert result.best[PLANNER].raw == gathering


def test_it_runs_by_itself_and_knows_nothing_of_this_project(
    simulated_model: SimulatedModel, tmp_path: Path
) -> None:
    simulated_model.configure(scenario="room_booking")
    script = EXAMPLES / "openai_room_booking.py"
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "Room: " in done.stdout
    assert "agl" not in script.read_text()
