"""The OpenAI Agents SDK integration: agents, and any function that runs them.

Rollouts have spans also where the program has disabled the SDK's tracing for good
(``OPENAI_AGENTS_DISABLE_TRACING``, `set_tracing_disabled`). A run with
``RunConfig(tracing_disabled=True)`` has those of the client's instrumentor: model calls, without
their slots, and no agents and tools. Texts are missing from the spans of a run with
``trace_include_sensitive_data=False``. A trace provider of the user's own gets no traces of
rollouts; trace processors do.

Not covered: realtime and voice agents, prompts stored at OpenAI (`Agent.prompt`), and classes
derived from `Agent` whose ``get_system_prompt`` does not call that of `Agent`. The prompt of a
`SandboxAgent` is the whole text that the SDK composes for it.

Importing this module does not import the SDK.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agl_adapters.integration import Target
    from agl_core.tracing.tracing import Tracing
    from agl_integrations.openai_agents._connections import LoopConnections

__all__ = ["OpenAIAgentsIntegration"]


class OpenAIAgentsIntegration:
    """Adapts agents of the OpenAI Agents SDK.

    Slots are named after agents: ``openai_agents:billing#instructions`` is the system prompt of the
    agent called ``billing``, wherever it runs: as the first agent, after a handoff, as a tool, in a
    guardrail. An agent without instructions has a slot only while a prompt is bound to it. What the
    program sends an agent as a user's message and is a prompt all the same is
    ``openai_agents:billing#user``, the second such message ``#user.2``.
    """

    name = "openai_agents"
    packages: tuple[str, ...] = ("agents",)

    def __init__(self) -> None:
        self._connections: LoopConnections | None = None

    def recognizes(self, target: object) -> bool:
        """Take the SDK's agents."""
        agent = getattr(sys.modules.get("agents"), "Agent", None)
        return isinstance(agent, type) and isinstance(target, agent)

    def adapt(self, target: Any) -> Target:
        """Make an agent runnable on inputs."""
        from agl_integrations.openai_agents._target import AgentTarget

        return AgentTarget(target)

    @contextmanager
    def hooks(self, tracing: Tracing) -> Generator[None]:
        """Install the prompt hook and the span source for the block.

        In rollouts, nothing is uploaded to OpenAI, also where the program uses the SDK's default
        trace exporter, and each event loop has HTTP connections of its own. Outside of them, and
        in `use_prompts` blocks, traces and connections are as the program has them.

        Raises:
            MissingDependencyError: If the SDK is not installed.
            UnsupportedVersionError: If it lacks what the hooks stand on.
        """
        if _is_another_package(sys.modules.get("agents")):
            yield
            return
        from agl_adapters.requirements import check_all
        from agl_integrations.openai_agents._compat import REQUIREMENTS

        check_all(REQUIREMENTS)
        from agl_integrations.openai_agents._calls import covered_calls
        from agl_integrations.openai_agents._connections import LoopConnections
        from agl_integrations.openai_agents._inputs import input_hook
        from agl_integrations.openai_agents._prompts import prompt_hook
        from agl_integrations.openai_agents._spans import SpanSource
        from agl_integrations.openai_agents._traces import rollout_traces

        if self._connections is None:
            self._connections = LoopConnections()
        spans = SpanSource(tracing)
        with ExitStack() as stack:
            stack.enter_context(rollout_traces(tracing, spans))
            stack.enter_context(spans.tool_call_ids())
            stack.enter_context(covered_calls())
            stack.enter_context(prompt_hook(spans))
            stack.enter_context(input_hook(spans))
            stack.enter_context(self._connections.installed(tracing))
            yield


def _is_another_package(module: object) -> bool:
    """Tell whether ``agents`` is some other package than the SDK: many programs have their own."""
    return module is not None and not (hasattr(module, "Agent") and hasattr(module, "Runner"))
