"""Programs that import their framework only when they run: each a process of its own."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import agl_adapters as agl
from agl_adapters.testing import SimulatedModel

pytest_plugins = ["agl_adapters.testing.fixtures"]

AGL = Path(sys.executable).parent / "agl"
EXAMPLES = Path(__file__).parents[2] / "examples"

TRAINING = """
import asyncio, inspect, json, sys
from functools import partial
from importlib import import_module
import agl_adapters as agl

def book(program, request):
    answer = import_module(program).book_room(request)
    return asyncio.run(answer) if inspect.iscoroutine(answer) else answer

assert {"langgraph", "langchain_core", "agents", "autogen_core"}.isdisjoint(sys.modules)
requests = ["A room, please.", "Two rooms, please.", "No room, please."]
for program in sys.argv[1:]:
    assert program not in sys.modules
    agent = agl.wrap(partial(book, program), reward=lambda task, output: 1.0, name=program)
    rollouts = agl.Trainer(agl.Baseline(), n_runners=3).dev(agent, requests)
    print(json.dumps([{slot: use.original for slot, use in r.slots.items()} for r in rollouts]))
"""

PLANNER = "You gather what is needed to book a meeting room."
DECIDER = "You are a booking assistant."

SLOTS = {
    "langgraph_room_booking": ("langgraph:planner#system", "langgraph:decider#system"),
    "openai_agents_room_booking": (
        "openai_agents:planner#instructions",
        "openai_agents:decider#instructions",
    ),
    "autogen_room_booking": ("autogen:planner#system", "autogen:decider#system"),
    "openai_room_booking": (
        "openai:openai_room_booking.plan#system",
        "openai:openai_room_booking.decide#system",
    ),
}


@pytest.fixture(autouse=True)
def no_upload(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Agents SDK uploads traces to OpenAI, whichever service it calls models at."""
    monkeypatch.setenv("OPENAI_AGENTS_DISABLE_TRACING", "1")


def run(*command: str | Path, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def test_every_rollout_of_a_training_run_has_the_prompts(simulated_model: SimulatedModel) -> None:
    """The first rollouts of each program import its framework, three threads at once."""
    simulated_model.configure(scenario="room_booking")
    result = run(sys.executable, "-c", TRAINING, *SLOTS, folder=EXAMPLES)
    assert result.returncode == 0, result.stderr
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert found == [
        [{planner: PLANNER, decider: DECIDER}] * 3 for planner, decider in SLOTS.values()
    ]


def sent(simulated_model: SimulatedModel) -> list[str]:
    """The bodies of the requests that the server has received since the last time."""
    # The service gives its messages ids, which clients send back.
    bodies = [re.sub(r'"msg_\w+"', '"msg"', seen.raw) for seen in simulated_model.log()]
    simulated_model.reset()
    return bodies


@pytest.mark.parametrize("program", SLOTS)
def test_an_untouched_program_is_run_with_prompts(
    simulated_model: SimulatedModel, tmp_path: Path, program: str
) -> None:
    """The server receives the same requests, byte for byte, apart from the two prompts."""
    file, request = EXAMPLES / f"{program}.py", "A room on 2026-03-03, 10:00-11:00, for 5 people."
    planner, decider = SLOTS[program]
    new = {planner: "Plan well.", decider: "Decide well."}
    prompts = agl.save_prompts(
        new, tmp_path / "prompts.json", replaces={planner: PLANNER, decider: DECIDER}
    )
    plain = run(sys.executable, file, request)
    assert (plain.returncode, plain.stderr) == (0, "")
    before = sent(simulated_model)
    assert len(before) == 2
    result = run(AGL, "run", "--prompts", prompts, "--", file, request)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == plain.stdout.replace(DECIDER, "Decide well.")
    # The echo of the first prompt is part of the second request.
    assert sent(simulated_model) == [
        body.replace(PLANNER, "Plan well.").replace(DECIDER, "Decide well.") for body in before
    ]
    assert PLANNER in before[0]
    assert DECIDER in before[1]
