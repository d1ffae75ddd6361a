"""What real clients make of the server's answers, over HTTP."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from agl_adapters.testing import SimulatedModel

pytest_plugins = ["agl_adapters.testing.fixtures"]

PROMPT = "You are the night porter."
MESSAGES: list[Any] = [
    {"role": "system", "content": PROMPT},
    {"role": "user", "content": "Any mail for me?"},
]
ADD: Any = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "note": {"type": "string"}},
            "required": ["a", "note"],
        },
    },
}


class Weather(BaseModel):
    city: str
    degrees: int
    sunny: bool


@pytest.fixture
def client(simulated_model: SimulatedModel) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(max_retries=0) as client:
        yield client


def call_add(text: str = "CALL:add RUN:7") -> list[Any]:
    return [{"role": "system", "content": PROMPT}, {"role": "user", "content": text}]


def test_chat_completion(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=MESSAGES)
    completion = raw.parse()
    assert completion.choices[0].message.content == f"ECHO[{PROMPT}]"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.model == "gpt-4o"
    assert (raw.headers["x-simulated"], completion.system_fingerprint) == ("1", "simulated")
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == -(-len(PROMPT + "Any mail for me?") // 4)
    assert completion.usage.completion_tokens == -(-len(f"ECHO[{PROMPT}]") // 4)
    assert completion.usage.total_tokens == (
        completion.usage.prompt_tokens + completion.usage.completion_tokens
    )


async def test_async_chat_completion(simulated_model: SimulatedModel) -> None:
    async with openai.AsyncOpenAI(max_retries=0) as client:
        completions = await asyncio.gather(
            *(
                client.chat.completions.create(
                    model="gpt-4o", messages=[{"role": "system", "content": f"Porter {number}"}]
                )
                for number in range(8)
            )
        )
    contents = [completion.choices[0].message.content for completion in completions]
    assert contents == [f"ECHO[Porter {number}]" for number in range(8)]


def test_tool_call_then_answer(client: openai.OpenAI) -> None:
    first = client.chat.completions.create(model="gpt-4o", messages=call_add(), tools=[ADD])
    message = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls is not None
    (call,) = message.tool_calls
    assert call.type == "function"
    assert call.function.name == "add"
    assert json.loads(call.function.arguments) == {"a": 3, "note": "argument RUN:7"}

    result: Any = {"role": "tool", "tool_call_id": call.id, "content": "7"}
    made: Any = message.model_dump(exclude_none=True)
    conversation = [*call_add(), made, result]
    second = client.chat.completions.create(model="gpt-4o", messages=conversation, tools=[ADD])
    assert second.choices[0].message.content == f"ECHO[{PROMPT}]"


def test_stream(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model="gpt-4o", messages=MESSAGES, stream_options={"include_usage": True}
    ) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        completion = stream.get_final_completion()
    assert len(deltas) > 3
    assert "".join(deltas) == completion.choices[0].message.content == f"ECHO[{PROMPT}]"
    assert completion.usage is not None
    assert completion.usage.completion_tokens == -(-len(f"ECHO[{PROMPT}]") // 4)


def test_stream_without_usage_has_none(client: openai.OpenAI) -> None:
    with client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True) as chunks:
        assert [chunk.usage for chunk in chunks if chunk.usage] == []


def test_stream_of_a_tool_call(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="gpt-4o", messages=call_add(), tools=[ADD]) as stream:
        message = stream.get_final_completion().choices[0].message
    assert message.tool_calls is not None
    assert json.loads(message.tool_calls[0].function.arguments)["a"] == 3


def test_parse_fills_the_schema_with_the_system_text(client: openai.OpenAI) -> None:
    completion = client.chat.completions.parse(
        model="gpt-4o", messages=MESSAGES, response_format=Weather
    )
    assert completion.choices[0].message.parsed == Weather(city=PROMPT, degrees=3, sunny=True)


def test_json_object_and_forced_tool(client: openai.OpenAI) -> None:
    anything = client.chat.completions.create(
        model="gpt-4o", messages=MESSAGES, response_format={"type": "json_object"}
    )
    assert json.loads(anything.choices[0].message.content or "") == {"text": PROMPT}
    forced = client.chat.completions.create(
        model="gpt-4o",
        messages=MESSAGES,
        tools=[ADD],
        tool_choice={"type": "function", "function": {"name": "add"}},
    )
    (call,) = forced.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert json.loads(call.function.arguments) == {"a": 3, "note": PROMPT}


def test_tool_choice_none_calls_nothing(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(
        model="gpt-4o", messages=call_add(), tools=[ADD], tool_choice="none"
    )
    assert completion.choices[0].message.tool_calls is None


def test_response(client: openai.OpenAI) -> None:
    response = client.responses.create(model="gpt-4o", instructions=PROMPT, input="Any mail?")
    assert response.output_text == f"ECHO[{PROMPT}]"
    assert response.metadata == {"simulated": "1"}
    assert response.usage is not None
    assert response.usage.input_tokens == -(-len(PROMPT + "Any mail?") // 4)


def test_response_tool_call_then_answer(client: openai.OpenAI) -> None:
    tool: Any = {"type": "function", "strict": False, **ADD["function"]}
    question: Any = {"role": "user", "content": "CALL:add"}
    first = client.responses.create(
        model="gpt-4o", instructions=PROMPT, input=[question], tools=[tool]
    )
    (call,) = first.output
    assert call.type == "function_call"
    assert json.loads(call.arguments)["a"] == 3
    made: Any = call.model_dump(exclude_none=True)
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "7"}
    second = client.responses.create(
        model="gpt-4o", instructions=PROMPT, input=[question, made, result], tools=[tool]
    )
    assert second.output_text == f"ECHO[{PROMPT}]"


@pytest.mark.parametrize("text", ["Any mail?", "CALL:add"])
def test_response_stream(client: openai.OpenAI, text: str) -> None:
    tool: Any = {"type": "function", "strict": False, **ADD["function"]}
    with client.responses.stream(
        model="gpt-4o", instructions=PROMPT, input=text, tools=[tool]
    ) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    if text == "CALL:add":
        assert final.output[0].type == "function_call"
        assert kinds.count("response.function_call_arguments.done") == 1
    else:
        assert final.output_text == f"ECHO[{PROMPT}]"
        assert kinds.count("response.output_text.delta") > 3


def test_response_parse(client: openai.OpenAI) -> None:
    response = client.responses.parse(
        model="gpt-4o", instructions=PROMPT, input="How is it?", text_format=Weather
    )
    assert response.output_parsed == Weather(city=PROMPT, degrees=3, sunny=True)


def test_what_would_silently_go_wrong_is_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="stores no responses"):
        client.responses.create(model="gpt-4o", input="And then?", previous_response_id="resp_1")
    with pytest.raises(openai.BadRequestError, match="one choice"):
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES, n=2)
    with pytest.raises(openai.BadRequestError, match="cannot be read"):
        client.chat.completions.create(model="gpt-4o", messages=[{"content": "no role"}])  # type: ignore[list-item]


def test_models(client: openai.OpenAI) -> None:
    assert "gpt-4o-mini" in [model.id for model in client.models.list()]
    assert client.models.retrieve("any-model").id == "any-model"


def test_langchain(simulated_model: SimulatedModel) -> None:
    from langchain_openai import ChatOpenAI

    llm = ChatOpenAI(model="gpt-4o", max_retries=0)
    conversation = [("system", PROMPT), ("user", "CALL:add")]
    assert llm.bind_tools([ADD]).invoke(conversation).tool_calls[0]["args"]["a"] == 3
    assert llm.with_structured_output(Weather).invoke(conversation) == Weather(
        city=PROMPT, degrees=3, sunny=True
    )
    streamed = "".join(str(chunk.content) for chunk in llm.stream(conversation))
    assert streamed == f"ECHO[{PROMPT}]"
