"""The programs that every system optimizes: what a rollout does, in nothing but the openai client.

This module is also imported in Agent Lightning's environment, so it needs neither our dependencies
nor our engine. `examples` and the repository have to be on the path.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import openai

__all__ = ["PROGRAMS", "Program", "client"]

MODEL = "gpt-4o-mini"
Create = Callable[..., Any]
Task = Mapping[str, Any]


@dataclass(frozen=True)
class Program:
    """A program in one scenario.

    Attributes:
        seed: Its prompt.
        run: Runs it with a prompt on a task by a client's `create`; returns the reward.
        tasks: Fresh tasks by seed and number.
    """

    seed: str
    run: Callable[[Create, str, Task], float]
    tasks: Callable[[str, int], Sequence[Task]]


def client() -> openai.OpenAI:
    """The client of all programs. Rate limits are the client's own affair: it tries again."""
    return openai.OpenAI(max_retries=5)


def _book(create: Create, prompt: str, task: Task) -> float:
    """Book a room, with the tool that lists rooms."""
    rooms, example = import_module("rooms"), import_module("room_booking")
    messages: list[Any] = [
        {"role": "system", "content": prompt},
        {"role": "user", "content": task["input"]},
    ]
    for _ in range(5):
        reply = create(model=MODEL, messages=messages, tools=[example.TOOL]).choices[0].message
        if not reply.tool_calls:
            return rooms.grade_booking(reply.content or "", task["expected_room"])
        messages.append(reply.model_dump(exclude_none=True))
        for call in reply.tool_calls:
            found = rooms.list_rooms(**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": found})
    return 0.0


def _choose(create: Create, prompt: str, task: Task) -> Any:
    """Ask once."""
    messages = [
        {"role": "system", "content": prompt},
        {"role": "user", "content": task["input"]},
    ]
    return create(model=MODEL, messages=messages)


def _ship(create: Create, prompt: str, task: Task) -> float:
    from agl_adapters.testing.parcels import PARCELS

    return PARCELS.grade(_choose(create, prompt, task).choices[0].message.content or "", task)


def _assign(create: Create, prompt: str, task: Task) -> float:
    """Assign a ticket; the rater's errors come from the id of the model's reply."""
    from agl_adapters.testing.tickets import noisy_grade

    reply = _choose(create, prompt, task)
    return noisy_grade(reply.choices[0].message.content or "", task, reply.id)


def _rooms(seed: str, n: int) -> Sequence[Task]:
    from agl_adapters.testing import room_world

    return room_world.tasks(seed, n)


def _parcels(seed: str, n: int) -> Sequence[Task]:
    from agl_adapters.testing.parcels import PARCELS

    return PARCELS.tasks(seed, n)


def _tickets(seed: str, n: int) -> Sequence[Task]:
    from agl_adapters.testing.tickets import TICKETS

    return TICKETS.tasks(seed, n)


PROGRAMS = {
    "room_booking": Program("You are a booking assistant.", _book, _rooms),
    "parcels": Program("You pick a carrier.", _ship, _parcels),
    "tickets": Program("You assign support tickets.", _assign, _tickets),
}
