"""Sightings: what a program was seen to send in one rollout, before it is known what is a prompt.

A rollout that is observed keeps more than the slots that it used: the user messages of each model
call too, every text of a slot and not only the last one, and which code sent it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from agl_core.prompts.provenance import Rendered
from agl_core.prompts.slots import Role
from agl_core.prompts.templates import PromptTemplate

__all__ = ["Sighting", "Sightings", "texts_in"]

_MAX_SLOTS = 64
_MAX_TEXTS = 8
_MAX_VISITS = 2_000


@dataclass(slots=True)
class Sighting:
    """What was sent in one slot."""

    role: Role
    """The role of the message."""
    place: str = ""
    """The code that made the first call, ``file:line``, if it is the user's."""
    calls: int = 0
    """How many model calls used the slot."""
    counts: Counter[str] = field(default_factory=Counter[str])
    """How many of them sent which of the texts."""
    texts: dict[str, Rendered | None] = field(default_factory=dict[str, "Rendered | None"])
    """The first few different texts, with what they were rendered from, if that is known."""

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form that `from_json` reads."""
        texts = [
            [text, self.counts[text]]
            if rendered is None
            else [text, self.counts[text], rendered.template.to_json(), dict(rendered.values)]
            for text, rendered in self.texts.items()
        ]
        return {"role": self.role, "place": self.place, "calls": self.calls, "texts": texts}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Sighting:
        """Rebuild a sighting from `to_json`."""
        texts = {
            text: Rendered(PromptTemplate.from_json(source[0]), source[1]) if source else None
            for text, _, *source in data["texts"]
        }
        counts = Counter({text: count for text, count, *_ in data["texts"]})
        return cls(data["role"], data["place"], data["calls"], counts, texts)


@dataclass(slots=True)
class Sightings:
    """What was seen in one rollout. It may be written from several threads."""

    slots: dict[str, Sighting] = field(default_factory=dict[str, Sighting])
    """By slot, in the order of their first use."""
    inputs: list[str] = field(default_factory=list[str])
    """The texts that the program was given: what it sends of them is no prompt of its own."""
    withheld: bool = False
    """Whether they are not as they were seen, since not all may be written."""

    def note(
        self, slot: str, text: str, rendered: Rendered | None, role: Role, place: str = ""
    ) -> None:
        """Note that a text is sent in a slot.

        Of a long conversation, in which each message is a slot, only the first ones are noted.
        """
        sighting = self.slots.get(slot)
        if sighting is None:
            if len(self.slots) == _MAX_SLOTS:
                return
            sighting = self.slots[slot] = Sighting(role, place)
        sighting.calls += 1
        if text in sighting.texts or len(sighting.texts) < _MAX_TEXTS:
            if rendered is not None:
                values = {name: str(value) for name, value in rendered.values.items()}
                rendered = Rendered(rendered.template, values)
            sighting.texts[text] = rendered
            sighting.counts[text] += 1

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form that `from_json` reads."""
        slots = {name: sighting.to_json() for name, sighting in self.slots.items()}
        return {"slots": slots, "inputs": self.inputs, "withheld": self.withheld}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Sightings:
        """Rebuild sightings from `to_json`."""
        slots = {name: Sighting.from_json(sighting) for name, sighting in data["slots"].items()}
        return cls(slots, list(data["inputs"]), bool(data.get("withheld")))


def texts_in(value: Any) -> list[str]:
    """Return the texts in an input, a task, or an output: of containers and of message objects.

    Of what is very large or deeply nested, some.
    """
    found: dict[str, None] = {}
    seen: set[int] = set()
    waiting = deque([value])
    while waiting and len(seen) < _MAX_VISITS:
        item = waiting.popleft()
        if isinstance(item, str):
            if item.strip():
                found[item] = None
        elif id(item) not in seen:
            seen.add(id(item))
            waiting.extend(_parts(item))
    return list(found)


def _parts(value: Any) -> list[Any]:
    if value is None or isinstance(value, int | float | bytes | type):
        return []
    if isinstance(value, Mapping):
        return list(cast("Mapping[Any, Any]", value).values())
    if isinstance(value, list | tuple | set | frozenset):
        return list(cast("list[Any]", value))
    # A message, a dataclass, a model of pydantic's.
    return list(getattr(value, "__dict__", {}).values())
