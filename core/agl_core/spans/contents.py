"""Which of a span's attributes say what was said, and which say only what kind of span it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agl_core.spans.span import Span, SpanEvent

__all__ = ["is_structure", "without_content"]

_KIND_OF_ERROR = "exception.type"
_CONTENT = (
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.prompt.",
    "gen_ai.completion.",
    "llm.prompts",
    "llm.completions",
    "llm.input_messages",
    "llm.output_messages",
    "input.value",
    "output.value",
    "traceloop.entity.input",
    "traceloop.entity.output",
)

_OURS = ("agl.", "gen_ai.", "llm.", "openinference.", "traceloop.")
_STRUCTURE = frozenset(
    {
        "error.type",
        "exception.type",
        "gen_ai.operation.name",
        "gen_ai.output.type",
        "gen_ai.response.finish_reasons",
        "gen_ai.response.id",
        "llm.request.type",
        "llm.response.id",
        "openinference.span.kind",
        "traceloop.span.kind",
    }
)


def is_structure(name: str, value: Any) -> bool:
    """Tell whether an attribute says what kind of span it is, how many or whose; not what was said.

    No text of anybody's stands there, and without it a span cannot be read.
    """
    if isinstance(value, bool | int | float):
        return name.startswith(_OURS)
    return name in _STRUCTURE or name.startswith("agl.")


def without_content(span: Span) -> Span:
    """Return a span without what was said: texts of models and tools, and messages of exceptions.

    Whoever wrote it: an instrumentor of the user's own does not ask whether it may.
    """
    kept = {name: v for name, v in span.attributes.items() if not name.startswith(_CONTENT)}
    events: list[SpanEvent] = []
    for event in span.events:
        kind = event.attributes.get(_KIND_OF_ERROR)
        events.append(replace(event, attributes={} if kind is None else {_KIND_OF_ERROR: kind}))
    return replace(span, attributes=kept, events=tuple(events), status_message="")
