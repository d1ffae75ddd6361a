"""Replies to an optimizer's calls: the critique of transcripts, the rewrite of a prompt, or both.

The simulated model understands no language; it recognizes these calls by their form, in this order.
A request that offers tools is an agent's.

1. *Rewrite*: its texts hold a suggestion of an earlier critique (`The prompt should say: ...`) and
   a prompt to change (see `agl_adapters.testing.prompts`), and they do not ask to write a critique:
   one that is asked for may be told of earlier suggestions, such as those that failed.
2. *Critique*: one message holds whole transcripts (a request, what the tools gave, an answer).
3. *Reflection*, as GEPA's: a critique that also holds a prompt and a sentence that asks to write,
   provide, propose or return a new, improved or revised prompt or instruction. It is answered by
   the rewrite that its critique would lead to.
4. *Rewrite* after a critique that suggested nothing: a prompt to change, and the words rewrite,
   revise, edit, improve or update with prompt or instruction after them.
5. Anything else is an agent's call.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from agl_adapters.testing.calls import Call, Reply
from agl_adapters.testing.prompts import (
    FoundPrompt,
    asked_for,
    find_prompts,
    prompt_in_force,
    render_prompts,
)
from agl_adapters.testing.rules import Breach, Rule
from agl_adapters.testing.scenario import Scenario

__all__ = ["optimizer_reply"]

SUGGESTION = re.compile(
    r"(?:In prompt \[(?P<slot>[^\]]+)\] \([^)]*\): )?"
    r"The prompt should say: (?P<sentence>[^\n\\\"<]+)"
)
NEW_PROMPT = re.compile(
    r"(?:^|[.!?:]\s+|\n[\s\-*\d.)]*|\b(?:task|job) is to\s+|\bplease\s+|\bthen,?\s+)"
    r"(?:re)?(?:write|provide|propose|return|output|produce|give|draft)\b"
    r"[^.\n]{0,60}\b(?:new|improved|revised|updated|better|rewritten)\b[^.\n]{0,30}"
    r"\b(?:instructions?|prompts?)\b",
    re.IGNORECASE,
)
WRITE_CRITIQUE = re.compile(
    r"(?:^|[.!?:]\s+|\n[\s\-*\d.)]*)write\b[^.\n]{0,40}\bcritique\b", re.IGNORECASE
)
REWRITE = re.compile(
    r"\b(?:re-?write|revise|edit|improve|update)\b[^.\n]{0,40}\b(?:instructions?|prompts?)\b",
    re.IGNORECASE,
)
FENCED_REPLY = re.compile(r"(?:within|in|inside|between)[^.\n]{0,20}```", re.IGNORECASE)
SEPARATOR = "\n\n"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A sentence that a critique suggests, and the prompt for which, if it said so."""

    sentence: str
    slot: str | None = None


def optimizer_reply(call: Call, scenario: Scenario, rng: random.Random) -> Reply | None:
    """The reply to a critique, rewrite or reflection call, None for an agent's call.

    Args:
        call: The call.
        scenario: Whose rules are suggested and whose transcripts are read. One without rules has no
            such calls.
        rng: The draws of this call.
    """
    if not scenario.rules or call.tools:
        return None
    text = SEPARATOR.join(message.text for message in call.messages)
    prompts = find_prompts(text)
    suggestions = [Suggestion(m["sentence"].strip(), m["slot"]) for m in SUGGESTION.finditer(text)]
    breaches = _breaches(call, scenario)
    critique = breaches is not None and WRITE_CRITIQUE.search(text)
    if suggestions and prompts and not critique:
        return _rewrite(text, prompts, suggestions, scenario, rng)
    if breaches is not None:
        named = scenario.critic.suggest(breaches, scenario.rules, rng)
        if prompts and NEW_PROMPT.search(text):
            suggestions = [Suggestion(rule.sentence) for rule in named]
            return _rewrite(text, prompts, suggestions, scenario, rng)
        leads = _leads(named, breaches, text, prompts)
        return Reply(scenario.critic.write(list(zip(named, leads, strict=True)), rng))
    if prompts and REWRITE.search(text):
        return _rewrite(text, prompts, [], scenario, rng)
    return None


def _breaches(call: Call, scenario: Scenario) -> list[Breach] | None:
    """What the first message with transcripts shows, at positions in the joined text."""
    offset = 0
    for message in call.messages:
        breaches = scenario.breaches(message.text)
        if breaches is not None:
            return [Breach(breach.rule, offset + breach.position) for breach in breaches]
        offset += len(message.text) + len(SEPARATOR)
    return None


def _rewrite(
    text: str,
    prompts: Sequence[FoundPrompt],
    suggestions: Sequence[Suggestion],
    scenario: Scenario,
    rng: random.Random,
) -> Reply:
    """The prompts that are asked for, each with what was suggested for it or for none by name."""
    edited: list[tuple[FoundPrompt, str]] = []
    for prompt in asked_for(prompts, SUGGESTION.sub("", text)):
        sentences = [
            suggestion.sentence
            for suggestion in suggestions
            if prompt.name is None or suggestion.slot in (None, prompt.name)
        ]
        edited.append((prompt, scenario.editor.edit(prompt.text, sentences, scenario.rules, rng)))
    fenced = FENCED_REPLY.search(text) is not None
    return Reply(scenario.editor.wrap(render_prompts(edited), fenced, rng))


def _leads(
    named: Sequence[Rule], breaches: Sequence[Breach], text: str, prompts: Sequence[FoundPrompt]
) -> list[str]:
    """For each rule, where there are several prompts: which was in force when it was broken."""
    if len(prompts) < 2:
        return [""] * len(named)
    first = {breach.rule: breach.position for breach in reversed(breaches)}
    slots = [prompt_in_force(prompts, text, first[rule.name]) for rule in named]
    return [
        f"In prompt [{slot}] (about {rule.about}): " if slot else f"About {rule.about}: "
        for rule, slot in zip(named, slots, strict=True)
    ]
