"""What can be wrapped, how it is run, and what is refused before anything is spent."""

import asyncio
import operator
import subprocess
import sys
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint
from langgraph.graph import END, START, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import Command
from pydantic import BaseModel

from agl_adapters.integration import Integration, Target
from agl_core.code_identity import parts_of
from agl_core.errors import ConfigurationError, MissingDependencyError, UnsupportedVersionError
from agl_core.tracing.tracing import Tracing
from agl_integrations.langgraph import LangGraphIntegration


class State(TypedDict, total=False):
    question: str
    log: Annotated[list[str], operator.add]


def note(state: State) -> State:
    return {"log": [state.get("question", "")]}


async def note_later(state: State) -> State:
    await asyncio.sleep(0)
    return note(state)


def one_node(node: Any, schema: Any = State, **options: Any) -> Any:
    graph = StateGraph(schema)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    return graph.compile(**options)


def adapt(target: Any) -> Target:
    integration = LangGraphIntegration()
    assert integration.recognizes(target)
    return integration.adapt(target)


# ---------------------------------------------------------------------------------- recognizing


def test_it_is_an_integration() -> None:
    integration = LangGraphIntegration()
    assert isinstance(integration, Integration)
    assert (integration.name, integration.packages) == (
        "langgraph",
        ("langgraph", "langchain_core"),
    )


@entrypoint()
def functional(question: str) -> str:
    return question


def test_graphs_chains_and_entrypoints_are_recognized() -> None:
    chain = ChatPromptTemplate([("user", "{q}")]) | FakeListChatModel(responses=["yes"])
    for target in (one_node(note), functional, chain, RunnableLambda(note)):
        assert isinstance(adapt(target), Target)


@pytest.mark.parametrize("other", [note, note_later, "graph", None, State, object()])
def test_other_objects_are_not(other: Any) -> None:
    assert not LangGraphIntegration().recognizes(other)


def test_a_graph_that_was_not_compiled_is_refused_with_the_remedy() -> None:
    graph = StateGraph(State)
    assert LangGraphIntegration().recognizes(graph)
    with pytest.raises(ConfigurationError, match=r"not compiled.*\.compile\(\)"):
        LangGraphIntegration().adapt(graph)


