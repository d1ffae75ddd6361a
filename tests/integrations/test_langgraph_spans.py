"""The spans of LangGraph programs: one tree per rollout, one span per model call."""

import asyncio
import gc
from collections.abc import Iterator
from typing import Annotated, Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AnyMessage, SystemMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Command, interrupt
from opentelemetry import trace

from agl_adapters.testing import SimulatedModel
from agl_core.prompts.binding import Binding
from agl_core.prompts.templates import PromptTemplate
from agl_core.spans import genai
from agl_core.spans.span import Span
from agl_core.tracing.tracing import Tracing
from agl_integrations.langgraph import LangGraphIntegration

pytest_plugins = ["agl_adapters.testing.fixtures"]
pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore:.*is in beta"),
]


class State(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def inputs(words: str = "") -> Any:
    return {"messages": [("user", f"Go on. RUN:1 {words}")]}


def one_node(node: Any, checkpointer: Any = None) -> Any:
    graph = StateGraph(State)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    return graph.compile(checkpointer)


def tree(spans: tuple[Span, ...]) -> Any:
    """Return the names of spans as nested lists; fail if they are not one tree."""
    assert [span for span in spans if span.parent_id is None] == [spans[0]]
    assert {span.parent_id for span in spans[1:]} <= {span.span_id for span in spans}

    def below(span: Span) -> Any:
        children = [below(child) for child in spans if child.parent_id == span.span_id]
        return [span.name, *children] if children else span.name

    return below(spans[0])


AGENT_TREE = [
    "rollout 0",
    [
        "invoke_agent LangGraph",
        ["model", "chat gpt-4o-mini"],
        ["tools", "execute_tool add"],
        ["model", "chat gpt-4o-mini"],
    ],
]


@pytest.fixture
def model(simulated_model: SimulatedModel) -> ChatOpenAI:
    return ChatOpenAI(model="gpt-4o-mini", temperature=0.5)


@pytest.fixture
def agent(model: ChatOpenAI) -> Any:
    return create_agent(model, [add], system_prompt="You add.")


@pytest.fixture(autouse=True)
def hooks(rollouts: Any) -> Iterator[None]:
    with LangGraphIntegration().hooks(rollouts.tracing):
        yield


def spans_of(rollouts: Any) -> tuple[Span, ...]:
    return rollouts.recordings[-1].spans


async def test_an_agent_is_one_tree(agent: Any, rollouts: Any) -> None:
    async def events(_: int) -> None:
        async for _ in agent.astream_events(inputs("CALL:add"), version="v2"):
            pass

    rollouts.run(lambda _: agent.invoke(inputs("CALL:add")), Binding({}))
    assert tree(spans_of(rollouts)) == AGENT_TREE
    await rollouts.run_async(lambda _: agent.ainvoke(inputs("CALL:add")), Binding({}))
    assert tree(spans_of(rollouts)) == AGENT_TREE
    await rollouts.run_async(events, Binding({}))
    assert tree(spans_of(rollouts)) == AGENT_TREE


async def test_concurrent_rollouts_have_trees_of_their_own(agent: Any, rollouts: Any) -> None:
    own = {"langgraph:model#system": "You add."}
    rollouts.eight(lambda _: agent.invoke(inputs("CALL:add")), own)
    await rollouts.eight_async(lambda _: agent.ainvoke(inputs("CALL:add")), own)
    assert len(rollouts.recordings) == 16
    for recording in rollouts.recordings:
        number = recording.spans[0].name.removeprefix("rollout ")
        assert tree(recording.spans)[1] == AGENT_TREE[1]
        prompts = {genai.input_messages(call)[0]["content"] for call in calls(recording.spans)}
        assert prompts == {f"NEW langgraph:model#system {number}."}


def calls(spans: tuple[Span, ...]) -> list[Span]:
    return [span for span in spans if genai.is_model_call(span)]


async def test_what_spans_tell(agent: Any, rollouts: Any) -> None:
    binding = Binding({"langgraph:model#system": PromptTemplate("New.", "literal")})
    rollouts.run(lambda _: agent.invoke(inputs("CALL:add")), binding)
    spans = spans_of(rollouts)
    first, second = calls(spans)
    assert genai.request_model(first) == "gpt-4o-mini"
    assert first.attributes["gen_ai.provider.name"] == "openai"
    assert first.attributes["gen_ai.request.temperature"] == 0.5
    assert genai.slot(first) == "langgraph:model#system"
    assert genai.input_messages(first)[0] == {"role": "system", "content": "New."}
    assert genai.usage(first).input_tokens > 0
    assert genai.usage(first).output_tokens > 0
    assert genai.response_model(first) == "gpt-4o-mini"
    assert "add" in str(first.attributes["gen_ai.tool.definitions"])
    (call,) = genai.output_messages(first)[0].get("tool_calls", [])
    (executed,) = [span for span in spans if genai.is_tool_call(span)]
    assert genai.tool_name(executed) == call["name"] == "add"
    assert genai.tool_call_id(executed) == call["id"]
    assert genai.tool_arguments(executed) == '{"a": 3, "b": 3}'
    assert genai.tool_result(executed) == "6"
    assert genai.input_messages(second)[-1].get("tool_call_id") == call["id"]
    assert genai.output_messages(second) == [{"role": "assistant", "content": "ECHO[New.]"}]


async def test_without_content_no_text_is_recorded(agent: Any, rollouts: Any) -> None:
    rollouts.tracing = Tracing(capture_content=False)
    rollouts.run(lambda _: agent.invoke(inputs("CALL:add")), Binding({}))
    spans = spans_of(rollouts)
    recorded = "".join(str(span.attributes) for span in spans)
    assert "Go on" not in recorded
    assert "You add" not in recorded
    assert "arguments" not in recorded
    assert len(calls(spans)) == 2


async def test_errors_have_a_status_where_they_passed(agent: Any, rollouts: Any) -> None:
    with pytest.raises(Exception, match="400"):
        rollouts.run(lambda _: agent.invoke(inputs("FAIL400")), Binding({}))
    spans = spans_of(rollouts)
    assert [span.status for span in spans] == ["error"] * 4
    assert (
        "BadRequest" in str(spans[-1].attributes["error.type"]) or "400" in spans[-1].status_message
    )


async def test_a_failing_tool(model: ChatOpenAI, rollouts: Any) -> None:
    @tool
    def fail() -> str:
        """Fail."""
        raise ValueError("no such room")

    agent: Any = create_agent(model, [fail], system_prompt="You try.")
    with pytest.raises(ValueError, match="no such room"):
        rollouts.run(lambda _: agent.invoke(inputs("CALL:fail")), Binding({}))
    (failed,) = [span for span in spans_of(rollouts) if genai.is_tool_call(span)]
    assert (failed.status, failed.status_message) == ("error", "ValueError: no such room")
    assert failed.attributes["error.type"] == "ValueError"


async def test_an_interrupt_is_no_error(rollouts: Any) -> None:
    def ask(state: State) -> Any:
        interrupt("May I?")

    graph = one_node(ask, InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    rollouts.run(lambda _: graph.invoke(inputs(), config), Binding({}))
    spans = spans_of(rollouts)
    assert [span.status for span in spans] == ["unset"] * 3
    assert [event.name for event in spans[-1].events] == ["GraphInterrupt"]
    rollouts.run(lambda _: graph.invoke(Command(resume="yes"), config), Binding({}))
    assert tree(spans_of(rollouts)) == ["rollout 0", ["invoke_agent LangGraph", "node"]]


async def test_chains_inside_have_no_spans_and_a_chain_by_itself_has_one(
    model: ChatOpenAI, rollouts: Any
) -> None:
    chain = ChatPromptTemplate([("system", "You chain.")]) | model
    rollouts.run(lambda _: chain.invoke({}), Binding({}))
    assert tree(spans_of(rollouts)) == ["rollout 0", ["chain RunnableSequence", "chat gpt-4o-mini"]]
    graph = one_node(RunnableLambda(lambda state: {}) | chain | (lambda message: {}))
    rollouts.run(lambda _: graph.invoke(inputs()), Binding({}))
    assert tree(spans_of(rollouts))[1] == ["invoke_agent LangGraph", ["node", "chat gpt-4o-mini"]]


async def test_callbacks_of_the_programs_own_leave_the_tree_whole(
    model: ChatOpenAI, rollouts: Any
) -> None:
    def node(state: State) -> Any:
        return {"messages": [model.invoke([SystemMessage("Own.")], {"callbacks": []})]}

    graph = one_node(node)
    assert rollouts.discover(lambda _: graph.invoke(inputs())) == {"langgraph:node#system": "Own."}
    assert tree(spans_of(rollouts))[1] == ["invoke_agent LangGraph", ["node", "chat gpt-4o-mini"]]


# --------------------------------------------------------------------------------- current spans


async def test_spans_of_the_programs_own_are_part_of_the_node_or_tool_around(
    model: ChatOpenAI, rollouts: Any
) -> None:
    tracer = rollouts.tracing.tracer

    @tool
    async def look() -> str:
        """Look."""
        with tracer.start_as_current_span("in the tool"):
            return "seen"

    async def node(state: State) -> Any:
        with tracer.start_as_current_span("in the node"):
            await look.ainvoke({})
        with tracer.start_as_current_span("after the tool"):
            return {}

    async def program(_: int) -> None:
        await one_node(node).ainvoke(inputs())
        with tracer.start_as_current_span("after the graph"):
            pass

    await rollouts.run_async(program, Binding({}))
    assert tree(spans_of(rollouts)) == [
        "rollout 0",
        [
            "invoke_agent LangGraph",
            ["node", ["in the node", ["execute_tool look", "in the tool"]], "after the tool"],
        ],
        "after the graph",
    ]


async def test_the_current_span_can_be_written_to_from_a_node(rollouts: Any) -> None:
    def node(state: State) -> Any:
        span = trace.get_current_span()
        span.set_attribute("mine", 1)
        span.add_event("happened")
        assert span.is_recording()
        return {}

    rollouts.run(lambda _: one_node(node).invoke(inputs()), Binding({}))
    node_span = spans_of(rollouts)[-1]
    assert node_span.attributes["mine"] == 1
    assert [event.name for event in node_span.events] == ["happened"]


# ------------------------------------------------------------------------------ streams given up


async def test_a_stream_that_is_given_up_leaves_nothing_behind(
    model: ChatOpenAI, rollouts: Any
) -> None:
    chain = ChatPromptTemplate([("system", "You chain.")]) | model

    def give_up(_: int) -> None:
        next(iter(model.stream("Hi.")))
        next(iter(chain.stream({})))
        next(iter(one_node(lambda state: model.invoke("Hi.")).stream(inputs())))

    async def give_up_async(number: int) -> None:
        async for _ in model.astream("Hi."):
            break
        await asyncio.sleep(0.01)

    gc.disable()  # what is given up goes at once, not when the collector comes round
    try:
        rollouts.run(give_up, Binding({}))
        assert "agl.unfinished" not in str([span.attributes for span in spans_of(rollouts)])
        await rollouts.run_async(give_up_async, Binding({}))
        assert "agl.unfinished" not in str([span.attributes for span in spans_of(rollouts)])
    finally:
        gc.enable()
    assert {span.status for span in spans_of(rollouts)} == {"unset"}


async def test_an_event_stream_that_is_given_up_is_unfinished_in_its_tree(
    model: ChatOpenAI, rollouts: Any
) -> None:
    def give_up(_: int) -> None:
        next(iter(model.stream_events("Hi.", version="v3").text))

    rollouts.run(give_up, Binding({}))
    spans = spans_of(rollouts)
    assert tree(spans) == ["rollout 0", "chat gpt-4o-mini"]
    assert spans[1].attributes["agl.unfinished"]
