"""Prompts in production: the optimized text in the untouched program."""

from __future__ import annotations

import atexit
import functools
import inspect
import os
import threading
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar, cast

from agl_adapters.instrumentation import instrumented
from agl_adapters.production.drift import InUse, OnDrift, PromptsBinding
from agl_adapters.targets import is_async_function
from agl_core.errors import ConfigurationError
from agl_core.execution.agents import RolloutContext
from agl_core.prompts.binding import Binding, bind_everywhere, bound, current_binding
from agl_core.prompts.prompt_files import PromptFile, read_prompt_file
from agl_core.prompts.templates import PromptTemplate, coerce_resources
from agl_core.tracing.tracing import Tracing

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
    *,
    on_drift: OnDrift = "warn",
) -> PromptsInUse:
    """Put prompts into the programs that run in a block, in a function, or in the whole process.

        with agl.use_prompts("prompts.json"):
            graph.invoke(...)

        @agl.use_prompts("prompts.json")
        async def answer(question): ...

        agl.use_prompts("prompts.json").install()  # once, at start-up

    A block's prompts apply in its context and in those copied from it (tasks, `asyncio.to_thread`,
    the nodes of a graph), and nowhere else; installed ones in every thread and task where no block
    is open. A block within a block adds its prompts to the outer ones and takes precedence, and so
    does a block where prompts are installed. In a rollout neither does anything: there the
    candidate under test is in force.

    The outermost block installs the hooks, which takes some 10 ms with LangGraph and `openai`
    imported; a block within it takes 0.04 ms. So a server keeps one open around all it does, or
    installs the prompts. Frameworks that are imported later are hooked into as they are imported.

    Args:
        prompts: A prompt file, read here and now, or prompts by slot.
        on_drift: What to do where the program's own text is not the one that the prompt replaces,
            as far as that is known: the program was changed since, or sends other texts in that
            slot as well. ``"warn"`` warns once per slot and sends the program's own text,
            ``"ignore"`` sends it without a word, ``"error"`` raises a `PromptDriftError` where the
            program sends it, each time. The same goes for a prompt that asks for a value which the
            program does not fill in. To send prompts whatever the program has, use those of
            ``agl.load_prompts(path)``: they do not say what they replace.

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
    return PromptsInUse(file, InUse(on_drift))


class PromptsInUse:
    """What `use_prompts` returns; see there."""

    def __init__(self, file: PromptFile, in_use: InUse) -> None:
        _check(file)
        self._file = file
        self._in_use = in_use

    @property
    def unused(self) -> tuple[str, ...]:
        """The slots whose prompt no program has asked for so far, in this process."""
        return tuple(sorted(self._file.prompts.keys() - self._in_use.slots))

    @property
    def drifted(self) -> tuple[str, ...]:
        """The slots in which a program has sent its own text, not being the one replaced."""
        return tuple(sorted(self._in_use.drifted))

    def __enter__(self) -> Binding:
        """Put the prompts in force; return the binding, which records the slots used.

        Raises:
            IntegrationError: If the framework of one of the slots is not installed, or is imported
                and cannot be hooked into.
        """
        block = self._in_force()
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

    def install(self) -> PromptsInUse:
        """Put the prompts in force in the whole process, from now on.

        In every thread and task, those too that were started before; a child process that is forked
        has them too, one that is spawned has not. What is installed later takes precedence.
        Installing what is installed changes nothing.

        Raises:
            IntegrationError: As for a block. Where a framework is imported later and cannot be
                hooked into, the import raises it.
        """
        _installed.add(self)
        return self

    def uninstall(self) -> None:
        """End what `install` began. Without it, nothing is done."""
        _installed.remove(self)

    def over(self, outer: Binding | None) -> PromptsBinding:
        """Return a binding of these prompts, with those of another one for all other slots."""
        prompts, replaces = self._file.prompts, self._file.replaces
        in_use = dict.fromkeys(prompts, self._in_use)
        if outer is None:
            return PromptsBinding(prompts, replaces, in_use)
        kept = {slot: own for slot, own in outer.originals.items() if slot not in prompts}
        theirs = outer.in_use if isinstance(outer, PromptsBinding) else {}
        return PromptsBinding(
            {**outer.resources, **prompts}, {**kept, **replaces}, {**theirs, **in_use}
        )

    @contextmanager
    def hooked(self) -> Generator[None]:
        """Keep the hooks for the block that the prompts need."""
        # Named by the slots, for a program may import its framework only when it runs.
        frameworks = {slot.partition(":")[0] for slot in self._file.prompts}
        tracing = Tracing()
        try:
            with instrumented(tracing, frameworks):
                yield
        finally:
            tracing.shutdown()

    async def _awaited(self, coroutine: Awaitable[Any]) -> Any:
        with self:
            return await coroutine

    @contextmanager
    def _in_force(self) -> Generator[Binding]:
        outer = current_binding()
        if isinstance(outer, RolloutContext):
            yield outer
            return
        with self.hooked(), bound(self.over(outer)) as binding:
            yield binding


class _Installed:
    """The prompts that are in force in the whole process, in the order of their installation."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hooks: dict[PromptsInUse, ExitStack] = {}
        self._ends = False

    def add(self, prompts: PromptsInUse) -> None:
        with self._lock:
            if prompts in self._hooks:
                return
            if not self._ends:
                # Else the interpreter would take the hooks apart together with what they stand on.
                self._ends = True
                atexit.register(self._end)
            hooks = ExitStack()
            hooks.enter_context(prompts.hooked())
            self._hooks[prompts] = hooks
            self._bind(list(self._hooks))

    def remove(self, prompts: PromptsInUse) -> None:
        with self._lock:
            hooks = self._hooks.pop(prompts, None)
            if hooks is not None:
                self._bind(list(self._hooks))
                hooks.close()

    def _end(self) -> None:
        for prompts in reversed(list(self._hooks)):
            self.remove(prompts)

    @staticmethod
    def _bind(installed: Sequence[PromptsInUse]) -> None:
        binding = None
        for prompts in installed:
            binding = prompts.over(binding)
        bind_everywhere(binding)


_installed = _Installed()


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
