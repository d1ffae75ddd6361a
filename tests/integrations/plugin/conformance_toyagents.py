"""The plugin's own test. It is run where the plugin is installed: see test_plugin.py."""

from collections.abc import Callable, Sequence
from typing import Any

from agl_toyagents import ToyAgentsIntegration
from toyagents import Agent

from agl_adapters.testing.conformance import IntegrationConformance, Program


def add(a: str, b: str) -> str:
    return f"{a} and {b}"


def adder() -> Agent:
    return Agent("adder", "You add.", tools=[add])


def team() -> Agent:
    helper = Agent("helper", "You help.")

    def ask_helper(question: str) -> str:
        return helper.run(question)

    return Agent("boss", "You lead.", tools=[ask_helper])


def two_in_a_row() -> Callable[[str], Any]:
    writer, editor = Agent("writer", "You write."), Agent("editor", "You edit.")
    return lambda text: editor.run(f"{text} {writer.run(text)}")


def slots(**prompts: str) -> dict[str, str]:
    return {f"toyagents:{agent}#instructions": text for agent, text in prompts.items()}


class TestToyAgents(IntegrationConformance):
    integration = ToyAgentsIntegration

    @classmethod
    def programs(cls) -> Sequence[Program]:
        return [
            Program(
                "agent with a tool",
                adder,
                slots(adder="You add."),
                words="CALL:add",
                tools=["add"],
            ),
            Program(
                "agent as a tool",
                team,
                slots(boss="You lead.", helper="You help."),
                words="CALL:ask_helper",
                tools=["ask_helper"],
            ),
            Program("factory", lambda: adder, slots(adder="You add.")),
            Program("function", two_in_a_row, slots(writer="You write.", editor="You edit.")),
        ]
