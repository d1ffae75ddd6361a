"""Scenarios in which the model picks one of the options that it is sent, by the rules of a house.

A domain is data: what a request asks for, what an option has, and the criteria that decide. Request
and options are lines of fields (``Parcel P7 | weight: 3 kg | abroad: yes``), which survive being
quoted in JSON, markdown or tags. The model knows no answers: it reads the lines that it is sent.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from agl_adapters.testing.calls import Reply, draws
from agl_adapters.testing.critic import Critic
from agl_adapters.testing.editor import Editor
from agl_adapters.testing.room_text import unescaped
from agl_adapters.testing.rules import Rule, all_of, any_of
from agl_adapters.testing.stages import Seen, Stage

__all__ = [
    "Choice",
    "Choosing",
    "Criterion",
    "Domain",
    "Fields",
    "amount",
    "line",
    "needed",
    "preferred",
]

Fields = Mapping[str, str]
"""What a line says, by the name of the field."""

FIELD = re.compile(r" \| ([a-z ]+): ([\w ,-]*\w)")
OPTIONS = 7
DRAWS = 12


def amount(text: str) -> int:
    """The number with which a field begins."""
    return int(text.split()[0])


@dataclass(frozen=True)
class Criterion:
    """A rule and what it decides: which options fit, or which of those that fit is best.

    Attributes:
        rule: The rule.
        fits: Whether an option may be picked for a request.
        least: Of what the best option has the least.
    """

    rule: Rule
    fits: Callable[[Fields, Fields], bool] | None = None
    least: Callable[[Fields], float] | None = None


def needed(
    name: str,
    sentence: str,
    *patterns: str,
    unstated: float,
    fits: Callable[[Fields, Fields], bool],
    about: str = Rule.about,
) -> Criterion:
    """What an option needs to fit. A prompt's sentence states it that holds all of the patterns."""
    return Criterion(Rule(name, sentence, all_of(*patterns), unstated, about=about), fits=fits)


def preferred(
    name: str,
    sentence: str,
    *patterns: str,
    unstated: float,
    least: Callable[[Fields], float],
    about: str = Rule.about,
) -> Criterion:
    """Which of those that fit is best. A sentence states it that holds any of the patterns."""
    return Criterion(Rule(name, sentence, any_of(*patterns), unstated, about=about), least=least)


