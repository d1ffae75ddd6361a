"""Agents SDK programs as people write them: slots, rollouts at once, spans, and what is left."""

import asyncio
import json
import re
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import agents
import httpx2
import openai
import pytest
from agents import (
    Agent,
    GuardrailFunctionOutput,
    Model,
    ModelResponse,
    ModelSettings,
    OpenAIChatCompletionsModel,
    RunConfig,
    Runner,
    SQLiteSession,
    TracingProcessor,
    Usage,
    flush_traces,
    function_tool,
    input_guardrail,
    output_guardrail,
)
from agents.run_internal import run_loop
from agents.tool_context import ToolContext
from agents.tracing import get_trace_provider, set_trace_processors, set_tracing_disabled
from agents.tracing.processors import default_exporter, default_processor
from pydantic import BaseModel

from agl_adapters.injection import active
from agl_adapters.integration import Integration
from agl_adapters.testing import SeenRequest, SimulatedModel
from agl_core.code_identity import parts_of
from agl_core.errors import ConfigurationError, UnsupportedVersionError
from agl_core.prompts.binding import Binding
from agl_core.prompts.templates import PromptTemplate
from agl_core.spans import genai
from agl_core.spans.model_calls import model_calls
from agl_core.tracing.recording import Recording
from agl_core.tracing.tracing import Tracing
from agl_integrations.openai import OpenAIIntegration
from agl_integrations.openai_agents import OpenAIAgentsIntegration

pytest_plugins = ["agl_adapters.testing.fixtures"]
# The SDK keeps its async client, which belongs to the loop that it was first used on.
pytestmark = pytest.mark.asyncio(loop_scope="session")

MODEL = "gpt-4o-mini"
Ask = Callable[[str], Awaitable[Any]]


# ---------------------------------------------------------------------------------------- programs


@function_tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@function_tool
def fail(reason: str) -> str:
    """Fail."""
    raise ValueError(reason)


class Answer(BaseModel):
    text: str


@dataclass(frozen=True)
class Program:
    """A program, and what is known of it."""

    build: Callable[[], Ask]
    own: Mapping[str, str]
    """Its prompts by agent."""
    words: str = ""
    """What directs the simulated model."""
    tools: tuple[str, ...] = ()
    """The tools that it runs."""
    spans: tuple[str, ...] = field(default=())
    """Names of further spans."""


def single_agent() -> Ask:
    agent = Agent(name="adder", instructions="You add.", model=MODEL, tools=[add])
    return lambda text: Runner.run(agent, text)


def dynamic_instructions() -> Ask:
    def greet(context: Any, agent: Any) -> str:
        return f"You greet {context.context}."

    async def part(context: Any, agent: Any) -> str:
        return f"You, {agent.name}, say goodbye."

    leaver: Agent[Any] = Agent(name="leaver", instructions=part, model=MODEL)
    greeter: Agent[Any] = Agent(name="greeter", instructions=greet, model=MODEL, handoffs=[leaver])
    return lambda text: Runner.run(greeter, text, context="Ann")


def handoffs() -> Ask:
    billing = Agent(name="billing", instructions="You bill.", model=MODEL)
    triage = Agent(name="triage", instructions="You route.", model=MODEL, handoffs=[billing])
    return lambda text: Runner.run(triage, text)


def agents_as_tools() -> Ask:
    maths = Agent(name="maths", instructions="You calculate.", model=MODEL, tools=[add])
    boss = Agent(
        name="boss",
        instructions="You delegate.",
        model=MODEL,
        tools=[maths.as_tool("calculate", "Calculates.")],
    )
    return lambda text: Runner.run(boss, text)


