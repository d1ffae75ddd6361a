"""How good a prompt really is: on fresh tasks, by the scenario itself, without a rater's errors.

The simulated model's scenario is asked directly, with what the program would send it over HTTP.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import cache
from types import SimpleNamespace
from typing import Any

from agl_adapters.testing import load_scenario
from agl_adapters.testing.calls import Call, Message, Tool, ToolCall
from peers.programs import PROGRAMS
from peers.runs import SPLIT

__all__ = ["REPEATS", "TASKS", "true_score"]

TASKS, REPEATS = 500, 3
"""Fresh tasks, and runs of each: the standard error of a score is at most 0.013."""

FRESH = "benchmarks: fresh"


@cache
def true_score(scenario: str, prompt: str) -> float:
    """Return the mean reward on fresh tasks, which no search has seen."""
    program, rng = PROGRAMS[scenario], random.Random(0)
    grades = [
        program.run(_create(scenario, rng), prompt, task)
        for task in _fresh_tasks(scenario)
        for _ in range(REPEATS)
    ]
    return sum(grades) / len(grades)


@cache
def _fresh_tasks(scenario: str) -> list[Mapping[str, Any]]:
    tasks = PROGRAMS[scenario].tasks
    seen = {task["input"] for split in ("train", "val") for task in tasks(split, SPLIT)}
    return [task for task in tasks(FRESH, TASKS) if task["input"] not in seen]


def _create(name: str, rng: random.Random) -> Callable[..., Any]:
    """What stands in for a client's `create`: the scenario's own reply, in the client's form."""
    scenario = load_scenario(name)

    def create(model: str, messages: list[Any], tools: list[Any] | None = None) -> Any:
        offered = tuple(
            Tool(
                tool["function"]["name"],
                tool["function"]["description"],
                tool["function"]["parameters"],
            )
            for tool in tools or ()
        )
        call = Call("chat", model, tuple(map(_message, messages)), offered)
        reply = scenario.reply(call, rng)
        calls = [
            SimpleNamespace(id=f"call-{n}", type="function", function=one)
            for n, one in enumerate(reply.tool_calls)
        ]
        dumped = {
            "role": "assistant",
            "content": reply.text,
            "tool_calls": [{"function": _as_json(one)} for one in reply.tool_calls],
        }

        def model_dump(**_: Any) -> Any:
            return dumped

        message = SimpleNamespace(content=reply.text, tool_calls=calls, model_dump=model_dump)
        return SimpleNamespace(choices=[SimpleNamespace(message=message)], id=None)

    return create


def _as_json(call: ToolCall) -> dict[str, str]:
    """A tool call as a message carries it."""
    return {"name": call.name, "arguments": call.arguments}


def _message(message: Mapping[str, Any]) -> Message:
    calls = tuple(ToolCall(**call["function"]) for call in message.get("tool_calls", ()))
    return Message(message["role"], message["content"] or "", calls)
