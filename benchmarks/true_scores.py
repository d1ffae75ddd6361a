"""How good prompts for booking rooms really are: on fresh tasks, by the scenario itself.

No server and no framework: the simulated model's scenario is asked directly, as the example's
program would ask it over HTTP. So the true score of a prompt costs a second and has a standard
error of 0.01.
"""

from __future__ import annotations

import json
import random
from functools import cache
from importlib import import_module
from typing import Any

from agl_adapters.testing.calls import Call, Message, Tool
from agl_adapters.testing.room_booking import RoomBooking
from agl_adapters.testing.room_world import tasks

__all__ = ["true_score"]

TASKS, RUNS = 500, 3
TOOL = Tool(
    "list_rooms",
    "List the meeting rooms of a building.",
    {"type": "object", "properties": {"day": {"type": "string"}, "building": {"type": "string"}}},
)


@cache
def _fresh_tasks() -> list[Any]:
    return tasks("benchmarks: fresh", TASKS) * RUNS


def true_score(decider: str, planner: str | None = None) -> float:
    """Return the mean reward on fresh tasks.

    Args:
        decider: The prompt of the call that answers.
        planner: The prompt of the call that looks rooms up; the same one by default. `examples` has
            to be on the path.
    """
    rooms, scenario = import_module("rooms"), RoomBooking()
    rng = random.Random(0)
    right = 0.0
    for task in _fresh_tasks():
        request = Message("user", task["input"])
        messages = (Message("system", decider if planner is None else planner), request)
        asked = scenario.reply(Call("chat", "m", messages, (TOOL,)), rng)
        found = rooms.list_rooms(**json.loads(asked.tool_calls[0].arguments))
        messages = (
            Message("system", decider),
            request,
            Message("assistant", "", asked.tool_calls),
            Message("tool", found),
        )
        answer = scenario.reply(Call("chat", "m", messages, (TOOL,)), rng)
        right += rooms.grade_booking(answer.text, task["expected_room"])
    return right / (TASKS * RUNS)
