"""Calls of the client: through the instrumentor inside rollouts, straight outside of them."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from openai import NotGiven, Omit
from openai._constants import RAW_RESPONSE_HEADER
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import Span, SpanKind

from agl_core.faults.failures import traceback_text
from agl_core.spans.genai import message_attributes, request_attributes
from agl_core.spans.messages import parse_messages
from agl_core.tracing.tracing import Tracing

__all__ = ["Gate", "request_span"]

_log = logging.getLogger(__name__)

_CREATORS = frozenset({"Completions", "AsyncCompletions", "Responses", "AsyncResponses"})


class Gate:
    """One method of the client's classes: traced inside rollouts, as it was outside of them.

    Whatever the instrumentor raises by itself is logged, and the caller gets what the client
    returned or raised.

    Args:
        tracing: Whose rollouts the method is traced in.
        original: What was found on the class.
        wrapper: The instrumentor's part, as wrapt calls it: with the method bound to its object,
            the object, the arguments and the keyword arguments.
        owner: The name of the class.
    """

    def __init__(
        self, tracing: Tracing, original: Any, wrapper: Callable[..., Any], owner: str
    ) -> None:
        self.original = original
        self.open = True
        self._creates = original.__name__ == "create" and owner in _CREATORS
        self._tracing = tracing
        self._wrapper = wrapper

    def method(self) -> Callable[..., Any]:
        """Return what to put on the class: a function of the same kind as the original."""
        enter = self._enter

        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            return enter(self, args, kwargs)

        async def async_method(self: Any, *args: Any, **kwargs: Any) -> Any:
            return await enter(self, args, kwargs)

        chosen = async_method if inspect.iscoroutinefunction(self.original) else method
        return functools.update_wrapper(chosen, self.original)

    def _enter(self, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        bound = self.original.__get__(instance, type(instance))
        if not (self.open and self._tracing.active() and is_instrumentation_enabled()):
            return bound(*args, **kwargs)
        if self._creates and _is_unread(kwargs):
            return _UnreadCall(bound, self._tracing).start(args, kwargs)
        call = _Call(bound, kwargs)
        try:
            outcome = self._wrapper(call, instance, args, call.visible)
        except Exception as error:  # noqa: BLE001 - `settle` raises what is the client's own
            return call.settle(error, args)
        return call.guard(outcome, args) if inspect.iscoroutine(outcome) else outcome


class _Call:
    """One call of the client. The instrumentor is given it in the client's place."""

    def __init__(self, function: Callable[..., Any], kwargs: Mapping[str, Any]) -> None:
        self._function = function
        # Two will read what may be read once only.
        self._kwargs = {
            name: list(value) if isinstance(value, Iterator) else value
            for name, value in kwargs.items()
        }
        self._finished = False
        self._result: Any = None
        self._error: BaseException | None = None

    @property
    def visible(self) -> dict[str, Any]:
        """The arguments for the instrumentor to look at.

        Not the headers, which may hold keys and would go into the span, and nothing that only
        stands for a missing argument.
        """
        return {
            name: value
            for name, value in self._kwargs.items()
            if name != "extra_headers" and not isinstance(value, NotGiven | Omit)
        }

    def __call__(self, *args: Any, **_: Any) -> Any:
        try:
            result = self._function(*args, **self._kwargs)
        except BaseException as error:
            self._error = error
            raise
        return self._awaited(result) if inspect.iscoroutine(result) else self._keep(result)

    def settle(self, error: Exception, args: tuple[Any, ...]) -> Any:
        """Give the caller what the client gave, after an exception came out of the instrumentor."""
        if error is self._error:
            raise error
        _log.debug("the openai instrumentor failed:\n%s", traceback_text(error))
        if self._error is not None:
            raise self._error
        return self._result if self._finished else self._function(*args, **self._kwargs)

    async def guard(self, outcome: Any, args: tuple[Any, ...]) -> Any:
        """Await what the instrumentor returned."""
        try:
            return await outcome
        except Exception as error:  # noqa: BLE001 - `settle` raises what is the client's own
            settled = self.settle(error, args)
            return await settled if inspect.isawaitable(settled) else settled

    async def _awaited(self, result: Any) -> Any:
        try:
            return self._keep(await result)
        except BaseException as error:
            self._error = error
            raise

    def _keep(self, result: Any) -> Any:
        self._result, self._finished = result, True
        return result


class _UnreadCall:
    """A call whose response the caller reads as raw bytes or a raw stream.

    The instrumentor has no span for it, or reads the response before the caller does. This one has
    the request, and ends when the headers have arrived: tokens and answer are missing.
    """

    def __init__(self, function: Callable[..., Any], tracing: Tracing) -> None:
        self._function = function
        self._tracing = tracing

    def start(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make the call."""
        span = request_span(self._tracing, kwargs)
        if inspect.iscoroutinefunction(inspect.unwrap(self._function)):
            return self._start_async(span, args, kwargs)
        with span:
            return self._function(*args, **kwargs)

    async def _start_async(
        self,
        span: AbstractContextManager[Span],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        with span:
            return await self._function(*args, **kwargs)


def request_span(tracing: Tracing, request: Mapping[str, Any]) -> AbstractContextManager[Span]:
    """Return a context manager that makes a model call's span, and makes it current.

    Args:
        tracing: Makes the span.
        request: The arguments of the client's method, or the body that it sends.
    """
    model = request.get("model")
    attributes = request_attributes(
        model if isinstance(model, str) else None, provider="openai", stream=request.get("stream")
    )
    if tracing.capture_content:
        sent = next(filter(None, map(request.get, ("messages", "input", "prompt"))), [])
        messages = parse_messages(sent, "user")
        if isinstance(request.get("instructions"), str):
            messages.insert(0, {"role": "system", "content": request["instructions"]})
        attributes |= message_attributes(messages, "input")
    return tracing.tracer.start_as_current_span(
        f"chat {model}", kind=SpanKind.CLIENT, attributes=attributes
    )


def _is_unread(kwargs: Mapping[str, Any]) -> bool:
    headers = kwargs.get("extra_headers")
    raw = headers.get(RAW_RESPONSE_HEADER) if isinstance(headers, Mapping) else None
    return raw == "stream" or (raw is not None and bool(kwargs.get("stream")))
