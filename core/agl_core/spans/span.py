"""Spans: what happened in a rollout, as plain data that can be stored and read back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Event, ReadableSpan

__all__ = ["Span", "SpanEvent", "clean_text"]

# By the values of OpenTelemetry's SpanKind and StatusCode, so that reading them imports nothing.
_KINDS = ("internal", "server", "client", "producer", "consumer")
_STATUSES = ("unset", "ok", "error")

# The openai instrumentor adds such an event per streamed chunk: hundreds a call, all of them empty.
_CHUNKS = frozenset({"gen_ai.content.completion.chunk", "llm.content.completion.chunk"})


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened at one moment within a span, such as an exception."""

    name: str
    time_ns: int
    """Nanoseconds since the epoch."""
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=True)
class Span:
    """One finished operation of a rollout: the rollout itself, a node, a model call, a tool call.

    A copy of an OpenTelemetry span. All values are JSON values and all text is valid Unicode.
    """

    name: str
    kind: str
    """``internal``, ``client``, ``server``, ``producer`` or ``consumer``."""
    trace_id: str
    """32 hexadecimal digits, the same for all spans of a rollout."""
    span_id: str
    """16 hexadecimal digits."""
    parent_id: str | None
    """The `span_id` of the span that this one is part of; None for the root."""
    start_ns: int
    """Nanoseconds since the epoch."""
    end_ns: int
    """Nanoseconds since the epoch."""
    attributes: Mapping[str, Any]
    """JSON values by name, under the GenAI semantic conventions; see `agl_core.spans.genai`."""
    events: tuple[SpanEvent, ...] = ()
    status: str = "unset"
    """``unset``, ``ok`` or ``error``."""
    status_message: str = ""

    @property
    def seconds(self) -> float:
        """How long the operation took."""
        return (self.end_ns - self.start_ns) / 1e9

    def __hash__(self) -> int:
        return hash((self.trace_id, self.span_id))

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form that `from_json` reads. What is empty is left out."""
        data: dict[str, Any] = {
            "name": self.name,
            "kind": self.kind,
            "trace_id": self.trace_id,
            "span_id": self.span_id,
            "start_ns": self.start_ns,
            "end_ns": self.end_ns,
        }
        if self.parent_id is not None:
            data["parent_id"] = self.parent_id
        if self.attributes:
            data["attributes"] = dict(self.attributes)
        if self.events:
            data["events"] = [
                [event.name, event.time_ns, dict(event.attributes)] for event in self.events
            ]
        if self.status != "unset":
            data["status"] = self.status
        if self.status_message:
            data["status_message"] = self.status_message
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Span:
        """Rebuild a span from `to_json`."""
        return cls(
            name=data["name"],
            kind=data["kind"],
            trace_id=data["trace_id"],
            span_id=data["span_id"],
            parent_id=data.get("parent_id"),
            start_ns=data["start_ns"],
            end_ns=data["end_ns"],
            attributes=data.get("attributes", {}),
            events=tuple(SpanEvent(*event) for event in data.get("events", ())),
            status=data.get("status", "unset"),
            status_message=data.get("status_message", ""),
        )

    @classmethod
    def from_otel(cls, span: ReadableSpan) -> Span:
        """Copy a span of the OpenTelemetry SDK.

        A span that has not ended gets its start as its end.
        """
        context, parent, status = span.context, span.parent, span.status
        assert context is not None, "a span of the SDK has a context"
        start = span.start_time or 0
        return cls(
            name=clean_text(span.name),
            kind=_KINDS[span.kind.value],
            trace_id=f"{context.trace_id:032x}",
            span_id=f"{context.span_id:016x}",
            parent_id=None if parent is None else f"{parent.span_id:016x}",
            start_ns=start,
            end_ns=span.end_time or start,
            attributes=_json_attributes(span.attributes),
            events=_events(span.events) if span.events else (),
            status=_STATUSES[status.status_code.value],
            status_message=clean_text(status.description or ""),
        )


def clean_text(text: str) -> str:
    """Return the text with lone surrogates replaced, which UTF-8 cannot carry."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def _events(events: tuple[Event, ...] | Any) -> tuple[SpanEvent, ...]:
    return tuple(
        SpanEvent(clean_text(event.name), event.timestamp, _json_attributes(event.attributes))
        for event in events
        if event.name not in _CHUNKS
    )


def _json_attributes(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {} if not attributes else {key: _json_value(attributes[key]) for key in attributes}


def _json_value(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        # JSON has no NaN and no infinity.
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, Mapping):
        return {clean_text(str(key)): _json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(item) for item in value]
    return clean_text(str(value))
