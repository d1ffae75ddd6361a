"""Tracing: each rollout is a trace of OpenTelemetry spans, collected and, if wanted, forwarded.

OpenTelemetry is imported when the first `Tracing` is made, its SDK when the first rollout starts.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from agl_core.faults.failures import traceback_text
from agl_core.privacy.redaction import Redaction
from agl_core.spans.genai import APART, SLOT
from agl_core.tracing.exceptions import record_exception
from agl_core.tracing.recording import Recording, SpanListener

if TYPE_CHECKING:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    from agl_core.spans.span import Span
    from agl_core.tracing.collector import Collector

__all__ = ["Recording", "Tracing", "apart_spans", "in_slot"]

_log = logging.getLogger(__name__)

# Of all runs of the process: hooks patch classes, so those that one run installs serve all others.
_recordings: dict[int, Recording] = {}

_OPERATION: Mapping[str, Any] = {"gen_ai.operation.name": "invoke_agent"}


class Tracing:
    """Records rollouts as traces.

    The spans are made by a provider of its own that is not global and records every span, so what
    is collected is complete whatever is sampled elsewhere. If the user has a provider of the
    OpenTelemetry SDK, its processors are given the same spans, with its resource, so that they
    arrive wherever the user sends spans to; and spans which the user's own tracers start inside a
    rollout are collected too. Its sampler is asked as for a span whose parent is sampled: the usual
    samplers, which follow the parent, then forward all rollouts; one that decides by trace id
    forwards, and lets us collect of the user's own spans, the share that it was set to. Its limits
    on attributes are not applied. Without such a provider nothing is sent anywhere.

    Its tracers record the rollouts of other objects of this class too, each as that one would: the
    hooks of an integration are installed once for all runs that overlap.

    All methods may be called from any thread. No failure of telemetry is raised into a rollout.

    Args:
        provider: The user's provider. If None, the global one, if it is one of the SDK.
        capture_content: Whether integrations may put prompts, answers, tool arguments and tool
            results into the spans of its rollouts. Without them a critique has nothing to look at.
        listener: Who is told of the spans of its rollouts as they come.
        redaction: What is taken out of the spans, before they are collected or go anywhere.
    """

    def __init__(
        self,
        provider: TracerProvider | None = None,
        capture_content: bool = True,
        listener: SpanListener | None = None,
        redaction: Redaction | None = None,
    ) -> None:
        from agl_core.tracing.gates import GatedProvider

        self._capture_content = capture_content
        self.redaction = redaction or Redaction()
        self._given = provider
        self._listener = listener
        self._recordings = _recordings
        self._lock = threading.Lock()
        self._own: TracerProvider | None = None
        self._shared: tuple[TracerProvider, Collector] | None = None
        self._provider = GatedProvider(self._recordings)
        self._tracer = self._provider.get_tracer("agl_adapters")

    @property
    def capture_content(self) -> bool:
        """Whether spans may hold content: as the rollout that runs here was started with."""
        recording = self._current()
        return self._capture_content if recording is None else recording.capture_content

    @property
    def provider(self) -> trace.TracerProvider:
        """What instrumentors are given: its tracers record inside rollouts only."""
        return self._provider

    @property
    def tracer(self) -> trace.Tracer:
        """What integrations make spans with. It records inside rollouts only."""
        return self._tracer

    def active(self) -> bool:
        """Tell whether the current context is inside a rollout, of this run or another one."""
        return self._current() is not None

    @contextmanager
    def rollout(
        self, name: str, attributes: Mapping[str, Any] | None = None
    ) -> Generator[Recording]:
        """Record what runs in the block, and in contexts copied from it, as one trace.

        The root span has a trace id of its own whatever span is current. An exception that leaves
        the block is recorded in the root and goes on. Spans that start or end after the block are
        dropped.

        Args:
            name: The name of the root span.
            attributes: Further attributes of the root.
        """
        from opentelemetry import context as otel_context
        from opentelemetry.trace import set_span_in_context

        recording = self._open(name, {**_OPERATION, **(attributes or {})})
        token = otel_context.attach(set_span_in_context(recording.span))
        try:
            yield recording
        except BaseException as error:
            _record_failure(recording, error)
            raise
        finally:
            otel_context.detach(token)
            self._close(recording)

    def export(self, spans: Sequence[Span]) -> None:
        """Send the spans of a rollout that ran in another process where the user sends spans to."""
        from agl_core.tracing.collector import export, user_provider

        user = self._given or user_provider()
        if user is not None:
            export(spans, user)

    def shutdown(self) -> None:
        """Leave the user's provider as it was found. A later rollout starts tracing again."""
        with self._lock:
            shared, self._shared, self._own = self._shared, None, None
        if shared is not None:
            from agl_core.tracing.collector import detach

            detach(*shared)

    def _current(self) -> Recording | None:
        if not self._recordings:
            return None
        from opentelemetry.trace import get_current_span

        return self._recordings.get(get_current_span().get_span_context().trace_id)

    def _start(self) -> TracerProvider:
        """Return the provider of our own, made on first use."""
        provider = self._own
        if provider is not None:
            return provider
        from agl_core.tracing.collector import Collector, rollout_provider, user_provider

        with self._lock:
            if self._own is None:
                user = self._given or user_provider()
                self._own = rollout_provider(self._recordings, user)
                if user is not None:
                    collector = Collector(self._recordings)
                    user.add_span_processor(collector)
                    self._shared = (user, collector)
            return self._own

    def _open(self, name: str, attributes: Mapping[str, Any]) -> Recording:
        from opentelemetry import context as otel_context
        from opentelemetry import trace

        recording = Recording(
            trace.INVALID_SPAN, self._start, self._capture_content, self._listener, self.redaction
        )
        try:
            from agl_core.tracing.collector import RECORDING_KEY

            context = trace.set_span_in_context(trace.INVALID_SPAN)
            context = otel_context.set_value(RECORDING_KEY, recording, context)
            tracer = self._start().get_tracer("agl_adapters")
            recording.span = tracer.start_span(name, context, attributes=attributes)
        except Exception as error:  # noqa: BLE001 - telemetry never fails a rollout
            _log.warning("a rollout is not recorded:\n%s", traceback_text(error, self.redaction))
            recording.span = trace.NonRecordingSpan(
                trace.SpanContext(secrets.randbits(128), secrets.randbits(64), is_remote=False)
            )
        return recording

    def _close(self, recording: Recording) -> None:
        try:
            recording.span.end()
        except Exception as error:  # noqa: BLE001 - telemetry never fails a rollout
            _log.warning(
                "the root span of a rollout could not be ended:\n%s",
                traceback_text(error, self.redaction),
            )
        self._recordings.pop(recording.span.get_span_context().trace_id, None)
        recording.close()


@contextmanager
def in_slot(slot: str) -> Generator[None]:
    """Mark the spans that start in the block as belonging to a slot (attribute ``agl.slot``)."""
    with _marked(SLOT, slot):
        yield


@contextmanager
def apart_spans() -> Generator[None]:
    """Mark the spans that start in the block as none of the agent's (attribute ``agl.apart``).

    They are counted, and no part of what a critique is shown.
    """
    with _marked(APART, True):
        yield


@contextmanager
def _marked(key: str, value: str | bool) -> Generator[None]:
    from opentelemetry import context as otel_context

    token = otel_context.attach(otel_context.set_value(key, value))
    try:
        yield
    finally:
        otel_context.detach(token)


def _record_failure(recording: Recording, error: BaseException) -> None:
    from opentelemetry.trace import Status, StatusCode

    span, kind = recording.span, type(error).__name__
    try:
        if recording.capture_content:
            record_exception(span, error)
        else:
            # What an agent raises quotes what was said.
            span.add_event("exception", {"exception.type": kind})
            span.set_status(Status(StatusCode.ERROR, kind))
    except Exception:  # noqa: BLE001 - an exception whose text cannot be made is still raised
        _log.debug("an exception could not be recorded")
