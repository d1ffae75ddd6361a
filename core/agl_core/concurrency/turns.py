"""Turns: a limited number at once; who waits is let in by priority, then by arrival."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from agl_core.errors import ConfigurationError

__all__ = ["Turns"]


class Turns:
    """Lets a limited number into a block at once. Used on one event loop.

    Raises:
        ConfigurationError: If not even one is to be let in.
    """

    def __init__(self, n_runners: int) -> None:
        if n_runners < 1:
            raise ConfigurationError(f"n_runners is {n_runners}; at least 1 is needed")
        self._free = n_runners
        self._order = itertools.count()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def entered(self, priority: int) -> AsyncGenerator[None]:
        """Wait for a turn; lower `priority` first, then in order. Leaving the block gives it on."""
        if self._free and not self._waiting:
            self._free -= 1
        else:
            turn = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (priority, next(self._order), turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._leave()
                raise
        try:
            yield
        finally:
            self._leave()

    def _leave(self) -> None:
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
