"""The `room_booking` scenario: an agent that reads requests and rooms, and knows no answers."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

from agl_adapters.testing.calls import SYSTEM_ROLES, Call, Reply, Tool, ToolCall
from agl_adapters.testing.critic import Critic
from agl_adapters.testing.editor import Editor
from agl_adapters.testing.room_choice import best_rooms, broken_rules
from agl_adapters.testing.room_rules import ANSWERING, GATHERING, RULES
from agl_adapters.testing.room_text import Needs, Room, read_needs, read_rooms, transcripts
from agl_adapters.testing.rules import Breach, Rule, obeyed
from agl_adapters.testing.schema import fill

__all__ = ["RoomBooking"]

REASONS = (
    "It suits the group and the time you asked for.",
    "This looks like the best match for your meeting.",
    "It has what you need.",
)
NO_REQUEST = "How can I help you? I book rooms."
NO_ROOMS = "I cannot see any rooms, so I cannot book one."
NONE_FITS = "I found no room that fits.\nRoom: none"


class RoomBooking:
    """An agent that books rooms, in one call or two.

    If a tool about rooms is offered and was not called since the last request, it calls it, with
    the day and the building of the request as far as it obeys those rules. Otherwise it picks among
    the room lines that it was sent, after the rules that it obeys in this call; among equals it
    draws. Each rule is obeyed with a probability that depends on whether the prompt of the very
    call states it.
    """

    name = "room_booking"
    rules: Sequence[Rule] = RULES
    critic = Critic()
    editor = Editor()

    def reply(self, call: Call, rng: random.Random) -> Reply:
        """Call the tool, or name a room."""
        needs, rooms, called = _situation(call)
        if needs is None:
            return Reply(NO_REQUEST)
        tool = next(
            (t for t in call.offered if "room" in f"{t.name} {t.description}".lower()), None
        )
        if tool is not None and not called:
            arguments = _arguments(tool, needs, obeyed(GATHERING, call.prompt, rng))
            return Reply(tool_calls=(ToolCall(tool.name, json.dumps(arguments)),))
        if not rooms:
            return Reply(NO_ROOMS)
        best = best_rooms(rooms, needs, obeyed(ANSWERING, call.prompt, rng))
        if not best:
            return Reply(NONE_FITS, fields={"room": "none"})
        room = rng.choice(best)
        return Reply(f"{rng.choice(REASONS)}\nRoom: {room.name}", fields={"room": room.name})

    def breaches(self, text: str) -> list[Breach] | None:
        """The rules that the runs in a text visibly break."""
        runs = transcripts(text)
        return [breach for run in runs for breach in broken_rules(run)] if runs else None


def _situation(call: Call) -> tuple[Needs | None, list[Room], bool]:
    """The last request, the rooms listed since (or at all), and whether a tool was called since."""
    needs: Needs | None = None
    listed: list[Room] = []
    everything: dict[str, Room] = {}
    called = False
    for message in call.messages:
        if message.role not in (*SYSTEM_ROLES, "assistant", "tool"):
            asked = read_needs(message.text)
            if asked is not None:
                needs, listed, called = asked, [], False
        rooms = read_rooms(message.text)
        listed += rooms
        everything.update((room.name, room) for room in rooms)
        called = called or bool(message.tool_calls)
    if needs is None:
        needs = read_needs(call.system)
    latest = {room.name: room for room in listed} or everything
    return needs, list(latest.values()), called


def _arguments(tool: Tool, needs: Needs, obeyed_rules: set[str]) -> dict[str, Any]:
    """Arguments for the tool: what is known and obeyed; what else is required is left empty."""
    known = {
        "day": needs.day if "day" in obeyed_rules else "",
        "building": needs.building if "building" in obeyed_rules else "",
    }
    required: Sequence[str] = tool.parameters.get("required", ())
    properties: Mapping[str, Any] = tool.parameters.get("properties", {})
    arguments: dict[str, Any] = {}
    for name, schema in properties.items():
        if known.get(name) or name in required:
            arguments[name] = known[name] if name in known else fill(schema, "")
    return arguments
