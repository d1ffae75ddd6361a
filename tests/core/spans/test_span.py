import json
import math
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.trace import SpanKind, StatusCode, Tracer

from agl_core.spans.span import Span, SpanEvent, clean_text

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
SPANS = st.builds(
    Span,
    name=st.text(),
    kind=st.sampled_from(["internal", "client"]),
    trace_id=st.just("ab" * 16),
    span_id=st.just("cd" * 8),
    parent_id=st.none() | st.just("ef" * 8),
    start_ns=st.integers(0, 2**60),
    end_ns=st.integers(0, 2**60),
    attributes=st.dictionaries(st.text(), JSON, max_size=3),
    events=st.lists(
        st.builds(
            SpanEvent,
            st.text(),
            st.integers(0, 2**60),
            st.dictionaries(st.text(), JSON, max_size=2),
        ),
        max_size=2,
    ).map(tuple),
    status=st.sampled_from(["unset", "ok", "error"]),
    status_message=st.text(),
)


class Kept(SpanProcessor):
    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def tracer(kept: Kept) -> Tracer:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(kept)
    return provider.get_tracer("test")


def test_a_span_of_the_sdk_is_copied_with_everything_it_says(kept: Kept, tracer: Tracer) -> None:
    with tracer.start_as_current_span("parent") as parent:
        child = tracer.start_span("chat", kind=SpanKind.CLIENT, attributes={"n": 1}, start_time=10)
        child.add_event("exception", {"exception.message": "no"}, timestamp=15)
        child.set_status(StatusCode.ERROR, "broken")
        child.end(end_time=2_000_000_010)

    span = Span.from_otel(kept.spans[0])

    context = child.get_span_context()
    assert span == Span(
        name="chat",
        kind="client",
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_id=f"{parent.get_span_context().span_id:016x}",
        start_ns=10,
        end_ns=2_000_000_010,
        attributes={"n": 1},
        events=(SpanEvent("exception", 15, {"exception.message": "no"}),),
        status="error",
        status_message="broken",
    )
    assert span.seconds == 2.0
    assert Span.from_otel(kept.spans[1]).parent_id is None


def test_whatever_an_attribute_holds_the_copy_is_json(kept: Kept, tracer: Tracer) -> None:
    values: dict[str, Any] = {
        "list": (1, 2.5, None, True),
        "nested": {"a": {"b": [b"bytes"]}},
        "nan": math.nan,
        "infinite": -math.inf,
        "surrogate": "a\ud800b",
        "object": object(),
    }
    tracer.start_span("odd \udfff", attributes=values).end()

    span = Span.from_otel(kept.spans[0])

    assert span.name == "odd ?"
    assert span.attributes == {
        "list": [1, 2.5, None, True],
        "nested": {"a": {"b": ["bytes"]}},
        "nan": "nan",
        "infinite": "-inf",
        "surrogate": "a?b",
        "object": None,
    }
    text = json.dumps(span.to_json(), allow_nan=False, ensure_ascii=False)
    assert Span.from_json(json.loads(text.encode())) == span


def test_the_chunks_of_a_streamed_answer_are_not_kept(kept: Kept, tracer: Tracer) -> None:
    span = tracer.start_span("chat")
    for _ in range(3):
        span.add_event("gen_ai.content.completion.chunk")
    span.add_event("other")
    span.end()

    assert [event.name for event in Span.from_otel(kept.spans[0]).events] == ["other"]


@given(SPANS)
def test_json_gives_the_same_span_back(span: Span) -> None:
    assert Span.from_json(json.loads(json.dumps(span.to_json()))) == span


@given(SPANS)
def test_a_span_can_be_hashed_and_sent_to_another_process(span: Span) -> None:
    assert pickle.loads(pickle.dumps(span)) == span
    assert hash(span) == hash(Span.from_json(span.to_json()))


def test_what_is_empty_takes_no_room() -> None:
    span = Span("a", "internal", "ab" * 16, "cd" * 8, None, 1, 2, {})

    assert span.to_json().keys() == {"name", "kind", "trace_id", "span_id", "start_ns", "end_ns"}


@given(st.text(alphabet=st.characters(codec=None)))
def test_cleaned_text_can_be_encoded(text: str) -> None:
    cleaned = clean_text(text)

    assert cleaned.encode().decode() == cleaned
    assert len(cleaned) == len(text)
