from __future__ import annotations

from dataclasses import replace
from typing import Any

from agl_adapters.report.traces import Texts, trace_json
from agl_core.rewards.reward import Reward
from agl_core.rollouts import Rollout
from agl_core.spans.genai import TokenUsage, message_attributes, request_attributes, tool_attributes
from agl_core.spans.genai import response_attributes as answered
from agl_core.spans.span import Span, SpanEvent
from agl_core.tracing.recording import UNFINISHED

START = 1_700_000_000_000_000_000


def span(number: int, parent: int | None = None, at: int = 0, **more: Any) -> Span:
    """Make a span that begins `at` milliseconds after the start and takes 10."""
    begin = START + at * 1_000_000
    attributes = more.pop("attributes", {})
    made = Span(
        more.pop("name", f"span {number}"),
        "internal",
        "t",
        str(number),
        None if parent is None else str(parent),
        begin,
        begin + 10_000_000,
        attributes,
    )
    return replace(made, **more)


def rollout(*spans: Span, **more: Any) -> Rollout:
    made = Rollout("c/val/k/0", None, "k", "one", "val", "succeeded", 1.0, spans=spans)
    return replace(made, **more)


def shown(*spans: Span, **more: Any) -> tuple[dict[str, Any], Texts]:
    texts = Texts(1000)
    return trace_json(rollout(*spans, **more), texts), texts


class TestTexts:
    def test_keep_a_text_once(self) -> None:
        texts = Texts(10)
        assert [texts.add(text) for text in ("a", "b", "a")] == [0, 1, 0]
        assert texts.table == ["a", "b"]

    def test_cut_long_ones_in_their_middle_and_say_so(self) -> None:
        texts = Texts(30)
        texts.add("a" * 500 + "b" * 500)
        texts.add("short")
        assert texts.table[0] == "a" * 20 + "\n[… 970 characters left out …]\n" + "b" * 10
        assert texts.cut == 1

    def test_know_what_limit_would_leave_a_share_of_them(self) -> None:
        texts = Texts(100)
        for number, length in enumerate((10, 60, 500)):
            texts.add(str(number) * length)
        # With the limit there are 10 + 60 + 100 characters.
        assert texts.limit_for(0.5) == 37
        assert texts.limit_for(0.1) == 5

    def test_are_safe_to_show(self) -> None:
        texts = Texts(100)
        texts.add("\x1b[31m\u202eabc\ud800")
        assert texts.table == ["\ufffd[31m\ufffdabc\ufffd"]


class TestSpans:
    def test_come_as_a_tree_in_order_of_time(self) -> None:
        trace, _ = shown(span(1), span(3, 1, at=5), span(2, 1, at=1), span(4, 2, at=2))
        rows = [(s["name"], s["depth"], s["start"], s["time"]) for s in trace["spans"]]
        assert rows == [
            ("span 1", 0, 0, 10_000),
            ("span 2", 1, 1_000, 10_000),
            ("span 4", 2, 2_000, 10_000),
            ("span 3", 1, 5_000, 10_000),
        ]

    def test_of_a_parent_that_is_not_there_are_not_lost(self) -> None:
        trace, _ = shown(span(1), span(2, 99), span(3, 3))
        assert sorted(s["name"] for s in trace["spans"]) == ["span 1", "span 2", "span 3"]

    def test_of_models_say_what_was_sent_and_answered(self) -> None:
        call = {"id": "1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
        answer = {"role": "assistant", "content": "", "tool_calls": [call]}
        attributes = {
            **request_attributes("gpt-4o"),
            **answered(usage=TokenUsage(7, 3)),
            **message_attributes(
                [{"role": "system", "content": "Be."}, {"role": "user", "content": "Hi."}], "input"
            ),
            **message_attributes([answer], "output"),
            "agl.slot": "toys:x#system",
        }
        trace, texts = shown(span(1, attributes=attributes))
        (found,) = trace["spans"]
        assert (found["kind"], found["model"], found["tokens"]) == ("model", "gpt-4o", [7, 3])
        assert found["slot"] == "toys:x#system"
        said = [(m["role"], texts.table[m["text"]]) for m in found["sent"]]
        assert said == [("system", "Be."), ("user", "Hi.")]
        ((name, arguments),) = found["answered"][0]["calls"]
        assert (name, texts.table[arguments]) == ("find", "{}")

    def test_of_tools_say_what_was_asked_and_came_back(self) -> None:
        attributes = tool_attributes("find", arguments={"day": 1}, result="M1")
        trace, texts = shown(span(1, attributes=attributes))
        (found,) = trace["spans"]
        assert (found["kind"], found["tool"]) == ("tool", "find")
        assert texts.table[found["arguments"]] == '{"day": 1}'
        assert texts.table[found["result"]] == "M1"

    def test_that_failed_say_why(self) -> None:
        raised = SpanEvent("exception", START, {"exception.type": "E", "exception.message": "no"})
        trace, texts = shown(
            span(1, status="error", status_message="status"),
            span(2, 1, at=1, status="error", events=(raised,)),
            span(3, 1, at=2, attributes={UNFINISHED: True}, status_message="not finished"),
            span(4, 1, at=3),
        )
        failures = [texts.table[s["failure"]] if "failure" in s else None for s in trace["spans"]]
        assert failures == ["status", "E: no", "not finished", None]


def test_what_a_rollout_was_about_is_told() -> None:
    trace, texts = shown(
        task={"question": "é"},
        output="out",
        error="Traceback",
        reward=Reward(0.5, "why", {"length": 3.0}),
        attempts=2,
        unmatched={"slot": 4},
    )
    told = {name: texts.table[trace[name]] for name in ("task", "output", "error", "feedback")}
    assert told == {
        "task": '{\n  "question": "é"\n}',
        "output": "out",
        "error": "Traceback",
        "feedback": "why",
    }
    assert (trace["metrics"], trace["attempts"]) == ({"length": 3.0}, 2)
    assert trace["unmatched"] == {"slot": 4}


def test_what_is_empty_is_left_out() -> None:
    assert shown()[0] == {}
    # Not so an output that is there and false.
    trace, texts = shown(output=0)
    assert texts.table[trace["output"]] == "0"
