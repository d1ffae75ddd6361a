"""Canaries: one goes first, where all might fail alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

__all__ = ["Canary"]


class Canary:
    """Lets one go alone until one has come back well; then everybody. Used on one event loop."""

    def __init__(self) -> None:
        self._proven = False
        self._doubtful = False
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def sent(self) -> AsyncGenerator[Canary]:
        """Wait for a turn and hold it for the block; a block that raises proves nothing."""
        if not self._proven:
            async with self._lock:
                if not self._proven:
                    self._doubtful = False
                    yield self
                    self._proven = not self._doubtful
                    return
        yield self

    def proves_nothing(self) -> None:
        """Say that the one that went alone came back, and not well."""
        self._doubtful = True
