"""The input tokens of a prompt: as the service counted, or by its length."""

from __future__ import annotations

from typing import Any

from agl_core.discovery.recovery import SeenSlot, SeenText
from agl_core.discovery.slot_costs import slot_costs
from agl_core.rollouts import Rollout
from agl_core.spans.genai import (
    SLOT,
    TokenUsage,
    message_attributes,
    request_attributes,
    response_attributes,
)
from agl_core.spans.span import Span

PROMPT = "p" * 100


def call(number: int, *texts: str, tokens: int | None, slot: str | None = None) -> Span:
    roles = ["system", "user"]
    messages = [{"role": role, "content": t} for role, t in zip(roles, texts, strict=False)]
    attributes: dict[str, Any] = request_attributes("m") | message_attributes(messages, "input")
    if tokens is not None:
        attributes |= response_attributes(usage=TokenUsage(tokens, 1))
    if slot is not None:
        attributes[SLOT] = slot
    start = 10 * number
    return Span("chat m", "client", "t", str(number), None, start, start + 1, attributes)


def rollout(*spans: Span) -> Rollout:
    return Rollout("1", {}, "t", "t", "val", "succeeded", 1.0, spans=spans)


def seen(name: str, text: str, calls: int = 1) -> SeenSlot:
    return SeenSlot(name, "system", calls=calls, texts=[SeenText(text, None, 0, calls)])


def test_a_prompt_has_its_share_of_what_was_counted() -> None:
    rollouts = [rollout(call(1, PROMPT, "u" * 300, tokens=200))]
    assert slot_costs({"a": seen("a", PROMPT)}, rollouts) == {"a": (50.0, True)}
    # Per rollout, however many calls of it there are.
    twice = [rollout(*(call(n, PROMPT, "u" * 300, tokens=200) for n in (1, 2))), rollout()]
    assert slot_costs({"a": seen("a", PROMPT, 2)}, twice) == {"a": (50.0, True)}


def test_what_is_no_text_is_not_the_prompts() -> None:
    """The descriptions of tools are counted as well: another request shows what text takes."""
    rollouts = [rollout(call(1, PROMPT, tokens=900), call(2, "q" * 100, tokens=25))]
    costs = slot_costs({"a": seen("a", PROMPT), "b": seen("b", "q" * 100)}, rollouts)
    assert costs == {"a": (25.0, True), "b": (25.0, True)}


def test_where_nobody_counted_it_is_the_length() -> None:
    rollouts = [rollout(call(1, PROMPT, tokens=None)), rollout()]
    assert slot_costs({"a": seen("a", PROMPT, 4)}, rollouts) == {"a": (50.0, False)}


def test_of_two_agents_with_one_prompt_each_pays_for_its_own_calls() -> None:
    spans = [call(1, PROMPT, tokens=50, slot="a"), call(2, PROMPT, tokens=50, slot="b")]
    costs = slot_costs({"a": seen("a", PROMPT), "b": seen("b", PROMPT)}, [rollout(*spans)])
    assert costs == {"a": (50.0, True), "b": (50.0, True)}
