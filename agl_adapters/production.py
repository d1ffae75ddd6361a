"""Prompts in production: the optimized text in the untouched program."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar, cast

from agl_adapters.instrumentation import instrumented
from agl_adapters.targets import is_async_function
from agl_core.agents import RolloutContext
from agl_core.binding import Binding, bound, current_binding
from agl_core.errors import ConfigurationError
from agl_core.prompt_files import PromptFile, read_prompt_file
from agl_core.prompts import PromptTemplate, coerce_resources
from agl_core.tracing import Tracing

__all__ = ["PromptsInUse", "use_prompts"]

P = ParamSpec("P")
R = TypeVar("R")

# The blocks that are open in this context, innermost last: one object may be entered from several
# threads and tasks at once.
_blocks: ContextVar[tuple[AbstractContextManager[Binding], ...]] = ContextVar(
    "agl_blocks", default=()
)


def use_prompts(
    prompts: str | os.PathLike[str] | Mapping[str, str | PromptTemplate],
) -> PromptsInUse:
    """Put prompts into the programs that run in a block, or in a function.

        with agl.use_prompts("prompts.json"):
            graph.invoke(...)

        @agl.use_prompts("prompts.json")
        async def answer(question): ...

    They apply in this context and in those copied from it (tasks, `asyncio.to_thread`, the nodes of
    a graph), and nowhere else. Where a program's own text is not the one that the prompt was made
    for, the program's text is sent. A block within a block adds its prompts to the outer ones and
    takes precedence. In a rollout it does nothing: there the candidate under test is in force.

    The outermost block installs the hooks, which takes some 10 ms with LangGraph and `openai`
    imported; a block within it takes 0.04 ms. So a server keeps one open around all it does.

    Args:
        prompts: A prompt file, read here and now, or prompts by slot.

    Returns:
        A context manager that is also a decorator, for functions and coroutine functions. It may be
        used again, and by several threads and tasks at once.

    Raises:
        ConfigurationError: If the file cannot be used, these are no prompts of slots, or one asks
            for a value that the program does not fill in.
    """
    if isinstance(prompts, str | os.PathLike):
        file = read_prompt_file(prompts)
    else:
        file = PromptFile(coerce_resources(prompts))
    _check(file)
    return PromptsInUse(file)


class PromptsInUse:
    """What `use_prompts` returns; see there."""

    def __init__(self, file: PromptFile) -> None:
        self._file = file

    def __enter__(self) -> Binding:
        """Put the prompts in force; return the binding, which records the slots used.

        Raises:
            IntegrationError: If the framework of one of the slots is not installed, or cannot be
                hooked into.
        """
        block = _in_force(self._file)
        binding = block.__enter__()
        _blocks.set((*_blocks.get(), block))
        return binding

    def __exit__(self, *error: Any) -> None:
        """End the block. It must end in the context (thread, task) in which it began."""
        *outer, block = _blocks.get()
        _blocks.set(tuple(outer))
        block.__exit__(*error)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Put the prompts in force during each call of a function or coroutine function.

        Raises:
            ConfigurationError: If it is something else, or a generator: that runs while it is read,
                not while it is called.
        """
        if not callable(function) or isinstance(function, type):
            raise ConfigurationError(
                f"use_prompts decorates functions, not {function!r}; use `with` instead"
            )
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise ConfigurationError(
                f"{function.__name__}() is a generator, which runs while it is read: "
                "put `with agl.use_prompts(...)` around the loop that reads it"
            )
        if is_async_function(function):

            @functools.wraps(function)
            async def call_async(*args: P.args, **kwargs: P.kwargs) -> Any:
                with self:
                    return await cast("Awaitable[Any]", function(*args, **kwargs))

            return cast("Callable[P, R]", call_async)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> Any:
            with self:
                result = function(*args, **kwargs)
            return self._awaited(result) if inspect.iscoroutine(result) else result

        return call

    async def _awaited(self, coroutine: Awaitable[Any]) -> Any:
        with self:
            return await coroutine


@contextmanager
def _in_force(file: PromptFile) -> Generator[Binding]:
    outer = current_binding()
    if isinstance(outer, RolloutContext):
        yield outer
        return
    prompts, replaces = dict(file.prompts), dict(file.replaces)
    if outer is not None:
        prompts = {**outer.resources, **prompts}
        kept = {slot: own for slot, own in outer.originals.items() if slot not in file.prompts}
        replaces = {**kept, **replaces}
    # Named by the slots, for a program may import its framework only when it runs.
    frameworks = {slot.partition(":")[0] for slot in prompts}
    tracing = Tracing()
    try:
        with instrumented(tracing, frameworks), bound(Binding(prompts, replaces)) as binding:
            yield binding
    finally:
        tracing.shutdown()


def _check(file: PromptFile) -> None:
    """Refuse prompts that can have no effect in a program, or would break it.

    Raises:
        ConfigurationError: If there are any, or there are none at all.
    """
    if not file.prompts:
        raise ConfigurationError("there are no prompts to use")
    for name, prompt in file.prompts.items():
        if ":" not in name:
            raise ConfigurationError(
                f"{name!r} is no slot of a program, such as 'langgraph:planner#system', but the "
                "prompt of a rollout function: hand it to the function, as in "
                f"agent(task, agl.load_prompts(path)[{name!r}])"
            )
        if name in file.replaces:
            own = file.replaces[name].variables
            unfilled = prompt.variables - own
            if unfilled:
                raise ConfigurationError(
                    f"the prompt of {name} asks for {_listed(unfilled)}, which the program does "
                    f"not fill in there (it fills in: {_listed(own)})"
                )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names)) or "nothing"
