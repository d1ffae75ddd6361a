from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from agl_core.datasets import load_dataset
from agl_core.discovery.survey import MORE_SAMPLES, SAMPLES, find_seed
from agl_core.errors import ConfigurationError, RolloutError
from agl_core.execution.agents import FunctionAgent
from agl_core.prompts.binding import current_binding
from agl_core.prompts.slot_policy import SlotPolicy
from agl_core.prompts.templates import PromptTemplate
from agl_core.spending.budgets import Budget

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


class TestChoice:
    TWO = (("a#system", lambda task: "Plan."), ("b#system", lambda task: "Do."))

    async def test_a_frozen_prompt_is_no_part_of_the_seed(
        self, discover: Callable[..., Any]
    ) -> None:
        seed, found = await discover(program(*self.TWO), freeze="b*")
        assert seed == found.own == {"a#system": literal("Plan.")}
        assert found.choices["b#system"].state == "frozen"

    async def test_a_frozen_prompt_that_was_given_is_sent_all_the_same(
        self, engine: SimpleNamespace
    ) -> None:
        given = {"b#system": literal("Do it.")}
        policy, watcher = SlotPolicy.of(freeze="b*"), engine.Watcher()
        async with engine.running(program(*self.TWO), callback=watcher) as test:
            seed = await find_seed(test.agent, test.runner, VAL, given, policy, watcher)
            assert seed.prompts == {"a#system": literal("Plan.")}
            (rollout,) = await test.runner.run_all({"a#system": literal("Think.")}, VAL[:1])
        assert {slot: use.sent for slot, use in rollout.slots.items()} == {
            "a#system": "Think.",
            "b#system": "Do it.",
        }

    async def test_of_a_functions_prompts_some_may_be_frozen_too(
        self, engine: SimpleNamespace
    ) -> None:
        agent = FunctionAgent(lambda task, a, b: float(str(a) == "New." and str(b) == "Old."))
        given = {"a": literal("Old."), "b": literal("Old.")}
        async with engine.running(agent) as test:
            seed = await find_seed(
                agent, test.runner, VAL, given, SlotPolicy.of(["a"]), engine.Watcher()
            )
            assert seed.prompts == {"a": literal("Old.")}
            (rollout,) = await test.runner.run_all({"a": literal("New.")}, VAL[:1])
        assert rollout.score == 1.0

    async def test_declared_templates_are_of_programs(self, engine: SimpleNamespace) -> None:
        agent, policy = FunctionAgent(lambda task, a: 1.0), SlotPolicy.of(templates={"a": "Hi."})
        async with engine.running(agent) as test:
            with pytest.raises(ConfigurationError, match="give their templates in initial_res"):
                await find_seed(
                    agent, test.runner, VAL, {"a": literal("Hi.")}, policy, engine.Watcher()
                )


class TestDeclaredTemplates:
    OWN = PromptTemplate("You are {role}. Today is {date}.")
    AGENT = (("a#system", lambda task: f"You are {task['name']}. Today is {task['topic']}."),)

    async def test_are_taken_as_they_are(self, discover: Callable[..., Any]) -> None:
        seed, found = await discover(program(*self.AGENT), templates={"a#system": self.OWN.raw})
        assert seed == {"a#system": self.OWN}
        assert len(found.rollouts) == SAMPLES  # there is nothing to recover
        record = found.choices["a#system"].record
        assert record.source == "declared"
        assert record.variables == {"date": ("t0", "t7", "t14"), "role": ("n0", "n1", "n2")}

    async def test_that_match_nothing_show_the_text(self, discover: Callable[..., Any]) -> None:
        with pytest.raises(ConfigurationError) as error:
            await discover(program(*self.AGENT), templates={"a#system": "I am {role}."})
        assert "declared for a#system matches nothing" in str(error.value)
        assert "'I am {role}.'" in str(error.value)
        assert "'You are n0. Today is t0.'" in str(error.value)

    async def test_that_match_some_texts_say_so(self, discover: Callable[..., Any]) -> None:
        agent = program(
            ("a#system", lambda task: "Stop." if task["name"] == "n1" else f"Go {task['name']}.")
        )
        _, found = await discover(agent, templates={"a#system": "Go {name}."})
        assert found.messages == [
            "the template declared for a#system matches 2 of 3 texts; not, for instance: 'Stop.'"
        ]

    async def test_of_no_slot_say_which_there_are(self, discover: Callable[..., Any]) -> None:
        with pytest.raises(
            ConfigurationError,
            match="templates names b#system, which the program never used; it used: a#system",
        ):
            await discover(program(*self.AGENT), templates={"b#system": "Go."})


class TestUserMessages:
    AGENT = (
        ("a#system", lambda task: "Plan."),
        ("a#user", lambda task: f"Answer in one word: {task['name']}{task['topic']}, please."),
        ("a#user.2", lambda task: task["topic"]),
    )

    async def test_are_off_unless_they_are_asked_for(self, discover: Callable[..., Any]) -> None:
        seed, found = await discover(program(*self.AGENT))
        assert seed == {"a#system": literal("Plan.")}
        assert len(found.rollouts) == SAMPLES
        choice = found.choices["a#user"]
        assert (choice.state, choice.record.role) == ("off", "user")
        assert "name it in optimize=" in choice.reason

    async def test_are_put_in_if_they_are(self, engine: SimpleNamespace) -> None:
        policy, watcher = SlotPolicy.of(optimize="a#user"), engine.Watcher()
        async with engine.running(program(*self.AGENT), callback=watcher) as test:
            seed = await find_seed(test.agent, test.runner, VAL, {}, policy, watcher)
            (prompt,) = seed.prompts.values()
            assert list(seed.prompts) == ["a#user"]
            assert prompt.raw == "Answer in one word: {value_1}, please."
            assert len(watcher.run) == MORE_SAMPLES
            # What was seen before it was known to be a prompt is a use of it.
            (known,) = await test.runner.run_all(seed.prompts, VAL[:1])
            assert known.slots["a#user"].sent == "Answer in one word: n0t0, please."
            candidate = {"a#user": prompt.with_text("{value_1}? One word!")}
            (rollout,) = await test.runner.run_all(candidate, VAL[:1])
        assert rollout.slots["a#user"].sent == "n0t0? One word!"
        assert "a#user.2" not in rollout.slots  # nobody's prompt

    async def test_alone_are_no_reason_to_give_up(self, discover: Callable[..., Any]) -> None:
        with pytest.raises(ConfigurationError, match="a#user is sent as a user message: name it"):
            await discover(program(*self.AGENT[1:]))
