"""Prompts with run-time values: the template is found, and the candidate gets the values."""

from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AnyMessage, SystemMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.prompts import PromptTemplate as LangChainTemplate
from langchain_openai import ChatOpenAI
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages

from agl_adapters.testing import SimulatedModel
from agl_core.prompts.binding import Binding
from agl_core.prompts.templates import PromptTemplate
from agl_integrations.langgraph import LangGraphIntegration

pytest_plugins = ["agl_adapters.testing.fixtures"]
pytestmark = pytest.mark.asyncio(loop_scope="session")

SLOT = "langgraph:node#system"


class State(TypedDict):
    topic: str
    messages: Annotated[list[AnyMessage], add_messages]


def one_node(node: Any) -> Any:
    graph = StateGraph(State)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    return graph.compile()


def inputs(topic: str) -> Any:
    return {"topic": topic, "messages": [("user", "Go on.")]}


def system(text: str, **partial: Any) -> ChatPromptTemplate:
    prompt = ChatPromptTemplate([("system", text), ("placeholder", "{messages}")])
    return prompt.partial(**partial)


@pytest.fixture
def model(simulated_model: SimulatedModel) -> ChatOpenAI:
    return ChatOpenAI(model="gpt-4o-mini")


def discovered(rollouts: Any, graph: Any, topic: str = "cats") -> PromptTemplate | None:
    binding = Binding({})
    with LangGraphIntegration().hooks(rollouts.tracing):
        rollouts.run(lambda _: graph.invoke(inputs(topic)), binding)
    return binding.slots[SLOT].template


def keep(message: Any) -> Any:
    return {"messages": [message]}


async def test_a_candidate_gets_the_values_of_each_call(
    model: ChatOpenAI, rollouts: Any, simulated_model: SimulatedModel
) -> None:
    graph = one_node(system('You tell of {topic}, as {{"json": 1}}.') | model | keep)
    own = PromptTemplate('You tell of {topic}, as {{"json": 1}}.', "f-string", ["topic"])
    assert discovered(rollouts, graph) == own
    simulated_model.reset()

    def bind() -> Binding:
        return Binding(
            {SLOT: PromptTemplate("Tell {topic} in verse, {now}.", "f-string", ["topic"])}
        )

    with LangGraphIntegration().hooks(rollouts.tracing):
        for topic in ("cats", "x{y}"):
            rollouts.run(lambda _, t=topic: graph.invoke(inputs(t)), bind())
            await rollouts.run_async(lambda _, t=topic: graph.ainvoke(inputs(t)), bind())
    assert [request.system for request in simulated_model.log()] == [
        "Tell cats in verse, {now}.",
        "Tell cats in verse, {now}.",
        "Tell x{y} in verse, {now}.",
        "Tell x{y} in verse, {now}.",
    ]


async def test_a_text_that_a_node_renders_itself(model: ChatOpenAI, rollouts: Any) -> None:
    template = LangChainTemplate.from_template("You tell of {topic}.")

    def node(state: State) -> Any:
        prompt = SystemMessage(template.format(topic=state["topic"]))
        return keep(model.invoke([prompt, *state["messages"]]))

    assert discovered(rollouts, one_node(node)) == PromptTemplate("You tell of {topic}.")


async def test_variables_that_are_filled_in_beforehand_or_computed(
    model: ChatOpenAI, rollouts: Any
) -> None:
    prompt = system("On {day}, tell {who} of {topic}.", day=lambda: "Monday", who="Ann")
    graph = one_node(prompt | model | keep)
    template = discovered(rollouts, graph)
    assert template == PromptTemplate("On {day}, tell {who} of {topic}.")
    binding = Binding({SLOT: PromptTemplate("{topic}, {who}, {day}")})
    with LangGraphIntegration().hooks(rollouts.tracing):
        answer = rollouts.run(lambda _: graph.invoke(inputs("cats")), binding)
    assert answer["messages"][-1].content == "ECHO[cats, Ann, Monday]"


@pytest.mark.parametrize(
    "prompt",
    [
        system("You tell."),
        system("You tell of {topic:>9}."),
        ChatPromptTemplate([("system", "You tell of {{topic}}.")], template_format="mustache"),
    ],
    ids=["no variables", "format specification", "mustache"],
)
async def test_what_is_no_template_of_ours_is_plain_text(
    prompt: Any, model: ChatOpenAI, rollouts: Any
) -> None:
    assert discovered(rollouts, one_node(prompt | model | keep)) is None


async def test_the_class_is_as_found_afterwards(rollouts: Any) -> None:
    found = LangChainTemplate.__dict__["format"]
    with LangGraphIntegration().hooks(rollouts.tracing):
        assert LangChainTemplate.__dict__["format"] is not found
        assert LangChainTemplate.from_template("{a}").format(a=1) == "1"
    assert LangChainTemplate.__dict__["format"] is found