@dataclass(frozen=True)
class Domain:
    """What is chosen, for what, and by which criteria.

    Attributes:
        name: The scenario's name.
        request: The word that a request's line begins with.
        option: The word that an option's line, and the answer, begin with.
        opening: The sentence before a request.
        criteria: What decides: those that say what fits, then those that say which is best, the
            most important first.
        draw_request: Draws the fields of a request.
        draw_option: Draws the fields of an option.
        decoys: What no good prompt states: criteria that come first where a prompt does state them.
    """

    name: str
    request: str
    option: str
    opening: str
    criteria: Sequence[Criterion]
    draw_request: Callable[[random.Random], Fields]
    draw_option: Callable[[random.Random], Fields]
    decoys: Sequence[Criterion] = ()

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The rules of the criteria."""
        return tuple(criterion.rule for criterion in self.criteria)

    def best(
        self, options: Mapping[str, Fields], request: Fields, names: Collection[str]
    ) -> list[str]:
        """The options among which somebody who observes only these rules cannot tell the best."""
        active = [c for c in (*self.decoys, *self.criteria) if c.rule.name in names]
        left = [
            name
            for name, has in options.items()
            if all(c.fits(has, request) for c in active if c.fits)
        ]
        for criterion in active:
            if criterion.least and left:
                least = min(criterion.least(options[name]) for name in left)
                left = [name for name in left if criterion.least(options[name]) == least]
        return left

    def engaged(self, options: Mapping[str, Fields], request: Fields) -> list[str] | None:
        """The rules without which the right option is not the only choice; None if none is."""
        every = {rule.name for rule in self.rules}
        right = self.best(options, request, every)
        if len(right) != 1:
            return None
        return [name for name in every if self.best(options, request, every - {name}) != right]

    def tasks(self, seed: int | str, n: int) -> list[dict[str, Any]]:
        """Fresh tasks; different seeds give different ones, equal seeds the same.

        Returns:
            Tasks with `id`, `input` (what the agent is told), `expected` (the right option's name)
            and `rules` (those that decide it).
        """
        rng = draws(self.name, "tasks", seed)
        return [{"id": f"{seed}-{number:02}", **self._task(rng)} for number in range(1, n + 1)]

    def grade(self, answer: str, task: Mapping[str, Any]) -> float:
        """1.0 if the answer names the right option last, else 0.0."""
        named = re.findall(rf"\b{self.option}:\W*([A-Z]\d+)\b", answer)
        return float(named[-1:] == [task["expected"]])

    def _task(self, rng: random.Random) -> dict[str, Any]:
        """Of some draws the task that most rules decide."""
        drawn: list[dict[str, Any]] = []
        while len(drawn) < DRAWS:
            letter = self.option[0]
            options = {
                f"{letter}{number}": self.draw_option(rng)
                for number in rng.sample(range(10, 100), OPTIONS)
            }
            request = self.draw_request(rng)
            rules = self.engaged(options, request)
            if rules is None:
                continue
            lines = [
                self.opening,
                line(self.request, f"{self.request[0]}{rng.randrange(100, 1000)}", request),
                *(line(self.option, name, has) for name, has in options.items()),
            ]
            (right,) = self.best(options, request, {rule.name for rule in self.rules})
            drawn.append({"input": "\n".join(lines), "expected": right, "rules": sorted(rules)})
        return max(drawn, key=lambda task: len(task["rules"]))


def line(word: str, name: str, fields: Fields) -> str:
    """The line of a request or an option."""
    return " | ".join([f"{word} {name}", *(f"{key}: {value}" for key, value in fields.items())])


@dataclass(slots=True)
class Choice:
    """What there is to choose from, and for what."""

    request: Fields
    options: dict[str, Fields] = field(default_factory=dict[str, Fields])


class Choosing(Stage[Choice]):
    """The scenario of a domain: one call, which picks an option after the rules that it obeys.

    Args:
        domain: The domain.
        critic: How critiques are written.
        editor: How prompts are rewritten.
    """

    def __init__(self, domain: Domain, critic: Critic, editor: Editor) -> None:
        decoys = [criterion.rule for criterion in domain.decoys]
        super().__init__(domain.name, domain.rules, critic, editor, decoys)
        self._domain = domain
        of_fields = r"\b{} (?P<{}>[A-Z]\d+)(?P<{}>(?: \| [a-z ]+: [\w ,-]*\w)+)"
        self._steps = re.compile(
            of_fields.format(domain.request, "request", "asks")
            + "|"
            + of_fields.format(domain.option, "option", "has")
            + rf"|\b{domain.option}: (?P<answer>[A-Z]\d+|none)\b"
            # The same as structured output, which may be quoted in JSON itself.
            + rf'|\\*"{domain.option.lower()}\\*": ?\\*"(?P<field>[A-Z]\d+|none)\\*"'
        )

    def seen(self, text: str) -> list[Seen[Choice]]:
        """The choices in a text: a request, option lines, an answer; more belongs to none.

        A request that comes again (each model call repeats the conversation) begins a new one.
        """
        seen: list[Seen[Choice]] = []
        for step in self._steps.finditer(unescaped(text)):
            if step["request"]:
                seen.append(Seen(Choice(dict(FIELD.findall(step["asks"])))))
            elif seen and not seen[-1].done:
                last = seen[-1]
                if step["option"]:
                    last.situation.options[step["option"]] = dict(FIELD.findall(step["has"]))
                    last.asked_at = step.start()
                else:
                    last.done, last.done_at = step["answer"] or step["field"], step.start()
        return seen

    def ways(self, situation: Choice, names: Collection[str]) -> Sequence[str]:
        """The options among which these rules cannot tell the best; `none` if none is left."""
        return self._domain.best(situation.options, situation.request, names) or ["none"]

    def say(self, way: str) -> Reply:
        """Name an option."""
        word = self._domain.option
        if not way:
            return Reply(f"I see nothing to choose from.\n{word}: none")
        return Reply(f"This is what suits best.\n{word}: {way}", fields={word.lower(): way})

    def broken(self, situation: Choice, done: str) -> list[str]:
        """The rules that a choice breaks: by the option's own line, else the first missed best."""
        has = situation.options.get(done)
        if has is None:
            return []
        criteria = self._domain.criteria
        broken = [c.rule.name for c in criteria if c.fits and not c.fits(has, situation.request)]
        observed = {c.rule.name for c in criteria if c.fits}
        for criterion in criteria:
            if broken:
                break
            observed.add(criterion.rule.name)
            if done not in self._domain.best(situation.options, situation.request, observed):
                broken.append(criterion.rule.name)
        return broken
