import asyncio
import inspect
import json
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Coroutine, Iterator
from importlib.metadata import entry_points
from typing import Any

import openai
import pytest
from openai.resources.chat.completions import AsyncCompletions, Completions
from openai.resources.responses import AsyncResponses, Responses
from opentelemetry.sdk.trace import TracerProvider
from pydantic import BaseModel

from agl_adapters.instrumentation import instrumented
from agl_adapters.integration import Integration
from agl_adapters.testing import Fault, FaultKind, SimulatedModel
from agl_core.errors import UnknownAgentError, UnsupportedVersionError
from agl_core.spans import genai
from agl_core.spans.model_calls import model_calls
from agl_core.spans.span import Span
from agl_core.tracing.recording import UNFINISHED, Recording
from agl_core.tracing.tracing import Tracing
from agl_integrations.openai import OpenAIIntegration

with warnings.catch_warnings():
    # It uses a feature of pydantic that is deprecated, and is imported here before the hooks do it.
    warnings.simplefilter("ignore")
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor
    from opentelemetry.instrumentation.openai.shared import chat_wrappers
    from opentelemetry.instrumentation.openai.shared.config import Config
    from opentelemetry.instrumentation.openai.v1 import responses_wrappers

pytest_plugins = ["agl_adapters.testing.fixtures"]

MODEL = "gpt-4o-mini"
MESSAGES: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where?"}]
SENT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where?"}]
ANSWER = "ECHO[Be brief.]"
PARAMETERS = {
    "type": "object",
    "properties": {"q": {"type": "string"}},
    "required": ["q"],
    "additionalProperties": False,
}
CHAT_TOOL: Any = {"type": "function", "function": {"name": "search", "parameters": PARAMETERS}}
RESPONSES_TOOL: Any = {
    "type": "function",
    "name": "search",
    "parameters": PARAMETERS,
    "strict": True,
}


class Structured(BaseModel):
    answer: str


@pytest.fixture(autouse=True)
def model(simulated_model: SimulatedModel) -> SimulatedModel:
    return simulated_model


@pytest.fixture
def client(model: SimulatedModel) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(max_retries=0) as client:
        yield client


@pytest.fixture
async def async_client(model: SimulatedModel) -> Any:
    async with openai.AsyncOpenAI(max_retries=0) as client:
        yield client


@pytest.fixture
def tracing() -> Iterator[Tracing]:
    tracing = Tracing()
    yield tracing
    tracing.shutdown()


@pytest.fixture
def hooks(tracing: Tracing) -> Iterator[Tracing]:
    with OpenAIIntegration().hooks(tracing):
        yield tracing


def record(tracing: Tracing, work: Callable[[], Any]) -> tuple[Any, Recording]:
    with tracing.rollout("a") as recording:
        outcome = work()
    return outcome, recording


async def record_async(tracing: Tracing, work: Coroutine[Any, Any, Any]) -> tuple[Any, Recording]:
    with tracing.rollout("a") as recording:
        outcome = await work
    return outcome, recording


def only_call(recording: Recording) -> Span:
    root, *rest = recording.spans
    (call,) = rest
    assert call.parent_id == root.span_id
    assert model_calls(recording.spans) == [call]
    return call


def chat(client: openai.OpenAI) -> Any:
    return client.chat.completions.create(model=MODEL, messages=MESSAGES).choices[0].message.content


def chat_stream(client: openai.OpenAI) -> Any:
    stream = client.chat.completions.create(
        model=MODEL, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    return "".join(c.choices[0].delta.content or "" for c in stream if c.choices)


def chat_stream_helper(client: openai.OpenAI) -> Any:
    with client.chat.completions.stream(
        model=MODEL, messages=MESSAGES, stream_options={"include_usage": True}
    ) as stream:
        stream.until_done()
        return stream.get_final_completion().choices[0].message.content


def chat_raw(client: openai.OpenAI) -> Any:
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=MESSAGES)
    return raw.parse().choices[0].message.content


