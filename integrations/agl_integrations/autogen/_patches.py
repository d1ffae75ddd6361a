"""Attributes of AutoGen's classes and modules, replaced for a while."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

import wrapt

__all__ = ["Patches", "Wrapper", "patched"]

Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]
"""What is called in a function's place, as wrapt does it: with the function bound to its object,
the object, the arguments and the keyword arguments."""

_ABSENT: Any = object()


class Patches:
    """Replaced attributes, in the order in which they were replaced."""

    def __init__(self) -> None:
        self._replaced: list[tuple[Any, str, Any, Any]] = []
        self._in_force = True

    def set(self, owner: Any, name: str, value: Any) -> None:
        """Put a value on a class or module."""
        self._replaced.append((owner, name, value, _own(owner).get(name, _ABSENT)))
        setattr(owner, name, value)

    def wrap(self, owner: Any, name: str, wrapper: Wrapper) -> None:
        """Call a wrapper in the place of a function of a class or module."""
        found = _own(owner)[name]
        self.set(owner, name, wrapt.FunctionWrapper(found, wrapper, enabled=self._is_in_force))

    def undo(self) -> None:
        """Put back what was found.

        What somebody else has since put in its place stays; if it calls a wrapper of ours, that
        only passes on the call.
        """
        self._in_force = False
        while self._replaced:
            owner, name, value, found = self._replaced.pop()
            if _own(owner).get(name, _ABSENT) is not value:
                continue
            if found is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, found)

    def _is_in_force(self) -> bool:
        return self._in_force


@contextmanager
def patched() -> Generator[Patches]:
    """Yield what replaces attributes; all are put back at the end of the block."""
    patches = Patches()
    try:
        yield patches
    finally:
        patches.undo()


def _own(owner: Any) -> Mapping[str, Any]:
    return vars(owner)
