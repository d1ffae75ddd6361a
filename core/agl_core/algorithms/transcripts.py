"""Transcripts for a critic: what happened in a rollout, and which prompt was in force where."""

from __future__ import annotations

from collections.abc import Sequence

from agl_core.prompts.matching import lift
from agl_core.prompts.templates import PromptTemplate, Resources
from agl_core.rollouts import Rollout
from agl_core.spans.messages import Message
from agl_core.spans.span import Span
from agl_core.tracing.traces import Step, TraceToMessages, shortened, steps

__all__ = ["transcript", "unused_prompts"]

_MAX_CHARS = 20_000
_AS_ABOVE = "[the prompt, as it stands above]"


def transcript(spans: Sequence[Span], resources: Resources, max_chars: int = _MAX_CHARS) -> str:
    """Return the conversation of a rollout as text.

    Where there are several prompts, each message of a call that was sent one of them has that
    prompt's name in its title, and the prompt itself is not told again.

    Args:
        spans: The spans of one rollout.
        resources: The prompts.
        max_chars: How long all texts may be together, in characters; see `TraceToMessages`.
    """
    told: list[Message] = []
    for step in steps(spans):
        name = _prompt_of(step, resources) if len(resources) > 1 else None
        told += step.messages if name is None else _attributed(step, name, resources)
    return TraceToMessages.to_text(shortened(told, max_chars))


def unused_prompts(rollouts: Sequence[Rollout], resources: Resources) -> list[str]:
    """Return the prompts that none of the rollouts used."""
    used = {name for rollout in rollouts for name in (*rollout.slots, *rollout.reads)}
    return [name for name in resources if name not in used]


def _attributed(step: Step, name: str, resources: Resources) -> list[Message]:
    """Return the messages of a call under the name of its prompt, without the prompt's text."""
    own = resources[name]
    # With run-time values in it, what was sent says more than the template.
    text = "" if own.placeholders() else own.render({}).strip()
    told: list[Message] = []
    for message in step.messages:
        named = message.copy()
        if message["role"] != "tool":
            named["name"] = name
        content = message["content"]
        if text and (content.strip() == text or (message["role"] == "system" and text in content)):
            named["content"] = content.replace(text, _AS_ABOVE)
        told.append(named)
    return told


def _prompt_of(step: Step, resources: Resources) -> str | None:
    """Return the prompt that a model call was sent: its slot's, else the one that its text is of.

    A function that is handed its prompts sends them from slots that have other names.
    """
    if step.slot in resources:
        return step.slot
    texts = [m["content"] for m in step.sent if m["role"] not in ("assistant", "tool")]
    for fits in (_is_all_of, _is_part_of):
        sent = [n for n, own in resources.items() if any(fits(own, text) for text in texts)]
        if sent:
            return sent[0] if len(sent) == 1 else None
    return None


def _is_all_of(prompt: PromptTemplate, text: str) -> bool:
    return lift(prompt, text) is not None


def _is_part_of(prompt: PromptTemplate, text: str) -> bool:
    return bool(prompt.raw.strip()) and prompt.raw in text