def test_the_module_imports_without_the_framework() -> None:
    code = (
        "import sys; from agl_integrations.langgraph import LangGraphIntegration as I;"
        "assert not I().recognizes(object());"
        "print([m for m in sys.modules if m.partition('.')[0] in I.packages])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


# -------------------------------------------------------------------------------------- running


def test_a_graph_is_run_in_a_thread() -> None:
    target = adapt(one_node(note, name="noter"))
    assert (target.name, target.is_async) == ("noter", False)
    assert target.run({"question": "Which?"})["log"] == ["Which?"]


async def test_a_graph_with_an_async_node_is_run_on_the_loop() -> None:
    target = adapt(one_node(note_later))
    assert target.is_async
    assert (await target.run({"question": "Which?"}))["log"] == ["Which?"]


@tool
async def look() -> str:
    """Look."""
    return "seen"


async def decide(state: State) -> str:
    return END


def conditional() -> Any:
    graph = StateGraph(State)
    graph.add_node("node", note)
    graph.add_edge(START, "node")
    graph.add_conditional_edges("node", decide)
    return graph.compile()


@entrypoint()
async def functional_async(question: str) -> str:
    return question


@pytest.mark.parametrize(
    "runnable",
    [
        one_node(one_node(note_later)),
        one_node(RunnableLambda(note) | RunnableLambda(note_later)),
        one_node({"a": RunnableLambda(note_later), "b": RunnableLambda(note)}),
        one_node(RunnableLambda(note).with_fallbacks([RunnableLambda(note_later)])),
        one_node(ToolNode([look])),
        conditional(),
        functional_async,
        RunnableLambda(note_later).with_config(run_name="later"),
    ],
    ids=["subgraph", "step", "branch", "fallback", "tool", "edge", "entrypoint", "binding"],
)
def test_an_async_part_is_found_where_it_is(runnable: Any) -> None:
    assert adapt(runnable).is_async


def test_runs_of_a_graph_with_a_checkpointer_share_nothing() -> None:
    graph = one_node(note, checkpointer=InMemorySaver())
    target = adapt(graph.with_config({"configurable": {"thread_id": "one for all"}}))
    for question in ("First?", "Second?"):
        assert target.run({"question": question})["log"] == [question]


def test_runs_of_a_chain_that_ends_in_such_a_graph_share_nothing() -> None:
    target = adapt(
        RunnableLambda(lambda q: {"question": q}) | one_node(note, checkpointer=InMemorySaver())
    )
    for question in ("First?", "Second?"):
        assert target.run(question)["log"] == [question]


# --------------------------------------------------------------------------------- wrong inputs


class Form(BaseModel):
    question: str
    log: list[str] = []


@dataclass
class Record:
    question: str = ""
    log: list[str] | None = None


@pytest.mark.parametrize(
    ("wrong", "given"),
    [
        ("Which?", "str: 'Which?'"),
        (None, "NoneType"),
        ([], "list"),
        ({}, "no keys"),
        ({"query": "Which?"}, "a mapping with 'query'"),
    ],
)
def test_an_input_of_the_wrong_shape_is_refused(wrong: Any, given: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        adapt(one_node(note)).run(wrong)
    message = str(refusal.value)
    assert "{'question': str, 'log': list}" in message
    assert "input=" in message
    assert (
        "'query'" if isinstance(wrong, dict) and wrong else type(wrong).__name__
    ) in message or ("no keys" in message)


@pytest.mark.parametrize("schema", [Form, Record])
def test_schemas_of_other_kinds_say_what_they_expect_too(schema: Any) -> None:
    target = adapt(one_node(lambda state: {"log": [state.question]}, schema))
    assert target.run({"question": "Which?"})["log"] == ["Which?"]
    assert target.run(schema(question="Which?"))["log"] == ["Which?"]
    with pytest.raises(ConfigurationError, match=r"'question': str"):
        target.run("Which?")


def test_a_chain_asks_for_all_variables_of_its_prompt() -> None:
    model = FakeListChatModel(responses=["yes"])
    target = adapt(ChatPromptTemplate([("user", "{who} asks {what}")]) | model)
    assert target.run({"who": "Ann", "what": "?"}).content == "yes"
    with pytest.raises(ConfigurationError, match=r"'what': any.*mapping with 'who'"):
        target.run({"who": "Ann"})
    assert adapt(ChatPromptTemplate([("user", "{q}")]) | model).run("Why?").content == "yes"


def test_what_says_nothing_about_its_input_is_run_on_anything() -> None:
    assert adapt(functional).run("Which?") == "Which?"
    assert adapt(RunnableLambda(str)).run(7) == "7"


def test_a_command_is_an_input() -> None:
    graph = one_node(note, checkpointer=InMemorySaver())
    assert adapt(graph).run(Command(update={"question": "Which?"}, goto="node"))["log"] == [
        "Which?"
    ]


def test_a_schema_that_cannot_be_read_is_not_checked() -> None:
    class Odd(TypedDict):
        question: str

    graph = one_node(lambda state: {"question": "asked"}, Odd)
    graph.builder.input_schema = type("Unreadable", (dict,), {"__annotations__": {"x": "Nowhere"}})
    assert adapt(graph).run({"question": "Which?"}) == {"question": "asked"}


# ------------------------------------------------------------------------------------- versions


def test_a_framework_without_what_the_hooks_need_is_named_with_its_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(BaseChatModel, "_iter_v2_events")
    with (
        pytest.raises(
            UnsupportedVersionError,
            match=r"langchain-core \d+\.\d+\.\d+.*_iter_v2_events.*langchain-core>=1\.7\.2,<2",
        ),
        LangGraphIntegration().hooks(Tracing()),
    ):
        pass


def test_a_framework_that_is_not_installed_is_named_with_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in sys.modules if name.startswith("langgraph")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr("agl_adapters.requirements.version", not_found)
    with (
        pytest.raises(MissingDependencyError, match=r"pip install 'agl-adapters\[langgraph\]'"),
        LangGraphIntegration().hooks(Tracing()),
    ):
        pass


def not_found(distribution: str) -> str:
    from importlib.metadata import PackageNotFoundError

    raise PackageNotFoundError(distribution)


class TestAnswer:
    """What records keep of an output."""

    @pytest.mark.parametrize(
        ("output", "answer"),
        [
            ({"messages": [HumanMessage("hi"), AIMessage("Room: A1")], "n": 1}, "Room: A1"),
            ([HumanMessage("hi"), AIMessage("Room: A1")], "Room: A1"),
            (AIMessage([{"type": "text", "text": "Room: A1"}]), "Room: A1"),
            ({"room": "A1"}, {"room": "A1"}),
            ({"messages": []}, {"messages": []}),
            ("A1", "A1"),
        ],
        ids=["state", "messages", "message", "no messages", "none yet", "text"],
    )
    def test_is_the_text_of_the_last_message(self, output: Any, answer: Any) -> None:
        assert adapt(one_node(note)).answer(output) == answer


def test_parts_tell_a_changed_graph() -> None:
    def asking(prompt: str, extra: str = "") -> dict[str, str]:
        def plan(state: State) -> State:
            return {"log": [prompt]}

        graph = StateGraph(State)
        graph.add_node("plan", plan)
        graph.add_node(f"check{extra}", RunnableLambda(note))
        graph.add_edge(START, "plan")
        graph.add_edge("plan", f"check{extra}")
        return parts_of(LangGraphIntegration().adapt(graph.compile()))

    one = asking("You plan trips.")
    assert asking("You plan trips.") == one
    differing = {name for name, part in asking("You plan flights.").items() if one[name] != part}
    assert differing == {"node plan: prompt"}
    other = asking("You plan trips.", "2")
    assert {"node check2"} == other.keys() - one.keys()
    assert other["edges"] != one["edges"]
    template = ChatPromptTemplate.from_messages([("system", "You plan."), ("user", "{x}")])
    adapt = LangGraphIntegration().adapt
    steps = [parts_of(adapt(t | RunnableLambda(note))) for t in (template, template[:1], template)]  # pyright: ignore[reportOperatorIssue]
    assert steps[0] == steps[2] != steps[1]
