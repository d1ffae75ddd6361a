import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agl_core.spans.messages import Message, ToolCall, parse_messages, to_json, to_parts

CALL: ToolCall = {"id": "call_1", "name": "search", "arguments": '{"q": "x"}'}
CONVERSATION: list[Message] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Where?"},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "content": "Here.", "tool_call_id": "call_1"},
    {"role": "assistant", "content": "Here!"},
]

CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Where?"}]},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "search", "arguments": '{"q": "x"}'},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "Here."},
    {"role": "assistant", "content": "Here!"},
]
RESPONSES = [
    {"role": "system", "content": "Be brief."},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Where?"}]},
    {"type": "reasoning", "id": "rs_1", "summary": []},
    {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": "search",
        "arguments": '{"q": "x"}',
    },
    {"type": "function_call_output", "call_id": "call_1", "output": "Here."},
    {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Here!", "annotations": []}],
    },
]
CONVENTIONS = [
    {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
    {"role": "user", "parts": [{"type": "text", "content": "Where?"}]},
    {
        "role": "assistant",
        "parts": [
            {"type": "reasoning", "content": "hm"},
            {"type": "tool_call", "id": "call_1", "name": "search", "arguments": {"q": "x"}},
        ],
    },
    {
        "role": "tool",
        "parts": [{"type": "tool_call_response", "id": "call_1", "response": "Here."}],
    },
    {
        "role": "assistant",
        "parts": [{"type": "text", "content": "Here!"}],
        "finish_reason": "stop",
    },
]
LANGCHAIN = [
    {"type": "system", "content": "Be brief."},
    {"type": "human", "content": "Where?"},
    {
        "type": "ai",
        "content": [{"type": "tool_use", "id": "call_1", "name": "search", "input": {"q": "x"}}],
        "tool_calls": [{"name": "search", "args": {"q": "x"}, "id": "call_1", "type": "tool_call"}],
    },
    {"type": "tool", "content": "Here.", "tool_call_id": "call_1"},
    {"type": "ai", "content": "Here!"},
]


@pytest.mark.parametrize("form", [CONVERSATION, CHAT, RESPONSES, CONVENTIONS, LANGCHAIN])
@pytest.mark.parametrize("encoded", [False, True])
def test_every_form_is_read_as_the_same_conversation(form: Any, encoded: bool) -> None:
    assert parse_messages(json.dumps(form) if encoded else form, "user") == CONVERSATION


def test_objects_of_the_client_are_read_like_their_json() -> None:
    from openai.types.chat import ChatCompletionMessage

    answer = ChatCompletionMessage.model_validate(CHAT[2])

    assert parse_messages([answer], "assistant") == [CONVERSATION[2]]


@pytest.mark.parametrize(
    "text",
    ["plain", "", "{broken", '{"a": 1}', '[{"a": 1}, {"type": "room"}]', "[1, 2]", "[]", "null"],
)
def test_text_that_is_no_message_stays_text(text: str) -> None:
    assert parse_messages([{"role": "user", "content": text}], "user")[0]["content"] == text
    if text != "[]":
        assert parse_messages(text, "user") == [{"role": "user", "content": text}]


def test_content_that_is_no_text_is_named() -> None:
    parts = [
        {"type": "text", "text": "Look: "},
        {"type": "image_url", "image_url": {"url": "data:..."}},
        {"type": "input_file", "file_id": "f"},
        {"type": "blob", "modality": "audio", "content": "AAAA"},
        {"type": "refusal", "refusal": "No."},
        {"type": "json", "json": {"a": 1}},
    ]

    (message,) = parse_messages([{"role": "user", "content": parts}], "user")

    assert message["content"] == (
        'Look: \n[image]\n[file]\n[audio]\nNo.\n{"type": "json", "json": {"a": 1}}'
    )


def test_results_of_several_tools_in_one_message_are_several_messages() -> None:
    parts = [
        {"type": "tool_call_response", "id": "1", "response": {"rooms": ["a"]}},
        {"type": "tool_result", "tool_use_id": "2", "content": [{"type": "text", "text": "b"}]},
    ]

    assert parse_messages([{"role": "user", "parts": parts}], "user") == [
        {"role": "tool", "content": '{"rooms": ["a"]}', "tool_call_id": "1"},
        {"role": "tool", "content": "b", "tool_call_id": "2"},
    ]


def test_items_of_one_answer_are_one_message() -> None:
    call = {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"}
    items = [
        {"type": "message", "role": "assistant", "content": "I look."},
        call,
        call | {"call_id": "2"},
    ]

    (message,) = parse_messages(items, "assistant")

    assert message["content"] == "I look."
    assert [call["id"] for call in message.get("tool_calls", [])] == ["1", "2"]


def test_choices_of_one_answer_are_not_joined() -> None:
    choices = [
        {"role": "assistant", "parts": [{"type": "text", "content": "a"}], "finish_reason": "stop"},
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "1", "name": "f", "arguments": {}}],
            "finish_reason": "tool_call",
        },
    ]

    assert len(parse_messages(choices, "assistant")) == 2


def test_messages_survive_being_written_under_the_conventions() -> None:
    written = [to_parts(message) for message in CONVERSATION]

    assert parse_messages(to_json(written), "user") == CONVERSATION
    assert written[2]["parts"][0]["arguments"] == {"q": "x"}


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["role", "type", "content", "parts", "text", "tool_calls", "message", "function"]
            ),
            inner | st.sampled_from(["text", "tool_call", "message", "function_call", "user"]),
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(ANYTHING)
def test_nothing_makes_reading_fail(value: Any) -> None:
    for given_value in (value, json.dumps(value)):
        for message in parse_messages(given_value, "user"):
            assert isinstance(message["role"], str)
            message["content"].encode()
            to_parts(message)


def test_json_of_what_json_lacks_is_text() -> None:
    loop: list[Any] = []
    loop.append(loop)

    assert to_json({"a": object}) == '{"a": "<class \'object\'>"}'
    assert to_json(loop) == "[[...]]"
    assert to_json("a\ud800") == "a?"


@pytest.mark.parametrize("piece", ["[", '{"a":', '[{"role":'])
def test_text_that_is_nested_too_deeply_for_json_is_text(piece: str) -> None:
    text = piece * 50_000
    assert parse_messages(text, "user") == [{"role": "user", "content": text}]
