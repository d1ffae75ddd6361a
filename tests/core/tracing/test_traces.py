from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from agl_core.spans import genai
from agl_core.spans.messages import Message
from agl_core.spans.span import Span, SpanEvent
from agl_core.tracing.recording import UNFINISHED
from agl_core.tracing.traces import TraceToMessages, TraceToTriplets, Triplet, steps

clock = count(1)


def span(
    name: str,
    parent: Span | None = None,
    attributes: Mapping[str, Any] | None = None,
    *,
    error: str | None = None,
) -> Span:
    moment = next(clock)
    events: tuple[SpanEvent, ...] = ()
    if error:
        details = {"exception.type": "ValueError", "exception.message": error}
        events = (SpanEvent("exception", moment, details),)
    return Span(
        name=name,
        kind="internal",
        trace_id="ab" * 16,
        span_id=f"{moment:016x}",
        parent_id=parent and parent.span_id,
        start_ns=moment,
        end_ns=moment + 1,
        attributes=attributes or {},
        events=events,
        status="error" if error else "unset",
        status_message=error or "",
    )


def call(
    parent: Span,
    sent: list[Message],
    answer: Message | None = None,
    slot: str | None = None,
    *,
    error: str | None = None,
) -> Span:
    attributes = (
        {"agl.slot": slot} | genai.request_attributes("m") | genai.message_attributes(sent, "input")
    )
    if answer is not None:
        attributes |= genai.message_attributes([answer], "output")
    return span("chat m", parent, attributes, error=error)


def tool(parent: Span, name: str, *, error: str | None = None, **rest: Any) -> Span:
    return span(f"execute_tool {name}", parent, genai.tool_attributes(name, **rest), error=error)


def system(text: str) -> Message:
    return {"role": "system", "content": text}


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def assistant(text: str, *calls: tuple[str, str, str]) -> Message:
    message: Message = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = [{"id": i, "name": n, "arguments": a} for i, n, a in calls]
    return message


def result(call_id: str, text: str) -> Message:
    return {"role": "tool", "content": text, "tool_call_id": call_id}


def of(name: str, message: Message) -> Message:
    return {**message, "name": name}


@pytest.fixture
def root() -> Span:
    return span("invoke_agent trip", None, {"gen_ai.operation.name": "invoke_agent"})


def test_each_message_of_an_agents_loop_is_told_once(root: Span) -> None:
    node = span("invoke_agent planner", root, {"gen_ai.agent.name": "planner"})
    asking = assistant("", ("c1", "search", '{"q": "x"}'))
    first = call(node, [system("Plan."), user("Where?")], asking)
    searching = tool(node, "search", arguments={"q": "x"}, call_id="c1", result="Here.")
    sent = [system("Plan."), user("Where?"), asking, result("c1", "Here.")]
    second = call(node, sent, assistant("Here!"))

    told = TraceToMessages()([root, node, first, searching, second])

    assert told == [
        of("planner", system("Plan.")),
        of("planner", user("Where?")),
        of("planner", asking),
        result("c1", "Here."),
        of("planner", assistant("Here!")),
    ]


def test_a_node_that_is_sent_the_same_history_shows_its_own_prompt(root: Span) -> None:
    planner = span("invoke_agent planner", root)
    writer = span("invoke_agent writer", root)
    first = call(planner, [system("Plan."), user("Where?")], assistant("There."))
    history = [system("Write."), user("Where?"), assistant("There.")]
    second = call(writer, history, assistant("Go there."))

    told = TraceToMessages()([root, planner, writer, first, second])

    assert [(m.get("name"), m["role"], m["content"]) for m in told] == [
        ("planner", "system", "Plan."),
        ("planner", "user", "Where?"),
        ("planner", "assistant", "There."),
        ("writer", "system", "Write."),
        ("writer", "assistant", "Go there."),
    ]


def test_a_part_belongs_to_its_slot_before_its_parent(root: Span) -> None:
    node = span("some chain", root)
    one = call(node, [user("a")], assistant("b"), "langgraph:graph/planner#system")

    assert {m.get("name") for m in TraceToMessages()([root, node, one])} == {"graph/planner"}


def test_directly_below_the_root_there_is_no_node_to_name(root: Span) -> None:
    told = TraceToMessages()([root, call(root, [user("a")], assistant("b"))])

    assert told == [user("a"), assistant("b")]


def test_steps_tell_which_call_was_sent_which_slots_prompt(root: Span) -> None:
    first = call(root, [system("Plan."), user("a")], assistant("b"), "x:plan#system")
    looked = tool(root, "search", result="Here.")
    second = call(root, [system("Write."), user("b")], error="no")

    one, between, two = steps([root, first, looked, second])

    assert (one.slot, between.slot, two.slot) == ("x:plan#system", None, None)
    assert [m["content"] for m in one.messages] == ["Plan.", "a", "b"]
    assert one.sent == [system("Plan."), user("a")]
    assert [m["role"] for m in between.messages] == ["assistant", "tool"]
    assert [m["content"] for m in two.messages] == ["Write.", "b", "[failed: ValueError: no]"]


