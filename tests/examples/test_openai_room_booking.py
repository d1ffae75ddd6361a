import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

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


def test_better_prompts_are_better(program: Any, improved_by_rules: Callable[..., bool]) -> None:
    """The prompts reach both calls: what they state is obeyed."""
    assert improved_by_rules(program, PLANNER, DECIDER)


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
