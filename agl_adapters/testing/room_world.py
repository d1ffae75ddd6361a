"""The world of the room-booking scenario: rooms, their bookings, tasks with the one right room.

The example's files are made by `python -m agl_adapters.testing.room_world FOLDER`. The simulated
model never sees any of this: it reads what an agent sends it.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from agl_adapters.testing.calls import draws
from agl_adapters.testing.room_choice import best_rooms, overlaps
from agl_adapters.testing.room_rules import ANSWERING, RULES
from agl_adapters.testing.room_text import (
    BUILDINGS,
    EQUIPMENT,
    Needs,
    Room,
    Slot,
    clock,
    minutes,
)

__all__ = ["SPLIT_SIZE", "engaged_rules", "rooms_of", "splits", "tasks", "world", "write_data"]

SPLIT_SIZE = 29
"""Tasks in each of the train, validation and test splits."""

WORLD_SEED = 0
CAPACITIES = (4, 4, 6, 6, 6, 8, 8, 8, 12, 12)
FIRST_DAY = date(2026, 3, 2)
DAYS = 20
OPENS, CLOSES = minutes("08:00"), minutes("18:00")
STEP = 30
CANDIDATES = 40

SHARE = {
    "capacity": 0.95,
    "equipment": 0.5,
    "step_free": 0.33,
    "free": 0.6,
    "touching": 0.33,
    "smallest": 0.95,
    "nearest": 0.4,
    "day": 0.6,
    "building": 0.33,
}
"""The share of tasks in which a rule decides, as far as the draws allow."""

World = dict[str, Any]
Task = dict[str, Any]


@cache
def _world_text() -> str:
    rng = draws("room world", WORLD_SEED)
    rooms = [
        {
            "name": f"{building[0]}{10 + number}",
            "building": building,
            "capacity": capacity,
            "equipment": [item for item in EQUIPMENT if rng.random() < 0.65],
            "step_free": rng.random() < 0.6,
            "distance": distance,
        }
        for building in BUILDINGS
        for number, (capacity, distance) in enumerate(
            zip(CAPACITIES, rng.sample(range(20, 200, 10), len(CAPACITIES)), strict=True)
        )
    ]
    bookings = {
        day: {room["name"]: _draw_bookings(rng) for room in rooms} for day in _working_days()
    }
    return json.dumps({"rooms": rooms, "bookings": bookings})


def _working_days() -> list[str]:
    days = (FIRST_DAY + timedelta(days=offset) for offset in range(2 * DAYS))
    return [day.isoformat() for day in days if day.weekday() < 5][:DAYS]


def _draw_bookings(rng: random.Random) -> list[str]:
    taken: list[Slot] = []
    for _ in range(rng.randint(1, 4)):
        slot = _draw_slot(rng)
        if not any(overlaps(other, slot) for other in taken):
            taken.append(slot)
    return [f"{clock(start)}-{clock(end)}" for start, end in sorted(taken)]


def _draw_slot(rng: random.Random) -> Slot:
    length = rng.choice((1, 2, 2, 3, 4)) * STEP
    start = rng.randrange(OPENS, CLOSES - length + 1, STEP)
    return start, start + length


def world() -> World:
    """The rooms, and the bookings of each by day: what `rooms.json` holds."""
    return json.loads(_world_text())


@cache
def _rooms(building: str, day: str) -> tuple[Room, ...]:
    data = json.loads(_world_text())
    return tuple(
        Room(
            room["name"],
            room["building"],
            room["capacity"],
            frozenset(room["equipment"]),
            room["step_free"],
            room["distance"],
            tuple(
                (minutes(slot[:5]), minutes(slot[6:]))
                for slot in data["bookings"][day][room["name"]]
            )
            if day
            else None,
        )
        for room in data["rooms"]
        if room["building"] == building
    )


def rooms_of(building: str, day: str) -> tuple[Room, ...]:
    """A building's rooms with the bookings of a day, without any if the day is empty."""
    return _rooms(building or BUILDINGS[0], day)


def engaged_rules(needs: Needs) -> tuple[str, frozenset[str]] | None:
    """The right room for a request, and the rules that decide it.

    Returns:
        The room's name, and each rule without which it would not be the only choice; None if the
        request has no single right room.
    """
    answering = {rule.name for rule in ANSWERING}
    rooms = rooms_of(needs.building, needs.day)
    right = best_rooms(rooms, needs, answering)
    if len(right) != 1:
        return None
    engaged = {name for name in answering if best_rooms(rooms, needs, answering - {name}) != right}
    unbooked = best_rooms(rooms_of(needs.building, ""), needs, answering)
    if [room.name for room in unbooked] != [right[0].name]:
        engaged.add("day")
    if needs.building not in ("", BUILDINGS[0]):
        engaged.add("building")
    return right[0].name, frozenset(engaged)


