"""Our integrations under the conformance suite, on programs as people write them.

python -m agl_adapters.testing.conformance tests/integrations/test_conformance.py
"""

import asyncio
import itertools
import operator
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, TypedDict

import openai
import pytest
from agents import (
    Agent,
    GuardrailFunctionOutput,
    OpenAIChatCompletionsModel,
    Runner,
    SQLiteSession,
    function_tool,
    input_guardrail,
    output_guardrail,
)
from agents.tracing import set_trace_processors
from agents.tracing.processors import default_processor
from autogen_agentchat.agents import AssistantAgent, CodeExecutorAgent, SocietyOfMindAgent
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.teams import (
    DiGraphBuilder,
    GraphFlow,
    MagenticOneGroupChat,
    RoundRobinGroupChat,
    SelectorGroupChat,
    Swarm,
)
from autogen_agentchat.teams._group_chat._magentic_one import _prompts as magentic
from autogen_agentchat.tools import AgentTool, TeamTool
from autogen_ext.code_executors.local import LocalCommandLineCodeExecutor
from autogen_ext.models.openai import OpenAIChatCompletionClient
from langchain.agents import create_agent
from langchain.agents.middleware import ModelRequest, dynamic_prompt
from langchain_core.messages import AnyMessage, SystemMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint
from langgraph.func import task as graph_task
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.prebuilt import create_react_agent  # pyright: ignore[reportDeprecated]
from langgraph.types import Command, Send, interrupt
from pydantic import BaseModel

from agl_adapters.testing.conformance import IntegrationConformance, Program
from agl_integrations.autogen import AutoGenIntegration
from agl_integrations.langgraph import LangGraphIntegration
from agl_integrations.openai import OpenAIIntegration
from agl_integrations.openai_agents import OpenAIAgentsIntegration

MODEL = "gpt-4o-mini"
Update = dict[str, Any]

BRIEFED = "Answer in one line.\n\n{value_1}"
"""A prompt in front of the task, in the same message."""


def briefed(text: str) -> str:
    return BRIEFED.replace("{value_1}", text)


class Answer(BaseModel):
    text: str


