"""Current spans for contexts that outlive them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace

__all__ = ["innermost", "make_current"]


class _EnclosingSpan(trace.Span):
    """Stands for a span while it is open, and for the one that was current before it afterwards.

    LangChain tells a handler of the end of a run in another context than of its start (async) or at
    any time later (streams), so the span cannot be taken out of the context that it was put into.
    There it must not be found as current once it has ended.
    """

    def __init__(self, span: trace.Span, before: trace.Span) -> None:
        self._span = span
        self.before = before

    def standing_for(self) -> trace.Span:
        """Return the span that this one stands for now."""
        if self._span.is_recording():
            return self._span
        self.before = _open(self.before)
        return (
            self.before.standing_for() if isinstance(self.before, _EnclosingSpan) else self.before
        )

    def has_ended(self) -> bool:
        """Tell whether it stands for another span than its own."""
        return not self._span.is_recording()

    def get_span_context(self) -> trace.SpanContext:
        return self.standing_for().get_span_context()

    def is_recording(self) -> bool:
        return self.standing_for().is_recording()

    def end(self, end_time: int | None = None) -> None:
        self.standing_for().end(end_time)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        self.standing_for().set_attributes(attributes)

    def set_attribute(self, key: str, value: Any) -> None:
        self.standing_for().set_attribute(key, value)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        self.standing_for().add_event(name, attributes, timestamp)

    def add_link(self, context: trace.SpanContext, attributes: Any = None) -> None:
        self.standing_for().add_link(context, attributes)

    def update_name(self, name: str) -> None:
        self.standing_for().update_name(name)

    def set_status(self, status: Any, description: str | None = None) -> None:
        self.standing_for().set_status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Any = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        self.standing_for().record_exception(exception, attributes, timestamp, escaped)


def _open(span: trace.Span) -> trace.Span:
    """Drop stand-ins for spans that have ended: contexts that live long would pile them up."""
    while isinstance(span, _EnclosingSpan) and span.has_ended():
        span = span.before
    return span


def make_current(span: trace.Span) -> None:
    """Make a span current in this context, and in those copied from it, until it ends."""
    before = _open(trace.get_current_span())
    otel_context.attach(trace.set_span_in_context(_EnclosingSpan(span, before)))


def innermost(around: trace.Span) -> trace.Span:
    """Return what a run's span is a part of: the span around it, or one that is inside of that.

    LangChain knows its own runs best. A span of another framework that is current encloses the run
    as well: a tool of the Agents SDK, say, in which a node's agent calls a model. Of two spans that
    enclose the same thing, the inner one is that which started later.
    """
    current = trace.get_current_span()
    if isinstance(current, _EnclosingSpan) or not current.is_recording():
        return around
    if current.get_span_context().trace_id != around.get_span_context().trace_id:
        return around
    started, around_started = (getattr(span, "start_time", None) for span in (current, around))
    return current if (started or 0) > (around_started or 0) else around
