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
        outage: Seconds that a service which has worked in a run may be down before the run ends.
        rng: Source of the jitter: each wait is a random half to whole of its length.
    """

    def __init__(
        self,
        attempts: int = 5,
        initial: float = 0.5,
        longest: float = 30.0,
        outage: float = 120.0,
        rng: random.Random | None = None,
    ) -> None:
        self.attempts = attempts
        self.outage = outage
        self._initial = initial
        self._longest = longest
        self._rng = rng or random.Random()

    def seconds(self, attempt: int, asked: float | None) -> float:
        """Return the wait after this attempt, at least what the service asked for."""
        wait = self.at_most(self._initial * 2 ** (attempt - 1))
        return max(wait * self._rng.uniform(0.5, 1.0), self.at_most(asked or 0.0))

    def at_most(self, seconds: float) -> float:
        """Return the seconds, or the most that there are to wait."""
        return min(self._longest, seconds)
