"""Volatility: which functions of the standard library give something else in each process."""

from __future__ import annotations

import builtins
import os
from types import ModuleType
from typing import Any

from agl_core.identity.references import Found

__all__ = ["is_environment", "is_volatile"]

_MODULES = frozenset(
    {"getpass", "platform", "random", "resource", "secrets", "socket", "subprocess", "tempfile"}
    | {"time", "uuid"}
)
_CLOCKS = frozenset({"now", "today", "utcnow"})
_OF_THE_PROCESS = frozenset(
    {"getlogin", "getloadavg", "getpgid", "getpid", "getppid", "getrandom", "times", "urandom"}
)
_BUILT_IN = frozenset({"hash", "id", "input", "object"})


def is_volatile(reference: Found | None, chain: tuple[str, ...]) -> bool:
    """Tell whether what code names gives another value in each process: clocks, chance, ids."""
    if reference is None:
        return chain[0] in _BUILT_IN and hasattr(builtins, chain[0])
    top = _home(reference).partition(".")[0].lstrip("_")
    taken = reference.rest[-1] if reference.rest else reference.name
    if top == "datetime":
        return taken in _CLOCKS
    if top in ("os", "posix", "nt"):
        return taken in _OF_THE_PROCESS
    return top in _MODULES


def _home(reference: Found) -> str:
    """Return the module that what is named comes from."""
    value = reference.value
    if isinstance(value, ModuleType):
        return value.__name__
    method_of = getattr(value, "__self__", None)
    if method_of is not None and not isinstance(method_of, ModuleType):
        value = method_of  # such as random.random, a method of a generator
    module: Any = getattr(value, "__module__", None) or type(value).__module__
    return str(module)


def is_environment(reference: Found | None) -> bool:
    """Tell whether what code names reads the environment's variables."""
    return reference is not None and (
        reference.value is os.environ
        or getattr(reference.value, "__func__", reference.value) is os.getenv
    )