def guardrails() -> Ask:
    checker = Agent(name="checker", instructions="You check questions.", model=MODEL)
    judge = Agent(name="judge", instructions="You check answers.", model=MODEL)

    @input_guardrail
    async def asked_well(context: Any, agent: Any, given: Any) -> GuardrailFunctionOutput:
        result = await Runner.run(checker, given, context=context.context)
        return GuardrailFunctionOutput(result.final_output, tripwire_triggered=False)

    @output_guardrail
    async def answered_well(context: Any, agent: Any, output: Any) -> GuardrailFunctionOutput:
        result = await Runner.run(judge, f"{context.context} {output}")
        return GuardrailFunctionOutput(result.final_output, tripwire_triggered=False)

    agent: Agent[Any] = Agent(
        name="guarded",
        instructions="You answer.",
        model=MODEL,
        input_guardrails=[asked_well],
        output_guardrails=[answered_well],
    )
    return lambda text: Runner.run(agent, text, context=text)


async def streamed(agent: Agent[Any], text: str) -> Any:
    result = Runner.run_streamed(agent, text)
    async for _ in result.stream_events():
        pass
    return result


def streaming() -> Ask:
    agent = Agent(name="adder", instructions="You add.", model=MODEL, tools=[add])
    return lambda text: streamed(agent, text)


def session() -> Ask:
    agent = Agent(name="chatter", instructions="You chat.", model=MODEL)

    async def ask(text: str) -> Any:
        memory = SQLiteSession("one")
        await Runner.run(agent, text, session=memory)
        return await Runner.run(agent, "And then?", session=memory)

    return ask


def structured_output() -> Ask:
    agent = Agent(name="former", instructions="You fill forms.", model=MODEL, output_type=Answer)
    return lambda text: Runner.run(agent, text)


def chat_agent() -> Agent[Any]:
    model = OpenAIChatCompletionsModel(MODEL, openai.AsyncOpenAI())
    return Agent(
        name="adder",
        instructions="You add.",
        model=model,
        tools=[add],
        model_settings=ModelSettings(include_usage=True, temperature=0.5),
    )


def chat_completions() -> Ask:
    agent = chat_agent()
    return lambda text: Runner.run(agent, text)


def chat_completions_streaming() -> Ask:
    agent = chat_agent()
    return lambda text: streamed(agent, text)


def deep_in_a_function() -> Ask:
    writer = Agent(name="writer", instructions="You write.", model=MODEL)
    editor = Agent(name="editor", instructions="You edit.", model=MODEL)

    async def draft(text: str) -> str:
        return (await Runner.run(writer, text)).final_output

    async def ask(text: str) -> str:
        drafts = await asyncio.gather(draft(text), draft(text))
        return (await Runner.run(editor, f"{text} {drafts}")).final_output

    return ask


ADDER = {"adder": "You add."}
PROGRAMS = {
    "single agent": Program(single_agent, ADDER, "CALL:add", ("add",)),
    "dynamic instructions": Program(
        dynamic_instructions,
        {"greeter": "You greet Ann.", "leaver": "You, leaver, say goodbye."},
        "CALL:transfer_to_leaver",
    ),
    "handoffs": Program(
        handoffs,
        {"triage": "You route.", "billing": "You bill."},
        "CALL:transfer_to_billing",
        spans=("handoff triage -> billing",),
    ),
    "agents as tools": Program(
        agents_as_tools,
        {"boss": "You delegate.", "maths": "You calculate."},
        "CALL:calculate",
        ("calculate",),
    ),
    "guardrails": Program(
        guardrails,
        {
            "checker": "You check questions.",
            "guarded": "You answer.",
            "judge": "You check answers.",
        },
        spans=("guardrail asked_well", "guardrail answered_well"),
    ),
    "streaming": Program(streaming, ADDER, "CALL:add", ("add",)),
    "session": Program(session, {"chatter": "You chat."}),
    "structured output": Program(structured_output, {"former": "You fill forms."}),
    "chat completions": Program(chat_completions, ADDER, "CALL:add", ("add",)),
    "chat completions streaming": Program(chat_completions_streaming, ADDER, "CALL:add", ("add",)),
    "deep in a function": Program(
        deep_in_a_function, {"writer": "You write.", "editor": "You edit."}
    ),
}


def slot(agent: str) -> str:
    return f"openai_agents:{agent}#instructions"


def slots(own: Mapping[str, str]) -> dict[str, str]:
    return {slot(agent): text for agent, text in own.items()}


# ------------------------------------------------------------------------------------------ checks


