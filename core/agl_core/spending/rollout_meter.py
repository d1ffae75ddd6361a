"""The meter of one rollout: what it has taken so far, and what is reserved for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from agl_core.rollouts import ModelUsage
from agl_core.spans.genai import TokenUsage
from agl_core.spending.budgets import StopReason
from agl_core.spending.metering import AbsentMeter, Demand, Reserved

__all__ = ["CallLedger", "RolloutMeter"]

_NOTHING = ModelUsage()


class CallLedger(Protocol):
    """Where a meter asks for room: the part of a `Ledger` that it needs."""

    def begin_call(self, meter: RolloutMeter, demand: Demand) -> Reserved | None:
        """Reserve a model call of a rollout; see `CallMeter.begin`."""
        ...

    def end_call(
        self, meter: RolloutMeter, reserved: Reserved, tokens: TokenUsage | None, failed: bool
    ) -> None:
        """Take note of the end of a model call of a rollout; see `CallMeter.end`."""
        ...


class RolloutMeter:
    """What one rollout has taken so far; see `CallMeter`. Written to under its ledger's lock.

    In another process it is an `AbsentMeter`.

    Attributes:
        refused: The cap that a call of it was refused for.
        refusals: How many calls were refused: their spans are those of calls that were not made.
        open: Whether the rollout is in flight, and what it took not yet written down.
    """

    def __init__(self, ledger: CallLedger, estimate: ModelUsage) -> None:
        self.refused: StopReason | None = None
        self.refusals = 0
        self.open = True
        self.used = self.assumed = self.pending = _NOTHING
        self._ledger = ledger
        self._estimate = estimate

    @property
    def claim(self) -> ModelUsage:
        """What is reserved for it: what it has taken, or what it is expected to take, if more."""
        return self._estimate.at_least(self.used + self.assumed + self.pending)

    def begin(self, demand: Demand) -> Reserved | None:
        """Reserve a call; see `CallMeter`."""
        return self._ledger.begin_call(self, demand)

    def end(self, reserved: Reserved, tokens: TokenUsage | None, failed: bool) -> None:
        """Give back what was reserved; see `CallMeter`."""
        self._ledger.end_call(self, reserved, tokens, failed)

    def settle(self, untold: bool) -> ModelUsage:
        """End it, now that what the rollout took is known by its spans.

        Returns:
            What calls may have taken besides that have not ended, or of which nobody told the
            tokens. That they were made is known.
        """
        left = self.pending + self.assumed if untold else self.pending
        self.used = self.assumed = self.pending = self._estimate = _NOTHING
        self.open = False
        return replace(left, model_calls=0)

    def close(self) -> ModelUsage:
        """End it, if it was not settled; return what it may have taken."""
        if not self.open:
            return _NOTHING
        self.open = False
        return self.used + self.assumed + self.pending

    def __reduce__(self) -> tuple[type[AbsentMeter], tuple[()]]:
        return AbsentMeter, ()
