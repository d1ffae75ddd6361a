"""Tracers that record inside rollouts only."""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from opentelemetry import trace
from opentelemetry.context import Context

from agl_core.faults.failures import traceback_text
from agl_core.tracing.recording import Recording

__all__ = ["GatedProvider", "GatedTracer"]

_log = logging.getLogger(__name__)


class GatedProvider(trace.TracerProvider):
    """A tracer provider to give to instrumentors. Its tracers record inside rollouts only.

    Args:
        recordings: The rollouts that are being recorded, by trace id. Each brings the provider that
            makes the real spans.
    """

    def __init__(self, recordings: Mapping[int, Recording]) -> None:
        self._recordings = recordings

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> trace.Tracer:
        """Return a gated tracer; see `opentelemetry.trace.TracerProvider.get_tracer`."""
        scope = (
            instrumenting_module_name,
            instrumenting_library_version,
            schema_url,
            attributes,
        )
        return GatedTracer(self._recordings, scope)


class GatedTracer(trace.Tracer):
    """A tracer that records inside rollouts, and outside of them hands out spans that do nothing.

    Which it is depends on the trace of the span's parent. Starting a span never raises.
    """

    def __init__(
        self,
        recordings: Mapping[int, Recording],
        scope: tuple[str, str | None, str | None, Mapping[str, Any] | None],
    ) -> None:
        self._recordings = recordings
        self._scope = scope
        # Kept, because `get_tracer` of the SDK takes 20 us and resets the filters for warnings.
        self._real = WeakKeyDictionary[trace.TracerProvider, trace.Tracer]()

    def start_span(
        self, name: str, context: Context | None = None, *args: Any, **kwargs: Any
    ) -> trace.Span:
        """Start a span; see `opentelemetry.trace.Tracer.start_span`."""
        parent = trace.get_current_span(context).get_span_context()
        recording = self._recordings.get(parent.trace_id)
        if recording is not None:
            try:
                tracer = self._tracer(recording.source())
                return tracer.start_span(name, context, *args, **kwargs)
            except Exception as error:  # noqa: BLE001 - tracing never fails what it traces
                _log.warning(
                    "a span could not be started:\n%s", traceback_text(error, recording.redaction)
                )
        return trace.NonRecordingSpan(parent)

    @contextmanager
    def start_as_current_span(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        name: str,
        context: Context | None = None,
        *args: Any,
        end_on_exit: bool = True,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        **kwargs: Any,
    ) -> Generator[trace.Span]:
        """Start a span and make it current; see `opentelemetry.trace.Tracer`.

        Outside of rollouts the current span stays the one that it is.
        """
        span = self.start_span(name, context, *args, **kwargs)
        if not span.is_recording():
            yield span
            return
        with trace.use_span(
            span,
            end_on_exit=end_on_exit,
            record_exception=record_exception,
            set_status_on_exception=set_status_on_exception,
        ):
            yield span

    def _tracer(self, provider: trace.TracerProvider) -> trace.Tracer:
        real = self._real.get(provider)
        if real is None:
            real = self._real[provider] = provider.get_tracer(*self._scope)
        return real
