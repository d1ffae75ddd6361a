"""Slots: the places in a program where a prompt is used, and what is known of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from agl_core.prompts.templates import PromptTemplate

__all__ = ["PromptSource", "Role", "SlotRecord", "is_user_message"]

Role = Literal["system", "user", "argument"]
"""How a prompt reaches its model: in a system or a user message of the program's, or as an argument
of a rollout function, which sends it as it sees fit."""

PromptSource = Literal["text", "template", "declared", "inferred", "given"]
"""How a prompt is known: it is the same text each time; the program was seen to render a template;
the user declared the template; it was recovered from texts that differ; the user gave it."""


def is_user_message(slot: str) -> bool:
    """Tell whether a slot is named for a user message: ``...#user``, ``...#user.2``."""
    return slot.rpartition("#")[2].partition(".")[0] == "user"


@dataclass(frozen=True, slots=True)
class SlotRecord:
    """What is known of a slot from running the program."""

    name: str
    """The slot's name, as in ``langgraph:planner#system``."""
    role: Role
    """The role of the message that it is sent in."""
    prompt: PromptTemplate | None
    """The program's own text or template; None if no template can be trusted."""
    source: PromptSource | None
    """How the prompt is known; None if it is not."""
    samples: tuple[str, ...] = ()
    """Different texts that were sent, in order of appearance."""
    variables: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """Different values of each variable of the prompt."""
    rollouts: int = 0
    """How many rollouts used it."""
    calls: float = 0.0
    """Model calls per rollout that were sent it, on average."""
    tokens: float = 0.0
    """Input tokens per rollout that it costs, on average; see `tokens_counted`."""
    tokens_counted: bool = False
    """Whether `tokens` comes from what the service counted: its tokens per character, times the
    prompt's length. Otherwise it is the length by 4. See `agl_core.discovery.slot_costs`."""
    place: str = ""
    """The code of the user's that makes the calls, ``file:line``, if it is known."""
    default: bool = True
    """Whether it is optimized unless something else is said."""
    reason: str = ""
    """Why it is not."""

    @property
    def framework(self) -> str:
        """The part of the name before the colon."""
        return self.name.partition(":")[0]

    @property
    def path(self) -> str:
        """What sends it: a node, an agent, a function."""
        return self.name.partition(":")[2].rpartition("#")[0]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        return {
            "role": self.role,
            "prompt": None if self.prompt is None else self.prompt.to_json(),
            "source": self.source,
            "variables": {name: list(values) for name, values in self.variables.items()},
            "samples": list(self.samples),
            "rollouts": self.rollouts,
            "calls_per_rollout": self.calls,
            "tokens_per_rollout": self.tokens,
            "tokens_counted": self.tokens_counted,
            "sent_by": self.path,
            "place": self.place,
            "optimized_by_default": self.default,
            "reason": self.reason,
        }

    @classmethod
    def from_json(cls, name: str, data: Mapping[str, Any]) -> SlotRecord:
        """Rebuild a record from `to_json`."""
        return cls(
            name=name,
            role=data["role"],
            prompt=None if data["prompt"] is None else PromptTemplate.from_json(data["prompt"]),
            source=data["source"],
            samples=tuple(data["samples"]),
            variables={name: tuple(values) for name, values in data["variables"].items()},
            rollouts=data["rollouts"],
            calls=data["calls_per_rollout"],
            tokens=data["tokens_per_rollout"],
            tokens_counted=data["tokens_counted"],
            place=data["place"],
            default=data["optimized_by_default"],
            reason=data["reason"],
        )
