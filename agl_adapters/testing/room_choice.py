"""What the rules of booking a room choose, and which of them an answer breaks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from agl_adapters.testing.room_rules import ANSWERING
from agl_adapters.testing.room_text import BUILDINGS, Needs, Room, Slot, Transcript
from agl_adapters.testing.rules import Breach

__all__ = ["best_rooms", "broken_rules", "overlaps"]


def overlaps(booked: Slot, slot: Slot) -> bool:
    """Whether a booking takes a part of the slot."""
    return booked[0] < slot[1] and slot[0] < booked[1]


def touches(booked: Slot, slot: Slot) -> bool:
    """Whether a booking ends when the slot starts, or starts when it ends."""
    return booked[1] == slot[0] or booked[0] == slot[1]


def _free(room: Room, needs: Needs, touching: bool) -> bool:
    return not any(
        overlaps(booked, needs.slot) or (not touching and touches(booked, needs.slot))
        for booked in room.booked or ()
    )


Fits = Callable[[Room, Needs], bool]
HARD: dict[str, Fits] = {
    "capacity": lambda room, needs: room.capacity >= needs.people,
    "equipment": lambda room, needs: needs.equipment <= room.equipment,
    "step_free": lambda room, needs: room.step_free or not needs.step_free,
}


def best_rooms(rooms: Iterable[Room], needs: Needs, obeyed: Collection[str]) -> list[Room]:
    """The rooms among which somebody who observes only these rules cannot tell the best.

    Without `touching`, a booking that touches the slot is taken for an overlap.

    Args:
        rooms: The rooms to choose from, as listed; bookings that are not shown are taken for none.
        needs: What is asked for.
        obeyed: Names of rules.
    """
    tests = [fits for name, fits in HARD.items() if name in obeyed]
    left = [room for room in rooms if all(fits(room, needs) for fits in tests)]
    if "free" in obeyed:
        left = [room for room in left if _free(room, needs, "touching" in obeyed)]
    if "smallest" in obeyed and left:
        smallest = min(room.capacity for room in left)
        left = [room for room in left if room.capacity == smallest]
    if "nearest" in obeyed and left:
        nearest = min(room.distance for room in left)
        left = [room for room in left if room.distance == nearest]
    return left


def broken_rules(run: Transcript) -> list[Breach]:
    """The rules that a run visibly breaks, given the rooms that it shows and nothing else.

    Hard rules are judged by the chosen room's own line. If it breaks none, the better rooms shown
    say which tie-break was missed, or that a touching booking was taken for an overlap.
    """
    needs, rooms = run.needs, list(run.rooms.values())
    building = needs.building or BUILDINGS[0]
    gathering: list[str] = []
    if any(room.booked is None for room in rooms):
        gathering.append("day")
    if all(room.building != building for room in rooms):
        gathering.append("building")
    chosen = run.rooms.get(run.chosen)
    answering: list[str] = []
    if chosen is not None:
        answering = [name for name, fits in HARD.items() if not fits(chosen, needs)]
        if not _free(chosen, needs, touching=True):
            answering.append("free")
    if not gathering and not answering:
        answering = _missed(chosen, rooms, needs)
    return [Breach(name, max(run.gathered_at, 0)) for name in gathering] + [
        Breach(name, run.answered_at) for name in answering
    ]


def _missed(chosen: Room | None, rooms: Sequence[Room], needs: Needs) -> list[str]:
    every = {rule.name for rule in ANSWERING}
    best = best_rooms(rooms, needs, every)
    if not best or chosen in best:
        return []
    wary = best_rooms(rooms, needs, every - {"touching"})
    if chosen in wary or (chosen is None and not wary):
        return ["touching"]
    if chosen is None:
        return []
    return ["smallest" if best[0].capacity < chosen.capacity else "nearest"]
