from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from agl_core.callbacks import Callback
from agl_core.execution.retries import Retries
from agl_core.faults.backoff import Backoff
from agl_core.faults.services import Services
from agl_core.faults.troubles import Trouble
from agl_core.spending.budgets import Budget, BudgetExhaustedError
from agl_core.spending.ledger import Ledger

ODD = Trouble("error 500", "models:80")
SLOW = Trouble("no answer in time", slow=True)


class Tried:
    """Attempts that end as they are told to, one after another."""

    def __init__(self, *ends: Trouble | None, backoff: Backoff | None = None) -> None:
        self.ledger = Ledger(Budget())
        quick = backoff or Backoff(attempts=3, initial=0.001, longest=0.002)
        self.services = Services(quick, self.ledger, Callback())
        self.retries = Retries(self.services, self.services.lane())
        self.numbers: list[int] = []
        self.holding = 0
        self._ends = list(ends)

    async def attempt(self, number: int) -> Any:
        self.numbers.append(number)
        return self._ends.pop(0)

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        self.holding += 1
        yield
        self.holding -= 1

    async def result(self) -> Any:
        return await self.retries.result(self.attempt, lambda end: end, self.turn)


async def test_the_first_attempt_without_trouble_is_the_last() -> None:
    tried = Tried(ODD, ODD, None)
    assert await tried.result() is None
    assert tried.numbers == [1, 2, 3]


async def test_the_last_attempt_is_the_result_where_all_have_trouble() -> None:
    tried = Tried(ODD, ODD, ODD)
    assert await tried.result() == ODD
    assert tried.numbers == [1, 2, 3]


async def test_what_takes_all_the_time_there_is_is_tried_twice() -> None:
    tried = Tried(SLOW, SLOW)
    assert await tried.result() == SLOW


async def test_no_turn_is_held_between_attempts() -> None:
    tried = Tried(ODD, None, backoff=Backoff(initial=30.0))
    job = asyncio.create_task(tried.result())
    await asyncio.sleep(0.01)
    assert (tried.numbers, tried.holding) == ([1], 0)
    job.cancel()
    await asyncio.wait({job})


async def test_an_error_comes_through() -> None:
    tried = Tried()
    with pytest.raises(IndexError):
        await tried.result()
    assert tried.holding == 1  # as the block was left: by the error


class TestRefusal:
    async def test_before_the_first_attempt_is_raised(self) -> None:
        tried = Tried(None)
        tried.ledger.stop("interrupted")
        with pytest.raises(BudgetExhaustedError):
            await tried.result()
        assert tried.numbers == []

    async def test_between_two_attempts_gives_the_result_that_there_is_at_once(self) -> None:
        tried = Tried(ODD, None, backoff=Backoff(initial=30.0))
        job = asyncio.create_task(tried.result())
        await asyncio.sleep(0.01)
        tried.ledger.stop("interrupted")
        assert await asyncio.wait_for(job, 5) == ODD
        assert tried.numbers == [1]

    async def test_while_a_turn_is_waited_for_too(self) -> None:
        tried = Tried(ODD, None)

        @asynccontextmanager
        async def turn() -> AsyncGenerator[None]:
            if tried.numbers:
                tried.ledger.stop("interrupted")
            yield

        assert await tried.retries.result(tried.attempt, lambda end: end, turn) == ODD
        assert tried.numbers == [1]


async def test_a_service_that_is_down_costs_no_attempts() -> None:
    down = Trouble("nobody there", "models:80", overall=True)
    quick = Backoff(attempts=5, initial=0.001, longest=0.002)
    tried = Tried(None, *[down] * 20, None, backoff=quick)
    assert await tried.result() is None
    assert await tried.result() is None
    assert len(tried.numbers) == 22
