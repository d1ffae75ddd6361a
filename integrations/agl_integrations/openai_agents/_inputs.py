"""The prompt hook for user messages: what an agent's model is sent as the user's.

It stands before the model that the SDK calls, not before the runner. So the SDK's own record of the
conversation, which sessions and stored conversations go by, is what the program has.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any

import wrapt
from agents.run_internal import run_loop

from agl_adapters.injection import inject, is_prompt, numbered, slot_name, takes_user_messages
from agl_adapters.request_texts import with_texts
from agl_core.prompts.slots import Role
from agl_integrations.openai_agents._patches import replaced
from agl_integrations.openai_agents._spans import SpanSource

__all__ = ["input_hook"]


def input_hook(spans: SpanSource) -> AbstractContextManager[None]:
    """Pass the user messages of every agent through its slots, for the block.

    Args:
        spans: Told which slot a turn uses, if the agent has no instructions.
    """

    def hooked(get_model: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(get_model)
        def model_of(agent: Any, *args: Any, **kwargs: Any) -> Any:
            model = get_model(agent, *args, **kwargs)
            return _Model(model, agent.name, spans) if takes_user_messages() else model

        return model_of

    return replaced(run_loop, "get_model", hooked)


class _Model(wrapt.ObjectProxy[Any]):
    """A model of the SDK's for one turn of an agent."""

    def __init__(self, model: Any, agent: str, spans: SpanSource) -> None:
        super().__init__(model)
        self._self_agent = agent
        self._self_spans = spans

    def get_response(self, system_instructions: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
        sent = self._self_sent(input)
        return self.__wrapped__.get_response(system_instructions, sent, *args, **kwargs)

    def stream_response(
        self, system_instructions: Any, input: Any, *args: Any, **kwargs: Any
    ) -> Any:
        sent = self._self_sent(input)
        return self.__wrapped__.stream_response(system_instructions, sent, *args, **kwargs)

    def _self_sent(self, given: Any) -> Any:
        def put_in(role: Role, number: int, text: str) -> str:
            slot = slot_name("openai_agents", self._self_agent, numbered(role, number))
            if is_prompt(slot):
                self._self_spans.note_slot(slot)
            return inject(slot, text)

        return with_texts({"input": given}, {"user"}, put_in)["input"]
