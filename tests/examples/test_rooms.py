from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from agl_adapters.testing.room_text import read_rooms
from agl_adapters.testing.room_world import rooms_of


@pytest.fixture
def rooms(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "examples")
    return import_module("rooms")


def test_the_tool_shows_what_the_scenario_reads(rooms: Any) -> None:
    for building in ("Main", "North", "South"):
        for day in ("2026-03-03", ""):
            assert tuple(read_rooms(rooms.list_rooms(day, building))) == rooms_of(building, day)


def test_the_tool_lists_the_main_building_without_bookings_unless_asked(rooms: Any) -> None:
    assert tuple(read_rooms(rooms.list_rooms())) == rooms_of("Main", "")
    assert rooms.list_rooms(building="north building") == rooms.list_rooms(building="North")


def test_the_tool_says_what_it_cannot_find(rooms: Any) -> None:
    assert rooms.list_rooms(building="East") == (
        "There is no building East. Buildings: Main, North, South."
    )
    assert "2026-03-02" in rooms.list_rooms("next Friday")


@pytest.mark.parametrize(
    ("response", "score"),
    [
        ("It fits.\nRoom: M12", 1.0),
        ("**Room:** M12", 1.0),
        ("I booked M12 for you.", 1.0),
        ("Not Room: M11 but Room: M12", 1.0),
        ("Room: M11", 0.0),
        ("M11 or M12", 0.0),
        ("Room: none", 0.0),
        ("", 0.0),
    ],
)
def test_the_grade(rooms: Any, response: str, score: float) -> None:
    assert rooms.grade_booking(response, "M12") == score


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_the_tasks_are_loaded(rooms: Any, split: str) -> None:
    tasks = rooms.load_tasks(split)
    assert [task["id"] for task in tasks] == [f"{split}-{n:02}" for n in range(1, 30)]
    assert all({"input", "expected_room"} <= set(task) for task in tasks)