def sum_of(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


# --------------------------------------------------------------------------------------- LangGraph


class State(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


class FanState(TypedDict):
    messages: list[Any]
    outputs: Annotated[list[Any], operator.add]


add = tool(sum_of)


def chat_model(**arguments: Any) -> ChatOpenAI:
    return ChatOpenAI(model=MODEL, **arguments)


def graph_of(*nodes: Callable[..., Any], checkpointer: Any = None, **named: Any) -> Any:
    """Compile a graph of nodes that run one after another."""
    graph = StateGraph(State)
    steps: dict[str, Any] = {node.__name__: node for node in nodes} | named
    for name, node in steps.items():
        graph.add_node(name, node)
    for before, after in itertools.pairwise([START, *steps]):
        graph.add_edge(before, after)
    return graph.compile(checkpointer)


def asked(text: str) -> Update:
    return {"messages": [("user", text)]}


def system(text: str, state: Any) -> list[Any]:
    return [SystemMessage(text), *state["messages"]]


def hand_written() -> Any:
    model = chat_model()

    def planner(state: State) -> Update:
        return {"messages": [model.invoke(system("You plan.", state))]}

    def solver(state: State) -> Update:
        return {"messages": [model.bind_tools([add]).invoke(system("You solve.", state))]}

    return graph_of(planner, solver)


def hand_written_async() -> Any:
    model = chat_model()

    async def planner(state: State) -> Update:
        return {"messages": [await model.ainvoke(system("You plan.", state))]}

    async def solver(state: State) -> Update:
        return {"messages": [await model.bind_tools([add]).ainvoke(system("You solve.", state))]}

    return graph_of(planner, solver)


def prebuilt() -> Any:
    return create_agent(chat_model(), [add], system_prompt="You add.")


def react() -> Any:
    return create_react_agent(chat_model(), [add], prompt="You add.")  # pyright: ignore[reportDeprecated]


def dynamic() -> Any:
    @dynamic_prompt
    def prompt(request: ModelRequest) -> str:
        return "You adapt."

    return create_agent(chat_model(), [add], middleware=[prompt])


def prompt_of(text: str) -> Any:
    return ChatPromptTemplate([("system", text), ("placeholder", "{messages}")])


def chain_in_a_node() -> Any:
    return graph_of(
        teller=prompt_of("You tell.") | chat_model() | (lambda message: {"messages": [message]})
    )


def chain() -> Any:
    return prompt_of("You tell.") | chat_model()


def subgraphs() -> Any:
    inner = hand_written()

    def called(state: State) -> Update:
        return inner.invoke({"messages": state["messages"]})

    return graph_of(called, team=inner)


def fan_out() -> Any:
    model = chat_model()

    def worker(state: FanState) -> Update:
        return {"outputs": [model.invoke(system("You work.", state))]}

    def spread(state: FanState) -> list[Send]:
        return [Send("worker", {"messages": state["messages"], "outputs": []})] * 3

    graph = StateGraph(FanState)
    graph.add_node(worker)
    graph.add_conditional_edges(START, spread, ["worker"])
    return graph.compile()


def structured() -> Any:
    caller: Any = chat_model().with_structured_output(Answer)

    def extractor(state: State) -> Update:
        return {"messages": [("ai", caller.invoke(system("You extract.", state)).text)]}

    return graph_of(extractor)


def model_stream() -> Any:
    model = chat_model(stream_usage=True)

    def streamer(state: State) -> Update:
        pieces = model.stream(system("You stream.", state))
        return {"messages": [("ai", "".join(str(piece.content) for piece in pieces))]}

    return graph_of(streamer)


def graph_stream() -> Any:
    graph = hand_written()
    return lambda given: list(graph.stream(given, stream_mode="messages"))


def graph_events() -> Any:
    graph = hand_written_async()

    async def run(given: Any) -> Any:
        return [event async for event in graph.astream_events(given, version="v2")][-1]

    return run


def functional() -> Any:
    model = chat_model()

    @graph_task
    def draft(messages: list[Any]) -> Any:
        return model.invoke([("system", "You draft."), *messages])

    @entrypoint()
    def writer(inputs: Update) -> Any:
        return model.invoke(
            [("system", "You edit."), *inputs["messages"], draft(inputs["messages"]).result()]
        )

    return writer


def interrupted() -> Any:
    model = chat_model()

    def planner(state: State) -> Update:
        return {"messages": [model.invoke(system("You plan.", state))]}

    def approver(state: State) -> Update:
        return {"messages": [("user", interrupt("May I?"))]}

    def solver(state: State) -> Update:
        return {"messages": [model.invoke(system("You solve.", state))]}

    def run(given: Any) -> Any:
        graph = graph_of(planner, approver, solver, checkpointer=InMemorySaver())
        config: Any = {"configurable": {"thread_id": "one"}}
        graph.invoke(given, config)
        return graph.invoke(Command(resume="Yes."), config)

    return run


def checkpointed() -> Any:
    return create_agent(chat_model(), [add], system_prompt="You add.", checkpointer=InMemorySaver())


def retries_and_fallbacks() -> Any:
    model = chat_model()
    broken = chat_model(base_url="http://127.0.0.1:9", max_retries=0)

    def careful(state: State) -> Update:
        messages = system("You are careful.", state)
        return {"messages": [broken.with_fallbacks([model.with_retry()]).invoke(messages)]}

    return graph_of(careful)


def list_of_parts() -> Any:
    model = chat_model()
    parts: Any = [{"type": "text", "text": "You read."}, {"type": "text", "text": "You cite."}]

    def reader(state: State) -> Update:
        return {"messages": [model.invoke([SystemMessage(parts), *state["messages"]])]}

    return graph_of(reader)


def two_prompts_in_a_node() -> Any:
    model = chat_model()

    def writer(state: State) -> Update:
        draft = model.invoke(system("You draft.", state))
        return {"messages": [draft, model.invoke(system("You edit.", state))]}

    return graph_of(writer)


def agent_as_a_tool() -> Any:
    researcher: Any = create_agent(chat_model(), [], system_prompt="You research.")

    @tool
    def research(question: str) -> str:
        """Research."""
        return researcher.invoke({"messages": [("user", question)]})["messages"][-1].content

    return create_agent(chat_model(), [research], system_prompt="You lead.")


def own_pool() -> Any:
    model = chat_model()

    def pooled(state: State) -> Update:
        with ThreadPoolExecutor(2) as pool:
            return {"messages": list(pool.map(model.invoke, [system("You pool.", state)] * 2))}

    return graph_of(pooled)


def graph_and_client() -> Any:
    """Build a graph of which one node calls LangChain's model and one the plain client."""
    model, client = chat_model(), openai.OpenAI()

    def planner(state: State) -> Update:
        return {"messages": [model.invoke(system("You plan.", state))]}

    def caller(state: State) -> Update:
        user: Any = {"role": "user", "content": state["messages"][0].content}
        messages: Any = [{"role": "system", "content": "You call."}, user]
        answer = client.chat.completions.create(model=MODEL, messages=messages)
        return {"messages": [("ai", str(answer.choices[0].message.content))]}

    return graph_of(planner, caller)


def user_message() -> Any:
    model = chat_model()

    def teller(state: State) -> Update:
        return {"messages": [model.invoke(briefed(state["messages"][-1].text))]}

    return graph_of(teller)


def user_message_of_a_template() -> Any:
    template = ChatPromptTemplate([("human", "Answer {question} in one line.")])

    def questions(state: Any) -> Any:
        return {"question": state["messages"][-1].text}

    return graph_of(
        teller=questions | template | chat_model() | (lambda message: {"messages": [message]})
    )


def langgraph(name: str, build: Callable[[], Any], **more: Any) -> Program:
    prompts = more.pop("prompts")
    slots = {path if ":" in path else f"langgraph:{path}": text for path, text in prompts.items()}
    return Program(name, build, slots, asked, **more)


ADDING: dict[str, Any] = {"words": "CALL:sum_of", "tools": ["sum_of"]}
PLAN_AND_SOLVE = {"planner#system": "You plan.", "solver#system": "You solve."}
SHARED_CLIENT = {
    "outside_of_rollouts_the_wire_is_as_without_hooks": "the SDK shares one client among the event "
    "loops of threads, which fails without us; in rollouts each loop has its own connections"
}
ANY_INPUT = {"an_input_of_the_wrong_shape_is_refused": "it does not say what its input is"}


class TestLangGraph(IntegrationConformance):
    integration = LangGraphIntegration
    patched = ("concurrent",)

    @classmethod
    def programs(cls) -> Sequence[Program]:
        team = {
            f"{path}/{slot}": text
            for path in ("called", "team")
            for slot, text in PLAN_AND_SOLVE.items()
        }
        return [
            langgraph("hand-written nodes", hand_written, prompts=PLAN_AND_SOLVE),
            langgraph("hand-written nodes, async", hand_written_async, prompts=PLAN_AND_SOLVE),
            langgraph("create_agent", prebuilt, prompts={"model#system": "You add."}, **ADDING),
            langgraph("create_react_agent", react, prompts={"agent#system": "You add."}, **ADDING),
            langgraph("dynamic prompt", dynamic, prompts={"model#system": "You adapt."}, **ADDING),
            langgraph(
                "prompt template in a node", chain_in_a_node, prompts={"teller#system": "You tell."}
            ),
            langgraph(
                "prompt template chain",
                chain,
                prompts={"chain#system": "You tell."},
                not_applicable=ANY_INPUT,
            ),
            langgraph("subgraphs", subgraphs, prompts=team),
            langgraph(
                "user message", user_message, prompts={"teller#user": BRIEFED}, user_messages=True
            ),
            langgraph(
                "user message of a template",
                user_message_of_a_template,
                prompts={"teller#user": "Answer {question} in one line."},
                user_messages=True,
            ),
            langgraph("Send", fan_out, prompts={"worker#system": "You work."}),
            langgraph(
                "structured output", structured, prompts={"extractor#system": "You extract."}
            ),
            langgraph("a model's stream", model_stream, prompts={"streamer#system": "You stream."}),
            langgraph("stream", graph_stream, prompts=PLAN_AND_SOLVE),
            langgraph("astream_events", graph_events, prompts=PLAN_AND_SOLVE),
            langgraph(
                "functional API",
                functional,
                prompts={"writer/draft#system": "You draft.", "writer#system": "You edit."},
                not_applicable=ANY_INPUT,
            ),
            langgraph("interrupt and resume", interrupted, prompts=PLAN_AND_SOLVE),
            langgraph("checkpointer", checkpointed, prompts={"model#system": "You add."}, **ADDING),
            langgraph(
                "retries and fallbacks",
                retries_and_fallbacks,
                prompts={"careful#system": "You are careful."},
                model_calls=2,
                not_applicable={
                    "a_failure_is_recorded_and_harms_no_other": "LangChain raises what its first "
                    "model met, a lost connection: such a rollout is tried again"
                },
            ),
            langgraph(
                "list of parts",
                list_of_parts,
                prompts={"reader#system": "You read.", "reader#system.2": "You cite."},
            ),
            langgraph(
                "two prompts in a node",
                two_prompts_in_a_node,
                prompts={"writer#system": "You draft.", "writer.2#system": "You edit."},
            ),
            langgraph(
                "agent as a tool",
                agent_as_a_tool,
                prompts={
                    "model#system": "You lead.",
                    "tools/research/model#system": "You research.",
                },
                words="CALL:research",
                tools=["research"],
            ),
            langgraph("a pool of its own", own_pool, prompts={"pooled#system": "You pool."}),
            langgraph("a factory", lambda: hand_written, prompts=PLAN_AND_SOLVE),
            langgraph(
                "a node that calls the plain client",
                graph_and_client,
                prompts={
                    "planner#system": "You plan.",
                    f"openai:{__name__}.graph_and_client.caller#system": "You call.",
                },
            ),
        ]


# ------------------------------------------------------------------------------- OpenAI Agents SDK


def agent(name: str, instructions: Any, **arguments: Any) -> Agent[Any]:
    given: dict[str, Any] = {"model": MODEL, **arguments}
    return Agent(name=name, instructions=instructions, **given)


def single() -> Any:
    return agent("adder", "You add.", tools=[function_tool(sum_of)])


def dynamic_instructions() -> Any:
    def greet(context: Any, agent: Any) -> str:
        return f"You are {agent.name}."

    return agent("greeter", greet)


def handoff() -> Any:
    return agent("triage", "You route.", handoffs=[agent("billing", "You bill.")])


def as_tool() -> Any:
    maths = agent("maths", "You calculate.")
    return agent("boss", "You delegate.", tools=[maths.as_tool("calculate", "Calculates.")])


def guarded() -> Any:
    checker, judge = agent("checker", "You check questions."), agent("judge", "You check answers.")

    async def passed(guard: Agent[Any], text: str) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput((await Runner.run(guard, text)).final_output, False)

    @input_guardrail
    async def asked_well(context: Any, agent: Any, given: Any) -> GuardrailFunctionOutput:
        return await passed(checker, context.context)

    @output_guardrail
    async def answered_well(context: Any, agent: Any, output: Any) -> GuardrailFunctionOutput:
        return await passed(judge, f"{context.context} {output}")

    answering = agent(
        "guarded",
        "You answer.",
        input_guardrails=[asked_well],
        output_guardrails=[answered_well],
    )

    async def run(text: str) -> Any:
        return (await Runner.run(answering, text, context=text)).final_output

    return run


def streamed_run() -> Any:
    adder = single()

    async def run(text: str) -> Any:
        result = Runner.run_streamed(adder, text)
        async for _ in result.stream_events():
            pass
        return result.final_output

    return run


def with_session() -> Any:
    chatter = agent("chatter", "You chat.")

    async def run(text: str) -> Any:
        memory = SQLiteSession("one")
        await Runner.run(chatter, text, session=memory)
        return (await Runner.run(chatter, "And then?", session=memory)).final_output

    return run


def form() -> Any:
    return agent("former", "You fill forms.", output_type=Answer)


def chat_completions() -> Any:
    model = OpenAIChatCompletionsModel(MODEL, openai.AsyncOpenAI())
    return agent("adder", "You add.", tools=[function_tool(sum_of)], model=model)


def deep_in_a_function() -> Any:
    writer, editor = agent("writer", "You write."), agent("editor", "You edit.")

    async def run(text: str) -> Any:
        drafts = await asyncio.gather(Runner.run(writer, text), Runner.run(writer, text))
        final = [draft.final_output for draft in drafts]
        return (await Runner.run(editor, f"{text} {final}")).final_output

    return run


def run_sync() -> Any:
    adder = single()

    def run(text: str) -> Any:
        try:
            return Runner.run_sync(adder, text).final_output
        finally:
            asyncio.get_event_loop().close()

    return run


def briefed_run() -> Any:
    async def run(text: str) -> Any:
        return (await Runner.run(Agent(name="teller"), briefed(text))).final_output

    return run


def briefed_stream() -> Any:
    async def run(text: str) -> Any:
        result = Runner.run_streamed(Agent(name="teller", instructions="You tell."), briefed(text))
        return [event.type async for event in result.stream_events()]

    return run


def of_agents(name: str, build: Callable[[], Any], prompts: dict[str, str], **more: Any) -> Program:
    slots = {
        f"openai_agents:{who}" + ("" if "#" in who else "#instructions"): text
        for who, text in prompts.items()
    }
    return Program(name, build, slots, **more)


class TestOpenAIAgents(IntegrationConformance):
    integration = OpenAIAgentsIntegration
    patched = ("httpx2",)

    @pytest.fixture(autouse=True)
    def no_uploads(self) -> Iterator[None]:
        set_trace_processors([])
        yield
        set_trace_processors([default_processor()])

    @classmethod
    def programs(cls) -> Sequence[Program]:
        adder = {"adder": "You add."}
        return [
            of_agents("single agent", single, adder, **ADDING),
            of_agents(
                "dynamic instructions", dynamic_instructions, {"greeter": "You are greeter."}
            ),
            of_agents(
                "handoff",
                handoff,
                {"triage": "You route.", "billing": "You bill."},
                words="CALL:transfer_to_billing",
            ),
            of_agents(
                "agent as a tool",
                as_tool,
                {"boss": "You delegate.", "maths": "You calculate."},
                words="CALL:calculate",
                tools=["calculate"],
            ),
            of_agents(
                "guardrails",
                guarded,
                {
                    "checker": "You check questions.",
                    "guarded": "You answer.",
                    "judge": "You check answers.",
                },
            ),
            of_agents("streamed", streamed_run, adder, **ADDING),
            of_agents("user message", briefed_run, {"teller#user": BRIEFED}, user_messages=True),
            of_agents(
                "user message, streamed",
                briefed_stream,
                {"teller": "You tell.", "teller#user": BRIEFED},
                user_messages=True,
            ),
            of_agents("session", with_session, {"chatter": "You chat."}),
            of_agents("structured output", form, {"former": "You fill forms."}),
            of_agents("chat completions", chat_completions, adder, **ADDING),
            of_agents(
                "deep in a function",
                deep_in_a_function,
                {"writer": "You write.", "editor": "You edit."},
            ),
            of_agents("run_sync", run_sync, adder, not_applicable=SHARED_CLIENT, **ADDING),
        ]


# ----------------------------------------------------------------------------------------- AutoGen


def client_of(**changes: Any) -> OpenAIChatCompletionClient:
    names = ("function_calling", "json_output", "structured_output")
    info: Any = {"vision": False, "family": "gpt-4o", **dict.fromkeys(names, True), **changes}
    return OpenAIChatCompletionClient(
        model="simulated", model_info=info, parallel_tool_calls=False, max_retries=0
    )


def assistant(name: str, **arguments: Any) -> AssistantAgent:
    given: dict[str, Any] = {
        "model_client": client_of(),
        "description": f"It is {name}.",
        **arguments,
    }
    return AssistantAgent(name, system_message=f"You are {name}.", **given)


def solo(**arguments: Any) -> Callable[[], Any]:
    return lambda: assistant("solo", tools=[sum_of], **arguments)


def round_robin() -> Any:
    return RoundRobinGroupChat([assistant("writer"), assistant("editor")], max_turns=2)


def selector() -> Any:
    return SelectorGroupChat([assistant("writer"), assistant("editor")], client_of(), max_turns=2)


def swarm() -> Any:
    front = assistant("front", handoffs=["back"])
    return Swarm([front, assistant("back")], termination_condition=MaxMessageTermination(4))


def graph_flow() -> Any:
    writer, editor = assistant("writer"), assistant("editor")
    graph = DiGraphBuilder().add_node(writer).add_node(editor).add_edge(writer, editor).build()
    return GraphFlow([writer, editor], graph=graph)


def magentic_one() -> Any:
    return MagenticOneGroupChat([assistant("worker")], client_of())


def society_of_mind() -> Any:
    client = client_of(multiple_system_messages=True)
    return SocietyOfMindAgent("society", round_robin(), client, instruction="You sum up.")


def agent_tool() -> Any:
    return assistant("boss", tools=[AgentTool(assistant("helper"))])


def team_tool() -> Any:
    return assistant(
        "boss",
        tools=[TeamTool(round_robin(), "team", "A team.", return_value_as_last_message=True)],
    )


def code_executor() -> Any:
    return CodeExecutorAgent(
        "coder",
        LocalCommandLineCodeExecutor(),
        model_client=client_of(),
        system_message="You are coder.",
        approval_func=lambda _: pytest.fail("the model writes no code"),
    )


def in_a_function() -> Any:
    async def run(text: str) -> Any:
        return (await assistant("solo").run(task=text)).messages[-1].to_text()

    return run


def briefed_agent() -> Any:
    async def run(text: str) -> Any:
        return (await assistant("solo").run(task=briefed(text))).messages[-1].to_text()

    return run


def of_autogen(name: str, build: Callable[[], Any], *who: str, **more: Any) -> Program:
    slots = {f"autogen:{agent}#system": f"You are {agent}." for agent in who}
    slots |= {f"autogen:{path}": text for path, text in more.pop("prompts", {}).items()}
    return Program(name, build, slots, **more)


SELECTOR = (SelectorGroupChat.__init__.__kwdefaults__ or {})["selector_prompt"]
MAGENTIC = {
    f"MagenticOneGroupChat#{prompt}_prompt": getattr(
        magentic, f"ORCHESTRATOR_{prompt.upper()}_PROMPT"
    )
    for prompt in (
        *("task_ledger_facts", "task_ledger_plan", "task_ledger_full"),
        *("progress_ledger", "final_answer"),
    )
}


@pytest.mark.filterwarnings("ignore:Using LocalCommandLineCodeExecutor may execute code")
class TestAutoGen(IntegrationConformance):
    integration = AutoGenIntegration
    patched = ("autogen_ext", "concurrent")

    @classmethod
    def programs(cls) -> Sequence[Program]:
        reflecting: dict[str, Any] = {"reflect_on_tool_use": True}
        team = ("writer", "editor")
        society = {
            "society#instruction": "You sum up.",
            "society#response_prompt": SocietyOfMindAgent.DEFAULT_RESPONSE_PROMPT,
        }
        return [
            of_autogen("assistant with tools", solo(), "solo", **ADDING),
            of_autogen("reflection", solo(**reflecting), "solo", **ADDING),
            of_autogen("streaming", solo(**reflecting, model_client_stream=True), "solo", **ADDING),
            of_autogen(
                "structured output",
                lambda: assistant("solo", output_content_type=Answer),
                "solo",
            ),
            of_autogen("RoundRobinGroupChat", round_robin, *team),
            of_autogen(
                "SelectorGroupChat",
                selector,
                *team,
                prompts={"SelectorGroupChat#selector_prompt": SELECTOR},
            ),
            of_autogen(
                "Swarm",
                swarm,
                *("front", "back"),
                words="CALL:transfer_to_back",
                tools=["transfer_to_back"],
            ),
            of_autogen("GraphFlow", graph_flow, *team),
            of_autogen(
                "MagenticOneGroupChat",
                magentic_one,
                "worker",
                prompts=MAGENTIC,
                user_messages=True,
            ),
            of_autogen(
                "user message",
                briefed_agent,
                "solo",
                prompts={"solo#user": BRIEFED},
                user_messages=True,
            ),
            of_autogen("SocietyOfMindAgent", society_of_mind, *team, prompts=society),
            of_autogen(
                "AgentTool", agent_tool, "boss", "helper", words="CALL:helper", tools=["helper"]
            ),
            of_autogen("TeamTool", team_tool, "boss", *team, words="CALL:team", tools=["team"]),
            of_autogen("CodeExecutorAgent", lambda: code_executor, "coder"),
            of_autogen("a factory", lambda: round_robin, *team),
            of_autogen("in a function", in_a_function, "solo"),
        ]


# ------------------------------------------------------------------------------------ plain openai


def said(text: str) -> Any:
    return [{"role": "system", "content": "You chat."}, {"role": "user", "content": text}]


def chat() -> Any:
    client = openai.OpenAI()

    def ask(text: str) -> Any:
        answer = client.chat.completions.create(model=MODEL, messages=said(text))
        return answer.choices[0].message.content

    return ask


def chat_async() -> Any:
    client = openai.AsyncOpenAI()

    async def ask(text: str) -> Any:
        answer = await client.chat.completions.create(model=MODEL, messages=said(text))
        return answer.choices[0].message.content

    return ask


def chat_streamed() -> Any:
    client = openai.OpenAI()
    usage: Any = {"include_usage": True}

    def ask(text: str) -> Any:
        stream = client.chat.completions.create(
            model=MODEL, messages=said(text), stream=True, stream_options=usage
        )
        return "".join(c.choices[0].delta.content or "" for c in stream if c.choices)

    return ask


def chat_parsed() -> Any:
    client = openai.OpenAI()

    def ask(text: str) -> Any:
        answer = client.chat.completions.parse(
            model=MODEL, messages=said(text), response_format=Answer
        )
        return answer.choices[0].message.content

    return ask


def chat_raw() -> Any:
    client = openai.OpenAI()

    def ask(text: str) -> Any:
        raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=said(text))
        return raw.parse().choices[0].message.content

    return ask


def several_system_messages() -> Any:
    client = openai.OpenAI()

    def ask(text: str) -> Any:
        messages: Any = [*said(text), {"role": "developer", "content": "You cite."}]
        answer = client.chat.completions.create(model=MODEL, messages=messages)
        return answer.choices[0].message.content

    return ask


def respond() -> Any:
    client = openai.OpenAI()
    return lambda text: (
        client.responses.create(model=MODEL, instructions="You chat.", input=text).output_text
    )


def respond_async() -> Any:
    client = openai.AsyncOpenAI()

    async def ask(text: str) -> Any:
        answer = await client.responses.create(model=MODEL, input=said(text))
        return answer.output_text

    return ask


def respond_streamed() -> Any:
    client = openai.AsyncOpenAI()

    async def ask(text: str) -> Any:
        stream = await client.responses.create(
            model=MODEL, instructions="You chat.", input=text, stream=True
        )
        return [event.type async for event in stream]

    return ask


def respond_parsed() -> Any:
    client = openai.OpenAI()

    def ask(text: str) -> Any:
        answer = client.responses.parse(
            model=MODEL, instructions="You chat.", input=text, text_format=Answer
        )
        return answer.output_text

    return ask


def brief() -> Any:
    client = openai.OpenAI()

    def ask(text: str) -> Any:
        messages: Any = [{"role": "user", "content": briefed(text)}]
        answer = client.chat.completions.create(model=MODEL, messages=messages)
        return answer.choices[0].message.content

    return ask


def brief_response() -> Any:
    client = openai.AsyncOpenAI()

    async def ask(text: str) -> Any:
        answer = await client.responses.create(model=MODEL, input=briefed(text))
        return answer.output_text

    return ask


def of_client(build: Callable[[], Any], function: str = "ask", **more: Any) -> Program:
    path = f"openai:{__name__}.{build.__name__}" + (f".{function}" if function else "")
    prompts = {f"{path}#{role}": text for role, text in more.pop("prompts", {}).items()}
    name = build.__name__.replace("_", " ")
    return Program(name, build, prompts or {f"{path}#system": "You chat."}, **more)


class TestOpenAI(IntegrationConformance):
    integration = OpenAIIntegration
    patched = ("opentelemetry",)

    @classmethod
    def programs(cls) -> Sequence[Program]:
        two = {"system": "You chat.", "system.2": "You cite."}
        return [
            *map(of_client, (chat, chat_async, chat_streamed, chat_parsed, chat_raw)),
            of_client(several_system_messages, prompts=two),
            of_client(respond, ""),
            of_client(brief, prompts={"user": BRIEFED}, user_messages=True),
            of_client(brief_response, prompts={"user": BRIEFED}, user_messages=True),
            *map(of_client, (respond_async, respond_streamed, respond_parsed)),
        ]
