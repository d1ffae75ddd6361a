"""Code identity: what tells one function from another, also in the process that resumes a run."""

from __future__ import annotations

import ast
import contextlib
import dis
import functools
import hashlib
import inspect
import operator
import os
import re
import sysconfig
import textwrap
from collections.abc import Callable, Iterator, Mapping
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import Any, cast

__all__ = ["code_identity", "parts_of"]

_DEPTH = 4
_ADDRESS = re.compile(r"0x[0-9a-f]+")
_OF_C = (BuiltinFunctionType, type(str.strip), operator.itemgetter, operator.attrgetter)
_STORE_ATTRIBUTES = frozenset({dis.opmap["STORE_ATTR"]})
_STORE_VARIABLES = frozenset({dis.opmap["STORE_GLOBAL"], dis.opmap["STORE_DEREF"]})
_INSTALLED = tuple(
    os.path.join(sysconfig.get_path(name), "") for name in ("purelib", "platlib", "stdlib")
)
_MACHINERY = frozenset({"agl_core", "agl_adapters", "agl_integrations"})


def code_identity(function: Callable[..., Any]) -> str:
    """Return a digest of what a function does, as far as can be known; the same in each process.

    In it are its source without comments and layout, the functions of its own package that it
    names, of a method the other methods that it calls and what its object holds, and the texts with
    a space in them that it closes over, or that its module holds under a name that it uses, also in
    lists, mappings and messages: those are prompts. What the code itself assigns when it runs is
    left out, as are values that differ from process to process (addresses, clients, counters). What
    other packages do is not seen.
    """
    digest = hashlib.sha256()
    for piece in _pieces(function, set(), _DEPTH):
        digest.update(piece.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()[:16]


def parts_of(thing: object) -> dict[str, str]:
    """Return what an agent or a target is made of, a digest of each part by its name.

    That is what its method ``parts()`` returns; nothing, if it has none.
    """
    parts: Any = getattr(thing, "parts", None)
    return dict(cast("Mapping[str, str]", parts())) if callable(parts) else {}


def _pieces(value: object, seen: set[int], depth: int) -> Iterator[str]:
    """Yield the texts that tell a value from another one, if it is a text or can be called."""
    if isinstance(value, str):
        if " " in value:
            yield value
    elif isinstance(value, functools.partial):
        partial = cast("functools.partial[Any]", value)
        for part in (partial.func, *partial.args, *partial.keywords.values()):
            yield from _pieces(part, seen, depth)
    elif isinstance(value, MethodType):
        if isinstance(value.__self__, type):
            yield from _pieces(value.__func__, seen, depth)
        else:
            yield from _of_object(value.__self__, value.__func__.__name__, seen, depth)
    elif isinstance(value, FunctionType):
        inner = inspect.unwrap(value)
        if isinstance(inner, FunctionType) and id(inner) not in seen and depth:
            seen.add(id(inner))
            yield from _of_function(inner, seen, depth)
    else:
        yield from _of_other(value, seen, depth)


def _of_other(value: object, seen: set[int], depth: int) -> Iterator[str]:
    """Yield the pieces of what is neither a text nor a function written in Python."""
    if isinstance(value, _OF_C):
        yield _ADDRESS.sub("", repr(value))
    elif isinstance(value, list | tuple | Mapping):
        yield from _of_container(cast("Any", value), seen, depth)
    elif isinstance(content := getattr(value, "__dict__", {}).get("content"), str):
        yield content  # a message
    elif callable(value) and not isinstance(value, type):
        yield from _of_object(value, "__call__", seen, depth)


def _of_container(
    value: list[Any] | tuple[Any, ...] | Mapping[Any, Any], seen: set[int], depth: int
) -> Iterator[str]:
    """Yield the texts in lists and mappings, and the functions in them."""
    if depth <= 0:
        return
    for item in [*value.values()] if isinstance(value, Mapping) else [*value]:
        yield from _pieces(item, seen, depth - 1)


def _of_function(function: FunctionType, seen: set[int], depth: int) -> Iterator[str]:
    yield function.__qualname__
    yield _text(function)
    for default in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
        yield from _pieces(default, seen, depth - 1)
    stored = _stored(function.__code__)
    used: list[object] = []
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # an empty one
            if name not in stored:
                used.append(cell.cell_contents)
    variables = function.__globals__
    names = sorted(_names(function.__code__) - stored)
    used += [variables[name] for name in names if name in variables]
    for found in used:
        own = not isinstance(found, FunctionType) or _package(found) == _package(function)
        if own and (isinstance(found, FunctionType) or not callable(found)):
            yield from _pieces(found, seen, depth - 1)


def _of_object(value: object, method: str, seen: set[int], depth: int) -> Iterator[str]:
    """Yield the pieces of an object of which a method is called: its code, and what it holds."""
    if depth <= 0 or id(value) in seen:
        return
    seen.add(id(value))
    kind = type(value)
    yield f"{kind.__module__}.{kind.__qualname__}"
    called = _called(kind, method)
    stored: set[str] = set()
    for function in called:
        stored |= _stored(function.__code__, attributes=True)
        yield from _pieces(function, seen, depth)
    held: Mapping[str, Any] = getattr(value, "__dict__", {})
    for name, item in held.items():
        if name not in stored:
            kept = isinstance(item, str | list | tuple | Mapping) or callable(item)
            yield from _pieces(item, seen, depth - 1) if kept else ()


def _called(kind: type, method: str) -> list[FunctionType]:
    """Return a method of a class and those that it calls, but for the machinery's."""
    found: list[FunctionType] = []
    waiting, known = [method], {method}
    while waiting:
        function: Any = getattr(kind, waiting.pop(), None)
        if isinstance(function, FunctionType) and _package(function) not in _MACHINERY:
            found.append(function)
            new = sorted(_names(function.__code__) - known)
            known.update(new)
            waiting += new
    return found


def _stored(code: CodeType, *, attributes: bool = False) -> set[str]:
    """Return the variables outside of it that a function assigns; or attributes, of anything."""
    operations = _STORE_ATTRIBUTES if attributes else _STORE_VARIABLES
    found: set[str] = set()
    if not operations.isdisjoint(code.co_code[::2]):  # to read instructions takes long
        found = {str(i.argval) for i in dis.get_instructions(code) if i.opcode in operations}
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return found.union(*(_stored(c, attributes=attributes) for c in inner))


def _text(function: FunctionType) -> str:
    """Return the source of a function without comments and layout; else what it was compiled to.

    Of what is installed, it is the latter: nobody edits that, and frameworks have a lot of it.
    """
    installed = function.__code__.co_filename.startswith(_INSTALLED)
    if function.__name__ != "<lambda>" and not installed:
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
            return ast.unparse(tree)
        except (OSError, TypeError, SyntaxError, ValueError):
            pass  # typed into a shell, or made by exec
    return "\n".join(_compiled(function.__code__))


def _compiled(code: CodeType) -> Iterator[str]:
    yield code.co_code.hex()
    yield repr((code.co_names, code.co_varnames, code.co_freevars))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _compiled(constant)
        elif not isinstance(constant, frozenset):  # whose order differs between processes
            yield repr(constant)


def _package(function: FunctionType) -> str:
    module: str | None = function.__module__  # None where it was made by exec
    return (module or "").partition(".")[0]


def _names(code: CodeType) -> set[str]:
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return {*code.co_names}.union(*map(_names, inner))
