import dataclasses
from typing import Any

import pytest

from agl_adapters.testing.room_choice import best_rooms, broken_rules
from agl_adapters.testing.room_rules import ANSWERING
from agl_adapters.testing.room_text import Needs, Room, Transcript

NEEDS = Needs("2026-03-03", (600, 660), 5, frozenset({"webcam"}), step_free=True, building="")
EVERY = {rule.name for rule in ANSWERING}


def room(name: str, **changes: Any) -> Room:
    fine = Room(name, "Main", 6, frozenset({"webcam"}), True, 50, ())
    return dataclasses.replace(fine, **changes)


RIGHT = room("A1")
TEMPTING = {
    "capacity": room("A2", capacity=4),
    "equipment": room("A2", equipment=frozenset({"projector"}), distance=20),
    "step_free": room("A2", step_free=False, distance=20),
    "free": room("A2", booked=((630, 690),), distance=20),
    "smallest": room("A2", capacity=8, distance=20),
    "nearest": room("A2", distance=60),
}


def broken(rooms: list[Room], chosen: str, needs: Needs = NEEDS) -> list[str]:
    run = Transcript(needs, {r.name: r for r in rooms}, chosen, gathered_at=5, answered_at=9)
    return [breach.rule for breach in broken_rules(run)]


@pytest.mark.parametrize("name", TEMPTING)
def test_each_rule_decides_and_its_breach_is_seen(name: str) -> None:
    rooms = [TEMPTING[name], RIGHT]
    assert best_rooms(rooms, NEEDS, EVERY) == [RIGHT]
    assert best_rooms(rooms, NEEDS, EVERY - {name}) != [RIGHT]
    assert broken(rooms, "A2") == [name]
    assert broken(rooms, "A1") == []


def test_a_touching_booking_is_no_overlap_but_looks_like_one() -> None:
    touching = room("A1", booked=((540, 600), (660, 700)))
    larger = room("A3", capacity=12)
    assert best_rooms([touching, larger], NEEDS, EVERY) == [touching]
    assert best_rooms([touching, larger], NEEDS, EVERY - {"touching"}) == [larger]
    assert broken([touching, larger], "A3") == ["touching"]
    assert broken([touching], "none") == ["touching"]
    assert broken([larger], "none") == []  # nothing that is shown explains it


def test_ties_stay_ties() -> None:
    rooms = [room("A1"), room("A2", distance=60), room("A3", capacity=8)]
    assert best_rooms(rooms, NEEDS, EVERY - {"nearest"}) == rooms[:2]
    assert best_rooms(rooms, NEEDS, ()) == rooms


def test_what_the_tool_was_not_asked_for_is_seen() -> None:
    needs = dataclasses.replace(NEEDS, building="North")
    rooms = [room("A1", booked=None), room("A2", booked=None, capacity=4)]
    assert broken(rooms, "A2", needs) == ["day", "building", "capacity"]
    run = Transcript(needs, {r.name: r for r in rooms}, "A2", gathered_at=5, answered_at=9)
    assert [breach.position for breach in broken_rules(run)] == [5, 5, 9]


def test_a_room_that_is_not_shown_breaks_nothing_visible() -> None:
    assert broken([RIGHT], "Z9") == []
