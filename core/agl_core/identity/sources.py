"""Sources: which statements of a module set what, and what its functions change when they run."""

from __future__ import annotations

import ast
import contextlib
import inspect
import linecache
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any, cast

from agl_core.credentials import VARIABLE
from agl_core.identity.ownership import is_own_module
from agl_core.identity.references import stored
from agl_core.identity.steadiness import steady_text

__all__ = [
    "MAKERS",
    "Changes",
    "ModuleSource",
    "changed_by",
    "changes",
    "module_source",
    "syntax_of",
    "unparsed",
]

_CHANGING = frozenset(
    {"add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem"}
    | {"popleft", "remove", "setdefault", "sort", "update"}
)
"""Methods that change what they are called on."""
MAKERS = frozenset({"__init__", "__new__", "__post_init__", "__setstate__"})
"""Methods that make an object, rather than change it."""
_DEEPEST = 60
"""How deep source may be nested to be written out again."""
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass(frozen=True, slots=True)
class Changes:
    """What functions change when they run: variables outside of them, attributes of anything."""

    names: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ModuleSource:
    """What can be told of a module by its source."""

    statements: Mapping[str, list[ast.stmt]] = field(default_factory=dict[str, list[ast.stmt]])
    """By variable: the statements that set it, or call a method of it, when it is imported."""
    changed: frozenset[str] = frozenset()
    """The variables that its functions change when they run."""


def module_source(namespace: Mapping[str, Any]) -> ModuleSource:
    """Read a module's source; of one that has none, nothing is told."""
    file = namespace.get("__file__")
    if not isinstance(file, str) or not file.endswith(".py"):
        return ModuleSource()
    linecache.checkcache(file)
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError, RecursionError):
        return ModuleSource()
    statements: dict[str, list[ast.stmt]] = {}
    for name, statement in _setting(tree.body, called=True):
        known = statements.setdefault(name, [])
        if statement not in known:
            known.append(statement)
    return ModuleSource(statements, changes(tree).names)


def syntax_of(thing: Callable[..., Any] | type) -> ast.AST | None:
    """Return the syntax of a function or class; None where its source is not at hand."""
    with contextlib.suppress(OSError, TypeError, SyntaxError, ValueError):
        return ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]
    return None  # typed into a shell, or made by exec


def unparsed(tree: ast.AST) -> str:
    """Return source without comments, layout, credentials, and ports of this machine."""
    if _is_deep(tree):
        return steady_text(" ".join(_words(tree)))
    # A copy: a tree is told of as it is, too.
    return ast.unparse(_Steady().visit(ast.parse(ast.unparse(tree))))


def _is_deep(tree: ast.AST) -> bool:
    """Tell whether a tree is deeper than the stack may be, such as a sum of hundreds of texts."""
    level = [tree]
    for _ in range(_DEEPEST):
        level = [inner for node in level for inner in ast.iter_child_nodes(node)]
        if not level:
            return False
    return True


def _words(tree: ast.AST) -> Iterator[str]:
    """Yield what a tree consists of, level by level."""
    for node in ast.walk(tree):
        yield type(node).__name__
        for name, value in ast.iter_fields(node):
            if isinstance(value, list):
                yield f"{name}:{len(cast('list[object]', value))}"
            elif not isinstance(value, ast.AST):
                yield f"{name}={value!r}"


def changes(tree: ast.AST) -> Changes:
    """Tell what the functions in a tree change when they run."""
    names, attributes = set[str](), set[str]()
    for function in ast.walk(tree):
        if isinstance(function, _FUNCTIONS):
            made = getattr(function, "name", "") in MAKERS
            for node in ast.walk(function):
                if isinstance(node, ast.Global | ast.Nonlocal):
                    names.update(node.names)
                for target in _changed(node):
                    if isinstance(target, ast.Name):
                        names.add(target.id)
                    elif isinstance(target, ast.Attribute) and not made:
                        attributes.add(target.attr)
    return Changes(frozenset(names), frozenset(attributes))


