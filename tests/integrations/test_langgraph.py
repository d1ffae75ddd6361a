"""LangGraph programs as people write them: eight rollouts at once, each with prompts of its own."""

import asyncio
import itertools
import operator
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, NamedTuple, TypedDict

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelRequest, dynamic_prompt
from langchain.chat_models import init_chat_model
from langchain_core.messages import AnyMessage, SystemMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableConfig, RunnableLambda, RunnableParallel
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.func import entrypoint
from langgraph.func import task as graph_task
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.prebuilt import create_react_agent  # pyright: ignore[reportDeprecated]
from langgraph.types import Send
from pydantic import BaseModel

from agl_adapters.testing import SimulatedModel
from agl_adapters.threads import contexts_in_pools
from agl_integrations.langgraph import LangGraphIntegration

pytest_plugins = ["agl_adapters.testing.fixtures"]
pytestmark = [
    # LangChain keeps its async clients, which belong to the loop that they were first used on.
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore:.*is in beta"),
]

Update = dict[str, Any]
PLANNER = SystemMessage("You plan.")  # shared by all calls of all rollouts


class State(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


class Answer(BaseModel):
    text: str


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def graph_of(*nodes: Callable[..., Any], **named: Any) -> Any:
    """Compile a graph of nodes that run one after another."""
    graph = StateGraph(State)
    steps: dict[str, Any] = {node.__name__: node for node in nodes} | named
    for name, node in steps.items():
        graph.add_node(name, node)
    for before, after in itertools.pairwise([START, *steps]):
        graph.add_edge(before, after)
    return graph.compile()


def system(text: str, state: State) -> list[Any]:
    return [SystemMessage(text), *state["messages"]]


# ----------------------------------------------------------------------------------- the programs


def hand_written(model: ChatOpenAI) -> Any:
    def planner(state: State) -> Update:
        return {"messages": [model.invoke([PLANNER, *state["messages"]])]}

    def solver(state: State) -> Update:
        return {"messages": [model.bind_tools([add]).invoke(system("You solve.", state))]}

    return graph_of(planner, solver)


def hand_written_async(model: ChatOpenAI) -> Any:
    async def planner(state: State) -> Update:
        return {"messages": [await model.ainvoke([PLANNER, *state["messages"]])]}

    async def solver(state: State) -> Update:
        return {"messages": [await model.bind_tools([add]).ainvoke(system("You solve.", state))]}

    return graph_of(planner, solver)


def prompt_chain(model: ChatOpenAI) -> Any:
    prompt = ChatPromptTemplate([("system", "You tell."), ("placeholder", "{messages}")])
    return graph_of(teller=prompt | model | (lambda message: {"messages": [message]}))


def two_prompt_chain(model: ChatOpenAI) -> Any:
    def prompt(text: str) -> Any:
        return ChatPromptTemplate([("system", text), ("placeholder", "{messages}")])

    def keep(state: State) -> RunnableParallel[Any]:
        return RunnableParallel(messages=lambda _: state["messages"])

    def both(state: State) -> Any:
        return prompt("You draft.") | model | keep(state) | prompt("You edit.") | model

    return graph_of(writer=RunnableLambda(both) | (lambda message: {"messages": [message]}))


def parallel_chains(model: ChatOpenAI) -> Any:
    def prompt(text: str) -> Any:
        return ChatPromptTemplate([("system", text), ("placeholder", "{messages}")]) | model

    return graph_of(
        judge=RunnableParallel(pro=prompt("You are for it."), con=prompt("You are against it."))
        | (lambda both: {"messages": list(both.values())})
    )


def subgraphs(model: ChatOpenAI) -> Any:
    inner = hand_written(model)

    def called(state: State) -> Update:
        return inner.invoke({"messages": state["messages"]})

    return graph_of(called, team=inner)


def two_agents_in_a_node(model: ChatOpenAI) -> Any:
    first: Any = create_agent(model, [], system_prompt="You draft.")
    second: Any = create_agent(model, [], system_prompt="You edit.")

    def writer(state: State) -> Update:
        draft = first.invoke({"messages": state["messages"]})
        return {"messages": second.invoke({"messages": draft["messages"]})["messages"]}

    return graph_of(writer)


class FanState(TypedDict):
    messages: list[Any]
    outputs: Annotated[list[Any], operator.add]


def fan_out(model: ChatOpenAI) -> Any:
    def worker(state: FanState) -> Update:
        return {"outputs": [model.invoke([SystemMessage("You work."), *state["messages"]])]}

    def spread(state: FanState) -> list[Send]:
        return [Send("worker", {"messages": state["messages"], "outputs": []})] * 3

    graph = StateGraph(FanState)
    graph.add_node(worker)
    graph.add_conditional_edges(START, spread, ["worker"])
    return graph.compile()


def structured(method: Any) -> Callable[[ChatOpenAI], Any]:
    def build(model: ChatOpenAI) -> Any:
        def extractor(state: State) -> Update:
            caller = model.with_structured_output(Answer, method=method)
            answer = caller.invoke(system("You extract.", state))
            return {"messages": [("ai", getattr(answer, "text", ""))]}

        return graph_of(extractor)

    return build


def model_stream(model: ChatOpenAI) -> Any:
    def streamer(state: State) -> Update:
        pieces = model.stream(system("You stream.", state))
        return {"messages": [("ai", "".join(str(piece.content) for piece in pieces))]}

    return graph_of(streamer)


def model_stream_async(model: ChatOpenAI) -> Any:
    async def streamer(state: State) -> Update:
        pieces = [str(p.content) async for p in model.astream(system("You stream.", state))]
        return {"messages": [("ai", "".join(pieces))]}

    return graph_of(streamer)


def model_event_stream(model: ChatOpenAI) -> Any:
    def streamer(state: State) -> Update:
        return {
            "messages": [model.stream_events(system("You stream.", state), version="v3").output]
        }

    return graph_of(streamer)


def model_event_stream_async(model: ChatOpenAI) -> Any:
    async def streamer(state: State) -> Update:
        stream = await model.astream_events(system("You stream.", state), version="v3")
        return {"messages": [await stream.output]}

    return graph_of(streamer)


def batched(model: ChatOpenAI) -> Any:
    def batcher(state: State) -> Update:
        return {"messages": model.batch([system("You batch.", state)] * 2)}

    return graph_of(batcher)


def generated(model: ChatOpenAI) -> Any:
    def generator(state: State) -> Update:
        result = model.generate([system("You generate.", state)])
        return {"messages": [("ai", result.generations[0][0].text)]}

    return graph_of(generator)


def functional(model: ChatOpenAI) -> Any:
    @graph_task
    def draft(messages: list[Any]) -> Any:
        return model.invoke([("system", "You draft."), *messages])

    @entrypoint()
    def writer(inputs: Update) -> Any:
        drafted = draft(inputs["messages"]).result()
        return model.invoke(
            [{"role": "system", "content": "You edit."}, *inputs["messages"], drafted]
        )

    return writer


def functional_async(model: ChatOpenAI) -> Any:
    @graph_task
    async def draft(messages: list[Any]) -> Any:
        return await model.ainvoke([("system", "You draft."), *messages])

    @entrypoint()
    async def writer(inputs: Update) -> Any:
        drafted = await draft(inputs["messages"])
        return await model.ainvoke([("system", "You edit."), *inputs["messages"], drafted])

    return writer


def retries_and_fallbacks(model: ChatOpenAI) -> Any:
    broken = ChatOpenAI(model="broken", base_url="http://127.0.0.1:9", max_retries=0)

    def careful(state: State) -> Update:
        messages = system("You are careful.", state)
        return {"messages": [broken.with_fallbacks([model.with_retry()]).invoke(messages)]}

    return graph_of(careful)


def configurable_model(model: ChatOpenAI) -> Any:
    chosen = init_chat_model(
        "gpt-4o-mini", model_provider="openai", configurable_fields=("temperature",)
    )

    def chooser(state: State) -> Update:
        return {"messages": [chosen.invoke(system("You choose.", state))]}

    return graph_of(chooser)


def responses_api(model: ChatOpenAI) -> Any:
    responding = ChatOpenAI(model="gpt-4o-mini", use_responses_api=True)

    def responder(state: State) -> Update:
        return {"messages": [responding.invoke(system("You respond.", state))]}

    return graph_of(responder)


def list_of_parts(model: ChatOpenAI) -> Any:
    def reader(state: State) -> Update:
        parts = SystemMessage(
            [{"type": "text", "text": "You read."}, {"type": "text", "text": "You cite."}]
        )
        return {"messages": [model.invoke([parts, *state["messages"]])]}

    return graph_of(reader)


def several_system_messages(model: ChatOpenAI) -> Any:
    def reader(state: State) -> Update:
        return {"messages": [model.invoke([*system("You read.", state), ("system", "Cite.")])]}

    return graph_of(reader)


def two_prompts_in_a_node(model: ChatOpenAI) -> Any:
    def writer(state: State, config: RunnableConfig) -> Update:
        draft = model.invoke(system("You draft.", state), config)
        edited = model.invoke(system("You edit.", state), config)
        return {"messages": [draft, edited]}

    return graph_of(writer)


def two_prompts_at_once(model: ChatOpenAI) -> Any:
    async def writer(state: State) -> Update:
        drafts = await asyncio.gather(
            model.ainvoke(system("You draft.", state)), model.ainvoke(system("You edit.", state))
        )
        return {"messages": drafts}

    return graph_of(writer)


def helpers_in_a_node(model: ChatOpenAI) -> Any:
    def ask(text: str, state: State) -> Any:
        return model.invoke(system(text, state))

    def draft(state: State) -> Any:
        return ask("You draft.", state)

    def edit(state: State) -> Any:
        return ask("You edit.", state)

    def writer(state: State) -> Update:
        return {"messages": [draft(state), edit(state), ask("You check.", state)]}

    return graph_of(writer)


def agents_as_tools(model: ChatOpenAI) -> Any:
    researcher: Any = create_agent(model, [], system_prompt="You research.")
    writer: Any = create_agent(model, [], system_prompt="You write.")

    @tool
    def research(question: str) -> str:
        """Research."""
        return researcher.invoke({"messages": [("user", question)]})["messages"][-1].content

    @tool
    def write(question: str) -> str:
        """Write."""
        return writer.invoke({"messages": [("user", question)]})["messages"][-1].content

    return create_agent(model, [research, write], system_prompt="You lead.")


def own_pool(model: ChatOpenAI) -> Any:
    def pooled(state: State) -> Update:
        with ThreadPoolExecutor(2) as pool:
            calls = pool.map(model.invoke, [system("You pool.", state)] * 2)
            return {"messages": list(calls)}

    return graph_of(pooled)


def to_thread(model: ChatOpenAI) -> Any:
    async def threaded(state: State) -> Update:
        call = asyncio.to_thread(lambda: model.invoke(system("You thread.", state)))
        return {"messages": [await call]}

    return graph_of(threaded)


def dynamic_agent(model: ChatOpenAI) -> Any:
    @dynamic_prompt
    def prompt(request: ModelRequest) -> str:
        return "You adapt."

    return create_agent(model, [add], middleware=[prompt])


def named_agent(model: ChatOpenAI) -> Any:
    return create_agent(model, [add], system_prompt="You add.", name="adder")


HAND_WRITTEN = {"planner": "You plan.", "solver": "You solve."}
DRAFT_AND_EDIT = {"writer": "You draft.", "writer.2": "You edit."}


class Case(NamedTuple):
    build: Callable[[ChatOpenAI], Any]
    paths: dict[str, str]
    """The program's own text by the slot's path; `#` and a role if it is not `system`."""
    words: str = ""
    """What the user says: directions to the simulated model."""
    only_sync: bool = False
    """Eight at once on an event loop would block each other, with or without us."""


CASES = {
    "hand-written nodes": Case(hand_written, HAND_WRITTEN),
    "hand-written nodes, async": Case(hand_written_async, HAND_WRITTEN),
    "create_agent": Case(
        lambda model: create_agent(model, [add], system_prompt="You add."),
        {"model": "You add."},
        "CALL:add",
    ),
    "create_agent with a name": Case(named_agent, {"adder/model": "You add."}, "CALL:add"),
    "create_agent, dynamic prompt": Case(dynamic_agent, {"model": "You adapt."}, "CALL:add"),
    "create_react_agent": Case(
        lambda model: create_react_agent(model, [add], prompt="You add."),  # pyright: ignore[reportDeprecated]
        {"agent": "You add."},
        "CALL:add",
    ),
    "prompt | model": Case(prompt_chain, {"teller": "You tell."}),
    "prompt | model | prompt | model": Case(
        two_prompt_chain, {"writer": "You draft.", "writer.step2": "You edit."}
    ),
    "parallel chains": Case(
        parallel_chains, {"judge.pro": "You are for it.", "judge.con": "You are against it."}
    ),
    "subgraphs": Case(
        subgraphs,
        {f"called/{path}": text for path, text in HAND_WRITTEN.items()}
        | {f"team/{path}": text for path, text in HAND_WRITTEN.items()},
    ),
    "two agents in a node": Case(
        two_agents_in_a_node, {"writer/model": "You draft.", "writer.2/model": "You edit."}
    ),
    "Send": Case(fan_out, {"worker": "You work."}),
    "structured output by function": Case(
        structured("function_calling"), {"extractor": "You extract."}
    ),
    "structured output by schema": Case(structured("json_schema"), {"extractor": "You extract."}),
    "stream": Case(model_stream, {"streamer": "You stream."}),
    "astream": Case(model_stream_async, {"streamer": "You stream."}),
    "stream_events v3": Case(model_event_stream, {"streamer": "You stream."}),
    "astream_events v3": Case(model_event_stream_async, {"streamer": "You stream."}),
    "batch": Case(batched, {"batcher": "You batch."}),
    "generate": Case(generated, {"generator": "You generate."}),
    "functional": Case(
        functional, {"writer/draft": "You draft.", "writer": "You edit."}, only_sync=True
    ),
    "functional, async": Case(
        functional_async, {"writer/draft": "You draft.", "writer": "You edit."}
    ),
    "retries and fallbacks": Case(retries_and_fallbacks, {"careful": "You are careful."}),
    "configurable model": Case(configurable_model, {"chooser": "You choose."}),
    "Responses API": Case(responses_api, {"responder": "You respond."}),
    "list of parts": Case(
        list_of_parts, {"reader": "You read.", "reader#system.2": "You cite."}
    ),
    "several system messages": Case(
        several_system_messages, {"reader": "You read.", "reader#system.2": "Cite."}
    ),
    "two prompts in a node": Case(two_prompts_in_a_node, DRAFT_AND_EDIT),
    "two prompts at once": Case(two_prompts_at_once, DRAFT_AND_EDIT),
    "helpers in a node": Case(
        helpers_in_a_node,
        {
            "writer.draft.ask": "You draft.",
            "writer.edit.ask": "You edit.",
            "writer.ask": "You check.",
        },
    ),
    "agents as tools": Case(
        agents_as_tools,
        {
            "model": "You lead.",
            "tools/research/model": "You research.",
            "tools/write/model": "You write.",
        },
        "CALL:research CALL:write",
    ),
    "a pool of its own": Case(own_pool, {"pooled": "You pool."}),
    "to_thread": Case(to_thread, {"threaded": "You thread."}),
}  # fmt: skip


# -------------------------------------------------------------------------------------- the tests


def inputs(number: int, words: str = "") -> Update:
    return {"messages": [("user", f"Go on. RUN:{number} {words}")]}


def slots_of(case: Case) -> dict[str, str]:
    slots: dict[str, str] = {}
    for path, text in case.paths.items():
        place, _, role = path.partition("#")
        slots[f"langgraph:{place}#{role or 'system'}"] = text
    return slots


def check_wire(simulated_model: SimulatedModel, own: dict[str, str]) -> None:
    """Each request has a prompt of its own rollout, and every rollout sent all of its prompts."""
    sent: dict[int, set[str]] = {}
    for request in simulated_model.log():
        number = re.search(r"RUN:(\d+)", " ".join(request.users))
        assert number is not None
        texts = [part for text in request.systems for part in text.splitlines()]
        sent.setdefault(int(number[1]), set()).update(texts)
    assert sent == {n: {f"NEW {slot} {n}." for slot in own} for n in range(8)}
    simulated_model.reset()


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, simulated_model: SimulatedModel) -> Iterator[Case]:
    yield CASES[request.param]
    assert PLANNER.content == "You plan."


async def test_each_rollout_sends_its_own_prompts(
    case: Case, rollouts: Any, simulated_model: SimulatedModel
) -> None:
    own = slots_of(case)
    graph = case.build(ChatOpenAI(model="gpt-4o-mini"))
    integration = LangGraphIntegration()

    def run(number: int) -> Any:
        return graph.invoke(inputs(number, case.words))

    def run_async(number: int) -> Any:
        return graph.ainvoke(inputs(number, case.words))

    with contexts_in_pools(), integration.hooks(rollouts.tracing):
        if not case.only_sync:
            assert await rollouts.discover_async(run_async) == own
            simulated_model.reset()
            await rollouts.eight_async(run_async, own)
            check_wire(simulated_model, own)
        if not integration.adapt(graph).is_async:
            assert rollouts.discover(run) == own
            simulated_model.reset()
            rollouts.eight(run, own)
            check_wire(simulated_model, own)
