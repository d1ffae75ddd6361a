"""Rules that a good prompt states: what states one, whether a call obeys it, who broke it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["Breach", "Rule", "all_of", "any_of", "either", "obeyed"]

SENTENCE_END = re.compile(r"[.;!?]\s+|\n+|[.;!?]$")


@dataclass(frozen=True)
class Rule:
    """One rule that a good prompt of the scenario states.

    Attributes:
        name: A short name, unique in its scenario.
        sentence: The sentence that a critique suggests and a rewrite adds.
        stated_in: Says whether one sentence of a prompt states the rule, in whatever words.
        obeyed_unstated: The probability that a call obeys the rule when its prompt does not state
            it.
        obeyed_stated: The probability when it does.
        about: What part of the agent's work the rule is about, for a critique of several prompts.
    """

    name: str
    sentence: str
    stated_in: Callable[[str], bool]
    obeyed_unstated: float
    obeyed_stated: float = 0.995
    about: str = "the answer"

    def states(self, prompt: str) -> bool:
        """Whether a prompt states the rule: our sentence, or a reasonable paraphrase of it."""
        return any(self.stated_in(sentence) for sentence in SENTENCE_END.split(prompt) if sentence)


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule that a transcript shows to be broken.

    Attributes:
        rule: The rule's name.
        position: Where in the text the faulty step is; the prompt that led to it stands before it.
    """

    rule: str
    position: int = 0


def any_of(*patterns: str) -> Callable[[str], bool]:
    """A sentence test: any of the regular expressions is found, whatever the case."""
    compiled = re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)
    return lambda sentence: compiled.search(sentence) is not None


def all_of(*patterns: str, but: str | None = None) -> Callable[[str], bool]:
    """A sentence test: every regular expression is found, and `but` is not, whatever the case."""
    wanted = [re.compile(pattern, re.IGNORECASE) for pattern in patterns]
    unwanted = re.compile(but, re.IGNORECASE) if but else None

    def test(sentence: str) -> bool:
        if unwanted and unwanted.search(sentence):
            return False
        return all(pattern.search(sentence) for pattern in wanted)

    return test


def either(*tests: Callable[[str], bool]) -> Callable[[str], bool]:
    """A sentence test: any of the tests holds."""
    return lambda sentence: any(test(sentence) for test in tests)


@lru_cache(maxsize=4096)
def _stated(rules: tuple[Rule, ...], prompt: str) -> frozenset[str]:
    return frozenset(rule.name for rule in rules if rule.states(prompt))


def obeyed(rules: Iterable[Rule], prompt: str, rng: random.Random) -> set[str]:
    """The names of the rules that this call obeys, one draw a rule."""
    rules = tuple(rules)
    stated = _stated(rules, prompt)
    return {
        rule.name
        for rule in rules
        if rng.random() < (rule.obeyed_stated if rule.name in stated else rule.obeyed_unstated)
    }
