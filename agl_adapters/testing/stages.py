"""Stages: what an agent does in one kind of call by the rules that it obeys, and which it broke.

A stage is a scenario by itself; several, each with a prompt of its own, make a `Chain`. Whoever
writes one says how a text is read, and what somebody does who observes only some of the rules.
Replies and breaches follow from that: what was done broke the fewest rules without which it would
have been done so.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Generic, TypeVar

from agl_adapters.testing.calls import Call, Reply
from agl_adapters.testing.critic import Critic
from agl_adapters.testing.editor import Editor
from agl_adapters.testing.rules import Breach, Rule, obeyed

__all__ = ["Seen", "Stage", "conversation"]

Situation = TypeVar("Situation")


@dataclass(slots=True)
class Seen(Generic[Situation]):
    """A situation that a text shows, and what was done in it.

    Attributes:
        situation: What there is to act on.
        asked_at: Where in the text it is complete; -1 if there is nothing to act on.
        done: What was done; empty if nothing was yet.
        done_at: Where in the text it was done.
    """

    situation: Situation
    asked_at: int = -1
    done: str = ""
    done_at: int = -1


class Stage(ABC, Generic[Situation]):
    """What an agent does in one kind of call.

    Args:
        name: The scenario's name.
        rules: What a good prompt states.
        critic: How critiques are written.
        editor: How prompts are rewritten.
        decoys: What no good prompt states, and what is obeyed all the same if one does.
    """

    def __init__(
        self,
        name: str,
        rules: Sequence[Rule],
        critic: Critic | None = None,
        editor: Editor | None = None,
        decoys: Sequence[Rule] = (),
    ) -> None:
        self.name = name
        self.rules = rules
        self.critic = critic or Critic()
        self.editor = editor or Editor()
        self._decoys = tuple(decoys)

    @abstractmethod
    def seen(self, text: str) -> list[Seen[Situation]]:
        """The situations that a text shows, in order.

        Args:
            text: A conversation, or transcripts of some, quoted in any way.
        """

    @abstractmethod
    def ways(self, situation: Situation, names: Collection[str]) -> Sequence[str]:
        """What somebody may do who observes only the rules of these names: one thing or more."""

    @abstractmethod
    def say(self, way: str) -> Reply:
        """What is done, as the model replies it; an empty `way` where there is nothing to do."""

    def asked_at(self, text: str) -> int:
        """Where in a text this stage was last given something to act on; -1 if nowhere."""
        return max((seen.asked_at for seen in self.seen(text)), default=-1)

    def reply(self, call: Call, rng: random.Random) -> Reply:
        """Act on the last situation of a call, by the rules that this call obeys."""
        seen = self.seen(conversation(call))
        if not seen or seen[-1].asked_at < 0:
            return self.say("")
        names = obeyed((*self.rules, *self._decoys), call.prompt, rng)
        return self.say(rng.choice(self.ways(seen[-1].situation, names)))

    def breaches(self, text: str) -> list[Breach] | None:
        """The rules that the situations in a text were visibly acted on without."""
        acted = [seen for seen in self.seen(text) if seen.asked_at >= 0 and seen.done]
        if not acted:
            return None
        return [
            Breach(name, seen.done_at)
            for seen in acted
            for name in self.broken(seen.situation, seen.done)
        ]

    def broken(self, situation: Situation, done: str) -> list[str]:
        """The fewest rules without which this may have been done; none if nothing explains it."""
        every = [rule.name for rule in self.rules]
        for count in range(len(every) + 1):
            for missing in combinations(every, count):
                if done in self.ways(situation, set(every).difference(missing)):
                    return list(missing)
        return []


def conversation(call: Call) -> str:
    """The messages of a call as one text, the tools called in it as `name(arguments)`."""
    lines: list[str] = []
    for message in call.messages:
        lines.append(message.text)
        lines += [f"-> calls {made.name}({made.arguments})" for made in message.tool_calls]
    return "\n".join(lines)
