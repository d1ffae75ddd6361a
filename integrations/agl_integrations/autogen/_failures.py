"""The failure hook: what a team raises has the error of its participant as its cause.

A team passes on errors as text: a rate limit of the model service comes out as a `RuntimeError`,
which looks like the agent's own mistake. The engine, which tries a rollout again that the world
failed, looks at causes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any
from weakref import WeakKeyDictionary

from autogen_agentchat.teams import BaseGroupChat
from autogen_agentchat.teams._group_chat._events import SerializableException

from agl_core.prompts.binding import Binding, current_binding
from agl_integrations.autogen._patches import Patches

__all__ = ["FailureHook"]


class FailureHook:
    """Keeps the errors of a rollout's teams by their text."""

    def __init__(self) -> None:
        self._errors: WeakKeyDictionary[Binding, dict[str, BaseException]] = WeakKeyDictionary()

    def install(self, patches: Patches) -> None:
        """Install the hook."""
        patches.wrap(SerializableException, "from_exception", self._keep)
        patches.wrap(BaseGroupChat, "run_stream", self._run)

    def _keep(
        self,
        wrapped: Callable[[Exception], SerializableException],
        _: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> SerializableException:
        error = wrapped(*args, **kwargs)
        binding = current_binding()
        if binding is not None:
            (cause,) = (*args, *kwargs.values())
            self._errors.setdefault(binding, {})[str(error)] = cause
        return error

    def _run(
        self,
        wrapped: Callable[..., AsyncGenerator[Any]],
        _: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> AsyncGenerator[Any]:
        stream = wrapped(*args, **kwargs)
        binding = current_binding()
        return stream if binding is None else self._explained(stream, binding)

    async def _explained(
        self, stream: AsyncGenerator[Any], binding: Binding
    ) -> AsyncGenerator[Any]:
        async with aclosing(stream):
            try:
                async for message in stream:
                    yield message
            except RuntimeError as error:
                cause = self._errors.get(binding, {}).get(str(error))
                if cause is None or error.__cause__ is not None:
                    raise
                raise error from cause
