"""Slots of calls within one node: the same names in any order, thread, and however it is run."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypedDict

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import SystemMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.graph import END, START, StateGraph

from agl_adapters.threads import contexts_in_pools
from agl_core.prompts.binding import Binding
from agl_core.prompts.templates import PromptTemplate
from agl_integrations.langgraph import LangGraphIntegration

model = FakeListChatModel(responses=["yes"])
prompt = ChatPromptTemplate([("system", "You follow.")])


class State(TypedDict, total=False):
    order: list[str]


def system(text: str) -> list[Any]:
    return [SystemMessage(text)]


@tool
def look() -> str:
    """Look."""
    return "seen"


def one_node(node: Any) -> Any:
    graph = StateGraph(State)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    return graph.compile()


def check(rollouts: Any, node: Any, own: dict[str, str], state: State | None = None) -> None:
    """Discover by invoke, and by ainvoke, which runs sync nodes in a thread."""
    graph = one_node(node)
    expected = {f"langgraph:{path}#system": text for path, text in own.items()}
    with contexts_in_pools(), LangGraphIntegration().hooks(rollouts.tracing):
        assert rollouts.discover(lambda _: graph.invoke(state or {})) == expected
        found = asyncio.run(rollouts.discover_async(lambda _: graph.ainvoke(state or {})))
        assert found == expected


@pytest.mark.parametrize("order", [["first", "second"], ["second", "first"], ["second"]])
def test_names_do_not_depend_on_which_call_comes_first(rollouts: Any, order: list[str]) -> None:
    def node(state: State) -> State:
        for step in state.get("order", []):
            if step == "first":
                model.invoke(system("first"))
            else:
                model.invoke(system("second"))
        return {}

    names = {"first": "node", "second": "node.2"}
    check(rollouts, node, {names[step]: step for step in order}, {"order": order})


def test_calls_that_reach_no_model_do_not_count(rollouts: Any) -> None:
    def node(state: State) -> State:
        messages = prompt.invoke({})
        look.invoke({})
        model.invoke(messages)
        model.invoke(system("Next."))
        return {}

    check(rollouts, node, {"node": "You follow.", "node.2": "Next."})


class Writer:
    """A node as a method, with its model and prompt as attributes."""

    def __init__(self) -> None:
        self.model = model
        self.prompt = prompt

    def __call__(self, state: State) -> State:
        self.model.invoke(self.prompt.invoke({}))
        return self.more()

    def more(self) -> State:
        self.model.invoke(system("More."))
        return {}


def test_methods(rollouts: Any) -> None:
    check(rollouts, Writer().__call__, {"node": "You follow.", "node.Writer.more": "More."})


def test_a_helper_that_is_called_twice(rollouts: Any) -> None:
    def ask(text: str) -> None:
        model.invoke(system(text))

    def node(state: State) -> State:
        ask("first")
        ask("second")
        return {}

    check(rollouts, node, {"node.ask": "first", "node.2.ask": "second"})


def test_lambdas_and_comprehensions_are_part_of_the_function_around(rollouts: Any) -> None:
    def node(state: State) -> State:
        _ = [model.invoke(system("listed")) for _ in range(2)]
        ask = lambda text: model.invoke(system(text))  # noqa: E731
        ask("asked")
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: model.invoke(system("pooled"))).result()
        return {}

    check(rollouts, node, {"node": "listed", "node.2": "asked", "node.3": "pooled"})


def test_a_node_that_is_a_lambda_is_a_function_of_its_own(rollouts: Any) -> None:
    model.invoke("elsewhere in this function")
    check(
        rollouts, lambda state: {"order": [model.invoke(system("Own.")).content]}, {"node": "Own."}
    )


def test_chains_that_are_streamed(rollouts: Any) -> None:
    first = ChatPromptTemplate([("system", "first")]) | model
    second = ChatPromptTemplate([("system", "second")]) | model

    def node(state: State) -> State:
        for _ in first.stream({}):
            pass
        for _ in second.stream({}):
            pass
        return {}

    async def async_node(state: State) -> State:
        async for _ in first.astream({}):
            pass
        async for _ in second.astream({}):
            pass
        return {}

    own = {"langgraph:node#system": "first", "langgraph:node.2#system": "second"}
    with LangGraphIntegration().hooks(rollouts.tracing):
        assert rollouts.discover(lambda _: one_node(node).invoke({})) == own
        found = asyncio.run(rollouts.discover_async(lambda _: one_node(async_node).ainvoke({})))
        assert found == own


def test_helpers_run_as_tasks_are_named_after_themselves(rollouts: Any) -> None:
    async def plan() -> None:
        await model.ainvoke(system("plan"))

    async def solve() -> None:
        await model.ainvoke(system("solve"))

    async def node(state: State) -> State:
        await asyncio.gather(plan(), solve())
        await plan()
        return {}

    with LangGraphIntegration().hooks(rollouts.tracing):
        found = asyncio.run(rollouts.discover_async(lambda _: one_node(node).ainvoke({})))
    assert found == {
        "langgraph:node.plan#system": "plan",
        "langgraph:node.solve#system": "solve",
        "langgraph:node.2.plan#system": "plan",
    }


def test_functions_in_a_chain(rollouts: Any) -> None:
    def first(state: State) -> State:
        model.invoke(system("first"))
        model.invoke(system("first again"))
        return state

    def second(state: State) -> State:
        model.invoke(system("second"))
        return {}

    node = RunnableLambda(first) | RunnableLambda(second)
    own = {"node": "first", "node.2": "first again", "node.step2": "second"}
    check(rollouts, node, own)


def test_the_function_of_a_conditional_edge_is_told_from_its_node(rollouts: Any) -> None:
    def plan(state: State) -> State:
        model.invoke(system("plan"))
        return {}

    def route(state: State) -> str:
        model.invoke(system("route"))
        return END

    graph = StateGraph(State)
    graph.add_node(plan)
    graph.add_edge(START, "plan")
    graph.add_conditional_edges("plan", route, [END])
    compiled = graph.compile()
    with LangGraphIntegration().hooks(rollouts.tracing):
        found = rollouts.discover(lambda _: compiled.invoke({}))
    assert found == {"langgraph:plan#system": "plan", "langgraph:plan.route#system": "route"}


class Pipeline:
    """A program of two graphs with the same nodes, one of which is called twice."""

    def __init__(self) -> None:
        self.first = one_node(lambda state: {"order": [model.invoke(system("first")).content]})
        self.second = one_node(lambda state: {"order": [model.invoke(system("second")).content]})

    def run(self) -> None:
        model.invoke("no graph")
        self.first.invoke({})
        self.first.invoke({})
        self.second.invoke({})

    async def run_async(self) -> None:
        await self.first.ainvoke({})
        await self.second.ainvoke({})

    def run_locals(self) -> None:
        first, second = self.first, self.second
        for _ in first.stream({}):
            pass
        for _ in second.stream({}):
            pass


def test_graphs_that_a_function_calls_one_after_another(rollouts: Any) -> None:
    pipeline = Pipeline()

    def own(method: str) -> dict[str, str]:
        prefix = f"langgraph:{__name__}.Pipeline.{method}"
        return {"langgraph:node#system": "first", f"{prefix}.2/node#system": "second"}

    with LangGraphIntegration().hooks(rollouts.tracing):
        assert rollouts.discover(lambda _: pipeline.run()) == own("run")
        assert rollouts.discover(lambda _: pipeline.run_locals()) == own("run_locals")
        found = asyncio.run(rollouts.discover_async(lambda _: pipeline.run_async()))
        assert found == own("run_async")


def test_graphs_that_a_node_calls_one_after_another(rollouts: Any) -> None:
    pipeline = Pipeline()

    def node(state: State) -> State:
        pipeline.first.invoke({})
        pipeline.first.invoke({})
        pipeline.second.invoke({})
        return {}

    check(rollouts, node, {"node/node": "first", "node.2/node": "second"})


def test_a_graph_that_was_optimized_by_itself_gets_its_prompt_anywhere(rollouts: Any) -> None:
    pipeline = Pipeline()
    name = "langgraph:node#system"
    binding = Binding({name: PromptTemplate("New.")}, {name: PromptTemplate("second")})
    with LangGraphIntegration().hooks(rollouts.tracing):
        rollouts.run(lambda _: pipeline.run(), binding)
    assert binding.slots[name].sent == "New."
    assert binding.unmatched == {name: 2}


def test_a_program_has_the_same_slots_run_and_imported(rollouts: Any) -> None:
    code = "def answer(_):\n  model.invoke(system('Own.'))"
    names: dict[str, Any] = {"model": model, "system": system}
    names |= {"__name__": "__main__", "__file__": "folder/my_app.py"}
    exec(code, names)
    with LangGraphIntegration().hooks(rollouts.tracing):
        assert rollouts.discover(names["answer"]) == {"langgraph:my_app.answer#system": "Own."}


def test_code_without_source_has_names_but_no_numbers(rollouts: Any) -> None:
    names: dict[str, Any] = {"model": model, "system": system, "__name__": "typed_in"}
    lines = ["def node(state):", "ask('first')", "model.invoke(system('second'))", "return {}"]
    exec("def ask(text):\n  model.invoke(system(text))\n" + "\n  ".join(lines), names)
    check(rollouts, names["node"], {"node.ask": "first", "node": "second"})
