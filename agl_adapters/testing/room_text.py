"""The texts of the room-booking scenario: reading rooms, requests and answers out of any quoting.

All of it is written so that it survives being quoted: a room is one line without quotes, a request
is one line without quotes, backslashes, braces or angle brackets. So the same patterns find them in
a conversation, in JSON (escaped once or more), in markdown and in tags.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = [
    "ANSWER",
    "BUILDINGS",
    "EQUIPMENT",
    "Needs",
    "Room",
    "Slot",
    "Transcript",
    "clock",
    "minutes",
    "read_needs",
    "read_rooms",
    "transcripts",
    "unescaped",
]

EQUIPMENT = ("projector", "whiteboard", "webcam", "microphone")
BUILDINGS = ("Main", "North", "South")
"""The first is the one that the tool lists when it is given none."""

ROOM = re.compile(
    r"Room (?P<name>[A-Z]\d{1,3}) \| building: (?P<building>\w+) \| capacity (?P<capacity>\d+) \| "
    r"equipment: (?P<equipment>[a-z, ]+?) \| step-free: (?P<step_free>yes|no) \| "
    r"distance: (?P<distance>\d+) m \| "
    r"booked: (?P<booked>not asked for|none|\d\d:\d\d-\d\d:\d\d(?:, \d\d:\d\d-\d\d:\d\d)*)"
)
ANSWER = re.compile(
    r"(?<![Ee]xpected )\bRoom: (?P<name>[A-Z]\d{1,3}|none)\b"
    r"|\broom\\*[\"']: ?\\*[\"'](?P<quoted>[A-Z]\d{1,3}|none)\b"
)
# A call, in whatever notation, and not a prompt that speaks of the tool.
TOOL_CALL = re.compile(r"\blist_rooms(?: ?[({]|\\*[\"'])")
ESCAPED_NEWLINE = re.compile(r"\\+n")
SEGMENT = re.compile(r"[^\n\r\\\"<>{}`|]+")
DAY = re.compile(r"\b(\d{4}-\d\d-\d\d)\b")
SLOT = re.compile(r"\b(\d\d:\d\d)(?: ?- ?| to | until | and )(\d\d:\d\d)\b")
PEOPLE = re.compile(r"\b(\d+) (?:people|persons|of us|colleagues|guests|participants|attendees)\b")
WHEELCHAIR = re.compile(r"wheelchair|step-free", re.IGNORECASE)
BUILDING = re.compile(rf"\b({'|'.join(BUILDINGS)}) building\b")

Slot = tuple[int, int]
"""Start and end, in minutes of the day."""


@dataclass(frozen=True, slots=True)
class Room:
    """A room as a listing shows it.

    Attributes:
        name: A letter and a number.
        building: One of `BUILDINGS`.
        capacity: Its seats.
        equipment: What it has, of `EQUIPMENT`.
        step_free: Whether a wheelchair gets in.
        distance: Meters from the entrance.
        booked: The day's bookings in order; None if the listing was not asked for a day.
    """

    name: str
    building: str
    capacity: int
    equipment: frozenset[str]
    step_free: bool
    distance: int
    booked: tuple[Slot, ...] | None


@dataclass(frozen=True, slots=True)
class Needs:
    """What a request asks for.

    Attributes:
        day: The day, as 2026-03-02.
        slot: From when to when.
        people: How many.
        equipment: What they need, of `EQUIPMENT`.
        step_free: Whether one of them uses a wheelchair.
        building: The building that they name; empty if they name none.
    """

    day: str
    slot: Slot
    people: int
    equipment: frozenset[str]
    step_free: bool
    building: str


@dataclass(slots=True)
class Transcript:
    """One run of the agent, as a text shows it.

    Attributes:
        needs: What was asked for.
        rooms: What the tool listed, by name.
        chosen: The room that was answered, `none` if the agent found none.
        gathered_at: Where in the text the tool is first called after the request.
        answered_at: Where in the text the answer is.
    """

    needs: Needs
    rooms: dict[str, Room] = field(default_factory=dict[str, Room])
    chosen: str = ""
    gathered_at: int = -1
    answered_at: int = -1


def unescaped(text: str) -> str:
    """The text with escaped newlines as newlines; every character keeps its place."""
    return ESCAPED_NEWLINE.sub(lambda found: found[0][:-1] + "\n", text)


def minutes(clock_time: str) -> int:
    """Minutes of the day of a time such as 09:30."""
    hours, _, rest = clock_time.partition(":")
    return 60 * int(hours) + int(rest)


def clock(minutes_of_day: int) -> str:
    """A time such as 09:30."""
    return f"{minutes_of_day // 60:02}:{minutes_of_day % 60:02}"


def read_rooms(text: str) -> list[Room]:
    """The rooms listed in a text."""
    return [_room(found) for found in ROOM.finditer(text)]


def _room(found: re.Match[str]) -> Room:
    booked = found["booked"]
    items = (item.strip() for item in found["equipment"].split(","))
    return Room(
        name=found["name"],
        building=found["building"],
        capacity=int(found["capacity"]),
        equipment=frozenset(items) - {"none", ""},
        step_free=found["step_free"] == "yes",
        distance=int(found["distance"]),
        booked=None
        if booked == "not asked for"
        else tuple((minutes(start), minutes(end)) for start, end in SLOT.findall(booked)),
    )


def read_needs(text: str) -> Needs | None:
    """The needs in the last request that a text holds, None if it holds none."""
    found = [needs for _, needs in _requests(unescaped(text))]
    return found[-1] if found else None


def _requests(text: str) -> Iterator[tuple[int, Needs]]:
    """The requests in a text: stretches of a line with a day, a slot and a number of people."""
    for segment in SEGMENT.finditer(text):
        line = segment[0]
        if (
            (day := DAY.search(line))
            and (slot := SLOT.search(line))
            and (people := PEOPLE.search(line))
        ):
            building = BUILDING.search(line)
            yield (
                segment.start() + slot.start(),
                Needs(
                    day=day[1],
                    slot=(minutes(slot[1]), minutes(slot[2])),
                    people=int(people[1]),
                    equipment=frozenset(item for item in EQUIPMENT if item in line),
                    step_free=WHEELCHAIR.search(line) is not None,
                    building=building[1] if building else "",
                ),
            )


def transcripts(text: str) -> list[Transcript]:
    """The whole runs in a text: a request, then room lines, then an answer, in this order.

    A request that comes again (each model call of a run repeats the conversation) starts its run
    anew; what follows an answer belongs to no run until the next request.
    """
    text = unescaped(text)
    if not ANSWER.search(text):
        return []
    steps: list[tuple[int, Needs | re.Match[str]]] = [*_requests(text)]
    for pattern in (ROOM, ANSWER, TOOL_CALL):
        steps += [(found.start(), found) for found in pattern.finditer(text)]
    whole: list[Transcript] = []
    run: Transcript | None = None
    for position, step in sorted(steps, key=lambda s: s[0]):
        if isinstance(step, Needs):
            again = run is not None and run.needs == step
            run = Transcript(step, gathered_at=run.gathered_at if run and again else -1)
        elif run is not None:
            _advance(run, position, step)
            if run.chosen:
                whole.append(run)
                run = None
    return whole


def _advance(run: Transcript, position: int, step: re.Match[str]) -> None:
    if step.re is ROOM:
        room = _room(step)
        run.rooms[room.name] = room
    elif step.re is TOOL_CALL:
        run.gathered_at = position if run.gathered_at < 0 else run.gathered_at
    elif run.rooms:
        run.chosen = step["name"] or step["quoted"]
        run.answered_at = position