def test_what_is_none_of_the_agents_is_left_out(root: Span) -> None:
    own = call(root, [user("a")], assistant("b"))
    judging = replace(call(root, [user("b?")], assistant("bad")), attributes={"agl.apart": True})
    judge = replace(call(judging, [user("b?")], assistant("bad")))
    judge = replace(judge, attributes={**judge.attributes, "agl.apart": True})

    assert TraceToMessages()([root, own, judging, judge]) == [user("a"), assistant("b")]
    assert len(TraceToTriplets()([root, own, judging, judge], 1.0)) == 1
    assert TraceToTriplets()([root, own, judging, judge], 1.0)[0].reward == 1.0


def test_a_tool_that_no_model_asked_for_is_shown_as_a_call(root: Span) -> None:
    node = span("invoke_agent lookup", root)
    looked = tool(node, "search", arguments={"q": "x"}, result="Here.")

    assert TraceToMessages()([root, node, looked]) == [
        of("lookup", assistant("", ("", "search", '{"q": "x"}'))),
        {"role": "tool", "content": "Here.", "name": "search"},
    ]


def test_the_last_tools_result_is_shown_though_no_model_saw_it(root: Span) -> None:
    first = call(root, [user("a")], assistant("", ("c1", "book", "{}")))
    booked = tool(root, "book", arguments={}, call_id="c1", result="booked")

    told = TraceToMessages()([root, first, booked])

    assert told[-1] == of("book", result("c1", "booked"))
    assert len(told) == 3


def test_failures_of_models_tools_and_the_agent_are_told(root: Span) -> None:
    failed_call = call(root, [user("a")], error="no model")
    failed_tool = tool(root, "search", arguments={}, error="no room")
    failed = replace(root, status="error", status_message="KeyError: 'answer'")

    told = TraceToMessages()([failed, failed_call, failed_tool])

    assert [message["content"] for message in told] == [
        "a",
        "[failed: ValueError: no model]",
        "",
        "[failed: ValueError: no room]",
        "[failed: KeyError: 'answer']",
    ]


def test_a_failure_that_went_through_to_the_root_is_told_once(root: Span) -> None:
    failed = span("invoke_agent trip", error="no model")
    child = call(failed, [user("a")], error="no model")

    told = TraceToMessages()([failed, child])

    assert [m["content"] for m in told] == ["a", "[failed: ValueError: no model]"]


def test_a_call_that_never_ended_is_told(root: Span) -> None:
    hanging = Span(
        "chat", "client", "t", "9", root.span_id, 5, 6,
        {"gen_ai.operation.name": "chat", UNFINISHED: True},
        status_message="not finished when the rollout ended",
    )  # fmt: skip

    assert TraceToMessages()([root, hanging]) == [
        assistant("[not finished when the rollout ended]")
    ]


def test_the_longest_texts_are_shortened_in_the_middle(root: Span) -> None:
    text = "a" * 3000 + "MIDDLE" + "z" * 3000
    sent = [system("short"), user(text), user("b" * 2000)]
    told = TraceToMessages(max_chars=3000)([root, call(root, sent, assistant("ok"))])

    contents = [message["content"] for message in told]
    assert contents[0] == "short"
    assert contents[3] == "ok"
    assert contents[1].startswith("aaa")
    assert contents[1].endswith("zzz")
    assert "MIDDLE" not in contents[1]
    assert f"[... {6006 - 1496} characters left out ...]" in contents[1]
    assert sum(map(len, contents)) < 3000 + 2 * len("\n[... 9999 characters left out ...]\n")


def test_nothing_is_shortened_that_fits(root: Span) -> None:
    told = TraceToMessages(max_chars=20)([root, call(root, [user("x" * 199)], assistant("y"))])

    assert told[0]["content"] == "x" * 199


def test_arguments_of_tools_are_shortened_too(root: Span) -> None:
    asking = assistant("", ("c1", "write", "x" * 10_000))

    told = TraceToMessages(max_chars=1000)([root, call(root, [user("a")], asking)])

    assert len(told[1].get("tool_calls", [])[0]["arguments"]) < 1100


def test_text_for_a_critique_labels_roles_and_nodes(root: Span) -> None:
    node = span("invoke_agent planner", root)
    asking = assistant("I look.", ("c1", "search", '{"q": "x"}'))
    first = call(node, [system("Plan."), user("Where?")], asking)
    searching = tool(node, "search", arguments={"q": "x"}, call_id="c1", result="Here.")

    read = TraceToMessages()

    assert read.to_text(read([root, node, first, searching])) == (
        "### system (planner)\nPlan.\n\n"
        "### user (planner)\nWhere?\n\n"
        '### assistant (planner)\nI look.\n-> calls search({"q": "x"})\n\n'
        "### tool (search)\nHere."
    )


def test_an_empty_trace_is_an_empty_conversation() -> None:
    assert TraceToMessages()([]) == []
    assert TraceToTriplets()([]) == []


def test_every_answered_call_is_a_triplet_and_the_last_has_the_reward(root: Span) -> None:
    first = call(root, [user("a")], assistant("b"))
    failed = call(root, [user("c")], error="no model")
    last = call(root, [user("d")], assistant("e"))

    triplets = TraceToTriplets()([root, first, failed, last], 0.75)

    assert triplets == [
        Triplet([user("a")], assistant("b"), None),
        Triplet([user("d")], assistant("e"), 0.75),
    ]
    assert TraceToTriplets()([root, first])[0].reward is None
