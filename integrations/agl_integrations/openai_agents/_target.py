"""Running an agent on inputs."""

from __future__ import annotations

import inspect
import os
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from typing import Any

from agents import Agent, Runner
from agents.models._openai_shared import get_default_openai_client

from agl_core.code_identity import code_parts
from agl_core.errors import ConfigurationError

__all__ = ["AgentTarget"]


class AgentTarget:
    """An agent that is run once an input, by `Runner.run`; the output is the `RunResult`.

    An input is what `Runner.run` takes: text, or a list of input items. To pass more, such as a
    context, it is a mapping of `Runner.run`'s arguments: ``{"input": ..., "context": ...}``.
    """

    is_async = True

    def __init__(self, agent: Agent[Any]) -> None:
        self.name: str = agent.name
        self._agent = agent

    def run(self, input: Any) -> Awaitable[Any]:
        """Run it once; see `agl_adapters.integration.Target.run`."""
        arguments = dict(input) if isinstance(input, Mapping) else {"input": input}
        self._check(arguments, input)
        return Runner.run(self._agent, **arguments)

    def parts(self) -> dict[str, str]:
        """Return each agent that can be reached by handoffs; see `code_parts`."""
        found: dict[str, object] = {}
        client: Any = get_default_openai_client()
        address = os.environ.get("OPENAI_BASE_URL") if client is None else client.base_url
        if address is not None:
            found["service"] = address
        waiting: list[Any] = [self._agent]
        while waiting:
            agent = waiting.pop()
            name = f"agent {getattr(agent, 'name', '') or getattr(agent, 'agent_name', '')}"
            if name in found:
                continue
            # Without its handoffs: the agents behind them are told by their own names.
            handoffs: Any = getattr(agent, "handoffs", ())
            found[name] = replace(agent, handoffs=[]) if isinstance(agent, Agent) else agent
            waiting += handoffs
        return code_parts(found)

    def answer(self, output: Any) -> Any:
        """Return the final output; see `agl_adapters.integration.Target.answer`."""
        return output.final_output

    def _check(self, arguments: Mapping[str, Any], given: Any) -> None:
        text_or_items = arguments.get("input")
        is_items = isinstance(text_or_items, list) and all(
            isinstance(item, Mapping) for item in text_or_items
        )
        if (isinstance(text_or_items, str) or is_items) and arguments.keys() <= _ARGUMENTS:
            return
        raise ConfigurationError(
            f"the agent {self.name!r} was given {type(given).__name__}: {given!r:.80}. Runner.run "
            "takes text, a list of input items ({'role': 'user', 'content': ...}), or a mapping of "
            f"its arguments with one of these as 'input' ({', '.join(sorted(_ARGUMENTS))}); "
            "make it of the task with wrap(..., input=...)"
        )


_ARGUMENTS = inspect.signature(Runner.run).parameters.keys() - {"starting_agent"}
