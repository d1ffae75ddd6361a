"""Budgets over real HTTP: what the server counted is never more than the cap."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

import agl_adapters as agl
from agl_adapters.testing import SimulatedModel, simulated_model
from agl_core.rollouts import Rollout

SYSTEM = {"role": "system", "content": "Be brief."}


@pytest.fixture(scope="module")
def model() -> Iterator[SimulatedModel]:
    with simulated_model("echo") as model:
        yield model


@pytest.fixture(autouse=True)
def fresh(model: SimulatedModel) -> None:
    model.reset()


def chat(client: openai.OpenAI, text: str) -> None:
    client.chat.completions.create(model="m", messages=[SYSTEM, {"role": "user", "content": text}])  # pyright: ignore[reportArgumentType]


def respond(client: openai.OpenAI, text: str) -> None:
    client.responses.create(model="m", input=text)


def stream(client: openai.OpenAI, text: str) -> None:
    messages: Any = [SYSTEM, {"role": "user", "content": text}]
    with client.chat.completions.create(model="m", messages=messages, stream=True) as chunks:
        list(chunks)


class Watcher(agl.Callback):
    """Notes rollouts."""

    def __init__(self) -> None:
        self.rollouts: list[Rollout] = []

    def on_rollout(self, rollout: Rollout, cached: bool) -> None:
        self.rollouts.append(rollout)


def run(agent: Any, budget: agl.Budget, tasks: int = 12) -> tuple[agl.TrainResult, Watcher]:
    watcher = Watcher()
    trainer = agl.Trainer(
        agl.Baseline(),
        initial_resources={"prompt": "Hi."},
        budget=budget,
        prices={"m": agl.Price(100.0, 100.0)},
        callbacks=[watcher],
    )
    return trainer.fit(agent, list(range(tasks))), watcher


@pytest.mark.parametrize(
    ("call", "budget"),
    [
        (chat, agl.Budget(model_calls=25)),
        (chat, agl.Budget(tokens=9_000)),
        (chat, agl.Budget(dollars=0.9)),
        (respond, agl.Budget(tokens=9_000)),
        (stream, agl.Budget(tokens=9_000)),
    ],
)
def test_no_kind_of_call_goes_past_a_cap(
    model: SimulatedModel, call: Callable[..., None], budget: agl.Budget
) -> None:
    """Each rollout makes more calls than all before it: no estimate holds."""

    @agl.rollout
    def agent(task: int, prompt: agl.PromptTemplate) -> float:
        for number in range(2 * task + 1):
            call(client, f"{prompt.format()} {number} " + "please " * 30)
        return 1.0

    with openai.OpenAI(max_retries=0) as client:
        result, watcher = run(agent, budget)
    served = model.usage()
    assert served.model_calls <= (budget.model_calls or 1_000)
    assert served.tokens <= 9_000
    assert result.stop_reason in ("model_calls", "tokens", "dollars")
    assert getattr(budget, result.stop_reason) is not None
    cut = [rollout for rollout in watcher.rollouts if rollout.status == "unavailable"]
    assert all("in the middle of the rollout" in str(rollout.error) for rollout in cut)
    if budget.model_calls is not None:
        assert served.model_calls == result.usage.model_calls == 25
        assert cut


def test_an_agent_that_swallows_the_refusal_is_not_scored(model: SimulatedModel) -> None:
    @agl.rollout
    def agent(task: int, prompt: agl.PromptTemplate) -> float:
        for number in range(2 * task + 1):
            try:
                chat(client, f"{prompt.format()} {task} {number}")
            except agl.AglError:
                return 0.0
        return 1.0

    with openai.OpenAI(max_retries=0) as client:
        result, watcher = run(agent, agl.Budget(model_calls=10))
    assert model.usage().model_calls == 10
    assert result.stop_reason == "model_calls"
    assert {r.score for r in watcher.rollouts if r.status == "succeeded"} == {1.0}
    assert {r.score for r in watcher.rollouts if r.status == "unavailable"} == {None}


async def langchain(text: str) -> None:
    from langchain_openai import ChatOpenAI

    await ChatOpenAI(model="m", max_retries=0).ainvoke(text)


async def openai_agents(text: str) -> None:
    from agents import Agent, OpenAIResponsesModel, Runner

    async with openai.AsyncOpenAI(max_retries=0) as client:
        model = OpenAIResponsesModel("m", client)
        await Runner.run(Agent(name="a", instructions="Be brief.", model=model), text)


async def autogen(text: str) -> None:
    from autogen_core.models import ModelInfo, UserMessage
    from autogen_ext.models.openai import OpenAIChatCompletionClient

    info = ModelInfo(
        vision=False, function_calling=False, json_output=False, family="m", structured_output=False
    )
    client = OpenAIChatCompletionClient(model="m", model_info=info, max_retries=0)
    await client.create([UserMessage(content=text, source="user")])
    await client.close()


async def judge(text: str) -> None:
    with contextlib.suppress(agl.JudgeError):  # it gets an echo, and asks again
        await agl.judge("Is it good?", model="m").acall({"task": text}, "yes")


@pytest.mark.parametrize("call", [langchain, openai_agents, autogen, judge])
def test_nothing_that_uses_the_client_goes_past_a_cap(
    model: SimulatedModel, call: Callable[[str], Any]
) -> None:
    @agl.rollout
    async def agent(task: int, prompt: agl.PromptTemplate) -> float:
        for number in range(task + 1):
            await call(f"{prompt.format()} {number}")
        return 1.0

    result, _ = run(agent, agl.Budget(model_calls=20))
    assert result.stop_reason == "model_calls"
    assert 15 <= model.usage().model_calls <= 20


def test_a_run_ends_when_its_seconds_do(model: SimulatedModel) -> None:
    """What is in flight then is nobody's failure."""

    @agl.rollout
    async def agent(task: int, prompt: agl.PromptTemplate) -> float:
        await asyncio.sleep(60 if waits and task else 0)
        return float(bool(prompt.format()))

    waits = False
    run(agent, agl.Budget(rollouts=3))  # what is imported takes time
    waits = True
    result, watcher = run(agent, agl.Budget(seconds=1.0))
    assert result.stop_reason == "seconds"
    assert {r.status for r in watcher.rollouts[1:]} == {"unavailable"}