def respond(client: openai.OpenAI) -> Any:
    return client.responses.create(
        model=MODEL, instructions="Be brief.", input="Where?"
    ).output_text


def respond_stream(client: openai.OpenAI) -> Any:
    stream = client.responses.create(
        model=MODEL, instructions="Be brief.", input="Where?", stream=True
    )
    return "".join(event.delta for event in stream if event.type == "response.output_text.delta")


def respond_raw(client: openai.OpenAI) -> Any:
    raw = client.responses.with_raw_response.create(
        model=MODEL, instructions="Be brief.", input="Where?"
    )
    return raw.parse().output_text


def respond_list(client: openai.OpenAI) -> Any:
    return client.responses.create(model=MODEL, input=MESSAGES).output_text


@pytest.mark.parametrize(
    "ask",
    [
        chat,
        chat_stream,
        chat_stream_helper,
        chat_raw,
        respond,
        respond_stream,
        respond_raw,
        respond_list,
    ],
)
def test_each_way_of_calling_is_one_span_with_its_messages(
    hooks: Tracing, client: openai.OpenAI, ask: Callable[[openai.OpenAI], Any]
) -> None:
    answer, recording = record(hooks, lambda: ask(client))

    call = only_call(recording)
    assert answer == ANSWER
    assert call.kind == "client"
    assert call.status in ("unset", "ok")
    assert genai.request_model(call) == MODEL
    assert genai.input_messages(call) == SENT
    assert genai.output_messages(call) == [{"role": "assistant", "content": ANSWER}]
    assert min(genai.usage(call)[:2]) > 0


async def achat(client: openai.AsyncOpenAI) -> Any:
    answer = await client.chat.completions.create(model=MODEL, messages=MESSAGES)
    return answer.choices[0].message.content


async def achat_stream(client: openai.AsyncOpenAI) -> Any:
    stream = await client.chat.completions.create(
        model=MODEL, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])


async def achat_raw(client: openai.AsyncOpenAI) -> Any:
    raw = await client.chat.completions.with_raw_response.create(model=MODEL, messages=MESSAGES)
    return raw.parse().choices[0].message.content


async def arespond(client: openai.AsyncOpenAI) -> Any:
    answer = await client.responses.create(model=MODEL, instructions="Be brief.", input="Where?")
    return answer.output_text


async def arespond_stream(client: openai.AsyncOpenAI) -> Any:
    stream = await client.responses.create(
        model=MODEL, instructions="Be brief.", input="Where?", stream=True
    )
    return "".join([e.delta async for e in stream if e.type == "response.output_text.delta"])


@pytest.mark.parametrize("ask", [achat, achat_stream, achat_raw, arespond, arespond_stream])
async def test_each_asynchronous_way_is_one_span_with_its_messages(
    hooks: Tracing, async_client: openai.AsyncOpenAI, ask: Callable[[openai.AsyncOpenAI], Any]
) -> None:
    answer, recording = await record_async(hooks, ask(async_client))

    call = only_call(recording)
    assert answer == ANSWER
    assert genai.request_model(call) == MODEL
    assert genai.input_messages(call) == SENT
    assert genai.output_messages(call) == [{"role": "assistant", "content": ANSWER}]
    assert min(genai.usage(call)[:2]) > 0


def test_parsed_answers_are_recorded_without_a_warning(
    hooks: Tracing, client: openai.OpenAI
) -> None:
    def work() -> Any:
        chat = client.chat.completions.parse(
            model=MODEL, messages=MESSAGES, response_format=Structured
        )
        answer = client.responses.parse(
            model=MODEL, instructions="Be brief.", input="Where?", text_format=Structured
        )
        return chat.choices[0].message.parsed, answer.output_parsed

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parsed, recording = record(hooks, work)

    assert parsed == (Structured(answer="Be brief."),) * 2
    for call in model_calls(recording.spans):
        assert genai.input_messages(call) == SENT
        assert json.loads(genai.output_messages(call)[0]["content"]) == {"answer": "Be brief."}


