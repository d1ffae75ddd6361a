"""AutoGen programs as people write them: slots, rollouts at once, the wire outside of them."""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
from autogen_agentchat.agents import (
    AssistantAgent,
    BaseChatAgent,
    CodeExecutorAgent,
    SocietyOfMindAgent,
)
from autogen_agentchat.base import Response
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.messages import BaseChatMessage, TextMessage
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
from autogen_core import (
    AgentId,
    CancellationToken,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    message_handler,
)
from autogen_core.memory import ListMemory, MemoryContent, MemoryMimeType
from autogen_core.models import SystemMessage, UserMessage
from autogen_core.tools import BaseTool
from autogen_ext.agents.openai import OpenAIAgent
from autogen_ext.code_executors.local import LocalCommandLineCodeExecutor
from autogen_ext.models.cache import ChatCompletionCache
from autogen_ext.models.openai import OpenAIChatCompletionClient
from openai import AsyncOpenAI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel

from agl_adapters.testing import SimulatedModel
from agl_core.faults.failures import is_transient
from agl_core.prompts.binding import Binding, bound
from agl_core.prompts.templates import PromptTemplate
from agl_core.spans import genai
from agl_core.spans.model_calls import model_calls
from agl_core.spans.span import Span
from agl_core.tracing.recording import UNFINISHED
from agl_core.tracing.tracing import Tracing
from agl_integrations.autogen import AutoGenIntegration
from agl_integrations.openai import OpenAIIntegration

pytest_plugins = ["agl_adapters.testing.fixtures"]
# Clients that were let go of close their connections later, on the loop that they were used on.
pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore:Using LocalCommandLineCodeExecutor may execute code"),
]

NUMBERS = range(8)
INFO: dict[str, Any] = {
    "vision": False,
    "function_calling": True,
    "json_output": True,
    "structured_output": True,
    "family": "gpt-4o",
}


def new_client(**changes: Any) -> OpenAIChatCompletionClient:
    info: Any = {**INFO, **changes}
    return OpenAIChatCompletionClient(
        model="simulated", model_info=info, parallel_tool_calls=False, max_retries=0
    )


@cache
def client_of(**changes: Any) -> OpenAIChatCompletionClient:
    """Return the client that programs share: making one takes longer than most programs."""
    return new_client(**changes)


async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class Answer(BaseModel):
    answer: str


# ------------------------------------------------------------------------------------ the programs


def agent(name: str, **arguments: Any) -> AssistantAgent:
    arguments = {"model_client": client_of(), "description": f"It is {name}.", **arguments}
    return AssistantAgent(name, system_message=f"You are {name}.", **arguments)


def with_tools() -> Any:
    return agent("solo", tools=[add])


def reflecting() -> Any:
    return agent("solo", tools=[add], reflect_on_tool_use=True)


def looping() -> Any:
    return agent("solo", tools=[add], max_tool_iterations=3)


def streaming() -> Any:
    return agent("solo", tools=[add], reflect_on_tool_use=True, model_client_stream=True)


def structured() -> Any:
    return agent("solo", output_content_type=Answer)


def structured_streaming() -> Any:
    return agent("solo", output_content_type=Answer, model_client_stream=True)


def cached() -> Any:
    return agent("solo", model_client=ChatCompletionCache(client_of()))


def round_robin(**arguments: Any) -> Any:
    return RoundRobinGroupChat([agent("writer"), agent("editor")], max_turns=2, **arguments)


def selector() -> Any:
    return SelectorGroupChat([agent("writer"), agent("editor")], client_of(), max_turns=2)


def selector_with_its_own_prompt() -> Any:
    return SelectorGroupChat(
        [agent("writer"), agent("editor")],
        client_of(),
        selector_prompt="{roles} {history} Choose the next role from {participants}. {{JSON}}",
        model_client_streaming=True,
        max_turns=2,
    )


