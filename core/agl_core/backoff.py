"""Backoff: waiting longer and longer before the next attempt."""

from __future__ import annotations

import random

__all__ = ["Backoff"]


class Backoff:
    """How long to wait before what the world failed is tried again.

    Args:
        attempts: How often a thing is tried in all.
        initial: Seconds before the second attempt; doubled each time.
        longest: The most seconds to wait.
        rng: Source of the jitter: each wait is a random half to whole of its length.
    """

    def __init__(
        self,
        attempts: int = 5,
        initial: float = 0.5,
        longest: float = 30.0,
        rng: random.Random | None = None,
    ) -> None:
        self.attempts = attempts
        self._initial = initial
        self._longest = longest
        self._rng = rng or random.Random()

    def seconds(self, attempt: int, asked: float | None) -> float:
        """Return the wait after this attempt, at least what the service asked for."""
        wait = min(self._longest, self._initial * 2 ** (attempt - 1))
        return max(wait * self._rng.uniform(0.5, 1.0), min(asked or 0.0, self._longest))
