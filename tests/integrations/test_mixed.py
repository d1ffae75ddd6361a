"""Programs that mix frameworks: each call has its slot and one span, in one tree."""

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any, TypedDict

import openai
import pytest
from agents import Agent, OpenAIResponsesModel, Runner, function_tool
from autogen_agentchat.agents import AssistantAgent
from autogen_core.models import ModelInfo
from autogen_ext.models.openai import OpenAIChatCompletionClient
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from langgraph.graph import START, StateGraph

from agl_adapters.testing import SimulatedModel
from agl_core.execution.agents import RolloutContext, apart
from agl_core.spans import genai
from agl_core.spans.model_calls import model_calls
from agl_integrations.autogen import AutoGenIntegration
from agl_integrations.langgraph import LangGraphIntegration
from agl_integrations.openai import OpenAIIntegration
from agl_integrations.openai_agents import OpenAIAgentsIntegration

pytest_plugins = ["agl_adapters.testing.fixtures"]
# The frameworks keep async clients, which belong to the loop that they were first used on.
pytestmark = pytest.mark.asyncio(loop_scope="session")

MODEL = "gpt-4o-mini"


class State(TypedDict):
    text: str


@pytest.fixture
def model(simulated_model: SimulatedModel) -> SimulatedModel:
    return simulated_model


@pytest.fixture
def hooks(model: SimulatedModel, rollouts: Any) -> Iterator[None]:
    with ExitStack() as stack:
        for integration in (
            AutoGenIntegration(),
            LangGraphIntegration(),
            OpenAIIntegration(),
            OpenAIAgentsIntegration(),
        ):
            stack.enter_context(integration.hooks(rollouts.tracing))
        yield


@pytest.fixture
async def client(model: SimulatedModel) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(max_retries=0) as client:
        yield client


def graph_of(**nodes: Any) -> Any:
    graph = StateGraph(State)
    for name, node in nodes.items():
        graph.add_node(name, node)
    for before, after in itertools.pairwise([START, *nodes]):
        graph.add_edge(before, after)
    return graph.compile()


def autogen_model() -> OpenAIChatCompletionClient:
    info = ModelInfo(
        vision=False, function_calling=True, json_output=True, family="any", structured_output=True
    )
    return OpenAIChatCompletionClient(model="simulated", model_info=info, max_retries=0)


async def ask(client: openai.AsyncOpenAI, text: str) -> str:
    """Call the raw client."""
    answer = await client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "system", "content": "You are raw."}, {"role": "user", "content": text}],
    )
    return answer.choices[0].message.content or ""


RAW = f"openai:{__name__}.ask#system"


def path_of(recording: Any, call: Any) -> list[str]:
    """Return the names of the spans around one, from the root on."""
    spans = {span.span_id: span for span in recording.spans}
    names = [call.name]
    while call.parent_id is not None:
        call = spans[call.parent_id]
        names.insert(0, call.name)
    return names


async def check(
    program: Any, rollouts: Any, model: SimulatedModel, expected: dict[str, tuple[str, list[str]]]
) -> None:
    """Each slot has its text, its calls and its place in the tree; eight rollouts have prompts."""
    own = await rollouts.discover_async(program)
    assert own == {slot: text for slot, (text, _) in expected.items()}
    recording = rollouts.recordings[-1]
    calls = model_calls(recording.spans)
    assert calls == list(filter(genai.is_model_call, recording.spans))
    assert len(calls) == len(model.log())
    for slot, (_, path) in expected.items():
        places = {tuple(path_of(recording, c)[1:-1]) for c in calls if genai.slot(c) == slot}
        assert places == {tuple(path)}, slot
    once = len(model.log())
    model.reset()
    await rollouts.eight_async(program, own)
    sent = {request.system for request in model.log()}
    assert len(model.log()) == 8 * once
    assert sent == {f"NEW {slot} {number}." for slot in own for number in range(8)}


async def test_a_langgraph_node_that_calls_the_raw_client(
    client: openai.AsyncOpenAI, model: SimulatedModel, rollouts: Any, hooks: None
) -> None:
    chat = ChatOpenAI(model=MODEL)

    async def raw(state: State) -> State:
        return {"text": await ask(client, state["text"])}

    async def own(state: State) -> State:
        messages = [SystemMessage("You are LangChain's."), HumanMessage(state["text"])]
        return {"text": str((await chat.ainvoke(messages)).content)}

    graph = graph_of(raw=raw, own=own)
    await check(
        lambda _: graph.ainvoke({"text": "Where?"}),
        rollouts,
        model,
        {
            RAW: ("You are raw.", ["invoke_agent LangGraph", "raw"]),
            "langgraph:own#system": ("You are LangChain's.", ["invoke_agent LangGraph", "own"]),
        },
    )


async def test_a_sync_langgraph_node_that_calls_the_raw_client(
    model: SimulatedModel, rollouts: Any, hooks: None
) -> None:
    with openai.OpenAI() as client:

        def node(state: State) -> State:
            client.responses.create(model=MODEL, instructions="You are raw.", input="Where?")
            return state

        graph = graph_of(node=node)
        name = test_a_sync_langgraph_node_that_calls_the_raw_client.__name__
        await check(
            lambda _: graph.ainvoke({"text": ""}),
            rollouts,
            model,
            {
                f"openai:{__name__}.{name}.node#system": (
                    "You are raw.",
                    ["invoke_agent LangGraph", "node"],
                )
            },
        )


