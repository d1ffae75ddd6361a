"""The OpenTelemetry SDK's side of tracing: a provider whose spans are collected by rollout.

This module imports the SDK, which takes 100 ms: import it when a rollout starts, not before.
"""

from __future__ import annotations

import logging
import os
from collections.abc import MutableMapping, Sequence
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import (
    Event,
    ReadableSpan,
    Span,
    SpanLimits,
    SpanProcessor,
    TracerProvider,
)
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.sdk.util import BoundedList

from agl_core.faults.failures import traceback_text
from agl_core.spans.genai import APART, SLOT
from agl_core.spans.span import Span as FinishedSpan
from agl_core.tracing.recording import Recording

__all__ = [
    "RECORDING_KEY",
    "Collector",
    "Recordings",
    "Relay",
    "detach",
    "export",
    "rollout_provider",
    "user_provider",
]

_log = logging.getLogger(__name__)

_MANY = 10_000

RECORDING_KEY = "agl.recording"
"""Where the context that a root span is started with holds its recording."""

Recordings = MutableMapping[int, Recording]
"""The rollouts that are being recorded, by trace id."""


class Collector(SpanProcessor):
    """Hands the spans of rollouts to their recordings, and ignores all others. Never raises."""

    def __init__(self, recordings: Recordings) -> None:
        self._recordings = recordings

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note a span of a rollout, and mark it with what its context says of it."""
        recording = self.recording(span)
        if recording is not None:
            recording.started(span)
            slot = otel_context.get_value(SLOT, parent_context)
            if isinstance(slot, str):
                span.set_attribute(SLOT, slot)
            if otel_context.get_value(APART, parent_context):
                span.set_attribute(APART, True)

    def on_end(self, span: ReadableSpan) -> None:
        """Keep a span of a rollout."""
        recording = self.recording(span)
        if recording is not None:
            recording.ended(span)

    def recording(self, span: ReadableSpan) -> Recording | None:
        """Return the recording of the rollout that the span belongs to."""
        context = span.context
        return None if context is None else self._recordings.get(context.trace_id)


class Relay(SpanProcessor):
    """The processor of our own provider: collects, then forwards to the user's processors.

    A failure of the user's processors is logged and goes no further.
    """

    def __init__(self, recordings: Recordings, user: TracerProvider | None) -> None:
        self._recordings = recordings
        self._collector = Collector(recordings)
        self._user = user

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Register the rollout of a root span; collect and forward."""
        recording = otel_context.get_value(RECORDING_KEY, parent_context)
        if isinstance(recording, Recording):
            recording.span = span
            recording.forward = self._user is not None and sampled(self._user, span, span.name)
            self._recordings[span.get_span_context().trace_id] = recording
        self._collector.on_start(span, parent_context)
        forwarded = self._forwarded(span)
        if forwarded is not None and _make_permitted(span, forwarded):
            self._forward("on_start", span, forwarded, parent_context)

    def _on_ending(self, span: Span) -> None:
        forwarded = self._forwarded(span)
        if forwarded is not None and _make_permitted(span, forwarded):
            self._forward("_on_ending", span, forwarded)

    def on_end(self, span: ReadableSpan) -> None:
        """Collect, and forward what may be known of it."""
        forwarded = self._forwarded(span)
        recording = self._collector.recording(span)
        permitted = None if recording is None else recording.ended(span)
        if forwarded is not None and permitted is not None:
            self._forward("on_end", _as_permitted(span, permitted), forwarded)

    def _forwarded(self, span: ReadableSpan) -> Recording | None:
        """Return the recording of a span, if it also goes to the user's processors."""
        recording = self._collector.recording(span)
        return recording if recording is not None and recording.forward else None

    def _forward(self, event: str, span: ReadableSpan, recording: Recording, *args: Any) -> None:
        try:
            getattr(_active_processor(self._user), event)(span, *args)
        except Exception as error:  # noqa: BLE001 - whatever a processor raises, the rollout goes on
            _log.warning(
                "a span processor of the tracer provider failed:\n%s",
                traceback_text(error, recording.redaction),
            )


def _make_permitted(span: Span, recording: Recording) -> bool:
    """Change a span that goes on to what is permitted of it; tell whether it could be.

    Some processors keep hold of the span that they are told the start of, and read it in the end.
    OpenTelemetry has no public way to change a span that ends.
    """
    permitted = recording.permitted(span)
    if permitted is None:
        return False
    try:
        if permitted != FinishedSpan.from_otel(span):
            as_permitted = _as_permitted(span, permitted)
            live: Any = span
            live._attributes = BoundedAttributes(None, dict(permitted.attributes), immutable=False)
            live._name, live._status = as_permitted.name, as_permitted.status
            if span.events:
                live._events = BoundedList.from_seq(_MANY, _events_of(permitted))
    except Exception as error:  # noqa: BLE001 - what cannot be made permitted goes nowhere
        _log.warning("a span is not sent on:\n%s", traceback_text(error, recording.redaction))
        return False
    return True


