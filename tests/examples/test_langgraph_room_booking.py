import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from agl_adapters.testing import SimulatedModel

pytest_plugins = ["agl_adapters.testing.fixtures"]

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def program(simulated_model: SimulatedModel, monkeypatch: pytest.MonkeyPatch) -> Any:
    simulated_model.configure(scenario="room_booking")
    monkeypatch.syspath_prepend(EXAMPLES)
    return import_module("langgraph_room_booking")


def question(program: Any, place: int = 0) -> dict[str, Any]:
    return {"messages": [("user", program.rooms.load_tasks("val")[place]["input"])]}


def test_planner_and_decider_each_send_their_own_prompt(
    program: Any, simulated_model: SimulatedModel
) -> None:
    result = program.build_graph().invoke(question(program))
    planned, decided = simulated_model.log()
    assert (planned.system, planned.tools) == (program.PLANNER_PROMPT, ["list_rooms"])
    assert (decided.system, decided.tools) == (program.DECIDER_PROMPT, [])
    assert decided.roles == ["system", "user", "assistant", "tool"]
    assert "Room:" in result["messages"][-1].content


async def test_it_runs_async_with_the_same_answers(
    program: Any, simulated_model: SimulatedModel
) -> None:
    graph = program.build_graph()
    answers = [graph.invoke(question(program, n))["messages"][-1].content for n in range(4)]
    simulated_model.reset()
    again = [(await graph.ainvoke(question(program, n)))["messages"][-1].content for n in range(4)]
    assert again == answers


def test_it_runs_by_itself_and_knows_nothing_of_this_project(
    simulated_model: SimulatedModel, tmp_path: Path
) -> None:
    simulated_model.configure(scenario="room_booking")
    script = EXAMPLES / "langgraph_room_booking.py"
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "Room: " in done.stdout
    for path in (script, EXAMPLES / "rooms.py"):
        assert "agl" not in path.read_text()
