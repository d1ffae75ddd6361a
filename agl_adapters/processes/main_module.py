"""The module that is run, which worker processes import: what of it they do not have."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from agl_core.errors import ConfigurationError

__all__ = ["MAIN", "check_main", "main_file"]

MAIN = "__main__"
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def main_file() -> Path | None:
    """Return the file that is run; None in a notebook or a shell, which nobody can import."""
    file = getattr(sys.modules.get(MAIN), "__file__", None)
    return Path(file) if isinstance(file, str) else None


def check_main(name: str, what: str) -> None:
    """Make sure that a worker, which imports the file that is run, has this variable of it.

    Args:
        name: The variable.
        what: What it is, for messages.

    Raises:
        ConfigurationError: If it is set under ``if __name__ == "__main__":`` alone.
    """
    file = main_file()
    if file is None:
        return
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return  # a folder or an archive that is run
    guarded = [statement for statement in tree.body if _is_guard(statement)]
    others = [statement for statement in tree.body if not _is_guard(statement)]
    if name in _set_by(guarded) and name not in _set_by(others):
        raise ConfigurationError(
            f"{what} ({name}) is made under `if __name__ == '__main__':` in {file.name}, where "
            "worker processes never come: they import the file. Move it above that line, and leave "
            "below it what starts the run; or name a function at the top level that makes the "
            f"agent: agl.ProcessExecutor('{file.stem}:make_agent')"
        )


def _is_guard(statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.If):
        return False
    named = {node.id for node in ast.walk(statement.test) if isinstance(node, ast.Name)}
    texts = {node.value for node in ast.walk(statement.test) if isinstance(node, ast.Constant)}
    return "__name__" in named and MAIN in texts


def _set_by(statements: list[ast.stmt]) -> set[str]:
    return {name for statement in statements for name in _names(statement)}


def _names(node: ast.AST) -> Iterator[str]:
    """Yield the variables of the module that a statement sets, with those in it."""
    if isinstance(node, _SCOPES):
        if not isinstance(node, ast.Lambda):
            yield node.name
        return
    if isinstance(node, ast.alias):
        yield node.asname or node.name.partition(".")[0]
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    for child in ast.iter_child_nodes(node):
        yield from _names(child)
