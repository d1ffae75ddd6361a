"""What a chat model's call is surrounded with: the layers below leave prompt and span alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from opentelemetry import context as otel_context
from opentelemetry.instrumentation.utils import suppress_instrumentation

from agl_adapters.injection import model_call
from agl_core.tracing.tracing import Tracing, in_slot

__all__ = ["Coverage"]

T = TypeVar("T")


class Coverage:
    """Surrounds one model call, however it is consumed.

    In it, the hooks of the client that LangChain uses are not active, and if LangChain's call is
    recorded, instrumentors of that client make no span of their own for the same call.

    A stream is covered only while its consumer waits for the next piece: what the consumer does in
    between is its own.

    Args:
        tracing: Tells whether the call is recorded.
        slot: The slot that the call's span belongs to.
    """

    def __init__(self, tracing: Tracing, slot: str | None) -> None:
        self._context: otel_context.Context | None = None
        if tracing.active():
            with suppress_instrumentation():
                if slot is None:
                    self._context = otel_context.get_current()
                else:
                    with in_slot(slot):
                        self._context = otel_context.get_current()

    def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call under cover."""
        with self._covered():
            return function(*args, **kwargs)

    async def awaited(self, function: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
        """Await the result of a call under cover."""
        with self._covered():
            return await function(*args, **kwargs)

    def iterate(
        self, function: Callable[..., Iterator[T]], *args: Any, **kwargs: Any
    ) -> Generator[T]:
        """Iterate over the result of a call under cover."""
        iterator = function(*args, **kwargs)
        end: Any = object()
        try:
            while True:
                with self._covered():
                    piece = next(iterator, end)
                if piece is end:
                    return
                yield piece
        finally:
            if isinstance(iterator, Generator):
                iterator.close()

    async def iterate_async(
        self, function: Callable[..., AsyncIterator[T]], *args: Any, **kwargs: Any
    ) -> AsyncGenerator[T]:
        """Iterate asynchronously over the result of a call under cover."""
        iterator = function(*args, **kwargs)
        end: Any = object()
        try:
            while True:
                with self._covered():
                    piece = await anext(iterator, end)
                if piece is end:
                    return
                yield piece
        finally:
            if isinstance(iterator, AsyncGenerator):
                await iterator.aclose()

    @contextmanager
    def _covered(self) -> Generator[None]:
        with model_call():
            if self._context is None:
                yield
                return
            token = otel_context.attach(self._context)
            try:
                yield
            finally:
                otel_context.detach(token)
