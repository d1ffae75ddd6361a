"""What a run takes it gives back: threads, processes, files, hooks and exporters are counted."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

import openai
import pytest
import wrapt
from agents import Agent, OpenAIResponsesModel
from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import OpenAIChatCompletionClient
from langchain_core.messages import SystemMessage
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import agl_adapters as agl
from agl_adapters.testing import SimulatedModel, simulated_model
from agl_core.errors import RolloutError

PATCHED = (
    *("agents", "autogen_agentchat", "autogen_core", "autogen_ext", "concurrent", "langchain_core"),
    *("langgraph", "openai", "opentelemetry"),
)
MODEL = "gpt-4o-mini-2024-07-18"
PROMPT = "You answer."


@pytest.fixture(scope="module", autouse=True)
def model() -> Iterator[SimulatedModel]:
    with simulated_model("echo") as served:
        yield served


def plain() -> Callable[[str], str]:
    def answer(text: str) -> str:
        with openai.OpenAI() as client:
            reply = client.chat.completions.create(
                model=MODEL,
                messages=[{"role": "system", "content": PROMPT}, {"role": "user", "content": text}],
            )
        return reply.choices[0].message.content or ""

    return answer


def langgraph() -> Any:
    llm = ChatOpenAI(model=MODEL)

    async def answerer(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await llm.ainvoke([SystemMessage(PROMPT), *state["messages"]])]}

    builder = StateGraph(MessagesState)
    builder.add_node("answerer", answerer)
    builder.add_edge(START, "answerer")
    builder.add_edge("answerer", END)
    return builder.compile()


def openai_agents() -> Any:
    return Agent(
        "answerer", instructions=PROMPT, model=OpenAIResponsesModel(MODEL, openai.AsyncOpenAI())
    )


def autogen() -> Any:
    client = OpenAIChatCompletionClient(model=MODEL)
    return AssistantAgent("answerer", client, system_message=PROMPT)


PROGRAMS: Mapping[str, Callable[[], Any]] = {
    "openai": plain,
    "langgraph": langgraph,
    "openai-agents": openai_agents,
    "autogen": autogen,
}


class Process:
    """This process, and a provider of the user's."""

    def __init__(self) -> None:
        self.provider = TracerProvider()
        self.exporter = InMemorySpanExporter()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def has(self) -> dict[str, Any]:
        """Count what it has; threads that are about to end are waited for."""
        gc.collect()
        for _ in range(1_000):
            if not [t for t in threading.enumerate() if t.name.startswith("agl-")]:
                break
            time.sleep(0.005)
        processors = self.provider._active_span_processor._span_processors
        return {
            "threads": sorted(thread.name for thread in threading.enumerate()),
            "processes": sorted(_children()),
            "files": Counter(_files()),
            "hooks": sorted(_hooks()),
            "exporters": [type(processor).__name__ for processor in processors],
        }


def _children() -> Iterator[str]:
    for task in Path("/proc/self/task").iterdir():
        yield from (task / "children").read_text().split()


def _files() -> Iterator[str]:
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:  # that of the listing itself
            continue
        yield target.partition("[")[0].partition(":")[0] if ":" in target else target


def _hooks() -> set[str]:
    """Name what is ours in other people's classes."""
    return {
        f"{owner.__module__}.{owner.__qualname__}.{name}"
        for module_name, module in list(sys.modules.items())
        if module_name.partition(".")[0] in PATCHED
        for owner in list(vars(module).values())
        if issubclass(type(owner), type)
        for name, value in list(vars(owner).items())
        if _is_ours(value)
    }


def _is_ours(value: Any) -> bool:
    # By their types: some of what stands in these modules imports things when it is looked at.
    kind = type(value)
    if issubclass(kind, wrapt.FunctionWrapper):
        value = value._self_wrapper
        value = getattr(value, "__func__", value)
    elif kind in (staticmethod, classmethod):
        value = value.__func__
    if type(value) is FunctionType:
        return value.__globals__.get("__name__", "").startswith("agl_")
    return type(value).__module__.startswith("agl_")


class Inside(agl.Callback):
    """Looks while a run is going on."""

    def __init__(self, process: Process) -> None:
        self.seen: dict[str, Any] = {}
        self._process = process

    def on_rollout(self, rollout: Any, cached: bool) -> None:
        self.seen = self.seen or {
            "hooks": _hooks(),
            "exporters": len(self._process.provider._active_span_processor._span_processors),
        }


def run(make: Callable[[], Any], process: Process, store: Path, fails: bool) -> Inside:
    """Make a run with a program of its own; its result is not kept."""
    inside = Inside(process)

    def reward(task: Any, output: Any) -> float:
        if fails:
            raise ValueError("in the reward")
        return 1.0

    def to_input(task: Any) -> Any:
        text = f"Task {task['n']}."
        return {"messages": [("user", text)]} if make is langgraph else text

    trainer = agl.Trainer(
        agl.Baseline(),
        store=store,
        tracer_provider=process.provider,
        n_runners=2,
        callbacks=[inside],
    )
    agent = agl.wrap(make(), input=to_input, reward=reward, name="answerer")
    tasks = [{"n": n} for n in range(6)]
    try:
        trainer.fit(agent, tasks, tasks)
    except RolloutError:
        assert fails
    else:
        assert not fails
    finally:
        trainer.store.close()
    return inside


@pytest.fixture
def process() -> Generator[Process]:
    process = Process()
    yield process
    process.provider.shutdown()


@pytest.mark.parametrize("framework", PROGRAMS)
def test_a_run_gives_back_what_it_took(framework: str, process: Process, tmp_path: Path) -> None:
    """Whether it goes well or fails. The run before has what is made once, as imports."""
    make = PROGRAMS[framework]
    hooks = sorted(_hooks())
    run(make, process, tmp_path / "before.db", fails=False)
    before = process.has()
    assert before["hooks"] == hooks
    assert before["exporters"] == ["SimpleSpanProcessor"]
    for number, fails in enumerate((False, True)):
        inside = run(make, process, tmp_path / f"{number}.db", fails)
        assert len(inside.seen["hooks"]) > len(hooks)
        assert inside.seen["exporters"] == 2
        assert process.has() == before
    assert process.exporter.get_finished_spans()
