from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest

from agl_adapters.agents import rollout
from agl_core.errors import ConfigurationError, RewardError
from agl_core.execution.agents import (
    Agent,
    FunctionAgent,
    RolloutContext,
    apart,
    emit_reward,
)
from agl_core.prompts.binding import Binding, bound, current_binding
from agl_core.prompts.templates import PromptTemplate
from agl_core.rewards.reward import Reward

A, B = PromptTemplate("a"), PromptTemplate("b")


def run(function: Callable[..., Any], **resources: PromptTemplate) -> Any:
    """Return what an agent of the function gives for one task."""
    agent = rollout(function)
    agent.check(resources)
    context = RolloutContext(resources, id="1", task={"x": 1})
    with bound(context):
        outcome: Any = agent.run(context)
        if agent.is_async:
            outcome = asyncio.run(outcome)
    return outcome.reward


class TestArguments:
    def test_are_found_by_name(self) -> None:
        assert run(lambda task: task) == {"x": 1}
        assert run(lambda task, prompt_template: (task, prompt_template), a=A) == ({"x": 1}, A)
        assert run(lambda prompt_template, a: (prompt_template, a), a=A) == (A, A)
        assert run(lambda b, a: (b, a), a=A, b=B) == (B, A)
        assert run(lambda resources: resources, a=A, b=B) == {"a": A, "b": B}
        assert run(lambda rollout: (rollout.id, rollout.task), a=A) == ("1", {"x": 1})

    def test_the_resource_of_that_name_comes_before_the_only_one(self) -> None:
        assert run(lambda prompt_template, b: prompt_template, prompt_template=A, b=B) == A

    def test_all_may_be_taken_by_keyword(self) -> None:
        assert run(lambda **given: given, a=A) == {"a": A, "task": {"x": 1}}
        assert run(lambda a, **given: (a, given), a=A, b=B) == (A, {"b": B, "task": {"x": 1}})

    def test_a_default_stays_where_nothing_fits(self) -> None:
        assert run(lambda task, a, *, temperature=0.5: temperature, a=A) == 0.5
        assert run(lambda task=None, a=B: (task, a), a=A) == ({"x": 1}, A)

    def test_any_callable_will_do(self) -> None:
        class Booking:
            name = "booking"
            run = "something of its own"

            def __init__(self) -> None:
                self._function = self.check = "something of its own"

            def __call__(self, task: Any, a: PromptTemplate) -> Any:
                return (task, a)

            def method(self, task: Any, a: PromptTemplate) -> Any:
                return (task, a)

        def function(greeting: str, task: Any, a: PromptTemplate) -> Any:
            return (greeting, task, a)

        assert run(Booking(), a=A) == ({"x": 1}, A)
        assert run(Booking().method, a=A) == ({"x": 1}, A)
        assert run(functools.partial(function, "Hi"), a=A) == ("Hi", {"x": 1}, A)
        assert rollout(functools.partial(function, "Hi")).name == "function"

    def test_async_functions_are_awaited(self) -> None:
        async def function(task: Any) -> Any:
            await asyncio.sleep(0)
            return task

        class Callable:
            async def __call__(self, task: Any) -> Any:
                return task

        for agent in (function, functools.partial(function), Callable()):
            assert rollout(agent).is_async
            assert run(agent) == {"x": 1}
        assert not rollout(lambda task: task).is_async