@pytest.fixture(autouse=True)
def processors() -> Iterator[None]:
    """Nothing is uploaded, also not outside of rollouts; what a test sets is undone."""
    provider: Any = get_trace_provider()
    set_trace_processors([])
    yield
    assert get_trace_provider() is provider
    set_trace_processors([default_processor()])
    provider._manual_disabled = None


@pytest.fixture
def hooks(rollouts: Any) -> Iterator[None]:
    """The hooks of the SDK and of its client, as a run installs them."""
    with ExitStack() as stack:
        for integration in (OpenAIAgentsIntegration(), OpenAIIntegration()):
            stack.enter_context(integration.hooks(rollouts.tracing))
        yield


def by_rollout(requests: list[SeenRequest]) -> dict[int, list[SeenRequest]]:
    sent: dict[int, list[SeenRequest]] = {}
    for request in requests:
        number = re.search(r"RUN:(\d+)", " ".join(request.users))
        assert number is not None
        sent.setdefault(int(number[1]), []).append(request)
    return sent


def check_wire(sent: Mapping[int, list[SeenRequest]], own: Mapping[str, str]) -> None:
    """Each request has a prompt of its own rollout, and every rollout sent all of its prompts."""
    texts = {n: {text for r in requests for text in r.systems} for n, requests in sent.items()}
    assert texts == {n: {f"NEW {name} {n}." for name in own} for n in range(8)}


def check_tree(recording: Recording) -> None:
    """All spans are parts of the rollout's root, and none was left open."""
    root, *rest = recording.spans
    ids = {span.span_id for span in recording.spans}
    assert root.parent_id is None
    assert rest
    assert all(span.parent_id in ids for span in rest)
    assert not any("agl.unfinished" in span.attributes for span in rest)


def check_spans(recording: Recording, requests: list[SeenRequest], program: Program) -> None:
    check_tree(recording)
    calls = model_calls(recording.spans)
    assert len(calls) == len(requests)
    for call in calls:
        assert genai.request_model(call) == MODEL
        assert genai.usage(call).input_tokens > 0
        assert genai.usage(call).output_tokens > 0
        assert genai.output_messages(call)
    systems = Counter(genai.input_messages(call)[0]["content"] for call in calls)
    assert systems == Counter(request.system for request in requests)
    assert {genai.slot(call) for call in calls} == set(slots(program.own))
    tools = [span for span in recording.spans if genai.is_tool_call(span)]
    assert [genai.tool_name(span) for span in tools] == list(program.tools)
    asked = {
        tool_call["id"]
        for call in calls
        for message in genai.output_messages(call)
        for tool_call in message.get("tool_calls", ())
    }
    for span in tools:
        assert genai.tool_call_id(span) in asked
        assert genai.tool_arguments(span)
        assert genai.tool_result(span)
    names = {span.name for span in recording.spans}
    assert names >= {f"invoke_agent {agent}" for agent in program.own} | {*program.spans}


@pytest.mark.parametrize("name", PROGRAMS)
async def test_prompts_arrive_at_their_rollouts(
    name: str, rollouts: Any, hooks: None, simulated_model: SimulatedModel
) -> None:
    program = PROGRAMS[name]
    own = slots(program.own)
    ask = program.build()

    async def run(number: int) -> Any:
        return await ask(f"Go on. RUN:{number} {program.words}")

    assert await rollouts.discover_async(run) == own
    simulated_model.reset()
    rollouts.recordings.clear()
    await rollouts.eight_async(run, own)
    sent = by_rollout(simulated_model.log())
    check_wire(sent, own)
    for recording in rollouts.recordings:
        number = int(recording.spans[0].name.split()[1])
        check_spans(recording, sent[number], program)


@pytest.mark.parametrize("name", PROGRAMS)
async def test_outside_a_rollout_the_wire_is_what_it_was(
    name: str, simulated_model: SimulatedModel
) -> None:
    program = PROGRAMS[name]
    ask = program.build()

    async def wire() -> list[tuple[str, Any]]:
        simulated_model.reset()
        await ask(f"Go on. RUN:1 {program.words}")
        return sorted((r.raw, sorted(r.headers.items())) for r in simulated_model.log())

    before = await wire()
    with OpenAIAgentsIntegration().hooks(Tracing()), OpenAIIntegration().hooks(Tracing()):
        assert await wire() == before


