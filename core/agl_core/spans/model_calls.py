"""The model calls among spans: one span a call, whoever recorded it and however often."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from agl_core.spans.genai import is_model_call, is_tool_call, response_id
from agl_core.spans.span import Span

__all__ = ["model_calls"]


def model_calls(spans: Iterable[Span]) -> list[Span]:
    """Return the model calls among the spans by start, one span per call that was made.

    Where a framework and the client that it uses both record a call, the framework's span is kept,
    which knows the node; what it lacks (tokens, content) is filled in from the client's. Two spans
    are of the same call if one is part of the other, unless a tool or an agent ran between, or if
    they overlap in time and have the same response id.
    """
    ordered = sorted(spans, key=lambda span: span.start_ns)
    by_id = {span.span_id: span for span in ordered}
    kept: dict[str, Span] = {}
    call_of: dict[str, str] = {}
    for span in ordered:
        if not is_model_call(span):
            continue
        twin = _enclosing(span, by_id) or _same_response(span, kept.values())
        call = span.span_id if twin is None else call_of.get(twin.span_id, span.span_id)
        call_of[span.span_id] = call
        outer = kept.get(call)
        kept[call] = span if outer is None else _filled(outer, span)
    return list(kept.values())


def _enclosing(span: Span, by_id: Mapping[str, Span]) -> Span | None:
    """Return the model call that this one is part of."""
    seen = {span.span_id}
    parent = by_id.get(span.parent_id or "")
    while parent is not None and parent.span_id not in seen:
        if is_model_call(parent):
            return parent
        if is_tool_call(parent) or parent.attributes.get("gen_ai.operation.name") == "invoke_agent":
            return None
        seen.add(parent.span_id)
        parent = by_id.get(parent.parent_id or "")
    return None


def _filled(span: Span, other: Span) -> Span:
    return replace(span, attributes={**other.attributes, **span.attributes})


def _same_response(span: Span, earlier: Iterable[Span]) -> Span | None:
    """Return the span of the same response. Ids alone do not tell: some servers repeat them."""
    own = response_id(span)
    if own is None:
        return None
    for other in earlier:
        if response_id(other) == own and span.start_ns < other.end_ns:
            return other
    return None
