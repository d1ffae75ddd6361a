from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from agl_core.spans import genai
from agl_core.spans.allowance import DROPPED, OMITTED, SpanAllowance
from agl_core.spans.model_calls import model_calls
from agl_core.spans.span import Span, SpanEvent
from agl_core.tracing.tracing import Tracing

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 7}


@pytest.fixture
def tracing() -> Iterator[Tracing]:
    tracing = Tracing()
    yield tracing
    tracing.shutdown()


def span(attributes: dict[str, Any], **fields: Any) -> Span:
    given = Span("s", "internal", "1" * 32, "2" * 16, "3" * 16, 1, 2, attributes)
    return replace(given, **fields)


def fit(given: Span) -> Span:
    fitted = SpanAllowance().fit(given)
    assert fitted is not None
    return fitted


def size(given: Span | None) -> int:
    return 0 if given is None else len(json.dumps(given.to_json(), ensure_ascii=False))


def test_what_is_of_an_ordinary_size_stays_as_it_is() -> None:
    given = span({"a": "x" * 100_000, "n": 7, "list": ["a", "b"]}, status_message="no")
    assert fit(given) is given


def test_a_huge_text_is_cut_wherever_it_is_and_says_so() -> None:
    huge = "word " * 10_000_000
    given = span(
        {"a": huge, "list": [huge], "n": 7},
        events=(SpanEvent("exception", 1, {"exception.message": huge}),),
        status_message=huge,
        name=huge,
    )
    fitted = fit(given)
    assert size(fitted) < 1_000_000
    texts = [fitted.attributes["a"], fitted.status_message, fitted.name]
    texts.append(fitted.events[0].attributes["exception.message"])
    for text in texts:
        assert text.startswith("word word")
        assert text.endswith("(50000000 characters in all)")
    assert "characters in all" in fitted.attributes["list"]
    assert fitted.attributes["n"] == 7


def test_messages_stay_messages() -> None:
    sent = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "word " * 2_000_000},
        *({"role": "tool", "content": "result " * 10_000, "tool_call_id": "1"} for _ in range(50)),
    ]
    given = span({**CHAT, **genai.message_attributes(sent, "input")})
    fitted = fit(given)
    assert size(fitted) < 1_100_000
    system, user, *tools = genai.input_messages(fitted)
    assert system == {"role": "system", "content": "Be brief."}
    assert user["content"].endswith("… (10000000 characters in all)")
    assert [tool["role"] for tool in tools] == ["tool"] * 50


@pytest.mark.parametrize("start", ["[" * 500_000, "{not json", "[1, 2"])
def test_what_only_looks_like_json_is_cut_as_text(start: str) -> None:
    fitted = fit(span({"a": start + " word" * 100_000}))
    assert len(fitted.attributes["a"]) < 110_000


def test_an_agent_that_calls_models_for_ever_fills_no_memory(tracing: Tracing) -> None:
    """Its calls are all counted, what they say is kept as long as there is room."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    with tracing.rollout("wild") as recording:
        for number in range(400):
            with tracing.tracer.start_as_current_span("chat") as call:
                call.set_attributes({**CHAT, "gen_ai.input.messages": "word " * 20_000})
                call.set_attribute("n", number)
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert held < 25_000_000
    assert len(model_calls(recording.spans)) == 400
    assert sum(genai.usage(call).input_tokens for call in recording.spans) == 400 * 7
    first, last = recording.spans[1], recording.spans[-1]
    assert genai.input_messages(first)
    assert OMITTED not in first.attributes
    assert not genai.input_messages(last)
    assert last.attributes[OMITTED] is True
    assert last.attributes["n"] == 399


def test_an_agent_that_loops_for_ever_leaves_few_spans(
    tracing: Tracing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agl_core.spans.allowance._SPANS", 10)
    with tracing.rollout("wild") as recording:
        for number in range(20):
            with tracing.tracer.start_as_current_span(f"tool {number}"):
                pass
        with tracing.tracer.start_as_current_span("chat") as call:
            call.set_attributes({**CHAT, "gen_ai.input.messages": "word " * 1_000})
    root, *rest = recording.spans
    assert root.name == "wild"
    assert root.attributes[DROPPED] == 10
    assert [s.name for s in rest] == [*(f"tool {n}" for n in range(10)), "chat"]
    assert (rest[-1].attributes["gen_ai.usage.input_tokens"], rest[-1].attributes[OMITTED]) == (
        7,
        True,
    )


def test_spans_that_two_runs_see_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have put a collector into the user's provider."""
    monkeypatch.setattr("agl_core.spans.allowance._SPANS", 10)
    provider = TracerProvider()
    one, two = Tracing(provider), Tracing(provider)
    with two.rollout("other"), one.rollout("mine") as recording:
        for number in range(8):
            with provider.get_tracer("user").start_as_current_span(f"tool {number}"):
                pass
    one.shutdown()
    two.shutdown()
    assert len(recording.spans) == 9
    assert DROPPED not in recording.spans[0].attributes


def test_nothing_is_said_where_nothing_is_left_out(tracing: Tracing) -> None:
    with tracing.rollout("tame") as recording, tracing.tracer.start_as_current_span("tool"):
        pass
    for kept in recording.spans:
        assert not {DROPPED, OMITTED} & kept.attributes.keys()
