from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agl_core.algorithms.concurrency import run_all
from agl_core.errors import ModelError
from agl_core.spending.budgets import BudgetExhaustedError


async def give(value: Any, turns: int = 0) -> Any:
    for _ in range(turns):
        await asyncio.sleep(0)
    if isinstance(value, BaseException):
        raise value
    return value


async def test_results_come_in_order() -> None:
    assert await run_all([give(1, 5), give(2, 1), give(3, 3)]) == [1, 2, 3]
    assert await run_all([]) == []
    assert await run_all(asyncio.create_task(give(n)) for n in range(3)) == [0, 1, 2]


async def test_an_error_is_raised_when_all_have_ended() -> None:
    ended: list[int] = []

    async def slow() -> None:
        await give(None, 5)
        ended.append(1)

    with pytest.raises(ModelError, match="first"):
        await run_all([slow(), give(ModelError("first")), give(ModelError("second"))])
    assert ended == [1]


async def test_that_a_budget_ended_says_the_least() -> None:
    jobs = [give(BudgetExhaustedError("rollouts")), give(ModelError("down"), 3)]
    with pytest.raises(ModelError, match="down"):
        await run_all(jobs)
    with pytest.raises(BudgetExhaustedError):
        await run_all([give(1), give(BudgetExhaustedError("rollouts"))])
