"""The context hook: prompts and trace of a rollout, where AutoGen leaves the rollout's context.

A runtime handles messages in the context in which it was started. One that was started outside of
the rollout, or in another one, knows neither its prompts nor its trace; so each message says where
it comes from, and is handled as there. A team without a runtime of its user's starts one of its own
for each run, in the context of that run: there nothing is to be done.

A tool that is a plain function is run in a thread, in no context.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from autogen_core import SingleThreadedAgentRuntime
from autogen_core._single_threaded_agent_runtime import PublishMessageEnvelope, SendMessageEnvelope
from autogen_core.tools import FunctionTool
from opentelemetry import context as otel_context

from agl_core.prompts.binding import Binding, bound, current_binding
from agl_integrations.autogen._patches import Patches

__all__ = ["ContextHook"]

_ORIGIN = "_agl_origin"


class ContextHook:
    """Marks messages with their origin, and handles them in it; takes it into threads of tools."""

    def install(self, patches: Patches) -> None:
        """Install the hook."""
        for envelope in (SendMessageEnvelope, PublishMessageEnvelope):
            patches.wrap(envelope, "__init__", _mark)
        for method in ("_process_send", "_process_publish"):
            patches.wrap(SingleThreadedAgentRuntime, method, _process)
        patches.wrap(FunctionTool, "run", _run_tool)


class _Origin(NamedTuple):
    """The context that a run of a team began in, or a tool was called in."""

    binding: Binding | None
    context: otel_context.Context


_origin: ContextVar[_Origin | None] = ContextVar("agl_autogen_origin", default=None)


def _mark(
    wrapped: Callable[..., None], envelope: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    wrapped(*args, **kwargs)
    binding = current_binding()
    origin = _origin.get()
    # Who answers a message does it in the context that the run began in, else each turn's spans
    # would be part of the turn before.
    if origin is None or origin.binding is not binding or envelope.sender is None:
        origin = _Origin(binding, otel_context.get_current())
    setattr(envelope, _ORIGIN, origin)


def _process(
    wrapped: Callable[..., Awaitable[None]],
    _: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Awaitable[None]:
    (envelope,) = (*args, *kwargs.values())
    origin: _Origin | None = getattr(envelope, _ORIGIN, None)
    if origin is None or origin.binding is current_binding():
        return wrapped(*args, **kwargs)
    return _process_as_at(origin, wrapped, envelope)


async def _process_as_at(
    origin: _Origin, wrapped: Callable[..., Awaitable[None]], envelope: Any
) -> None:
    with _restored(origin):
        await wrapped(envelope)


def _run_tool(
    wrapped: Any, tool: FunctionTool, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Awaitable[Any]:
    function = tool._func  # pyright: ignore[reportPrivateUsage]
    if current_binding() is None or inspect.iscoroutinefunction(function):
        return wrapped(*args, **kwargs)
    origin = _Origin(current_binding(), otel_context.get_current())

    @functools.wraps(function)
    def in_context(*args: Any, **kwargs: Any) -> Any:
        with _restored(origin):
            return function(*args, **kwargs)

    called = copy.copy(tool)
    called._func = in_context  # pyright: ignore[reportPrivateUsage]
    return wrapped.__func__(called, *args, **kwargs)


@contextmanager
def _restored(origin: _Origin) -> Generator[None]:
    marked = _origin.set(origin)
    attached = otel_context.attach(origin.context)
    try:
        with bound(origin.binding):
            yield
    finally:
        otel_context.detach(attached)
        _origin.reset(marked)
