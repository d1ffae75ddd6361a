"""What prompts cost: the input tokens that their texts take in the requests of a rollout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from agl_core.discovery.recovery import SeenSlot
from agl_core.rollouts import Rollout
from agl_core.spans import genai
from agl_core.spans.messages import Message
from agl_core.spans.model_calls import model_calls
from agl_core.spans.span import Span

__all__ = ["CHARS_PER_TOKEN", "SlotCost", "slot_costs"]

CHARS_PER_TOKEN = 4
"""The usual length of a token of English, where nobody counted."""


class SlotCost(NamedTuple):
    """Input tokens of one slot per rollout."""

    tokens: float
    counted: bool
    """Whether a service's counts say so; see `slot_costs`."""


def slot_costs(seen: Mapping[str, SeenSlot], rollouts: Sequence[Rollout]) -> dict[str, SlotCost]:
    """Return what the prompt of each slot costs per rollout, on average.

    A service counts whole requests, and in them tools and other things that are no text of a
    message. So its tokens per character are taken from the request to the same model in which they
    are fewest, and a prompt costs so many for each of its characters. Where no request of a slot
    has a count, it costs the length of its texts by `CHARS_PER_TOKEN`.

    Args:
        seen: What was seen in all slots.
        rollouts: The rollouts in which it was seen.
    """
    calls = [span for rollout in rollouts for span in model_calls(rollout.spans)]
    requests = [(span, genai.input_messages(span)) for span in calls]
    densities: dict[str | None, float] = {}
    for span, messages in requests:
        density = _density(span, messages)
        if density is not None:
            model = genai.request_model(span)
            densities[model] = min(density, densities.get(model, density))
    costs: dict[str, SlotCost] = {}
    for name, slot in seen.items():
        counted = [
            length * densities[genai.request_model(span)]
            for span, messages in requests
            if genai.request_model(span) in densities
            and (length := _length_in(span, messages, slot, seen))
        ]
        if counted:
            costs[name] = SlotCost(sum(counted) / len(rollouts), True)
        else:
            length = sum(text.calls * len(text.text) for text in slot.texts)
            costs[name] = SlotCost(length / CHARS_PER_TOKEN / max(1, len(rollouts)), False)
    return costs


def _density(span: Span, messages: Sequence[Message]) -> float | None:
    """Return the tokens per character of a request, if they were counted."""
    tokens = genai.usage(span).input_tokens
    length = sum(map(_length, messages))
    return tokens / length if tokens and length else None


def _length_in(
    span: Span, messages: Sequence[Message], slot: SeenSlot, seen: Mapping[str, SeenSlot]
) -> int:
    """Return the length of the text of a slot that a request has, or 0."""
    for text in slot.distinct:
        if any(text in message["content"] for message in messages):
            # Agents may have the same prompt; the call says whose it is.
            owner = genai.slot(span)
            is_anothers = owner not in (None, slot.name) and owner in seen
            return 0 if is_anothers and text in seen[str(owner)].distinct else len(text)
    return 0


def _length(message: Message) -> int:
    return len(message["content"]) + sum(
        len(call["name"]) + len(call["arguments"]) for call in message.get("tool_calls", ())
    )