def swarm() -> Any:
    front = agent("front", handoffs=["back"])
    return Swarm([front, agent("back")], termination_condition=MaxMessageTermination(4))


def graph_flow() -> Any:
    writer, editor = agent("writer"), agent("editor")
    graph = DiGraphBuilder().add_node(writer).add_node(editor).add_edge(writer, editor).build()
    return GraphFlow([writer, editor], graph=graph)


def magentic_one() -> Any:
    return MagenticOneGroupChat([agent("worker")], client_of())


def society_of_mind() -> Any:
    client = client_of(multiple_system_messages=True)
    return SocietyOfMindAgent("society", round_robin(), client, instruction="You sum up.")


def agent_as_tool() -> Any:
    return agent("boss", tools=[AgentTool(agent("helper"))])


def team_as_tool() -> Any:
    tool = TeamTool(round_robin(), "team", "A team.", return_value_as_last_message=True)
    return agent("boss", tools=[tool])


def code_executor() -> Any:
    return CodeExecutorAgent(
        "coder",
        LocalCommandLineCodeExecutor(),
        model_client=client_of(),
        system_message="You are coder.",
        approval_func=lambda _: pytest.fail("the model writes no code"),
    )


def openai_agent() -> Any:
    return OpenAIAgent("solo", "It is solo.", AsyncOpenAI(), "simulated", "You are solo.")


