import json
from collections.abc import Mapping
from typing import Any

import pytest

from agl_core.spans import genai
from agl_core.spans.genai import TokenUsage
from agl_core.spans.span import Span


def span(attributes: Mapping[str, Any] | None = None, *, name: str = "span") -> Span:
    return Span(
        name=name,
        kind="internal",
        trace_id="ab" * 16,
        span_id="cd" * 8,
        parent_id=None,
        start_ns=0,
        end_ns=100,
        attributes=attributes or {},
    )


SENT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Where?"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "call_1", "name": "search", "arguments": '{"q": "x"}'}],
    },
    {"role": "tool", "content": "Here.", "tool_call_id": "call_1"},
]
ANSWER = [{"role": "assistant", "content": "Here!"}]

LATEST = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.response.id": "resp_1",
    "gen_ai.usage.input_tokens": 12,
    "gen_ai.usage.output_tokens": 3,
    "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be brief."}]),
    "gen_ai.input.messages": json.dumps(
        [
            {"role": "user", "parts": [{"type": "text", "content": "Where?"}]},
            {
                "role": "assistant",
                "parts": [
                    {
                        "type": "tool_call",
                        "id": "call_1",
                        "name": "search",
                        "arguments": {"q": "x"},
                    }
                ],
            },
            {
                "role": "tool",
                "parts": [{"type": "tool_call_response", "id": "call_1", "response": "Here."}],
            },
        ]
    ),
    "gen_ai.output.messages": json.dumps(
        [
            {
                "role": "assistant",
                "parts": [{"type": "text", "content": "Here!"}],
                "finish_reason": "stop",
            }
        ]
    ),
}
OLD = {
    "llm.request.type": "chat",
    "gen_ai.system": "OpenAI",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.response.id": "resp_1",
    "gen_ai.usage.prompt_tokens": 12,
    "gen_ai.usage.completion_tokens": 3,
    "llm.usage.total_tokens": 15,
    "gen_ai.prompt.0.role": "system",
    "gen_ai.prompt.0.content": "Be brief.",
    "gen_ai.prompt.1.role": "user",
    "gen_ai.prompt.1.content": '[{"type": "text", "text": "Where?"}]',
    "gen_ai.prompt.2.role": "assistant",
    "gen_ai.prompt.2.tool_calls.0.id": "call_1",
    "gen_ai.prompt.2.tool_calls.0.name": "search",
    "gen_ai.prompt.2.tool_calls.0.arguments": '{"q": "x"}',
    "gen_ai.prompt.3.role": "tool",
    "gen_ai.prompt.3.content": "Here.",
    "gen_ai.prompt.3.tool_call_id": "call_1",
    "gen_ai.prompt.prompt_filter_results": "[]",
    "gen_ai.completion.0.role": "assistant",
    "gen_ai.completion.0.content": "Here!",
    "gen_ai.completion.0.finish_reason": "stop",
}
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "gpt-4o",
    "llm.response.model": "gpt-4o-2024-08-06",
    "llm.response.id": "resp_1",
    "llm.token_count.prompt": 12,
    "llm.token_count.completion": 3,
    "llm.input_messages.0.message.role": "system",
    "llm.input_messages.0.message.content": "Be brief.",
    "llm.input_messages.1.message.role": "user",
    "llm.input_messages.1.message.contents.0.message_content.type": "text",
    "llm.input_messages.1.message.contents.0.message_content.text": "Where?",
    "llm.input_messages.2.message.role": "assistant",
    "llm.input_messages.2.message.tool_calls.0.tool_call.id": "call_1",
    "llm.input_messages.2.message.tool_calls.0.tool_call.function.name": "search",
    "llm.input_messages.2.message.tool_calls.0.tool_call.function.arguments": '{"q": "x"}',
    "llm.input_messages.3.message.role": "tool",
    "llm.input_messages.3.message.content": "Here.",
    "llm.input_messages.3.message.tool_call_id": "call_1",
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.content": "Here!",
}