async def test_classes_are_as_found_after_the_hooks() -> None:
    def names() -> list[Any]:
        return [
            vars(Agent)["get_system_prompt"],
            vars(ToolContext)["from_agent_context"],
            vars(run_loop)["get_response_with_retry"],
            vars(run_loop)["stream_response_with_retry"],
            vars(httpx2.AsyncClient)["send"],
            get_trace_provider(),
        ]

    before = names()
    with OpenAIAgentsIntegration().hooks(Tracing()):
        assert all(now is not then for now, then in zip(names(), before, strict=True))
    assert all(now is then for now, then in zip(names(), before, strict=True))


# ----------------------------------------------------------------------------- threads, event loops


def in_threads(rollouts: Any, run: Callable[[int], Any], own: Mapping[str, str]) -> None:
    """Run eight rollouts at once in eight threads, twice; close their loops."""

    def run_and_close(number: int) -> Any:
        try:
            return run(number)
        finally:
            asyncio.get_event_loop().close()

    for _ in range(2):
        rollouts.eight(run_and_close, own)


@pytest.mark.parametrize("build", [single_agent, chat_completions])
async def test_run_sync_in_threads(
    build: Callable[[], Ask], rollouts: Any, hooks: None, simulated_model: SimulatedModel
) -> None:
    """Also with one client of the user's own for all threads."""
    model: Any = None if build is single_agent else chat_agent().model
    agent = Agent(name="adder", instructions="You add.", model=model or MODEL, tools=[add])
    own = slots(ADDER)

    def run(number: int) -> Any:
        return Runner.run_sync(agent, f"Go on. RUN:{number} CALL:add").final_output

    await asyncio.to_thread(in_threads, rollouts, run, own)
    check_wire(by_rollout(simulated_model.log()), own)
    for recording in rollouts.recordings:
        check_tree(recording)
        assert len(model_calls(recording.spans)) == 2


async def test_a_loop_of_its_own_for_every_run(
    rollouts: Any, hooks: None, simulated_model: SimulatedModel
) -> None:
    agent = Agent(name="adder", instructions="You add.", model=MODEL)
    own = slots(ADDER)

    def run(number: int) -> Any:
        return asyncio.run(Runner.run(agent, f"Go on. RUN:{number}"))  # pyright: ignore[reportArgumentType]

    def rounds() -> None:
        for _ in range(2):
            rollouts.eight(run, own)

    await asyncio.to_thread(rounds)
    check_wire(by_rollout(simulated_model.log()), own)


# ------------------------------------------------------------------------------- traces of the SDK


class Uploads:
    """A server that the SDK's default exporter uploads to."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        uploads = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers["content-length"])
                uploads.bodies.append(json.loads(self.rfile.read(size)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}/v1/traces/ingest"


@pytest.fixture
def uploads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Uploads]:
    uploads = Uploads()
    monkeypatch.setattr(default_exporter(), "endpoint", uploads.endpoint)
    set_trace_processors([default_processor()])
    thread = threading.Thread(target=uploads.server.serve_forever, args=(0.05,))
    thread.start()
    yield uploads
    uploads.server.shutdown()
    thread.join()
    uploads.server.server_close()


async def test_rollouts_are_not_uploaded(
    uploads: Uploads, rollouts: Any, simulated_model: SimulatedModel
) -> None:
    agent = Agent(name="adder", instructions="You add.", model=MODEL)

    async def uploaded(run: Awaitable[Any]) -> bool:
        uploads.bodies.clear()
        await run
        await asyncio.to_thread(flush_traces)
        return bool(uploads.bodies)

    assert await uploaded(Runner.run(agent, "Hello"))
    with OpenAIAgentsIntegration().hooks(rollouts.tracing):
        assert not await uploaded(
            rollouts.run_async(lambda n: Runner.run(agent, "Hello"), Binding({}))
        )
        assert await uploaded(Runner.run(agent, "Hello"))
    assert await uploaded(Runner.run(agent, "Hello"))


class Seen(TracingProcessor):
    """A processor of the user's."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    def on_trace_start(self, trace: Any) -> None: ...

    def on_trace_end(self, trace: Any) -> None:
        self.ended.append("trace")

    def on_span_start(self, span: Any) -> None: ...

    def on_span_end(self, span: Any) -> None:
        self.ended.append(span.span_data.type)

    def shutdown(self) -> None: ...

    def force_flush(self) -> None: ...


