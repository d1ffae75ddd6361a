"""References: what compiled code names outside of itself, with the attributes that it takes."""

from __future__ import annotations

import dis
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import CodeType, ModuleType
from typing import Any

__all__ = ["Chain", "Found", "found", "import_path", "references", "stored"]

Chain = tuple[str, ...]
"""A name and the attributes that are taken of it: ``("prompts", "PLANNER")``."""

_STORE_ATTRIBUTES = frozenset({dis.opmap["STORE_ATTR"]})
_STORE_VARIABLES = frozenset({dis.opmap["STORE_GLOBAL"], dis.opmap["STORE_DEREF"]})
_LOADS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
_ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD")


def references(code: CodeType, namespace: Mapping[str, Any]) -> list[Chain]:
    """Return what code names in its module, sorted; what it imports itself, by the full path.

    Args:
        code: Compiled code; what is compiled in it counts, too.
        namespace: Its module's variables.
    """
    return sorted(set(_chains(code, namespace, {})))


def stored(code: CodeType, *, attributes: bool = False) -> set[str]:
    """Return the variables outside of it that a function assigns; or attributes, of anything."""
    operations = _STORE_ATTRIBUTES if attributes else _STORE_VARIABLES
    names: set[str] = set()
    if not operations.isdisjoint(code.co_code[::2]):  # to read instructions takes long
        names = {str(i.argval) for i in dis.get_instructions(code) if i.opcode in operations}
    return names.union(*(stored(inner, attributes=attributes) for inner in _inner(code)))


def import_path(namespace: Mapping[str, Any], module: str, level: int) -> str:
    """Return the full name of a module that is imported, also of a relative one."""
    package = str(namespace.get("__package__") or "")
    try:
        return importlib.util.resolve_name("." * level + module, package) if level else module
    except ImportError:
        return module


@dataclass(frozen=True, slots=True)
class Found:
    """What a chain leads to: the last variable of a module on its way, and what is taken of it."""

    namespace: Mapping[str, Any]
    """The module's variables."""
    name: str
    value: Any
    rest: Chain


def found(namespace: Mapping[str, Any], chain: Chain) -> Found | None:
    """Follow a chain through modules; None if it leads to nothing, or to what is built in."""
    name, *rest = chain
    if name in sys.modules and name not in namespace:
        value: Any = sys.modules[name]
    elif name in namespace:
        value = namespace[name]
    else:
        return None
    while isinstance(value, ModuleType) and rest and rest[0] in vars(value):
        namespace, name, *rest = vars(value), *rest
        value = namespace[name]
    return Found(namespace, name, value, tuple(rest))


def _chains(
    code: CodeType, namespace: Mapping[str, Any], imported: Mapping[str, Chain]
) -> Iterator[Chain]:
    """Yield the chains of a code and of those in it. `imported`: what outer ones have imported."""
    known = dict(imported)
    steps = list(dis.get_instructions(code))
    module = ""
    for number, step in enumerate(steps):
        if step.opname == "IMPORT_NAME":
            level, names = steps[number - 2].argval, steps[number - 1].argval
            module = import_path(namespace, str(step.argval), level if type(level) is int else 0)
            yield (module,)
            _note(known, steps, number, (module if names else module.partition(".")[0],))
        elif step.opname == "IMPORT_FROM":
            yield (module, str(step.argval))
            _note(known, steps, number, (module, str(step.argval)))
        elif step.opname in _LOADS or step.opname.startswith(("LOAD_FAST", "LOAD_DEREF")):
            names = step.argval if isinstance(step.argval, tuple) else (step.argval,)
            name = str(names[-1])
            start = known.get(name)
            if start is None and step.opname in _LOADS:
                start = (name,)
            if start is not None:
                yield (*start, *_taken(steps, number))
    for inner in _inner(code):
        yield from _chains(inner, namespace, known)


def _note(known: dict[str, Chain], steps: list[dis.Instruction], number: int, start: Chain) -> None:
    """Remember under which name something imported is kept."""
    following = steps[number + 1]
    if following.opname.startswith("STORE_"):
        known[str(following.argval)] = start


def _taken(steps: list[dis.Instruction], number: int) -> Iterator[str]:
    """Yield the attributes that are taken one of the other."""
    for step in steps[number + 1 :]:
        if step.opname not in _ATTRIBUTES:
            return
        yield str(step.argval)


def _inner(code: CodeType) -> Iterator[CodeType]:
    return (constant for constant in code.co_consts if isinstance(constant, CodeType))