def tasks(split_seed: int | str, n: int, exclude: Collection[str] = ()) -> list[Task]:
    """Fresh tasks, balanced over the rules.

    Args:
        split_seed: Different seeds give different tasks, equal seeds the same.
        n: How many.
        exclude: Inputs that must not come up; so splits stay disjoint.

    Returns:
        Tasks with `id`, `input` (the request), `expected_room`, `needs` (the request taken apart)
        and `rules` (those that decide it).
    """
    rng = draws("room tasks", split_seed)
    seen = set(exclude)
    engaged: Counter[str] = Counter()
    made: list[Task] = []
    while len(made) < n:
        drawn = [task for task in (_draw_task(rng) for _ in range(CANDIDATES)) if task]
        fresh = [task for task in drawn if task["input"] not in seen]
        if not fresh:
            continue
        best = min(fresh, key=lambda task: _imbalance(engaged, task["rules"], len(made) + 1))
        seen.add(best["input"])
        engaged.update(best["rules"])
        made.append({"id": f"{split_seed}-{len(made) + 1:02}", **best})
    return made


def _imbalance(engaged: Counter[str], rules: Iterable[str], count: int) -> float:
    """How far the shares would be from `SHARE` with one more task that engages these rules."""
    more = set(rules)
    return sum(
        ((engaged[name] + (name in more)) / share - count) ** 2 for name, share in SHARE.items()
    )


def _draw_task(rng: random.Random) -> Task | None:
    needs = Needs(
        day=rng.choice(_working_days()),
        slot=_draw_slot(rng),
        people=rng.randint(2, 10),
        equipment=frozenset(rng.sample(EQUIPMENT, rng.choice((0, 1, 1, 2)))),
        step_free=rng.random() < 0.45,
        building=rng.choice(("", "", BUILDINGS[0], *BUILDINGS[1:])),
    )
    right = engaged_rules(needs)
    if right is None:
        return None
    room, rules = right
    return {
        "input": _request_text(needs, rng),
        "expected_room": room,
        "needs": {
            "day": needs.day,
            "start": clock(needs.slot[0]),
            "end": clock(needs.slot[1]),
            "people": needs.people,
            "equipment": sorted(needs.equipment),
            "step_free": needs.step_free,
            "building": needs.building,
        },
        "rules": [rule.name for rule in RULES if rule.name in rules],
    }


OPENINGS = (
    "Please book a room on {weekday} {day} from {start} to {end} for {people} people.",
    "We need a meeting room for {people} people on {weekday}, {day}, {start}-{end}.",
    "Can you find us a room? {people} of us meet on {day} between {start} and {end}.",
    "{people} guests come to a talk on {weekday} {day}, {start} until {end}. Where can we go?",
)
ITEMS = (
    "We will use a {items}.",
    "There should be a {items}.",
    "Please find one with a {items}.",
)
WHEELCHAIRS = (
    "One of us uses a wheelchair.",
    "A guest comes in a wheelchair.",
    "We need step-free access.",
)
PLACES = (
    "It has to be in the {building} building.",
    "We would like to stay in the {building} building.",
)


def _request_text(needs: Needs, rng: random.Random) -> str:
    sentences = [
        rng.choice(OPENINGS).format(
            weekday=date.fromisoformat(needs.day).strftime("%A"),
            day=needs.day,
            start=clock(needs.slot[0]),
            end=clock(needs.slot[1]),
            people=needs.people,
        )
    ]
    more: list[str] = []
    if needs.equipment:
        more.append(rng.choice(ITEMS).format(items=" and a ".join(sorted(needs.equipment))))
    if needs.step_free:
        more.append(rng.choice(WHEELCHAIRS))
    if needs.building:
        more.append(rng.choice(PLACES).format(building=needs.building))
    rng.shuffle(more)
    return " ".join(sentences + more)


def splits() -> dict[str, list[Task]]:
    """The example's splits, `train`, `val` and `test`: disjoint, each of `SPLIT_SIZE` tasks."""
    made: dict[str, list[Task]] = {}
    for split in ("train", "val", "test"):
        others = {task["input"] for tasks_made in made.values() for task in tasks_made}
        made[split] = tasks(split, SPLIT_SIZE, others)
    return made


def write_data(folder: Path) -> list[Path]:
    """Write `rooms.json` and a JSONL file for each split; the same bytes every time.

    Returns:
        The files written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {"rooms.json": _layout(world())}
    for split, made in splits().items():
        files[f"{split}.jsonl"] = "".join(json.dumps(task) + "\n" for task in made)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in files]


def _layout(data: World) -> str:
    """The world as JSON with a line a room and a line a day."""
    rooms = ",\n    ".join(json.dumps(room) for room in data["rooms"])
    days = ",\n    ".join(
        f"{json.dumps(day)}: {json.dumps(booked)}" for day, booked in data["bookings"].items()
    )
    return f'{{\n  "rooms": [\n    {rooms}\n  ],\n  "bookings": {{\n    {days}\n  }}\n}}\n'


def main(arguments: Sequence[str]) -> None:
    """Write the example's data into the folder that is named."""
    (folder,) = arguments
    for path in write_data(Path(folder)):
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