async def test_an_agents_tool_that_runs_a_graph_and_the_raw_client(
    client: openai.AsyncOpenAI, model: SimulatedModel, rollouts: Any, hooks: None
) -> None:
    chat = ChatOpenAI(model=MODEL)

    async def node(state: State) -> State:
        await chat.ainvoke([SystemMessage("You are LangChain's."), HumanMessage("Hi.")])
        return state

    graph = graph_of(node=node)

    @function_tool
    async def look() -> str:
        """Look."""
        await graph.ainvoke({"text": "Where?"})
        return await ask(client, "Where?")

    agent = Agent(
        name="boss",
        instructions="You lead.",
        model=OpenAIResponsesModel(MODEL, client),
        tools=[look],
    )

    async def program(_: int) -> None:
        await Runner.run(agent, "CALL:look")
        streamed = Runner.run_streamed(agent, "Hi.")
        [event async for event in streamed.stream_events()]

    inside = ["invoke_agent boss", "execute_tool look"]
    await check(
        program,
        rollouts,
        model,
        {
            "openai_agents:boss#instructions": ("You lead.", inside[:1]),
            "langgraph:node#system": (
                "You are LangChain's.",
                [*inside, "invoke_agent LangGraph", "node"],
            ),
            RAW: ("You are raw.", inside),
        },
    )


async def test_an_agents_tool_in_a_langgraph_node_that_calls_a_langchain_model(
    client: openai.AsyncOpenAI, model: SimulatedModel, rollouts: Any, hooks: None
) -> None:
    chat = ChatOpenAI(model=MODEL)

    @function_tool
    async def look() -> str:
        """Look."""
        await chat.ainvoke([SystemMessage("You are LangChain's."), HumanMessage("Hi.")])
        return "seen"

    @function_tool
    def look_in_thread() -> str:
        """Look."""
        chat.invoke([SystemMessage("You are in a thread."), HumanMessage("Hi.")])
        return "seen"

    agent = Agent(
        name="boss",
        instructions="You lead.",
        model=OpenAIResponsesModel(MODEL, client),
        tools=[look, look_in_thread],
    )

    async def node(state: State) -> State:
        await Runner.run(agent, "CALL:look CALL:look_in_thread")
        return state

    graph = graph_of(node=node)
    inside = ["invoke_agent LangGraph", "node", "invoke_agent boss"]
    await check(
        lambda _: graph.ainvoke({"text": ""}),
        rollouts,
        model,
        {
            "openai_agents:boss#instructions": ("You lead.", inside),
            "langgraph:node.look#system": ("You are LangChain's.", [*inside, "execute_tool look"]),
            "langgraph:node.look_in_thread#system": (
                "You are in a thread.",
                [*inside, "execute_tool look_in_thread"],
            ),
        },
    )


async def test_an_autogen_tool_that_calls_the_raw_client(
    client: openai.AsyncOpenAI, model: SimulatedModel, rollouts: Any, hooks: None
) -> None:
    async def look() -> str:
        """Look."""
        return await ask(client, "Where?")

    async def program(_: int) -> None:
        autogen_client = autogen_model()
        agent = AssistantAgent(
            "boss", autogen_client, tools=[look], system_message="You lead.", description="It."
        )
        await agent.run(task="CALL:look")
        await autogen_client.close()

    inside = ["invoke_agent boss"]
    await check(
        program,
        rollouts,
        model,
        {
            "autogen:boss#system": ("You lead.", inside),
            RAW: ("You are raw.", [*inside, "execute_tool look"]),
        },
    )


async def test_a_function_that_mixes_them_all(
    client: openai.AsyncOpenAI, model: SimulatedModel, rollouts: Any, hooks: None
) -> None:
    chat = ChatOpenAI(model=MODEL)
    agent = Agent(name="boss", instructions="You lead.", model=OpenAIResponsesModel(MODEL, client))

    async def node(state: State) -> State:
        await chat.ainvoke([SystemMessage("You are LangChain's."), HumanMessage("Hi.")])
        return state

    graph = graph_of(node=node)

    async def program(_: int) -> None:
        await ask(client, "Where?")
        await graph.ainvoke({"text": ""})
        await Runner.run(agent, "Hi.")
        autogen_client = autogen_model()
        await AssistantAgent("aide", autogen_client, system_message="You help.").run(task="Hi.")
        await autogen_client.close()

    await check(
        program,
        rollouts,
        model,
        {
            RAW: ("You are raw.", []),
            "langgraph:node#system": ("You are LangChain's.", ["invoke_agent LangGraph", "node"]),
            "openai_agents:boss#instructions": ("You lead.", ["invoke_agent boss"]),
            "autogen:aide#system": ("You help.", ["invoke_agent aide"]),
        },
    )


async def test_what_is_apart_is_told_from_the_agent_in_every_framework(
    client: openai.AsyncOpenAI, rollouts: Any, hooks: None
) -> None:
    """Its spans are marked, and it has no slots: a judge is none of the program that it judges."""

    def judging(state: State) -> State:
        ChatOpenAI(model=MODEL).invoke([SystemMessage("You judge."), HumanMessage(state["text"])])
        return state

    judge = Agent(
        name="judge",
        instructions="You judge.",
        model=OpenAIResponsesModel(model=MODEL, openai_client=client),
    )
    team = AssistantAgent("judge", autogen_model(), system_message="You judge.")

    async def score() -> None:
        await graph_of(judge=judging).ainvoke({"text": "hi"})
        await Runner.run(judge, "hi")
        await team.run(task="hi")
        await ask(client, "hi")

    async def program(number: int) -> None:
        await ask(client, "hi")
        with apart():
            await score()

    context = RolloutContext({})
    await rollouts.run_async(program, context)
    assert list(context.slots) == [RAW]
    spans = rollouts.recordings[-1].spans
    assert len(model_calls(spans)) == 5
    root, own = genai.of_the_agent(spans)
    assert root.parent_id is None
    assert genai.slot(own) == RAW
