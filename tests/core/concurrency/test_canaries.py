from __future__ import annotations

import asyncio

import pytest

from agl_core.concurrency.canaries import Canary


class TestCanary:
    async def test_goes_first_and_then_all_at_once(self) -> None:
        canary, inside, most = Canary(), 0, []

        async def go() -> None:
            nonlocal inside
            async with canary.sent():
                inside += 1
                most.append(inside)
                await asyncio.sleep(0.001)
                inside -= 1

        await asyncio.gather(*(go() for _ in range(5)))
        assert most == [1, 1, 2, 3, 4]

    async def test_that_fails_is_followed_by_another_one(self) -> None:
        canary, inside, most = Canary(), 0, []

        async def fail() -> None:
            nonlocal inside
            async with canary.sent():
                inside += 1
                most.append(inside)
                await asyncio.sleep(0.001)
                inside -= 1
                raise ValueError

        results = await asyncio.gather(*(fail() for _ in range(3)), return_exceptions=True)
        assert [type(result) for result in results] == [ValueError] * 3
        assert most == [1, 1, 1]

    async def test_that_is_cancelled_too(self) -> None:
        canary = Canary()

        async def hang() -> None:
            async with canary.sent():
                await asyncio.Event().wait()

        first = asyncio.create_task(hang())
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        async with asyncio.timeout(1), canary.sent():
            pass
