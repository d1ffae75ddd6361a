"""The programs that `agl demo` optimizes: the same agent in several frameworks, none of ours."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from types import ModuleType
from typing import Any

from agl_core.errors import MissingDependencyError

__all__ = ["PROGRAMS", "Framework", "Program"]


class Framework(StrEnum):
    """The frameworks that there is a program in."""

    LANGGRAPH = "langgraph"
    OPENAI_AGENTS = "openai-agents"
    AUTOGEN = "autogen"
    OPENAI = "openai"


def _unchanged(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What there is to know about a program, apart from what all of them have in common.

    Each is a module of the examples with a function ``book_room``, sync or async, that answers one
    request; its `main` calls it.
    """

    title: str
    """What it is written with."""
    module: str
    """The name of its module."""
    target: Callable[[Any], Any]
    """Takes what is to be wrapped from the module."""
    input: Callable[[str], Any] = _unchanged
    """Makes the target's input of a request."""
    answer: Callable[[Any], str] = _unchanged
    """Takes the answer from the target's output."""
    requirements: str
    """What pip installs for it."""
    offline: Mapping[str, str] = field(default_factory=dict[str, str])
    """Environment variables that keep it off the network, the address of the service apart."""

    def load(self) -> ModuleType:
        """Import the module. Its model clients may be built now, for the service as it is set.

        Raises:
            MissingDependencyError: If a package of its framework is not installed.
        """
        try:
            return import_module(self.module)
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                f"the demo's program needs {error.name}: pip install {self.requirements}"
            ) from error

    def run(self, module: ModuleType, request: str) -> str:
        """Run the program as its `main` does."""
        answer = module.book_room(request)
        return asyncio.run(_result(answer)) if inspect.isawaitable(answer) else answer


async def _result(answer: Any) -> str:
    return await answer


PROGRAMS: Mapping[Framework, Program] = {
    Framework.LANGGRAPH: Program(
        title="LangGraph",
        module="langgraph_room_booking",
        target=lambda module: module.graph,
        input=lambda request: {"messages": [("user", request)]},
        answer=lambda state: state["messages"][-1].content,
        requirements="'agl-adapters[langgraph,simulate]' langchain-openai",
    ),
    Framework.OPENAI_AGENTS: Program(
        title="OpenAI Agents SDK",
        module="openai_agents_room_booking",
        target=lambda module: module.book_room,
        requirements="'agl-adapters[openai-agents,simulate]'",
        # The SDK uploads traces to OpenAI, whichever service the model is called at.
        offline={"OPENAI_AGENTS_DISABLE_TRACING": "1"},
    ),
    Framework.AUTOGEN: Program(
        title="AutoGen",
        module="autogen_room_booking",
        target=lambda module: module.build_team(),
        answer=lambda result: result.messages[-1].to_text(),
        requirements="'agl-adapters[autogen,simulate]'",
    ),
    Framework.OPENAI: Program(
        title="plain openai client",
        module="openai_room_booking",
        target=lambda module: module.book_room,
        requirements="'agl-adapters[simulate]'",
    ),
}
"""All of them. Only the title, what is wrapped, and where input and answer are differ."""
