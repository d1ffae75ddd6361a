"""Excerpts: the start of large data, taken without going through all of it."""

from __future__ import annotations

from typing import Any, cast

__all__ = ["excerpt"]


def excerpt(value: Any, limit: int) -> tuple[Any, bool]:
    """Return data with about so many characters of text in it at most, and whether that is all.

    What is neither text nor a plain container of it is taken as it is, however large.

    Raises:
        RecursionError: If it is nested too deeply, or in itself.
    """
    room = _Room(limit)
    taken = room.take(value)
    return (value, True) if room.left >= 0 else (taken, False)


class _Room:
    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, value: Any) -> Any:
        """Return as much of the value as there is room for."""
        self.left -= 1
        if isinstance(value, str):
            start = str.__getitem__(value, slice(max(self.left, 0)))
            self.left -= len(value)
            return start
        if isinstance(value, dict):
            fields: dict[Any, Any] = {}
            for name, item in cast("dict[Any, Any]", value).items():
                kept = self.take(name)
                fields[kept] = self.take(item)
                if self.left < 0:
                    break
            return fields
        if isinstance(value, list | tuple):
            items: list[Any] = []
            for item in cast("list[Any]", value):
                items.append(self.take(item))
                if self.left < 0:
                    break
            return items
        return value
