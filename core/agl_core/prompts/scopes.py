"""Values that hold in a context, or else in the whole process."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

__all__ = ["Scoped"]

T = TypeVar("T")

_UNSET: Any = object()


class Scoped(Generic[T]):
    """A value that is set for a block of code, in its context and those copied from it.

    Where no block has set it, and in threads that know nothing of any block, `everywhere` holds.

    Attributes:
        everywhere: The value of the whole process; None at first.
    """

    def __init__(self, name: str) -> None:
        self.everywhere: T | None = None
        self._here: ContextVar[T | None] = ContextVar(name, default=_UNSET)

    def get(self) -> T | None:
        """Return the value that holds here."""
        value = self._here.get()
        return self.everywhere if value is _UNSET else value

    def of_block(self) -> T | None:
        """Return the value that a block has set here; None if none has."""
        value = self._here.get()
        return None if value is _UNSET else value

    @contextmanager
    def set(self, value: T | None) -> Generator[None]:
        """Set the value for the block. None is a value too: that of the process does not hold."""
        token = self._here.set(value)
        try:
            yield
        finally:
            self._here.reset(token)
