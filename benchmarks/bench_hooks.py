"""What the hooks of each framework cost per model call.

No network and no server: each framework calls a fake model of its own kind, the plain client a mock
transport, so that what remains is the framework's own work and the hooks'. A batch of calls is
timed

- with nothing installed;
- with the hooks installed, outside of rollouts;
- with prompts bound, as by `use_prompts`: the prompt is put in, nothing is recorded;
- in a rollout: the prompt is put in, and the call is recorded as spans, which are also read back
  when it ends (not timed here).

Times are CPU times of the process, all threads. The four are timed in turn, for many rounds, with
garbage collection off while the clock runs. A cost is the median over the rounds of the difference
to the bare batch of the same round. A call is the least that the framework does around one: a model
in a node of a graph; a run of an agent; a run of an agent with its conversation cleared; a chat
completion. The spans of a rollout are those of all that: also of the agent's run.

    .venv/bin/python benchmarks/bench_hooks.py --rounds 15
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import time
import warnings
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from typing import Any, TypedDict

from agl_adapters.integration import Integration
from agl_core.prompts.binding import Binding, bound
from agl_core.prompts.templates import PromptTemplate
from agl_core.tracing.tracing import Tracing

Batch = Callable[[int], Any]
STATES = ("bare", "outside", "bound", "rollout")


def langgraph() -> tuple[Any, Batch]:
    """Return a graph of one node that calls a model of LangChain's so many times."""
    from langchain_core.language_models.fake_chat_models import FakeListChatModel
    from langchain_core.messages import HumanMessage, SystemMessage
    from langgraph.graph import START, StateGraph

    from agl_integrations.langgraph import LangGraphIntegration

    class State(TypedDict):
        calls: int

    model = FakeListChatModel(responses=["Yes."])
    messages: Any = [SystemMessage("You are terse."), HumanMessage("Well?")]

    def node(state: State) -> Any:
        for _ in range(state["calls"]):
            model.invoke(messages)
        return {}

    graph: Any = StateGraph(State)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    compiled = graph.compile()
    return LangGraphIntegration(), lambda calls: compiled.invoke({"calls": calls})


def openai_agents() -> tuple[Any, Batch]:
    """Return runs of an agent on a model of one's own."""
    from agents import Agent, Model, ModelResponse, Runner, Usage
    from agents.tracing import set_trace_processors
    from openai.types.responses import ResponseOutputMessage, ResponseOutputText

    from agl_integrations.openai_agents import OpenAIAgentsIntegration

    text = ResponseOutputText(annotations=[], text="Yes.", type="output_text")
    message = ResponseOutputMessage(
        id="1", content=[text], role="assistant", status="completed", type="message"
    )

    class Fake(Model):
        async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
            return ModelResponse([message], Usage(), "1")

        def stream_response(self, *args: Any, **kwargs: Any) -> Any:
            raise NotImplementedError

    set_trace_processors([])
    agent: Agent[Any] = Agent(name="terse", instructions="You are terse.", model=Fake())

    async def run(calls: int) -> None:
        for _ in range(calls):
            await Runner.run(agent, "Well?")

    return OpenAIAgentsIntegration(), run


def autogen() -> tuple[Any, Batch]:
    """Return runs of an agent on AutoGen's replaying client."""
    from autogen_agentchat.agents import AssistantAgent
    from autogen_core import CancellationToken
    from autogen_ext.models.replay import ReplayChatCompletionClient

    from agl_integrations.autogen import AutoGenIntegration

    client = ReplayChatCompletionClient(["Yes."])
    agent = AssistantAgent("terse", client, system_message="You are terse.")

    async def run(calls: int) -> None:
        for _ in range(calls):
            client.reset()
            await agent.run(task="Well?")
            await agent.on_reset(CancellationToken())

    return AutoGenIntegration(), run


def plain_openai() -> tuple[Any, Batch]:
    """Return chat completions over a mock transport."""
    import httpx2
    import openai

    from agl_integrations.openai import OpenAIIntegration

    message = {"role": "assistant", "content": "Yes."}
    body = {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "fake",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
    }
    content = json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    transport = httpx2.MockTransport(
        lambda request: httpx2.Response(200, content=content, headers=headers)
    )
    client = openai.OpenAI(
        api_key="none", base_url="http://mock/v1", http_client=httpx2.Client(transport=transport)
    )
    messages: Any = [
        {"role": "system", "content": "You are terse."},
        {"role": "user", "content": "Well?"},
    ]

    def run(calls: int) -> None:
        for _ in range(calls):
            client.chat.completions.create(model="fake", messages=messages)

    return OpenAIIntegration(), run


def found_prompts(integration: Integration, batch: Batch, run: Batch) -> Binding:
    """Return a binding of a new prompt to each slot that the program has."""
    tracing, binding = Tracing(), Binding({})
    with integration.hooks(tracing), tracing.rollout("discovery"), bound(binding):
        run(batch(1))
    originals = {
        slot: PromptTemplate(use.original, "literal") for slot, use in binding.slots.items()
    }
    if not originals:
        raise SystemExit(f"{integration.name}: no prompt was found")
    return Binding({slot: PromptTemplate("You are brief.") for slot in originals}, originals)


@contextmanager
def state_of(name: str, integration: Integration, own: Binding) -> Generator[None]:
    """Be in one of the states that are timed."""
    with ExitStack() as stack:
        tracing = Tracing()
        if name != "bare":
            stack.enter_context(integration.hooks(tracing))
        if name == "rollout":
            stack.enter_context(tracing.rollout("rollout"))
        if name in ("bound", "rollout"):
            stack.enter_context(bound(Binding(own.resources, own.originals)))
        yield


def measure(integration: Integration, batch: Batch, rounds: int, calls: int) -> dict[str, float]:
    """Return microseconds per call: of the bare one, and what each state adds to it."""
    times: dict[str, list[float]] = {name: [] for name in STATES}
    with asyncio.Runner() as runner:

        def run(outcome: Any) -> None:
            if asyncio.iscoroutine(outcome):
                runner.run(outcome, context=copy_context())  # else it keeps its first one

        own = found_prompts(integration, batch, run)
        for number in range(rounds + 2):  # the first two warm up
            for name in STATES:
                with state_of(name, integration, own):
                    gc.collect()
                    gc.disable()
                    start = time.process_time()
                    run(batch(calls))
                    seconds = time.process_time() - start
                    gc.enable()
                if number >= 2:
                    times[name].append(1e6 * seconds / calls)
    bare = times["bare"]
    added = {
        name: statistics.median(t - b for t, b in zip(times[name], bare, strict=True))
        for name in STATES[1:]
    }
    return {"bare": statistics.median(bare), **added}


def main() -> None:
    """Print a row for each framework."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=30)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    print(
        f"CPU microseconds per model call, median of {arguments.rounds} rounds of "
        f"{arguments.calls} calls"
    )
    print(f"{'framework':16} {'bare':>8} {'outside':>9} {'bound':>9} {'rollout':>9}")
    for build in (langgraph, openai_agents, autogen, plain_openai):
        integration, batch = build()
        costs = measure(integration, batch, arguments.rounds, arguments.calls)
        bare, *added = costs.values()
        print(f"{integration.name:16} {bare:8.0f} " + " ".join(f"{cost:+9.0f}" for cost in added))


if __name__ == "__main__":
    main()
