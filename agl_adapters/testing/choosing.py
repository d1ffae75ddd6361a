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

from agl_adapters.testing.calls import Call, Reply, draws
from agl_adapters.testing.critic import Critic
from agl_adapters.testing.editor import Editor
from agl_adapters.testing.room_text import unescaped
from agl_adapters.testing.rules import Breach, Rule, obeyed

__all__ = ["Choosing", "Criterion", "Domain", "Fields", "amount", "line"]

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
class _Run:
    """What a text shows of one run; nothing chosen yet, or where it is chosen."""

    request: Fields
    options: dict[str, Fields] = field(default_factory=dict[str, Fields])
    chosen: str = ""
    at: int = -1


class Choosing:
    """The scenario of a domain: one call, which picks an option after the rules that it obeys.

    Args:
        domain: The domain.
        critic: How critiques are written.
        editor: How prompts are rewritten.
    """

    def __init__(self, domain: Domain, critic: Critic, editor: Editor) -> None:
        self.name = domain.name
        self.rules: Sequence[Rule] = domain.rules
        self.critic = critic
        self.editor = editor
        self._domain = domain
        self._decoys = tuple(criterion.rule for criterion in domain.decoys)
        of_fields = r"\b{} (?P<{}>[A-Z]\d+)(?P<{}>(?: \| [a-z ]+: [\w ,-]*\w)+)"
        self._steps = re.compile(
            of_fields.format(domain.request, "request", "asks")
            + "|"
            + of_fields.format(domain.option, "option", "has")
            + rf"|\b{domain.option}: (?P<answer>[A-Z]\d+|none)\b"
        )

    def asked_at(self, text: str) -> int:
        """Where in a text the last option is listed; -1 if none is."""
        places = [step.start() for step in self._steps.finditer(text) if step["option"]]
        return max(places, default=-1)

    def reply(self, call: Call, rng: random.Random) -> Reply:
        """Name an option."""
        word = self._domain.option
        runs = self._runs("\n".join(message.text for message in call.messages))
        if not runs or not runs[-1].options:
            return Reply(f"I see nothing to choose from.\n{word}: none")
        names = obeyed((*self.rules, *self._decoys), call.prompt, rng)
        best = self._domain.best(runs[-1].options, runs[-1].request, names)
        chosen = rng.choice(best) if best else "none"
        return Reply(f"This is what suits best.\n{word}: {chosen}", fields={word.lower(): chosen})

    def breaches(self, text: str) -> list[Breach] | None:
        """The rules that the runs in a text visibly break."""
        whole = [run for run in self._runs(text) if run.options and run.chosen]
        return [breach for run in whole for breach in self._broken(run)] if whole else None

    def _runs(self, text: str) -> list[_Run]:
        """The runs in a text: a request, option lines, an answer; more of either belongs to none.

        A request that comes again (each model call repeats the conversation) begins a new run.
        """
        runs: list[_Run] = []
        for step in self._steps.finditer(unescaped(text)):
            if step["request"]:
                runs.append(_Run(dict(FIELD.findall(step["asks"]))))
            elif runs and not runs[-1].chosen:
                if step["option"]:
                    runs[-1].options[step["option"]] = dict(FIELD.findall(step["has"]))
                else:
                    runs[-1].chosen, runs[-1].at = step["answer"], step.start()
        return runs

    def _broken(self, run: _Run) -> list[Breach]:
        """The rules that a choice breaks, given what the run shows and nothing else."""
        has = run.options.get(run.chosen)
        if has is None:
            return []
        criteria = self._domain.criteria
        broken = [c.rule.name for c in criteria if c.fits and not c.fits(has, run.request)]
        observed = {c.rule.name for c in criteria if c.fits}
        for criterion in criteria:
            if broken:
                break
            observed.add(criterion.rule.name)
            if run.chosen not in self._domain.best(run.options, run.request, observed):
                broken.append(criterion.rule.name)
        return [Breach(name, run.at) for name in broken]
