"""Agents for the tests of executors. Worker processes import this module, so it is no test."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import openai
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import agl_adapters as agl
from agl_adapters.injection import inject

PROVIDER = TracerProvider()
if multiprocessing.parent_process() is not None:
    # As a program does that sends its traces somewhere. The process of the tests stays as it is.
    trace.set_tracer_provider(PROVIDER)
TRACER = PROVIDER.get_tracer("user")


def ask(task: Any, prompt: agl.PromptTemplate) -> agl.Reward:
    """Call the simulated model over HTTP."""
    with openai.OpenAI() as client:
        answer = client.chat.completions.create(
            model="gpt-4o",
            messages=[
                {"role": "system", "content": prompt.format(**task)},
                {"role": "user", "content": "hello"},
            ],
        )
    return agl.Reward(0.5, answer.choices[0].message.content or "", {"calls": 1})


def use_slots(task: Any, prompt: agl.PromptTemplate) -> float:
    sent = inject("my:planner#system", "Plan well.")
    with TRACER.start_as_current_span(f"planning with {sent}") as span:
        span.set_attributes({"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 7})
        agl.emit_reward(0.25, "emitted")
    return agl.emit_reward(0.75, f"read {prompt.format(**task)}", {"a": 1.0})


def fail(task: Any, prompt: agl.PromptTemplate) -> float:
    with TRACER.start_as_current_span("step"):
        raise KeyError(prompt.format(**task))


def dig(task: Any, prompt: agl.PromptTemplate) -> float:
    return dig(task, prompt) + 1


def lose_connection(task: Any, prompt: agl.PromptTemplate) -> float:
    raise ConnectionResetError("reset by peer")


def nothing(task: Any, prompt: agl.PromptTemplate) -> None:
    return None


def lose_placeholder(task: Any, prompt: agl.PromptTemplate) -> float:
    return len(prompt.format(another="name"))


class OwnError(agl.ConfigurationError):
    """An error that takes other arguments than the one that it is a kind of."""

    def __init__(self, tool: str, state: str = "not set up") -> None:
        super().__init__(f"the tool {tool} is {state}")


def complain(task: Any, prompt: agl.PromptTemplate) -> float:
    raise OwnError("search")


def answer_at_length(task: Any, prompt: agl.PromptTemplate) -> agl.Reward:
    return agl.Reward(1.0, "word " * 10_000_000)


def hang(task: Any, prompt: agl.PromptTemplate) -> float:
    with TRACER.start_as_current_span("before"):
        pass
    time.sleep(3)  # of the local executor, the thread is left behind
    return 1.0


CASES: dict[str, Callable[..., Any]] = {
    "ask": ask,
    "use_slots": use_slots,
    "fail": fail,
    "dig": dig,
    "exit": lambda task, prompt: sys.exit(3),
    "cancel": lambda task, prompt: (_ for _ in ()).throw(asyncio.CancelledError()),
    "lose_connection": lose_connection,
    "nothing": nothing,
    "lose_placeholder": lose_placeholder,
    "complain": complain,
    "answer_at_length": answer_at_length,
    "hang": hang,
}


@agl.rollout
def agent(task: Any, prompt_template: agl.PromptTemplate) -> Any:
    return CASES[task["case"]](task, prompt_template)


@agl.rollout
async def async_agent(task: Any, prompt_template: agl.PromptTemplate) -> Any:
    await asyncio.sleep(0)
    if task["case"] == "hang":
        with TRACER.start_as_current_span("before"):
            pass
        await asyncio.sleep(60)
    return CASES[task["case"]](task, prompt_template)


@agl.rollout
def often(task: Any, prompt_template: agl.PromptTemplate) -> float:
    """Make more calls in each rollout than in all before it."""
    for _ in range(2 * task["case"] + 1):
        ask(task, prompt_template)
    return 1.0


def program(question: str) -> str:
    if question == "fail":
        raise ValueError("no")
    if question == "die":
        with TRACER.start_as_current_span("open"), TRACER.start_as_current_span("call") as span:
            span.set_attributes({"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 7})
            span.end()
            os._exit(7)
    return f"{inject('my:program#system', 'Answer.')} {question}"


def grade(task: Any, output: str) -> float:
    if task["question"] == "grade":
        raise ZeroDivisionError("no")
    return float(len(output))


wrapped = agl.wrap(program, input=lambda task: task["question"], reward=grade)
