from __future__ import annotations

import tracemalloc

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from agl_core.tracing.exceptions import record_exception


class NoKeyError(KeyError):
    pass


def recorded(error: Exception, theirs: bool = False) -> ReadableSpan:
    span = TracerProvider().get_tracer("t").start_span("s")
    if theirs:
        span.record_exception(error)
    else:
        record_exception(span, error)
    span.end()
    assert isinstance(span, ReadableSpan)
    return span


def test_it_is_recorded_as_opentelemetry_does() -> None:
    for error in (ValueError("no such room"), NoKeyError("a"), ExceptionGroup("g", [OSError()])):
        with pytest.raises(type(error)):
            raise error
        ours, theirs = recorded(error), recorded(error, theirs=True)
        (own,), (other,) = ours.events, theirs.events
        assert (own.name, own.attributes) == (other.name, other.attributes)
        assert ours.status.description == f"{type(error).__name__}: {error}"
        assert not ours.status.is_ok


def test_of_a_huge_one_no_copy_is_made() -> None:
    try:
        raise ValueError("word " * 10_000_000)
    except ValueError as cause:
        error = RuntimeError("it failed")
        error.__cause__ = cause
    tracemalloc.start()
    span = recorded(error)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000
    (event,) = span.events
    assert event.attributes is not None
    trace = str(event.attributes["exception.stacktrace"])
    assert "ValueError: word word" in trace
    assert "characters left out" in trace
    assert trace.rstrip().endswith("RuntimeError: it failed")
