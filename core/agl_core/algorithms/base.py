"""What an algorithm is: one coroutine that is given a session."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, overload, runtime_checkable

from agl_core.errors import ConfigurationError
from agl_core.session import Session

__all__ = ["Algorithm", "FunctionAlgorithm", "algorithm"]


@runtime_checkable
class Algorithm(Protocol):
    """Proposes candidates, evaluates them through the session, and reports them.

    It never sees the test split, the executor or the store. `run` is called once per run, on the
    event loop; everything random in it comes from ``session.rng``, so that a run can be resumed by
    running it again.
    """

    @property
    def name(self) -> str:
        """What the algorithm is called in reports."""
        ...

    @property
    def models(self) -> Sequence[str]:
        """The models it calls; their credentials are checked before anything is spent."""
        ...

    def settings(self) -> Mapping[str, Any]:
        """Return the parameters, JSON-able: a run is resumed only with the same ones."""
        ...

    async def run(self, session: Session) -> None:
        """Search. The best of the candidates reported to the session becomes the result."""
        ...


class FunctionAlgorithm:
    """An algorithm made of one async function that takes the session."""

    def __init__(
        self, function: Callable[[Session], Awaitable[None]], models: Sequence[str] = ()
    ) -> None:
        if not inspect.iscoroutinefunction(function):
            raise ConfigurationError(
                f"{getattr(function, '__name__', function)!s} is not async: an algorithm is "
                "`async def name(session)`"
            )
        self.name: str = getattr(function, "__name__", type(function).__name__)
        self.models = (models,) if isinstance(models, str) else tuple(models)
        self._function = function
        self.__doc__ = function.__doc__

    def settings(self) -> Mapping[str, Any]:
        """Return nothing: what the function does is its own affair."""
        return {}

    async def run(self, session: Session) -> None:
        """Call the function."""
        await self._function(session)


@overload
def algorithm(function: Callable[[Session], Awaitable[None]]) -> FunctionAlgorithm: ...
@overload
def algorithm(
    *, models: Sequence[str]
) -> Callable[[Callable[[Session], Awaitable[None]]], FunctionAlgorithm]: ...
def algorithm(
    function: Callable[[Session], Awaitable[None]] | None = None, *, models: Sequence[str] = ()
) -> FunctionAlgorithm | Callable[[Callable[[Session], Awaitable[None]]], FunctionAlgorithm]:
    """Make an algorithm of an async function that takes the session.

    Args:
        function: ``async def name(session)``.
        models: The models that it calls through ``session.ask``, so that their credentials are
            checked before anything is spent.
    """
    if function is None:
        return functools.partial(FunctionAlgorithm, models=models)
    return FunctionAlgorithm(function, models)
