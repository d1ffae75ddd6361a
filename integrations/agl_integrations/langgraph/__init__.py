"""The LangGraph and LangChain integration: compiled graphs, prebuilt agents, chains.

How slots are named:

- After the nodes that lead to the model call: ``langgraph:planner#system``, in a subgraph
  ``langgraph:team/planner#system``. A tool, a task of the functional API, and an agent that was
  given a name are parts of the path like nodes: ``langgraph:tools/research/model#system``.
- Where a node makes several calls, their places in its code tell them apart: ``planner.2`` is the
  second call of a model, chain or graph in the node's function, as it stands in the source;
  ``planner.ask`` is the one in the function ``ask`` that it calls; ``planner.pro`` the branch
  ``pro`` of a parallel chain, ``planner.step2`` the second model of a sequence;
  ``planner.route`` the function ``route`` of a conditional edge. A prompt that is bound to the
  plain name serves them too, if they have none of their own and their text fits.
- Of several graphs that one function calls, the second has the function's name in front:
  ``langgraph:my_app.pipeline.2/model#system``; unless it was given a name of its own.
- Outside of graphs, after a chain's name if it was given one (``run_name``), else after the
  function that makes the call: ``langgraph:my_app.answer#system``. An unnamed chain that is run by
  the trainer itself is ``langgraph:chain#system``, and gets its prompt in any function.
- The first system text of a call is ``#system``, the second ``#system.2``: another message, or
  another text part of the same one. What the program sends as a user's message and is a prompt all
  the same is ``#user``, ``#user.2`` in the same way.

Not covered: what a program runs in threads that it starts by `threading.Thread` or in other
processes; models that complete text instead of chatting; graphs on other machines (`RemoteGraph`).

Importing this module imports neither framework.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from agl_core.errors import ConfigurationError

if TYPE_CHECKING:
    from agl_adapters.integration import Target
    from agl_core.tracing.tracing import Tracing

__all__ = ["LangGraphIntegration"]


class LangGraphIntegration:
    """Adapts LangGraph graphs and LangChain runnables. The module says how slots are named."""

    name = "langgraph"
    packages: tuple[str, ...] = ("langgraph", "langchain_core")

    def recognizes(self, target: object) -> bool:
        """Take compiled graphs, other runnables, and graphs that their author forgot to compile."""
        return _is_instance(target, "langchain_core.runnables", "Runnable") or _is_instance(
            target, "langgraph.graph.state", "StateGraph"
        )

    def adapt(self, target: Any) -> Target:
        """Make a compiled graph or another runnable runnable on inputs.

        Raises:
            ConfigurationError: If the graph was not compiled.
        """
        if _is_instance(target, "langgraph.graph.state", "StateGraph"):
            raise ConfigurationError(
                "this StateGraph was not compiled: give wrap() the result of its .compile()"
            )
        from agl_integrations.langgraph._target import RunnableTarget

        return RunnableTarget(target)

    @contextmanager
    def hooks(self, tracing: Tracing) -> Generator[None]:
        """Install the prompt hook and the span source for the block.

        Raises:
            MissingDependencyError: If LangChain's core is not installed.
            UnsupportedVersionError: If it lacks what the hooks stand on.
        """
        from agl_adapters.requirements import check_all
        from agl_integrations.langgraph._compat import REQUIREMENTS

        check_all(REQUIREMENTS)
        from agl_integrations.langgraph._prompts import PromptHook
        from agl_integrations.langgraph._runs import RunTree
        from agl_integrations.langgraph._sites import CallSites
        from agl_integrations.langgraph._spans import SpanSource
        from agl_integrations.langgraph._templates import template_hook

        runs, sites = RunTree(), CallSites()
        with (
            template_hook(),
            SpanSource(runs, sites, tracing).installed(),
            PromptHook(runs, sites, tracing).installed(),
        ):
            yield


def _is_instance(target: object, module: str, name: str) -> bool:
    """Tell whether it is an instance of a class of a module; of one not imported nothing is."""
    loaded = sys.modules.get(module)
    cls = getattr(loaded, name, None)
    return isinstance(cls, type) and isinstance(target, cls)
