from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

from agl_core.spans import genai
from agl_core.spans.genai import TokenUsage
from agl_core.spans.model_calls import model_calls
from agl_core.spans.span import Span

ids = count(1)


def span(
    attributes: Mapping[str, Any] | None = None,
    *,
    name: str = "span",
    parent: Span | None = None,
    start: int = 0,
    end: int = 100,
) -> Span:
    return Span(
        name=name,
        kind="internal",
        trace_id="ab" * 16,
        span_id=f"{next(ids):016x}",
        parent_id=None if parent is None else parent.span_id,
        start_ns=start,
        end_ns=end,
        attributes=attributes or {},
    )


def call(
    parent: Span | None = None,
    attributes: Mapping[str, Any] | None = None,
    *,
    response: str | None = None,
    start: int = 0,
    end: int = 100,
) -> Span:
    own = {"gen_ai.operation.name": "chat", "gen_ai.response.id": response}
    return span({**own, **(attributes or {})}, name="chat", parent=parent, start=start, end=end)


def test_the_clients_span_below_the_frameworks_is_the_same_call() -> None:
    root = span({"gen_ai.operation.name": "invoke_agent"})
    outer = call(root, {"agl.slot": "langgraph:planner#system"}, start=10)
    middle = span(name="http", parent=outer, start=11)
    inner = call(middle, {"gen_ai.usage.input_tokens": 9}, start=12)

    (kept,) = model_calls([root, outer, middle, inner])

    assert kept.span_id == outer.span_id
    assert genai.slot(kept) == "langgraph:planner#system"
    assert genai.usage(kept) == TokenUsage(9, 0)


def test_a_call_that_a_tool_or_an_agent_makes_is_a_call_of_its_own() -> None:
    outer = call(start=1)
    tool = span({"gen_ai.operation.name": "execute_tool"}, parent=outer, start=2)
    agent = span({"gen_ai.operation.name": "invoke_agent"}, parent=outer, start=3)
    of_tool, of_agent = call(tool, start=4), call(agent, start=5)

    spans = [of_agent, of_tool, agent, tool, outer]

    assert model_calls(spans) == [outer, of_tool, of_agent]


def test_spans_of_one_response_are_one_call_if_they_overlap() -> None:
    first = call(response="r", start=0, end=100)
    same = call(response="r", start=50, end=90)
    other = call(response="s", start=60, end=90)
    reused = call(response="r", start=100, end=150)

    kept = model_calls([reused, other, same, first])

    assert [one.span_id for one in kept] == [first.span_id, other.span_id, reused.span_id]


def test_three_spans_of_one_call_are_one() -> None:
    outer = call(start=1)
    middle = call(outer, start=2)
    inner = call(middle, {"gen_ai.usage.output_tokens": 4}, start=3)

    (kept,) = model_calls([outer, middle, inner])

    assert kept.span_id == outer.span_id
    assert genai.usage(kept).output_tokens == 4


def test_a_malformed_tree_does_not_hang() -> None:
    a = Span("a", "internal", "t", "1", "2", 0, 1, {})
    b = Span("b", "internal", "t", "2", "1", 0, 1, {})
    below = Span("c", "internal", "t", "3", "1", 0, 1, {"gen_ai.operation.name": "chat"})

    assert model_calls([a, b, below]) == [below]
