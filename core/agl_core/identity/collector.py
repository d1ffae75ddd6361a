"""The collector: follows from functions and objects what of the user's own they depend on."""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import inspect
import operator
import os
import re
import sys
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, cast

from agl_core.credentials import VARIABLE, without_credentials
from agl_core.identity.making import (
    compiled_statement,
)
from agl_core.identity.origins import Origins
from agl_core.identity.ownership import (
    is_own,
    is_own_module,
    is_own_value,
    module_name,
    name_of,
)
from agl_core.identity.references import Found, found, import_path, references, stored
from agl_core.identity.sources import (
    Changes,
    changes,
    syntax_of,
    unparsed,
)
from agl_core.identity.steadiness import steady_text
from agl_core.identity.values import is_prompt_like, plain, settings_of
from agl_core.identity.volatility import is_environment

__all__ = ["Collector"]

_DEPTH = 4
"""How far objects are followed into what they hold."""
_LONGEST_NAME = 40
"""Characters of a key that a part is called by."""
_ENVIRONMENT_NAME = re.compile(r"[A-Z][A-Z0-9_]+")
_OF_THE_RUN = re.compile(
    rf"{VARIABLE.pattern}|(?<!MODEL)_ID$|_(?:RANK|PORT|PID)$|^HOSTNAME$", re.IGNORECASE
)
"""Finds the names of variables of the environment that tell of a run, not of the program."""
_OF_C = (BuiltinFunctionType, type(str.strip), operator.itemgetter, operator.attrgetter)
_BASES = (object, type)


