"""How the simulated model writes critiques: from breaches that transcripts show, imperfectly."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from agl_adapters.testing.rules import Breach, Rule

__all__ = ["Critic"]

VAGUE = (
    "- The prompt could be clearer about what matters most.",
    "- The answers sound confident; more care would help.",
    "- Consider giving the assistant a more specific role.",
)


@dataclass(frozen=True, slots=True)
class Critic:
    """Writes critiques.

    Attributes:
        misses: The probability that a visible breach goes unnoticed.
        vague: The probability of a remark that states no rule.
        most: At most so many rules are named.
    """

    misses: float = 0.15
    vague: float = 0.2
    most: int = 2

    def suggest(
        self, breaches: Sequence[Breach], rules: Sequence[Rule], rng: random.Random
    ) -> list[Rule]:
        """The rules to be named: those noticed, likelier the more transcripts break them."""
        counts = Counter(breach.rule for breach in breaches)
        noticed = [rule for rule in rules if counts[rule.name] and rng.random() >= self.misses]
        named: list[Rule] = []
        while noticed and len(named) < self.most:
            (rule,) = rng.choices(noticed, [counts[rule.name] for rule in noticed])
            noticed.remove(rule)
            named.append(rule)
        return named

    def write(self, named: Sequence[tuple[Rule, str]], rng: random.Random) -> str:
        """A critique that names the rules, each after words on which prompt should state it."""
        lines = [f"- {lead}The prompt should say: {rule.sentence}" for rule, lead in named]
        if not lines:
            lines.append("- I can see nothing in these transcripts that the prompt should change.")
        if rng.random() < self.vague:
            lines.insert(rng.randrange(len(lines) + 1), rng.choice(VAGUE))
        return "\n".join(lines)