async def test_asynchronous_parsed_answers_are_recorded(
    hooks: Tracing, async_client: openai.AsyncOpenAI
) -> None:
    async def work() -> Any:
        chat = await async_client.chat.completions.parse(
            model=MODEL, messages=MESSAGES, response_format=Structured
        )
        answer = await async_client.responses.parse(
            model=MODEL, instructions="Be brief.", input="Where?", text_format=Structured
        )
        return chat.choices[0].message.parsed, answer.output_parsed

    parsed, recording = await record_async(hooks, work())

    assert parsed == (Structured(answer="Be brief."),) * 2
    assert len(model_calls(recording.spans)) == 2


def test_tool_calls_have_the_ids_that_the_program_sees(
    hooks: Tracing, client: openai.OpenAI
) -> None:
    asking: Any = [{"role": "user", "content": "CALL:search"}]

    def by_chat() -> Any:
        message = (
            client.chat.completions.create(model=MODEL, messages=asking, tools=[CHAT_TOOL])
            .choices[0]
            .message
        )
        (call,) = message.tool_calls or []
        result: Any = {"role": "tool", "tool_call_id": call.id, "content": "Here."}
        history: Any = [*asking, message, result]
        client.chat.completions.create(model=MODEL, messages=history, tools=[CHAT_TOOL])
        return call.id

    def by_responses() -> Any:
        (call,) = client.responses.create(model=MODEL, input=asking, tools=[RESPONSES_TOOL]).output
        assert call.type == "function_call"
        result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "Here."}
        history: Any = [*asking, call.model_dump(), result]
        client.responses.create(model=MODEL, input=history, tools=[RESPONSES_TOOL])
        return call.call_id

    for work in (by_chat, by_responses):
        call_id, recording = record(hooks, work)
        first, second = model_calls(recording.spans)
        (asked,) = genai.output_messages(first)
        assert asked.get("tool_calls") == [
            {"id": call_id, "name": "search", "arguments": '{"q": "argument"}'}
        ]
        assert genai.input_messages(second)[1:] == [
            asked,
            {"role": "tool", "content": "Here.", "tool_call_id": call_id},
        ]
        assert json.loads(first.attributes["gen_ai.tool.definitions"])[0]["name"] == "search"


def test_a_failed_call_is_a_failed_span_and_the_clients_own_error(
    hooks: Tracing, client: openai.OpenAI
) -> None:
    failing: Any = [{"role": "user", "content": "FAIL400"}]
    for work in (
        lambda: client.chat.completions.create(model=MODEL, messages=failing),
        lambda: client.responses.create(model=MODEL, input=failing),
        lambda: client.chat.completions.with_raw_response.create(
            model=MODEL, messages=failing, stream=True
        ),
    ):
        with hooks.rollout("a") as recording, pytest.raises(openai.BadRequestError):
            work()
        call = only_call(recording)
        assert call.status == "error"
        assert call.events[0].attributes["exception.type"] == "openai.BadRequestError"
        assert genai.input_messages(call) == failing


def test_a_response_that_the_program_reads_raw_is_a_span_of_the_request(
    hooks: Tracing, client: openai.OpenAI
) -> None:
    def stream_of_chat() -> str:
        raw = client.chat.completions.with_raw_response.create(
            model=MODEL, messages=MESSAGES, stream=True
        )
        return "".join(c.choices[0].delta.content or "" for c in raw.parse() if c.choices)

    def stream_of_responses() -> str:
        raw = client.responses.with_raw_response.create(
            model=MODEL, instructions="Be brief.", input="Where?", stream=True
        )
        return "".join(e.delta for e in raw.parse() if e.type == "response.output_text.delta")

    def lines() -> str:
        with client.chat.completions.with_streaming_response.create(
            model=MODEL, messages=MESSAGES
        ) as raw:
            body = json.loads("".join(raw.iter_lines()))
            return body["choices"][0]["message"]["content"]

    for work in (stream_of_chat, stream_of_responses, lines):
        answer, recording = record(hooks, work)
        call = only_call(recording)
        assert answer == ANSWER
        assert genai.request_model(call) == MODEL
        assert genai.input_messages(call) == SENT
        assert genai.output_messages(call) == []


