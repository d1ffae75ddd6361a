"""Single flight: what several want at the same time is done once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

__all__ = ["SingleFlight"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SingleFlight(Generic[K, V]):
    """Work under way, by key. Used on one event loop."""

    def __init__(self) -> None:
        self._flights: dict[K, asyncio.Task[V]] = {}

    async def result(self, key: K, work: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """Join the work of this key that is under way, or do it.

        Whoever joins gets the same result or the same error. If the one who does it is cancelled,
        one of those who joined does it anew.
        """
        while (flight := self._flights.get(key)) is not None:
            try:
                return await asyncio.shield(flight)
            except asyncio.CancelledError:
                # Was it the one who does it that was cancelled, or this one?
                if not flight.cancelled() or _is_cancelled():
                    raise
        flight = self._flights[key] = asyncio.create_task(work())
        flight.add_done_callback(lambda _: self._flights.pop(key))
        return await flight


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
