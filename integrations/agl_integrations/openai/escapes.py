"""Requests of methods that the program had in hand before they were wrapped.

``ask = client.chat.completions.create`` at the top of a module is the method as it was then. So are
the ``with_raw_response`` and ``with_streaming_response`` that a client keeps from their first use.
The requests that they make are seen where the client sends them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from openai._base_client import AsyncAPIClient
from openai._legacy_response import LegacyAPIResponse
from openai.types.chat import ChatCompletion
from openai.types.responses import Response
from opentelemetry import trace
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from agl_adapters.injection import active
from agl_core.faults.failures import traceback_text
from agl_core.spans.genai import TokenUsage, message_attributes, response_attributes
from agl_core.tracing.tracing import Tracing, in_slot
from agl_integrations.openai.calls import request_span
from agl_integrations.openai.requests import wrapped_requests

__all__ = ["EscapedRequests", "Injected"]

Injected = Callable[[Mapping[str, Any]], tuple[dict[str, Any], str | None]]
"""Given a request: what to send, and the first slot that it uses."""

_URLS = frozenset({"/chat/completions", "/responses"})

_log = logging.getLogger(__name__)


class EscapedRequests:
    """Gives such requests their prompts and their spans.

    Args:
        tracing: Makes the spans.
        injected: Puts the prompts in.
        records: Whether there are spans. An instrumentor of the user's makes its own.
    """

    def __init__(self, tracing: Tracing, injected: Injected, records: bool) -> None:
        self._tracing = tracing
        self._injected = injected
        self._records = records

    def caught(self) -> AbstractContextManager[None]:
        """Catch them in the block."""
        return wrapped_requests(self._request)

    def _request(
        self,
        wrapped: Callable[..., Any],
        client: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        if not active() or len(args) < 2:
            return wrapped(*args, **kwargs)
        cast_to, options, *rest = args
        body = options.json_data
        if options.url.partition("?")[0] not in _URLS or not isinstance(body, Mapping):
            return wrapped(*args, **kwargs)
        request, slot = self._injected(body)
        options = options.model_copy(update={"json_data": request})
        call = _EscapedRequest(self._tracing if self._records else None, request, slot)
        send = call.send_async if isinstance(client, AsyncAPIClient) else call.send
        return send(wrapped, cast_to, options, *rest, **kwargs)


class _EscapedRequest:
    """One such request."""

    def __init__(
        self, tracing: Tracing | None, request: Mapping[str, Any], slot: str | None
    ) -> None:
        recorded = tracing is not None and tracing.active() and is_instrumentation_enabled()
        self._tracing = tracing if recorded else None
        self._request = request
        self._slot = slot

    def send(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with self._span() as span:
            return self._noted(span, function(*args, **kwargs), kwargs)

    async def send_async(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with self._span() as span:
            return self._noted(span, await function(*args, **kwargs), kwargs)

    @contextmanager
    def _span(self) -> Generator[trace.Span | None]:
        if self._tracing is None:
            yield None
        elif self._slot is None:
            with request_span(self._tracing, self._request) as span:
                yield span
        else:
            with in_slot(self._slot), request_span(self._tracing, self._request) as span:
                yield span

    def _noted(self, span: trace.Span | None, result: Any, how: Mapping[str, Any]) -> Any:
        """Return a result; put it into the span, unless it is a stream, which is the caller's."""
        if span is not None and self._tracing is not None and not how.get("stream"):
            try:
                span.set_attributes(_answer(result, self._tracing.capture_content))
            except Exception as error:  # noqa: BLE001 - telemetry never fails a rollout
                _log.debug("an answer could not be recorded:\n%s", traceback_text(error))
        return result


def _answer(result: Any, with_content: bool) -> dict[str, Any]:
    """Return the attributes of an answer: none of one that the caller reads byte by byte."""
    if isinstance(result, LegacyAPIResponse):
        result = result.parse()
    if isinstance(result, ChatCompletion):
        used = result.usage and TokenUsage(
            result.usage.prompt_tokens, result.usage.completion_tokens
        )
        said: list[Any] = [choice.message for choice in result.choices]
    elif isinstance(result, Response):
        used = result.usage and TokenUsage(result.usage.input_tokens, result.usage.output_tokens)
        said = list(result.output)
    else:
        return {}
    attributes = response_attributes(model=result.model, response_id=result.id, usage=used)
    if with_content:
        items = [item.model_dump(exclude_none=True, warnings=False) for item in said]
        attributes |= message_attributes(items, "output")
    return attributes
