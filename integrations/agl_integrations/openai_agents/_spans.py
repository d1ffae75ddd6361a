"""The span source: the SDK's own spans as OpenTelemetry spans."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from agents.tool_context import ToolContext
from agents.tracing import Span, Trace, TracingProcessor, get_current_span
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.trace import SpanKind, Status, StatusCode

from agl_core.spans import genai
from agl_core.tracing.tracing import Tracing
from agl_integrations.openai_agents._attributes import (
    attributes_at_end,
    attributes_at_start,
    error_text,
    span_name,
)
from agl_integrations.openai_agents._calls import current_model
from agl_integrations.openai_agents._patches import replaced

__all__ = ["SpanSource"]

_TRANSPARENT = ("task", "turn")
_MODEL_CALLS = ("generation", "response")


@dataclass(eq=False, slots=True)
class _Open:
    """A span of the SDK that is open."""

    span: trace.Span | None = None
    """Ours for it, if it has one."""
    before: Context | None = None
    """What was current when it started."""
    slot: str | None = None
    """The slot whose prompt the turn sends."""
    sent: str | None = None
    """That prompt."""


class SpanSource(TracingProcessor):
    """Makes the spans of agents, model calls, tools, handoffs and guardrails.

    They are children of the span that is current, and are current themselves until they end, so
    that what runs inside, of whatever framework, is part of them. Runs and turns have no spans of
    their own. A model call is one span: instrumentors of the client below make none for it.

    Called from any thread; the SDK logs what it raises.
    """

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing
        self._opened: WeakKeyDictionary[Span[Any], _Open] = WeakKeyDictionary()

    def note_prompt(self, slot: str, sent: str) -> None:
        """Take note of the prompt that the current turn sends."""
        opened = self._current()
        if opened is not None:
            opened.slot, opened.sent = slot, sent

    def note_slot(self, slot: str) -> None:
        """Take note of a slot that the current turn uses, if it has no system prompt."""
        opened = self._current()
        if opened is not None and opened.slot is None:
            opened.slot = slot

    def tool_call_ids(self) -> AbstractContextManager[None]:
        """Return a context manager that adds the ids of tool calls, which the SDK's spans lack."""

        def noting(found: Any) -> Any:
            def from_agent_context(cls: type[ToolContext[Any]], *args: Any, **kwargs: Any) -> Any:
                context = found.__func__(cls, *args, **kwargs)
                self._note_call_id(context.tool_call_id)
                return context

            return classmethod(from_agent_context)

        return replaced(ToolContext, "from_agent_context", noting)

    def on_trace_start(self, trace: Trace) -> None:
        """Do nothing: the rollout's root stands for the trace."""

    def on_trace_end(self, trace: Trace) -> None:
        """Do nothing; see `on_trace_start`."""

    def on_span_start(self, span: Span[Any]) -> None:
        """Open a span."""
        kind = span.span_data.type
        opened = _Open()
        if kind not in _TRANSPARENT:
            is_model_call = kind in _MODEL_CALLS
            attributes = attributes_at_start(span.span_data, current_model())
            model = attributes.get("gen_ai.request.model")
            turn = self._current()
            if is_model_call and turn is not None and turn.slot is not None:
                opened.slot, opened.sent = turn.slot, turn.sent
                attributes[genai.SLOT] = turn.slot
            otel_span = self._tracing.tracer.start_span(
                span_name(span.span_data, model),
                kind=SpanKind.CLIENT if is_model_call else SpanKind.INTERNAL,
                attributes=attributes,
            )
            if not otel_span.is_recording():
                return
            opened.span, opened.before = otel_span, otel_context.get_current()
            _make_current(otel_span, is_model_call)
        self._opened[span] = opened

    def on_span_end(self, span: Span[Any]) -> None:
        """Complete a span and end it."""
        opened = self._opened.pop(span, None)
        if opened is None:
            return
        if opened.span is None:
            _record_error(trace.get_current_span(), span)
            return
        try:
            self._complete(opened.span, opened, span)
        finally:
            opened.span.end()
            # A stream that is abandoned ends in the context of whoever cleans up.
            if opened.before is not None and trace.get_current_span() is opened.span:
                otel_context.attach(opened.before)

    def shutdown(self) -> None:
        """Do nothing: spans are the tracer's."""

    def force_flush(self) -> None:
        """Do nothing; see `shutdown`."""

    def _complete(self, otel_span: trace.Span, opened: _Open, span: Span[Any]) -> None:
        data = span.span_data
        capture_content = self._tracing.capture_content
        # A user who keeps content out of the SDK's traces finds none in a span without an error.
        shown = span.error is not None or getattr(data, "input", None) is not None
        sent = opened.sent if shown else None
        otel_span.set_attributes(attributes_at_end(data, sent, capture_content))
        if data.type == "handoff":
            otel_span.update_name(span_name(data))
        _record_error(otel_span, span)

    def _note_call_id(self, call_id: str) -> None:
        opened = self._current()
        if opened is not None and opened.span is not None:
            opened.span.set_attribute("gen_ai.tool.call.id", call_id)

    def _current(self) -> _Open | None:
        span = get_current_span()
        return None if span is None else self._opened.get(span)


def _record_error(otel_span: trace.Span, span: Span[Any]) -> None:
    if span.error is not None:
        otel_span.set_status(Status(StatusCode.ERROR, error_text(span.error)))


def _make_current(span: trace.Span, is_model_call: bool) -> None:
    context = trace.set_span_in_context(span)
    if is_model_call:
        with suppress_instrumentation():
            context = trace.set_span_in_context(span)
    otel_context.attach(context)
