"""Programs that import their framework only when they run: each a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agl_adapters.testing import SimulatedModel

pytest_plugins = ["agl_adapters.testing.fixtures"]

EXAMPLES = Path(__file__).parents[2] / "examples"

TRAINING = """
import asyncio, inspect, json, sys
import agl_adapters as agl

FRAMEWORKS = {"langgraph", "langchain_core", "agents", "autogen_agentchat", "autogen_core"}

def book(request):
    import PROGRAM as program
    answer = program.book_room(request)
    return asyncio.run(answer) if inspect.iscoroutine(answer) else answer

agent = agl.wrap(book, reward=lambda task, output: 1.0)
assert FRAMEWORKS.isdisjoint(sys.modules)
requests = ["A room, please.", "Two rooms, please.", "No room, please."]
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


@pytest.mark.parametrize("program", SLOTS)
def test_every_rollout_of_a_training_run_has_the_prompts(
    simulated_model: SimulatedModel, program: str
) -> None:
    """The first rollouts import the framework, three threads at once."""
    simulated_model.configure(scenario="room_booking")
    result = subprocess.run(
        [sys.executable, "-c", TRAINING.replace("PROGRAM", program)],
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    planner, decider = SLOTS[program]
    assert json.loads(result.stdout) == [{planner: PLANNER, decider: DECIDER}] * 3