class TestCheck:
    @pytest.mark.parametrize(
        ("function", "resources", "reason"),
        [
            (
                lambda task: 1,
                {"a": A},
                r"<lambda>\(\) never asks for the resource 'a' \(its parameters: task\)",
            ),
            (lambda task, a: 1, {"a": A, "b": B}, "never asks for the resource 'b'"),
            (lambda: 1, {"a": A}, r"\(its parameters: none\)"),
            (
                lambda task, system: 1,
                {"a": A},
                r"asks for 'system', which is neither .*\(resources: a\)",
            ),
            (lambda task, prompt_template: 1, {}, r"asks for 'prompt_template'.*resources: none"),
            (lambda prompt_template: 1, {"a": A, "b": B}, "asks for 'prompt_template'"),
            (lambda task, prompt_template: 1, {"task": A}, "cannot be called 'task'"),
            (lambda resources: 1, {"resources": A}, "cannot be called 'resources'"),
        ],
    )
    def test_says_what_does_not_fit(
        self, function: Callable[..., Any], resources: Any, reason: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=reason):
            rollout(function).check(resources)

    @pytest.mark.parametrize(
        "function",
        [
            lambda task, a, b: 1,
            lambda a, b: 1,
            lambda resources: 1,
            lambda rollout: 1,
            lambda **anything: 1,
        ],
    )
    def test_accepts_what_fits(self, function: Callable[..., Any]) -> None:
        rollout(function).check({"a": A, "b": B})

    def test_arguments_by_position_are_refused_at_once(self) -> None:
        with pytest.raises(ConfigurationError, match="takes 'task' by position only"):

            @rollout
            def agent(task: Any, /) -> float:
                return 1.0

    @pytest.mark.parametrize("thing", ["agent", 5, [1]])
    def test_only_a_function_is_one(self, thing: Any) -> None:
        with pytest.raises(ConfigurationError, match="is no function"):
            rollout(thing)

    def test_an_agent_is_one_already(self) -> None:
        with pytest.raises(ConfigurationError, match="is an agent already"):
            rollout(rollout(lambda task: 1))


def test_a_decorated_function_is_still_the_function() -> None:
    @rollout()
    def add(task: int, more: int = 1) -> int:
        """Add."""
        return task + more

    assert isinstance(add, FunctionAgent)
    assert isinstance(add, Agent)
    assert (add.name, add.__doc__, add.discovers) == ("add", "Add.", False)
    assert add(1, more=2) == 3


class TestEmitReward:
    def test_counts_from_anywhere_inside(self) -> None:
        def deep() -> None:
            emit_reward(0.25)
            emit_reward(0.5, "half", {"accuracy": 1})

        context = RolloutContext({}, task=1)
        with bound(context):
            rollout(lambda task: deep()).run(context)
        assert context.rewards == [0.25, 0.5]
        assert context.rewards[-1].feedback == "half"
        assert context.rewards[-1].metrics == {"accuracy": 1.0}

    def test_counts_from_tasks_and_from_threads_that_carry_the_context(self) -> None:
        async def agent(task: Any) -> None:
            async def child() -> None:
                await asyncio.to_thread(emit_reward, 0.1)
                emit_reward(0.2)

            await asyncio.gather(asyncio.create_task(child()))
            with ThreadPoolExecutor() as pool:
                pool.submit(copy_context().run, emit_reward, 0.3).result()
            thread = threading.Thread(target=copy_context().run, args=(emit_reward, 0.4))
            thread.start()
            thread.join()

        context = RolloutContext({}, task=1)
        with bound(context):
            outcome: Any = rollout(agent).run(context)
            asyncio.run(outcome)
        assert context.rewards == [0.1, 0.2, 0.3, 0.4]

    def test_a_program_runs_by_itself_too(self) -> None:
        assert emit_reward(True, "yes") == Reward(1.0)

    def test_only_numbers_count(self) -> None:
        context = RolloutContext({}, task=1)
        with bound(context), pytest.raises(RewardError, match="text, 'good'"):
            emit_reward("good")  # pyright: ignore[reportArgumentType]
        assert context.rewards == []


class TestApart:
    def test_has_no_slots_and_can_give_the_reward(self) -> None:
        context = RolloutContext({"x:judge#system": PromptTemplate("New.")}, task=1)
        with bound(context), apart():
            inner = current_binding()
            assert inner is not None
            assert inner.inject("x:judge#system", "Old.") == "Old."
            emit_reward(0.5)
        assert not context.slots
        assert not context.reads
        assert context.rewards == [0.5]

    def test_keeps_prompts_in_use_out_of_the_block(self) -> None:
        with bound(Binding({"x:judge#system": PromptTemplate("New.")})), apart():
            assert current_binding() is None