async def test_asynchronous_raw_responses_are_spans_of_the_request(
    hooks: Tracing, async_client: openai.AsyncOpenAI
) -> None:
    async def lines() -> str:
        async with async_client.chat.completions.with_streaming_response.create(
            model=MODEL, messages=MESSAGES
        ) as raw:
            body = json.loads("".join([line async for line in raw.iter_lines()]))
            return body["choices"][0]["message"]["content"]

    answer, recording = await record_async(hooks, lines())

    assert answer == ANSWER
    assert genai.input_messages(only_call(recording)) == SENT

    failing: Any = [{"role": "user", "content": "FAIL400"}]
    with hooks.rollout("a") as recording, pytest.raises(openai.BadRequestError):
        await async_client.chat.completions.with_raw_response.create(
            model=MODEL, messages=failing, stream=True
        )
    assert only_call(recording).status == "error"


VOLATILE = {"host", "content-length", "x-stainless-read-timeout"}


def wire(model: SimulatedModel) -> list[tuple[str, dict[str, str]]]:
    seen = [(r.raw, {k: v for k, v in r.headers.items() if k not in VOLATILE}) for r in model.log()]
    model.reset()
    return seen


def test_what_is_sent_is_the_same_without_and_with_the_hooks_outside_and_in_a_rollout(
    tracing: Tracing, client: openai.OpenAI, model: SimulatedModel
) -> None:
    headers: dict[str, Any] = {"x-tenant": "7"}

    def everything() -> None:
        for ask in (chat, chat_stream, chat_raw, respond, respond_stream, respond_list):
            ask(client)
        client.chat.completions.create(model=MODEL, messages=MESSAGES, extra_headers=headers)

    everything()
    before = wire(model)
    with OpenAIIntegration().hooks(tracing):
        everything()
        outside = wire(model)
        record(tracing, everything)
        inside = wire(model)

    assert outside == before
    assert inside == before
    assert headers == {"x-tenant": "7"}


def test_outside_of_rollouts_the_client_gives_what_it_gave(
    hooks: Tracing, client: openai.OpenAI
) -> None:
    stream = client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
    assert type(stream) is openai.Stream
    stream.close()
    assert inspect.iscoroutinefunction(AsyncCompletions.parse)
    assert not inspect.iscoroutinefunction(Completions.parse)
    assert inspect.signature(Completions.create) == inspect.signature(
        inspect.unwrap(Completions.create)
    )


METHODS = [
    (Completions, "create"),
    (Completions, "parse"),
    (AsyncCompletions, "create"),
    (AsyncCompletions, "parse"),
    (Responses, "create"),
    (Responses, "parse"),
    (AsyncResponses, "create"),
    (AsyncResponses, "parse"),
]


def found() -> list[Any]:
    openai_classes = [
        (name, attribute, value)
        for module_name, module in sorted(sys.modules.items())
        if module_name.startswith("openai.resources")
        for name, owner in sorted(vars(module).items())
        if isinstance(owner, type)
        for attribute, value in sorted(vars(owner).items(), key=lambda item: item[0])
        if callable(value)
    ]
    return [
        *openai_classes,
        chat_wrappers.run_async,
        chat_wrappers.model_as_dict,
        vars(chat_wrappers.ChatStream)["_process_item"],
        responses_wrappers.responses,
        {name: value for name, value in vars(Config).items() if not name.startswith("__")},
    ]