async def test_processors_of_the_user_go_on(
    rollouts: Any, hooks: None, simulated_model: SimulatedModel
) -> None:
    agent = Agent(name="adder", instructions="You add.", model=MODEL)
    seen = Seen()
    set_trace_processors([seen])
    await rollouts.run_async(lambda n: Runner.run(agent, "Hello"), Binding({}))
    assert seen.ended == ["response", "turn", "agent", "task", "trace"]
    await Runner.run(agent, "Hello")
    assert len(seen.ended) == 10


async def test_rollouts_have_spans_though_tracing_is_disabled(
    rollouts: Any, hooks: None, simulated_model: SimulatedModel
) -> None:
    agent = Agent(name="adder", instructions="You add.", model=MODEL, tools=[add])
    seen = Seen()
    set_trace_processors([seen])
    set_tracing_disabled(True)
    await rollouts.run_async(lambda n: Runner.run(agent, "Hello CALL:add"), Binding({}))
    names = [span.name for span in rollouts.recordings[0].spans]
    assert names[1:] == [
        "invoke_agent adder",
        f"chat {MODEL}",
        "execute_tool add",
        f"chat {MODEL}",
    ]
    assert seen.ended == []


async def test_a_run_with_tracing_disabled_has_the_spans_of_the_client(
    rollouts: Any, hooks: None, simulated_model: SimulatedModel
) -> None:
    agent = Agent(name="adder", instructions="You add.", model=MODEL)
    binding = Binding({slot("adder"): PromptTemplate("You subtract.")})
    config = RunConfig(tracing_disabled=True)
    await rollouts.run_async(lambda n: Runner.run(agent, "Hello", run_config=config), binding)
    (call,) = model_calls(rollouts.recordings[0].spans)
    assert genai.input_messages(call)[0]["content"] == "You subtract."
    assert list(binding.slots) == [slot("adder")]


# ------------------------------------------------------------------------------------------- spans


async def spans_of(rollouts: Any, agent: Agent[Any], text: str, **arguments: Any) -> Any:
    """Run an agent as a rollout, whether or not it fails; return its spans."""
    binding = Binding({slot(agent.name): PromptTemplate("NEW")})

    async def run(number: int) -> None:
        with suppress(agents.AgentsException, openai.OpenAIError):
            await Runner.run(agent, text, **arguments)

    await rollouts.run_async(run, binding)
    check_tree(rollouts.recordings[-1])
    return {span.name: span for span in rollouts.recordings[-1].spans}


@pytest.mark.parametrize("chat", [False, True])
async def test_a_failed_model_call(
    chat: bool, rollouts: Any, hooks: None, simulated_model: SimulatedModel
) -> None:
    agent = chat_agent()
    agent.model = agent.model if chat else MODEL
    spans = await spans_of(rollouts, agent, "FAIL400")
    call = spans[f"chat {MODEL}"]
    assert call.status == "error"
    assert "400" in call.status_message
    assert genai.input_messages(call)[0] == {"role": "system", "content": "NEW"}
    assert spans["invoke_agent adder"].status == "error"


async def test_a_failed_tool(rollouts: Any, hooks: None, simulated_model: SimulatedModel) -> None:
    agent = Agent(name="failing", instructions="You fail.", model=MODEL, tools=[fail])
    spans = await spans_of(rollouts, agent, "CALL:fail")
    assert spans["execute_tool fail"].status == "error"
    assert spans["invoke_agent failing"].status != "error"


