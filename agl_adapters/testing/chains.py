"""Scenarios of several agents: one chooses after the other, each by rules of its own."""

from __future__ import annotations

import random
from collections.abc import Sequence

from agl_adapters.testing.calls import Call, Reply
from agl_adapters.testing.choosing import Choosing
from agl_adapters.testing.critic import Critic
from agl_adapters.testing.editor import Editor
from agl_adapters.testing.rules import Breach, Rule

__all__ = ["Chain"]


class Chain:
    """Several choices, each made in a call of its own, by whichever prompt that call was sent.

    A call makes the choice whose options it lists last. What its prompt states of the other choices
    does nothing.

    Args:
        name: The scenario's name.
        stages: The choices.
        critic: How critiques are written.
        editor: How prompts are rewritten.
    """

    def __init__(
        self, name: str, stages: Sequence[Choosing], critic: Critic, editor: Editor
    ) -> None:
        self.name = name
        self.stages = tuple(stages)
        self.rules: Sequence[Rule] = tuple(rule for stage in stages for rule in stage.rules)
        self.critic = critic
        self.editor = editor

    def reply(self, call: Call, rng: random.Random) -> Reply:
        """Make the choice whose options the call lists last."""
        text = "\n".join(message.text for message in call.messages)
        stage = max(self.stages, key=lambda stage: stage.asked_at(text))
        return stage.reply(call, rng)

    def breaches(self, text: str) -> list[Breach] | None:
        """The rules that the choices in a text visibly break, by place."""
        found = [
            breaches for stage in self.stages if (breaches := stage.breaches(text)) is not None
        ]
        if not found:
            return None
        return sorted((b for breaches in found for b in breaches), key=lambda b: b.position)
