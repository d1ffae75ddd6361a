"""A program whose model has another name or setting is another program, whichever the framework."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

import agents
import openai
import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import SelectorGroupChat
from autogen_ext.models.openai import OpenAIChatCompletionClient
from langchain.agents import create_agent
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI
from langgraph.graph import START, StateGraph

import agl_adapters as agl
from agl_core.code_identity import parts_of

Build = Callable[..., Any]
MADE: dict[str, Any] = {
    "model": "gpt-4o",
    "temperature": 0.5,
    "base_url": "https://one.example/v1",
    "api_key": "sk-aaaaaaaa11111111",
}


class State(TypedDict):
    said: str


def graph(**made: Any) -> Any:
    """Build a graph whose node closes over its model."""
    model = ChatOpenAI(**made)

    def plan(state: State) -> State:
        return {"said": str(model.invoke("You plan.").content)}

    built = StateGraph(State)
    built.add_node("plan", plan)
    built.add_edge(START, "plan")
    return built.compile()


def ready_made(**made: Any) -> Any:
    """Build an agent whose node is LangChain's own."""
    return create_agent(ChatOpenAI(**made), system_prompt="You plan.")


def chain(**made: Any) -> Any:
    """Build a chain with a bound model."""
    return ChatPromptTemplate.from_template("{x}") | ChatOpenAI(**made).bind(stop=["."])


def sdk_agent(**made: Any) -> Any:
    """Build an agent with a model of its own, behind a handoff."""
    client = openai.AsyncOpenAI(base_url=made["base_url"], api_key=made["api_key"])
    other = agents.Agent(
        name="billing",
        model=agents.OpenAIChatCompletionsModel(made["model"], client),
        model_settings=agents.ModelSettings(temperature=made["temperature"]),
    )
    return agents.Agent(name="triage", handoffs=[other])


def team(**made: Any) -> Any:
    """Build a team of two that share a client."""
    info: Any = {
        "vision": False,
        "function_calling": True,
        "json_output": True,
        "structured_output": True,
        "family": "gpt-4o",
    }
    client = OpenAIChatCompletionClient(model_info=info, **made)
    members: list[Any] = [AssistantAgent(name, client) for name in ("writer", "editor")]
    return SelectorGroupChat(members, client)


def function(**made: Any) -> Any:
    """Build a function that calls a client which it closes over."""
    client = openai.OpenAI(base_url=made["base_url"], api_key=made["api_key"])
    model, temperature = made["model"], made["temperature"]

    def answer(task: Any) -> str | None:
        done = client.chat.completions.create(model=model, temperature=temperature, messages=[])
        return done.choices[0].message.content

    return answer


def parts(build: Build, **changed: Any) -> dict[str, str]:
    """Return the parts of a program that is built anew."""
    return parts_of(agl.wrap(build(**MADE | changed), reward=lambda task, output: 1.0))


@pytest.mark.parametrize("build", [graph, ready_made, chain, sdk_agent, team, function])
def test_each_setting_of_a_model_tells_but_not_its_key(build: Build) -> None:
    one = parts(build)
    assert parts(build) == one
    assert parts(build, api_key="sk-bbbbbbbb22222222") == one
    for changed, named in (
        ({"model": "gpt-5"}, "model"),
        ({"temperature": 0.7}, "temperature"),
        ({"base_url": "https://two.example/v1"}, "base"),
    ):
        other = parts(build, **changed)
        differing = [part for part in {**one, **other} if one.get(part) != other.get(part)]
        assert differing, named
        assert any(named in part or "_create_args" in part for part in differing), differing
        assert not any("key" in part for part in one)


@pytest.mark.parametrize("build", [graph, ready_made, chain, team, function, sdk_agent])
def test_the_address_of_the_service_in_the_environment_tells(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://one.example/v1")
    one = parts(build, base_url=None)
    monkeypatch.setenv("OPENAI_BASE_URL", "https://two.example/v1")
    assert parts(build, base_url=None) != one


def test_an_agent_with_the_default_client_tells_the_address_of_the_service(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def built(**_: Any) -> Any:
        return agents.Agent(name="triage", instructions="You sort.", model="gpt-4o")

    one = parts(built)
    monkeypatch.setenv("OPENAI_BASE_URL", "https://two.example/v1")
    assert parts(built) != one
