from __future__ import annotations

import pytest

from agl_core.spending.budgets import BudgetExhaustedError
from agl_core.spending.patience import Patience


def rounds(limit: int | None, seed: float | None, *best: float | None) -> int:
    """Return how many rounds were ended well."""
    patience = Patience(limit)
    for number, score in enumerate(best):
        try:
            patience.end_round(seed, score)
        except BudgetExhaustedError:
            return number
    return len(best)


@pytest.mark.parametrize(
    ("limit", "seed", "best", "ended_well"),
    [
        (2, 0.5, (0.6, 0.6, 0.7, 0.7, 0.7, 0.9), 4),  # a better one starts the count anew
        (2, 0.5, (0.5, 0.5, 0.9), 1),  # as good as the seed is no better
        (1, 0.5, (0.6, 0.7, 0.7), 2),
        (1, None, (None,), 0),  # nothing was validated, so nothing was found
        (1, None, (0.6, 0.6), 1),
        (2, 0.5, (0.7, 0.6, 0.65, 0.9), 2),  # confirmed to be worse: not better than it was
        (None, 0.5, (0.5,) * 50, 50),
    ],
)
def test_ends_after_so_many_rounds_without_a_better_score(
    limit: int | None, seed: float | None, best: tuple[float | None, ...], ended_well: int
) -> None:
    assert rounds(limit, seed, *best) == ended_well
