"""Targets: what `wrap` runs. A framework's object, a function, or a factory of such objects."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, cast

from agl_adapters.integration import Integration, SingleUseTarget, Target
from agl_adapters.registry import find_integration
from agl_core.code_identity import code_parts, parts_of
from agl_core.errors import ConfigurationError, UnknownAgentError

__all__ = [
    "FactoryTarget",
    "FunctionTarget",
    "accepts",
    "find_target",
    "function_name",
    "is_async_function",
]


class FunctionTarget:
    """A plain function of one argument, or an object that is called like one, sync or async."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.name = function_name(function)
        self.is_async = is_async_function(function)
        self._function = function

    def parts(self) -> dict[str, str]:
        """Return what tells it from another one of its name; see `code_parts`."""
        return code_parts({"function": self._function})

    def run(self, input: Any) -> Any:
        """Call the function; see `agl_adapters.integration.Target.run`."""
        output = self._function(input)
        if not self.is_async and inspect.isawaitable(output):
            raise discarded(
                output, f"{self.name} returned an awaitable: define it with `async def`"
            )
        return output

    def answer(self, output: Any) -> Any:
        """Return the output; see `agl_adapters.integration.Target.answer`."""
        return output


class FactoryTarget:
    """A function without parameters that builds a program: a fresh one is built for each run.

    One is built at once, to see what it is; it is not run.
    """

    def __init__(self, factory: Callable[[], Any], integration: Integration, built: Any) -> None:
        self._first = integration.adapt(built)
        self.name = function_name(factory)
        self.is_async = self._first.is_async
        self._built = built
        self._factory = factory
        self._integration = integration

    def parts(self) -> dict[str, str]:
        """Return what tells it from another one of its name; see `code_parts`."""
        return {**parts_of(self._first), **code_parts({"factory": self._factory})}

    def run(self, input: Any) -> Any:
        """Build the program and run it; see `agl_adapters.integration.Target.run`."""
        built = self._factory()
        if built is self._built:  # it builds nothing: this is one object for all runs
            return self._first.run(input)
        target = self._integration.adapt(built)
        if isinstance(target, SingleUseTarget):
            return target.run_once(input)
        return target.run(input)

    def answer(self, output: Any) -> Any:
        """Return the answer in it; see `agl_adapters.integration.Target.answer`."""
        return self._first.answer(output)


def find_target(program: Any) -> tuple[Target, Integration | None]:
    """Make a program runnable; also return the integration that recognizes it, if one does.

    Raises:
        UnknownAgentError: If it is of no supported kind.
        ConfigurationError: If it is, but cannot be run as it is.
    """
    try:
        integration = find_integration(program)
    except UnknownAgentError:
        if not callable(program) or isinstance(program, type):
            raise
        return _function_target(program)
    return integration.adapt(program), integration


def _function_target(function: Callable[..., Any]) -> tuple[Target, Integration | None]:
    name = function_name(function)
    if accepts(function, 1):
        return FunctionTarget(function), None
    if not accepts(function, 0):
        raise ConfigurationError(
            f"{name}{inspect.signature(function)} cannot be called with one argument, the input; "
            "wrap a function that can"
        )
    remedy = (
        "give it a parameter for the input, or let it return an object of a supported framework"
    )
    if is_async_function(function):
        raise ConfigurationError(
            f"{name}() is async and takes no input; a factory is a plain function: {remedy}"
        )
    built = function()
    try:
        integration = find_integration(built)
    except UnknownAgentError as error:
        raise UnknownAgentError(
            f"{name}() takes no input, so it is a factory that builds the program, but: {error}; "
            f"{remedy}"
        ) from None
    return FactoryTarget(function, integration, built), integration


def function_name(function: Callable[..., Any]) -> str:
    """Return what a function, a partial or a callable object is called in messages."""
    inner = _innermost(function)
    return getattr(inner, "__name__", type(inner).__name__)


def is_async_function(function: Callable[..., Any]) -> bool:
    """Tell whether calling it, a function, partial or callable object, gives a coroutine."""
    inner = _innermost(function)
    return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(
        getattr(inner, "__call__", None)  # noqa: B004 - looking for its kind, not calling
    )


def accepts(function: Callable[..., Any], arguments: int) -> bool:
    """Tell whether it can be called with so many arguments; if that cannot be known, it can."""
    try:
        inspect.signature(function).bind(*[None] * arguments)
    except TypeError:
        return False
    except ValueError:  # a function of C without a signature
        return True
    return True


def discarded(awaitable: Any, message: str) -> ConfigurationError:
    """Return the error, having closed the coroutine: Python warns of one never awaited."""
    if inspect.iscoroutine(awaitable):
        awaitable.close()
    return ConfigurationError(message)


def _innermost(function: Callable[..., Any]) -> Any:
    inner: Any = function
    while isinstance(inner, functools.partial):
        inner = cast("functools.partial[Any]", inner).func
    return inner
