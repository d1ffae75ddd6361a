"""Replacing an attribute for a while."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

__all__ = ["replaced"]


@contextmanager
def replaced(owner: Any, name: str, make: Callable[[Any], Any]) -> Generator[None]:
    """Put what `make` makes of an attribute of a class or module in its place for the block.

    Afterwards the owner has what was found. If somebody has wrapped the replacement in the
    meantime, it stays: whoever makes it sees to it that it does nothing by then.
    """
    found = vars(owner)[name]
    replacement = make(found)
    setattr(owner, name, replacement)
    try:
        yield
    finally:
        if vars(owner)[name] is replacement:
            setattr(owner, name, found)