class Pair(BaseChatAgent):
    """An agent that somebody wrote: it calls a model by itself."""

    def __init__(self) -> None:
        super().__init__("pair", "It is a pair.")
        self._client = client_of()

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> Response:
        prompt = [SystemMessage(content="You are pair."), *(m.to_model_message() for m in messages)]
        result = await self._client.create(prompt)
        return Response(chat_message=TextMessage(content=str(result.content), source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None: ...


SOLO = {"solo#system": "You are solo."}
TEAM = {"writer#system": "You are writer.", "editor#system": "You are editor."}
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
PROGRAMS: dict[str, tuple[Callable[[], Any], str, dict[str, str]]] = {
    "assistant with tools": (with_tools, "CALL:add", SOLO),
    "reflection": (reflecting, "CALL:add", SOLO),
    "tool loop": (looping, "CALL:add", SOLO),
    "streaming": (streaming, "CALL:add", SOLO),
    "structured output": (structured, "", SOLO),
    "structured output, streaming": (structured_streaming, "", SOLO),
    "cached model client": (cached, "", SOLO),
    "RoundRobinGroupChat": (round_robin, "", TEAM),
    "SelectorGroupChat": (selector, "", {"SelectorGroupChat#selector_prompt": SELECTOR, **TEAM}),
    "SelectorGroupChat, its own prompt": (
        selector_with_its_own_prompt,
        "",
        {
            "SelectorGroupChat#selector_prompt": "{roles} {history} Choose the next role from "
            "{participants}. {{JSON}}",
            **TEAM,
        },
    ),
    "Swarm": (
        swarm,
        "CALL:transfer_to_back",
        {"front#system": "You are front.", "back#system": "You are back."},
    ),
    "GraphFlow": (graph_flow, "", TEAM),
    "MagenticOneGroupChat": (magentic_one, "", {**MAGENTIC, "worker#system": "You are worker."}),
    "SocietyOfMindAgent": (
        society_of_mind,
        "",
        {
            **TEAM,
            "society#instruction": "You sum up.",
            "society#response_prompt": SocietyOfMindAgent.DEFAULT_RESPONSE_PROMPT,
        },
    ),
    "AgentTool": (
        agent_as_tool,
        "CALL:helper",
        {"boss#system": "You are boss.", "helper#system": "You are helper."},
    ),
    "TeamTool": (team_as_tool, "CALL:team", {"boss#system": "You are boss.", **TEAM}),
    "CodeExecutorAgent": (code_executor, "", {"coder#system": "You are coder."}),
    "OpenAIAgent": (openai_agent, "", {"solo#instructions": "You are solo."}),
    "an agent of one's own": (Pair, "", {"pair#system": "You are pair."}),
}


# ----------------------------------------------------------------------------------------- helpers

Run = Callable[[int], Awaitable[Any]]
Own = Mapping[str, PromptTemplate]


@pytest.fixture
def integration() -> AutoGenIntegration:
    return AutoGenIntegration()


@contextmanager
def hooks_of(integration: AutoGenIntegration, rollouts: Any) -> Generator[None]:
    """Install what is installed for an AutoGen program: it uses the openai client."""
    with OpenAIIntegration().hooks(rollouts.tracing), integration.hooks(rollouts.tracing):
        yield


@pytest.fixture
def hooked(
    integration: AutoGenIntegration, rollouts: Any, simulated_model: SimulatedModel
) -> Iterator[AutoGenIntegration]:
    with hooks_of(integration, rollouts):
        yield integration


def task(number: int, words: str = "") -> str:
    return f"Go on. RUN:{number} {words}"


async def discovered(rollouts: Any, run: Run) -> dict[str, PromptTemplate]:
    """Return the program's own prompts, as the engine finds them."""
    binding = Binding({})
    await rollouts.run_async(lambda _: run(99), binding)
    return {
        slot: use.template or PromptTemplate(use.original, "literal")
        for slot, use in binding.slots.items()
    }


def candidate(own: Own, number: int) -> Binding:
    """Bind to each slot its own prompt with a mark in front, which no other rollout has."""
    marked = {slot: p.with_text(f"NEW {slot} {number}. {p.raw}") for slot, p in own.items()}
    return Binding(marked, own)


async def eight(rollouts: Any, run: Run, own: Own) -> None:
    """Run the program eight times at once, each with prompts of its own."""
    await asyncio.gather(
        *(asyncio.create_task(rollouts.run_async(run, candidate(own, n), n)) for n in NUMBERS)
    )


def check_wire(model: SimulatedModel, own: Own) -> None:
    """Each request has prompts of its own rollout only, and every rollout sent all of its own."""
    sent: dict[int, set[str]] = {}
    for request in model.log():
        text = "\n".join([*request.systems, *request.users])
        marks = re.findall(r"NEW (\S+) (\d+)\.", text)
        (number,) = {int(n) for _, n in marks} | {int(n) for n in re.findall(r"RUN:(\d+)", text)}
        sent.setdefault(number, set()).update(slot for slot, _ in marks)
        for prompt in own.values():
            start = prompt.raw.partition("{")[0]
            unmarked = re.sub(rf"NEW \S+ \d+\. {re.escape(start)}", "", text)
            assert not start or start not in unmarked
    assert sent == {number: set(own) for number in NUMBERS}


# -------------------------------------------------------------------------------------- the matrix


def runs_of(hooked: AutoGenIntegration, name: str) -> Run:
    """Return what runs a program; all runs are given the same object if that can be copied."""
    build, words, _ = PROGRAMS[name]
    target: Any = None if build is code_executor else hooked.adapt(build())

    async def run(number: int) -> Any:
        return await (target or hooked.adapt(build())).run(task(number, words))

    return run


@pytest.mark.parametrize("name", PROGRAMS)
async def test_prompts_are_found_and_arrive_each_at_its_own_rollout(
    name: str, hooked: AutoGenIntegration, rollouts: Any, simulated_model: SimulatedModel
) -> None:
    run = runs_of(hooked, name)
    own = await discovered(rollouts, run)
    assert {slot: prompt.raw for slot, prompt in own.items()} == {
        f"autogen:{path}": text for path, text in PROGRAMS[name][2].items()
    }
    simulated_model.reset()
    await eight(rollouts, run, own)
    check_wire(simulated_model, own)


@pytest.mark.parametrize("name", PROGRAMS)
async def test_spans_are_one_tree_with_what_was_sent(
    name: str, hooked: AutoGenIntegration, rollouts: Any, simulated_model: SimulatedModel
) -> None:
    run = runs_of(hooked, name)
    own = await discovered(rollouts, run)
    simulated_model.reset()
    await rollouts.run_async(run, candidate(own, 0), 0)
    spans: Sequence[Span] = rollouts.recordings[-1].spans
    assert {span.trace_id for span in spans} == {spans[0].trace_id}
    ids = {span.span_id for span in spans}
    assert all(span.parent_id in ids for span in spans[1:])
    assert not any(UNFINISHED in span.attributes for span in spans)

    calls = [span for span in spans if genai.is_model_call(span)]
    requests = simulated_model.log()
    assert len(calls) == len(requests)
    assert model_calls(spans) == calls
    for span, request in zip(calls, requests, strict=True):
        assert genai.request_model(span) == "simulated"
        # A stream has a count of tokens if the program asks for it.
        assert ("gen_ai.usage.input_tokens" in span.attributes) != request.stream
        assert bool(min(genai.usage(span)[:2])) != request.stream
        messages = genai.input_messages(span)
        sent = [m["content"].strip() for m in messages if m["role"] in ("system", "user")]
        assert sorted(sent) == sorted(text.strip() for text in [*request.systems, *request.users])
        slot = str(genai.slot(span))
        assert any(f"NEW {slot} 0." in text for text in sent)
        assert genai.output_messages(span)

    asked = {
        call["id"]: call["name"]
        for span in calls
        for message in genai.output_messages(span)
        for call in message.get("tool_calls", ())
    }
    tools = [span for span in spans if genai.is_tool_call(span)]
    assert {genai.tool_call_id(span): genai.tool_name(span) for span in tools} == asked
    assert bool(asked) == ("CALL:" in PROGRAMS[name][1])
    assert all(genai.tool_result(span) and genai.tool_arguments(span) for span in tools)


@pytest.mark.parametrize("name", PROGRAMS)
async def test_without_a_prompt_the_wire_is_what_it_was(
    name: str, integration: AutoGenIntegration, rollouts: Any, simulated_model: SimulatedModel
) -> None:
    build, words, _ = PROGRAMS[name]

    async def wire(in_rollout: bool = False) -> list[str]:
        simulated_model.reset()
        program = build()
        if in_rollout:
            await rollouts.run_async(lambda _: program.run(task=task(1, words)), Binding({}))
        else:
            await program.run(task=task(1, words))
        return [request.raw for request in simulated_model.log()]

    before = await wire()
    with hooks_of(integration, rollouts):
        assert await wire() == before
        assert await wire(in_rollout=True) == before
    assert await wire() == before


def classes_and_functions() -> dict[tuple[str, str], Any]:
    """Return what stands in AutoGen's modules, and in the classes of them."""
    found: dict[tuple[str, str], Any] = {}
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith("autogen_"):
            for name, value in list(vars(module).items()):
                found[module_name, name] = value
                if isinstance(value, type):
                    found |= {(f"{module_name}.{name}", k): v for k, v in vars(value).items()}
    return found


async def test_classes_are_as_found_after_the_hooks(
    integration: AutoGenIntegration, rollouts: Any
) -> None:
    before = classes_and_functions()
    with hooks_of(integration, rollouts):
        assert "_system_messages" in vars(AssistantAgent)

        class Late(OpenAIChatCompletionClient):
            async def create(self, *args: Any, **kwargs: Any) -> Any:
                return await super().create(*args, **kwargs)

        wrapped = vars(Late)["create"]
    after = classes_and_functions()
    assert {key for key, value in after.items() if before.get(key) is not value} <= {
        key for key in after if key[1] in ("__abstractmethods__", "_abc_impl")
    }
    assert before.keys() == after.keys()
    assert vars(Late)["create"] is wrapped.__wrapped__


async def test_what_somebody_else_has_wrapped_meanwhile_stays(
    integration: AutoGenIntegration, rollouts: Any, simulated_model: SimulatedModel
) -> None:
    found = BaseTool.run_json
    with hooks_of(integration, rollouts):
        ours = BaseTool.run_json

        async def theirs(self: Any, *args: Any, **kwargs: Any) -> Any:
            return await ours(self, *args, **kwargs)

        BaseTool.run_json = theirs
    try:
        assert BaseTool.run_json is theirs
        with hooks_of(integration, rollouts):
            await rollouts.run_async(lambda _: with_tools().run(task="CALL:add"), Binding({}))
        assert len([s for s in rollouts.recordings[-1].spans if genai.is_tool_call(s)]) == 1
    finally:
        BaseTool.run_json = found


# ------------------------------------------------------------------------------------ the runtimes


class Teller(RoutedAgent):
    """An agent of autogen-core, which knows neither teams nor system messages."""

    def __init__(self) -> None:
        super().__init__("It tells.")
        self._client = client_of()

    @message_handler
    async def on_text(self, message: TextMessage, context: MessageContext) -> TextMessage:
        prompt = [SystemMessage(content="You tell."), message.to_model_message()]
        result = await self._client.create(prompt)
        return TextMessage(content=str(result.content), source="teller")


async def test_a_runtime_that_was_started_outside(
    hooked: AutoGenIntegration, rollouts: Any, simulated_model: SimulatedModel
) -> None:
    runtime = SingleThreadedAgentRuntime()
    runtime.start()
    target = hooked.adapt(round_robin(runtime=runtime))
    own = await discovered(rollouts, lambda n: target.run(task(n)))
    assert list(own) == ["autogen:writer#system", "autogen:editor#system"]
    simulated_model.reset()
    await eight(rollouts, lambda n: target.run(task(n)), own)
    await runtime.stop()
    check_wire(simulated_model, own)
    for recording in rollouts.recordings:
        agents = [span for span in recording.spans if span.name.startswith("invoke_agent ")]
        assert [genai.agent_name(span) for span in agents] == ["writer", "editor"]
        assert {span.parent_id for span in agents} == {recording.spans[0].span_id}
        assert len(model_calls(recording.spans)) == 2


async def test_a_team_in_a_team_on_one_runtime(
    hooked: AutoGenIntegration, rollouts: Any, simulated_model: SimulatedModel
) -> None:
    runtime = SingleThreadedAgentRuntime()
    runtime.start()
    inner = TeamTool(round_robin(runtime=runtime), "team", "A team.")
    boss = agent("boss", tools=[inner])
    outer = RoundRobinGroupChat([boss], max_turns=1, runtime=runtime)
    await rollouts.run_async(lambda _: outer.run(task="CALL:team"), Binding({}))
    await runtime.stop()
    spans: Sequence[Span] = rollouts.recordings[-1].spans
    (tool,) = [span for span in spans if genai.is_tool_call(span)]
    within = [span.name for span in spans if span.parent_id == tool.span_id]
    assert within == ["invoke_agent writer", "invoke_agent editor"]


async def test_a_runtime_that_another_rollout_started(
    hooked: AutoGenIntegration, rollouts: Any, simulated_model: SimulatedModel
) -> None:
    runtime = SingleThreadedAgentRuntime()
    await Teller.register(runtime, "teller", Teller)
    started: list[int] = []

    async def run(number: int) -> Any:
        if not started:
            started.append(number)
            runtime.start()
        message = TextMessage(content=task(number), source="user")
        return await runtime.send_message(message, AgentId("teller", "default"))

    own = await discovered(rollouts, run)
    assert {slot: prompt.raw for slot, prompt in own.items()} == {
        "autogen:teller#system": "You tell."
    }
    simulated_model.reset()
    await eight(rollouts, run, own)
    check_wire(simulated_model, own)
    assert all(len(model_calls(r.spans)) == 1 for r in rollouts.recordings)
    simulated_model.reset()
    await run(1)
    await runtime.stop()
    assert simulated_model.log()[0].systems == ["You tell."]


# ---------------------------------------------------------------------------------------- the rest


async def test_what_a_tool_asks_a_model_has_a_slot_of_its_own(
    hooked: AutoGenIntegration, rollouts: Any, simulated_model: SimulatedModel
) -> None:
    client = client_of()

    async def look_up(question: str) -> str:
        prompt = [SystemMessage(content="You look up."), UserMessage(content=question, source="u")]
        return str((await client.create(prompt)).content)

    def build() -> AssistantAgent:
        return agent("solo", tools=[look_up])

    own = await discovered(rollouts, lambda n: build().run(task=task(n, "CALL:look_up")))
    site = f"{__name__}.{look_up.__qualname__}"
    assert list(own) == ["autogen:solo#system", f"autogen:{site}#system"]
    simulated_model.reset()
    await eight(rollouts, lambda n: build().run(task=task(n, "CALL:look_up")), own)
    check_wire(simulated_model, own)


async def test_a_tool_that_runs_in_a_thread_is_in_the_rollout(
    hooked: AutoGenIntegration, rollouts: Any, simulated_model: SimulatedModel
) -> None:
    def ask(question: str) -> str:
        """Run another program."""
        inner = agent("inner", model_client=new_client())
        return str(asyncio.run(inner.run(task=question)).messages[-1].to_text())

    def build() -> AssistantAgent:
        return agent("outer", tools=[ask])

    own = await discovered(rollouts, lambda n: build().run(task=task(n, "CALL:ask")))
    assert list(own) == ["autogen:outer#system", "autogen:inner#system"]
    simulated_model.reset()
    await eight(rollouts, lambda n: build().run(task=task(n, "CALL:ask")), own)
    check_wire(simulated_model, own)
    (tool,) = [span for span in rollouts.recordings[-1].spans if genai.is_tool_call(span)]
    (inner,) = [s for s in rollouts.recordings[-1].spans if s.name == "invoke_agent inner"]
    assert inner.parent_id == tool.span_id


async def test_a_candidate_with_braces_does_not_break_the_selector(
    hooked: AutoGenIntegration, rollouts: Any, simulated_model: SimulatedModel
) -> None:
    slot = "autogen:SelectorGroupChat#selector_prompt"
    text = 'Read {history}. Choose the next role from {participants}: {roles} {"next": 1}'
    await rollouts.run_async(
        lambda _: selector().run(task="Go on."), Binding({slot: PromptTemplate(text)})
    )
    sent = simulated_model.log()[0].system
    assert "Choose the next role from ['writer', 'editor']" in sent
    assert sent.endswith('{"next": 1}')


async def test_an_answer_from_a_cache_costs_no_tokens(
    hooked: AutoGenIntegration, rollouts: Any
) -> None:
    client = ChatCompletionCache(client_of())
    for costs in (True, False):
        program = agent("solo", model_client=client)
        await rollouts.run_async(lambda _, p=program: p.run(task="Hi."), Binding({}))
        (call,) = model_calls(rollouts.recordings[-1].spans)
        assert any(genai.usage(call)) == costs
        assert genai.output_messages(call)


async def test_memory_is_no_prompt(hooked: AutoGenIntegration, rollouts: Any) -> None:
    client = client_of(multiple_system_messages=True)
    memory = ListMemory()
    await memory.add(MemoryContent(content="It rains.", mime_type=MemoryMimeType.TEXT))
    solo = agent("solo", memory=[memory], model_client=client)
    own = await discovered(rollouts, lambda _: solo.run(task="Hi."))
    assert list(own) == ["autogen:solo#system"]


async def test_a_prompt_can_be_bound_to_an_agent_without_one(
    hooked: AutoGenIntegration, rollouts: Any, simulated_model: SimulatedModel
) -> None:
    bare = AssistantAgent("bare", client_of(), system_message=None)
    new = {"autogen:bare#system": PromptTemplate("You are not bare.")}
    await rollouts.run_async(lambda _: bare.run(task="Hi."), Binding(new))
    assert simulated_model.log()[0].systems == ["You are not bare."]


async def test_no_system_message_is_no_slot(hooked: AutoGenIntegration, rollouts: Any) -> None:
    bare = AssistantAgent("bare", client_of(), system_message=None)
    executes_only = CodeExecutorAgent(
        "coder", LocalCommandLineCodeExecutor(), approval_func=lambda _: pytest.fail("no code")
    )
    for program in (bare, executes_only):
        assert await discovered(rollouts, lambda _, p=program: p.run(task="Hi.")) == {}


async def test_errors_are_in_the_spans(hooked: AutoGenIntegration, rollouts: Any) -> None:
    async def broken(a: int) -> int:
        """Fail."""
        raise LookupError(f"no {a}")

    await rollouts.run_async(
        lambda _: agent("solo", tools=[broken]).run(task="CALL:broken"), Binding({})
    )
    (tool,) = [span for span in rollouts.recordings[-1].spans if genai.is_tool_call(span)]
    assert tool.status == "error"
    assert tool.attributes["error.type"] == "LookupError"

    for build in (with_tools, streaming, round_robin):
        program = build()
        with pytest.raises(Exception, match="A failure that the request asked for"):
            await rollouts.run_async(lambda _, p=program: p.run(task="FAIL400"), Binding({}))
        failed = [span for span in rollouts.recordings[-1].spans if span.status == "error"]
        assert {span.name.partition(" ")[0] for span in failed} >= {"chat", "invoke_agent"}
        (call,) = model_calls(failed)
        assert call.attributes["error.type"] == "BadRequestError"


@pytest.mark.parametrize(
    "build", [round_robin, society_of_mind, graph_flow, magentic_one, selector]
)
@pytest.mark.parametrize(("words", "transient"), [("FAIL500", True), ("FAIL400", False)])
async def test_what_a_team_raises_tells_whose_failure_it_is(
    build: Callable[[], Any],
    words: str,
    transient: bool,
    hooked: AutoGenIntegration,
    rollouts: Any,
) -> None:
    with pytest.raises(Exception, match="A failure that the request asked for") as caught:
        await rollouts.run_async(lambda _: build().run(task=words), Binding({}))
    assert is_transient(caught.value) == transient


async def test_content_is_left_out_on_request(
    integration: AutoGenIntegration, simulated_model: SimulatedModel
) -> None:
    tracing = Tracing(capture_content=False)
    with integration.hooks(tracing), tracing.rollout("quiet") as recording, bound(Binding({})):
        await with_tools().run(task="Secret. CALL:add")
    tracing.shutdown()
    assert len(model_calls(recording.spans)) == 1
    assert not re.search("Secret|You are solo|arguments", str(recording.spans))


async def test_the_users_own_provider_gets_the_tree_without_the_noise(
    integration: AutoGenIntegration,
    simulated_model: SimulatedModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    tracing = Tracing()
    with integration.hooks(tracing):
        with tracing.rollout("rollout"), bound(Binding({})):
            await round_robin().run(task="Go on.")
        names = sorted(span.name for span in exporter.get_finished_spans())
        assert names == [
            *("chat simulated", "chat simulated", "invoke_agent editor", "invoke_agent writer"),
            "rollout",
        ]
        exporter.clear()
        await round_robin().run(task="Go on.")
        names = [span.name for span in exporter.get_finished_spans()]
        assert {"create_agent writer", "invoke_agent writer"} <= set(names)
        assert any(name.startswith("autogen process writer") for name in names)
        assert "chat simulated" not in names
    tracing.shutdown()
