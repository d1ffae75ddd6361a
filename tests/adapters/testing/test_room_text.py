"""Rooms, requests and whole runs are found in any quoting."""

import json
from collections.abc import Callable
from html import escape

import pytest

from agl_adapters.testing.room_text import Needs, Room, read_needs, read_rooms, transcripts

REQUEST = (
    "Please book a room on Tuesday 2026-03-03 from 09:30 to 11:00 for 7 people."
    " We will use a projector and a webcam. One of us uses a wheelchair."
    " It has to be in the North building."
)
NEEDS = Needs(
    "2026-03-03",
    (570, 660),
    7,
    frozenset({"projector", "webcam"}),
    step_free=True,
    building="North",
)
LINES = (
    "Room N10 | building: North | capacity 8 | equipment: projector, webcam | step-free: yes"
    " | distance: 40 m | booked: 08:00-09:30, 13:00-14:00\n"
    "Room N11 | building: North | capacity 12 | equipment: none | step-free: no"
    " | distance: 120 m | booked: not asked for"
)
ROOMS = [
    Room("N10", "North", 8, frozenset({"projector", "webcam"}), True, 40, ((480, 570), (780, 840))),
    Room("N11", "North", 12, frozenset(), False, 120, None),
]
ANSWER = "It has what you need.\nRoom: N10"
MESSAGES = [
    {"role": "system", "content": "You are a booking assistant.\nMind wheelchairs."},
    {"role": "user", "content": REQUEST},
    {"role": "assistant", "tool_calls": [{"function": {"name": "list_rooms", "arguments": "{}"}}]},
    {"role": "tool", "content": f"Rooms of the North building:\n{LINES}"},
    {"role": "assistant", "content": ANSWER},
]
QUOTINGS: dict[str, Callable[[], str]] = {
    "blocks": lambda: "\n\n".join(f"### {m['role']}\n{m.get('content')}" for m in MESSAGES),
    "json": lambda: json.dumps(MESSAGES),
    "indented json": lambda: json.dumps(MESSAGES, indent=2),
    "json in json": lambda: json.dumps({"messages": json.dumps(MESSAGES)}),
    "repr": lambda: repr(MESSAGES),
    "tags": lambda: "".join(f"<m>{escape(str(m.get('content')))}</m>" for m in MESSAGES),
    "markdown": lambda: "\n".join(f"* **{m['role']}**: `{m.get('content')}`" for m in MESSAGES),
    "a span each": lambda: "\n".join(json.dumps(MESSAGES[:end]) for end in (2, 3, 5)),
    "collapsed": lambda: " ".join(" ".join(str(m.get("content")).split()) for m in MESSAGES),
}


def test_a_request_and_a_listing_are_read() -> None:
    assert read_needs(REQUEST) == NEEDS
    assert read_rooms(LINES) == ROOMS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Which rooms are there?",
        "A room for 7 people on 2026-03-03, please.",
        "Only book from 09:00 to 18:00, for 10 people at most.",
        LINES,
    ],
)
def test_what_is_no_request(text: str) -> None:
    assert read_needs(text) is None


@pytest.mark.parametrize("quoting", QUOTINGS)
def test_a_run_is_found_in_any_quoting(quoting: str) -> None:
    (run,) = transcripts(QUOTINGS[quoting]())
    assert (run.needs.slot, run.needs.people, run.needs.day) == ((570, 660), 7, "2026-03-03")
    assert list(run.rooms.values()) == ROOMS
    assert run.chosen == "N10"
    assert run.answered_at > run.gathered_at


def test_runs_are_told_apart() -> None:
    text = f"Task: {REQUEST}\n{LINES}\n{ANSWER}\nOutput: {ANSWER}\nTask: {REQUEST}\nNo answer."
    other = REQUEST.replace("7 people", "9 guests")
    runs = transcripts(f"{text}\n{other}\n{LINES}\nRoom: none")
    assert [(run.needs.people, run.chosen) for run in runs] == [(7, "N10"), (9, "none")]


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ('{"room": "N10", "why": ""}', "N10"),
        (json.dumps('{"room": "N11"}'), "N11"),
        ("Expected Room: N10. Room: N11", "N11"),
    ],
)
def test_answers(text: str, chosen: str) -> None:
    (run,) = transcripts(f"{REQUEST}\n{LINES}\n{text}")
    assert run.chosen == chosen


def test_half_a_run_is_none() -> None:
    assert transcripts(f"{REQUEST}\n{ANSWER}") == []
    assert transcripts(f"{LINES}\n{ANSWER}") == []
    assert transcripts(f"{REQUEST}\n{LINES}") == []
