"""The traces of rollouts, made small: what a reader wants to see of each span, every text once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from agl_core.rollouts import Rollout
from agl_core.spans import genai
from agl_core.spans.messages import Message
from agl_core.spans.span import Span
from agl_core.text import printable
from agl_core.tracing.recording import UNFINISHED

__all__ = ["Texts", "trace_json"]


class Texts:
    """A table of texts: each is kept once, safe to show, and referred to by its number.

    Args:
        limit: Texts that are longer are cut in their middle, with a note.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._numbers: dict[str, int] = {}
        self.table: list[str] = []
        """The texts by their numbers."""
        self._lengths: list[int] = []

    def add(self, text: str) -> int:
        """Return the number of a text."""
        number = self._numbers.get(text)
        if number is None:
            number = self._numbers[text] = len(self.table)
            self._lengths.append(len(text))
            self.table.append(printable(self._shortened(text)))
        return number

    @property
    def cut(self) -> int:
        """How many were cut."""
        return sum(length > self._limit for length in self._lengths)

    def limit_for(self, share: float) -> int:
        """Return the limit at which so large a share of all characters would be left."""
        wanted = share * sum(min(length, self._limit) for length in self._lengths)
        low, high = 0, self._limit
        while high - low > 1:
            middle = (low + high) // 2
            kept = sum(min(length, middle) for length in self._lengths)
            low, high = (middle, high) if kept <= wanted else (low, middle)
        return low

    def _shortened(self, text: str) -> str:
        if len(text) <= self._limit:
            return text
        head = self._limit * 2 // 3
        tail = self._limit - head
        note = f"\n[… {len(text) - self._limit:,} characters left out …]\n"
        return text[:head] + note + text[len(text) - tail :]


def trace_json(rollout: Rollout, texts: Texts) -> dict[str, Any]:
    """Return what is shown of a rollout when it is opened. What is empty is left out.

    Args:
        rollout: The rollout; without its task, if that is not known.
        texts: Takes in all texts; they are referred to by their numbers.
    """
    metrics = {} if rollout.reward is None else rollout.reward.metrics
    return _filled(
        task=None if rollout.task is None else texts.add(_shown(rollout.task)),
        output=None if rollout.output is None else texts.add(_shown(rollout.output)),
        error=_optional(rollout.error, texts),
        feedback=_optional(rollout.feedback, texts),
        metrics={printable(name): value for name, value in metrics.items()},
        attempts=rollout.attempts if rollout.attempts > 1 else None,
        unmatched={printable(slot): count for slot, count in rollout.unmatched.items()},
        spans=_spans(rollout.spans, texts),
    )


def _spans(spans: Sequence[Span], texts: Texts) -> list[dict[str, Any]]:
    """Return the spans as a tree in one list: each with its depth, children after their parent."""
    by_id = {span.span_id: span for span in spans}
    children: dict[str | None, list[Span]] = {}
    for span in spans:
        known = span.parent_id in by_id and span.parent_id != span.span_id
        children.setdefault(span.parent_id if known else None, []).append(span)
    start = min((span.start_ns for span in spans), default=0)
    rows: list[dict[str, Any]] = []
    waiting = [(span, 0) for span in reversed(children.get(None, []))]
    while waiting:
        span, depth = waiting.pop()
        rows.append(_span(span, depth, start, texts))
        below = sorted(children.pop(span.span_id, []), key=lambda s: (s.start_ns, -s.end_ns))
        waiting += [(child, depth + 1) for child in reversed(below)]
    return rows


def _span(span: Span, depth: int, start: int, texts: Texts) -> dict[str, Any]:
    data: dict[str, Any] = {
        "name": printable(span.name)[:200],
        "kind": _kind(span),
        "depth": depth,
        # Microseconds: whole numbers are short.
        "start": (span.start_ns - start) // 1000,
        "time": (span.end_ns - span.start_ns) // 1000,
    }
    data |= _filled(
        failure=_optional(_failure(span), texts),
        slot=printable(genai.slot(span) or "") or None,
        agent=printable(genai.agent_name(span) or "")[:200] or None,
    )
    if data["kind"] == "model":
        tokens = genai.usage(span)
        data |= _filled(
            model=printable(genai.response_model(span) or genai.request_model(span) or "")[:200],
            tokens=list(tokens[:2]) if any(tokens) else None,
            sent=[_message(message, texts) for message in genai.input_messages(span)],
            answered=[_message(message, texts) for message in genai.output_messages(span)],
        )
    elif data["kind"] == "tool":
        data |= _filled(
            tool=printable(genai.tool_name(span))[:200],
            arguments=_optional(genai.tool_arguments(span), texts),
            result=_optional(genai.tool_result(span), texts),
        )
    return data


def _kind(span: Span) -> str:
    if genai.is_model_call(span):
        return "model"
    if genai.is_tool_call(span):
        return "tool"
    if span.attributes.get("gen_ai.operation.name") in ("invoke_agent", "create_agent"):
        return "agent"
    return "step"


def _message(message: Message, texts: Texts) -> dict[str, Any]:
    calls = [
        [printable(call["name"])[:200], texts.add(call["arguments"])]
        for call in message.get("tool_calls", ())
    ]
    return {"role": printable(message["role"])[:40]} | _filled(
        text=_optional(message["content"], texts),
        name=printable(message.get("name", ""))[:200],
        calls=calls,
    )


def _failure(span: Span) -> str:
    """Return what went wrong in a span, with its traceback if there is one."""
    if span.attributes.get(UNFINISHED):
        return span.status_message
    if span.status != "error":
        return ""
    for event in reversed(span.events):
        if event.name == "exception":
            found = event.attributes
            brief = f"{found.get('exception.type', '')}: {found.get('exception.message', '')}"
            return str(found.get("exception.stacktrace") or brief)
    return span.status_message or str(span.attributes.get("error.type") or "failed")


def _optional(text: str | None, texts: Texts) -> int | None:
    return texts.add(text) if text else None


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def _filled(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "", [], {})}
