"""The integration of toyagents: what `agl-adapters` needs to know of it.

Slots are named after agents: ``toyagents:adder#instructions``. Importing this module does not
import the framework.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from agl_adapters.integration import Target
from agl_core.errors import ConfigurationError
from agl_core.tracing.tracing import Tracing


class ToyAgentsIntegration:
    """Adapts agents of toyagents."""

    name = "toyagents"
    packages = ("toyagents",)

    def recognizes(self, target: object) -> bool:
        """Take agents. Where the framework has not been imported, nothing is one."""
        framework = sys.modules.get("toyagents")
        return framework is not None and isinstance(target, framework.Agent)

    def adapt(self, target: Any) -> Target:
        """Make an agent runnable on texts."""
        return AgentTarget(target)

    @contextmanager
    def hooks(self, tracing: Tracing) -> Generator[None]:
        """Install the hooks for the block."""
        from _agl_toyagents_hooks import hooked

        with hooked(tracing):
            yield


class AgentTarget:
    """An agent that is run on texts. It keeps nothing between runs, so all may share it."""

    is_async = False

    def __init__(self, agent: Any) -> None:
        self.name: str = agent.name
        self._agent = agent

    def run(self, input: Any) -> str:
        """Run it once."""
        if not isinstance(input, str):
            raise ConfigurationError(
                f"{self.name!r} takes text and was given {type(input).__name__}: {input!r:.80}; "
                "make it of the task with wrap(..., input=...)"
            )
        return self._agent.run(input)

    def answer(self, output: str) -> str:
        """Return the output, which is text."""
        return output
