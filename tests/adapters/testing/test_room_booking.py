"""How the booking agent behaves, and what its prompts are worth: the calibration, without HTTP."""

import json
import statistics
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from agl_adapters.testing import Call, Message, Reply, Tool, ToolCall
from agl_adapters.testing.calls import draws
from agl_adapters.testing.room_booking import RoomBooking
from agl_adapters.testing.room_rules import ANSWERING, GATHERING, RULES
from agl_adapters.testing.room_world import splits, tasks

EXAMPLES = Path(__file__).parents[3] / "examples"
SEED = "You are a booking assistant."
PLANNER = "You gather what is needed to book a meeting room."
EVERY = "\n".join([SEED, *(rule.sentence for rule in RULES)])
PARAPHRASED = """When you look up rooms, always pass the date and the building asked for.
The room must seat everybody, have all equipment they need, be accessible for wheelchairs, and be
available for the entire meeting. Back-to-back bookings are fine.
Prefer the smallest room, then the closest."""
SPLITS = splits()
LIST_ROOMS = Tool(
    "list_rooms",
    "List the meeting rooms of a building.",
    {"properties": {"day": {"type": "string"}, "building": {"type": "string"}}},
)
LINE = (
    "Room {} | building: Main | capacity 6 | equipment: none | step-free: yes | distance: 50 m"
    " | booked: {}"
)
REQUEST = Message("user", "We need a room for 5 people on 2026-03-03, 10:00-11:00.")


@pytest.fixture
def rooms(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(EXAMPLES)
    return import_module("rooms")


def reply(*messages: Message, tools: tuple[Tool, ...] = (), n: int = 0) -> Reply:
    call = Call("chat", "gpt-4o", messages, tools)
    return RoomBooking().reply(call, draws(call.digest(), n))


def run(rooms: Any, task: dict[str, Any], planner: str, decider: str, n: int) -> float:
    """One run of a program of two model calls, as the plain and the LangGraph program send them."""
    user = Message("user", task["input"])
    planned = reply(Message("system", planner), user, tools=(LIST_ROOMS,), n=n)
    listing = rooms.list_rooms(**json.loads(planned.tool_calls[0].arguments))
    answer = reply(
        Message("system", decider),
        user,
        Message("assistant", "", planned.tool_calls),
        Message("tool", listing),
        tools=(LIST_ROOMS,) if planner == decider else (),
        n=n,
    )
    return rooms.grade_booking(answer.text, task["expected_room"])


def score(rooms: Any, split: str, planner: str, decider: str, seeds: int = 8) -> float:
    scores = [run(rooms, t, planner, decider, n) for t in SPLITS[split] for n in range(seeds)]
    return statistics.mean(scores)


@pytest.mark.parametrize("planner", [SEED, PLANNER], ids=["plain", "two prompts"])
def test_the_seed_prompt_scores_as_published(rooms: Any, planner: str) -> None:
    assert 0.54 <= score(rooms, "val", planner, SEED, seeds=40) <= 0.60
    assert 0.51 <= score(rooms, "train", planner, SEED) <= 0.63
    assert 0.51 <= score(rooms, "test", planner, SEED) <= 0.63


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_prompt_that_states_every_rule_scores_high(rooms: Any, split: str) -> None:
    assert score(rooms, split, EVERY, EVERY) >= 0.95


def test_paraphrases_are_worth_as_much(rooms: Any) -> None:
    assert score(rooms, "val", PARAPHRASED, PARAPHRASED) >= 0.95


def test_both_prompts_of_two_have_something_to_gain(rooms: Any) -> None:
    gathering = "\n".join(rule.sentence for rule in GATHERING)
    answering = "\n".join(rule.sentence for rule in ANSWERING)
    seed = score(rooms, "val", PLANNER, SEED)
    assert score(rooms, "val", gathering, SEED) > seed + 0.1
    assert score(rooms, "val", PLANNER, answering) > seed + 0.1
    assert score(rooms, "val", gathering, answering) >= 0.95


def test_fresh_tasks_are_as_hard(rooms: Any) -> None:
    fresh = [run(rooms, task, SEED, SEED, n) for task in tasks("fresh", 60) for n in range(5)]
    assert 0.5 <= statistics.mean(fresh) <= 0.64


def test_the_tool_is_called_once_for_each_request() -> None:
    stated = Message("system", EVERY)
    first = reply(stated, REQUEST, tools=(LIST_ROOMS,))
    assert json.loads(first.tool_calls[0].arguments) == {"day": "2026-03-03"}
    listed = [
        Message("assistant", "", first.tool_calls),
        Message("tool", LINE.format("A1", "none")),
    ]
    answered = reply(stated, REQUEST, *listed, tools=(LIST_ROOMS,))
    assert answered.text.endswith("Room: A1")
    assert answered.fields == {"room": "A1"}
    again = Message("user", REQUEST.text.replace("03-03", "03-04"))
    second = reply(stated, REQUEST, *listed, Message("assistant", answered.text), again,
                   tools=(LIST_ROOMS,))  # fmt: skip
    assert json.loads(second.tool_calls[0].arguments) == {"day": "2026-03-04"}


def test_required_arguments_are_given_but_empty_if_the_rule_is_not_obeyed() -> None:
    strict = Tool("list_rooms", "", {**LIST_ROOMS.parameters, "required": ["day", "building"]})
    given = [
        json.loads(
            reply(Message("system", SEED), REQUEST, tools=(strict,), n=n).tool_calls[0].arguments
        )
        for n in range(40)
    ]
    assert {tuple(arguments) for arguments in given} == {("day", "building")}
    assert {arguments["day"] for arguments in given} == {"2026-03-03", ""}


def test_rooms_may_stand_anywhere_in_the_conversation() -> None:
    line = LINE.format("A1", "none")
    for messages in (
        [Message("system", f"{EVERY}\n{line}"), REQUEST],
        [Message("system", EVERY), Message("user", f"{REQUEST.text}\n{line}")],
        [Message("user", f"{EVERY}\n{line}"), REQUEST],
        [Message("system", f"{EVERY}\n{line}\n{REQUEST.text}")],
    ):
        assert reply(*messages).text.endswith("Room: A1")


def test_it_knows_no_answers() -> None:
    stated = Message("system", EVERY)
    assert "Room:" not in reply(stated, REQUEST).text
    assert "Room:" not in reply(stated, Message("user", "Hello")).text
    failed = Message("assistant", "", (ToolCall("list_rooms", "{}"),))
    assert (
        "Room:"
        not in reply(stated, REQUEST, failed, Message("tool", "Error"), tools=(LIST_ROOMS,)).text
    )
    booked = LINE.format("A1", "10:30-11:30")
    answers = {reply(stated, REQUEST, Message("tool", booked), n=n).text for n in range(20)}
    assert "I found no room that fits.\nRoom: none" in answers
