"""The log, the control and the determinism of the server, over HTTP."""

import asyncio
import time
from typing import Any

import openai
import pytest

from agl_adapters.testing import Fault, SimulatedModel
from agl_core.errors import ConfigurationError

pytest_plugins = ["agl_adapters.testing.fixtures"]

REQUEST = "We need a room for 4 people on 2026-03-02, 10:00-11:00."
ROOMS = "\n".join(
    f"Room A1{number} | building: Main | capacity 4 | equipment: none | step-free: yes"
    f" | distance: 50 m | booked: none"
    for number in range(9)
)


async def book(client: openai.AsyncOpenAI, prompt: str) -> tuple[str, str]:
    """The reply to a call among nine equal rooms, so that it is drawn, and its id."""
    completion = await client.chat.completions.create(
        model="gpt-4o",
        messages=[
            {"role": "system", "content": prompt},
            {"role": "user", "content": f"{REQUEST}\n{ROOMS}"},
        ],
    )
    return completion.choices[0].message.content or "", completion.id


def replies(prompts: list[str], *, at_once: bool = True, **options: Any) -> list[tuple[str, str]]:
    async def ask() -> list[tuple[str, str]]:
        async with openai.AsyncOpenAI(**options) as client:
            if at_once:
                return await asyncio.gather(*(book(client, prompt) for prompt in prompts))
            return [await book(client, prompt) for prompt in prompts]

    return asyncio.run(ask())


def test_log_holds_what_was_received_but_no_secret(simulated_model: SimulatedModel) -> None:
    with openai.OpenAI(api_key="sk-secret", default_headers={"x-slot": "porter"}) as client:
        client.responses.create(model="gpt-4o", instructions="Be brief.", input="Hello")
        client.chat.completions.create(
            model="gpt-4o-mini",
            messages=[
                {"role": "developer", "content": "One"},
                {"role": "system", "content": [{"type": "text", "text": "Two"}]},
                {"role": "user", "content": "Hi"},
            ],
            stream=True,
        ).close()
    first, second = simulated_model.log()
    assert (first.n, first.api, first.model) == (1, "responses", "gpt-4o")
    assert (first.system, first.users, first.stream) == ("Be brief.", ["Hello"], False)
    assert first.body == {"model": "gpt-4o", "instructions": "Be brief.", "input": "Hello"}
    assert '"input":"Hello"' in first.raw
    assert first.headers["x-slot"] == "porter"
    assert (second.n, second.api, second.stream) == (2, "chat", True)
    assert (second.systems, second.system) == (["One", "Two"], "One\n---\nTwo")
    assert second.roles == ["developer", "system", "user"]
    assert "sk-secret" not in repr((first, second))


def test_each_test_finds_an_empty_log_and_the_echo(simulated_model: SimulatedModel) -> None:
    assert simulated_model.log() == []
    assert replies(["Hello"])[0][0] == "ECHO[Hello]"


def test_equal_requests_in_any_order_get_equal_replies(simulated_model: SimulatedModel) -> None:
    simulated_model.configure(scenario="room_booking")
    prompts = [f"Book as {name}." for name in ("Ann", "Bob", "Cid", "Dot")] * 3
    at_once = replies(prompts)
    simulated_model.reset()
    one_by_one = replies(list(reversed(prompts)), at_once=False)
    assert sorted(at_once) == sorted(one_by_one)
    assert len({identity for _, identity in at_once}) == 12  # a repeat is drawn afresh
    assert len({text for text, _ in at_once}) > 4


def test_another_seed_draws_differently(simulated_model: SimulatedModel) -> None:
    simulated_model.configure(scenario="room_booking")
    first = replies(["Book."] * 8)
    simulated_model.reset()
    simulated_model.configure(seed=1)
    second = replies(["Book."] * 8)
    assert sorted(first) != sorted(second)


def test_latency_is_per_call_and_overlaps(simulated_model: SimulatedModel) -> None:
    simulated_model.configure(latency=0.5)
    start = time.monotonic()
    replies(["Hello"] * 8)
    assert 0.5 <= time.monotonic() - start < 8 * 0.5


def test_configure_refuses_what_it_does_not_know(simulated_model: SimulatedModel) -> None:
    with pytest.raises(ConfigurationError, match="no scenario 'nope'"):
        simulated_model.configure(scenario="nope")
    with pytest.raises(ConfigurationError, match="not started with"):
        simulated_model.configure(scenario="os:getcwd")
    simulated_model.configure(faults=[Fault("500")])
    simulated_model.configure(faults=[])
    assert replies(["Hello"], max_retries=0)[0][0] == "ECHO[Hello]"


def test_usage_is_what_callers_were_told(simulated_model: SimulatedModel) -> None:
    simulated_model.configure(faults=[Fault("503", calls=1)])
    with openai.OpenAI(max_retries=1) as client:
        told = [
            client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": f"Hi {number}"}]
            ).usage
            for number in range(3)
        ]
    usage = simulated_model.usage()
    assert usage.model_calls == 3
    assert usage.input_tokens == sum(one.prompt_tokens for one in told if one)
    assert usage.output_tokens == sum(one.completion_tokens for one in told if one)
    simulated_model.reset()
    assert simulated_model.usage().tokens == 0
