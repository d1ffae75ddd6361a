"""The prompt hook: an agent's instructions, at each turn, wherever it runs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from agents import Agent

from agl_adapters.injection import inject, slot_name
from agl_adapters.places import place_of
from agl_core.prompts.binding import Binding, current_binding
from agl_integrations.openai_agents._patches import replaced
from agl_integrations.openai_agents._spans import SpanSource

__all__ = ["prompt_hook"]


@contextmanager
def prompt_hook(spans: SpanSource) -> Generator[None]:
    """Pass the system prompt of every agent through its slot, for the block.

    The SDK asks an agent for it at each turn: also after a handoff, in an agent that is a tool or a
    guardrail, in a streamed run, and where instructions are made by a function. A prompt stored at
    OpenAI (`Agent.prompt`) is not touched.

    Args:
        spans: Told which slot a turn uses.
    """
    prompts = _Prompts(spans)
    with replaced(Agent, "get_system_prompt", prompts.hooked):
        yield


class _Prompts:
    def __init__(self, spans: SpanSource) -> None:
        self._spans = spans
        self._ambiguous: set[str] = set()

    def hooked(self, get_system_prompt: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(get_system_prompt)
        async def hooked(agent: Agent[Any], run_context: Any) -> str | None:
            text = await get_system_prompt(agent, run_context)
            binding = current_binding()
            return text if binding is None else self._sent(agent, text, binding)

        return hooked

    def _sent(self, agent: Agent[Any], text: str | None, binding: Binding) -> str | None:
        """Return the system prompt to send in the place of an agent's own."""
        slot = slot_name("openai_agents", agent.name, "instructions")
        if not (text or slot in binding.resources):
            return text
        use = binding.slots.get(slot)
        if use is not None and use.original != text and isinstance(agent.instructions, str):
            self._warn(agent.name, slot)
        made_by = agent.instructions
        sent = inject(slot, text or "", place=place_of(made_by) if callable(made_by) else "")
        self._spans.note_prompt(slot, sent)
        return sent

    def _warn(self, name: str, slot: str) -> None:
        """Say, once, that what should be two slots is one."""
        if name not in self._ambiguous:
            self._ambiguous.add(name)
            warnings.warn(
                f"in one rollout, agents called {name!r} had different instructions. They share "
                f"the slot {slot}, in which at most one prompt can be optimized: give each agent a "
                "name of its own",
                RuntimeWarning,
                stacklevel=2,
            )
