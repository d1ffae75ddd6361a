"""The conformance suite: a plugin's test subclasses it, and gets a test for all that is promised.

A complete test of an integration for a framework called ``toyagents``, in which agents are run on
text::

    from toyagents import Agent

    from agl_adapters.testing.conformance import IntegrationConformance, Program
    from agl_toyagents import ToyAgentsIntegration


    def add(a: int, b: int) -> int:
        return a + b


    class TestToyAgents(IntegrationConformance):
        integration = ToyAgentsIntegration

        @classmethod
        def programs(cls):
            return [
                Program(
                    "agent with a tool",
                    build=lambda: Agent("adder", "You add.", tools=[add]),
                    prompts={"toyagents:adder#instructions": "You add."},
                    words="CALL:add",  # makes the simulated model call that tool
                    tools=["add"],
                ),
            ]

The programs talk to a simulated model over HTTP, without a key or a network: ``OPENAI_BASE_URL``
and ``OPENAI_API_KEY`` are set while they are built and run. `Program` has the other things that can
be said of one. To see what holds for which framework as a table::

    python -m agl_adapters.testing.conformance tests/test_toyagents.py

It needs pytest, and the extra `simulate`. It costs about a dozen runs of each program.
"""

import pytest

# Before the module is imported: its assertions then say what they compared.
pytest.register_assert_rewrite("agl_adapters.testing.conformance.suite")

from agl_adapters.testing.conformance.programs import Program  # noqa: E402
from agl_adapters.testing.conformance.suite import IntegrationConformance  # noqa: E402

__all__ = ["IntegrationConformance", "Program"]