def test_afterwards_everything_is_as_it_was_found(
    tracing: Tracing, client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    with OpenAIIntegration().hooks(tracing):
        pass  # what the instrumentor imports is imported now
    monkeypatch.setattr(Config, "upload_base64_image", "what the user has set")
    before = found()
    with OpenAIIntegration().hooks(tracing):
        assert found() != before
        record(tracing, lambda: respond(client))
    after = found()

    assert after == before
    assert all(a is b for a, b in zip(after[-3:-1], before[-3:-1], strict=True))
    assert not OpenAIInstrumentor().is_instrumented_by_opentelemetry


def test_installed_twice_a_call_is_still_one_span(tracing: Tracing, client: openai.OpenAI) -> None:
    for _ in range(2):
        with OpenAIIntegration().hooks(tracing):
            _, recording = record(tracing, lambda: chat(client))
            only_call(recording)


def test_runs_that_overlap_record_each_its_own(client: openai.OpenAI) -> None:
    open_run, private_run = Tracing(), Tracing(capture_content=False)
    integration = OpenAIIntegration()
    first = instrumented(open_run, ["openai"], [integration])
    first.__enter__()
    with instrumented(private_run, ["openai"], [integration]):
        for ask in (chat, chat_stream, respond, respond_stream):
            call = only_call(record(open_run, lambda ask=ask: ask(client))[1])
            assert genai.output_messages(call)
            call = only_call(record(private_run, lambda ask=ask: ask(client))[1])
            assert not genai.output_messages(call)
        first.__exit__(None, None, None)
        only_call(record(private_run, lambda: respond(client))[1])

    _, unhooked = record(open_run, lambda: respond(client))
    assert len(unhooked.spans) == 1


@pytest.fixture
def instrumented_by_user() -> Iterator[TracerProvider]:
    found = {(owner, name): vars(owner)[name] for owner, name in METHODS}
    provider = TracerProvider(shutdown_on_exit=False)
    instrumentor = OpenAIInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    yield provider
    instrumentor.uninstrument()
    for (owner, name), method in found.items():
        setattr(owner, name, method)


def test_the_users_instrumentor_is_neither_doubled_nor_removed(
    instrumented_by_user: TracerProvider, client: openai.OpenAI
) -> None:
    tracing = Tracing(instrumented_by_user)
    theirs = [vars(owner)[name] for owner, name in METHODS]
    with OpenAIIntegration().hooks(tracing):
        answer, recording = record(tracing, lambda: chat(client))
        assert [vars(owner)[name] for owner, name in METHODS] == theirs

    assert answer == ANSWER
    assert genai.input_messages(only_call(recording)) == SENT
    assert [vars(owner)[name] for owner, name in METHODS] == theirs
    assert OpenAIInstrumentor().is_instrumented_by_opentelemetry
    tracing.shutdown()


def test_a_user_who_instruments_inside_the_block_gets_spans_and_a_call_stays_one(
    client: openai.OpenAI,
) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    tracing = Tracing(provider)
    originals = {(owner, name): vars(owner)[name] for owner, name in METHODS}
    instrumentor = OpenAIInstrumentor()
    with OpenAIIntegration().hooks(tracing):
        instrumentor.instrument(tracer_provider=provider)
        _, recording = record(tracing, lambda: chat(client))
        assert len(model_calls(recording.spans)) == 1
    _, recording = record(tracing, lambda: chat(client))
    only_call(recording)
    instrumentor.uninstrument()
    for (owner, name), method in originals.items():
        setattr(owner, name, method)


def test_calls_of_the_responses_api_are_not_kept_for_ever(hooks: Tracing) -> None:
    for number in range(1000):
        responses_wrappers.responses[str(number)] = number  # type: ignore[assignment]

    assert len(responses_wrappers.responses) == 256
    assert "999" in responses_wrappers.responses


def test_the_users_instrumentor_does_not_keep_them_either(
    instrumented_by_user: TracerProvider, tracing: Tracing
) -> None:
    with OpenAIIntegration().hooks(tracing):
        for number in range(1000):
            responses_wrappers.responses[str(number)] = number  # type: ignore[assignment]
        assert len(responses_wrappers.responses) == 256


def test_a_failure_of_the_instrumentor_is_not_the_callers(
    hooks: Tracing,
    client: openai.OpenAI,
    model: SimulatedModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("broken instrumentor")

    for broken_part, ask in (
        ((chat_wrappers, "_handle_request"), chat),
        ((chat_wrappers, "_handle_response"), chat),
        ((chat_wrappers, "is_streaming_response"), chat),
        ((chat_wrappers, "_accumulate_stream_items"), chat_stream),
        ((responses_wrappers, "_sanitize_sentinel_values"), respond),
        ((responses_wrappers, "get_tools_from_kwargs"), respond),
    ):
        model.reset()
        with monkeypatch.context() as patch:
            patch.setattr(*broken_part, broken)
            answer, _ = record(hooks, lambda ask=ask: ask(client))
        assert answer == ANSWER
        assert len(model.log()) == 1, broken_part


async def test_a_failure_of_the_instrumentor_is_not_the_asynchronous_callers(
    hooks: Tracing,
    async_client: openai.AsyncOpenAI,
    model: SimulatedModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("broken instrumentor")

    for name in ("_handle_request", "_handle_response"):
        model.reset()
        with monkeypatch.context() as patch:
            patch.setattr(chat_wrappers, name, broken)
            answer, _ = await record_async(hooks, achat(async_client))
        assert answer == ANSWER
        assert len(model.log()) == 1, name


def test_content_is_left_out_on_request(client: openai.OpenAI) -> None:
    tracing = Tracing(capture_content=False)
    with OpenAIIntegration().hooks(tracing):
        for ask in (chat, chat_stream, respond, respond_stream):
            call = only_call(record(tracing, lambda ask=ask: ask(client))[1])
            assert min(genai.usage(call)[:2]) > 0
            assert "Be brief." not in json.dumps(call.to_json())
        _, recording = record(
            tracing,
            lambda: (
                client.chat.completions.with_raw_response.create(
                    model=MODEL, messages=MESSAGES, stream=True
                )
                .parse()
                .close()
            ),
        )
        assert "Be brief." not in json.dumps(only_call(recording).to_json())


def test_keys_in_headers_do_not_get_into_spans(hooks: Tracing, client: openai.OpenAI) -> None:
    _, recording = record(
        hooks,
        lambda: client.chat.completions.create(
            model=MODEL, messages=MESSAGES, extra_headers={"x-api-key": "SECRET"}
        ),
    )

    assert "SECRET" not in json.dumps(only_call(recording).to_json())


def test_images_in_prompts_do_not_get_into_spans(hooks: Tracing, client: openai.OpenAI) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 5000}}
    content: Any = [{"type": "text", "text": "Look."}, image]
    _, recording = record(
        hooks,
        lambda: client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": content}]
        ),
    )

    call = only_call(recording)
    assert genai.input_messages(call) == [{"role": "user", "content": "Look.\n[image]"}]
    assert len(json.dumps(call.to_json())) < 2000


