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
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def sent(self) -> AsyncGenerator[None]:
        """Wait for a turn and hold it for the block; a block that raises proves nothing."""
        if not self._proven:
            async with self._lock:
                if not self._proven:
                    yield
                    self._proven = True
                    return
        yield
