import random
from typing import Any

import openai
import pytest

from agl_adapters.testing import Call, Message, Reply, SimulatedModel, Tool
from agl_adapters.testing.echo import Echo

pytest_plugins = ["agl_adapters.testing.fixtures"]


def reply(user: str, **fields: Any) -> Reply:
    messages = (Message("system", "One"), Message("developer", "Two"), Message("user", user))
    return Echo().reply(Call("chat", "gpt-4o", messages, **fields), random.Random(0))


def test_it_says_every_system_text() -> None:
    assert reply("hello").text == "ECHO[One\n---\nTwo]"


def test_it_calls_a_tool_once_and_only_if_offered() -> None:
    tools = (Tool("add", "", {"properties": {"note": {"type": "string"}}}),)
    (call,) = reply("CALL:add RUN:3 CALL:other", tools=tools).tool_calls
    assert (call.name, call.arguments) == ("add", '{"note": "argument RUN:3"}')
    assert reply("CALL:other", tools=tools).tool_calls == ()
    again = Call(
        "chat",
        "gpt-4o",
        (Message("user", "CALL:add"), Message("assistant", "", (call,)), Message("tool", "5")),
        tools,
    )
    assert Echo().reply(again, random.Random(0)).tool_calls == ()


def test_system_text_gives_no_directions() -> None:
    call = Call("chat", "gpt-4o", (Message("system", "FAIL500 SLEEP:9"),))
    assert Echo().reply(call, random.Random(0)).status == 200


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ],
)
def test_it_fails_on_request(
    simulated_model: SimulatedModel, status: int, error: type[openai.APIStatusError]
) -> None:
    with openai.OpenAI(max_retries=0) as client, pytest.raises(error, match="simulated") as caught:
        client.responses.create(model="gpt-4o", input=f"FAIL{status}")
    assert caught.value.response.headers["x-simulated"] == "1"


def test_it_sleeps_on_request(simulated_model: SimulatedModel) -> None:
    with openai.OpenAI(max_retries=0, timeout=0.1) as client:
        client.responses.create(model="gpt-4o", input="SLEEP:0")
        with pytest.raises(openai.APITimeoutError):
            client.responses.create(model="gpt-4o", input="SLEEP:0.5")