async def test_a_triggered_guardrail(
    rollouts: Any, hooks: None, simulated_model: SimulatedModel
) -> None:
    @input_guardrail(run_in_parallel=False)
    def never(context: Any, agent: Any, given: Any) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput("no", tripwire_triggered=True)

    agent = Agent(name="guarded", instructions="No.", model=MODEL, input_guardrails=[never])
    spans = await spans_of(rollouts, agent, "Hello")
    assert spans["guardrail never"].attributes["openai_agents.guardrail.triggered"] is True
    assert spans["invoke_agent guarded"].status == "error"


async def test_raw_calls_in_a_tool_are_parts_of_the_tool(
    rollouts: Any, hooks: None, simulated_model: SimulatedModel
) -> None:
    request: Any = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Where?"}]}

    @function_tool
    async def look_up() -> str:
        answer = await openai.AsyncOpenAI().chat.completions.create(**request)
        return str(answer.choices[0].message.content)

    @function_tool
    def look_up_in_a_thread() -> str:
        with openai.OpenAI() as client:
            return str(client.chat.completions.create(**request).choices[0].message.content)

    tools: list[Any] = [look_up, look_up_in_a_thread]
    agent = Agent(name="asker", instructions="You ask.", model=MODEL, tools=tools)
    await spans_of(rollouts, agent, "CALL:look_up CALL:look_up_in_a_thread")
    spans = rollouts.recordings[0].spans
    calls = [span for span in spans if genai.is_model_call(span)]
    assert len(calls) == 5
    raw = [call.parent_id for call in calls if genai.request_model(call) == "gpt-4.1"]
    assert raw == [span.span_id for span in spans if genai.is_tool_call(span)]


async def test_content_is_left_out_on_request(simulated_model: SimulatedModel) -> None:
    agent = Agent(name="adder", instructions="You add.", model=MODEL, tools=[add])
    tracing = Tracing(capture_content=False)
    with OpenAIAgentsIntegration().hooks(tracing), tracing.rollout("rollout") as recording:
        await Runner.run(agent, "Hello CALL:add")
    assert len(model_calls(recording.spans)) == 2
    text = json.dumps([dict(span.attributes) for span in recording.spans])
    assert "Hello" not in text
    assert "You add." not in text
    assert "arguments" not in text
    tracing.shutdown()


# ----------------------------------------------------------------------------------------- prompts


async def test_an_agent_without_instructions_gets_them_if_the_candidate_has_some(
    rollouts: Any, hooks: None, simulated_model: SimulatedModel
) -> None:
    agent = Agent(name="silent", model=MODEL)
    assert await rollouts.discover_async(lambda n: Runner.run(agent, "Hello")) == {}
    assert simulated_model.log()[-1].systems == []
    binding = Binding({slot("silent"): PromptTemplate("Speak.")})
    await rollouts.run_async(lambda n: Runner.run(agent, "Hello"), binding)
    assert simulated_model.log()[-1].systems == ["Speak."]


async def test_agents_of_one_name_are_warned_about(
    rollouts: Any, hooks: None, simulated_model: SimulatedModel
) -> None:
    twins = [Agent(name="twin", instructions=text, model=MODEL) for text in ("One.", "Two.")]

    async def run(number: int) -> None:
        for twin in twins:
            await Runner.run(twin, "Hello")

    with pytest.warns(RuntimeWarning, match="'twin' had different instructions"):
        await rollouts.run_async(run, Binding({}))
    await rollouts.run_async(run, Binding({}))  # warned about once: a second time would fail here


class OwnModel(Model):
    """A model of the user's own, which calls the client itself."""

    def __init__(self) -> None:
        self.client = openai.AsyncOpenAI()
        self.hooks_active: list[bool] = []

    async def get_response(self, system_instructions: Any, input: Any, *_: Any, **__: Any) -> Any:
        self.hooks_active.append(active())
        response = await self.client.responses.create(
            model=MODEL, instructions=system_instructions, input=input
        )
        return ModelResponse(list(response.output), Usage(), response.id)

    async def stream_response(
        self, system_instructions: Any, input: Any, *_: Any, **__: Any
    ) -> AsyncIterator[Any]:
        self.hooks_active.append(active())
        stream = await self.client.responses.create(
            model=MODEL, instructions=system_instructions, input=input, stream=True
        )
        async for event in stream:
            self.hooks_active.append(active())
            yield event