def test_a_synchronous_call_leaves_the_event_loop_and_starts_no_thread(
    hooks: Tracing, client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    start = threading.Thread.start

    def started(thread: threading.Thread) -> None:
        threads.append(thread)
        start(thread)

    async def call() -> Any:
        return chat(client)

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    monkeypatch.setattr(threading.Thread, "start", started)
    try:
        record(hooks, lambda: chat(client))
        assert asyncio.get_event_loop() is loop
        record(hooks, lambda: loop.run_until_complete(call()))
    finally:
        asyncio.set_event_loop(None)
        loop.close()

    assert threads == []


def test_messages_that_can_be_read_only_once_are_sent_and_recorded(
    hooks: Tracing, client: openai.OpenAI
) -> None:
    answer, recording = record(
        hooks,
        lambda: client.chat.completions.create(model=MODEL, messages=iter(MESSAGES)),
    )

    assert answer.choices[0].message.content == ANSWER
    assert genai.input_messages(only_call(recording)) == SENT


def test_the_programs_input_items_are_not_written_to(hooks: Tracing, client: openai.OpenAI) -> None:
    items: Any = [{"role": "user", "content": "Where?"}]
    record(hooks, lambda: client.responses.create(model=MODEL, input=items))

    assert items == [{"role": "user", "content": "Where?"}]


def test_nothing_is_logged_about_arguments_that_were_not_given(
    hooks: Tracing, client: openai.OpenAI, caplog: pytest.LogCaptureFixture
) -> None:
    missing: Any = {"temperature": openai.omit, "top_p": openai.not_given}
    record(
        hooks,
        lambda: client.chat.completions.create(model=MODEL, messages=MESSAGES, **missing),
    )

    assert [r for r in caplog.records if r.name.startswith("opentelemetry")] == []


async def test_a_call_that_is_cancelled_is_kept_as_far_as_it_got(
    hooks: Tracing, async_client: openai.AsyncOpenAI, model: SimulatedModel
) -> None:
    model.configure(latency=5.0)
    with hooks.rollout("a") as recording, pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await achat(async_client)

    call = only_call(recording)
    assert call.attributes[UNFINISHED]
    assert genai.input_messages(call) == SENT


async def test_eight_rollouts_at_once_have_each_its_own_calls(
    hooks: Tracing, async_client: openai.AsyncOpenAI
) -> None:
    async def rollout(number: int) -> Recording:
        messages: Any = [{"role": "system", "content": f"prompt {number}"}]
        with hooks.rollout(str(number)) as recording:
            for _ in range(2):
                await async_client.chat.completions.create(model=MODEL, messages=messages)
        return recording

    recordings = await asyncio.gather(*map(rollout, range(8)))

    for number, recording in enumerate(recordings):
        calls = model_calls(recording.spans)
        assert [genai.input_messages(call)[0]["content"] for call in calls] == [
            f"prompt {number}"
        ] * 2


def test_the_retries_of_the_client_are_one_call(hooks: Tracing, model: SimulatedModel) -> None:
    model.configure(faults=[Fault(FaultKind.UNAVAILABLE, calls=1)])
    with openai.OpenAI(max_retries=2) as client:
        answer, recording = record(hooks, lambda: chat(client))

    assert answer == ANSWER
    only_call(recording)


def test_an_instrumentor_that_is_not_as_expected_is_refused_by_its_version(
    tracing: Tracing, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = found()
    with monkeypatch.context() as patch:
        patch.delattr(chat_wrappers.ChatStream, "_process_item")
        with (
            pytest.raises(UnsupportedVersionError, match=r"0\.62\..*ChatStream.*>=0\.62\.4,<0\.63"),
            OpenAIIntegration().hooks(tracing),
        ):
            pass
    assert found() == before


def test_a_client_is_not_an_agent(client: openai.OpenAI) -> None:
    integration = OpenAIIntegration()

    assert isinstance(integration, Integration)
    assert not integration.recognizes(client)
    with pytest.raises(UnknownAgentError, match="wrap the function"):
        integration.adapt(client)


def test_the_entry_point_names_the_integration() -> None:
    (entry,) = entry_points(group="agl_adapters.integrations", name="openai")

    assert entry.load() is OpenAIIntegration
    assert OpenAIIntegration.name == entry.name


def test_importing_the_integration_imports_no_client() -> None:
    program = "import sys, agl_integrations.openai; assert 'openai' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
