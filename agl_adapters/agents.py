"""Making agents: of a function that gives its reward, and of a program that exists."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, overload

from agl_adapters.instrumentation import instrumented
from agl_adapters.integration import Integration, Target
from agl_adapters.targets import (
    accepts,
    discarded,
    find_target,
    function_name,
    is_async_function,
)
from agl_core.code_identity import code_parts, parts_of
from agl_core.errors import ConfigurationError
from agl_core.execution.agents import Agent, FunctionAgent, Outcome, RolloutContext, apart
from agl_core.prompts.templates import Resources
from agl_core.rewards.functions import RewardFunction
from agl_core.tracing.tracing import Tracing

__all__ = ["WrappedAgent", "rollout", "wrap"]


class _TracedFunctionAgent(FunctionAgent):
    """A function as an agent, with the spans of whatever it uses inside."""

    def instrumented(self, tracing: Tracing) -> AbstractContextManager[None]:
        return instrumented(tracing)


@overload
def rollout(function: Callable[..., Any]) -> FunctionAgent: ...
@overload
def rollout() -> Callable[[Callable[..., Any]], FunctionAgent]: ...
def rollout(
    function: Callable[..., Any] | None = None,
) -> FunctionAgent | Callable[[Callable[..., Any]], FunctionAgent]:
    """Make an agent of a function, sync or async, that runs a task and returns its reward.

    The function is given its arguments by name: ``task``; ``prompt_template`` (the only resource,
    or the one of that name); the name of any resource; ``resources`` (all of them, by name);
    ``rollout`` (the `RolloutContext`). It returns a number, a `Reward`, or None after
    `emit_reward`. It can still be called as the plain function.

    Raises:
        ConfigurationError: If it is no function, or a parameter can only be given by position.
    """
    return _TracedFunctionAgent if function is None else _TracedFunctionAgent(function)


class WrappedAgent:
    """A program that exists, as an agent: run on what `input` makes of a task, scored by `reward`.

    Its prompts are its own, and are found by running it. What `input` and `reward` send to models,
    a judge's prompt for instance, is none of them.
    """

    discovers = True

    def __init__(
        self,
        target: Target,
        integration: Integration | None,
        input: Callable[[Any], Any],
        reward: Callable[..., Any],
    ) -> None:
        self.name = target.name
        self.is_async = target.is_async
        self._target = target
        self._integration = integration
        self._input = input
        self._reward = reward
        alike = isinstance(reward, RewardFunction)
        self._score: Callable[..., Any] = reward.acall if alike and target.is_async else reward
        for role, function in (("input", input), ("reward", reward)):
            if is_async_function(function) and not target.is_async:
                raise ConfigurationError(
                    f"the {role} function is async and {target.name} is not: "
                    "make both sync or async"
                )

    def instrumented(self, tracing: Tracing) -> AbstractContextManager[None]:
        """Install the hooks of the program's framework and of all others that are imported."""
        required = () if self._integration is None else (self._integration.name,)
        return instrumented(tracing, required)

    def check(self, resources: Resources) -> None:
        """Accept any names: which slots there are is known when the program has been run."""

    def parts(self) -> dict[str, str]:
        """Return what tells it from another agent of its name; see `code_parts`."""
        return self._parts

    @functools.cached_property
    def _parts(self) -> dict[str, str]:
        # Once, before it runs: what it leaves behind in variables is no code.
        own = code_parts({"input": self._input, "reward": self._reward})
        return {**parts_of(self._target), **own}

    def run(self, context: RolloutContext) -> Outcome | Awaitable[Outcome]:
        """Run the program once on the context's task and score its output."""
        context.answer = self._target.answer
        if self.is_async:
            return self._run_async(context)
        task = context.task
        with apart(), _blamed("input", self._input):
            given = _finished(self._input(task), "input")
        context.note_input(given)
        output = self._target.run(given)
        with apart(), _blamed("reward", self._reward):
            reward = _finished(self._score(task, output), "reward")
        return Outcome(reward, self._target.answer(output))

    async def _run_async(self, context: RolloutContext) -> Outcome:
        task = context.task
        with apart(), _blamed("input", self._input):
            given = await _awaited(self._input(task))
        context.note_input(given)
        output = await self._target.run(given)
        with apart(), _blamed("reward", self._reward):
            reward = await _awaited(self._score(task, output))
        return Outcome(reward, self._target.answer(output))


def wrap(
    target: Any,
    *,
    input: Callable[[Any], Any] | None = None,
    reward: Callable[..., Any],
    name: str | None = None,
) -> WrappedAgent:
    """Make an agent of a program that exists, without changing it.

    Args:
        target: An object of a supported framework (a compiled LangGraph graph, a LangChain
            runnable); a function without parameters that builds one, called once at once and then
            for each rollout; or any function of one argument, sync or async, that uses them inside.
        input: Makes the program's input of a task; the task itself by default.
        reward: Scores an output: ``reward(task, output)``, a number or a `Reward`. Both functions
            may be async if the program is.
        name: What the agent is called; the target's own name by default.

    Raises:
        UnknownAgentError: If no integration recognizes the object and it is no function.
        ConfigurationError: If the object cannot be run as it is, or an argument is no function
            that can be called like that.
    """
    _check_function("reward", reward, "task", "output")
    if input is not None:
        _check_function("input", input, "task")
    if isinstance(target, Agent):
        raise ConfigurationError(
            f"{target.name} is an agent already: pass it to Trainer.fit as it is"
        )
    adapted, integration = find_target(target)
    agent = WrappedAgent(adapted, integration, input or _unchanged, reward)
    if name is not None:
        agent.name = name
    return agent


@contextmanager
def _blamed(role: str, function: Callable[..., Any]) -> Generator[None]:
    """Let an error of the block say whose it is: the program that is optimized did not raise it."""
    try:
        yield
    except BaseException as error:
        note = f"Raised by the {role} function ({function_name(function)}), not by the agent."
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)
        raise


def _check_function(role: str, function: Any, *arguments: str) -> None:
    if not callable(function):
        raise ConfigurationError(f"{role} is {type(function).__name__}, not a function")
    if not accepts(function, len(arguments)):
        raise ConfigurationError(
            f"{role} is called as {role}({', '.join(arguments)}), and the given function has "
            f"another signature: {inspect.signature(function)}"
        )


def _finished(value: Any, role: str) -> Any:
    if inspect.isawaitable(value):
        raise discarded(
            value, f"the {role} function returned an awaitable and the program is not async"
        )
    return value


async def _awaited(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


def _unchanged(task: Any) -> Any:
    return task