@pytest.mark.parametrize("attributes", [LATEST, OLD, OPENINFERENCE], ids=["latest", "old", "oi"])
def test_model_calls_are_read_under_every_convention(attributes: dict[str, Any]) -> None:
    read = span(attributes)

    assert genai.is_model_call(read)
    assert not genai.is_tool_call(read)
    assert genai.request_model(read) == "gpt-4o"
    assert genai.response_model(read) == "gpt-4o-2024-08-06"
    assert genai.response_id(read) == "resp_1"
    assert genai.usage(read) == TokenUsage(12, 3)
    assert genai.input_messages(read) == SENT
    assert genai.output_messages(read) == ANSWER


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"),
        ("gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens"),
        ("llm.usage.prompt_tokens", "llm.usage.completion_tokens"),
        ("llm.token_count.prompt", "llm.token_count.completion"),
    ],
)
def test_tokens_are_read_under_every_name(sent: str, answered: str) -> None:
    assert genai.usage(span({sent: 5, answered: 6})) == TokenUsage(5, 6)


def test_the_tenth_message_comes_after_the_ninth() -> None:
    old = {f"gen_ai.prompt.{n}.content": str(n) for n in (10, 9, 2, 0)}

    assert [m["content"] for m in genai.input_messages(span(old))] == ["0", "2", "9", "10"]


def test_system_instructions_that_are_also_the_first_message_are_read_once() -> None:
    attributes = genai.message_attributes(SENT, "input")
    attributes["gen_ai.system_instructions"] = "Be brief."

    assert genai.input_messages(span(attributes)) == SENT


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.operation.name": "embeddings"},
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.input.messages": "[]"},
        {"openinference.span.kind": "CHAIN"},
        {"llm.request.type": "embedding"},
        {},
    ],
)
def test_other_operations_are_no_model_calls(attributes: dict[str, Any]) -> None:
    assert not genai.is_model_call(span(attributes))
    assert genai.usage(span(attributes)) == TokenUsage(0, 0)
    assert genai.output_messages(span(attributes)) == []


@pytest.mark.parametrize(
    "attributes",
    [
        genai.tool_attributes("search", arguments={"q": "x"}, call_id="call_1", result=["Here."]),
        {
            "openinference.span.kind": "TOOL",
            "tool.name": "search",
            "tool_call.id": "call_1",
            "input.value": '{"q": "x"}',
            "output.value": '["Here."]',
        },
    ],
)
def test_tool_calls_are_read_under_every_convention(attributes: dict[str, Any]) -> None:
    read = span(attributes)

    assert genai.is_tool_call(read)
    assert not genai.is_model_call(read)
    assert genai.tool_name(read) == "search"
    assert genai.tool_arguments(read) == '{"q": "x"}'
    assert genai.tool_result(read) == '["Here."]'
    assert genai.tool_call_id(read) == "call_1"


def test_a_tool_without_a_name_has_the_name_of_its_span() -> None:
    read = span({"gen_ai.operation.name": "execute_tool"}, name="execute_tool search")

    assert genai.tool_name(read) == "search"
    assert genai.tool_result(read) == ""
    assert genai.tool_call_id(read) is None


def test_what_the_writers_write_the_readers_read() -> None:
    written = span(
        genai.request_attributes("gpt-4o", provider="openai", temperature=0.5, seed=None)
        | genai.response_attributes(
            model="gpt-4o-mini",
            response_id="r",
            finish_reasons=["stop"],
            usage=TokenUsage(7, 8),
        )
        | genai.message_attributes(SENT, "input")
        | genai.message_attributes("Here!", "output")
    )

    assert genai.is_model_call(written)
    assert genai.request_model(written) == "gpt-4o"
    assert genai.response_model(written) == "gpt-4o-mini"
    assert genai.usage(written) == TokenUsage(7, 8)
    assert genai.input_messages(written) == SENT
    assert genai.output_messages(written) == ANSWER
    assert written.attributes["gen_ai.request.temperature"] == 0.5
    assert "gen_ai.request.seed" not in written.attributes
    assert written.attributes["gen_ai.response.finish_reasons"] == ["stop"]


def test_the_definitions_of_tools_are_written_as_json() -> None:
    tools = [{"type": "function", "function": {"name": "search"}}]

    written = genai.request_attributes("gpt-4o", tools=tools)

    assert json.loads(written["gen_ai.tool.definitions"]) == tools


def test_attributes_that_are_not_what_they_should_be_are_passed_over() -> None:
    assert not genai.is_model_call(span({"gen_ai.operation.name": ["chat"]}))
    assert genai.input_messages(span({"gen_ai.prompt.².content": "x"})) == []
    numbered = {f"gen_ai.prompt.{'9' * 5_000}.content": "x", "gen_ai.prompt.0.content": "y"}
    assert [m["content"] for m in genai.input_messages(span(numbered))] == ["y"]