def changed_by(kind: type) -> frozenset[str]:
    """Return the attributes that an object's own methods change."""
    names = set[str]()
    for base in kind.__mro__:
        tree = syntax_of(base) if is_own_module(base.__module__) else None
        if tree is not None:
            names |= changes(tree).attributes
            continue
        for name, function in vars(base).items():
            if isinstance(function, FunctionType) and name not in MAKERS:
                names |= stored(function.__code__, attributes=True)
    return frozenset(names)


def _changed(node: ast.AST) -> Iterator[ast.expr]:
    """Yield what a node assigns to, or changes by a method."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in _CHANGING:
            yield node.func.value
    elif isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
        yield node
        yield node.value
    elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
        yield node.value


def _setting(body: Iterable[ast.stmt], *, called: bool) -> Iterator[tuple[str, ast.stmt]]:
    """Yield the variables that statements set, each with its statement.

    Args:
        body: The statements.
        called: Whether calls of a variable's methods count, such as ``graph.add_node(...)``.
    """
    for statement in body:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield statement.name, statement
            case ast.Import() | ast.ImportFrom():
                for alias in statement.names:
                    yield alias.asname or alias.name.partition(".")[0], statement
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                yield from ((name, statement) for name in _heads(statement))
            case ast.Expr(value=ast.Call(func=ast.Attribute() as method)) if called:
                yield from ((name, statement) for name in _roots(method))
            case ast.For() | ast.With():  # what is set in it depends on what stands at its head
                names = {name for name, _ in _setting(statement.body, called=called)}
                yield from ((name, statement) for name in sorted(names.union(_heads(statement))))
            case _:
                main = isinstance(statement, ast.If) and "__main__" in ast.dump(statement.test)
                yield from _setting(_blocks(statement), called=called and not main)


def _blocks(statement: ast.stmt) -> Iterator[ast.stmt]:
    """Yield the statements in a statement."""
    for part in ("body", "orelse", "handlers", "finalbody", "cases"):
        for inner in getattr(statement, part, ()):
            yield from [inner] if isinstance(inner, ast.stmt) else inner.body


def _heads(statement: ast.stmt) -> Iterator[str]:
    """Yield the variables that a statement itself sets."""
    match statement:
        case ast.Assign(targets=targets):
            pass
        case ast.AnnAssign() | ast.AugAssign() | ast.For():
            targets = [statement.target]
        case ast.With():
            targets = [item.optional_vars for item in statement.items if item.optional_vars]
        case _:
            targets = []
    for target in targets:
        yield from _roots(target)


def _roots(target: ast.expr) -> Iterator[str]:
    """Yield the variables that a target belongs to: of ``a.b[0].c`` it is ``a``."""
    if isinstance(target, ast.Tuple | ast.List):
        for item in target.elts:
            yield from _roots(item)
        return
    inner: ast.expr = target
    while not isinstance(inner, ast.Name):
        if isinstance(inner, ast.Attribute | ast.Subscript | ast.Starred):
            inner = inner.value
        elif isinstance(inner, ast.Call):
            inner = inner.func
        else:
            return
    yield inner.id


class _Steady(ast.NodeTransformer):
    """Takes out of source what may differ though the program is the same."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant(steady_text(node.value)) if isinstance(node.value, str) else node

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        if VARIABLE.search(node.arg or ""):
            node.value = _without_texts(node.value)
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        if any(VARIABLE.search(ast.unparse(target)) for target in node.targets):
            node.value = _without_texts(node.value)
        return self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        for number, key in enumerate(node.keys):
            if isinstance(key, ast.Constant) and VARIABLE.search(str(key.value)):
                node.values[number] = _without_texts(node.values[number])
        return self.generic_visit(node)


def _without_texts(value: ast.expr) -> ast.expr:
    """Return a credential's expression without it: a text that is one stands in it as it is."""
    return ast.Constant("") if isinstance(value, ast.Constant) else value