async def test_a_model_of_ones_own_has_its_prompt_and_the_spans_of_its_client(
    rollouts: Any, hooks: None, simulated_model: SimulatedModel
) -> None:
    """While it is called, hooks of the client leave the prompt alone; in between, they do not."""
    model = OwnModel()
    agent = Agent(name="own", instructions="You.", model=model)
    binding = Binding({slot("own"): PromptTemplate("NEW")})

    async def run(number: int) -> None:
        await Runner.run(agent, "Hello")
        result = Runner.run_streamed(agent, "Hello")
        async for _ in result.stream_events():
            assert active()

    await rollouts.run_async(run, binding)
    assert [request.system for request in simulated_model.log()] == ["NEW", "NEW"]
    assert len(model.hooks_active) > 3
    assert not any(model.hooks_active)
    calls = model_calls(rollouts.recordings[0].spans)
    assert [genai.input_messages(call)[0]["content"] for call in calls] == ["NEW", "NEW"]


# ------------------------------------------------------------------------------------- the contract


async def test_an_agent_is_run_on_what_runner_run_takes(simulated_model: SimulatedModel) -> None:
    def greet(context: Any, agent: Any) -> str:
        return f"You greet {context.context}."

    integration: Integration = OpenAIAgentsIntegration()
    agent: Agent[Any] = Agent(name="greeter", instructions=greet, model=MODEL)
    assert integration.recognizes(agent)
    assert not integration.recognizes(Agent)
    target = integration.adapt(agent)
    assert (target.name, target.is_async) == ("greeter", True)
    item = {"role": "user", "content": "Hello"}
    inputs = {
        "You greet None.": ["Hello", [item]],
        "You greet Ann.": [{"input": "Hello", "context": "Ann"}],
    }
    for prompt, variants in inputs.items():
        for given in variants:
            result = await target.run(given)
            assert isinstance(result, agents.RunResult)
            assert result.final_output == f"ECHO[{prompt}]"


@pytest.mark.parametrize(
    "given", [None, 3, ["Hello"], {"role": "user", "content": "Hello"}, {"input": 3}]
)
async def test_other_inputs_are_refused(given: Any) -> None:
    target = OpenAIAgentsIntegration().adapt(Agent(name="adder"))
    with pytest.raises(ConfigurationError, match=r"'adder' was given .* Runner\.run takes text"):
        target.run(given)


async def test_an_unsupported_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(run_loop, "get_response_with_retry")
    hooks = OpenAIAgentsIntegration().hooks(Tracing())
    with pytest.raises(UnsupportedVersionError, match=r"0\.24\.\d+ is .*get_response.*==0\.24"):
        hooks.__enter__()


async def test_another_package_of_the_name_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many programs keep their own agents in a package called `agents`."""
    import sys
    import types

    monkeypatch.setitem(sys.modules, "agents", types.ModuleType("agents"))
    integration = OpenAIAgentsIntegration()
    before = vars(Agent)["get_system_prompt"]
    with integration.hooks(Tracing()):
        assert vars(Agent)["get_system_prompt"] is before
    assert not integration.recognizes(Agent(name="adder"))


async def test_parts_tell_a_changed_agent() -> None:
    def parts(instructions: Any, billing: str = "You bill.") -> dict[str, str]:
        other = agents.Agent(name="billing", instructions=billing)
        agent = agents.Agent(name="triage", instructions=instructions, handoffs=[other])
        return parts_of(OpenAIAgentsIntegration().adapt(agent))

    def dynamic(*_: Any) -> str:
        return "You sort."

    one = parts("You sort.")
    assert parts("You sort.") == one
    assert {"agent triage", "agent billing"} <= one.keys()
    for changed, name in (
        (parts("You file."), "agent triage.instructions"),
        (parts(dynamic), "agent triage.instructions"),
        (parts("You sort.", "You charge."), "agent billing.instructions"),
    ):
        assert {part for part in one if one[part] != changed[part]} == {name}
