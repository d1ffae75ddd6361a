"""Targets: factories that build a fresh program for each run, and functions that are none."""

from collections.abc import Callable
from typing import Any

import pytest

import agl_adapters as agl
from agl_adapters import registry

PLUGIN = """
from toys import ToyIntegration

def make():
    return ToyIntegration()
"""


@pytest.fixture
def toys(plugin: Callable[[str, str], Any], toys: Any) -> Any:
    """The framework `toys`, with its integration installed."""
    plugin("toys", PLUGIN)
    return toys


def reward(task: str, output: str) -> float:
    return float(task in output)


def test_a_factory_builds_a_program_for_each_rollout(toys: Any) -> None:
    built: list[Any] = []

    def build() -> Any:
        built.append(toys.Toy())
        return built[-1]

    agent = agl.wrap(build, reward=reward)
    assert (agent.name, agent.is_async, len(built)) == ("build", False, 1)
    built[0].run = lambda input: pytest.fail("what was built to be looked at is not run")
    evaluation = agl.Trainer(agl.Baseline()).dev(agent, ["a", "b", "c"])
    assert [rollout.output for rollout in evaluation] == ["Play. a", "Play. b", "Play. c"]
    assert len(built) == 4


def test_a_factory_of_async_programs_makes_an_async_agent(toys: Any) -> None:
    agent = agl.wrap(lambda: toys.Toy(is_async=True), reward=reward)
    assert agent.is_async
    assert agl.Trainer(agl.Baseline()).dev(agent, ["a"]).scores == (1.0,)


def test_what_can_be_run_once_only_is_run_like_that(toys: Any) -> None:
    class Single(toys.Toy):
        def run_once(self, input: Any) -> str:
            return f"{self.send('Once.', input)}"

    agent = agl.wrap(lambda: Single(), reward=reward)
    (rollout,) = agl.Trainer(agl.Baseline()).dev(agent, ["a"])
    assert rollout.output == "Once. a"


def test_a_factory_that_hands_out_one_object_shares_it(toys: Any) -> None:
    """Its runs must be kept apart by the integration, as if the object itself had been given."""

    class Single(toys.Toy):
        def run_once(self, input: Any) -> str:
            pytest.fail("it is not this run's own")

    shared = Single()
    agent = agl.wrap(lambda: shared, reward=reward)
    assert agl.Trainer(agl.Baseline()).dev(agent, ["a", "b"]).scores == (1.0, 1.0)


def test_a_factory_of_something_else_is_told_both_remedies(toys: Any) -> None:
    def build() -> dict[str, str]:
        return {}

    with pytest.raises(agl.UnknownAgentError) as caught:
        agl.wrap(build, reward=reward)
    message = str(caught.value)
    assert message.startswith("build() takes no input, so it is a factory that builds the program")
    assert "cannot wrap a builtins.dict" in message
    assert message.endswith(
        "give it a parameter for the input, or let it return an object of a supported framework"
    )


def test_an_async_factory_is_refused_before_it_is_called() -> None:
    async def build() -> Any:
        pytest.fail("it was called")

    with pytest.raises(agl.ConfigurationError, match=r"build\(\) is async and takes no input"):
        agl.wrap(build, reward=reward)


def test_the_error_of_a_factory_is_its_own() -> None:
    def build() -> Any:
        raise ZeroDivisionError("no team today")

    with pytest.raises(ZeroDivisionError, match="no team today"):
        agl.wrap(build, reward=reward)


def test_a_function_of_two_arguments_is_no_program() -> None:
    def answer(system: str, question: str) -> str:
        return question

    with pytest.raises(
        agl.ConfigurationError,
        match=r"answer\(system: str, question: str\) -> str cannot be called with one argument",
    ):
        agl.wrap(answer, reward=reward)


def test_a_framework_that_cannot_be_hooked_into_is_an_error_for_its_own_programs(
    toys: Any,
) -> None:
    agent = agl.wrap(toys.Toy(), reward=reward)
    integration: Any = registry.find_integration(toys.Toy())
    integration.fails_with = agl.UnsupportedVersionError("toys 9 is too new")
    with pytest.raises(agl.UnsupportedVersionError, match="toys 9 is too new"):
        agl.Trainer(agl.Baseline()).dev(agent, ["a"])


def test_a_prompt_reaches_a_program_of_a_plugins_framework(toys: Any) -> None:
    agent = agl.wrap(toys.Toy(), reward=reward)
    trainer = agl.Trainer(agl.Baseline(), initial_resources={"toys:toy#system": "Win."})
    (rollout,) = trainer.dev(agent, ["a"])
    assert rollout.output == "Win. a"
    assert [span.name for span in rollout.spans] == ["invoke_agent toy", "chat toy"]
