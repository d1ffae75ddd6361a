"""The programs of `agl demo`, one per framework, each wrapped and run as the demo does."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agents.tracing import set_trace_processors
from agents.tracing.processors import default_processor

import agl_adapters as agl
from agl_adapters.cli.demo import examples_folder
from agl_adapters.cli.programs import PROGRAMS, Framework
from agl_adapters.testing import SimulatedModel

pytest_plugins = ["agl_adapters.testing.fixtures"]

SLOTS = {
    Framework.LANGGRAPH: ("langgraph:planner#system", "langgraph:decider#system"),
    Framework.OPENAI_AGENTS: (
        "openai_agents:planner#instructions",
        "openai_agents:decider#instructions",
    ),
    Framework.AUTOGEN: ("autogen:planner#system", "autogen:decider#system"),
    Framework.OPENAI: (
        "openai:openai_room_booking.plan#system",
        "openai:openai_room_booking.decide#system",
    ),
}


@pytest.fixture(params=Framework)
def framework(request: pytest.FixtureRequest) -> Framework:
    return request.param


@pytest.fixture
def module(
    framework: Framework, simulated_model: SimulatedModel, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """The program's module, loaded afresh, which uploads nothing."""
    simulated_model.configure(scenario="room_booking")
    monkeypatch.syspath_prepend(examples_folder())
    monkeypatch.delitem(sys.modules, PROGRAMS[framework].module, raising=False)
    set_trace_processors([])
    yield PROGRAMS[framework].load()
    set_trace_processors([default_processor()])


def test_there_is_a_program_for_each_framework() -> None:
    assert list(PROGRAMS) == list(Framework) == list(SLOTS)


def test_its_prompts_are_found_its_input_is_made_and_its_answer_taken(
    framework: Framework, module: Any
) -> None:
    program = PROGRAMS[framework]
    answers: list[str] = []

    def grade(task: Any, output: Any) -> float:
        answers.append(program.answer(output))
        return 1.0

    agent = agl.wrap(
        program.target(module), input=lambda task: program.input(task["input"]), reward=grade
    )
    (rollout,) = agl.Trainer().dev(agent, module.rooms.load_tasks("val"), 1)
    assert {slot: use.original for slot, use in rollout.slots.items()} == {
        SLOTS[framework][0]: "You gather what is needed to book a meeting room.",
        SLOTS[framework][1]: "You are a booking assistant.",
    }
    assert len(answers) == 1
    assert "Room:" in answers[0]


# Not the Agents SDK: it keeps a client for the whole process, which belongs to the event loop that
# it was first used on. `test_demo.py` runs that program in a process of its own.
@pytest.mark.parametrize("framework", [f for f in Framework if f is not Framework.OPENAI_AGENTS])
def test_it_runs_untouched_with_prompts_from_a_file(
    framework: Framework, module: Any, simulated_model: SimulatedModel, tmp_path: Path
) -> None:
    planner, decider = SLOTS[framework]
    path = tmp_path / "prompts.json"
    agl.save_prompts({planner: "Gather well.", decider: "Decide well."}, path)
    request = module.rooms.load_tasks("test")[0]["input"]
    with agl.use_prompts(path):
        answer = PROGRAMS[framework].run(module, request)
    assert "Room:" in answer
    assert [seen.system for seen in simulated_model.log()] == ["Gather well.", "Decide well."]
