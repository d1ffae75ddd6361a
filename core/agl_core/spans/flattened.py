"""Lists that conventions flatten into attributes: ``gen_ai.prompt.0.role`` and the like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["unflattened"]


def unflattened(attributes: Mapping[str, Any], prefix: str) -> list[Any]:
    """Rebuild the list of mappings that was flattened to ``{prefix}.0.role`` and the like."""
    start = f"{prefix}."
    tree: dict[str, Any] = {}
    for key, value in attributes.items():
        if not key.startswith(start):
            continue
        *path, last = key[len(start) :].split(".")
        if not (path and _is_index(path[0])):
            continue
        node = tree
        for part in path:
            child = node.setdefault(part, {})
            if not isinstance(child, dict):
                break
            node = child
        else:
            node[last] = value
    return _lists(tree) if tree else []


def _is_index(key: str) -> bool:
    return key.isascii() and key.isdigit() and len(key) < 10


def _lists(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    if tree and all(map(_is_index, tree)):
        return [_lists(tree[key]) for key in sorted(tree, key=int)]
    return {key: _lists(value) for key, value in tree.items()}
