"""The hooks outside of rollouts, and where LangChain keeps state of its own between calls."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, AnyMessage, SystemMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langchain_core.tracers import context as tracer_context
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Command, interrupt

from agl_adapters.testing import SimulatedModel
from agl_core.prompts.binding import Binding, bound
from agl_core.prompts.templates import PromptTemplate
from agl_core.spans import genai
from agl_core.tracing.tracing import Tracing
from agl_integrations.langgraph import LangGraphIntegration

pytest_plugins = ["agl_adapters.testing.fixtures"]
pytestmark = pytest.mark.asyncio(loop_scope="session")

QUESTION = {"messages": [("user", "Go on. RUN:1 CALL:add")]}


class State(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def one_node(node: Any, checkpointer: Any = None) -> Any:
    graph = StateGraph(State)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    return graph.compile(checkpointer)


def literal(prompts: dict[str, str]) -> dict[str, PromptTemplate]:
    return {name: PromptTemplate(text, "literal") for name, text in prompts.items()}


@pytest.fixture
def model(simulated_model: SimulatedModel) -> ChatOpenAI:
    return ChatOpenAI(model="gpt-4o-mini")


@pytest.fixture
def agent(model: ChatOpenAI) -> Any:
    return create_agent(model, [add], system_prompt="You add.")


@pytest.fixture
def hooks(rollouts: Any) -> Iterator[None]:
    with LangGraphIntegration().hooks(rollouts.tracing):
        yield


# --------------------------------------------------------------------------- outside of rollouts


def wire(simulated_model: SimulatedModel) -> list[str]:
    requests = [request.raw for request in simulated_model.log()]
    simulated_model.reset()
    return requests


async def test_outside_a_rollout_the_wire_is_byte_for_byte_the_same(
    agent: Any, rollouts: Any, simulated_model: SimulatedModel
) -> None:
    async def run_all() -> None:
        agent.invoke(QUESTION)
        list(agent.stream(QUESTION, stream_mode="messages"))
        await agent.ainvoke(QUESTION)

    await run_all()
    before = wire(simulated_model)
    with LangGraphIntegration().hooks(rollouts.tracing):
        await run_all()
        installed = wire(simulated_model)
        with bound(Binding({})):
            await run_all()
        nothing_bound = wire(simulated_model)
    await run_all()
    assert before == installed == nothing_bound == wire(simulated_model)
    assert len(before) == 6


async def test_the_classes_are_as_found_afterwards() -> None:
    def state() -> dict[Any, Any]:
        # By identity: a wrapper equals what it wraps.
        methods = {name: id(value) for name, value in vars(BaseChatModel).items()}
        hooks = list(tracer_context._configure_hooks)
        return {**methods, "hooks": hooks, "submit": id(ThreadPoolExecutor.submit)}

    found = state()
    with LangGraphIntegration().hooks(Tracing()):
        assert state() != found
    assert state() == found
    with pytest.raises(ZeroDivisionError), LangGraphIntegration().hooks(Tracing()):
        raise ZeroDivisionError
    assert state() == found


async def test_a_wrapper_that_others_put_on_top_stays() -> None:
    original = BaseChatModel.invoke
    try:
        with LangGraphIntegration().hooks(Tracing()):
            ours = BaseChatModel.invoke

            def theirs(self: Any, *args: Any, **kwargs: Any) -> Any:
                return ours.__get__(self)(*args, **kwargs)

            BaseChatModel.invoke = theirs  # type: ignore[method-assign]
        assert BaseChatModel.invoke is theirs
        assert FakeListChatModel(responses=["yes"]).invoke("?").content == "yes"
    finally:
        BaseChatModel.invoke = original  # type: ignore[method-assign]


@pytest.mark.usefixtures("hooks")
async def test_outside_a_rollout_callbacks_get_no_handler_of_ours(model: ChatOpenAI) -> None:
    from langchain_core.callbacks import CallbackManager

    assert CallbackManager.configure().handlers == []
    with bound(Binding({})):
        assert len(CallbackManager.configure().handlers) == 1


# ------------------------------------------------------------------------------- LangChain's state


@pytest.mark.usefixtures("hooks")
async def test_the_cache_of_answers_tells_prompts_apart(model: ChatOpenAI, rollouts: Any) -> None:
    graph = one_node(lambda s: {"messages": [model.invoke([("system", "Own."), *s["messages"]])]})

    def answer(number: int) -> str:
        binding = Binding(literal({"langgraph:node#system": f"New {number}."}))
        return rollouts.run(lambda _: graph.invoke(QUESTION), binding)["messages"][-1].content

    set_llm_cache(InMemoryCache())
    try:
        assert [answer(n) for n in (1, 2, 1)] == ["ECHO[New 1.]", "ECHO[New 2.]", "ECHO[New 1.]"]
        assert graph.invoke(QUESTION)["messages"][-1].content == "ECHO[Own.]"
    finally:
        set_llm_cache(None)
    tokens = [genai.usage(recording.spans[-1]).input_tokens for recording in rollouts.recordings]
    assert [count > 0 for count in tokens] == [True, True, False]


@pytest.mark.usefixtures("hooks")
async def test_a_model_that_is_not_openais(rollouts: Any) -> None:
    received: list[str] = []

    class Parrot(FakeListChatModel):
        def _call(self, messages: list[Any], *args: Any, **kwargs: Any) -> str:
            received.append(messages[0].content)
            return super()._call(messages, *args, **kwargs)

    parrot = Parrot(responses=["Squawk."])
    graph = one_node(lambda s: {"messages": [parrot.invoke([("system", "Own."), *s["messages"]])]})
    own = {"langgraph:node#system": "Own."}
    assert rollouts.discover(lambda _: graph.invoke(QUESTION)) == own
    rollouts.eight(lambda _: graph.invoke(QUESTION), own)
    assert received[0] == "Own."
    assert sorted(received[1:]) == [f"NEW langgraph:node#system {n}." for n in range(8)]


@pytest.mark.usefixtures("hooks")
async def test_a_call_is_counted_once_however_it_is_made(rollouts: Any) -> None:
    streaming = FakeListChatModel(responses=["yes"])
    # Of a model that cannot stream, `stream` calls `invoke`, which calls `generate`.
    whole = FakeListChatModel(responses=["yes"], disable_streaming=True)

    def program(_: int) -> None:
        for model in (streaming, whole):
            messages: list[Any] = [SystemMessage("Own.")]
            model.invoke(messages)
            list(model.stream(messages))
            model.generate([messages])

    binding = Binding({})
    rollouts.run(program, binding)
    assert sum(use.calls for use in binding.slots.values()) == 6


@pytest.mark.usefixtures("hooks")
async def test_every_way_to_stream_a_graph(
    agent: Any, rollouts: Any, simulated_model: SimulatedModel
) -> None:
    binding = Binding(literal({"langgraph:model#system": "New."}))

    async def stream_async(_: int) -> None:
        async for _ in agent.astream(QUESTION, stream_mode="messages"):
            pass
        async for _ in agent.astream_events(QUESTION, version="v2"):
            pass

    rollouts.run(lambda _: list(agent.stream(QUESTION)), binding)
    await rollouts.run_async(stream_async, binding)
    assert [request.system for request in simulated_model.log()] == ["New."] * 6


@pytest.mark.usefixtures("hooks")
async def test_interrupt_and_resume(model: ChatOpenAI, rollouts: Any) -> None:
    def node(state: State) -> dict[str, Any]:
        approval = interrupt("May I?")
        answer = model.invoke([SystemMessage("Own."), *state["messages"]])
        return {"messages": [AIMessage(f"{approval}: {answer.content}")]}

    graph = one_node(node, InMemorySaver())

    def program(number: int) -> None:
        config = {"configurable": {"thread_id": f"thread {number}"}}
        graph.invoke(QUESTION, config)
        answer = graph.invoke(Command(resume="yes"), config)["messages"][-1].content
        assert answer == f"yes: ECHO[NEW langgraph:node#system {number}.]"

    rollouts.eight(program, {"langgraph:node#system": "Own."})


@pytest.mark.usefixtures("hooks")
async def test_wrong_input_of_a_model_is_reported_as_always(model: ChatOpenAI) -> None:
    with bound(Binding({})), pytest.raises(ValueError, match="Invalid input type"):
        model.invoke(7)  # type: ignore[arg-type]


# -------------------------------------------------------------------------------- names of slots


@pytest.mark.usefixtures("hooks")
async def test_a_call_outside_of_graphs_is_named_after_the_function(
    model: ChatOpenAI, rollouts: Any
) -> None:
    prompt = ChatPromptTemplate([("system", "You chain."), ("user", "{question}")])
    chain = prompt | model
    named = chain.with_config(run_name="booking")

    def program(number: int) -> None:
        model.invoke([SystemMessage("You draft."), ("user", "?")])
        model.invoke([SystemMessage("You edit."), ("user", "?")])
        named.invoke({"question": "?"})

    site = f"langgraph:{__name__}.{program.__qualname__.replace('.<locals>', '')}"
    assert rollouts.discover(program) == {
        f"{site}#system": "You draft.",
        f"{site}.2#system": "You edit.",
        "langgraph:booking#system": "You chain.",
    }


@pytest.mark.usefixtures("hooks")
async def test_a_chain_that_was_optimized_by_itself_gets_its_prompt_in_any_function(
    model: ChatOpenAI, rollouts: Any, simulated_model: SimulatedModel
) -> None:
    chain = ChatPromptTemplate([("system", "You chain."), ("user", "{question}")]) | model
    other = ChatPromptTemplate([("system", "You differ."), ("user", "{question}")]) | model
    with ThreadPoolExecutor(1) as pool:
        own = pool.submit(
            rollouts.discover, lambda _: LangGraphIntegration().adapt(chain).run({"question": "?"})
        ).result()
    assert own == {"langgraph:chain#system": "You chain."}
    simulated_model.reset()

    def program(_: int) -> None:
        chain.invoke({"question": "?"})
        other.invoke({"question": "?"})

    rollouts.run(program, Binding(literal({"langgraph:chain#system": "New."}), literal(own)))
    assert [request.system for request in simulated_model.log()] == ["New.", "You differ."]


@pytest.mark.usefixtures("hooks")
async def test_a_prompt_for_the_node_serves_its_helpers_if_it_fits(
    model: ChatOpenAI, rollouts: Any, simulated_model: SimulatedModel
) -> None:
    def ask(text: str) -> Any:
        return model.invoke([SystemMessage(text), ("user", "?")])

    graph = one_node(lambda s: {"messages": [ask("Own."), ask("Other.")]})
    name = "langgraph:node#system"
    rollouts.run(lambda _: graph.invoke(QUESTION), Binding(literal({name: "New."})))
    rollouts.run(
        lambda _: graph.invoke(QUESTION), Binding(literal({name: "New."}), literal({name: "Own."}))
    )
    sent = [request.system for request in simulated_model.log()]
    assert sent == ["New.", "New.", "New.", "Other."]
