"""Running the branches of a search side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from agl_core.spending.budgets import BudgetExhaustedError

__all__ = ["run_all"]

T = TypeVar("T")


async def run_all(jobs: Iterable[Coroutine[Any, Any, T] | asyncio.Task[T]]) -> list[T]:
    """Run all to their end, then return the results in order, or raise the first error.

    Unlike a task group it cancels nothing: where a budget ends, what is in flight is paid for.
    """
    results = await asyncio.gather(*jobs, return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    # That a budget ended says the least of several reasons.
    for error in sorted(errors, key=lambda error: isinstance(error, BudgetExhaustedError)):
        raise error
    return [result for result in results if not isinstance(result, BaseException)]
