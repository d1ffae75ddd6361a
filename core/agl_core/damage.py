"""Damage: records of a store that cannot be what was written to it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from agl_core.errors import StoreError

__all__ = ["undamaged"]


@contextmanager
def undamaged(what: str) -> Generator[None]:
    """Read a record in the block.

    Args:
        what: What it is, and where.

    Raises:
        StoreError: If it cannot be read.
    """
    try:
        yield
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise StoreError(
            f"{what} cannot be read ({type(error).__name__}): it is damaged, or another program "
            "wrote it. Take a copy of the store from before, or delete the run (agl runs delete)"
        ) from error
