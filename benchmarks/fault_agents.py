"""Agents that meet faults or make them. Worker processes import this module."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import openai

import agl_adapters as agl
from agl_adapters.injection import inject

PROMPT = "You answer."
MODEL = "gpt-4o-mini-2024-07-18"
BAD = 8
"""One task in so many is one that a bad agent fails on."""


def score_of(task: Any) -> float:
    """Return the score that a task has when nothing goes wrong: never that of a failure."""
    return 0.1 + (task["n"] % 9) / 10


def graded(task: Any, answer: Any) -> float:
    """Score an answer of the model, which says the prompt that it was sent."""
    return score_of(task) if f"ECHO[{PROMPT}]" in str(answer) else 0.0


# ---------------------------------------------------------- programs that the world fails


@dataclass(frozen=True)
class Program:
    """A program of a framework that makes one model call."""

    make: Callable[[], Any]
    input: Callable[[str], Any] = str
    answer: Callable[[Any], Any] = str

    def agent(self) -> Any:
        """Return it as an agent."""

        def to_input(task: Any) -> Any:
            return self.input(f"Task {task['n']}. {task.get('say', '')}")

        def reward(task: Any, output: Any) -> float:
            return graded(task, self.answer(output))

        return agl.wrap(self.make(), input=to_input, reward=reward, name="answerer")


def _plain() -> Any:
    client = openai.AsyncOpenAI(max_retries=0)

    async def answer(text: str) -> str:
        reply = await client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "system", "content": PROMPT}, {"role": "user", "content": text}],
        )
        return reply.choices[0].message.content or ""

    return answer


def _plain_in_threads() -> Any:
    client = openai.OpenAI(max_retries=0)

    def answer(text: str) -> str:
        reply = client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "system", "content": PROMPT}, {"role": "user", "content": text}],
        )
        return reply.choices[0].message.content or ""

    return answer


def _streaming() -> Any:
    client = openai.AsyncOpenAI(max_retries=0)

    async def answer(text: str) -> str:
        stream = await client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "system", "content": PROMPT}, {"role": "user", "content": text}],
            stream=True,
        )
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        return "".join(pieces)

    return answer


def _langgraph() -> Any:
    from langchain_core.messages import SystemMessage
    from langchain_openai import ChatOpenAI
    from langgraph.graph import END, START, MessagesState, StateGraph

    llm = ChatOpenAI(model=MODEL, max_retries=0)

    async def answerer(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await llm.ainvoke([SystemMessage(PROMPT), *state["messages"]])]}

    builder = StateGraph(MessagesState)
    builder.add_node("answerer", answerer)
    builder.add_edge(START, "answerer")
    builder.add_edge("answerer", END)
    return builder.compile()


def _openai_agents() -> Any:
    from agents import Agent, OpenAIResponsesModel

    model = OpenAIResponsesModel(MODEL, openai.AsyncOpenAI(max_retries=0))
    return Agent(name="answerer", instructions=PROMPT, model=model)


def _autogen() -> Any:
    from autogen_agentchat.agents import AssistantAgent
    from autogen_ext.models.openai import OpenAIChatCompletionClient

    client = OpenAIChatCompletionClient(model=MODEL, max_retries=0)
    return AssistantAgent("answerer", client, system_message=PROMPT)


PROGRAMS: Mapping[str, Program] = {
    "openai": Program(_plain),
    "openai, threads": Program(_plain_in_threads),
    "openai, streaming": Program(_streaming),
    "langgraph": Program(
        _langgraph,
        input=lambda text: {"messages": [("user", text)]},
        answer=lambda state: state["messages"][-1].content,
    ),
    "openai-agents": Program(_openai_agents, answer=lambda result: result.final_output),
    "autogen": Program(_autogen, answer=lambda result: result.messages[-1].to_text()),
}
"""Their clients make no retries of their own, so that it is ours which show."""


# --------------------------------------------------------------------- agents that fail


def _deeper(depth: int) -> int:
    return _deeper(depth + 1) + 1


def _call_tools_forever() -> None:
    """Call a tool, forget that it was called, call it again: no limit but time ends that."""
    tool = {"name": "look", "parameters": {"type": "object", "properties": {}}}
    with openai.OpenAI(max_retries=0) as client:
        while True:
            client.chat.completions.create(
                model=MODEL,
                messages=[{"role": "system", "content": "LOOPING"}, _user("CALL:look")],
                tools=[{"type": "function", "function": tool}],  # type: ignore[list-item]
            )


async def _call_tools_forever_async() -> None:
    tool = {"name": "look", "parameters": {"type": "object", "properties": {}}}
    async with openai.AsyncOpenAI(max_retries=0) as client:
        while True:
            await client.chat.completions.create(
                model=MODEL,
                messages=[{"role": "system", "content": "LOOPING"}, _user("CALL:look")],
                tools=[{"type": "function", "function": tool}],  # type: ignore[list-item]
            )


def _user(text: str) -> Any:
    return {"role": "user", "content": text}


def _raise(error: BaseException) -> None:
    raise error


def _hog_memory() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    held = [bytearray(100 << 20) for _ in range(100)]
    raise AssertionError(len(held))


SYNC: Mapping[str, Callable[[], Any]] = {
    "exception": lambda: _raise(ValueError("the agent's own mistake")),
    "sync hang": lambda: time.sleep(3600),
    "infinite tool loop": _call_tools_forever,
    "sys.exit": lambda: sys.exit(3),
    "KeyboardInterrupt": lambda: _raise(KeyboardInterrupt()),
    "cancelled": lambda: _raise(asyncio.CancelledError()),
    "50 MB output": lambda: "word " * 10_000_000,
    "50 MB error": lambda: _raise(ValueError("word " * 10_000_000)),
    "recursion": lambda: _deeper(0),
    "reward raises": lambda: None,
    "os._exit": lambda: os._exit(7),
    "segmentation fault": lambda: ctypes.string_at(0),
    "killed (SIGKILL)": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "out of memory": _hog_memory,
    "holds the interpreter": lambda: ctypes.PyDLL(None).sleep(3600),
}
"""What an agent in a thread or a process does on its bad tasks."""


async def _sleep_forever() -> None:
    await asyncio.sleep(3600)


async def _cancel_itself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def _leave_tasks() -> None:
    async def late() -> None:
        await asyncio.sleep(0.01)
        sys.exit(4)

    leaving = [asyncio.create_task(late()) for _ in range(3)]
    raise ValueError(f"{len(leaving)} tasks are left behind")


async def _block_the_loop() -> None:
    time.sleep(3600)  # noqa: ASYNC251 - as programs do


async def _ignore_cancellation() -> None:
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            continue


def _async(function: Callable[[], Any]) -> Callable[[], Any]:
    async def run() -> Any:
        return function()

    return run


ASYNC: Mapping[str, Callable[[], Any]] = {
    "async hang": _sleep_forever,
    "async hang, uncancellable": _ignore_cancellation,
    "infinite tool loop": _call_tools_forever_async,
    "task cancels itself": _cancel_itself,
    "tasks left behind": _leave_tasks,
    "blocks the event loop": _block_the_loop,
    **{
        name: _async(SYNC[name])
        for name in ("exception", "sys.exit", "50 MB output", "recursion", "reward raises")
    },
}
"""What an async agent does on its bad tasks."""


def _is_bad(task: Any) -> bool:
    return task["n"] % BAD == BAD - 1


def _sync_program(task: Any) -> Any:
    inject("fault:agent#system", PROMPT)
    time.sleep(0.005)
    return SYNC[task["case"]]() if _is_bad(task) else "fine"


async def _async_program(task: Any) -> Any:
    inject("fault:agent#system", PROMPT)
    await asyncio.sleep(0.005)
    return await ASYNC[task["case"]]() if _is_bad(task) else "fine"


def _reward(task: Any, output: Any) -> float:
    if task["case"] == "reward raises" and _is_bad(task):
        raise ZeroDivisionError("in the reward function")
    return score_of(task) if isinstance(output, str) else 0.0


sync_agent = agl.wrap(_sync_program, input=lambda task: task, reward=_reward)
async_agent = agl.wrap(_async_program, input=lambda task: task, reward=_reward)
