"""How another process comes by the agent: by a name that it can import, or by a copy."""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import FunctionType
from typing import Any, Protocol

from agl_adapters.processes.main_module import MAIN, check_main, main_file
from agl_adapters.references import load_reference
from agl_core.errors import ConfigurationError
from agl_core.execution.agents import Agent

__all__ = ["AgentSource", "agent_source"]

_REMEDY = (
    "put the agent at the top level of a module, or name a function without parameters that makes "
    "it: agl.ProcessExecutor('my_app:make_agent')"
)


class AgentSource(Protocol):
    """Where a worker process gets the agent from. Can itself be sent to one."""

    def load(self) -> Agent:
        """Return the agent. Called once, in the worker.

        Raises:
            Exception: Whatever the program raises when it is imported or built.
        """
        ...


def agent_source(agent: Agent, given: str | Callable[[], Agent] | None) -> AgentSource:
    """Return how workers get this agent.

    Args:
        agent: The agent, as this process has it.
        given: A reference to it or to a function that makes it, or such a function; None to look
            for a module that has it under a name, and else to copy it.

    Raises:
        ConfigurationError: If it has no name and cannot be copied.
    """
    if isinstance(given, str):
        return _Referenced(given)
    if given is not None:
        if not callable(given):
            raise ConfigurationError(
                f"ProcessExecutor is given {type(given).__name__}; it takes a reference such as "
                "'my_app:agent', or a function that makes the agent"
            )
        return _Copied(_pickled(given))
    named = _named(agent)
    return _Copied(_pickled(agent)) if named is None else named


@dataclass(frozen=True, slots=True)
class _Referenced:
    reference: str

    def load(self) -> Agent:
        return _built(load_reference(self.reference, "the agent"), self.reference)


@dataclass(frozen=True, slots=True)
class _Named:
    module: str
    name: str

    def load(self) -> Agent:
        return getattr(import_module(self.module), self.name)


@dataclass(frozen=True, slots=True)
class _Copied:
    data: bytes
    """A pickle. It goes from this process to its own children, through a pipe, and nowhere else."""

    def load(self) -> Agent:
        value = pickle.loads(self.data)
        return _built(value, getattr(value, "__name__", type(value).__name__))


def _named(agent: Agent) -> _Named | None:
    """Find a module that holds the agent itself under a name."""
    # What is run comes last: it may have taken the agent from another module, and only there.
    main = sys.modules.get(MAIN)
    others = [(name, module) for name, module in sys.modules.items() if module is not main]
    # A notebook or a shell no other process can import.
    for module_name, module in [*others, *([] if main_file() is None else [(MAIN, main)])]:
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if value is agent:
                if module is main:
                    check_main(name, "the agent")
                return _Named(module_name, name)
    return None


class _Pickler(pickle.Pickler):
    """Makes sure that functions and classes which are sent by their names are there in a worker."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, FunctionType | type) and obj.__module__ == MAIN:
            check_main(obj.__qualname__.partition(".")[0], "a function or class that the agent has")
        return NotImplemented


def _pickled(value: Any) -> bytes:
    buffer = io.BytesIO()
    try:
        _Pickler(buffer).dump(value)
        return buffer.getvalue()
    except ConfigurationError:
        raise
    except Exception as error:
        raise ConfigurationError(
            f"worker processes cannot be given the agent: it is no module's own, and cannot be "
            f"copied either ({type(error).__name__}: {error}); {_REMEDY}"
        ) from error


def _built(value: Any, name: str) -> Agent:
    if not isinstance(value, Agent) and callable(value):
        value = value()
    if not isinstance(value, Agent):
        raise ConfigurationError(
            f"{name} gives a {type(value).__name__}, not an agent: make it one with "
            "@agl.rollout or agl.wrap"
        )
    return value
