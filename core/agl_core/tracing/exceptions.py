"""Exceptions in spans, whatever the length of their texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agl_core.faults.failures import formatted, message
from agl_core.text import SEARCHED, cut_middle

if TYPE_CHECKING:
    from opentelemetry.trace import Span

__all__ = ["record_exception"]


def record_exception(span: Span, error: BaseException) -> None:
    """Record an exception that a span ends with: an event, as OpenTelemetry's own, and the status.

    Long texts are cut in the middle before they are copied: one of 50 MB would hold up all threads.
    """
    from opentelemetry.trace import Status, StatusCode

    kind, said = type(error), cut_middle(message(error), SEARCHED)
    named = kind.__qualname__ if kind.__module__ == "builtins" else _full_name(kind)
    span.add_event(
        "exception",
        {
            "exception.type": named,
            "exception.message": said,
            "exception.stacktrace": formatted(error, error.__traceback__),
            "exception.escaped": "False",
        },
    )
    span.set_status(Status(StatusCode.ERROR, f"{kind.__name__}: {said}"))


def _full_name(kind: type[BaseException]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
