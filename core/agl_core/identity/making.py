"""Making: which attributes and variables a function sets to what differs between processes."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Mapping
from types import CodeType
from typing import Any

from agl_core.identity.references import Chain, references
from agl_core.identity.sources import MAKERS

__all__ = ["compiled_statement", "making_objects", "volatile_attributes", "volatile_variables"]

Judge = Callable[[Chain], bool]
"""Tells whether what a chain names gives something else in each process."""


def compiled_statement(statement: ast.stmt) -> CodeType:
    """Return the code of a statement that stands in a module."""
    return compile(ast.Module([statement], []), "<program>", "exec")


def making_objects(kind: ast.ClassDef) -> ast.ClassDef:
    """Return a class without the methods that do not make its objects."""
    body = [
        statement
        for statement in kind.body
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef)
        or statement.name in MAKERS
    ]
    without = copy.copy(kind)
    without.body = body or [ast.copy_location(ast.Pass(), kind)]
    return without


def volatile_attributes(
    tree: ast.AST, namespace: Mapping[str, Any], judge: Judge
) -> frozenset[str]:
    """Return the attributes that a class gives something that differs between processes.

    Args:
        tree: The class.
        namespace: Its module's variables.
        judge: What gives something else in each process.
    """
    attributes = set[str]()
    for statement in getattr(tree, "body", ()):
        if isinstance(statement, ast.FunctionDef) and statement.name in MAKERS:
            attributes |= _volatile(statement, namespace, judge)[1]
        elif (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and _names(statement.value, namespace, judge, set(), set())
        ):
            attributes.add(statement.target.id)
    return frozenset(attributes)


def volatile_variables(
    tree: ast.AST, qualified: str, namespace: Mapping[str, Any], judge: Judge
) -> frozenset[str]:
    """Return the variables around a function that hold something that differs between processes.

    Args:
        tree: The function or class of the module that the function stands in.
        qualified: The function's qualified name.
        namespace: Its module's variables.
        judge: What gives something else in each process.
    """
    around = qualified.split(".")[:-1]
    found = set[str]()
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and function.name in around:
            found |= _volatile(function, namespace, judge)[0]
    return frozenset(found)


def _volatile(
    function: ast.FunctionDef | ast.AsyncFunctionDef, namespace: Mapping[str, Any], judge: Judge
) -> tuple[set[str], set[str]]:
    """Return the variables and the attributes that a function sets to something volatile."""
    arguments = function.args
    own = {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    setting = sorted(_assignments(function), key=lambda pair: pair[0].lineno)
    own |= {target.id for target, _ in setting if isinstance(target, ast.Name)}
    variables, attributes = set[str](), set[str]()
    for target, value in setting:
        if not _names(value, namespace, judge, own, variables):
            continue
        if isinstance(target, ast.Name):
            variables.add(target.id)
        elif isinstance(target, ast.Attribute):
            attributes.add(target.attr)
    return variables, attributes


def _assignments(function: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                for one in target.elts if isinstance(target, ast.Tuple | ast.List) else [target]:
                    yield one, node.value
        elif isinstance(node, ast.AnnAssign | ast.AugAssign | ast.NamedExpr) and node.value:
            yield node.target, node.value
        elif isinstance(node, ast.With | ast.AsyncWith):
            for item in node.items:
                if item.optional_vars is not None:
                    yield item.optional_vars, item.context_expr


def _names(
    value: ast.expr | None,
    namespace: Mapping[str, Any],
    judge: Judge,
    own: set[str],
    volatile: set[str],
) -> bool:
    """Tell whether an expression names something volatile.

    Args:
        value: The expression.
        namespace: The module's variables.
        judge: What of the module's is volatile.
        own: The function's variables.
        volatile: Which of them are volatile.
    """
    if value is None:
        return False
    try:
        code = compiled_statement(ast.copy_location(ast.Expr(value), value))
    except SyntaxError:  # such as an await
        return False
    return any(
        chain[0] in volatile or (chain[0] not in own and judge(chain))
        for chain in references(code, namespace)
    )
