"""Which of several calls in a function one is, as the function stands in the source."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Mapping
from functools import lru_cache
from types import FrameType
from typing import Any

from langchain_core.prompts import BasePromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import BaseTool
from langgraph.pregel import Pregel

__all__ = ["call_number"]

_ENTRY_POINTS = frozenset(
    {"invoke", "ainvoke", "stream", "astream", "batch", "abatch", "stream_events", "astream_events"}
    | {"generate", "agenerate", "batch_as_completed", "abatch_as_completed"}
)
_ENTERS_NO_MODEL = (BasePromptTemplate, BaseRetriever, BaseTool)


_Position = tuple[int, int]


def call_number(frame: FrameType, is_helper: bool, by_receiver: bool) -> int:
    """Count the calls in the same function, up to this one, that enter a model, chain or graph.

    For a call of a helper, count the calls of that helper. 1 if the source is not at hand.

    Args:
        frame: Where the call is made.
        is_helper: A lambda that is a helper is part of the function that it stands in.
        by_receiver: Count the graphs that are called, not the calls: a graph has its prompts
            inside, the same ones in each of its calls.
    """
    code = frame.f_code
    first, last, start, end = list(code.co_positions())[frame.f_lasti // 2]
    tree = _parsed(code.co_filename)
    if tree is None or first is None or last is None or start is None or end is None:
        return 1
    names = {**frame.f_globals, **frame.f_locals}
    if not by_receiver:
        # Whether other local variables are set yet depends on the path taken.
        for name in set(code.co_varnames) - {"self"}:
            names[name] = None
    finder = _CallFinder((first, start), (last, end), names, not is_helper, by_receiver)
    finder.visit(tree)
    return finder.number


@lru_cache(maxsize=16)
def _parsed(filename: str) -> ast.Module | None:
    try:
        return ast.parse("".join(linecache.getlines(filename)))
    except (SyntaxError, ValueError):
        return None


class _CallFinder(ast.NodeVisitor):
    """Finds the call that ends at a position, and its number among its like in its function."""

    def __init__(
        self,
        start: _Position,
        end: _Position,
        names: Mapping[str, Any],
        lambdas_apart: bool,
        by_receiver: bool,
    ) -> None:
        self.number = 1
        self._start = start
        self._end = end
        self._names = names
        self._lambdas_apart = lambdas_apart
        self._by_receiver = by_receiver
        self._calls: list[list[ast.Call]] = []

    def visit_Module(self, node: ast.Module) -> None:
        self._visit_scope(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._visit_scope(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._visit_scope(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        if self._lambdas_apart:
            self._visit_scope(node)
        else:
            self.generic_visit(node)

    def visit_For(self, node: ast.For) -> None:
        self._visit_loop(node)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> None:
        self._visit_loop(node)

    def visit_Call(self, node: ast.Call) -> None:
        self._calls[-1].append(node)
        self.generic_visit(node)

    def _visit_loop(self, node: ast.For | ast.AsyncFor) -> None:
        # Of a generator that a loop runs through, some versions of Python give the loop's position.
        if (node.lineno, node.col_offset) == self._start and _end(node) == self._end:
            self._end = _end(node.iter)
        self.generic_visit(node)

    def _visit_scope(self, node: ast.AST) -> None:
        self._calls.append([])
        self.generic_visit(node)
        calls = {_end(call): call for call in self._calls.pop()}
        found = calls.get(self._end)
        if found is None:
            return
        kind = self._kind(found)
        before = [calls[end] for end in sorted(calls) if end < self._end]
        if not self._by_receiver:
            self.number = 1 + sum(self._kind(call) == kind for call in before)
        elif self._calls_graph(found):
            receivers = {ast.dump(_receiver(call)) for call in before if self._calls_graph(call)}
            self.number = 1 + len(receivers - {ast.dump(_receiver(found))})

    def _kind(self, call: ast.Call) -> str:
        """Return what makes calls alike: the callee, or that they may enter a model."""
        callee = call.func
        if not isinstance(callee, ast.Attribute):
            return getattr(callee, "id", "") or ast.dump(callee)
        enters_none = isinstance(self._value(callee.value), _ENTERS_NO_MODEL)
        if callee.attr not in _ENTRY_POINTS or enters_none:
            return callee.attr
        return "a model's entry point"

    def _calls_graph(self, call: ast.Call) -> bool:
        return isinstance(self._value(_receiver(call)), Pregel)

    def _value(self, node: ast.expr) -> Any:
        """Return the object that a name or an attribute stands for, if that is plain to see."""
        if isinstance(node, ast.Name):
            return self._names.get(node.id)
        if isinstance(node, ast.Attribute):
            return getattr(self._value(node.value), "__dict__", {}).get(node.attr)
        return None


def _end(node: ast.expr | ast.stmt) -> _Position:
    return node.end_lineno or 0, node.end_col_offset or 0


def _receiver(call: ast.Call) -> ast.expr:
    return call.func.value if isinstance(call.func, ast.Attribute) else call.func
