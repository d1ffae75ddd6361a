"""The rooms and tasks of the room-booking examples, the agent's tool, the grade of an answer."""

import json
import re
from functools import cache
from pathlib import Path

DATA = Path(__file__).parent / "data" / "room_booking"


@cache
def _world() -> dict:
    return json.loads((DATA / "rooms.json").read_text(encoding="utf-8"))


def list_rooms(day: str = "", building: str = "") -> str:
    """List the meeting rooms of a building.

    Args:
        day: A day such as 2026-03-02, to see what is booked on it.
        building: Main, North or South; Main if it is left out.
    """
    world = _world()
    buildings = list(dict.fromkeys(room["building"] for room in world["rooms"]))
    building = (building or buildings[0]).strip().removesuffix("building").strip().capitalize()
    if building not in buildings:
        return f"There is no building {building}. Buildings: {', '.join(buildings)}."
    if day and day not in world["bookings"]:
        return f"No bookings are known for {day}. Days are written as {min(world['bookings'])}."
    lines = [f"Rooms of the {building} building" + (f" on {day}:" if day else ":")]
    for room in world["rooms"]:
        if room["building"] == building:
            booked = world["bookings"][day][room["name"]] if day else ["not asked for"]
            lines.append(
                f"Room {room['name']} | building: {building} | capacity {room['capacity']}"
                f" | equipment: {', '.join(room['equipment']) or 'none'}"
                f" | step-free: {'yes' if room['step_free'] else 'no'}"
                f" | distance: {room['distance']} m"
                f" | booked: {', '.join(booked) or 'none'}"
            )
    return "\n".join(lines)


def grade_booking(response: str, expected_room: str) -> float:
    """1.0 if the answer books the one right room, else 0.0.

    The room is the last one after `Room:`, or the only one that the answer names.
    """
    booked = re.findall(r"Room:\W*([A-Z]\d+)\b", response)
    named = booked[-1:] or sorted(set(re.findall(r"\b[A-Z]\d\d\b", response)))
    return float(named == [expected_room])


def load_tasks(split: str) -> list[dict]:
    """The tasks of a split: `train`, `val` or `test`."""
    lines = (DATA / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
