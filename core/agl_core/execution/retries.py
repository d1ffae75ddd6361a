"""Retries: what the world failed is tried again, whatever it is."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from typing import TypeVar

from agl_core.errors import AglError
from agl_core.faults.services import Lane, Services
from agl_core.faults.troubles import Trouble
from agl_core.models.chat import ChatMessage, Completion, ModelClient, UnavailableError

__all__ = ["Retries", "RetryingClient"]

T = TypeVar("T")

_SLOW = 2
"""So often a thing is tried that takes all the time there is."""


class Retries:
    """Tries things of one kind until they are no failure of the world.

    Args:
        services: What is known of the services that they call.
        lane: The lane that they are in.
        needed: Whether a run cannot do without any of them.
    """

    def __init__(self, services: Services, lane: Lane, needed: bool = False) -> None:
        self._services = services
        self._lane = lane
        self._needed = needed

    async def result(
        self,
        attempt: Callable[[int], Awaitable[T]],
        trouble: Callable[[T], Trouble | None],
        turn: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    ) -> T:
        """Return the result of the first attempt without trouble, or of the last one.

        Args:
            attempt: Makes an attempt; is given its number, from 1.
            trouble: Tells what the world did wrong in one.
            turn: A place to be waited for, and held for each attempt but not in between.

        Raises:
            AglError: If further work was refused before the first attempt.
        """
        number = counted = 0
        first = math.inf
        result: list[T] = []
        while True:
            async with AsyncExitStack() as stack:
                try:
                    await stack.enter_async_context(turn())
                    call = await stack.enter_async_context(self._lane.entered())
                except AglError:
                    if not result:
                        raise
                    return result[0]
                number += 1
                first = min(first, call.began)
                result[:] = [await attempt(number)]
                found = trouble(result[0])
                if found is None:
                    call.answered()
                    return result[0]
                counted += call.failed(found, first)
            if counted >= (_SLOW if found.slow else self._services.backoff.attempts):
                self._services.lost(found, first, self._needed)
                return result[0]
            wait = self._services.backoff.seconds(max(1, counted), found.retry_after)
            try:
                await self._services.ledger.unless_refused(asyncio.sleep(wait))
            except AglError:
                return result[0]


class RetryingClient:
    """A model client that makes the calls of another one again when the world failed them."""

    def __init__(self, client: ModelClient, services: Services) -> None:
        self._client = client
        self._ledger = services.ledger
        service = getattr(client, "service", "")
        self._retries = Retries(services, services.lane(*filter(None, [service])), needed=True)

    async def check(self, models: Sequence[str]) -> None:
        """Find out whether calls can work; see `ModelClient`."""
        await self._client.check(models)

    async def complete(
        self, model: str, messages: Sequence[ChatMessage], temperature: float
    ) -> Completion:
        """Make one call, as often as it takes; see `ModelClient`."""

        async def attempt(number: int) -> Completion | UnavailableError:
            try:
                return await self._client.complete(model, messages, temperature)
            except UnavailableError as error:
                return error

        result = await self._retries.result(attempt, _trouble)
        if isinstance(result, UnavailableError):
            self._ledger.raise_if_refused()  # which says more
            raise result
        return result

    async def close(self) -> None:
        """Close connections; see `ModelClient`."""
        await self._client.close()


def _trouble(result: Completion | UnavailableError) -> Trouble | None:
    return result.trouble if isinstance(result, UnavailableError) else None
