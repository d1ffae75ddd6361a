"""Patience: how many rounds in a row may find nothing better."""

from __future__ import annotations

from agl_core.spending.budgets import BudgetExhaustedError

__all__ = ["Patience"]


class Patience:
    """Counts rounds that ended without a better candidate, one after another.

    A round found something if the best score on the whole validation set is higher at its end than
    at the end of every round before, and than the seed's.

    Args:
        rounds: How many may find nothing; None for any number.
    """

    def __init__(self, rounds: int | None) -> None:
        self._rounds = rounds
        self._best: float | None = None
        self._waited = 0

    def end_round(self, seed: float | None, best: float | None) -> None:
        """Take note of the end of a round.

        Args:
            seed: The seed's validation score, if there is one yet.
            best: The best one of all candidates.

        Raises:
            BudgetExhaustedError: If it was one too many.
        """
        known = [score for score in (self._best, seed) if score is not None]
        if best is not None and (not known or best > max(known)):
            self._waited = 0
        else:
            self._waited += 1
        self._best = max([*known, best] if best is not None else known, default=None)
        if self._rounds is not None and self._waited >= self._rounds:
            raise BudgetExhaustedError("patience")
