"""Where in the user's code a model is called: names for prompts that have no other name.

A name is made of the module, the function and the order of calls in the source, not of line numbers
and not of which call came first at run time: it is the same in every thread, process and rollout,
until that function is rewritten.
"""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Collection, Iterator
from functools import lru_cache
from types import CodeType, FrameType

from agl_adapters.injection import module_name

__all__ = ["CallSites"]

_OURS = frozenset({"agl_adapters", "agl_core", "agl_integrations"})
_ROOTS = frozenset({"anyio", "asyncio", "concurrent", "threading", "uvloop"})
"""Above a frame of these is whoever started the thread or the event loop, not the caller."""


class CallSites:
    """Names the sites of calls. Remembers what it found in the source; safe in threads.

    Args:
        plumbing: Import names of packages that make calls for user code. Those of the standard
            library are known.
        entry_points: Names of the methods that call a model.
        owners: Names of which one is in the expression that an entry point is looked up on, such as
            ``completions`` in ``client.chat.completions.create``.
    """

    def __init__(
        self,
        plumbing: Collection[str],
        entry_points: Collection[str],
        owners: Collection[str],
    ) -> None:
        self._skipped = sys.stdlib_module_names | _OURS | frozenset(plumbing)
        self._entry_points = frozenset(entry_points)
        self._owners = frozenset(owners)
        # By the identity of code: to hash it, Python goes through all of it.
        self._suffixes: dict[tuple[int, int], tuple[CodeType, str]] = {}

    def nearest(self) -> str | None:
        """Return the name of the nearest user code that makes the current call, None without any.

        ``module.function`` is the first call of a model in a function; methods and nested functions
        have qualified names, lambdas and comprehensions that of the function they stand in.
        ``module.function.2`` is the second such call, as they stand in the source. A call by
        another name, ``ask`` for instance, is ``module.function.ask``, ``module.function.ask.2``.
        There is no user code where a task or thread was started with the client's method itself.
        """
        frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
        while frame is not None:
            module = module_name(frame)
            top = module.partition(".")[0]
            if top in _ROOTS:
                return None
            if top not in self._skipped:
                names = [module, *frame.f_code.co_qualname.split("."), self._suffix(frame)]
                return ".".join(name for name in names if name and not name.startswith("<"))
            frame = frame.f_back
        return None

    def _suffix(self, frame: FrameType) -> str:
        """Return what tells a call from others in its function: nothing for the first one."""
        code = frame.f_code
        key = (id(code), frame.f_lasti)
        known = self._suffixes.get(key)
        if known is None or known[0] is not code:
            known = self._suffixes[key] = (code, self._find_suffix(code, frame.f_lasti))
        return known[1]

    def _find_suffix(self, code: CodeType, lasti: int) -> str:
        first_line, line, first_column, column = list(code.co_positions())[lasti // 2]
        tree = _parsed(code.co_filename)
        if tree is None or line is None or column is None:
            return ""
        scope = _Scope(tree, (first_line, first_column), (line, column))
        kinds = {_end(call): self._kind(call) for call in scope.calls}
        kind = kinds.get(scope.end)
        if kind is None:
            return ""
        number = sorted(end for end, other in kinds.items() if other == kind).index(scope.end)
        return ".".join(filter(None, [kind, str(number + 1) if number else ""]))

    def _kind(self, call: ast.Call) -> str:
        """Return what calls are counted by: nothing if it is plain that it is one of a model."""
        *path, name = _names(call.func) or ["call"]
        return "" if name in self._entry_points and not self._owners.isdisjoint(path) else name


@lru_cache(maxsize=64)
def _parsed(filename: str) -> ast.Module | None:
    lines = linecache.getlines(filename)
    try:
        return ast.parse("".join(lines)) if lines else None
    except (SyntaxError, ValueError):
        return None


class _Scope:
    """The function, with its lambdas, in which something calls at a position in the source.

    A ``with`` statement calls where it stands; what it calls was made by its first call.

    Attributes:
        calls: The calls in the function.
        end: Where the call that is meant ends.
    """

    def __init__(
        self, tree: ast.Module, start: tuple[int | None, int | None], end: tuple[int, int]
    ) -> None:
        self.calls: list[ast.Call] = []
        self.end = end
        scopes: list[ast.AST] = [tree]
        while scopes:
            nodes = list(_nodes(scopes.pop(), scopes))
            self.calls = [node for node in nodes if isinstance(node, ast.Call)]
            for node in nodes:
                if isinstance(node, ast.With | ast.AsyncWith) and (_start(node), _end(node)) == (
                    start,
                    end,
                ):
                    self.end = _end(node.items[0].context_expr)
                    return
            if any(_end(call) == end for call in self.calls):
                return


def _nodes(scope: ast.AST, scopes: list[ast.AST]) -> Iterator[ast.AST]:
    """Yield the nodes of a scope; add the scopes within it to the others."""
    nodes = list(ast.iter_child_nodes(scope))
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            scopes.append(node)
        else:
            yield node
            nodes += ast.iter_child_nodes(node)


def _start(node: ast.stmt) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _end(node: ast.stmt | ast.expr) -> tuple[int, int]:
    return node.end_lineno or 0, node.end_col_offset or 0


def _names(node: ast.expr) -> list[str]:
    """Return the names in ``a.b().c.d``, outermost last."""
    if isinstance(node, ast.Attribute):
        return [*_names(node.value), node.attr]
    if isinstance(node, ast.Call):
        return _names(node.func)
    return [node.id] if isinstance(node, ast.Name) else []