def _as_permitted(span: ReadableSpan, permitted: FinishedSpan) -> ReadableSpan:
    """Return a span as it is permitted: itself, if there is nothing in it that is not."""
    if permitted == FinishedSpan.from_otel(span):
        return span
    return ReadableSpan(
        permitted.name,
        span.context,
        span.parent,
        span.resource,
        dict(permitted.attributes),
        _events_of(permitted),
        span.links,
        span.kind,
        status=trace.Status(span.status.status_code, permitted.status_message or None),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _events_of(span: FinishedSpan) -> list[Event]:
    return [Event(event.name, dict(event.attributes), event.time_ns) for event in span.events]


def sampled(user: TracerProvider, root: trace.Span, name: str) -> bool:
    """Ask the user's sampler as it will be asked for the user's own spans in this rollout.

    Those have a sampled parent, the root. So a rollout's tree arrives whole or not at all, also
    where the user's own spans are part of it.
    """
    try:
        result = user.sampler.should_sample(
            trace.set_span_in_context(root),
            root.get_span_context().trace_id,
            name,
            trace.SpanKind.INTERNAL,
        )
    except Exception as error:  # noqa: BLE001 - whatever a sampler raises, the rollout goes on
        _log.warning("the sampler of the tracer provider failed:\n%s", traceback_text(error))
        return False
    return result.decision.is_sampled()


class _SystemIds(IdGenerator):
    """Random ids from the operating system.

    The default generator draws from the `random` module: a program that seeds it would get the
    same trace ids again, mixing up rollouts, and tracing would change the numbers that it draws.
    """

    def generate_span_id(self) -> int:
        return int.from_bytes(os.urandom(8), "big") or 1

    def generate_trace_id(self) -> int:
        return int.from_bytes(os.urandom(16), "big") or 1

    def is_trace_id_random(self) -> bool:
        return True


def rollout_provider(recordings: Recordings, user: TracerProvider | None) -> TracerProvider:
    """Return a provider that records every span, whatever the user's sampler and limits drop.

    Args:
        recordings: Where its spans are collected.
        user: The user's own provider. Its processors are given the same spans, with its resource,
            if its sampler agrees.
    """
    ids = None if user is None else user.id_generator
    unlimited = SpanLimits.UNSET
    provider = TracerProvider(
        sampler=ALWAYS_ON,
        resource=Resource.get_empty() if user is None else user.resource,
        shutdown_on_exit=False,
        id_generator=_SystemIds() if ids is None or type(ids) is RandomIdGenerator else ids,
        # A prompt that is cut off cannot be read back: it is JSON.
        span_limits=SpanLimits(
            max_attributes=unlimited,
            max_span_attributes=unlimited,
            max_event_attributes=unlimited,
            max_attribute_length=unlimited,
            max_span_attribute_length=unlimited,
        ),
    )
    # OTEL_SDK_DISABLED stops what is sent, the part of the user's provider, not what is looked at.
    provider._disabled = False  # pyright: ignore[reportPrivateUsage]
    provider.add_span_processor(Relay(recordings, user))
    return provider


def user_provider() -> TracerProvider | None:
    """Return the global provider if the user has set one of the OpenTelemetry SDK."""
    provider = trace.get_tracer_provider()
    return provider if isinstance(provider, TracerProvider) else None


def export(spans: Sequence[FinishedSpan], user: TracerProvider) -> None:
    """Give the user's processors the spans of a rollout that ran elsewhere, if its sampler agrees.

    They are told of their end only: the spans are finished.
    """
    if not spans:
        return
    root = trace.NonRecordingSpan(_context(spans[0].trace_id, spans[0].span_id))
    if not sampled(user, root, spans[0].name):
        return
    processor = _active_processor(user)
    for span in sorted(spans, key=lambda span: (span.parent_id is None, span.end_ns)):
        try:
            processor.on_end(_readable(span, user.resource))
        except Exception as error:  # noqa: BLE001 - whatever a processor raises, the rollout goes on
            _log.warning(
                "a span processor of the tracer provider failed:\n%s", traceback_text(error)
            )


def detach(user: TracerProvider, collector: Collector) -> None:
    """Take the collector out of the user's provider.

    OpenTelemetry has no public way to. Where this one is gone, the collector stays and finds no
    recordings.
    """
    active = _active_processor(user)
    processors = getattr(active, "_span_processors", None)
    if isinstance(processors, tuple):
        with active._lock:
            active._span_processors = tuple(p for p in processors if p is not collector)


def _context(trace_id: str, span_id: str) -> trace.SpanContext:
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
    return trace.SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=flags
    )


def _readable(span: FinishedSpan, resource: Resource) -> ReadableSpan:
    return ReadableSpan(
        span.name,
        _context(span.trace_id, span.span_id),
        None if span.parent_id is None else _context(span.trace_id, span.parent_id),
        resource,
        dict(span.attributes),
        _events_of(span),
        kind=trace.SpanKind[span.kind.upper()],
        status=trace.Status(trace.StatusCode[span.status.upper()], span.status_message or None),
        start_time=span.start_ns,
        end_time=span.end_ns,
    )


def _active_processor(provider: TracerProvider | None) -> Any:
    return getattr(provider, "_active_span_processor", None)
