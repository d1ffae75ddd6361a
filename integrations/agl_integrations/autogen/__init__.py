"""The AutoGen integration: agents and teams of autogen-agentchat, and any function that runs them.

A model call has one span, whichever model client makes it. A stream has a count of tokens if the
program asks for one (``include_usage``); the tools of an MCP workbench have spans without arguments
and results. A `run_stream` that is left before its end makes OpenTelemetry log that a context could
not be detached, as AutoGen's own spans do.

Not covered: agents whose prompt is kept by a service (`OpenAIAssistantAgent`, `AzureAIAgent`),
runtimes that spread over processes (autogen-ext's gRPC runtime), and the descriptions of agents,
tools and handoffs.

Importing this module does not import AutoGen.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from agl_adapters.imports import when_imported

if TYPE_CHECKING:
    from agl_adapters.integration import Target
    from agl_core.tracing.tracing import Tracing

__all__ = ["AutoGenIntegration"]


class AutoGenIntegration:
    """Adapts AutoGen's agents and teams.

    Slots are named after agents: ``autogen:writer#system``, of a `SocietyOfMindAgent`
    ``autogen:society#instruction`` and ``autogen:society#response_prompt``. Those of the prompts by
    which a team decides who speaks are named after its class:
    ``autogen:SelectorGroupChat#selector_prompt``,
    ``autogen:MagenticOneGroupChat#progress_ledger_prompt``. An agent of one's own that calls a
    model client has a slot for its first system message, and ``autogen:mine#system.2`` for the
    second; an agent of autogen-core is named after the type that it is registered under. What calls
    a model client and is no agent is named after its function: ``autogen:my_app.look_up#system``.
    What the program sends an agent as a user's message and is a prompt all the same is
    ``autogen:writer#user``, the second such message ``#user.2``. MagenticOne sends all its prompts
    as user messages.

    An `AssistantAgent` without a system message has a slot only while a prompt is bound to it. Two
    agents of one name share a slot: where their prompts differ, one is optimized and the other left
    alone.
    """

    name = "autogen"
    packages: tuple[str, ...] = ("autogen_agentchat", "autogen_core", "autogen_ext")

    def __init__(self) -> None:
        self._used: WeakValueDictionary[int, Any] = WeakValueDictionary()

    def recognizes(self, target: object) -> bool:
        """Take chat agents and teams."""
        base = sys.modules.get("autogen_agentchat.base")
        return base is not None and isinstance(target, base.ChatAgent | base.Team)

    def adapt(self, target: Any) -> Target:
        """Make an agent or a team runnable on inputs.

        Raises:
            ConfigurationError: If it is a team that is running.
        """
        from agl_integrations.autogen._target import TaskTarget

        return TaskTarget(target, self._used)

    @contextmanager
    def hooks(self, tracing: Tracing) -> Generator[None]:
        """Install the prompt hooks and the span source for the block.

        Raises:
            MissingDependencyError: If AutoGen is not installed.
            UnsupportedVersionError: If it is not the version that the hooks were made for.
        """
        from agl_adapters.requirements import check_all
        from agl_integrations.autogen._compat import REQUIREMENTS

        check_all(REQUIREMENTS)
        from agl_integrations.autogen._contexts import ContextHook
        from agl_integrations.autogen._failures import FailureHook
        from agl_integrations.autogen._models import ModelHook
        from agl_integrations.autogen._patches import patched
        from agl_integrations.autogen._prompts import OPENAI_AGENT, PromptHook
        from agl_integrations.autogen._spans import SpanSource

        prompts = PromptHook()
        hooks = (
            prompts,
            ModelHook(tracing),
            SpanSource(tracing),
            ContextHook(),
            FailureHook(),
        )
        with patched() as patches:
            for hook in hooks:
                hook.install(patches)
            with when_imported([OPENAI_AGENT], partial(prompts.install_in_openai_agent, patches)):
                yield