class Collector:
    """Collects digests of what a program is made of, by names that its author knows.

    A variable of a module is told by the statements that set it; by its value as well where that is
    data which comes out the same each time, or an object with settings. What they name is followed
    in the same way, in the modules that are the user's own.
    """

    def __init__(self) -> None:
        self._pieces: dict[str, list[str]] = {}
        self._waiting: deque[tuple[Mapping[str, Any], str]] = deque()
        self._seen: set[tuple[object, str]] = set()
        self._told: dict[int, str] = {}
        self._kept: list[object] = []
        self._origins = Origins()

    @property
    def parts(self) -> dict[str, str]:
        """The digests by name."""
        return {
            label: hashlib.sha256("\0".join(pieces).encode("utf-8", "surrogatepass")).hexdigest()[
                :16
            ]
            for label, pieces in self._pieces.items()
        }

    def add(self, label: str, thing: object) -> None:
        """Collect what tells a function or an object from another one.

        Args:
            label: What it is called, if it has no name in a module.
            thing: What to look at.
        """
        self._value(label, thing, _DEPTH)
        # One after the other, not one within the other: a program may be deeper than the stack.
        while self._waiting:
            namespace, name = self._waiting.popleft()
            label = f"{module_name(namespace)}.{name}"
            with self._not_readable(label):
                self._variable(label, namespace, name)

    def note(self, label: str, text: str) -> None:
        """Collect a text."""
        self._pieces.setdefault(label, []).append(text)

    # ------------------------------------------------------------------------------ values

    def _value(self, label: str, value: object, depth: int) -> None:
        """Collect a value that is held somewhere, in a closure or an object."""
        with self._not_readable(label):
            self._readable_value(label, value, depth)

    @contextlib.contextmanager
    def _not_readable(self, label: str) -> Generator[None]:
        """Note what cannot be looked at."""
        try:
            yield
        except RecursionError:  # what is told must not depend on how deep the caller's stack is
            raise
        except Exception:  # noqa: BLE001 - of the user's objects each may raise whatever is asked
            self.note(label, "not readable")

    def _readable_value(self, label: str, value: object, depth: int) -> None:
        data = plain(value)
        if data is not None:
            self.note(label, data)
        elif depth <= 0:
            return
        elif isinstance(value, list | tuple | set | frozenset | Mapping):
            self._container(label, cast("Any", value), depth)
        elif isinstance(value, type):
            self._class(label, cast("type[object]", value))
        elif not self._callable(label, value, depth) and not isinstance(value, ModuleType):
            self._object(label, value, depth)

    def _callable(self, label: str, value: object, depth: int) -> bool:
        """Collect a value if it is some kind of function; tell whether it is."""
        if isinstance(value, functools.partial):
            partial = cast("functools.partial[Any]", value)
            for part in (partial.func, partial.args, partial.keywords):
                self._value(label, part, depth)
        elif isinstance(value, MethodType):
            self.note(label, value.__func__.__qualname__)
            holder = value.__self__
            self._value(label, value.__func__ if isinstance(holder, type) else holder, depth)
        elif isinstance(value, FunctionType):
            self._function(label, value, depth)
        elif isinstance(value, _OF_C):
            self.note(label, steady_text(repr(value)))
        else:
            return False
        return True

    def _container(self, label: str, value: Any, depth: int) -> None:
        if self._is_new(label, value):
            items = value.items() if isinstance(value, Mapping) else enumerate(value)
            for key, item in list(cast("Iterable[tuple[object, object]]", items)):
                if isinstance(key, str):
                    self.note(label, steady_text(key))
                inner = f"{label}.{key}" if _is_name(key) and plain(item) is None else label
                self._value(inner, item, depth - 1)

    def _object(self, label: str, value: object, depth: int) -> None:
        """Collect an object: its class, and what it was made with."""
        if not self._is_new(label, value):
            return
        kind = type(value)
        self.note(label, f"{name_of(kind.__module__)}.{kind.__qualname__}")
        self._class(label, kind)
        passed_over = self._origins.passed_over(kind)
        for name, item in settings_of(value, passed_over.changed):
            if name not in passed_over.volatile:
                self._value(f"{label}.{name}", item, depth - 1)

    def _class(self, label: str, kind: type) -> None:
        if not is_own_module(kind.__module__):
            self.note(label, f"{kind.__module__}.{kind.__qualname__}")
            return
        if self._at_home(label, kind) or not self._is_new(label, kind):
            return
        tree = syntax_of(kind)
        if tree is not None:
            self.note(label, unparsed(tree))
        for base in kind.__bases__:
            if base not in _BASES and is_own_module(base.__module__):
                self._class(label, base)
        for function in vars(kind).values():
            if isinstance(function, FunctionType):
                self._function(label, function, _DEPTH, text=tree is None)

    def _function(
        self, label: str, function: FunctionType, depth: int, *, text: bool = True
    ) -> None:
        inner = inspect.unwrap(function)
        if (
            not isinstance(inner, FunctionType)
            or self._at_home(label, inner)
            or not self._is_new(label, inner)
        ):
            return
        own = is_own(inner.__globals__)
        self.note(label, inner.__qualname__)
        tree = syntax_of(inner) if own and inner.__name__ != "<lambda>" else None
        if own and text:
            self.note(
                label, "\n".join(_compiled(inner.__code__)) if tree is None else unparsed(tree)
            )
        passed_over = (Changes() if tree is None else changes(tree)).names | stored(inner.__code__)
        if inner.__closure__ and own:
            passed_over |= self._origins.volatile_around(inner)
        for default in (*(inner.__defaults__ or ()), *(inner.__kwdefaults__ or {}).values()):
            self._value(label, default, depth - 1)
        for name, cell in zip(inner.__code__.co_freevars, inner.__closure__ or (), strict=True):
            if name in passed_over or VARIABLE.search(name):
                continue
            try:
                value = cell.cell_contents
            except ValueError:  # an empty one
                continue
            self._value(f"{label}: {name}", value, depth - 1)
        if own:
            self._code(inner.__code__, inner.__globals__)

    def _is_new(self, label: str, thing: object) -> bool:
        """Tell whether a thing was not told of yet; of what was, note where."""
        if id(thing) in self._told:
            self.note(label, f"that of {self._told[id(thing)]}")
            return False
        self._told[id(thing)] = label
        self._kept.append(thing)  # so that nothing else gets its id
        return True

    # ------------------------------------------------------------------------------ variables

    def _at_home(self, label: str, thing: FunctionType | type) -> bool:
        """Collect a function or class as the variable of its module that it is, if it is one."""
        module = sys.modules.get(thing.__module__ or "")
        namespace = thing.__globals__ if isinstance(thing, FunctionType) else vars(module or sys)
        name = thing.__qualname__
        held = namespace.get(name)
        if held is not thing and getattr(held, "__wrapped__", None) is not thing:
            return False
        if not is_own(namespace) or name not in self._origins.source(namespace).statements:
            return False
        self.note(label, f"{module_name(namespace)}.{name}")
        self._follow(namespace, name)
        return True

    def _code(
        self, code: CodeType, namespace: Mapping[str, Any], itself: str | None = None
    ) -> None:
        """Collect what code names, but for what it assigns when it runs."""
        chains, without = references(code, namespace), {itself, *stored(code)}
        for chain in chains:
            if chain[0] not in without:
                self._reference(found(namespace, chain))
        if any(is_environment(found(namespace, chain)) for chain in chains):
            for name in _constants(code):
                if _ENVIRONMENT_NAME.fullmatch(name) and not _OF_THE_RUN.search(name):
                    value = os.environ.get(name)
                    if self._is_new_name(("environment", name)):
                        self.note(f"environment {name}", steady_text(repr(value)))

    def _reference(self, reference: Found | None) -> None:
        if reference is None or not is_own(reference.namespace):
            return
        whole = isinstance(reference.value, ModuleType) and not reference.rest
        if whole or reference.name.startswith("__"):
            return
        self._follow(reference.namespace, reference.name)

    def _is_new_name(self, name: tuple[object, str]) -> bool:
        if name in self._seen:
            return False
        self._seen.add(name)
        return True

    def _follow(self, namespace: Mapping[str, Any], name: str) -> None:
        """Have a variable of one of the user's modules collected, if it was not yet."""
        if self._is_new_name((id(namespace), name)):
            self._waiting.append((namespace, name))

    def _variable(self, label: str, namespace: Mapping[str, Any], name: str) -> None:
        """Collect a variable of one of the user's modules."""
        value: object = namespace[name]
        source = self._origins.source(namespace)
        statements = source.statements.get(name, ())
        for statement in statements:
            if isinstance(statement, ast.ImportFrom):
                self._imported(namespace, statement, name)
            elif not isinstance(statement, ast.Import):
                self.note(label, unparsed(statement))
                self._code(compiled_statement(statement), namespace, name)
        if not isinstance(value, ModuleType) and not VARIABLE.search(name):
            self._told_by_value(label, namespace, name, value)

    def _told_by_value(
        self, label: str, namespace: Mapping[str, Any], name: str, value: object
    ) -> None:
        """Collect the value of a variable, so far as it tells more than its statements."""
        source = self._origins.source(namespace)
        statements = source.statements.get(name, ())
        if not statements:  # typed into a shell, or made by exec
            if is_own_value(value):
                self._value(label, value, _DEPTH)
            return
        imported = all(isinstance(s, ast.Import | ast.ImportFrom) for s in statements)
        told = isinstance(value, FunctionType | type) or imported
        if told or name in source.changed:
            return
        data = plain(value, trusted=True)
        origin = self._origins.of_variable(namespace, name, made=data is None)
        if origin == "volatile":
            return
        if data is None:
            self._value(label, value, _DEPTH)
        elif origin == "own" or is_prompt_like(value):
            self.note(label, data)

    def _imported(self, namespace: Mapping[str, Any], statement: ast.ImportFrom, name: str) -> None:
        path = import_path(namespace, statement.module or "", statement.level)
        for alias in statement.names:
            if name == (alias.asname or alias.name):
                self._reference(found({}, (path, alias.name)) if path in sys.modules else None)


def _is_name(key: object) -> bool:
    """Tell whether a key may be shown and kept: it may be a credential, an address, anything."""
    return (
        isinstance(key, str)
        and key.isidentifier()
        and len(key) <= _LONGEST_NAME
        and without_credentials(key) == key
    )


def _compiled(code: CodeType) -> Iterator[str]:
    yield code.co_code.hex()
    yield repr((code.co_names, code.co_varnames, code.co_freevars))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _compiled(constant)
        elif not isinstance(constant, frozenset):  # whose order differs between processes
            yield steady_text(repr(constant))


def _constants(code: CodeType) -> Iterator[str]:
    for constant in code.co_consts:
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, CodeType):
            yield from _constants(constant)
