"""Code identity: what tells one function from another, also in the process that resumes a run."""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FunctionType, MethodType
from typing import Any, cast

__all__ = ["code_identity", "parts_of"]

_DEPTH = 4
_MACHINERY = frozenset({"agl_core", "agl_adapters", "agl_integrations"})


def code_identity(function: Callable[..., Any]) -> str:
    """Return a digest of what a function does, as far as can be known; the same in each process.

    In it are its source without comments and layout, the functions of its own package that it
    names, and the texts with a space in them that it closes over, or that its module holds under a
    name that it uses: those are prompts. Other values are left out, which differ from process to
    process (addresses, clients, counters). What other packages do is not seen.
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
        yield from _pieces(value.__func__, seen, depth)
    elif isinstance(value, FunctionType):
        inner = inspect.unwrap(value)
        if isinstance(inner, FunctionType) and id(inner) not in seen and depth:
            seen.add(id(inner))
            yield from _of_function(inner, seen, depth)
    elif callable(value) and not isinstance(value, type):
        yield from _of_object(value, seen, depth)


def _of_function(function: FunctionType, seen: set[int], depth: int) -> Iterator[str]:
    yield function.__qualname__
    yield _text(function)
    for default in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
        yield from _pieces(default, seen, depth - 1)
    used: list[object] = []
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # an empty one
            used.append(cell.cell_contents)
    variables = function.__globals__
    used += [variables[name] for name in sorted(_names(function.__code__)) if name in variables]
    for found in used:
        own = isinstance(found, FunctionType) and _package(found) == _package(function)
        if own or isinstance(found, str):
            yield from _pieces(found, seen, depth - 1)


def _of_object(value: object, seen: set[int], depth: int) -> Iterator[str]:
    """Yield the pieces of an object that is called like a function: its code, and what it holds."""
    kind = type(value)
    yield f"{kind.__module__}.{kind.__qualname__}"
    call = getattr(kind, "__call__", None)  # noqa: B004 - the function of its class
    if isinstance(call, FunctionType) and _package(call) not in _MACHINERY:
        yield from _pieces(call, seen, depth)
    for held in getattr(value, "__dict__", {}).values():
        if isinstance(held, Mapping):
            held = list(cast("Mapping[Any, Any]", held).values())
        for item in cast("list[Any]", held) if isinstance(held, list | tuple) else [held]:
            if depth and (isinstance(item, str) or callable(item)):
                yield from _pieces(item, seen, depth - 1)


def _text(function: FunctionType) -> str:
    """Return the source of a function without comments and layout; else what it was compiled to."""
    if function.__name__ != "<lambda>":
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
