"""Agents: what the engine runs on a task, and the decorator that makes one of a function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from agl_core.code_identity import code_parts
from agl_core.errors import ConfigurationError
from agl_core.prompts.binding import Binding, bound, current_binding
from agl_core.prompts.sightings import texts_in
from agl_core.prompts.templates import PromptTemplate, Resources
from agl_core.rewards.reward import Reward, coerce_reward
from agl_core.tracing.tracing import apart_spans

if TYPE_CHECKING:
    from agl_core.tracing.tracing import Tracing

__all__ = [
    "Agent",
    "FunctionAgent",
    "Outcome",
    "RolloutContext",
    "apart",
    "emit_reward",
]


@dataclass(eq=False)
class RolloutContext(Binding):
    """The rollout that is running here: its prompts, its task, the rewards emitted so far."""

    id: str = ""
    """The rollout's id, the same as in its record and its root span."""
    task: Any = None
    """The task as the user gave it."""
    attempt: int = 1
    """Counts from 1; a rollout that met a failure of the world is tried again."""
    rewards: list[Reward] = field(default_factory=list[Reward])
    """Rewards given by `emit_reward`, in order."""

    answer: Callable[[Any], Any] = field(default=lambda output: output)
    """Takes the answer out of what the program returns."""

    def __post_init__(self) -> None:
        """Hand the agent prompts that tell when they are read."""
        self.resources = self.handed_out()

    def note_input(self, given: Any) -> None:
        """Note what the program is run on, if it is observed: what it sends of it is no prompt."""
        if self.sightings is not None:
            self.sightings.inputs += texts_in(given)

    def apart(self) -> RolloutContext:
        """Return the same rollout for code that is none of the agent's; see `apart`."""
        return RolloutContext(
            resources={},
            id=self.id,
            task=self.task,
            attempt=self.attempt,
            rewards=self.rewards,
            answer=self.answer,
            meter=self.meter,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What running an agent gave: the reward (None: see `emit_reward`), and the output if known."""

    reward: object
    output: Any = None


@runtime_checkable
class Agent(Protocol):
    """What the engine runs. Made by `rollout` from a function, or by `wrap` from a program."""

    @property
    def name(self) -> str:
        """What the agent is called in records and spans."""
        ...

    @property
    def is_async(self) -> bool:
        """Whether `run` returns an awaitable (run on the event loop) or blocks (in a thread)."""
        ...

    @property
    def discovers(self) -> bool:
        """Whether the prompts are the program's own and are found by running it."""
        ...

    def run(self, context: RolloutContext) -> Outcome | Awaitable[Outcome]:
        """Run once on ``context.task``. Called concurrently, each time in a context of its own."""
        ...

    def instrumented(self, tracing: Tracing) -> AbstractContextManager[None]:
        """Return a context manager that installs what binds prompts and records spans in a run."""
        ...

    def check(self, resources: Resources) -> None:
        """Refuse resources that this agent can never use.

        Raises:
            ConfigurationError: The message names the resource and what the agent asks for.
        """
        ...


_RESERVED = ("task", "resources", "rollout")


class FunctionAgent:
    """A function as an agent. It can still be called as the plain function.

    Arguments are found by name: ``task``; ``prompt_template`` (the only resource, whatever its
    name, or the one of that name); the name of any resource; ``resources`` (all of them, by name);
    ``rollout`` (the `RolloutContext`). Parameters with a default that fit none of these keep it.
    """

    discovers = False

    def __init__(self, function: Callable[..., Any]) -> None:
        if isinstance(function, FunctionAgent):
            raise ConfigurationError(f"{function.name} is an agent already: use it as it is")
        if not callable(function):
            raise ConfigurationError(
                f"a {type(function).__name__} is no function; an agent is made of a function that "
                "returns its reward (a program that exists is wrapped)"
            )
        inner = function.func if isinstance(function, functools.partial) else function
        self.name: str = getattr(inner, "__name__", type(inner).__name__)
        self.is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 - looking for its kind, not calling
        )
        self._function = function
        parameters = inspect.signature(function).parameters.values()
        self._takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
        self._parameters = {
            p.name: p.default is p.empty
            for p in parameters
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        }
        positional = [p.name for p in parameters if p.kind is p.POSITIONAL_ONLY]
        if positional:
            raise ConfigurationError(
                f"{self.name}() takes {positional[0]!r} by position only; "
                "a rollout function is given its arguments by name"
            )
        # Not its attributes: those of a callable object would take the place of the agent's own.
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself."""
        return self._function(*args, **kwargs)

    def instrumented(self, tracing: Tracing) -> AbstractContextManager[None]:
        """Install nothing: the engine itself knows no framework."""
        return nullcontext()

    def check(self, resources: Resources) -> None:
        """Refuse resources that the function cannot be given, and parameters nobody can fill."""
        for name in _RESERVED:
            if name in resources:
                raise ConfigurationError(
                    f"a resource cannot be called {name!r}, which is what {self.name}() is given "
                    "under that name in any case; call it something else"
                )
        for name, required in self._parameters.items():
            if required and self._argument(name, resources) is None:
                raise ConfigurationError(
                    f"{self.name}() asks for {name!r}, which is neither task, resources, rollout "
                    f"nor a resource (resources: {_listed(resources)}); name the parameter after a "
                    "resource, or give it in initial_resources"
                )
        if self._takes_any or not {"resources", "rollout"}.isdisjoint(self._parameters):
            return
        asked = {self._argument(name, resources) for name in self._parameters}
        for name in resources:
            if name not in asked:
                raise ConfigurationError(
                    f"{self.name}() never asks for the resource {name!r} (its parameters: "
                    f"{_listed(self._parameters)}); add a parameter of that name, or remove it "
                    "from initial_resources"
                )

    def parts(self) -> dict[str, str]:
        """Return what tells it from another agent of its name; see `code_parts`."""
        return self._parts

    @functools.cached_property
    def _parts(self) -> dict[str, str]:
        # Once, before it runs: what it leaves behind in variables is no code.
        return code_parts({"function": self._function})

    def run(self, context: RolloutContext) -> Outcome | Awaitable[Outcome]:
        """Call the function with the arguments that it asks for."""
        result = self._function(**self._arguments(context))
        return self._awaited(result) if self.is_async else Outcome(result)

    @staticmethod
    async def _awaited(result: Awaitable[Any]) -> Outcome:
        return Outcome(await result)

    def _arguments(self, context: RolloutContext) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name in self._parameters:
            source = self._argument(name, context.resources)
            if source == "task":
                values[name] = context.task
            elif source == "rollout":
                values[name] = context
            elif source == "resources":
                values[name] = dict(context.resources)
            elif source is not None:
                values[name] = context.resources[source]
        if self._takes_any:
            values = {**context.resources, "task": context.task, **values}
        return values

    @staticmethod
    def _argument(name: str, resources: Mapping[str, PromptTemplate]) -> str | None:
        """Return what fills the parameter: task, resources, rollout, or a resource's name."""
        if name in resources or name in _RESERVED:
            return name
        if name == "prompt_template" and len(resources) == 1:
            return next(iter(resources))
        return None


def emit_reward(
    score: float, feedback: str = "", metrics: Mapping[str, float] | None = None
) -> Reward:
    """Give the running rollout its reward from anywhere inside the agent; the last one counts.

    A reward that the agent returns takes precedence. Outside a rollout it only returns the reward,
    so that the program still runs by itself.

    Raises:
        RewardError: If the score or a metric is not a finite number.
    """
    reward = coerce_reward(score)
    if feedback or metrics:
        reward = Reward(reward, feedback, metrics)
    binding = current_binding()
    if isinstance(binding, RolloutContext):
        binding.rewards.append(reward)
    return reward


@contextmanager
def apart() -> Generator[None]:
    """Run the block as none of the agent's: whatever makes its input or scores its output.

    Model calls in the block, such as those of a judge, are counted as the rollout's. The prompts
    that they send are no slots and stay as they are, and a critique is not shown them. Rewards can
    be emitted. Outside a rollout it does nothing but keep `use_prompts` out of the block.
    """
    binding = current_binding()
    inner = binding.apart() if isinstance(binding, RolloutContext) else None
    with bound(inner), apart_spans():
        yield


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(names) or "none"
