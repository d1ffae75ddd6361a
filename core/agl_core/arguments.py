"""What a trainer is given, checked: wrong arguments are errors before anything is opened."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, get_args

from agl_core.algorithms import Algorithm
from agl_core.errors import ConfigurationError
from agl_core.execution.agents import Agent
from agl_core.selection import Acceptance
from agl_core.spending.budgets import Budget
from agl_core.storage.sqlite import MemoryStore, SQLiteStore
from agl_core.storage.store import Store

__all__ = [
    "checked_acceptance",
    "checked_agent",
    "checked_algorithm",
    "checked_budget",
    "checked_count",
    "checked_number",
    "checked_timeout",
    "opened_store",
]


def checked_count(name: str, value: int) -> int:
    """Return a whole number that is at least 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"{name} is {value!r}; it is a whole number, at least 1")
    return value


def checked_acceptance(accept: Acceptance) -> Acceptance:
    """Return one of the acceptances that there are."""
    if accept not in get_args(Acceptance):
        raise ConfigurationError(
            f"accept is {accept!r}; it is one of {', '.join(get_args(Acceptance))}"
        )
    return accept


def checked_agent(agent: Any) -> Agent:
    """Return what is an agent; of what is none say how it becomes one."""
    if isinstance(agent, Agent):
        return agent
    if callable(agent) and not isinstance(agent, type):
        remedy = (
            "decorate it with @agl.rollout if it returns its reward, "
            "or wrap it: agl.wrap(program, input=..., reward=...)"
        )
    else:
        remedy = "wrap it: agl.wrap(program, input=..., reward=...)"
    raise ConfigurationError(f"the agent is a plain {type(agent).__name__}; {remedy}")


def checked_algorithm(algorithm: Any) -> Algorithm:
    """Return an algorithm; a class or a plain function is none."""
    if isinstance(algorithm, type) or not isinstance(algorithm, Algorithm):
        shown = algorithm.__name__ if isinstance(algorithm, type) else type(algorithm).__name__
        raise ConfigurationError(
            f"the algorithm is {shown}; give an instance such as agl.APO(), "
            "or decorate a function with @agl.algorithm"
        )
    return algorithm


def checked_budget(budget: Budget | None) -> Budget:
    """Return a budget; without one, one without caps."""
    if budget is None:
        return Budget()
    if not isinstance(budget, Budget):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(
            f"the budget is {type(budget).__name__}; give agl.Budget(rollouts=..., ...)"
        )
    return budget


def checked_timeout(timeout: float | None) -> float | None:
    """Return a positive number of seconds, or None."""
    if timeout is not None and checked_number("timeout", timeout) <= 0:
        raise ConfigurationError(f"timeout is {timeout!r}; give seconds, or None for no limit")
    return timeout


def checked_number(name: str, value: float) -> float:
    """Return a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"{name} is {value!r}; it is a finite number")
    return value


def opened_store(store: str | os.PathLike[str] | Store | None) -> Store:
    """Return a store: the one given, that of a path, or one in memory."""
    if store is None:
        return MemoryStore()
    if isinstance(store, str | os.PathLike):
        return SQLiteStore(Path(store))
    if not hasattr(store, "add_rollout"):
        raise ConfigurationError(
            f"the store is {type(store).__name__}; give a file's path, or a store"
        )
    return store
