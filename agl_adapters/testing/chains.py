"""Scenarios of several agents: one acts after the other, each by rules of its own."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from agl_adapters.testing.calls import Call, Reply
from agl_adapters.testing.critic import Critic
from agl_adapters.testing.editor import Editor
from agl_adapters.testing.rules import Breach, Rule
from agl_adapters.testing.stages import Stage, conversation

__all__ = ["Chain"]


class Chain:
    """Several stages, each acted in a call of its own, by whichever prompt that call was sent.

    A call acts the stage that it gives something to act on last. What its prompt states of the
    others does nothing.

    Args:
        name: The scenario's name.
        stages: The stages, no rule's name in two of them.
        critic: How critiques are written.
        editor: How prompts are rewritten.
    """

    def __init__(
        self, name: str, stages: Sequence[Stage[Any]], critic: Critic, editor: Editor
    ) -> None:
        self.name = name
        self.stages = tuple(stages)
        self.rules: Sequence[Rule] = tuple(rule for stage in stages for rule in stage.rules)
        self.critic = critic
        self.editor = editor

    def reply(self, call: Call, rng: random.Random) -> Reply:
        """Act the stage that is asked for last."""
        text = conversation(call)
        stage = max(self.stages, key=lambda stage: stage.asked_at(text))
        return stage.reply(call, rng)

    def breaches(self, text: str) -> list[Breach] | None:
        """The rules that the stages in a text visibly break, by place."""
        found = [
            breaches for stage in self.stages if (breaches := stage.breaches(text)) is not None
        ]
        if not found:
            return None
        return sorted((b for breaches in found for b in breaches), key=lambda b: b.position)
