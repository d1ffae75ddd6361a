"""What a prompt costs: the input tokens that its text takes in the requests of a rollout."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from agl_core import genai
from agl_core.messages import Message
from agl_core.rollouts import Rollout
from agl_core.spans import Span

__all__ = ["CHARS_PER_TOKEN", "slot_tokens"]

CHARS_PER_TOKEN = 4
"""The usual length of a token of English, where nobody counted."""


def slot_tokens(
    name: str, texts: Mapping[str, Collection[str]], calls: int, rollouts: Sequence[Rollout]
) -> tuple[float, bool]:
    """Return the input tokens per rollout of one slot, and whether a service counted them.

    A service counts whole requests. A slot's share of one is the share of its text in all text of
    it, which is a little too much where there are tools, whose descriptions are counted as well.
    Where no request of the slot has a count, it is the length of its texts by `CHARS_PER_TOKEN`.

    Args:
        name: The slot.
        texts: The texts that were sent, by slot: of all slots.
        calls: How many model calls used the slot, in all rollouts.
        rollouts: The rollouts.
    """
    own = texts[name]
    if not own or not rollouts:
        return 0.0, False
    shares = [
        share
        for rollout in rollouts
        for span in genai.model_calls(rollout.spans)
        if (share := _share(name, texts, span)) is not None
    ]
    if shares:
        return sum(shares) / len(rollouts), True
    length = sum(map(len, own)) / len(own)
    return calls * length / CHARS_PER_TOKEN / len(rollouts), False


def _share(name: str, texts: Mapping[str, Collection[str]], span: Span) -> float | None:
    """Return the tokens of a request that are the slot's; None if it has none, or no count."""
    counted = genai.usage(span).input_tokens
    messages = genai.input_messages(span)
    total = sum(map(_length, messages))
    if not counted or not total:
        return None
    sent = next((text for text in texts[name] if any(text in m["content"] for m in messages)), None)
    if sent is None:
        return None
    # Agents may have the same prompt; the call says whose it is.
    slot = genai.slot(span)
    if slot is not None and slot != name and sent in texts.get(slot, ()):
        return None
    return counted * min(1.0, len(sent) / total)


def _length(message: Message) -> int:
    return len(message["content"]) + sum(
        len(call["name"]) + len(call["arguments"]) for call in message.get("tool_calls", ())
    )
