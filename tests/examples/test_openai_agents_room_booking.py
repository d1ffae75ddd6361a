import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from agents.tracing import set_trace_processors
from agents.tracing.processors import default_processor

from agl_adapters.testing import SimulatedModel

pytest_plugins = ["agl_adapters.testing.fixtures"]

EXAMPLES = Path(__file__).parents[2] / "examples"
PLANNER = "openai_agents:planner#instructions"
DECIDER = "openai_agents:decider#instructions"


@pytest.fixture
def program(simulated_model: SimulatedModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The program, which uploads nothing, also outside of rollouts."""
    simulated_model.configure(scenario="room_booking")
    monkeypatch.syspath_prepend(EXAMPLES)
    # The SDK shares connections, which may be of an event loop that has ended.
    monkeypatch.setattr("agents.models.openai_provider._http_client", None)
    set_trace_processors([])
    yield import_module("openai_agents_room_booking")
    set_trace_processors([default_processor()])


# The SDK keeps its async client, which belongs to the loop that it was first used on.
@pytest.mark.asyncio(loop_scope="session")
async def test_planner_and_decider_each_send_their_own_prompt(
    program: Any, simulated_model: SimulatedModel
) -> None:
    answer = await program.book_room(program.rooms.load_tasks("val")[0]["input"])
    planned, decided = simulated_model.log()
    assert (planned.system, planned.tools) == (program.PLANNER_PROMPT, ["list_rooms"])
    assert (decided.system, decided.tools) == (program.DECIDER_PROMPT, [])
    assert decided.body["input"][-1]["type"] == "function_call_output"
    assert "Room:" in answer


def test_better_prompts_are_better(program: Any, improved_by_rules: Callable[..., bool]) -> None:
    """The prompts reach both agents: what they state is obeyed."""
    assert improved_by_rules(program, PLANNER, DECIDER)


def test_it_runs_by_itself_and_knows_nothing_of_this_project(
    simulated_model: SimulatedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated_model.configure(scenario="room_booking")
    monkeypatch.setenv("OPENAI_AGENTS_DISABLE_TRACING", "1")
    script = EXAMPLES / "openai_agents_room_booking.py"
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "Room: " in done.stdout
    assert "agl" not in script.read_text()
