from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from agl_core.agents import FunctionAgent
from agl_core.binding import current_binding
from agl_core.budgets import Budget
from agl_core.datasets import load_dataset
from agl_core.discovery import MORE_SAMPLES, SAMPLES, find_seed
from agl_core.errors import ConfigurationError, RolloutError
from agl_core.prompts import PromptTemplate
from agl_core.slot_policy import SlotPolicy

VAL = load_dataset([{"name": f"n{i}", "topic": f"t{i * 7}"} for i in range(20)], "val")


class Program(FunctionAgent):
    """A program whose prompts are its own: each call sends the text of a slot to a model."""

    discovers = True

    def check(self, resources: Any) -> None:
        """Accept any names."""


def program(*calls: tuple[str, Callable[[Any], str]]) -> Program:
    def run(task: Any) -> float:
        binding = current_binding()
        assert binding is not None
        for slot, text in calls:
            binding.inject(slot, text(task))
        return 1.0

    return Program(run)


def literal(text: str) -> PromptTemplate:
    return PromptTemplate(text, engine="literal")


@pytest.fixture
def discover(engine: SimpleNamespace) -> Callable[..., Any]:
    """Discover the prompts of an agent; tell what it took."""

    async def discover(
        agent: Any, given: dict[str, PromptTemplate] | None = None, **policy: Any
    ) -> tuple[Any, SimpleNamespace]:
        watcher = engine.Watcher()
        async with engine.running(agent, callback=watcher) as test:
            found_seed = await find_seed(
                agent, test.runner, VAL, given or {}, SlotPolicy.of(**policy), watcher
            )
            seed = found_seed.prompts
            found = SimpleNamespace(
                own=test.runner.own_prompts,
                rollouts=watcher.run,
                messages=watcher.messages,
                choices={choice.record.name: choice for choice in found_seed.choices},
            )
            await test.runner.run_all(seed, VAL[:SAMPLES])
            assert len(watcher.run) == len(found.rollouts)  # they are rollouts of the seed
            return seed, found

    return discover


class TestFunctions:
    async def test_have_the_prompts_that_they_are_given(
        self, discover: Callable[..., Any], engine: SimpleNamespace
    ) -> None:
        agent, given = FunctionAgent(lambda task, a: 1.0), {"a": PromptTemplate("Hi.")}
        watcher = engine.Watcher()
        async with engine.running(agent, callback=watcher) as test:
            seed = await find_seed(agent, test.runner, VAL, given, SlotPolicy(), watcher)
        assert seed.prompts == given
        assert watcher.run == []

    async def test_without_any_there_is_nothing_to_optimize(
        self, discover: Callable[..., Any]
    ) -> None:
        with pytest.raises(ConfigurationError, match="no prompt to optimize: pass Trainer"):
            await discover(FunctionAgent(lambda task: 1.0))


class TestPrograms:
    async def test_have_the_prompts_that_they_send(self, discover: Callable[..., Any]) -> None:
        agent = program(("a#system", lambda task: "Plan {x}."), ("b#system", lambda task: "Do."))
        seed, found = await discover(agent)
        assert seed == found.own == {"a#system": literal("Plan {x}."), "b#system": literal("Do.")}
        assert sorted(rollout.task["name"] for rollout in found.rollouts) == ["n0", "n1", "n2"]

    async def test_what_is_given_takes_the_place_of_their_own(
        self, discover: Callable[..., Any]
    ) -> None:
        agent = program(("a#system", lambda task: "Plan."), ("b#system", lambda task: "Do."))
        seed, found = await discover(agent, {"b#system": literal("Do it well.")})
        assert seed == {"a#system": literal("Plan."), "b#system": literal("Do it well.")}
        assert found.own["b#system"] == literal("Do.")

    async def test_what_is_given_has_to_be_used(self, discover: Callable[..., Any]) -> None:
        agent = program(("a#system", lambda task: "Plan."))
        with pytest.raises(
            ConfigurationError, match=r"names c, which the program never used; it used: a#system"
        ):
            await discover(agent, {"c": literal("x")})

    async def test_a_text_that_changes_is_traced_back_to_its_template(
        self, discover: Callable[..., Any]
    ) -> None:
        agent = program(
            (
                "a#system",
                lambda task: (
                    f"You are the careful and kind assistant of {task['name']}. "
                    f"Answer questions about {task['topic']}, and about nothing else."
                ),
            )
        )
        seed, found = await discover(agent)
        (template,) = seed.values()
        assert len(template.variables) == 2
        assert template.raw.startswith("You are the careful and kind assistant of {")
        assert len(found.rollouts) == MORE_SAMPLES

    async def test_a_text_without_a_template_is_left_alone_and_said_so(
        self, discover: Callable[..., Any]
    ) -> None:
        agent = program(("a#system", lambda task: "Plan."), ("b#system", lambda task: task["name"]))
        seed, found = await discover(agent)
        assert seed == {"a#system": literal("Plan.")}
        assert any("b#system is left alone" in message for message in found.messages)

    async def test_if_all_texts_change_there_is_nothing_to_optimize(
        self, discover: Callable[..., Any]
    ) -> None:
        agent = program(("b#system", lambda task: task["name"]))
        with pytest.raises(ConfigurationError, match="nothing is left to optimize: b#system is"):
            await discover(agent)

    async def test_without_any_prompt_says_what_may_be_the_reason(
        self, discover: Callable[..., Any]
    ) -> None:
        with pytest.raises(RolloutError, match="no system prompt was seen in 3 rollouts of run"):
            await discover(program())

    async def test_that_always_fail_say_why(self, discover: Callable[..., Any]) -> None:
        def fail(task: Any) -> float:
            raise ValueError(f"no such table: {task['name']}")

        with pytest.raises(RolloutError, match=r"(?s)failed in all of 3 .*no such table: n0"):
            await discover(Program(fail))

    async def test_a_service_that_is_down_ends_the_run(self, discover: Callable[..., Any]) -> None:
        def ask(task: Any) -> float:
            binding = current_binding()
            assert binding is not None
            binding.inject("toy:a#system", "Hi.")
            raise ConnectionError("nobody there")

        with pytest.raises(RolloutError, match=r"(?s)could not be reached in any of 3 .*nobody"):
            await discover(Program(ask))

    async def test_a_budget_too_small_to_find_them_says_so(self, engine: SimpleNamespace) -> None:
        agent = program(("toy:a#system", lambda task: "Hi."))
        async with engine.running(agent, budget=Budget(rollouts=2)) as test:
            with pytest.raises(ConfigurationError, match=r"rollouts are used up .* up to 3 tasks"):
                await find_seed(agent, test.runner, VAL, {}, SlotPolicy(), engine.Watcher())
