"""What a model call is surrounded with: the layers below leave prompt and span alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any

from opentelemetry import context as otel_context

from agl_adapters.injection import model_call

__all__ = ["Coverage"]

_END: Any = object()


class Coverage:
    """Surrounds one model call. In it, the hook of the client that makes it is not active."""

    async def awaited(
        self, function: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any
    ) -> Any:
        """Await the result of a call under cover."""
        context = self._begin()
        try:
            with self._covered(context):
                result = await function(*args, **kwargs)
            self._note(result)
            return result
        finally:
            self._end()

    async def iterate(
        self, function: Callable[..., AsyncGenerator[Any]], *args: Any, **kwargs: Any
    ) -> AsyncGenerator[Any]:
        """Iterate over the result of a call.

        It is covered only while its consumer waits for the next piece: what the consumer does in
        between is its own.
        """
        context = self._begin()
        stream: AsyncGenerator[Any] | None = None
        try:
            while True:
                with self._covered(context):
                    if stream is None:
                        stream = function(*args, **kwargs)
                    piece = await anext(stream, _END)
                if piece is _END:
                    return
                self._note(piece)
                yield piece
        finally:
            if stream is not None:
                await stream.aclose()
            self._end()

    @contextmanager
    def _covered(self, context: otel_context.Context) -> Generator[None]:
        token = otel_context.attach(context)
        try:
            with model_call():
                yield
        except BaseException as error:
            self._fail(error)
            raise
        finally:
            otel_context.detach(token)

    def _begin(self) -> otel_context.Context:
        """Return the context of OpenTelemetry that is to be current in the call."""
        return otel_context.get_current()

    def _note(self, result: Any) -> None:
        """Take note of the result, or of a piece of the stream."""

    def _fail(self, error: BaseException) -> None:
        """Take note of what the call raised."""

    def _end(self) -> None:
        """Take note of the end of the call."""
