from __future__ import annotations

import asyncio

import pytest

from agl_core.concurrency.single_flight import SingleFlight


async def test_who_comes_meanwhile_joins_and_who_comes_later_does_not() -> None:
    flights, made = SingleFlight[str, int](), []

    async def work() -> int:
        made.append(1)
        await asyncio.sleep(0)
        return len(made)

    both = await asyncio.gather(*(flights.result("a", work) for _ in range(3)))
    assert both == [1, 1, 1]
    assert await asyncio.gather(flights.result("a", work), flights.result("b", work)) == [3, 3]


async def test_an_error_is_everyones() -> None:
    flights = SingleFlight[str, int]()

    async def work() -> int:
        await asyncio.sleep(0)
        raise ValueError("no")

    results = await asyncio.gather(
        flights.result("a", work), flights.result("a", work), return_exceptions=True
    )
    assert [str(result) for result in results] == ["no", "no"]


@pytest.mark.parametrize("who", ["first", "second"])
async def test_who_is_cancelled_takes_nobody_along(who: str) -> None:
    flights, started = SingleFlight[str, str](), asyncio.Event()

    async def work() -> str:
        started.set()
        await asyncio.sleep(0.01)
        return "done"

    jobs = {name: asyncio.create_task(flights.result("a", work)) for name in ("first", "second")}
    await started.wait()
    jobs.pop(who).cancel()
    (other,) = jobs.values()
    assert await asyncio.wait_for(other, 5) == "done"
