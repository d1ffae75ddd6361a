"""What the spans of one rollout may hold, so that an agent that runs wild does not fill memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from agl_core.spans.genai import is_model_call
from agl_core.spans.span import Span
from agl_core.text import SEARCHED, cut

__all__ = ["DROPPED", "OMITTED", "SpanAllowance", "searchable"]

OMITTED = "agl.content_omitted"
"""The attribute of a span whose long texts were left out: the rollout had too many before."""
DROPPED = "agl.spans_dropped"
"""The attribute of a root that says how many spans of the rollout were left out."""

_TEXT = 100_000
_VALUE = 1_000_000
_ROLLOUT = 10_000_000
_SPANS = 10_000
_SHORT = 1_000


class SpanAllowance:
    """Cuts the spans of one rollout to what one may hold. Called from any thread.

    A text may have 100,000 characters (those in JSON each for itself, and all of an attribute
    together ten times as many), all texts of a rollout ten million; after that, long ones are left
    out. There may be 10,000 spans; of what comes later, only model calls are kept, since they cost
    money. What is left out is said where it was.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._count = 0
        self._room = _ROLLOUT

    @property
    def full(self) -> bool:
        """Whether there are as many spans as there may be."""
        return self._count >= _SPANS

    def fit(self, span: Span) -> Span | None:
        """Return the span, as far as it fits; None if there are too many."""
        self._count += 1
        if self._count > _SPANS and not (span.parent_id is None or is_model_call(span)):
            self.dropped += 1
            return None
        if any(_size(value) > _TEXT for value in _values(span)):
            span = _changed(span, _fitted)
        size = sum(map(_size, _values(span)))
        if size > max(self._room, 0) or self._count > _SPANS:
            kept = _changed(span, lambda value: value if _size(value) <= _SHORT else None)
            if kept != span:
                span = replace(kept, attributes={**kept.attributes, OMITTED: True})
            size = sum(map(_size, _values(span)))
        self._room -= size
        return span


def searchable(span: Span) -> Span:
    """Return a span whose texts are short enough to be searched for what must not be in them.

    To look through 50 MB takes seconds, in which no other rollout runs. They are longer than what
    is kept of them: what is cut in two here is cut off later.
    """
    if any(_size(value) > SEARCHED for value in _values(span)):
        return _changed(span, _searched)
    return span


def _searched(value: Any) -> Any:
    if isinstance(value, str) and value[:1] not in ("[", "{"):
        return cut(value, SEARCHED)
    return _fitted(value) if _size(value) > _VALUE else value


def _values(span: Span) -> list[Any]:
    values = [span.name, span.status_message, *span.attributes.values()]
    for event in span.events:
        values += event.attributes.values()
    return values


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list | tuple):
        return sum(map(_size, value))
    return 0


def _changed(span: Span, change: Callable[[Any], Any]) -> Span:
    """Return the span with its values changed; None leaves one out."""

    def changed(attributes: Mapping[str, Any]) -> dict[str, Any]:
        new = {name: change(value) for name, value in attributes.items()}
        return {name: value for name, value in new.items() if value is not None}

    return replace(
        span,
        name=cut(span.name, _SHORT),
        status_message=change(span.status_message) or "",
        attributes=changed(span.attributes),
        events=tuple(replace(e, attributes=changed(e.attributes)) for e in span.events),
    )


def _fitted(value: Any) -> Any:
    if _size(value) <= _TEXT:
        return value
    if not isinstance(value, str):
        return _fitted(json.dumps(value, ensure_ascii=False))
    if value[0] in "[{":
        try:
            data = json.loads(value)
        except (ValueError, RecursionError):
            return cut(value, _TEXT)
        # Cut inside, so that messages stay messages.
        limit = _TEXT
        while limit >= 100:
            text = json.dumps(_leaves_cut(data, limit), ensure_ascii=False)
            if len(text) <= _VALUE:
                return text
            limit //= 10
    return cut(value, _TEXT)


def _leaves_cut(data: Any, limit: int) -> Any:
    if isinstance(data, str):
        return cut(data, limit)
    if isinstance(data, list):
        return [_leaves_cut(item, limit) for item in data]
    if isinstance(data, dict):
        return {cut(key, limit): _leaves_cut(item, limit) for key, item in data.items()}
    return data
