"""Snapshots of what a framework's modules and classes hold, to see what hooks leave behind."""

from __future__ import annotations

import sys
from collections.abc import Collection
from types import ModuleType
from typing import Any

__all__ = ["differences", "snapshot"]

_OF_PYTHON = frozenset({"__abstractmethods__", "__annotations__", "_abc_impl"})
"""What Python itself changes on classes, when it is first asked for something."""

Snapshot = dict[str, dict[str, Any]]


def snapshot(packages: Collection[str]) -> Snapshot:
    """Return what stands in the modules of packages and in their classes, by name of the owner."""
    found: Snapshot = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] not in packages or not isinstance(module, ModuleType):  # pyright: ignore[reportUnnecessaryIsInstance]
            continue
        found[name] = {key: _kept(value) for key, value in list(vars(module).items())}
        for cls in [value for value in list(vars(module).values()) if isinstance(value, type)]:
            found[f"{cls.__module__}.{cls.__qualname__}"] = dict(vars(cls))
    return found


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """Return the names of what is not as it was. What was imported since is no difference."""
    changed: list[str] = []
    for owner, values in before.items():
        now = after.get(owner, {})
        # Modules may load names of theirs late; classes are complete.
        keys = values.keys() if owner in sys.modules else values.keys() | now.keys()
        changed += [f"{owner}.{key}" for key in keys if not _is_same(values, now, key)]
    return changed


def _kept(value: Any) -> Any:
    """Return a list as it stands now, as hooks may be in one; other things as they are."""
    return _Listed(value) if type(value) is list else value


class _Listed:
    """The elements of a list, by identity."""

    def __init__(self, elements: list[Any]) -> None:
        self.elements = list(elements)

    def is_same(self, other: Any) -> bool:
        return isinstance(other, _Listed) and [*map(id, self.elements)] == [
            *map(id, other.elements)
        ]


def _is_same(before: dict[str, Any], after: dict[str, Any], key: str) -> bool:
    if key in _OF_PYTHON:
        return True
    if key not in before or key not in after:
        return False
    if isinstance(before[key], _Listed):
        return before[key].is_same(after[key])
    return before[key] is after[key]
