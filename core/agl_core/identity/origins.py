"""Origins: what makes the values of a program, and which of them differ between processes."""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Literal

from agl_core.identity.making import (
    compiled_statement,
    making_objects,
    volatile_attributes,
    volatile_variables,
)
from agl_core.identity.ownership import is_foreign, is_own, is_own_module
from agl_core.identity.references import Chain, found, references
from agl_core.identity.sources import ModuleSource, changed_by, module_source, syntax_of
from agl_core.identity.volatility import is_volatile

__all__ = ["Origins"]

Origin = Literal["own", "foreign", "volatile"]
"""What makes a value: the user's code and the standard library alone; a package's code, too;
or something that gives another value in each process."""


@dataclass(frozen=True, slots=True)
class _Making:
    """What makes a value, by what the statements that set it name themselves."""

    origin: Origin
    of: tuple[tuple[Mapping[str, Any], str], ...]
    """The variables of the user's modules that they name."""


@dataclass(frozen=True, slots=True)
class PassedOver:
    """The attributes of a class's objects that are no settings."""

    changed: frozenset[str]
    """Its methods change them."""
    volatile: frozenset[str]
    """They hold something else in each process."""


class Origins:
    """Tells what makes values, by the source of the user's modules, each of which is read once."""

    def __init__(self) -> None:
        self._kept: list[object] = []  # so that nothing else gets the id of what is known
        self._sources: dict[int, ModuleSource] = {}
        self._attributes: dict[int, PassedOver] = {}
        self._makings: dict[tuple[int, str, bool], _Making] = {}

    def source(self, namespace: Mapping[str, Any]) -> ModuleSource:
        """Return what there is to know of a module's source."""
        if id(namespace) not in self._sources:
            self._sources[id(namespace)] = module_source(namespace)
            self._kept.append(namespace)
        return self._sources[id(namespace)]

    def passed_over(self, kind: type) -> PassedOver:
        """Return which attributes of a class's objects are no settings."""
        known = self._attributes.get(id(kind))
        if known is not None:
            return known
        self._kept.append(kind)
        volatile = set[str]()
        for base in kind.__mro__:
            tree = syntax_of(base) if is_own_module(base.__module__) else None
            if tree is not None:
                namespace = vars(sys.modules[base.__module__])
                judge = functools.partial(self._is_volatile, namespace)
                volatile |= volatile_attributes(tree, namespace, judge)
        known = self._attributes[id(kind)] = PassedOver(changed_by(kind), frozenset(volatile))
        return known

    def volatile_around(self, function: FunctionType) -> frozenset[str]:
        """Return the variables around a function that differ between processes."""
        namespace, name = function.__globals__, function.__qualname__
        judge = functools.partial(self._is_volatile, namespace)
        statements = self.source(namespace).statements.get(name.partition(".")[0], ())
        return frozenset[str]().union(
            *(volatile_variables(tree, name, namespace, judge) for tree in statements)
        )

    def of_variable(self, namespace: Mapping[str, Any], name: str, *, made: bool = False) -> Origin:
        """Tell what makes the value of a variable, or what a function gives.

        Args:
            namespace: The module's variables.
            name: The variable's name.
            made: Whether of classes only that counts which makes their objects.
        """
        origin: Origin = "own"
        ahead, seen = [(namespace, name)], {(id(namespace), name)}
        while ahead:
            making = self._making(*ahead.pop(), made)
            if making.origin == "volatile":
                return "volatile"
            if making.origin == "foreign":
                origin = "foreign"
            for further in making.of:
                key = (id(further[0]), further[1])
                if key not in seen:
                    seen.add(key)
                    ahead.append(further)
        return origin

    def _making(self, namespace: Mapping[str, Any], name: str, made: bool) -> _Making:
        """Tell what the statements that set a variable name."""
        known = self._makings.get((id(namespace), name, made))
        if known is not None:
            return known
        origin: Origin = "own"
        of: list[tuple[Mapping[str, Any], str]] = []
        for statement in self.source(namespace).statements.get(name, ()):
            if made and isinstance(statement, ast.ClassDef):
                statement = making_objects(statement)
            for chain in references(compiled_statement(statement), namespace):
                reference = found(namespace, chain)
                if is_volatile(reference, chain):
                    origin = "volatile"
                elif reference is not None:
                    if is_own(reference.namespace):
                        of.append((reference.namespace, reference.name))
                    if origin == "own" and is_foreign(reference.value):
                        origin = "foreign"
        known = self._makings[id(namespace), name, made] = _Making(origin, tuple(of))
        return known

    def _is_volatile(self, namespace: Mapping[str, Any], chain: Chain) -> bool:
        """Tell whether what code names gives something else in each process."""
        reference = found(namespace, chain)
        if is_volatile(reference, chain):
            return True
        return (
            reference is not None
            and is_own(reference.namespace)
            and not isinstance(reference.value, type)  # of its objects each attribute is looked at
            and self.of_variable(reference.namespace, reference.name) == "volatile"
        )
